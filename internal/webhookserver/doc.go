// Package webhookserver judges and completes ProwJobs as they are made: a
// validating webhook refuses clusters nobody knows, a mutating one fills in
// decoration defaults.
//
// The server brings its own certificate (certificates.go makes it, secrets.go
// keeps it, rotate.go replaces it in time) and tells the API server of itself
// (register.go). All of that is repeated every minute and converges, so several
// replicas, restarts and hands that delete things do no harm.
package webhookserver
