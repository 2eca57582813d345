// Package github talks to GitHub and to servers that speak its API.
//
// The types hold what this project reads, in GitHub's own JSON names. Requests
// are built, sent and paged through go-github; authentication, retries and
// dry-run are round-trippers below it (transport.go), so an operation is a few
// lines that name a method, a path and a result. GraphQL queries are static
// texts. Consumers declare the few methods they call as an interface of their
// own; nothing here knows about configuration or plugins.
package github
