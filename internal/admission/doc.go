// Package admission guards ProwJobs at the API server: once a ProwJob is made
// only its status may change, whoever asks.
//
// rules.go decides, review.go speaks the API server's protocol (versions v1 and
// v1beta1 of AdmissionReview, which have the same form), run.go is the program.
// The webhook server answers with the same protocol.
package admission
