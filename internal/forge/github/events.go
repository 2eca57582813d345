package github

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The kinds of webhook events that are parsed, the value of X-GitHub-Event.
const (
	EventIssues            = "issues"
	EventIssueComment      = "issue_comment"
	EventPullRequest       = "pull_request"
	EventPullRequestReview = "pull_request_review"
	EventReviewComment     = "pull_request_review_comment"
	EventPush              = "push"
	EventStatus            = "status"
	EventCheckRun          = "check_run"
)

// Actions of pull request events, beside those shared with issues.
const (
	ActionOpened           = "opened"
	ActionClosed           = "closed"
	ActionReopened         = "reopened"
	ActionEdited           = "edited"
	ActionCreated          = "created"
	ActionDeleted          = "deleted"
	ActionSubmitted        = "submitted"
	ActionDismissed        = "dismissed"
	ActionLabeled          = "labeled"
	ActionUnlabeled        = "unlabeled"
	ActionSynchronize      = "synchronize"
	ActionReadyForReview   = "ready_for_review"
	ActionConvertedToDraft = "converted_to_draft"
	ActionReviewRequested  = "review_requested"
	ActionRerequested      = "rerequested"
	ActionRequestedAction  = "requested_action"
)

// IssueEvent is sent when an issue changes.
type IssueEvent struct {
	Action string `json:"action"`
	Issue  Issue  `json:"issue"`
	Repo   Repo   `json:"repository"`
	Label  Label  `json:"label"`
	Sender User   `json:"sender"`
	GUID   string `json:"-"`
}

// IssueCommentEvent is sent when a comment on an issue or pull request changes.
type IssueCommentEvent struct {
	Action  string       `json:"action"`
	Issue   Issue        `json:"issue"`
	Comment IssueComment `json:"comment"`
	Repo    Repo         `json:"repository"`
	Sender  User         `json:"sender"`
	GUID    string       `json:"-"`
}

// PullRequestEvent is sent when a pull request changes.
type PullRequestEvent struct {
	Action      string      `json:"action"`
	Number      int         `json:"number"`
	PullRequest PullRequest `json:"pull_request"`
	Repo        Repo        `json:"repository"`
	Label       Label       `json:"label"`
	Sender      User        `json:"sender"`
	// Before is the old head of a synchronize event.
	Before string `json:"before,omitempty"`
	// Changes holds what an edited event changed: changes.title.from, changes.body.from, changes.base.ref.from.
	Changes RawChanges `json:"changes"`
	GUID    string     `json:"-"`
}

// baseChange is what an edited event says about the base.
type baseChange struct {
	Base struct {
		Ref struct {
			From string `json:"from"`
		} `json:"ref"`
		SHA struct {
			From string `json:"from"`
		} `json:"sha"`
	} `json:"base"`
}

func (e PullRequestEvent) baseChange() (c baseChange) {
	if len(e.Changes) == 0 || json.Unmarshal(e.Changes, &c) != nil {
		return baseChange{}
	}
	return c
}

// BaseRefChanged tells whether an edited event moved the pull request to another branch.
func (e PullRequestEvent) BaseRefChanged() bool { return e.baseChange().Base.Ref.From != "" }

// BaseRefBefore is the branch from which an edited event moved the pull request;
// "" where it stays.
func (e PullRequestEvent) BaseRefBefore() string { return e.baseChange().Base.Ref.From }

// BaseChanged tells whether an edited event moved the pull request to another
// branch or commit.
func (e PullRequestEvent) BaseChanged() bool {
	c := e.baseChange()
	return c.Base.Ref.From != "" || c.Base.SHA.From != ""
}

// ReviewEvent is sent when a review changes.
type ReviewEvent struct {
	Action      string      `json:"action"`
	PullRequest PullRequest `json:"pull_request"`
	Repo        Repo        `json:"repository"`
	Review      Review      `json:"review"`
	Sender      User        `json:"sender"`
	GUID        string      `json:"-"`
}

// ReviewCommentEvent is sent when a comment on a diff changes.
type ReviewCommentEvent struct {
	Action      string        `json:"action"`
	PullRequest PullRequest   `json:"pull_request"`
	Repo        Repo          `json:"repository"`
	Comment     ReviewComment `json:"comment"`
	Sender      User          `json:"sender"`
	GUID        string        `json:"-"`
}

// PushEvent is sent when a ref moves.
type PushEvent struct {
	Ref     string   `json:"ref"`
	Before  string   `json:"before"`
	After   string   `json:"after"`
	Created bool     `json:"created"`
	Deleted bool     `json:"deleted"`
	Forced  bool     `json:"forced"`
	Compare string   `json:"compare"`
	Commits []Commit `json:"commits"`
	Pusher  struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	} `json:"pusher"`
	Sender User `json:"sender"`
	// Repo has its owner's login under "name" as well.
	Repo Repo   `json:"repository"`
	GUID string `json:"-"`
}

// Branch is the ref without refs/heads/ or refs/tags/.
func (p PushEvent) Branch() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.Ref, "refs/heads/"), "refs/tags/")
}

// StatusEvent is sent when a commit gets a status.
type StatusEvent struct {
	ID          int64  `json:"id"`
	SHA         string `json:"sha"`
	State       string `json:"state"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
	Context     string `json:"context"`
	Sender      User   `json:"sender"`
	Repo        Repo   `json:"repository"`
	GUID        string `json:"-"`
}

// CheckRunEvent is sent when a check run changes or somebody presses one of its buttons.
type CheckRunEvent struct {
	Action   string   `json:"action"`
	CheckRun CheckRun `json:"check_run"`
	// RequestedAction says which button, with ActionRequestedAction.
	RequestedAction struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	Sender User   `json:"sender"`
	Repo   Repo   `json:"repository"`
	GUID   string `json:"-"`
}

// ParseEvent decodes the payload of a webhook of the given kind into one of the
// event types, as a pointer. It returns nil, nil for kinds that are not parsed.
func ParseEvent(kind, guid string, payload []byte) (any, error) {
	var event any
	switch kind {
	case EventIssues:
		event = &IssueEvent{GUID: guid}
	case EventIssueComment:
		event = &IssueCommentEvent{GUID: guid}
	case EventPullRequest:
		event = &PullRequestEvent{GUID: guid}
	case EventPullRequestReview:
		event = &ReviewEvent{GUID: guid}
	case EventReviewComment:
		event = &ReviewCommentEvent{GUID: guid}
	case EventPush:
		event = &PushEvent{GUID: guid}
	case EventStatus:
		event = &StatusEvent{GUID: guid}
	case EventCheckRun:
		event = &CheckRunEvent{GUID: guid}
	default:
		return nil, nil
	}
	if err := json.Unmarshal(payload, event); err != nil {
		return nil, fmt.Errorf("%s event %s: %w", kind, guid, err)
	}
	return event, nil
}
