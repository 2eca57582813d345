// Package conformance says, as tests, what this project and other clients rely
// on in GitHub's API: status codes, messages, shapes, pages and conditional
// requests. The tests speak through google/go-github, plain HTTP, git and the gh
// program; nothing of the project's own client is used.
//
// By default they run against the local forge, one for each test. They run
// against GitHub itself, to learn whether the forge still tells the truth, when
// the environment names an organisation that may be used up:
//
//	PROW_CONFORMANCE_ORG          organisation in which repositories are created and deleted
//	PROW_CONFORMANCE_TOKEN        token of an owner of it (scopes repo, delete_repo, admin:org, admin:org_hook)
//	PROW_CONFORMANCE_OTHER_TOKEN  token of somebody who is not a member; tests that need them are skipped without
//	PROW_CONFORMANCE_URL          base of the REST API, https://api.github.com by default
//
// What can be tried only where the server is ours (Apps with a known key, clocks,
// workflow runs) is skipped there.
package conformance
