package github

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// operation is a method of the client and the request it must make.
type operation struct {
	call func(context.Context, *Client) error
	// want is METHOD path?query body, as sent.
	want   string
	accept string
	code   int
	answer string
}

func drop[T any](_ T, err error) error { return err }

const j = mediaJSON

func operations() map[string]operation {
	yes, text := true, "t"
	public := VisibilityPublic
	id := int64(3)
	return map[string]operation{
		"read an org":                          {func(ctx context.Context, c *Client) error { return drop(c.GetOrg(ctx, "o")) }, "GET /orgs/o", j, 200, `{}`},
		"edit an org":                          {func(ctx context.Context, c *Client) error { return drop(c.EditOrg(ctx, "o", Organization{Name: "n"})) }, `PATCH /orgs/o {"login":"","id":0,"node_id":"","name":"n","has_organization_projects":false,"has_repository_projects":false,"members_can_create_repositories":false}`, j, 200, `{}`},
		"ask for a member":                     {func(ctx context.Context, c *Client) error { return drop(c.IsMember(ctx, "o", "u")) }, "GET /orgs/o/members/u", j, 204, ``},
		"list members":                         {func(ctx context.Context, c *Client) error { return drop(c.ListOrgMembers(ctx, "o", "admin")) }, "GET /orgs/o/members?per_page=100&role=admin", j, 200, `[]`},
		"make somebody an admin":               {func(ctx context.Context, c *Client) error { return drop(c.UpdateOrgMembership(ctx, "o", "u", true)) }, `PUT /orgs/o/memberships/u {"role":"admin"}`, j, 200, `{"role":"admin","state":"pending"}`},
		"remove a member":                      {func(ctx context.Context, c *Client) error { return c.RemoveOrgMembership(ctx, "o", "u") }, "DELETE /orgs/o/memberships/u", j, 204, ``},
		"list invitations to an org":           {func(ctx context.Context, c *Client) error { return drop(c.ListOrgInvitations(ctx, "o")) }, "GET /orgs/o/invitations?per_page=100", j, 200, `[]`},
		"list failed invitations":              {func(ctx context.Context, c *Client) error { return drop(c.ListFailedOrgInvitations(ctx, "o")) }, "GET /orgs/o/failed_invitations?per_page=100", j, 200, `[]`},
		"take back an invitation that is gone": {func(ctx context.Context, c *Client) error { return c.DeleteOrgInvitation(ctx, "o", 3) }, "DELETE /orgs/o/invitations/3", j, 404, `{}`},
		"list the account's invitations":       {func(ctx context.Context, c *Client) error { return drop(c.ListUserRepoInvitations(ctx)) }, "GET /user/repository_invitations?per_page=100", j, 200, `[]`},
		"accept one of them":                   {func(ctx context.Context, c *Client) error { return c.AcceptUserRepoInvitation(ctx, 3) }, "PATCH /user/repository_invitations/3", j, 204, ``},
		"list the account's orgs":              {func(ctx context.Context, c *Client) error { return drop(c.ListUserOrgInvitations(ctx)) }, "GET /user/memberships/orgs?per_page=100&state=pending", j, 200, `[]`},
		"join an org":                          {func(ctx context.Context, c *Client) error { return c.AcceptUserOrgInvitation(ctx, "o") }, `PATCH /user/memberships/orgs/o {"state":"active"}`, j, 200, `{}`},

		"list an org's hooks": {func(ctx context.Context, c *Client) error { return drop(c.ListOrgHooks(ctx, "o")) }, "GET /orgs/o/hooks?per_page=100", j, 200, `[]`},
		"list a repo's hooks": {func(ctx context.Context, c *Client) error { return drop(c.ListRepoHooks(ctx, "o", "r")) }, "GET /repos/o/r/hooks?per_page=100", j, 200, `[]`},
		"make an org's hook": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateOrgHook(ctx, "o", HookRequest{Active: &yes, Events: []string{AllHookEvents}, Config: &HookConfig{URL: "u", ContentType: "json", Secret: "s"}}))
		}, `POST /orgs/o/hooks {"name":"web","active":true,"events":["*"],"config":{"url":"u","content_type":"json","secret":"s"}}`, j, 201, `{"id":3}`},
		"make a repo's hook": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateRepoHook(ctx, "o", "r", HookRequest{}))
		}, `POST /repos/o/r/hooks {"name":"web"}`, j, 201, `{"id":3}`},
		"edit an org's hook": {func(ctx context.Context, c *Client) error {
			return c.EditOrgHook(ctx, "o", 3, HookRequest{Active: &yes})
		}, `PATCH /orgs/o/hooks/3 {"active":true}`, j, 200, `{}`},
		"edit a repo's hook": {func(ctx context.Context, c *Client) error {
			return c.EditRepoHook(ctx, "o", "r", 3, HookRequest{AddEvents: []string{"push"}})
		}, `PATCH /repos/o/r/hooks/3 {"add_events":["push"]}`, j, 200, `{}`},
		"delete an org's hook": {func(ctx context.Context, c *Client) error { return c.DeleteOrgHook(ctx, "o", 3) }, "DELETE /orgs/o/hooks/3", j, 204, ``},
		"delete a repo's hook": {func(ctx context.Context, c *Client) error { return c.DeleteRepoHook(ctx, "o", "r", 3) }, "DELETE /repos/o/r/hooks/3", j, 204, ``},
		"list org deliveries": {func(ctx context.Context, c *Client) error {
			return drop(c.ListOrgHookDeliveries(ctx, "o", 3, time.Time{}))
		}, "GET /orgs/o/hooks/3/deliveries?per_page=100", j, 200, `[]`},
		"list repo deliveries": {func(ctx context.Context, c *Client) error {
			return drop(c.ListRepoHookDeliveries(ctx, "o", "r", 3, time.Time{}))
		}, "GET /repos/o/r/hooks/3/deliveries?per_page=100", j, 200, `[]`},
		"list app deliveries":  {func(ctx context.Context, c *Client) error { return drop(c.ListAppHookDeliveries(ctx, time.Time{})) }, "GET /app/hook/deliveries?per_page=100", j, 200, `[]`},
		"redeliver to an org":  {func(ctx context.Context, c *Client) error { return c.RedeliverOrgHook(ctx, "o", 3, 4) }, "POST /orgs/o/hooks/3/deliveries/4/attempts", j, 202, `{}`},
		"redeliver to a repo":  {func(ctx context.Context, c *Client) error { return c.RedeliverRepoHook(ctx, "o", "r", 3, 4) }, "POST /repos/o/r/hooks/3/deliveries/4/attempts", j, 202, `{}`},
		"redeliver to the app": {func(ctx context.Context, c *Client) error { return c.RedeliverAppHook(ctx, 4) }, "POST /app/hook/deliveries/4/attempts", j, 202, `{}`},
		"make an issue": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateIssue(ctx, "o", "r", IssueRequest{Title: "t", Labels: []string{"l"}}))
		}, `POST /repos/o/r/issues {"title":"t","labels":["l"]}`, "application/vnd.github+json, application/vnd.github.shadow-cat-preview", 201, `{"number":5}`},
		"read an issue": {func(ctx context.Context, c *Client) error { return drop(c.GetIssue(ctx, "o", "r", 5)) }, "GET /repos/o/r/issues/5", mediaLabels, 200, `{}`},
		"edit an issue": {func(ctx context.Context, c *Client) error {
			return drop(c.EditIssue(ctx, "o", "r", 5, Edit{Body: "b"}))
		}, `PATCH /repos/o/r/issues/5 {"body":"b"}`, j, 200, `{}`},
		"close an issue":   {func(ctx context.Context, c *Client) error { return c.CloseIssue(ctx, "o", "r", 5, "not_planned") }, `PATCH /repos/o/r/issues/5 {"state":"closed","state_reason":"not_planned"}`, j, 200, `{}`},
		"reopen an issue":  {func(ctx context.Context, c *Client) error { return c.ReopenIssue(ctx, "o", "r", 5) }, `PATCH /repos/o/r/issues/5 {"state":"open"}`, j, 200, `{}`},
		"list open issues": {func(ctx context.Context, c *Client) error { return drop(c.ListOpenIssues(ctx, "o", "r")) }, "GET /repos/o/r/issues?per_page=100", j, 200, `[]`},
		"search issues": {func(ctx context.Context, c *Client) error {
			return drop(c.FindIssuesWithOrg(ctx, "o", "a b", "updated", true))
		}, "GET /search/issues?order=asc&per_page=100&q=a+b&sort=updated", j, 200, `{"items":[]}`},
		"list comments":    {func(ctx context.Context, c *Client) error { return drop(c.ListIssueComments(ctx, "o", "r", 5)) }, "GET /repos/o/r/issues/5/comments?per_page=100", j, 200, `[]`},
		"comment":          {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 5, "b") }, `POST /repos/o/r/issues/5/comments {"body":"b"}`, j, 201, `{}`},
		"edit a comment":   {func(ctx context.Context, c *Client) error { return c.EditComment(ctx, "o", "r", 6, "b") }, `PATCH /repos/o/r/issues/comments/6 {"body":"b"}`, j, 200, `{}`},
		"delete a comment": {func(ctx context.Context, c *Client) error { return c.DeleteComment(ctx, "o", "r", 6) }, "DELETE /repos/o/r/issues/comments/6", j, 204, ``},
		"react to a comment": {func(ctx context.Context, c *Client) error {
			return c.CreateCommentReaction(ctx, "o", "r", 6, ReactionHeart)
		}, `POST /repos/o/r/issues/comments/6/reactions {"content":"heart"}`, mediaReactions, 201, `{}`},
		"react to an issue": {func(ctx context.Context, c *Client) error {
			return c.CreateIssueReaction(ctx, "o", "r", 5, ReactionThumbsUp)
		}, `POST /repos/o/r/issues/5/reactions {"content":"+1"}`, mediaReactions, 200, `{}`},
		"list issue events":      {func(ctx context.Context, c *Client) error { return drop(c.ListIssueEvents(ctx, "o", "r", 5)) }, "GET /repos/o/r/issues/5/events?per_page=100", j, 200, `[]`},
		"assign":                 {func(ctx context.Context, c *Client) error { return c.AssignIssue(ctx, "o", "r", 5, []string{"@U"}) }, `POST /repos/o/r/issues/5/assignees {"assignees":["@U"]}`, j, 201, `{"assignees":[{"login":"u"}]}`},
		"unassign":               {func(ctx context.Context, c *Client) error { return c.UnassignIssue(ctx, "o", "r", 5, []string{"u"}) }, `DELETE /repos/o/r/issues/5/assignees {"assignees":["u"]}`, j, 200, `{"assignees":[]}`},
		"list an issue's labels": {func(ctx context.Context, c *Client) error { return drop(c.GetIssueLabels(ctx, "o", "r", 5)) }, "GET /repos/o/r/issues/5/labels?per_page=100", mediaLabels, 200, `[]`},
		"add labels":             {func(ctx context.Context, c *Client) error { return c.AddLabels(ctx, "o", "r", 5, "a/b") }, `POST /repos/o/r/issues/5/labels ["a/b"]`, j, 200, `[]`},
		"remove a label with a slash, a hash, a question mark and a blank": {func(ctx context.Context, c *Client) error { return c.RemoveLabel(ctx, "o", "r", 5, "a/b #c?") }, "DELETE /repos/o/r/issues/5/labels/a%2Fb%20%23c%3F", j, 200, `[]`},
		"list a repo's labels": {func(ctx context.Context, c *Client) error { return drop(c.GetRepoLabels(ctx, "o", "r")) }, "GET /repos/o/r/labels?per_page=100", mediaLabels, 200, `[]`},
		"make a label": {func(ctx context.Context, c *Client) error {
			return c.CreateRepoLabel(ctx, "o", "r", Label{Name: "n", Color: "c", Description: "d"})
		}, `POST /repos/o/r/labels {"name":"n","color":"c","description":"d"}`, mediaLabels, 201, `{}`},
		"change a label": {func(ctx context.Context, c *Client) error {
			return c.UpdateRepoLabel(ctx, "o", "r", "a/b", Label{Name: "n", Color: "c"})
		}, `PATCH /repos/o/r/labels/a%2Fb {"color":"c","description":"","new_name":"n"}`, mediaLabels, 200, `{}`},
		"delete a label":      {func(ctx context.Context, c *Client) error { return c.DeleteRepoLabel(ctx, "o", "r", "a/b") }, `DELETE /repos/o/r/labels/a%2Fb {"name":"a/b"}`, mediaLabels, 204, ``},
		"list milestones":     {func(ctx context.Context, c *Client) error { return drop(c.ListMilestones(ctx, "o", "r")) }, "GET /repos/o/r/milestones?per_page=100", j, 200, `[]`},
		"set a milestone":     {func(ctx context.Context, c *Client) error { return c.SetMilestone(ctx, "o", "r", 5, 2) }, `PATCH /repos/o/r/issues/5 {"milestone":2}`, j, 200, `{}`},
		"clear a milestone":   {func(ctx context.Context, c *Client) error { return c.ClearMilestone(ctx, "o", "r", 5) }, `PATCH /repos/o/r/issues/5 {"milestone":null}`, j, 200, `{}`},
		"list pull requests":  {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequests(ctx, "o", "r")) }, "GET /repos/o/r/pulls?per_page=100", mediaPulls, 200, `[]`},
		"read a pull request": {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequest(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5", mediaPulls, 200, `{}`},
		"edit a pull request": {func(ctx context.Context, c *Client) error {
			return drop(c.EditPullRequest(ctx, "o", "r", 5, Edit{Title: "t"}))
		}, `PATCH /repos/o/r/pulls/5 {"title":"t"}`, j, 200, `{}`},
		"update a pull request": {func(ctx context.Context, c *Client) error {
			return c.UpdatePullRequest(ctx, "o", "r", 5, PullRequestUpdate{Base: &text, MaintainerCanModify: &yes})
		}, `PATCH /repos/o/r/pulls/5 {"base":"t","maintainer_can_modify":true}`, mediaPulls, 200, `{}`},
		"read a diff":  {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequestDiff(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5", "application/vnd.github.diff", 200, `diff`},
		"read a patch": {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequestPatch(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5", "application/vnd.github.patch", 200, `From`},
		"open a pull request": {func(ctx context.Context, c *Client) error {
			return drop(c.OpenPullRequest(ctx, "o", "r", PullRequestOpening{Title: "t", Head: "u:h", Base: "main"}))
		}, `POST /repos/o/r/pulls {"title":"t","body":"","head":"u:h","base":"main","maintainer_can_modify":false}`, mediaPulls, 201, `{"number":5}`},
		"close a pull request":  {func(ctx context.Context, c *Client) error { return c.ClosePullRequest(ctx, "o", "r", 5) }, `PATCH /repos/o/r/pulls/5 {"state":"closed"}`, j, 200, `{}`},
		"reopen a pull request": {func(ctx context.Context, c *Client) error { return c.ReopenPullRequest(ctx, "o", "r", 5) }, `PATCH /repos/o/r/pulls/5 {"state":"open"}`, j, 200, `{}`},
		"list changed files":    {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequestChanges(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5/files?per_page=100", j, 200, `[]`},
		"list a pull's commits": {func(ctx context.Context, c *Client) error { return drop(c.ListPullRequestCommits(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5/commits?per_page=100", j, 200, `[]`},
		"list review comments":  {func(ctx context.Context, c *Client) error { return drop(c.ListPullRequestComments(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5/comments?per_page=100", j, 200, `[]`},
		"read a review comment": {func(ctx context.Context, c *Client) error { return drop(c.GetPullRequestComment(ctx, "o", "r", 6)) }, "GET /repos/o/r/pulls/comments/6", j, 200, `{}`},
		"comment on a line": {func(ctx context.Context, c *Client) error {
			return c.CreatePullRequestComment(ctx, "o", "r", 5, ReviewCommentRequest{Body: "b", InReplyTo: 6})
		}, `POST /repos/o/r/pulls/5/comments {"body":"b","in_reply_to":6}`, "application/vnd.github.squirrel-girl-preview, application/vnd.github.comfort-fade-preview+json", 201, `{}`},
		"list reviews":  {func(ctx context.Context, c *Client) error { return drop(c.ListReviews(ctx, "o", "r", 5)) }, "GET /repos/o/r/pulls/5/reviews?per_page=100", j, 200, `[]`},
		"read a review": {func(ctx context.Context, c *Client) error { return drop(c.GetReview(ctx, "o", "r", 5, 7)) }, "GET /repos/o/r/pulls/5/reviews/7", j, 200, `{}`},
		"review": {func(ctx context.Context, c *Client) error {
			return c.CreateReview(ctx, "o", "r", 5, DraftReview{CommitID: "s", Body: "b", Event: ReviewApprove, Comments: []DraftReviewComment{{Path: "p", Position: 1, Body: "c"}}})
		},
			`POST /repos/o/r/pulls/5/reviews {"commit_id":"s","body":"b","event":"APPROVE","comments":[{"path":"p","position":1,"body":"c"}]}`, "application/vnd.github.black-cat-preview+json", 200, `{}`},
		"request reviews": {func(ctx context.Context, c *Client) error {
			return c.RequestReview(ctx, "o", "r", 5, []string{"@U", "o/team"})
		}, `POST /repos/o/r/pulls/5/requested_reviewers {"reviewers":["u"],"team_reviewers":["team"]}`, mediaLabels, 201, `{}`},
		"take requests back": {func(ctx context.Context, c *Client) error {
			return c.UnrequestReview(ctx, "o", "r", 5, []string{"u", "x/team"})
		}, `DELETE /repos/o/r/pulls/5/requested_reviewers {"reviewers":["u"]}`, mediaLabels, 200, `{}`},
		"merge": {func(ctx context.Context, c *Client) error {
			return c.Merge(ctx, "o", "r", 5, MergeDetails{SHA: "s", MergeMethod: "squash"})
		}, `PUT /repos/o/r/pulls/5/merge {"sha":"s","merge_method":"squash"}`, j, 200, `{"merged":true}`},
		"update a branch": {func(ctx context.Context, c *Client) error { return c.UpdatePullRequestBranch(ctx, "o", "r", 5, "s") }, `PUT /repos/o/r/pulls/5/update-branch {"expected_head_sha":"s"}`, "application/vnd.github.lydian-preview+json", 202, `{}`},
		"set a status": {func(ctx context.Context, c *Client) error {
			return c.CreateStatus(ctx, "o", "r", "s", Status{State: "success", TargetURL: "u", Description: "d", Context: "c"})
		}, `POST /repos/o/r/statuses/s {"state":"success","target_url":"u","description":"d","context":"c"}`, j, 201, `{}`},
		"list statuses":         {func(ctx context.Context, c *Client) error { return drop(c.ListStatuses(ctx, "o", "r", "s")) }, "GET /repos/o/r/statuses/s?per_page=100", j, 200, `[]`},
		"read statuses":         {func(ctx context.Context, c *Client) error { return drop(c.GetCombinedStatus(ctx, "o", "r", "s")) }, "GET /repos/o/r/commits/s/status?per_page=100", j, 200, `{}`},
		"read a commit":         {func(ctx context.Context, c *Client) error { return drop(c.GetSingleCommit(ctx, "o", "r", "s")) }, "GET /repos/o/r/commits/s", j, 200, `{}`},
		"list a file's commits": {func(ctx context.Context, c *Client) error { return drop(c.ListFileCommits(ctx, "o", "r", "a b/c")) }, "GET /repos/o/r/commits?path=a+b%2Fc&per_page=100", j, 200, `[]`},
		"find a merge base": {func(ctx context.Context, c *Client) error {
			return drop(c.GetMergeBase(ctx, "o", "r", "release/1", "h"))
		}, "GET /repos/o/r/compare/release/1...h", j, 200, `{"merge_base_commit":{"sha":"m"}}`},
		"read a bare commit": {func(ctx context.Context, c *Client) error { return drop(c.GetGitCommit(ctx, "o", "r", "s")) }, "GET /repos/o/r/git/commits/s", j, 200, `{}`},
		"list a tree": {func(ctx context.Context, c *Client) error {
			_, _, err := c.GetTree(ctx, "o", "r", "s", true)
			return err
		}, "GET /repos/o/r/git/trees/s?recursive=1", j, 200, `{}`},
		"list check runs": {func(ctx context.Context, c *Client) error { return drop(c.ListCheckRuns(ctx, "o", "r", "s")) }, "GET /repos/o/r/commits/s/check-runs?per_page=100", j, 200, `{}`},
		"make a check run": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateCheckRun(ctx, "o", "r", CheckRunRequest{Name: "n", HeadSHA: "s"}))
		}, `POST /repos/o/r/check-runs {"name":"n","head_sha":"s"}`, j, 201, `{"id":8}`},
		"change a check run": {func(ctx context.Context, c *Client) error {
			return c.UpdateCheckRun(ctx, "o", "r", 8, CheckRunRequest{Status: CheckCompleted})
		}, `PATCH /repos/o/r/check-runs/8 {"status":"completed"}`, j, 200, `{}`},
		"read a ref":   {func(ctx context.Context, c *Client) error { return drop(c.GetRef(ctx, "o", "r", "heads/a/b#1")) }, "GET /repos/o/r/git/refs/heads/a/b%231", j, 200, `{"object":{"sha":"s"}}`},
		"make a ref":   {func(ctx context.Context, c *Client) error { return c.CreateRef(ctx, "o", "r", "heads/x", "s") }, `POST /repos/o/r/git/refs {"ref":"refs/heads/x","sha":"s"}`, j, 201, `{}`},
		"move a ref":   {func(ctx context.Context, c *Client) error { return c.UpdateRef(ctx, "o", "r", "heads/x", "s", true) }, `PATCH /repos/o/r/git/refs/heads/x {"force":true,"sha":"s"}`, j, 200, `{}`},
		"delete a ref": {func(ctx context.Context, c *Client) error { return c.DeleteRef(ctx, "o", "r", "heads/x") }, "DELETE /repos/o/r/git/refs/heads/x", j, 204, ``},
		"list failed runs": {func(ctx context.Context, c *Client) error {
			return drop(c.ListFailedWorkflowRuns(ctx, "o", "r", "b", "s"))
		}, "GET /repos/o/r/actions/runs?branch=b&event=pull_request+OR+pull_request_target+OR+workflow_call&head_sha=s&per_page=100", j, 200, `{}`},
		"list runs that wait": {func(ctx context.Context, c *Client) error {
			return drop(c.ListWorkflowRunsToApprove(ctx, "o", "r", "b", "s"))
		}, "GET /repos/o/r/actions/runs?branch=b&event=pull_request+OR+pull_request_target&head_sha=s&per_page=100&status=action_required", j, 200, `{}`},
		"run a workflow again":  {func(ctx context.Context, c *Client) error { return c.RerunWorkflow(ctx, "o", "r", 9) }, "POST /repos/o/r/actions/runs/9/rerun", j, 201, `{}`},
		"run failed jobs again": {func(ctx context.Context, c *Client) error { return c.RerunFailedJobs(ctx, "o", "r", 9) }, "POST /repos/o/r/actions/runs/9/rerun-failed-jobs", j, 201, `{}`},
		"approve a run":         {func(ctx context.Context, c *Client) error { return c.ApproveWorkflowRun(ctx, "o", "r", 9) }, "POST /repos/o/r/actions/runs/9/approve", j, 201, `{}`},
		"read a repo":           {func(ctx context.Context, c *Client) error { return drop(c.GetRepo(ctx, "o", "r")) }, "GET /repos/o/r", j, 200, `{}`},
		"list an org's repos":   {func(ctx context.Context, c *Client) error { return drop(c.GetRepos(ctx, "o", false)) }, "GET /orgs/o/repos?per_page=100", j, 200, `[]`},
		"list a user's repos":   {func(ctx context.Context, c *Client) error { return drop(c.GetRepos(ctx, "u", true)) }, "GET /users/u/repos?per_page=100", j, 200, `[]`},
		"make a repo": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateRepo(ctx, "o", false, RepoRequest{Name: &text, Visibility: &public}))
		}, `POST /orgs/o/repos {"name":"t","visibility":"public"}`, j, 201, `{}`},
		"change a repo": {func(ctx context.Context, c *Client) error {
			return drop(c.UpdateRepo(ctx, "o", "r", RepoRequest{Archived: &yes}))
		}, `PATCH /repos/o/r {"archived":true}`, j, 200, `{}`},
		"list tags":         {func(ctx context.Context, c *Client) error { return drop(c.ListTags(ctx, "o", "r")) }, "GET /repos/o/r/tags?per_page=100", j, 200, `[]`},
		"list branches":     {func(ctx context.Context, c *Client) error { return drop(c.ListBranches(ctx, "o", "r", true)) }, "GET /repos/o/r/branches?per_page=100&protected=true", j, 200, `[]`},
		"read a protection": {func(ctx context.Context, c *Client) error { return drop(c.GetBranchProtection(ctx, "o", "r", "a/b")) }, "GET /repos/o/r/branches/a%2Fb/protection", j, 200, `{}`},
		"protect a branch": {func(ctx context.Context, c *Client) error {
			return c.UpdateBranchProtection(ctx, "o", "r", "a/b", BranchProtectionRequest{RequiredStatusChecks: &RequiredStatusChecks{Contexts: []string{}}, EnforceAdmins: &yes, Restrictions: &RestrictionsRequest{Users: &[]string{}}})
		}, `PUT /repos/o/r/branches/a%2Fb/protection {"required_status_checks":{"strict":false,"contexts":[]},"enforce_admins":true,"required_pull_request_reviews":null,"restrictions":{"users":[]},"required_linear_history":false,"allow_force_pushes":false,"allow_deletions":false}`, j, 200, `{}`},
		"end a protection":       {func(ctx context.Context, c *Client) error { return c.RemoveBranchProtection(ctx, "o", "r", "b") }, "DELETE /repos/o/r/branches/b/protection", j, 204, ``},
		"require signatures":     {func(ctx context.Context, c *Client) error { return c.RequireSignatures(ctx, "o", "r", "b", true) }, "POST /repos/o/r/branches/b/protection/required_signatures", j, 200, `{}`},
		"require no signatures":  {func(ctx context.Context, c *Client) error { return c.RequireSignatures(ctx, "o", "r", "b", false) }, "DELETE /repos/o/r/branches/b/protection/required_signatures", j, 204, ``},
		"read a file":            {func(ctx context.Context, c *Client) error { return drop(c.GetFile(ctx, "o", "r", "a b/c#d", "v 1")) }, "GET /repos/o/r/contents/a%20b/c%23d?ref=v+1", j, 200, `{"encoding":"base64","content":"eA==\n"}`},
		"list a directory":       {func(ctx context.Context, c *Client) error { return drop(c.GetDirectory(ctx, "o", "r", "a", "")) }, "GET /repos/o/r/contents/a", j, 200, `[{"name":"x","type":"file"}]`},
		"list the root":          {func(ctx context.Context, c *Client) error { return drop(c.GetDirectory(ctx, "o", "r", "", "")) }, "GET /repos/o/r/contents", j, 200, `[]`},
		"ask for a collaborator": {func(ctx context.Context, c *Client) error { return drop(c.IsCollaborator(ctx, "o", "r", "u")) }, "GET /repos/o/r/collaborators/u", j, 204, ``},
		"list collaborators":     {func(ctx context.Context, c *Client) error { return drop(c.ListCollaborators(ctx, "o", "r")) }, "GET /repos/o/r/collaborators?per_page=100", mediaGitHubJSON, 200, `[]`},
		"ask for a permission":   {func(ctx context.Context, c *Client) error { return drop(c.GetUserPermission(ctx, "o", "r", "u")) }, "GET /repos/o/r/collaborators/u/permission", j, 200, `{"permission":"write"}`},
		"add a collaborator":     {func(ctx context.Context, c *Client) error { return c.AddCollaborator(ctx, "o", "r", "u", TeamPush) }, `PUT /repos/o/r/collaborators/u {"permission":"push"}`, j, 201, `{}`},
		"change a collaborator":  {func(ctx context.Context, c *Client) error { return c.UpdateCollaborator(ctx, "o", "r", "u", TeamPull) }, `PATCH /repos/o/r/collaborators/u {"permission":"pull"}`, j, 204, ``},
		"remove a collaborator":  {func(ctx context.Context, c *Client) error { return c.RemoveCollaborator(ctx, "o", "r", "u") }, "DELETE /repos/o/r/collaborators/u", j, 204, ``},
		"list repo invitations":  {func(ctx context.Context, c *Client) error { return drop(c.ListRepoInvitations(ctx, "o", "r")) }, "GET /repos/o/r/invitations?per_page=100", j, 200, `[{"id":1,"permissions":"write"}]`},
		"change an invitation": {func(ctx context.Context, c *Client) error {
			return c.UpdateRepoInvitation(ctx, "o", "r", 3, PermissionWrite)
		}, `PATCH /repos/o/r/invitations/3 {"permissions":"write"}`, j, 200, `{}`},
		"take an invitation":  {func(ctx context.Context, c *Client) error { return c.DeleteRepoInvitation(ctx, "o", "r", 3) }, "DELETE /repos/o/r/invitations/3", j, 204, ``},
		"list a repo's teams": {func(ctx context.Context, c *Client) error { return drop(c.ListRepoTeams(ctx, "o", "r")) }, "GET /repos/o/r/teams?per_page=100", j, 200, `[{"slug":"t","permission":"push"}]`},
		"fork":                {func(ctx context.Context, c *Client) error { return drop(c.CreateFork(ctx, "o", "r")) }, "POST /repos/o/r/forks", j, 202, `{"name":"r-1"}`},
		"make a team": {func(ctx context.Context, c *Client) error {
			return drop(c.CreateTeam(ctx, "o", TeamRequest{Name: "A B", ParentTeamID: &id}))
		}, `POST /orgs/o/teams {"name":"A B","parent_team_id":3}`, mediaGitHubJSON, 201, `{}`},
		"change a team": {func(ctx context.Context, c *Client) error {
			return drop(c.EditTeam(ctx, "o", "a-b", TeamRequest{Name: "C"}))
		}, `PATCH /orgs/o/teams/a-b {"name":"C","parent_team_id":null}`, mediaGitHubJSON, 201, `{}`},
		"delete a team":          {func(ctx context.Context, c *Client) error { return c.DeleteTeam(ctx, "o", "t") }, "DELETE /orgs/o/teams/t", j, 204, ``},
		"list teams":             {func(ctx context.Context, c *Client) error { return drop(c.ListTeams(ctx, "o")) }, "GET /orgs/o/teams?per_page=100", mediaGitHubJSON, 200, `[]`},
		"read a team":            {func(ctx context.Context, c *Client) error { return drop(c.GetTeamBySlug(ctx, "o", "t")) }, "GET /orgs/o/teams/t", j, 200, `{}`},
		"list team members":      {func(ctx context.Context, c *Client) error { return drop(c.ListTeamMembersBySlug(ctx, "o", "t", "all")) }, "GET /orgs/o/teams/t/members?per_page=100&role=all", j, 200, `[]`},
		"list members by number": {func(ctx context.Context, c *Client) error { return drop(c.ListTeamMembers(ctx, "o", 3, "all")) }, "GET /teams/3/members?per_page=100&role=all", mediaGitHubJSON, 200, `[]`},
		"ask for a team member":  {func(ctx context.Context, c *Client) error { return drop(c.TeamBySlugHasMember(ctx, "o", "t", "u")) }, "GET /orgs/o/teams/t/memberships/u", j, 200, `{"state":"pending"}`},
		"add a team member": {func(ctx context.Context, c *Client) error {
			return drop(c.UpdateTeamMembership(ctx, "o", "t", "u", true))
		}, `PUT /orgs/o/teams/t/memberships/u {"role":"maintainer"}`, j, 200, `{}`},
		"remove a team member":  {func(ctx context.Context, c *Client) error { return c.RemoveTeamMembership(ctx, "o", "t", "u") }, "DELETE /orgs/o/teams/t/memberships/u", j, 204, ``},
		"list a team's repos":   {func(ctx context.Context, c *Client) error { return drop(c.ListTeamRepos(ctx, "o", "t")) }, "GET /orgs/o/teams/t/repos?per_page=100", j, 200, `[]`},
		"grant a team a repo":   {func(ctx context.Context, c *Client) error { return c.UpdateTeamRepo(ctx, "o", "t", "r", TeamMaintain) }, `PUT /orgs/o/teams/t/repos/o/r {"permission":"maintain"}`, j, 204, ``},
		"take it away":          {func(ctx context.Context, c *Client) error { return c.RemoveTeamRepo(ctx, "o", "t", "r") }, "DELETE /orgs/o/teams/t/repos/o/r", j, 204, ``},
		"list team invitations": {func(ctx context.Context, c *Client) error { return drop(c.ListTeamInvitations(ctx, "o", "t")) }, "GET /orgs/o/teams/t/invitations?per_page=100", j, 200, `[]`},
		"read the app":          {func(ctx context.Context, c *Client) error { return drop(c.GetApp(ctx)) }, "GET /app", j, 200, `{}`},
		"list installations":    {func(ctx context.Context, c *Client) error { return drop(c.ListAppInstallations(ctx)) }, "GET /app/installations?per_page=100", j, 200, `[]`},
		"list an org's apps":    {func(ctx context.Context, c *Client) error { return drop(c.ListOrgInstallations(ctx, "o")) }, "GET /orgs/o/installations?per_page=100", j, 200, `{"installations":[]}`},
	}
}

func TestOperations(t *testing.T) {
	for sentence, op := range operations() {
		t.Run(sentence, func(t *testing.T) {
			var got, accept string
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = strings.TrimSpace(r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/api/v3") + " " + string(body))
				accept = r.Header.Get("Accept")
				answer(w, op.code, op.answer)
			})
			if err := op.call(t.Context(), c); err != nil {
				t.Error(err)
			}
			if got != op.want || accept != op.accept {
				t.Errorf("got  %s (%s)\nwant %s (%s)", got, accept, op.want, op.accept)
			}
		})
	}
}

// An answer that no operation expects must be an error with that status.
func TestOperationsRefuseOtherAnswers(t *testing.T) {
	for sentence, op := range operations() {
		t.Run(sentence, func(t *testing.T) {
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusTeapot, `{"message":"odd"}`) })
			if err := op.call(t.Context(), c); StatusCode(err) != http.StatusTeapot || !strings.Contains(err.Error(), `status code 418 not one of [`) || !strings.Contains(err.Error(), `], body: {"message":"odd"}`) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDryRunPretendsEveryChange(t *testing.T) {
	for sentence, op := range operations() {
		t.Run(sentence, func(t *testing.T) {
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("sent %s %s", r.Method, r.URL)
				}
				answer(w, op.code, op.answer)
			}, func(o *ClientOptions) { o.DryRun = true })
			if err := op.call(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatDryRunShows(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) }, func(o *ClientOptions) { o.DryRun = true })
	ctx, name, private := t.Context(), "n", VisibilityInternal
	hook, err1 := c.CreateOrgHook(ctx, "o", HookRequest{})
	team, err2 := c.CreateTeam(ctx, "o", TeamRequest{Name: "The Team"})
	repo, err3 := c.CreateRepo(ctx, "o", false, RepoRequest{Name: &name, Visibility: &private})
	member, err4 := c.UpdateOrgMembership(ctx, "o", "u", true)
	fork, err5 := c.CreateFork(ctx, "o", "r")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	if hook != -1 || team.Slug != "the-team" || !repo.Private || repo.FullName != "o/n" || member.Role != "admin" || fork != "r" {
		t.Errorf("%v %+v %+v %+v %v", hook, team, repo, member, fork)
	}
	if err := c.Mutate(ctx, "o", "mutation { x }", nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Query(ctx, "o", "# mutation\nfragment F on X { query }\nmutation($a: X) { x }", nil, nil); err != nil {
		t.Errorf("a mutation that comes as a query: %v", err)
	}
}

func TestMutationsAreTold(t *testing.T) {
	for text, want := range map[string]bool{
		"query { mutation }":              false,
		"{ mutation }":                    false,
		"query($mutation: X) { a }":       false,
		"# mutation\nquery Q { a }":       false,
		`query Q { a(b: "}mutation") }`:   false,
		"mutation { a }":                  true,
		"  \nmutation M($a: X) { a }":     true,
		"query Q { a } mutation M { a }":  true,
		"fragment F on X{y}mutation{a}":   true,
		"subscription_mutation_x { a }":   false,
		"query Q @d(x: \"mutation\") {a}": false,
	} {
		if got := isMutation(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Names that a server would read as another place must never reach it: the
// question about a collaborator ".." would be answered for the repository.
func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) })
	ctx := t.Context()
	for _, name := range []string{"", ".", ".."} {
		for what, err := range map[string]error{
			"collaborator": drop(c.IsCollaborator(ctx, "o", "r", name)), "member": drop(c.IsMember(ctx, "o", name)),
			"label": c.RemoveLabel(ctx, "o", "r", 1, name), "branch": c.RemoveBranchProtection(ctx, "o", "r", name),
			"file": drop(c.GetFile(ctx, "o", "r", "a/"+name+"/b", "")), "ref": c.DeleteRef(ctx, "o", "r", "heads/"+name), "repo": drop(c.GetRepo(ctx, "o", name)),
		} {
			if err == nil || !strings.Contains(err.Error(), "is no name") {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func TestReviewRequests(t *testing.T) {
	var bodies []string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if strings.Contains(string(body), "stranger") {
			answer(w, 422, `{"message":"Reviews may only be requested from collaborators."}`)
			return
		}
		answer(w, 201, `{}`)
	})
	err := c.RequestReview(t.Context(), "o", "r", 5, []string{"a", "stranger", "other/team", "o/team"})
	var missing *MissingUsersError
	if !errors.As(err, &missing) || !reflect.DeepEqual(missing.Users, []string{"stranger", "other/team"}) {
		t.Errorf("got %v", err)
	}
	if want := []string{`{"reviewers":["a"]}`, `{"reviewers":["stranger"]}`, `{"team_reviewers":["team"]}`}; !reflect.DeepEqual(bodies, want) {
		t.Errorf("sent %v, want %v", bodies, want)
	}
	if err := c.UnrequestReview(t.Context(), "o", "r", 5, []string{"other/team"}); !errors.Is(err, errForeignTeam) {
		t.Errorf("nothing to take back: %v", err)
	}
}

func TestTypedErrors(t *testing.T) {
	status, body := 200, ""
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusFound && strings.Contains(r.URL.Path, "/public_members/") {
			answer(w, 204, ``)
			return
		}
		answer(w, status, body, "Location", "/api/v3/orgs/o/public_members/u")
	})
	ctx := t.Context()
	var extra *ExtraUsersError
	is := func(kind error) func(error) bool { return func(err error) bool { return errors.Is(err, kind) } }
	for sentence, tc := range map[string]struct {
		status int
		body   string
		call   func() error
		want   func(error) bool
	}{
		"a reopening that is refused for good":    {422, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","field":"state","message":"state cannot be changed. The b branch has been deleted."}]}`, func() error { return c.ReopenPullRequest(ctx, "o", "r", 5) }, is(ErrStateCannotBeChanged)},
		"a reopening that is refused in a list":   {422, `{"message":"Validation Failed","errors":["state cannot be changed."],"documentation_url":"u"}`, func() error { return c.ReopenIssue(ctx, "o", "r", 5) }, is(ErrStateCannotBeChanged)},
		"a file that is missing":                  {404, `{"message":"Not Found"}`, func() error { return drop(c.GetFile(ctx, "o", "r", "f", "")) }, is(ErrFileNotFound)},
		"a file that is missing is not found":     {404, `{"message":"Not Found"}`, func() error { return drop(c.GetFile(ctx, "o", "r", "f", "")) }, IsNotFound},
		"a directory that is missing":             {404, `{"message":"Not Found"}`, func() error { return drop(c.GetDirectory(ctx, "o", "r", "f", "")) }, is(ErrFileNotFound)},
		"a head that has moved":                   {422, `{"message":"expected_head_sha"}`, func() error { return c.UpdatePullRequestBranch(ctx, "o", "r", 5, "s") }, is(ErrHeadMismatch)},
		"somebody who stays assigned":             {200, `{"assignees":[{"login":"U"}]}`, func() error { return c.UnassignIssue(ctx, "o", "r", 5, []string{"@u", "v"}) }, func(err error) bool { return errors.As(err, &extra) && reflect.DeepEqual(extra.Users, []string{"@u"}) }},
		"a team that is still asked":              {200, `{"requested_teams":[{"slug":"T"}]}`, func() error { return c.UnrequestReview(ctx, "o", "r", 5, []string{"o/t"}) }, func(err error) bool { return errors.As(err, &extra) }},
		"404 of another server behind the answer": {400, `{"message":"x","errors":["status code 404"]}`, func() error { return c.DeleteTeam(ctx, "o", "t") }, IsNotFound},
		"a forbidden request":                     {403, `{"message":"no"}`, func() error { return c.DeleteTeam(ctx, "o", "t") }, IsForbidden},
		"a protection that is hidden":             {404, `{"message":"Not Found"}`, func() error { return drop(c.GetBranchProtection(ctx, "o", "r", "b")) }, IsNotFound},
		"a branch without protection":             {404, `{"message":"Branch not protected"}`, func() error { return drop(c.GetBranchProtection(ctx, "o", "r", "b")) }, func(err error) bool { return err == nil }},
		"an unknown permission":                   {200, `{"permission":"superuser"}`, func() error { return drop(c.GetUserPermission(ctx, "o", "r", "u")) }, func(err error) bool { return err != nil && strings.Contains(err.Error(), "superuser") }},
		"no merge base":                           {200, `{}`, func() error { return drop(c.GetMergeBase(ctx, "o", "r", "a", "b")) }, func(err error) bool { return err != nil }},
		"no refs at all":                          {200, `[]`, func() error { return drop(c.GetRef(ctx, "o", "r", "heads/x")) }, is(ErrTooManyRefs)},
		"an asker who is not in the org":          {302, ``, func() error { return drop(c.IsMember(ctx, "o", "u")) }, func(err error) bool { return StatusCode(err) == 302 }},
	} {
		status, body = tc.status, tc.body
		if err := tc.call(); !tc.want(err) {
			t.Errorf("%s: got %v", sentence, err)
		}
	}
}

func TestForksAreToldByTheirParents(t *testing.T) {
	for sentence, tc := range map[string]struct {
		there   string // what GET repos/bot/r answers, "" for 404
		want    string
		forked  bool
		wantErr bool
	}{
		"a fork that is there is used":             {`{"fork":true,"parent":{"full_name":"O/r"}}`, "r", false, false},
		"a fork of a fork has the same source":     {`{"fork":true,"parent":{"full_name":"x/r"},"source":{"full_name":"o/r"}}`, "r", false, false},
		"a repository of that name is not a fork":  {`{"fork":false}`, "r-1", true, false},
		"a fork of something else is another fork": {`{"fork":true,"parent":{"full_name":"x/r"}}`, "r-1", true, false},
		"without a fork one is made":               {``, "r-1", true, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			forked, polls := false, 0
			c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v3") {
				case "GET /repos/bot/r":
					if tc.there == "" {
						answer(w, 404, `{}`)
						return
					}
					answer(w, 200, tc.there)
				case "POST /repos/o/r/forks":
					forked = true
					answer(w, 202, `{"name":"r-1"}`)
				case "GET /repos/bot/r-1":
					if polls++; polls < 3 {
						answer(w, 404, `{}`)
						return
					}
					answer(w, 200, `{"fork":true,"parent":{"full_name":"o/r"}}`)
				default:
					t.Errorf("asked for %s", r.URL)
				}
			})
			got, err := c.EnsureFork(t.Context(), "bot", "o", "r")
			if got != tc.want || err != nil || forked != tc.forked {
				t.Errorf("got %q, %v; forked %v", got, err, forked)
			}
			if forked && !reflect.DeepEqual(*waits, []time.Duration{forkWait, 2 * forkWait}) {
				t.Errorf("waits %v", *waits)
			}
		})
	}
}

func TestMergeability(t *testing.T) {
	answers := []string{`{"head":{"sha":"s"}}`, `{"head":{"sha":"s"}}`, `{"head":{"sha":"s"},"mergeable":true}`}
	n := 0
	c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, answers[min(n, len(answers)-1)]); n++ })
	ok, err := c.IsMergeable(t.Context(), "o", "r", 5, "s")
	if !ok || err != nil || !reflect.DeepEqual(*waits, []time.Duration{3 * time.Second, 6 * time.Second}) {
		t.Errorf("%v %v %v", ok, err, *waits)
	}
	if _, err := c.IsMergeable(t.Context(), "o", "r", 5, "old"); !errors.Is(err, ErrHeadMismatch) {
		t.Error(err)
	}
}

func TestDeliveriesEndWhereTheyAreTooOld(t *testing.T) {
	var asked []string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		answer(w, 200, `[{"id":2,"delivered_at":"2026-01-02T00:00:00Z"},{"id":1,"delivered_at":"2026-01-01T00:00:00Z"}]`, "Link", `<http://x/deliveries?per_page=100&cursor=v1_9>; rel="next"`)
	})
	got, err := c.ListOrgHookDeliveries(t.Context(), "o", 3, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil || len(got) != 1 || got[0].ID != 2 || len(asked) != 1 {
		t.Errorf("%+v, %v, asked %v", got, err, asked)
	}
}

