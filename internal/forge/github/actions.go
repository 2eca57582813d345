package github

import (
	"context"
	"net/http"
	"net/url"
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

// ApproveWorkflowRun lets a run go that waits for approval.
func (c *Client) ApproveWorkflowRun(ctx context.Context, org, repo string, id int64) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "actions", "runs", strconv.FormatInt(id, 10), "approve"), nil, nil)
}

// RerunFailedJobs runs the failed jobs of a run again.
func (c *Client) RerunFailedJobs(ctx context.Context, org, repo string, id int64) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "actions", "runs", strconv.FormatInt(id, 10), "rerun-failed-jobs"), nil, nil)
}

// Team is a team of an org.
type Team struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
}

// ListTeams lists the teams of an org.
func (c *Client) ListTeams(ctx context.Context, org string) ([]Team, error) {
	return list[Team](ctx, c, path("orgs", org, "teams"), nil)
}
