package apimetrics

import "testing"

func TestPathTemplates(t *testing.T) {
	s := NewPaths()
	for path, want := range map[string]string{
		"/repos/o/r/issues/1/comments":                        "/repos/:owner/:repo/issues/:issueId/comments",
		"/repos/o/r/branches/b/protection/restrictions/users": "/repos/:owner/:repo/branches/:branch/protection/restrictions/users",
		"/repos/o/r/pulls/1/merge":                            "/repos/:owner/:repo/pulls/:pullId/merge",
		"/repos/o/r/commits/abc/check-runs":                   "/repos/:owner/:repo/commits/:sha/check-runs",
		"/repositories/1/commits/abc/check-runs":              "/repositories/:repoId/commits/:sha/check-runs",
		"/orgs/o/members/l":                                   "/orgs/:orgname/members/:login",
		"/organizations/1/team/2/repos":                       "/organizations/:orgId/team/:id/repos",
		"/users/u/repos":                                      "/users/:username/repos",
		"/user/1/repos":                                       "/user/:id/repos",
		"/teams/1/memberships/u":                              "/teams/:id/memberships/:user",
		"/app/installations/1/access_tokens":                  "/app/installations/:id/access_tokens",
		"/search/issues":                                      "/search/issues",
		"/graphql":                                            "/graphql",
		"/repos/o/r/issues/1/labels/area/x/y":                 "/repos/:owner/:repo/issues/:issueId/labels/:labelId",
		"/repos/o/r/git/refs/heads/a/b":                       "/repos/:owner/:repo/git/refs/heads/:ref",
		"/repos/o/r/contents/a/b.go":                          "/repos/:owner/:repo/contents/:path",
		"/repos/o/r/issues/comments/1":                        "/repos/:owner/:repo/issues/comments/:commentId",
		"/repos/o/r":                                          "/repos/:owner/:repo",
		"/repos/o":                                            "unmatched",
		"/nope":                                               "unmatched",
		"/repos//r/issues":                                    "unmatched",
		"/":                                                   "/",
		"":                                                    "/",
	} {
		if got := s.Template(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
