// Package gerrittest is a Gerrit for tests: an HTTP server with the shapes of its
// REST API over real bare repositories, which it serves to git as well.
//
// Changes are real commits at refs/changes/NN/NUMBER/PATCHSET, and what is submitted
// is merged into the branch by git, as the submit type of the project says. Answers
// begin with the line that Gerrit puts before JSON; fields are absent unless an
// option asks for them; paths below /a/ want a cookie or a password.
//
// What it has: queries with the operators status, is, label, branch, project and
// change, with brackets, OR and negation, in pages; changes; branches; reviews
// with messages and votes; submission of a change with those it depends on, and
// which these are; the own account. What it does not have: pushes for review (a test opens changes by
// [Server.Open]), topics, submit requirements other than labels, drafts, robots,
// and permissions beyond who may submit. Unknown operators and options are refused,
// as Gerrit does.
package gerrittest
