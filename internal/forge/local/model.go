package local

import (
	"errors"
	"fmt"
	"strings"
)

// account is a person, a bot or an organisation.
type account struct {
	ID          int64
	Login, Kind string
	Name, Email string
	Admin       bool
	DefaultPerm string
	Created     when
	Settings    settings

	grant *grant // of the installation of an App that acts in this request
}

const (
	kindUser = "User"
	kindBot  = "Bot"
	kindOrg  = "Organization"
)

const accountCols = "a.id, a.login, a.kind, a.name, a.email, a.admin, a.default_permission, a.created, a.settings"

func (a *account) fields() []any {
	return []any{&a.ID, &a.Login, &a.Kind, &a.Name, &a.Email, &a.Admin, &a.DefaultPerm, &a.Created, &a.Settings}
}

func scanAccount(s scanner, a *account) error { return s.Scan(a.fields()...) }

// ghost stands for accounts that no longer exist.
var ghost = account{Login: "ghost", Kind: kindUser}

func (r *reader) account(login string) (*account, error) {
	return one(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.login = ?", login)
}

// accountID never fails for a missing row: it returns the ghost.
func (r *reader) accountID(id int64) (*account, error) {
	a, err := one(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.id = ?", id)
	if errors.Is(err, errNotFound) {
		g := ghost
		return &g, nil
	}
	return a, err
}

// org returns an organisation.
func (r *reader) org(login string) (*account, error) {
	a, err := r.account(login)
	if err == nil && a.Kind != kindOrg {
		return nil, errNotFound
	}
	return a, err
}

// repo is a repository with its owner.
type repo struct {
	ID                                   int64
	Owner                                account
	Name, Description                    string
	Private, Archived                    bool
	DefaultBranch                        string
	ParentID                             int64
	AllowMerge, AllowSquash, AllowRebase bool
	DeleteBranch                         bool
	PusherID                             int64
	Created, Updated, Pushed             when
	Settings                             settings
}

const repoCols = "r.id, r.name, r.description, r.private, r.archived, r.default_branch, r.parent_id, r.allow_merge, r.allow_squash, r.allow_rebase, r.delete_branch, r.pusher_id, r.created, r.updated, r.pushed, r.settings, " + accountCols

const repoFrom = " FROM repos r JOIN accounts a ON a.id = r.owner_id "

func scanRepo(s scanner, r *repo) error {
	return s.Scan(append([]any{&r.ID, &r.Name, &r.Description, &r.Private, &r.Archived, &r.DefaultBranch, &r.ParentID, &r.AllowMerge,
		&r.AllowSquash, &r.AllowRebase, &r.DeleteBranch, &r.PusherID, &r.Created, &r.Updated, &r.Pushed, &r.Settings}, r.Owner.fields()...)...)
}

// fullName is "owner/name".
func (r *repo) fullName() string { return r.Owner.Login + "/" + r.Name }

func (r *reader) repo(owner, name string) (*repo, error) {
	return one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE a.login = ? AND r.name = ? AND r.copying = 0", owner, name)
}

func (r *reader) repoID(id int64) (*repo, error) {
	return one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.id = ?", id)
}

// refSHA returns the recorded tip of a ref ("refs/heads/main").
func (r *reader) refSHA(repoID int64, name string) (string, error) {
	sha, err := one(r, scalar[string], "SELECT sha FROM refs WHERE repo_id = ? AND name = ?", repoID, name)
	if err != nil {
		return "", err
	}
	return *sha, nil
}

// issue is an issue or, when Pull is set, a pull request.
type issue struct {
	ID, RepoID, AuthorID     int64
	Number                   int
	Title, Body              string
	State, StateReason       string
	Locked                   bool
	LockReason               string
	MilestoneID              int64
	Created, Updated, Closed when
	Pinned                   when
	ClosedBy                 int64
	Pull                     *pull
}

// pull is the part of a pull request that issues do not have.
type pull struct {
	HeadRepoID                           int64
	HeadRef, HeadSHA, BaseRef, BaseSHA   string
	Draft, Modify                        bool
	Merged                               when
	MergedBy                             int64
	MergeSHA                             string
	Additions, Deletions, Files, Commits int
	IntentSHA                            string
	IntentBy                             int64
	CheckedBase, CheckedHead             string
	Mergeable                            bool
}

const issueCols = "i.id, i.repo_id, i.author_id, i.number, i.title, i.body, i.state, i.state_reason, i.locked, i.lock_reason, i.milestone_id, i.created, i.updated, i.closed, i.pinned, i.closed_by, i.is_pull, " +
	"coalesce(p.head_repo_id,0), coalesce(p.head_ref,''), coalesce(p.head_sha,''), coalesce(p.base_ref,''), coalesce(p.base_sha,''), coalesce(p.draft,0), coalesce(p.modify,0), " +
	"coalesce(p.merged,0), coalesce(p.merged_by,0), coalesce(p.merge_sha,''), coalesce(p.additions,0), coalesce(p.deletions,0), coalesce(p.files,0), coalesce(p.commits,0), " +
	"coalesce(p.intent_sha,''), coalesce(p.intent_by,0), coalesce(p.checked_base,''), coalesce(p.checked_head,''), coalesce(p.mergeable,0)"

const issueFrom = " FROM issues i LEFT JOIN pulls p ON p.issue_id = i.id "

func scanIssue(s scanner, i *issue) error {
	var p pull
	var isPull bool
	err := s.Scan(&i.ID, &i.RepoID, &i.AuthorID, &i.Number, &i.Title, &i.Body, &i.State, &i.StateReason, &i.Locked, &i.LockReason, &i.MilestoneID,
		&i.Created, &i.Updated, &i.Closed, &i.Pinned, &i.ClosedBy, &isPull,
		&p.HeadRepoID, &p.HeadRef, &p.HeadSHA, &p.BaseRef, &p.BaseSHA, &p.Draft, &p.Modify, &p.Merged, &p.MergedBy, &p.MergeSHA,
		&p.Additions, &p.Deletions, &p.Files, &p.Commits, &p.IntentSHA, &p.IntentBy, &p.CheckedBase, &p.CheckedHead, &p.Mergeable)
	if isPull {
		i.Pull = &p
	}
	return err
}

func (r *reader) issue(repoID int64, number int) (*issue, error) {
	return one(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND i.number = ?", repoID, number)
}

func (r *reader) issueID(id int64) (*issue, error) {
	return one(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.id = ?", id)
}

// pull returns a pull request; a plain issue of that number is not found.
func (r *reader) pull(repoID int64, number int) (*issue, error) {
	i, err := r.issue(repoID, number)
	if err == nil && i.Pull == nil {
		return nil, errNotFound
	}
	return i, err
}

// pullRef is where fetchers find the head of a pull request.
func pullRef(number int) string { return fmt.Sprintf("refs/pull/%d/head", number) }

// label belongs to a repository.
type label struct {
	ID, RepoID               int64
	Name, Color, Description string
}

const labelCols = "l.id, l.repo_id, l.name, l.color, l.description"

func scanLabel(s scanner, l *label) error {
	return s.Scan(&l.ID, &l.RepoID, &l.Name, &l.Color, &l.Description)
}

func (r *reader) label(repoID int64, name string) (*label, error) {
	return one(r, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND l.name = ?", repoID, name)
}

func (r *reader) issueLabels(issueID int64) ([]label, error) {
	return list(r, scanLabel, "SELECT "+labelCols+" FROM labels l JOIN issue_labels x ON x.label_id = l.id WHERE x.issue_id = ? ORDER BY l.name", issueID)
}

func (r *reader) assignees(issueID int64) ([]account, error) {
	return list(r, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN assignees x ON x.user_id = a.id WHERE x.issue_id = ? ORDER BY x.rowid", issueID)
}

func (r *reader) reviewers(issueID int64) ([]account, error) {
	return list(r, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN review_requests x ON x.user_id = a.id WHERE x.issue_id = ? ORDER BY a.login", issueID)
}

func (r *reader) reviewTeams(issueID int64) ([]team, error) {
	return list(r, scanTeam, "SELECT "+teamCols+" FROM teams t JOIN review_requests x ON x.team_id = t.id WHERE x.issue_id = ? ORDER BY t.slug", issueID)
}

// comment is a comment in the conversation of an issue or pull request.
type comment struct {
	ID, IssueID, AuthorID int64
	Body                  string
	Created, Updated      when
}

const commentCols = "c.id, c.issue_id, c.author_id, c.body, c.created, c.updated"

func scanComment(s scanner, c *comment) error {
	return s.Scan(&c.ID, &c.IssueID, &c.AuthorID, &c.Body, &c.Created, &c.Updated)
}

func (r *reader) comment(repoID, id int64) (*comment, *issue, error) {
	c, err := one(r, scanComment, "SELECT "+commentCols+" FROM comments c JOIN issues i ON i.id = c.issue_id WHERE c.id = ? AND i.repo_id = ?", id, repoID)
	if err != nil {
		return nil, nil, err
	}
	i, err := r.issueID(c.IssueID)
	return c, i, err
}

// review is a submitted review.
type review struct {
	ID, IssueID, AuthorID int64
	State, Body, SHA      string
	Submitted             when
}

const reviewCols = "v.id, v.issue_id, v.author_id, v.state, v.body, v.sha, v.submitted"

func scanReview(s scanner, v *review) error {
	return s.Scan(&v.ID, &v.IssueID, &v.AuthorID, &v.State, &v.Body, &v.SHA, &v.Submitted)
}

func (r *reader) reviews(issueID int64) ([]review, error) {
	return list(r, scanReview, "SELECT "+reviewCols+" FROM reviews v WHERE v.issue_id = ? ORDER BY v.id", issueID)
}

// reviewComment is a comment on a line of the diff.
type reviewComment struct {
	ID, IssueID, ReviewID, AuthorID int64
	Path                            string
	Position, Line                  int
	Side, Hunk, SHA                 string
	ReplyTo                         int64
	Body                            string
	Created, Updated                when
	StartLine                       int
	StartSide, Subject              string
}

const reviewCommentCols = "w.id, w.issue_id, w.review_id, w.author_id, w.path, w.position, w.line, w.side, w.hunk, w.sha, w.reply_to, w.body, w.created, w.updated, w.start_line, w.start_side, w.subject"

func scanReviewComment(s scanner, c *reviewComment) error {
	return s.Scan(&c.ID, &c.IssueID, &c.ReviewID, &c.AuthorID, &c.Path, &c.Position, &c.Line, &c.Side, &c.Hunk, &c.SHA, &c.ReplyTo, &c.Body, &c.Created, &c.Updated, &c.StartLine, &c.StartSide, &c.Subject)
}

func (r *reader) reviewComments(issueID int64) ([]reviewComment, error) {
	return list(r, scanReviewComment, "SELECT "+reviewCommentCols+" FROM review_comments w WHERE w.issue_id = ? ORDER BY w.id", issueID)
}

// event is one entry of an issue's history that is not a comment.
type event struct {
	ID, IssueID, ActorID int64
	Event                string
	SubjectID            int64
	Label, Color, SHA    string
	Before, After        string
	Created              when
}

func scanEvent(s scanner, e *event) error {
	return s.Scan(&e.ID, &e.IssueID, &e.ActorID, &e.Event, &e.SubjectID, &e.Label, &e.Color, &e.SHA, &e.Before, &e.After, &e.Created)
}

const eventCols = "e.id, e.issue_id, e.actor_id, e.event, e.subject_id, e.label, e.color, e.sha, e.before, e.after, e.created"

func (r *reader) events(issueID int64) ([]event, error) {
	return list(r, scanEvent, "SELECT "+eventCols+" FROM events e WHERE e.issue_id = ? ORDER BY e.id", issueID)
}

// milestone groups issues.
type milestone struct {
	ID, RepoID         int64
	Number             int
	Title, Description string
	State              string
	CreatorID          int64
	Created, Updated   when
	Due, Closed        when
}

const milestoneCols = "m.id, m.repo_id, m.number, m.title, m.description, m.state, m.creator_id, m.created, m.updated, m.due, m.closed"

func scanMilestone(s scanner, m *milestone) error {
	return s.Scan(&m.ID, &m.RepoID, &m.Number, &m.Title, &m.Description, &m.State, &m.CreatorID, &m.Created, &m.Updated, &m.Due, &m.Closed)
}

// status is a commit status. The newest per context counts.
type status struct {
	ID, RepoID             int64
	SHA, Context, State    string
	Description, TargetURL string
	CreatorID              int64
	Created                when
}

const statusCols = "s.id, s.repo_id, s.sha, s.context, s.state, s.description, s.target_url, s.creator_id, s.created"

func scanStatus(s scanner, v *status) error {
	return s.Scan(&v.ID, &v.RepoID, &v.SHA, &v.Context, &v.State, &v.Description, &v.TargetURL, &v.CreatorID, &v.Created)
}

// latestStatuses returns the newest status per context, in order of context.
func (r *reader) latestStatuses(repoID int64, sha string) ([]status, error) {
	return list(r, scanStatus, "SELECT "+statusCols+" FROM statuses s WHERE s.id IN (SELECT max(id) FROM statuses WHERE repo_id = ? AND sha = ? GROUP BY context) ORDER BY s.context", repoID, sha)
}

// combinedState folds statuses as GitHub does: failure over pending over
// success; nothing at all is pending.
func combinedState(list []status) string {
	state := "success"
	if len(list) == 0 {
		state = "pending"
	}
	for _, s := range list {
		switch s.State {
		case "failure", "error":
			return "failure"
		case "pending":
			state = "pending"
		}
	}
	return state
}

// checkRun is a check run.
type checkRun struct {
	ID, RepoID                     int64
	SHA, Name, Status, Conclusion  string
	DetailsURL, ExternalID, Output string
	CreatorID                      int64
	Started, Completed             when
	SuiteID                        int64
}

const checkRunCols = "k.id, k.repo_id, k.sha, k.name, k.status, k.conclusion, k.details_url, k.external_id, k.output, k.creator_id, k.started, k.completed, k.suite_id"

func scanCheckRun(s scanner, k *checkRun) error {
	return s.Scan(&k.ID, &k.RepoID, &k.SHA, &k.Name, &k.Status, &k.Conclusion, &k.DetailsURL, &k.ExternalID, &k.Output, &k.CreatorID, &k.Started, &k.Completed, &k.SuiteID)
}

// latestCheckRuns returns the newest run per name.
func (r *reader) latestCheckRuns(repoID int64, sha string) ([]checkRun, error) {
	return list(r, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.id IN (SELECT max(id) FROM check_runs WHERE repo_id = ? AND sha = ? GROUP BY name) ORDER BY k.id", repoID, sha)
}

// team is a team of an organisation.
type team struct {
	ID, OrgID                        int64
	Slug, Name, Description, Privacy string
	ParentID                         int64
	Permission                       string
}

const teamCols = "t.id, t.org_id, t.slug, t.name, t.description, t.privacy, t.parent_id, t.permission"

func scanTeam(s scanner, t *team) error {
	return s.Scan(&t.ID, &t.OrgID, &t.Slug, &t.Name, &t.Description, &t.Privacy, &t.ParentID, &t.Permission)
}

func (r *reader) team(orgID int64, slug string) (*team, error) {
	return one(r, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.org_id = ? AND t.slug = ?", orgID, slug)
}

// slugify turns a team name into its slug: lower case, other characters to hyphens.
func slugify(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name), "-")
}

// hook sends events of one organisation or repository to a URL.
type hook struct {
	ID, OrgID, RepoID int64
	URL, Secret       string
	Events            string // JSON list
	Active            bool
	Created, Updated  when
	ContentType       string // json or form
	AppID             int64  // set for the webhook of an App, instead of both others
}

const hookCols = "h.id, h.org_id, h.repo_id, h.url, h.secret, h.events, h.active, h.created, h.updated, h.content_type, h.app_id"

func scanHook(s scanner, h *hook) error {
	return s.Scan(&h.ID, &h.OrgID, &h.RepoID, &h.URL, &h.Secret, &h.Events, &h.Active, &h.Created, &h.Updated, &h.ContentType, &h.AppID)
}
