package releasenote

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

var cherryPickRe = regexp.MustCompile(`Cherry pick of #([[:digit:]]+) on release-([[:digit:]]+\.[[:digit:]]+).`)

// maxParents bounds about how many pull requests the forge is asked for one; a body
// that names more is no cherry-pick.
const maxParents = 30

// parentsOf are the pull requests a body says it is a cherry-pick of, in order.
func parentsOf(body string) []int {
	var out []int
	for _, m := range cherryPickRe.FindAllStringSubmatch(body, -1) {
		n, err := strconv.Atoi(m[1])
		if err == nil && n > 0 && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) > maxParents {
		return nil
	}
	return out
}

// cherryPicks tells whether a pull request goes to another branch than the one on
// which release notes are written.
func cherryPicks(pr *github.PullRequest) bool {
	main := pr.Base.Repo.DefaultBranch
	if main == "" {
		main = "master"
	}
	return pr.Base.Ref != main
}

// withoutNote are those of the parents that have no release note. One that cannot
// be found has none.
func withoutNote(ctx context.Context, a *plugins.Agent, org, repo string, parents []int) (lacking []int, err error) {
	for _, n := range parents {
		labels, err := a.IssueLabels(ctx, org, repo, n)
		if err != nil && !github.IsNotFound(err) {
			return nil, fmt.Errorf("whether a parent has a release note: %w", err)
		}
		if !github.HasLabel(plugins.LabelReleaseNote, labels) && !github.HasLabel(plugins.LabelReleaseNoteActionRequired, labels) {
			lacking = append(lacking, n)
		}
	}
	return lacking, nil
}
