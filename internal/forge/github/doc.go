// Package github talks to GitHub and to servers that speak its API.
//
// The types hold what this project reads, in GitHub's own JSON names. A request
// names a method, a path, the answers that are acceptable and a result
// (request.go); lists are read page after page (pages.go). Authentication,
// limits and retries are round-trippers below that, so an operation is a few
// lines in the file of its subject. GraphQL queries are static texts. Consumers declare the few methods they call as an interface of their
// own; nothing here knows about configuration or plugins.
package github
