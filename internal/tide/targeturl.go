package tide

import (
	"log/slog"
	"net/url"
	"strings"

	"prow/internal/config"
)

// targetURL is what the own status of a pull request links to: a page that is
// configured, or the page of its author's pull requests; empty where there is none.
func targetURL(tide *config.Tide, pr *PullRequest, log *slog.Logger) string {
	if u := tide.TargetURLFor(pr.Org, pr.Repo); u != "" {
		return u
	}
	base := tide.PRStatusBaseURLFor(pr.Org, pr.Repo)
	if base == "" {
		return ""
	}
	u, err := url.Parse(base)
	if err != nil {
		log.Error("the base URL of pull request pages is no URL", "repo", pr.NameWithOwner, "url", base, "error", err)
		return ""
	}
	author := pr.AuthorLogin
	if pr.GitHub != nil && pr.GitHub.AuthorMetadata.Typename == "Bot" && !strings.HasPrefix(author, "app/") {
		author = "app/" + author
	}
	q := u.Query()
	q.Set("query", "is:pr repo:"+pr.Org+"/"+pr.Repo+" author:"+author+" head:"+pr.HeadRefName)
	u.RawQuery = q.Encode()
	return u.String()
}
