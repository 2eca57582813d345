package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// caller is who a request comes from: at most one of account and app is set,
// neither for an anonymous request.
type caller struct {
	account *account // a person, a bot, or the bot of an installed App with its grant
	app     *app     // an App that identified itself with a JSON web token
	scopes  string   // of a personal token, "" for all
}

// who is the identity that limits are counted for.
func (c *caller) who() string {
	switch {
	case c.app != nil:
		return "app " + c.app.Slug
	case c.account == nil:
		return "anonymous"
	case c.account.grant != nil:
		return "installation " + i64(c.account.grant.InstallationID)
	}
	return c.account.Login
}

// authenticate finds out who sends a request.
func (f *Forge) authenticate(r *http.Request) (*caller, error) {
	token := bearer(r)
	if token == "" {
		return &caller{}, nil
	}
	rd := f.read(r.Context())
	if strings.Count(token, ".") == 2 {
		p, err := rd.appByToken(token)
		return &caller{app: p}, err
	}
	return rd.callerByToken(token)
}

// tokenRow is a stored token with its account.
type tokenRow struct {
	account
	scopes       string
	installation int64
	permissions  words
	repos        string
}

func (r *reader) callerByToken(token string) (*caller, error) {
	row, err := one(r, func(s scanner, v *tokenRow) error {
		return s.Scan(append(v.fields(), &v.scopes, &v.installation, &v.permissions, &v.repos)...)
	}, "SELECT "+accountCols+", k.scopes, k.installation_id, k.permissions, k.repos FROM accounts a JOIN tokens k ON k.account_id = a.id WHERE k.hash = ? AND (k.expires = 0 OR k.expires > ?)",
		tokenHash(token), r.f.clock.Now().UnixMilli())
	if errors.Is(err, errNotFound) {
		return nil, errBadCredentials
	}
	if err != nil {
		return nil, err
	}
	if row.installation != 0 {
		if row.grant, err = r.grantOf(row); err != nil {
			return nil, err
		}
	}
	return &caller{account: &row.account, scopes: row.scopes}, nil
}

// grantOf is what the installation of a token may do now: the token cannot do
// more than its installation, which may have been narrowed, suspended or removed.
func (r *reader) grantOf(row *tokenRow) (*grant, error) {
	v, err := one(r, scanInstallation, "SELECT "+installationCols+" FROM installations s WHERE s.id = ?", row.installation)
	if errors.Is(err, errNotFound) || err == nil && !v.Suspended.IsZero() {
		return nil, errBadCredentials
	}
	if err != nil {
		return nil, err
	}
	g := &grant{InstallationID: v.ID, OwnerID: v.AccountID, Permissions: map[string]string{}}
	for name, level := range row.permissions {
		if has := v.Permissions[name]; has != "" {
			g.Permissions[name] = lowerLevel(has, level)
		}
	}
	if g.Repos, err = r.installationRepos(v); err != nil {
		return nil, err
	}
	var only []int64
	if err := json.Unmarshal([]byte(row.repos), &only); err != nil {
		return nil, err
	}
	if only != nil {
		narrowed := map[int64]bool{}
		for _, id := range only {
			narrowed[id] = g.Repos == nil || g.Repos[id]
		}
		g.Repos = narrowed
	}
	return g, nil
}

// viewerOf is the account of a request's token, for those parts of the forge
// that Apps themselves do not use.
func (f *Forge) viewerOf(ctx context.Context, r *http.Request) (*account, error) {
	who, err := f.authenticate(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if who.app != nil {
		return nil, errBadCredentials
	}
	return who.account, nil
}
