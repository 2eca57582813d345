package github

import (
	"net/http"
	"strings"

	"prow/internal/forge/github/apimetrics"
	"prow/internal/forge/httpcache"
)

// cached puts a cache of answers before a transport. Each answer is revalidated
// with the asker's own credential before it is given, which costs nothing of the
// rate limit where it is still true. Answers of a caching proxy are left to the proxy.
func cached(next http.RoundTripper, store httpcache.Store) http.RoundTripper {
	if store == nil {
		return next
	}
	return &httpcache.Transport{Next: &worthKeeping{next}, Store: store, Key: cacheKey}
}

// cacheKey keeps the answers to different credentials apart. The tokens of an
// installation change every hour; their installation, which the budget names, stays.
func cacheKey(req *http.Request) string {
	return credentialOf(req) + " " + req.Header.Get("Accept") + " " + req.URL.String()
}

// credentialOf names what a request is charged to: the installation, or else a
// hash of the credential.
func credentialOf(req *http.Request) string {
	if budget := req.Header.Get(tokenBudgetField); budget != "" {
		return budget
	}
	return apimetrics.HashOf(req.Header.Get("Authorization"))
}

// worthKeeping keeps answers out of the cache that are in one already, or that
// cannot be revalidated.
type worthKeeping struct{ next http.RoundTripper }

func (t *worthKeeping) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil && (resp.Header.Get(cacheMode) != "" || resp.Header.Get("Etag") == "" && resp.Header.Get("Last-Modified") == "" && resp.StatusCode == http.StatusOK) {
		resp.Header.Set("Cache-Control", strings.TrimPrefix(resp.Header.Get("Cache-Control")+", no-store", ", "))
	}
	return resp, err
}
