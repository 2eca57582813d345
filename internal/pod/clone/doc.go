// Package clone is the logic of clonerefs: it brings the code of a job to the
// disk, and records every command it ran for that.
//
// Each repository is a sequence of git commands without a remote: fetch the
// base, check it out, and merge each pull into it, with fixed identity and dates
// so that the merge commits of two runs are the same. Repositories are cloned
// side by side; one that fails is recorded as failed and stops no other.
//
// A record tells why a clone failed, and whose turn it is: a conflict is the
// authors', credentials are the operator's, a host that is away is nobody's. Only
// what may pass is tried for long.
//
// Where a node has mirrors, their objects are copied after a check, and only the
// rest is fetched; what is tested does not depend on them.
//
// Credentials are never on a command line nor in a record. Git gets them through
// its environment, each for the org that it is meant for.
package clone
