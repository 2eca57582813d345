package github

// CommentAction is what happened to a text, in one vocabulary for all sources.
type CommentAction string

// The actions of a generic comment event.
const (
	CommentCreated CommentAction = "created"
	CommentEdited  CommentAction = "edited"
	CommentDeleted CommentAction = "deleted"
)

// CommentEvent is one abstraction for text written by a user in issues, pull
// requests, comments, reviews and review comments. User is the author of the
// text, not the sender of the event.
type CommentEvent struct {
	ID          int64
	NodeID      string
	CommentID   *int64
	IsPR        bool
	Action      CommentAction
	Body        string
	HTMLURL     string
	Number      int
	Repo        Repo
	User        User
	IssueAuthor User
	Assignees   []User
	// Labels are those the issue had when the event was made; nil: it does not tell.
	Labels       []Label
	IssueState   string
	IssueTitle   string
	IssueBody    string
	IssueHTMLURL string
	GUID         string
}

// commentAction maps a raw action; "" means the event carries no text.
func commentAction(action string) CommentAction {
	switch action {
	case ActionCreated, ActionOpened, ActionSubmitted:
		return CommentCreated
	case ActionEdited:
		return CommentEdited
	case ActionDeleted, ActionDismissed:
		return CommentDeleted
	}
	return ""
}

// GeneralizeComment turns an event of ParseEvent into a generic comment event;
// nil where the event carries no text.
func GeneralizeComment(event any) *CommentEvent {
	switch e := event.(type) {
	case *IssueEvent:
		c := ofIssue(e.Issue)
		c.Body, c.HTMLURL, c.User = e.Issue.Body, e.Issue.HTMLURL, e.Issue.User
		return c.of(e.Action, e.Repo, e.GUID)
	case *IssueCommentEvent:
		c := ofIssue(e.Issue)
		id := e.Comment.ID
		c.CommentID = &id
		c.Body, c.HTMLURL, c.User = e.Comment.Body, e.Comment.HTMLURL, e.Comment.User
		return c.of(e.Action, e.Repo, e.GUID)
	case *PullRequestEvent:
		c := ofPull(e.PullRequest)
		c.ID, c.NodeID = e.PullRequest.ID, e.PullRequest.NodeID
		c.Body, c.HTMLURL, c.User = e.PullRequest.Body, e.PullRequest.HTMLURL, e.PullRequest.User
		return c.of(e.Action, e.Repo, e.GUID)
	case *ReviewEvent:
		c := ofPull(e.PullRequest)
		c.NodeID = e.Review.NodeID
		c.Body, c.HTMLURL, c.User = e.Review.Body, e.Review.HTMLURL, e.Review.User
		return c.of(e.Action, e.Repo, e.GUID)
	case *ReviewCommentEvent:
		c := ofPull(e.PullRequest)
		id := e.Comment.ID
		c.NodeID, c.CommentID = e.Comment.NodeID, &id
		c.Body, c.HTMLURL, c.User = e.Comment.Body, e.Comment.HTMLURL, e.Comment.User
		return c.of(e.Action, e.Repo, e.GUID)
	}
	return nil
}

func ofIssue(i Issue) *CommentEvent {
	return &CommentEvent{
		ID: i.ID, NodeID: i.NodeID, IsPR: i.IsPullRequest(), Number: i.Number, IssueAuthor: i.User, Assignees: i.Assignees, Labels: i.Labels,
		IssueState: i.State, IssueTitle: i.Title, IssueBody: i.Body, IssueHTMLURL: i.HTMLURL,
	}
}

func ofPull(p PullRequest) *CommentEvent {
	return &CommentEvent{
		IsPR: true, Number: p.Number, IssueAuthor: p.User, Assignees: p.Assignees, Labels: p.Labels,
		IssueState: p.State, IssueTitle: p.Title, IssueBody: p.Body, IssueHTMLURL: p.HTMLURL,
	}
}

func (c *CommentEvent) of(action string, repo Repo, guid string) *CommentEvent {
	if c.Action = commentAction(action); c.Action == "" {
		return nil
	}
	c.Repo, c.GUID = repo, guid
	return c
}
