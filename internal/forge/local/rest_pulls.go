package local

import (
	"context"
	"net/http"
	"strings"
)

func pullRoutes() []route {
	const r = "/repos/{owner}/{repo}/pulls"
	return []route{
		{method: "GET", pattern: r, serve: listPulls},
		{method: "POST", pattern: r, serve: createPull},
		{method: "GET", pattern: r + "/{number}", serve: getPull},
		{method: "PATCH", pattern: r + "/{number}", serve: editPull},
		{method: "GET", pattern: r + "/{number}/files", serve: listPullFiles},
		{method: "GET", pattern: r + "/{number}/commits", serve: listPullCommits},
		{method: "GET", pattern: r + "/{number}/merge", serve: isMerged},
		{method: "PUT", pattern: r + "/{number}/merge", serve: mergePull},
		{method: "PUT", pattern: r + "/{number}/update-branch", serve: updateBranch},
		{method: "GET", pattern: r + "/{number}/requested_reviewers", serve: listReviewRequests},
		{method: "POST", pattern: r + "/{number}/requested_reviewers", serve: requestReviews},
		{method: "DELETE", pattern: r + "/{number}/requested_reviewers", serve: unrequestReviews},
		{method: "GET", pattern: r + "/{number}/reviews", serve: listReviews},
		{method: "POST", pattern: r + "/{number}/reviews", serve: createReview},
		{method: "GET", pattern: r + "/{number}/reviews/{review}", serve: getReview},
		{method: "POST", pattern: r + "/{number}/reviews/{review}/events", serve: submitReview},
		{method: "PUT", pattern: r + "/{number}/reviews/{review}/dismissals", serve: dismissReview},
		{method: "GET", pattern: r + "/{number}/comments", serve: listReviewComments},
		{method: "POST", pattern: r + "/{number}/comments", serve: createReviewComment},
	}
}

func listPulls(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	where, args := "i.repo_id = ? AND i.is_pull", []any{rp.ID}
	switch s := c.query("state"); s {
	case "", "open":
		where += " AND i.state = 'open'"
	case "closed":
		where += " AND i.state = 'closed'"
	case "all":
	default:
		return nil, invalid("PullRequest", "state", "invalid", "")
	}
	if v := c.query("base"); v != "" {
		where, args = where+" AND p.base_ref = ?", append(args, v)
	}
	if v := c.query("head"); v != "" {
		if owner, branch, ok := strings.Cut(v, ":"); ok {
			where += " AND p.head_ref = ? AND p.head_repo_id IN (SELECT r.id FROM repos r JOIN accounts a ON a.id = r.owner_id WHERE a.login = ?)"
			args = append(args, branch, owner)
		}
	}
	all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE "+where+" ORDER BY "+listOrder(c), args...)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(i *issue) (obj, error) {
		o, err := c.pullJSON(rp, i, nil)
		for _, k := range []string{"additions", "deletions", "changed_files", "commits", "comments", "review_comments", "mergeable", "mergeable_state", "rebaseable", "merged", "merged_by", "maintainer_can_modify"} {
			delete(o, k) // only a single pull request shows these
		}
		return o, err
	})
}

func createPull(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	var in newPull
	if err := c.body(&in); err != nil {
		return nil, err
	}
	i, err := c.f.openPull(c.ctx, rp, c.viewer, in)
	if err != nil {
		return nil, err
	}
	o, err := c.pullJSON(rp, i, nil)
	if err != nil {
		return nil, err
	}
	return created(o)
}

func getPull(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	if c.accepts("diff") || c.accepts("patch") {
		kind, text, err := pullText(c.ctx, b, i, c.accepts("patch"))
		if err != nil {
			return nil, err
		}
		return reply{status: http.StatusOK, raw: text, kind: kind}, nil
	}
	return c.pullFull(rp, i)
}

// pullText renders a pull request as diff or as mail series.
func pullText(ctx context.Context, b bare, i *issue, patch bool) (kind string, text []byte, err error) {
	mb, err := b.mergeBase(ctx, i.Pull.BaseSHA, i.Pull.HeadSHA)
	if err != nil {
		return "", nil, err
	}
	if patch {
		text, err = b.formatPatch(ctx, mb, i.Pull.HeadSHA)
		return "application/vnd.github.patch; charset=utf-8", orEmpty(text), err
	}
	text, err = b.patchText(ctx, mb, i.Pull.HeadSHA)
	return "application/vnd.github.diff; charset=utf-8", orEmpty(text), err
}

// pullFull shows a single pull request with its verdict.
func (c *call) pullFull(rp *repo, i *issue) (obj, error) {
	v, err := c.f.judge(c.ctx, rp, i)
	if err != nil {
		return nil, err
	}
	return c.pullJSON(rp, i, v)
}

func editPull(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct {
		issueEdit
		Base   *string `json:"base"`
		Modify *bool   `json:"maintainer_can_modify"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	base, err := c.f.newBase(c.reader, rp, i, in.Base)
	if err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if i, err = t.issueID(i.ID); err != nil {
			return err
		}
		if in.Modify != nil {
			i.Pull.Modify = *in.Modify
			if _, err := t.exec("UPDATE pulls SET modify = ? WHERE issue_id = ?", *in.Modify, i.ID); err != nil {
				return err
			}
		}
		return t.applyEdit(rp, i, c.viewer, c.perm, in.issueEdit, base)
	})
	if err != nil {
		return nil, err
	}
	return c.pullFull(rp, i)
}

// pullFiles lists the changes of a pull request against its merge base.
func (f *Forge) pullFiles(ctx context.Context, rp *repo, i *issue, patches bool) ([]change, error) {
	b := f.bare(rp.ID)
	mb, err := b.mergeBase(ctx, i.Pull.BaseSHA, i.Pull.HeadSHA)
	if err != nil {
		return nil, err
	}
	return b.diff(ctx, mb, i.Pull.HeadSHA, patches)
}

func listPullFiles(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	files, err := c.f.pullFiles(c.ctx, rp, i, true)
	if err != nil {
		return nil, err
	}
	const limit = 3000 // GitHub's
	return each(paginate(c, files[:min(len(files), limit)]), func(ch *change) (obj, error) { return c.f.fileJSON(rp, i.Pull.HeadSHA, ch), nil })
}

// pullCommits lists the commits of a pull request, oldest first, 250 at most as GitHub does.
func (f *Forge) pullCommits(ctx context.Context, rp *repo, i *issue) ([]commit, error) {
	return f.bare(rp.ID).log(ctx, i.Pull.HeadSHA, logQuery{Exclude: i.Pull.BaseSHA, Reverse: true, Max: 250})
}

func listPullCommits(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	commits, err := c.f.pullCommits(c.ctx, rp, i)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, commits), func(cm *commit) (obj, error) { return c.commitJSON(rp, cm) })
}

func isMerged(c *call) (any, error) {
	_, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	if i.Pull.Merged.IsZero() {
		return nil, errNotFound
	}
	return noContent, nil
}

func mergePull(c *call) (any, error) {
	rp, i, err := c.pullOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in mergeRequest
	if err := c.body(&in); err != nil {
		return nil, err
	}
	sha, err := c.f.merge(c.ctx, rp, i.Number, c.viewer, in)
	if err != nil {
		return nil, err
	}
	return obj{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}, nil
}

func updateBranch(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct {
		Expected string `json:"expected_head_sha"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := c.f.updatePull(c.ctx, rp, i, c.viewer, in.Expected); err != nil {
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: obj{"message": "Updating pull request branch.", "url": c.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number)}}, nil
}
