// Package local is a forge that GitHub clients believe: bare git repositories
// and one SQLite database behind git's smart HTTP protocol, GitHub's REST and
// GraphQL shapes, signed webhooks, and a few plain pages for people.
//
// It is what a first run, the demos and the tests talk to, so it holds to
// GitHub's answers (status codes, messages, pagination, ETags) rather than to
// a convenient subset.
//
// # Model
//
// Git is the truth for refs and objects; the database is the truth for
// everything else. The table "refs" remembers which tips have been told to the
// world. Whatever moves a ref (a push, the merge button, the refs API) ends in
// the same place, [Forge.syncRefs], which compares git with that table and, in
// one transaction, records the difference with all its consequences: push,
// create and delete events, new heads and merges of pull requests. A process
// killed between the move and the record therefore loses nothing: the same
// comparison runs at the next start.
//
// Webhooks are rows written in the transaction that causes them and sent
// afterwards by [Forge.Run], in order per hook and repository, until the
// receiver acknowledges or the attempts are used up. GitHub itself tries once;
// here a receiver that restarts misses nothing.
//
// # Who acts
//
// A request comes from a person or bot (a token), from an installation of an
// App (a token with a [grant]) or from the App itself (a JSON web token).
// People are judged by [reader.permission]; installations by the permissions
// that [appNeeds] names for an operation, and may then do what an administrator
// may. Rules of branches ([ruleSource]: protection and rulesets) are asked
// wherever a branch moves: by [reader.mayMerge] for merges, by
// [reader.judgeMove] for pushes and the API.
//
// # Misbehaving
//
// [Fault] rules stand before everything but the administration itself. Stale
// reads are real: a read transaction of the database that began earlier.
//
// # Layout
//
// The state directory holds forge.db, lock, gitconfig, hooks and
// repos/<id>.git. It belongs to one process at a time.
//
// # Addresses
//
// One handler serves, as GitHub Enterprise does, /api/v3 (REST), /api/graphql,
// /OWNER/REPO(.git) for git, and pages for browsers everywhere else.
//
// # Trust
//
// API and git use tokens, the administration one of its own. The pages let a
// visitor act as any seeded person by picking a name: this is a development
// forge for the loopback interface. Requests for other host names are refused (DNS rebinding) and forms from
// other origins too.
package local
