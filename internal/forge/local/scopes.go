package local

import (
	"net/http"
	"slices"
	"strings"
)

// allScopes are those of a personal token for which none were chosen.
const allScopes = "admin:org, admin:org_hook, admin:repo_hook, delete_repo, gist, notifications, project, read:org, repo, user, workflow"

// acceptedScopes are the scopes of which one suffices for an operation; none
// means that any token will do.
func acceptedScopes(rt *route) []string {
	read := rt.method == http.MethodGet
	switch p := rt.pattern; {
	case strings.HasPrefix(p, "/orgs/{org}/hooks"):
		return []string{"admin:org_hook"}
	case strings.HasPrefix(p, "/repos/{owner}/{repo}/hooks"):
		return []string{"admin:repo_hook", "repo"}
	case p == "/repos/{owner}/{repo}" && rt.method == http.MethodDelete:
		return []string{"delete_repo"}
	case p == "/orgs/{org}/repos" || p == "/user/repos":
		if read {
			return nil
		}
		return []string{"public_repo", "repo"}
	case strings.HasPrefix(p, "/orgs/{org}") || strings.HasPrefix(p, "/teams/") || strings.HasPrefix(p, "/organizations/"):
		if !read {
			return []string{"admin:org", "write:org"}
		}
		if strings.Contains(p, "/teams") || strings.Contains(p, "invitations") {
			return []string{"admin:org", "read:org", "repo", "user", "write:org"}
		}
	case strings.HasPrefix(p, "/repos/{owner}/{repo}/statuses") && !read:
		return []string{"repo", "repo:status"}
	case strings.HasPrefix(p, "/repos/{owner}/{repo}") && !read:
		return []string{"public_repo", "repo"}
	}
	return nil
}

// checkScopes refuses a token that lacks the scopes of an operation. The
// headers tell the client which ones it has and needs.
func (c *call) checkScopes(rt *route, scopes string) error {
	if scopes == "" {
		return nil
	}
	want := acceptedScopes(rt)
	c.header.Set("X-Accepted-OAuth-Scopes", strings.Join(want, ", "))
	if len(want) == 0 {
		return nil
	}
	for have := range strings.SplitSeq(scopes, ",") {
		if slices.Contains(want, strings.TrimSpace(have)) {
			return nil
		}
	}
	return forbidden("Resource not accessible by personal access token")
}
