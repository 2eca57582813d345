package conformance

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestIssuesLiveAndCloseForReasons(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("one"), Body: github.Ptr("text"), Labels: &[]string{"bug"}, Assignees: &[]string{x.owner.login}})
	x.must(err)
	x.same("labels", names(i.Labels, (*github.Label).GetName), "[bug]")
	x.same("assignees", names(i.Assignees, (*github.User).GetLogin), "["+x.owner.login+"]")
	n := i.GetNumber()
	i, _, err = c.Issues.Edit(ctx, x.org, repo, n, &github.IssueRequest{State: github.Ptr("closed"), StateReason: github.Ptr("not_planned")})
	x.must(err)
	x.same("closed", i.GetState()+" "+i.GetStateReason()+" by "+i.GetClosedBy().GetLogin(), "closed not_planned by "+x.owner.login)
	i, _, err = c.Issues.Edit(ctx, x.org, repo, n, &github.IssueRequest{State: github.Ptr("open")})
	x.must(err)
	x.same("reopened", i.GetState()+" "+i.GetStateReason(), "open reopened")
	_, _, err = c.Issues.Edit(ctx, x.org, repo, n, &github.IssueRequest{State: github.Ptr("ajar")})
	x.refused(err, 422, "")
	_, _, err = c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{})
	x.refused(err, 422, "")
	_, _, err = c.Issues.Get(ctx, x.org, repo, 9999)
	x.refused(err, 404, "Not Found")
}

func TestLabelsIgnoreCaseAndKeepTheirMessages(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("labels")})
	x.must(err)
	n := i.GetNumber()
	for _, name := range []string{"area/api server", "c#", "50%?"} {
		_, _, err := c.Issues.CreateLabel(ctx, x.org, repo, &github.Label{Name: &name, Color: github.Ptr("00FF00"), Description: github.Ptr("d")})
		x.must(err)
	}
	_, _, err = c.Issues.CreateLabel(ctx, x.org, repo, &github.Label{Name: github.Ptr("AREA/API SERVER"), Color: github.Ptr("00ff00")})
	x.refused(err, 422, "already_exists")
	got, _, err := c.Issues.AddLabelsToIssue(ctx, x.org, repo, n, []string{"Area/API server", "c#"})
	x.must(err)
	x.same("labels of the issue", names(got, (*github.Label).GetName), "[area/api server c#]")
	_, err = c.Issues.RemoveLabelForIssue(ctx, x.org, repo, n, url.PathEscape("AREA/api server"))
	x.must(err)
	_, err = c.Issues.RemoveLabelForIssue(ctx, x.org, repo, n, url.PathEscape("area/api server"))
	x.refused(err, 404, "Label does not exist")
	got, _, err = c.Issues.ReplaceLabelsForIssue(ctx, x.org, repo, n, []string{"50%?"})
	x.must(err)
	x.same("replaced", names(got, (*github.Label).GetName), "[50%?]")
	_, _, err = c.Issues.EditLabel(ctx, x.org, repo, url.PathEscape("c#"), &github.Label{Name: github.Ptr("go"), Color: github.Ptr("123456")})
	x.must(err)
	_, err = c.Issues.DeleteLabel(ctx, x.org, repo, "go")
	x.must(err)
	_, _, err = c.Issues.GetLabel(ctx, x.org, repo, "go")
	x.refused(err, 404, "Not Found")
}

func TestPagesLinkToEachOther(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("pages")})
	x.must(err)
	for range 5 {
		_, _, err := c.Issues.CreateComment(ctx, x.org, repo, i.GetNumber(), &github.IssueComment{Body: github.Ptr("hello")})
		x.must(err)
	}
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 2}}
	var pages []int
	for {
		got, resp, err := c.Issues.ListComments(ctx, x.org, repo, i.GetNumber(), opts)
		x.must(err)
		pages = append(pages, len(got))
		if resp.NextPage == 0 {
			x.same("the way back", resp.PrevPage, 2)
			break
		}
		x.same("last page", resp.LastPage, 3)
		opts.Page = resp.NextPage
	}
	x.same("pages", pages, "[2 2 1]")
	resp, out := x.do(x.owner, "GET", "/repos/"+x.org+"/"+repo+"/issues/1/comments?per_page=2&page=9", nil)
	x.same("beyond the end", resp.StatusCode, 200)
	x.same("beyond the end", strings.TrimSpace(string(out)), "[]")
}

