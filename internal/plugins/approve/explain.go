package approve

import (
	"context"
	"fmt"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// explain says whose approval is there and whose is missing.
func explain(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) ([]plugins.Explanation, error) {
	s, err := read(ctx, a, pr.Base.Repo.Owner.Login, pr.Base.Repo.Name, pr.Number)
	if err != nil {
		return nil, err
	}
	v := s.notice.verdict
	var out []plugins.Explanation
	say := func(waits bool, format string, args ...any) {
		out = append(out, plugins.Explanation{Waits: waits, Text: fmt.Sprintf(format, args...)})
	}
	if s.notice.byHand {
		say(false, "a person set the label %s, which counts as approval", plugins.LabelApproved)
	}
	for _, d := range v.Directories {
		by := strings.Join(d.ApprovedBy, ", ")
		switch file := s.notice.file(d); {
		case d.Approved:
			say(false, "%s is approved by %s", file, by)
		case by != "":
			say(!s.notice.byHand, "%s is approved by %s for some of the changed files; for others it needs other owners", file, by)
		default:
			say(!s.notice.byHand, "%s needs the approval of one of its owners", file)
		}
	}
	if s.notice.cfg.IssueRequired && s.notice.issue == 0 && len(v.Waivers) == 0 {
		say(!s.notice.byHand, "no issue is linked: write \"Fixes #123\" in the text, or an approver comments /approve no-issue")
	}
	if ask := append(append([]string(nil), v.AssignedCCs...), v.SuggestedCCs...); len(ask) > 0 && !v.FilesApproved {
		say(false, "who can approve what is missing: %s", strings.Join(ask, ", "))
	}
	return out, nil
}
