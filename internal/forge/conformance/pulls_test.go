package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestMergesAndTheirRefusals(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	pr := x.pull(repo, "topic")
	n, head := pr.GetNumber(), pr.GetHead().GetSHA()
	_, _, err := c.PullRequests.Create(ctx, x.org, repo, &github.NewPullRequest{Title: github.Ptr("again"), Head: github.Ptr("topic"), Base: github.Ptr("main")})
	x.refused(err, 422, "A pull request already exists for "+x.org+":topic.")
	_, _, err = c.PullRequests.Create(ctx, x.org, repo, &github.NewPullRequest{Title: github.Ptr("none"), Head: github.Ptr("main"), Base: github.Ptr("main")})
	x.refused(err, 422, "No commits between")
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", &github.PullRequestOptions{SHA: strings.Repeat("1", 40)})
	x.refused(err, 409, "Head branch was modified. Review and try the merge again.")
	x.settled(repo, n)
	_, _, err = c.Repositories.Edit(ctx, x.org, repo, &github.Repository{AllowMergeCommit: github.Ptr(false), AllowSquashMerge: github.Ptr(true), DeleteBranchOnMerge: github.Ptr(true)})
	x.must(err)
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", &github.PullRequestOptions{MergeMethod: "merge"})
	x.refused(err, 405, "Merge commits are not allowed on this repository")
	merged, _, err := c.PullRequests.Merge(ctx, x.org, repo, n, "body of the squash", &github.PullRequestOptions{MergeMethod: "squash", CommitTitle: "Title", SHA: head})
	x.must(err)
	commit, _, err := c.Repositories.GetCommit(ctx, x.org, repo, merged.GetSHA(), nil)
	x.must(err)
	x.same("message", commit.GetCommit().GetMessage(), "Title\n\nbody of the squash")
	x.same("parents", len(commit.Parents), 1)
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.refused(err, 405, "Pull Request is not mergeable")
	x.eventually("the branch to go", func() bool {
		_, resp, _ := c.Repositories.GetBranch(ctx, x.org, repo, "topic", 0)
		return resp != nil && resp.StatusCode == 404
	})
	_, _, err = c.PullRequests.Edit(ctx, x.org, repo, n, &github.PullRequest{State: github.Ptr("open")})
	x.refused(err, 422, "")
}

func TestClosedPullRequestsWithoutBranchStayClosed(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	n := x.pull(repo, "gone").GetNumber()
	_, err := c.Git.DeleteRef(ctx, x.org, repo, "heads/gone")
	x.must(err)
	x.eventually("the pull request to close", func() bool {
		pr, _, err := c.PullRequests.Get(ctx, x.org, repo, n)
		x.must(err)
		return pr.GetState() == "closed"
	})
	_, _, err = c.PullRequests.Edit(ctx, x.org, repo, n, &github.PullRequest{State: github.Ptr("open")})
	x.refused(err, 422, "state cannot be changed. The gone branch has been deleted.")
}

func TestDiffPatchAndFiles(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	pr := x.pull(repo, "topic")
	diff, _, err := c.PullRequests.GetRaw(ctx, x.org, repo, pr.GetNumber(), github.RawOptions{Type: github.Diff})
	x.must(err)
	patch, _, err := c.PullRequests.GetRaw(ctx, x.org, repo, pr.GetNumber(), github.RawOptions{Type: github.Patch})
	x.must(err)
	if !strings.HasPrefix(diff, "diff --git a/topic.txt b/topic.txt") || !strings.Contains(diff, "+text of topic") || !strings.HasPrefix(patch, "From "+pr.GetHead().GetSHA()) {
		t.Errorf("diff %q patch %q", diff, patch)
	}
	files, _, err := c.PullRequests.ListFiles(ctx, x.org, repo, pr.GetNumber(), nil)
	x.must(err)
	x.same("files", names(files, (*github.CommitFile).GetFilename), "[topic.txt]")
	x.same("status", files[0].GetStatus(), "added")
	compared, _, err := c.Repositories.CompareCommits(ctx, x.org, repo, "main", "topic", nil)
	x.must(err)
	x.same("comparison", compared.GetStatus()+" "+compared.GetMergeBaseCommit().GetSHA(), "ahead "+pr.GetBase().GetSHA())
	raw, _, err := c.Repositories.CompareCommitsRaw(ctx, x.org, repo, "main", "topic", github.RawOptions{Type: github.Patch})
	x.must(err)
	if !strings.HasPrefix(raw, "From ") {
		t.Errorf("patch of a comparison: %q", raw)
	}
	byPath, _, err := c.Repositories.ListCommits(ctx, x.org, repo, &github.CommitsListOptions{SHA: "topic", Path: "topic.txt"})
	x.must(err)
	x.same("commits of a file", len(byPath), 1)
	full, _, err := c.PullRequests.Get(ctx, x.org, repo, pr.GetNumber())
	x.must(err)
	x.same("size", []int{full.GetAdditions(), full.GetDeletions(), full.GetChangedFiles(), full.GetCommits()}, "[1 0 1 1]")
}

