package github

import (
	"encoding/json"
	"strings"
	"time"
)

// User is an account: a person, a bot or an organisation.
type User struct {
	Login   string `json:"login"`
	ID      int64  `json:"id"`
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"`
	HTMLURL string `json:"html_url,omitempty"`
	// Type is "User", "Bot" or "Organization".
	Type string `json:"type,omitempty"`
}

// NormLogin is the form in which logins are compared: lower case, without one leading "@".
func NormLogin(login string) string {
	return strings.TrimPrefix(strings.ToLower(login), "@")
}

// Repo is a repository.
type Repo struct {
	ID            int64  `json:"id"`
	Owner         User   `json:"owner"`
	Name          string `json:"name"`
	FullName      string `json:"full_name"`
	HTMLURL       string `json:"html_url"`
	CloneURL      string `json:"clone_url,omitempty"`
	DefaultBranch string `json:"default_branch,omitempty"`
	Private       bool   `json:"private,omitempty"`
	Archived      bool   `json:"archived,omitempty"`
	Fork          bool   `json:"fork,omitempty"`
	NodeID        string `json:"node_id,omitempty"`
	Description   string `json:"description,omitempty"`
	Homepage      string `json:"homepage,omitempty"`
	// Visibility is empty where the forge does not tell.
	Visibility string `json:"visibility,omitempty"`
	// Permissions are those of the asker, or of the team whose list it is.
	Permissions Permissions `json:"permissions,omitzero"`
	// AllowMergeCommit, AllowSquashMerge and AllowRebaseMerge tell which merge
	// methods the repository permits; nil where the account may not know.
	AllowMergeCommit *bool `json:"allow_merge_commit,omitempty"`
	AllowSquashMerge *bool `json:"allow_squash_merge,omitempty"`
	AllowRebaseMerge *bool `json:"allow_rebase_merge,omitempty"`
}

// Branch is one side of a pull request.
type Branch struct {
	Ref  string `json:"ref"`
	SHA  string `json:"sha"`
	Repo Repo   `json:"repo"`
	User User   `json:"user"`
}

// Label is a label of a repository.
type Label struct {
	Name        string `json:"name"`
	Color       string `json:"color,omitempty"`
	Description string `json:"description,omitempty"`
}

// HasLabel compares names without regard to case, as GitHub does.
func HasLabel(name string, labels []Label) bool {
	for _, l := range labels {
		if strings.EqualFold(l.Name, name) {
			return true
		}
	}
	return false
}

// Milestone groups issues.
type Milestone struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	State  string `json:"state,omitempty"`
}

// PullRequest is a pull request as the REST API shows it.
type PullRequest struct {
	ID                 int64      `json:"id"`
	NodeID             string     `json:"node_id"`
	Number             int        `json:"number"`
	HTMLURL            string     `json:"html_url"`
	User               User       `json:"user"`
	Labels             []Label    `json:"labels"`
	Base               Branch     `json:"base"`
	Head               Branch     `json:"head"`
	Title              string     `json:"title"`
	Body               string     `json:"body"`
	State              string     `json:"state"`
	Draft              bool       `json:"draft"`
	Merged             bool       `json:"merged"`
	MergeSHA           *string    `json:"merge_commit_sha"`
	Mergable           *bool      `json:"mergeable,omitempty"`
	Assignees          []User     `json:"assignees"`
	RequestedReviewers []User     `json:"requested_reviewers"`
	RequestedTeams     []Team     `json:"requested_teams,omitempty"`
	Milestone          *Milestone `json:"milestone,omitempty"`
	AuthorAssociation  string     `json:"author_association,omitempty"`
	Commits            int        `json:"commits,omitempty"`
	CreatedAt          time.Time  `json:"created_at"`
	UpdatedAt          time.Time  `json:"updated_at"`
}

// Issue is an issue, or a pull request seen as one.
type Issue struct {
	ID        int64      `json:"id"`
	NodeID    string     `json:"node_id"`
	Number    int        `json:"number"`
	User      User       `json:"user"`
	Title     string     `json:"title"`
	State     string     `json:"state"`
	HTMLURL   string     `json:"html_url"`
	Labels    []Label    `json:"labels"`
	Assignees []User     `json:"assignees"`
	Body      string     `json:"body"`
	Milestone *Milestone `json:"milestone"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	// PullRequest is set iff the issue is a pull request.
	PullRequest *struct{} `json:"pull_request,omitempty"`
}

// IsPullRequest tells whether the issue is a pull request.
func (i Issue) IsPullRequest() bool { return i.PullRequest != nil }

// IssueComment is a comment on an issue or pull request.
type IssueComment struct {
	ID                int64     `json:"id"`
	NodeID            string    `json:"node_id"`
	Body              string    `json:"body"`
	User              User      `json:"user"`
	HTMLURL           string    `json:"html_url"`
	AuthorAssociation string    `json:"author_association,omitempty"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
}

