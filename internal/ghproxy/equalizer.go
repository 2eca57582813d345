package ghproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// replacedToken marks an answer that carries the common token.
const replacedToken = "X-PROW-GHPROXY-REPLACED-TOKEN"

// tokenReserve is how long a common token must still be good.
const tokenReserve = time.Minute

// maxToken bounds the answer that holds a token, in bytes.
const maxToken = 1 << 20

// equalizer makes all who ask for a token of an installation use the same one,
// so that they share a budget and what is cached.
type equalizer struct {
	next http.RoundTripper
	// base is the path of the upstream's API.
	base string
	now  func() time.Time

	mu     sync.Mutex
	tokens map[string]installationToken
}

// installationToken is the answer to a request for a token.
type installationToken struct {
	Token        string          `json:"token,omitempty"`
	ExpiresAt    time.Time       `json:"expires_at,omitzero"`
	Permissions  json.RawMessage `json:"permissions,omitempty"`
	Repositories json.RawMessage `json:"repositories,omitempty"`
}

func newEqualizer(next http.RoundTripper, base string, now func() time.Time) *equalizer {
	return &equalizer{next: next, base: base, now: now, tokens: map[string]installationToken{}}
}

func (e *equalizer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.next.RoundTrip(req)
	if err != nil || req.Method != http.MethodPost || resp.StatusCode != http.StatusCreated {
		return resp, err
	}
	elements := strings.Split(strings.TrimPrefix(req.URL.Path, e.base), "/")
	if len(elements) != 5 || elements[0] != "" || elements[1] != "app" || elements[2] != "installations" || elements[4] != "access_tokens" {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read a token: %w", err)
	}
	var fresh installationToken
	if err := json.Unmarshal(body, &fresh); err != nil || fresh.Token == "" {
		return withBody(resp, body), nil
	}
	common, err := json.Marshal(e.common(elements[3], fresh))
	if err != nil {
		return withBody(resp, body), nil
	}
	resp.Header.Set(replacedToken, "true")
	return withBody(resp, common), nil
}

// common is the token of the installation that everybody uses.
func (e *equalizer) common(installation string, fresh installationToken) installationToken {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if known, ok := e.tokens[installation]; ok && known.ExpiresAt.Sub(now) > tokenReserve && alike(known, fresh) {
		return known
	}
	for id, t := range e.tokens {
		if now.After(t.ExpiresAt) {
			delete(e.tokens, id)
		}
	}
	e.tokens[installation] = fresh
	return fresh
}

// alike tells whether a token may stand for another: one that was asked for
// with fewer rights must not be exchanged for one with more.
func alike(a, b installationToken) bool {
	return bytes.Equal(a.Permissions, b.Permissions) && bytes.Equal(a.Repositories, b.Repositories)
}

func withBody(resp *http.Response, body []byte) *http.Response {
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return resp
}