func TestUpdateBranchWantsTheRightHead(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	pr := x.pull(repo, "topic")
	x.file(x.owner, repo, "main", "main.txt", "news\n")
	_, _, err := c.PullRequests.UpdateBranch(ctx, x.org, repo, pr.GetNumber(), &github.PullRequestBranchUpdateOptions{ExpectedHeadSHA: github.Ptr(strings.Repeat("1", 40))})
	x.refused(err, 422, "expected head sha")
	_, _, err = c.PullRequests.UpdateBranch(ctx, x.org, repo, pr.GetNumber(), &github.PullRequestBranchUpdateOptions{ExpectedHeadSHA: github.Ptr(pr.GetHead().GetSHA())})
	if _, accepted := err.(*github.AcceptedError); !accepted {
		t.Errorf("got %v, want 202", err)
	}
	x.eventually("the new head", func() bool {
		now, _, err := c.PullRequests.Get(ctx, x.org, repo, pr.GetNumber())
		x.must(err)
		return now.GetHead().GetSHA() != pr.GetHead().GetSHA()
	})
}

func TestReviewersMustBeCollaborators(t *testing.T) {
	x := newTarget(t)
	x.needOther()
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	n := x.pull(repo, "topic").GetNumber()
	_, _, err := c.PullRequests.RequestReviewers(ctx, x.org, repo, n, github.ReviewersRequest{Reviewers: []string{x.owner.login}})
	x.refused(err, 422, "Review cannot be requested from pull request author.")
	_, _, err = c.PullRequests.RequestReviewers(ctx, x.org, repo, n, github.ReviewersRequest{Reviewers: []string{x.other.login}})
	x.refused(err, 422, "Reviews may only be requested from collaborators.")
	x.localOnly("a member")
	_, _, err = c.Teams.CreateTeam(ctx, x.org, github.NewTeam{Name: "Reviewers", RepoNames: []string{x.org + "/" + repo}})
	x.must(err)
	pr, _, err := c.PullRequests.RequestReviewers(ctx, x.org, repo, n, github.ReviewersRequest{Reviewers: []string{x.member.login}, TeamReviewers: []string{"reviewers"}})
	x.must(err)
	x.same("asked", names(pr.RequestedReviewers, (*github.User).GetLogin), "["+x.member.login+"]")
	x.same("teams", names(pr.RequestedTeams, (*github.Team).GetSlug), "[reviewers]")
	_, err = c.PullRequests.RemoveReviewers(ctx, x.org, repo, n, github.ReviewersRequest{Reviewers: []string{x.member.login}})
	x.must(err)
}

func TestReviewsWithCommentsRepliesAndDismissal(t *testing.T) {
	x := newTarget(t)
	x.localOnly("a member who reviews")
	repo, ctx, c, m := x.repo(), t.Context(), x.as(x.owner), x.as(x.member)
	n := x.pull(repo, "topic").GetNumber()
	_, _, err := c.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
	x.refused(err, 422, "Can not approve your own pull request")
	r, _, err := m.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Event: github.Ptr("REQUEST_CHANGES"), Body: github.Ptr("please"), Comments: []*github.DraftReviewComment{{Path: github.Ptr("topic.txt"), Position: github.Ptr(1), Body: github.Ptr("here")}}})
	x.must(err)
	x.same("state", r.GetState(), "CHANGES_REQUESTED")
	comments, _, err := c.PullRequests.ListReviewComments(ctx, x.org, repo, n, r.GetID(), nil)
	x.must(err)
	x.same("comments", len(comments), 1)
	reply, _, err := c.PullRequests.CreateCommentInReplyTo(ctx, x.org, repo, n, "done", comments[0].GetID())
	x.must(err)
	x.same("reply to", reply.GetInReplyTo(), comments[0].GetID())
	edited, _, err := c.PullRequests.EditComment(ctx, x.org, repo, reply.GetID(), &github.PullRequestComment{Body: github.Ptr("really done")})
	x.must(err)
	x.same("edited", edited.GetBody(), "really done")
	_, err = c.PullRequests.DeleteComment(ctx, x.org, repo, reply.GetID())
	x.must(err)
	_, _, err = m.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Event: github.Ptr("COMMENT"), Body: github.Ptr("x"), Comments: []*github.DraftReviewComment{{Path: github.Ptr("no-such-file"), Position: github.Ptr(1), Body: github.Ptr("here")}}})
	x.refused(err, 422, "")
	d, _, err := c.PullRequests.DismissReview(ctx, x.org, repo, n, r.GetID(), &github.PullRequestReviewDismissalRequest{Message: github.Ptr("old")})
	x.must(err)
	x.same("dismissed", d.GetState(), "DISMISSED")
	pending, _, err := m.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Body: github.Ptr("later")})
	x.must(err)
	seen, _, err := c.PullRequests.ListReviews(ctx, x.org, repo, n, nil)
	x.must(err)
	for _, v := range seen {
		if v.GetState() == "PENDING" {
			t.Error("others see a pending review")
		}
	}
	_, _, err = m.PullRequests.SubmitReview(ctx, x.org, repo, n, pending.GetID(), &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
	x.must(err)
}