func TestUnchangedAnswersAreFree(t *testing.T) {
	x := newTarget(t, limited(1000))
	repo := x.repo()
	path := "/repos/" + x.org + "/" + repo
	first, _ := x.do(x.owner, "GET", path, nil)
	etag, changed := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
	if etag == "" || changed == "" || first.Header.Get("X-RateLimit-Remaining") == "" {
		t.Fatalf("headers: %v", first.Header)
	}
	before := first.Header.Get("X-RateLimit-Used")
	for name, value := range map[string]string{"If-None-Match": etag, "If-Modified-Since": changed} {
		resp, body := x.do(x.owner, "GET", path, nil, name, value)
		x.same("with "+name, resp.StatusCode, 304)
		x.same("body of a 304", len(body), 0)
	}
	if x.forge != nil { // on GitHub others may use the token meanwhile
		resp, _ := x.do(x.owner, "GET", "/rate_limit", nil)
		x.same("used", resp.Header.Get("X-RateLimit-Used"), before)
	}
	_, _, err := x.as(x.owner).Repositories.Edit(t.Context(), x.org, repo, &github.Repository{Description: github.Ptr("changed")})
	x.must(err)
	resp, _ := x.do(x.owner, "GET", path, nil, "If-None-Match", etag)
	x.same("after a change", resp.StatusCode, 200)
}

func TestReactionsOnceEach(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("r")})
	x.must(err)
	r, resp, err := c.Reactions.CreateIssueReaction(ctx, x.org, repo, i.GetNumber(), "+1")
	x.must(err)
	x.same("first", resp.StatusCode, 201)
	_, resp, err = c.Reactions.CreateIssueReaction(ctx, x.org, repo, i.GetNumber(), "+1")
	x.must(err)
	x.same("second", resp.StatusCode, 200)
	_, _, err = c.Reactions.CreateIssueReaction(ctx, x.org, repo, i.GetNumber(), "frown")
	x.refused(err, 422, "")
	_, err = c.Reactions.DeleteIssueReaction(ctx, x.org, repo, i.GetNumber(), r.GetID())
	x.must(err)
	all, _, err := c.Reactions.ListIssueReactions(ctx, x.org, repo, i.GetNumber(), nil)
	x.must(err)
	x.same("left", len(all), 0)
}

func TestMilestonesAreSetAndCleared(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	m, _, err := c.Issues.CreateMilestone(ctx, x.org, repo, &github.Milestone{Title: github.Ptr("v1")})
	x.must(err)
	_, _, err = c.Issues.CreateMilestone(ctx, x.org, repo, &github.Milestone{Title: github.Ptr("v1")})
	x.refused(err, 422, "already_exists")
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("m"), Milestone: m.Number})
	x.must(err)
	x.same("milestone", i.GetMilestone().GetTitle(), "v1")
	i, _, err = c.Issues.RemoveMilestone(ctx, x.org, repo, i.GetNumber())
	x.must(err)
	if i.Milestone != nil {
		t.Errorf("milestone: %v", i.Milestone)
	}
	_, _, err = c.Issues.Edit(ctx, x.org, repo, i.GetNumber(), &github.IssueRequest{Milestone: github.Ptr(99)})
	x.refused(err, 422, "")
}

func TestOnlyAssignablePeopleAreAssigned(t *testing.T) {
	x := newTarget(t)
	x.needOther()
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("a")})
	x.must(err)
	i, _, err = c.Issues.AddAssignees(ctx, x.org, repo, i.GetNumber(), []string{x.owner.login, x.other.login})
	x.must(err)
	x.same("assigned", names(i.Assignees, (*github.User).GetLogin), "["+x.owner.login+"]")
	i, _, err = c.Issues.RemoveAssignees(ctx, x.org, repo, i.GetNumber(), []string{x.owner.login})
	x.must(err)
	x.same("left", len(i.Assignees), 0)
}
