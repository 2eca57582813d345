package plugintest

import (
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/forge/local"
)

// As is a client of a person.
func (w *World) As(login string) *gogithub.Client {
	w.tb.Helper()
	c, err := gogithub.NewClient(&http.Client{Timeout: patience}).WithAuthToken(token(login)).WithEnterpriseURLs("http://"+w.addr, "http://"+w.addr)
	must(w.tb, err)
	return c
}

// Pull opens a pull request of a branch to main and returns its number.
func (w *World) Pull(login, branch, title, body string) int {
	w.tb.Helper()
	return w.OpenPull(login, gogithub.NewPullRequest{Head: &branch, Title: &title, Body: &body})
}

// OpenPull opens a pull request, to main unless it says otherwise.
func (w *World) OpenPull(login string, pull gogithub.NewPullRequest) int {
	w.tb.Helper()
	if pull.Base == nil {
		pull.Base = gogithub.Ptr("main")
	}
	pr, _, err := w.As(login).PullRequests.Create(w.tb.Context(), Org, Repo, &pull)
	must(w.tb, err)
	w.Settle()
	return pr.GetNumber()
}

// EditPull changes title, body, base or state of a pull request.
func (w *World) EditPull(login string, number int, change gogithub.PullRequest) {
	w.tb.Helper()
	_, _, err := w.As(login).PullRequests.Edit(w.tb.Context(), Org, Repo, number, &change)
	must(w.tb, err)
	w.Settle()
}

// Collaborator makes somebody a collaborator, who accepts the invitation if there
// has to be one.
func (w *World) Collaborator(login, permission string) {
	w.tb.Helper()
	invitation, _, err := w.As("boss").Repositories.AddCollaborator(w.tb.Context(), Org, Repo, login, &gogithub.RepositoryAddCollaboratorOptions{Permission: permission})
	must(w.tb, err)
	if invitation.GetID() != 0 {
		_, err = w.As(login).Users.AcceptInvitation(w.tb.Context(), invitation.GetID())
		must(w.tb, err)
	}
	w.Settle()
}

// Draft converts a pull request to a draft, or marks it as ready.
func (w *World) Draft(login string, number int, draft bool) {
	w.tb.Helper()
	pr, _, err := w.As(login).PullRequests.Get(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	mutation, input := "markPullRequestReadyForReview", "MarkPullRequestReadyForReviewInput"
	if draft {
		mutation, input = "convertPullRequestToDraft", "ConvertPullRequestToDraftInput"
	}
	c, err := github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), UserAgent: "test/v1",
		Token: func() (string, error) { return token(login), nil },
	})
	must(w.tb, err)
	query := fmt.Sprintf("mutation($i:%s!){%s(input:$i){pullRequest{isDraft}}}", input, mutation)
	must(w.tb, c.Query(w.tb.Context(), Org, query, map[string]any{"i": map[string]any{"pullRequestId": pr.GetNodeID()}}, &struct{}{}))
	w.Settle()
}

// Issue opens an issue.
func (w *World) Issue(login, title, body string) int {
	w.tb.Helper()
	issue, _, err := w.As(login).Issues.Create(w.tb.Context(), Org, Repo, &gogithub.IssueRequest{Title: &title, Body: &body})
	must(w.tb, err)
	w.Settle()
	return issue.GetNumber()
}

// Comment comments and returns the id of the comment.
func (w *World) Comment(login string, number int, body string) int64 {
	w.tb.Helper()
	c, _, err := w.As(login).Issues.CreateComment(w.tb.Context(), Org, Repo, number, &gogithub.IssueComment{Body: &body})
	must(w.tb, err)
	w.Settle()
	return c.GetID()
}

// EditComment replaces the text of a comment.
func (w *World) EditComment(login string, id int64, body string) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.EditComment(w.tb.Context(), Org, Repo, id, &gogithub.IssueComment{Body: &body})
	must(w.tb, err)
	w.Settle()
}

// Review reviews; event is APPROVE, REQUEST_CHANGES or COMMENT.
func (w *World) Review(login string, number int, event, body string) int64 {
	w.tb.Helper()
	r, _, err := w.As(login).PullRequests.CreateReview(w.tb.Context(), Org, Repo, number, &gogithub.PullRequestReviewRequest{Event: &event, Body: &body})
	must(w.tb, err)
	w.Settle()
	return r.GetID()
}

// AddLabel and RemoveLabel change the labels of an issue or pull request.
func (w *World) AddLabel(login string, number int, label string) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.AddLabelsToIssue(w.tb.Context(), Org, Repo, number, []string{label})
	must(w.tb, err)
	w.Settle()
}

// RemoveLabel takes a label away.
func (w *World) RemoveLabel(login string, number int, label string) {
	w.tb.Helper()
	_, err := w.As(login).Issues.RemoveLabelForIssue(w.tb.Context(), Org, Repo, number, label)
	must(w.tb, err)
	w.Settle()
}

// Status sets a status of a commit.
func (w *World) Status(sha, name, state string) {
	w.tb.Helper()
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, sha, &gogithub.RepoStatus{State: &state, Context: &name})
	must(w.tb, err)
	w.Settle()
}

// Team makes a team of the org.
func (w *World) Team(name string, members ...string) {
	w.tb.Helper()
	must(w.tb, w.forge.CreateTeam(w.tb.Context(), Org, local.Team{Name: name, Members: members}))
	w.Settle()
}

// RepoLabels adds labels to those the repository has.
func (w *World) RepoLabels(names ...string) {
	w.tb.Helper()
	for _, name := range names {
		_, _, err := w.As("boss").Issues.CreateLabel(w.tb.Context(), Org, Repo, &gogithub.Label{Name: &name, Color: gogithub.Ptr("ededed")})
		must(w.tb, err)
	}
	w.Settle()
}

// CloseIssue closes an issue or pull request.
func (w *World) CloseIssue(login string, number int) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.Edit(w.tb.Context(), Org, Repo, number, &gogithub.IssueRequest{State: gogithub.Ptr("closed")})
	must(w.tb, err)
	w.Settle()
}

// Milestones makes open milestones of the repository.
func (w *World) Milestones(titles ...string) {
	w.tb.Helper()
	for _, title := range titles {
		_, _, err := w.As("boss").Issues.CreateMilestone(w.tb.Context(), Org, Repo, &gogithub.Milestone{Title: &title})
		must(w.tb, err)
	}
	w.Settle()
}

// Merge merges a pull request with a merge commit.
func (w *World) Merge(login string, number int) {
	w.tb.Helper()
	_, _, err := w.As(login).PullRequests.Merge(w.tb.Context(), Org, Repo, number, "", nil)
	must(w.tb, err)
	w.Settle()
}

// CheckRun makes a check run that has ended.
func (w *World) CheckRun(sha, name, conclusion string) {
	w.tb.Helper()
	_, _, err := w.As("bot").Checks.CreateCheckRun(w.tb.Context(), Org, Repo, gogithub.CreateCheckRunOptions{
		Name: name, HeadSHA: sha, Status: gogithub.Ptr("completed"), Conclusion: &conclusion,
	})
	must(w.tb, err)
	w.Settle()
}

// DescribedStatus sets a status of a commit with a description.
func (w *World) DescribedStatus(sha, name, state, description string) {
	w.tb.Helper()
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, sha, &gogithub.RepoStatus{State: &state, Context: &name, Description: &description})
	must(w.tb, err)
	w.Settle()
}
