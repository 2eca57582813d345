package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of a check run, and the conclusions of a completed one.
const (
	CheckQueued     = "queued"
	CheckInProgress = "in_progress"
	CheckCompleted  = "completed"

	ConclusionSuccess   = "success"
	ConclusionFailure   = "failure"
	ConclusionCancelled = "cancelled"
)

// MaxCheckAnnotations is how many annotations GitHub takes in one request.
const MaxCheckAnnotations = 50

// CheckRunRequest makes or changes a check run; empty fields stay as they are.
type CheckRunRequest struct {
	Name    string `json:"name,omitempty"`
	HeadSHA string `json:"head_sha,omitempty"`
	// ExternalID is the caller's name for the run.
	ExternalID  string        `json:"external_id,omitempty"`
	DetailsURL  string        `json:"details_url,omitempty"`
	Status      string        `json:"status,omitempty"`
	Conclusion  string        `json:"conclusion,omitempty"`
	StartedAt   *time.Time    `json:"started_at,omitempty"`
	CompletedAt *time.Time    `json:"completed_at,omitempty"`
	Output      *CheckOutput  `json:"output,omitempty"`
	Actions     []CheckAction `json:"actions,omitempty"`
}

// CheckOutput is what people read of a check run.
type CheckOutput struct {
	Title string `json:"title"`
	// Summary is Markdown.
	Summary string `json:"summary"`
	// Annotations are added to those that are there, at most MaxCheckAnnotations.
	Annotations []CheckAnnotation `json:"annotations,omitempty"`
	// AnnotationsCount tells how many there are, in answers only.
	AnnotationsCount int `json:"annotations_count,omitempty"`
}

// CheckAnnotation is a note on lines of a file.
type CheckAnnotation struct {
	Path      string `json:"path"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
	// Level is notice, warning or failure.
	Level   string `json:"annotation_level"`
	Title   string `json:"title,omitempty"`
	Message string `json:"message"`
}

// CheckAction is a button of a check run.
type CheckAction struct {
	// Label has at most 20 characters, Identifier 20, Description 40.
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// ListCheckRuns lists the check runs of a commit.
func (c *Client) ListCheckRuns(ctx context.Context, org, repo, ref string) ([]CheckRun, error) {
	return listUnder(ctx, c, repoPath(org, repo, "commits", ref, "check-runs"), url.Values{}, under[CheckRun]("check_runs"))
}

// ListCheckRunsNamed lists all check runs of a commit with a name, older ones too.
func (c *Client) ListCheckRunsNamed(ctx context.Context, org, repo, ref, name string) ([]CheckRun, error) {
	query := url.Values{"check_name": {name}, "filter": {"all"}}
	return listUnder(ctx, c, repoPath(org, repo, "commits", ref, "check-runs"), query, under[CheckRun]("check_runs"))
}

// CreateCheckRun makes a check run and returns its id, 0 in dry-run.
func (c *Client) CreateCheckRun(ctx context.Context, org, repo string, run CheckRunRequest) (int64, error) {
	var created CheckRun
	err := c.change(ctx, http.MethodPost, repoPath(org, repo, "check-runs"), run, &created, http.StatusCreated)
	return created.ID, err
}

// UpdateCheckRun changes a check run.
func (c *Client) UpdateCheckRun(ctx context.Context, org, repo string, id int64, run CheckRunRequest) error {
	return c.change(ctx, http.MethodPatch, repoPath(org, repo, "check-runs", strconv.FormatInt(id, 10)), run, nil, http.StatusOK)
}
