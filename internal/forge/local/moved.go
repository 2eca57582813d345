package local

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// movedError sends a client to the repository that had the name of the path.
type movedError struct{ to string }

func (e *movedError) Error() string { return "moved to " + e.to }

// answer redirects so that clients repeat the method.
func (e *movedError) answer(w http.ResponseWriter, r *http.Request) {
	status, message := http.StatusTemporaryRedirect, "Temporary Redirect"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status, message = http.StatusMovedPermanently, "Moved Permanently"
	}
	w.Header().Set("Location", e.to)
	writeJSON(w, status, obj{"message": message, "url": e.to, "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"})
}

// moved is the answer for a repository that does not exist under the name of
// the path: a redirect when the caller may read the one that had this name.
func (c *call) moved() error {
	rp, err := c.formerly(c.params["owner"], c.params["repo"])
	if err != nil {
		return err
	}
	p, err := c.permission(rp, c.viewer)
	if err != nil {
		return err
	}
	if p < permRead {
		return errNotFound
	}
	rest, inside := strings.CutPrefix(c.http.URL.EscapedPath(), "/api/v3/repos/")
	if !inside { // the repository is not what the path is about
		return errNotFound
	}
	elems := strings.SplitN(rest, "/", 3)
	to := c.f.api("/repositories/%d", rp.ID)
	if len(elems) == 3 {
		to += "/" + elems[2]
	}
	if q := c.http.URL.RawQuery; q != "" {
		to += "?" + q
	}
	return &movedError{to}
}

// canonical turns paths that name a repository or organisation by number into
// those that name them by name.
func (f *Forge) canonical(ctx context.Context, path string) (string, error) {
	for prefix, name := range map[string]func(int64) (string, error){
		"/repositories/": func(id int64) (string, error) {
			rp, err := f.read(ctx).repoID(id)
			if err != nil {
				return "", err
			}
			return "/repos/" + url.PathEscape(rp.Owner.Login) + "/" + url.PathEscape(rp.Name), nil
		},
		"/organizations/": func(id int64) (string, error) {
			a, err := f.read(ctx).accountID(id)
			if err == nil && a.Kind != kindOrg {
				err = errNotFound
			}
			return "/orgs/" + url.PathEscape(a.Login), err
		},
	} {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		num, rest, more := strings.Cut(rest, "/")
		id, err := strconv.ParseInt(num, 10, 64)
		if err != nil || strings.HasPrefix(rest, "team/") {
			return path, nil
		}
		to, err := name(id)
		if err != nil {
			return "", err
		}
		if more {
			to += "/" + rest
		}
		return to, nil
	}
	return path, nil
}
