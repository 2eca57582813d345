package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
)

// errBadCredentials says that a request carries a token that is not valid.
var errBadCredentials = errors.New("bad credentials")

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// bearer extracts a token: "Authorization: token X", "Bearer X", or the
// password of basic authentication (git and curl users), where a user name
// alone is taken as the token too.
func bearer(r *http.Request) string {
	if user, pass, ok := r.BasicAuth(); ok {
		if pass == "" || pass == "x-oauth-basic" {
			return user
		}
		return pass
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if s := lower(scheme); s == "token" || s == "bearer" {
		return strings.TrimSpace(token)
	}
	return ""
}

// authenticate returns the account behind a request, nil for an anonymous one.
func (f *Forge) authenticate(r *http.Request) (*account, error) {
	token := bearer(r)
	if token == "" {
		return nil, nil
	}
	rd := f.read(r.Context())
	a, err := one(rd, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN tokens k ON k.account_id = a.id WHERE k.hash = ? AND (k.expires = 0 OR k.expires > ?)",
		tokenHash(token), f.clock.Now().UnixMilli())
	if errors.Is(err, errNotFound) {
		return nil, errBadCredentials
	}
	return a, err
}
