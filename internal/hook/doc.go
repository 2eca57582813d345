// Package hook receives the webhooks of a forge and hands each to the plugins
// that its repository enables.
//
// A delivery is checked (accept.go), written to the store, and only then
// answered with 200 (inbox.go). Handlers run afterwards, each recorded when it
// ends; a delivery that a dead process left unfinished is taken up again by the
// next one, for those handlers that have not ended. So nothing that was
// acknowledged is without effect.
package hook
