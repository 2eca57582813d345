package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// WorkflowRun is a run of a workflow of GitHub Actions.
type WorkflowRun struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	Event      string `json:"event"`
}

// ListWorkflowRuns lists the runs of workflows for a head commit on a branch; event
// and status narrow them where they are not empty.
func (c *Client) ListWorkflowRuns(ctx context.Context, org, repo, headSHA, branch, event, status string) ([]WorkflowRun, error) {
	query := url.Values{"head_sha": {headSHA}, "branch": {branch}}
	for key, value := range map[string]string{"event": event, "status": status} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return listUnder(ctx, c, repoPath(org, repo, "actions", "runs"), query, under[WorkflowRun]("workflow_runs"))
}

// Events of workflow runs that test a pull request.
const (
	pullRequestRuns = "pull_request OR pull_request_target"
	failedRuns      = pullRequestRuns + " OR workflow_call"
)

// ListFailedWorkflowRuns lists the runs of a pull request's head that ended
// without success.
func (c *Client) ListFailedWorkflowRuns(ctx context.Context, org, repo, branch, headSHA string) ([]WorkflowRun, error) {
	runs, err := c.ListWorkflowRuns(ctx, org, repo, headSHA, branch, failedRuns, "")
	return slices.DeleteFunc(runs, func(r WorkflowRun) bool {
		return r.Status != CheckCompleted || r.Conclusion == "success" || r.Conclusion == "skipped"
	}), err
}

// ListWorkflowRunsToApprove lists the runs of a pull request's head that wait for
// approval.
func (c *Client) ListWorkflowRunsToApprove(ctx context.Context, org, repo, branch, headSHA string) ([]WorkflowRun, error) {
	return c.ListWorkflowRuns(ctx, org, repo, headSHA, branch, pullRequestRuns, "action_required")
}

// ApproveWorkflowRun lets a run go that waits for approval.
func (c *Client) ApproveWorkflowRun(ctx context.Context, org, repo string, id int64) error {
	return c.runAction(ctx, org, repo, id, "approve")
}

// RerunWorkflow runs a run again as a whole.
func (c *Client) RerunWorkflow(ctx context.Context, org, repo string, id int64) error {
	return c.runAction(ctx, org, repo, id, "rerun")
}

// RerunFailedJobs runs the failed jobs of a run again.
func (c *Client) RerunFailedJobs(ctx context.Context, org, repo string, id int64) error {
	return c.runAction(ctx, org, repo, id, "rerun-failed-jobs")
}

func (c *Client) runAction(ctx context.Context, org, repo string, id int64, action string) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "actions", "runs", strconv.FormatInt(id, 10), action), nil, nil, http.StatusCreated)
}
