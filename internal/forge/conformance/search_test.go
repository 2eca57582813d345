package conformance

import (
	"fmt"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestSearchUnderstandsTheQualifiersOfMergeBots(t *testing.T) {
	x := newTarget(t)
	x.localOnly("an index without delay")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	full := x.org + "/" + repo
	pr := x.pull(repo, "topic")
	_, _, err := c.Issues.AddLabelsToIssue(ctx, x.org, repo, pr.GetNumber(), []string{"lgtm", "good first issue"})
	x.must(err)
	m, _, err := c.Issues.CreateMilestone(ctx, x.org, repo, &github.Milestone{Title: github.Ptr("v1 beta")})
	x.must(err)
	bug, _, err := x.as(x.member).Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("a crash"), Body: github.Ptr("words")})
	x.must(err)
	_, _, err = c.Issues.Edit(ctx, x.org, repo, bug.GetNumber(), &github.IssueRequest{Milestone: m.Number})
	x.must(err)
	_, _, err = c.Repositories.CreateStatus(ctx, x.org, repo, pr.GetHead().GetSHA(), &github.RepoStatus{State: github.Ptr("failure"), Context: github.Ptr("unit")})
	x.must(err)
	p, i := fmt.Sprintf("[%d]", pr.GetNumber()), fmt.Sprintf("[%d]", bug.GetNumber())
	for q, want := range map[string]string{
		"is:pr state:open label:lgtm":                              p,
		"is:pr label:LGTM -label:do-not-merge/hold archived:false": p,
		`is:pr label:"good first issue"`:                           p,
		`is:pr -label:"good first issue"`:                          "[]",
		"is:pr label:lgtm,absent":                                  p,
		"is:issue author:" + x.member.login:                        i,
		"is:issue -author:" + x.member.login:                       "[]",
		`milestone:"v1 beta"`:                                      i,
		"is:open no:milestone":                                     p,
		"base:main head:topic":                                     p,
		"-base:main is:pr":                                         "[]",
		"crash":                                                    i,
		"NOT crash":                                                p,
		"is:pr NOT label:lgtm":                                     "[]",
		"is:pr " + pr.GetHead().GetSHA():                           p,
		"is:pr review:none":                                        p,
		"is:pr review:approved":                                    "[]",
		"is:pr status:failure":                                     p,
		"is:pr status:success":                                     "[]",
		"is:issue updated:>=2020-01-01 created:2020-01-01T00:00:00Z..*":    i,
		"is:issue updated:<2020-01-01":                                     "[]",
		"comments:0":                                                       fmt.Sprintf("[%d %d]", pr.GetNumber(), bug.GetNumber()),
		"is:open sort:created-asc org:" + x.org:                            fmt.Sprintf("[%d %d]", pr.GetNumber(), bug.GetNumber()),
		"repo:" + x.org + "/no-such-repository repo:" + full + " is:issue": i,
		"-repo:" + full:                                                    "[]",
	} {
		if q != "-repo:"+full {
			q += " repo:" + full
		}
		got, _, err := c.Search.Issues(ctx, q, &github.SearchOptions{Sort: "created", Order: "asc"})
		x.must(err)
		numbers := []int{}
		for _, hit := range got.Issues {
			numbers = append(numbers, hit.GetNumber())
		}
		x.same(q, numbers, want)
	}
	_, _, err = c.Search.Issues(ctx, "frob:x", nil)
	x.refused(err, 422, "")
	users, _, err := c.Search.Users(ctx, "member@example.com in:email", nil)
	x.must(err)
	x.same("users by e-mail", names(users.Users, (*github.User).GetLogin), "[member]")
	repos, _, err := c.Search.Repositories(ctx, "org:"+x.org+" conformance", nil)
	x.must(err)
	x.same("repositories", names(repos.Repositories, (*github.Repository).GetName), "["+repo+"]")
}
