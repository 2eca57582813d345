package clone

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"

	"prow/internal/git"
)

// credentials are what a repository is fetched with.
type credentials struct{ user, password string }

// tokens vends the credentials for the repositories of an org.
type tokens func(ctx context.Context, org string) (credentials, error)

// withoutCredentials takes user and password out of a web address that has both.
func withoutCredentials(address string) (string, credentials) {
	u, ok := webAddress(address)
	if !ok || u.User == nil {
		return address, credentials{}
	}
	password, has := u.User.Password()
	if !has {
		return address, credentials{}
	}
	login := credentials{user: u.User.Username(), password: password}
	u.User = nil
	return u.String(), login
}

func webAddress(address string) (*url.URL, bool) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, false
	}
	return u, true
}

// scope is the part of a host that gets the credentials of one org, so that the
// submodules which a repository has beside it can be fetched as well.
type scope struct {
	// address is that of the org, or of the repository where there is no org.
	address string
	org     string
}

// scopeOf is the scope of a web address without credentials. Other addresses
// (those of ssh) take none.
func scopeOf(address string) (scope, bool) {
	u, ok := webAddress(address)
	if !ok {
		return scope{}, false
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	u.Host = strings.ToLower(u.Host)
	org := path.Dir(path.Clean("/" + u.Path))
	// A path that climbs or is escaped does not tell its org reliably.
	if org == "/" || strings.Contains(u.EscapedPath(), "..") || strings.Contains(u.EscapedPath(), "%") {
		return scope{address: u.String()}, true
	}
	u.Path, u.RawPath = org, ""
	return scope{address: u.String(), org: path.Base(org)}, true
}

// logins are the credentials for each part of the hosts, by address.
type logins map[string]credentials

// settings hand the logins to git. The longest addresses come first: git uses
// the first of the best, and a second header would spoil the request.
func (l logins) settings() []git.Setting {
	addresses := make([]string, 0, len(l))
	for address := range l {
		addresses = append(addresses, address)
	}
	slices.SortFunc(addresses, func(a, b string) int { return len(b) - len(a) })
	var settings []git.Setting
	for _, address := range addresses {
		settings = append(settings, git.BasicAuth(address, l[address].user, l[address].password)...)
	}
	return settings
}