func TestWhoTheBotIs(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `{"login":"robot","id":7,"type":"User"}`) })
	byAccount, err1 := c.BotChecker(t.Context())
	byLogin, err := c.BotUserChecker(t.Context())
	if err := errors.Join(err1, err); err != nil {
		t.Fatal(err)
	}
	if !byLogin("@Robot") || byLogin("robot[bot]") {
		t.Error("an App of the account's name is somebody else")
	}
	for sentence, tc := range map[string]struct {
		user User
		want bool
	}{
		"the number decides, also after a change of the login": {User{Login: "renamed", ID: 7}, true},
		"somebody who took the old login is somebody else":     {User{Login: "robot", ID: 8}, false},
		"an account without a number is nobody":                {User{Login: "robot"}, false},
	} {
		if got := byAccount(tc.user); got != tc.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
	c.app, c.bot = true, &bot{account: lookup[User]{value: &User{Login: "robot"}}}
	byAccount, err1 = c.BotChecker(t.Context())
	byLogin, err = c.BotUserChecker(t.Context())
	if err := errors.Join(err1, err); err != nil {
		t.Fatal(err)
	}
	if !byLogin("robot") || !byLogin("robot[bot]") || byLogin("other[bot]") {
		t.Error("an App's bot is known with and without [bot]")
	}
	for sentence, tc := range map[string]struct {
		user User
		want bool
	}{
		"the app's bot":                             {User{Login: "Robot[bot]", Type: "Bot"}, true},
		"a person with the app's name":              {User{Login: "robot", Type: "User"}, false},
		"a person who claims to be the bot by name": {User{Login: "robot[bot]", Type: "User"}, false},
		"the bot of another app":                    {User{Login: "other[bot]", Type: "Bot"}, false},
	} {
		if got := byAccount(tc.user); got != tc.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
}
