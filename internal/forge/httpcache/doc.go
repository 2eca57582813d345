// Package httpcache keeps answers to GET requests and asks the server each time
// whether they are still true. GitHub answers such questions with 304 at no
// cost to the rate limit, and refuses them to whoever may not see the resource:
// so an answer is never served without the asker's own credential having been
// accepted for it just now.
//
// A Transport decides what is stored and how it is revalidated; a Store holds
// entries within a bound: in memory, or on disk.
package httpcache
