package conformance

import (
	"fmt"
	"testing"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/local"
)

func TestStatusesArePagedAndCombined(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	sha := x.file(x.owner, repo, "main", "f", "f\n")
	for n := range 3 {
		_, _, err := c.Repositories.CreateStatus(ctx, x.org, repo, sha, &github.RepoStatus{State: github.Ptr("pending"), Context: github.Ptr(fmt.Sprintf("ci/%d", n))})
		x.must(err)
	}
	for n := range 2 {
		_, _, err := c.Repositories.CreateStatus(ctx, x.org, repo, sha, &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr(fmt.Sprintf("ci/%d", n)), Description: github.Ptr("fine"), TargetURL: github.Ptr("https://example.com/")})
		x.must(err)
	}
	combined, resp, err := c.Repositories.GetCombinedStatus(ctx, x.org, repo, sha, &github.ListOptions{PerPage: 2})
	x.must(err)
	x.same("combined", []any{combined.GetState(), combined.GetTotalCount(), len(combined.Statuses), resp.NextPage}, "[pending 3 2 2]")
	all, _, err := c.Repositories.ListStatuses(ctx, x.org, repo, sha, nil)
	x.must(err)
	x.same("history, newest first", []any{len(all), all[0].GetState(), all[4].GetState()}, "[5 success pending]")
	_, _, err = c.Repositories.CreateStatus(ctx, x.org, repo, sha, &github.RepoStatus{State: github.Ptr("fine")})
	x.refused(err, 422, "")
	_, _, err = c.Repositories.CreateStatus(ctx, x.org, repo, "1111111111111111111111111111111111111111", &github.RepoStatus{State: github.Ptr("success")})
	x.refused(err, 422, "No commit found for SHA: 1111111111111111111111111111111111111111")
	_, _, err = c.Repositories.CreateStatus(ctx, x.org, repo, sha, &github.RepoStatus{State: github.Ptr("success"), Description: github.Ptr(fmt.Sprintf("%0141d", 0))})
	x.refused(err, 422, "")
}

func TestCheckRunsFormSuites(t *testing.T) {
	x := newTarget(t)
	x.localOnly("check runs by a personal token")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	sha := x.file(x.owner, repo, "main", "f", "f\n")
	a, _, err := c.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "a", HeadSHA: sha, Status: github.Ptr("completed"), Conclusion: github.Ptr("success")})
	x.must(err)
	b, _, err := c.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "b", HeadSHA: sha, Status: github.Ptr("in_progress")})
	x.must(err)
	x.same("one suite", a.GetCheckSuite().GetID(), b.GetCheckSuite().GetID())
	suites, _, err := c.Checks.ListCheckSuitesForRef(ctx, x.org, repo, sha, nil)
	x.must(err)
	x.same("running", suites.CheckSuites[0].GetStatus(), "in_progress")
	_, _, err = c.Checks.UpdateCheckRun(ctx, x.org, repo, b.GetID(), github.UpdateCheckRunOptions{Name: "b", Conclusion: github.Ptr("failure")})
	x.must(err)
	suite, _, err := c.Checks.GetCheckSuite(ctx, x.org, repo, a.GetCheckSuite().GetID())
	x.must(err)
	x.same("ended", suite.GetStatus()+" "+suite.GetConclusion(), "completed failure")
	runs, _, err := c.Checks.ListCheckRunsCheckSuite(ctx, x.org, repo, suite.GetID(), nil)
	x.must(err)
	x.same("runs", names(runs.CheckRuns, (*github.CheckRun).GetName), "[a b]")
	byName, _, err := c.Checks.ListCheckRunsForRef(ctx, x.org, repo, "main", &github.ListCheckRunsOptions{CheckName: github.Ptr("b")})
	x.must(err)
	x.same("by name", byName.GetTotal(), 1)
	_, err = c.Checks.ReRequestCheckSuite(ctx, x.org, repo, suite.GetID())
	x.must(err)
	_, _, err = c.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "c", HeadSHA: sha, Status: github.Ptr("completed"), Conclusion: github.Ptr("great")})
	x.refused(err, 422, "")
}

func TestWorkflowRunsAreFilteredAndRunAgain(t *testing.T) {
	x := newTarget(t)
	x.localOnly("seeded workflow runs")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	sha := x.file(x.owner, repo, "main", "f", "f\n")
	put := func(w local.WorkflowRun) int64 {
		w.Owner, w.Repo, w.SHA = x.org, repo, sha
		id, err := x.forge.PutWorkflowRun(ctx, w)
		x.must(err)
		return id
	}
	failed := put(local.WorkflowRun{Name: "test", Event: "pull_request", Status: "completed", Conclusion: "failure", Jobs: []local.WorkflowJob{{Name: "unit", Status: "completed", Conclusion: "success"}, {Name: "e2e", Status: "completed", Conclusion: "failure"}}})
	waiting := put(local.WorkflowRun{Name: "build", Event: "pull_request_target", Status: "action_required"})
	put(local.WorkflowRun{Name: "nightly", Event: "schedule", Status: "completed", Conclusion: "success"})
	list := func(o github.ListWorkflowRunsOptions) string {
		runs, _, err := c.Actions.ListRepositoryWorkflowRuns(ctx, x.org, repo, &o)
		x.must(err)
		return fmt.Sprint(names(runs.WorkflowRuns, (*github.WorkflowRun).GetName))
	}
	x.same("two events", list(github.ListWorkflowRunsOptions{Event: "pull_request OR pull_request_target", HeadSHA: sha, Branch: "main"}), "[build test]")
	x.same("waiting", list(github.ListWorkflowRunsOptions{Event: "pull_request OR pull_request_target", Status: "action_required"}), "[build]")
	x.same("another commit", list(github.ListWorkflowRunsOptions{HeadSHA: "0000000000000000000000000000000000000000"}), "[]")
	_, err := c.Actions.RerunFailedJobsByID(ctx, x.org, repo, failed)
	x.must(err)
	jobs, _, err := c.Actions.ListWorkflowJobs(ctx, x.org, repo, failed, nil)
	x.must(err)
	for _, j := range jobs.Jobs {
		x.same(j.GetName(), j.GetStatus(), map[string]string{"unit": "completed", "e2e": "queued"}[j.GetName()])
	}
	_, err = c.Actions.RerunWorkflowByID(ctx, x.org, repo, failed)
	x.refused(err, 403, "already running")
	resp, _ := x.do(x.owner, "POST", fmt.Sprintf("/repos/%s/%s/actions/runs/%d/approve", x.org, repo, waiting), nil)
	x.same("approved", resp.StatusCode, 201)
	resp, _ = x.do(x.owner, "POST", fmt.Sprintf("/repos/%s/%s/actions/runs/%d/approve", x.org, repo, waiting), nil)
	x.same("approved twice", resp.StatusCode, 403)
	run, _, err := c.Actions.GetWorkflowRunByID(ctx, x.org, repo, failed)
	x.must(err)
	x.same("attempt", run.GetRunAttempt(), 2)
}