// States of a review, upper case as the REST API gives them.
const (
	ReviewApproved         = "APPROVED"
	ReviewChangesRequested = "CHANGES_REQUESTED"
	ReviewCommented        = "COMMENTED"
	ReviewDismissed        = "DISMISSED"
	ReviewPending          = "PENDING"
)

// Review is a review of a pull request.
type Review struct {
	ID          int64     `json:"id"`
	NodeID      string    `json:"node_id"`
	User        User      `json:"user"`
	Body        string    `json:"body"`
	State       string    `json:"state"`
	HTMLURL     string    `json:"html_url"`
	CommitID    string    `json:"commit_id"`
	SubmittedAt time.Time `json:"submitted_at"`
}

// ReviewComment is a comment on a line of a diff.
type ReviewComment struct {
	ID        int64     `json:"id"`
	NodeID    string    `json:"node_id"`
	ReviewID  int64     `json:"pull_request_review_id"`
	User      User      `json:"user"`
	Body      string    `json:"body"`
	Path      string    `json:"path"`
	HTMLURL   string    `json:"html_url"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// PullRequestChange is a file that a pull request changes.
type PullRequestChange struct {
	SHA              string `json:"sha"`
	Filename         string `json:"filename"`
	PreviousFilename string `json:"previous_filename,omitempty"`
	Status           string `json:"status"`
	Additions        int    `json:"additions"`
	Deletions        int    `json:"deletions"`
	Changes          int    `json:"changes"`
	Patch            string `json:"patch,omitempty"`
}

// Commit is a commit inside of a RepositoryCommit or a push.
type Commit struct {
	ID      string `json:"id,omitempty"`
	Message string `json:"message"`
	Tree    struct {
		SHA string `json:"sha"`
	} `json:"tree"`
	Author   CommitAuthor `json:"author"`
	Added    []string     `json:"added,omitempty"`
	Removed  []string     `json:"removed,omitempty"`
	Modified []string     `json:"modified,omitempty"`
}

// CommitAuthor is the author or committer that git recorded.
type CommitAuthor struct {
	Date  time.Time `json:"date"`
	Name  string    `json:"name"`
	Email string    `json:"email"`
	Login string    `json:"username,omitempty"`
}

// RepositoryCommit is a commit as the REST API shows it.
type RepositoryCommit struct {
	SHA     string `json:"sha"`
	Commit  Commit `json:"commit"`
	Author  User   `json:"author"`
	HTMLURL string `json:"html_url"`
	Parents []struct {
		SHA string `json:"sha"`
	} `json:"parents"`
}

// States of a commit status.
const (
	StatusPending = "pending"
	StatusSuccess = "success"
	StatusError   = "error"
	StatusFailure = "failure"
)

// StatusDescriptionLimit is how many characters GitHub keeps of a description.
const StatusDescriptionLimit = 140

// Status is a commit status.
type Status struct {
	State       string `json:"state"`
	TargetURL   string `json:"target_url"`
	Description string `json:"description,omitempty"`
	Context     string `json:"context,omitempty"`
}

// CombinedStatus is the newest status of each context of a commit.
type CombinedStatus struct {
	SHA      string   `json:"sha"`
	State    string   `json:"state"`
	Statuses []Status `json:"statuses"`
}

// CheckRun is a run of a check.
type CheckRun struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	HeadSHA    string `json:"head_sha"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	DetailsURL string `json:"details_url,omitempty"`
	// ExternalID is the name that the run's maker gave it.
	ExternalID string      `json:"external_id,omitempty"`
	Output     CheckOutput `json:"output"`
}

// MergeDetails are the wishes of a merge.
type MergeDetails struct {
	// SHA is the head that must still be the pull request's, so that a push in between is refused.
	SHA           string `json:"sha,omitempty"`
	MergeMethod   string `json:"merge_method,omitempty"`
	CommitTitle   string `json:"commit_title,omitempty"`
	CommitMessage string `json:"commit_message,omitempty"`
}

// TreeEntry is one entry of a git tree.
type TreeEntry struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
	Type string `json:"type"`
	SHA  string `json:"sha"`
	Size int64  `json:"size"`
}

// ListedIssueEvent is an entry of the timeline of an issue.
type ListedIssueEvent struct {
	ID        int64     `json:"id"`
	Event     string    `json:"event"`
	Actor     User      `json:"actor"`
	Label     Label     `json:"label"`
	CreatedAt time.Time `json:"created_at"`
}

// RawChanges keeps what an edited event says has changed.
type RawChanges = json.RawMessage
