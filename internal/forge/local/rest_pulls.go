package local

import (
	"context"
	"errors"
	"fmt"
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

// newPull is the body of pull request creation.
type newPull struct {
	Title    string `json:"title"`
	Body     string `json:"body"`
	Head     string `json:"head"`
	HeadRepo string `json:"head_repo"`
	Base     string `json:"base"`
	Draft    bool   `json:"draft"`
	Modify   *bool  `json:"maintainer_can_modify"`
	Issue    int    `json:"issue"`
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

// openPull opens a pull request for an existing branch of the repository or of
// one of its forks ("owner:branch").
func (f *Forge) openPull(ctx context.Context, rp *repo, actor *account, in newPull) (*issue, error) {
	r := f.read(ctx)
	head, branch := rp, in.Head
	if owner, b, ok := strings.Cut(in.Head, ":"); ok {
		branch = b
		if !strings.EqualFold(owner, rp.Owner.Login) {
			fork, err := one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE a.login = ? AND (r.parent_id = ? OR r.id = ?)", owner, rp.ID, rp.ParentID)
			if errors.Is(err, errNotFound) {
				return nil, invalid("PullRequest", "head", "invalid", "")
			}
			if err != nil {
				return nil, err
			}
			head = fork
		}
	}
	if perm, err := r.permission(head, actor); err != nil {
		return nil, err
	} else if perm < permRead {
		return nil, invalid("PullRequest", "head", "invalid", "")
	}
	base := strings.TrimPrefix(in.Base, "refs/heads/")
	branch = strings.TrimPrefix(branch, "refs/heads/")
	unlock := f.lockRepo(rp.ID)
	defer unlock()
	baseSHA, err := r.refSHA(rp.ID, "refs/heads/"+base)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "base", "invalid", "")
	}
	if err != nil {
		return nil, err
	}
	headSHA, err := r.refSHA(head.ID, "refs/heads/"+branch)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "head", "invalid", "")
	}
	if err != nil {
		return nil, err
	}
	b := f.bare(rp.ID)
	if head.ID != rp.ID { // bring the objects; the number and so the final ref are not known yet
		tmp := "refs/pull/incoming/" + headSHA
		if err := b.fetch(ctx, f.repoDir(head.ID), headSHA, tmp); err != nil {
			return nil, err
		}
		defer func() {
			if err := b.updateRef(context.WithoutCancel(ctx), tmp, "", headSHA); err != nil {
				f.log.Debug("Removing a temporary ref failed.", "error", err)
			}
		}()
	}
	if in, err := b.isAncestor(ctx, headSHA, baseSHA); err != nil {
		return nil, err
	} else if in {
		return nil, invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s:%s and %s:%s", rp.Owner.Login, base, head.Owner.Login, branch))
	}
	mb, err := b.mergeBase(ctx, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	if mb == "" {
		return nil, invalid("PullRequest", "", "custom", fmt.Sprintf("The %s branch has no history in common with %s", branch, base))
	}
	size, err := b.stats(ctx, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	p := &pull{
		HeadRepoID: head.ID, HeadRef: branch, HeadSHA: headSHA, BaseRef: base, BaseSHA: baseSHA, Draft: in.Draft, Modify: in.Modify == nil || *in.Modify,
		Additions: size.Additions, Deletions: size.Deletions, Files: size.Files, Commits: size.Commits,
	}
	// The ref is placed before the transaction: whoever hears of the pull
	// request can fetch it. Numbers are given under the repository's lock only
	// to pull requests, so a concurrent issue may take ours; then try the next.
	for {
		next, err := r.count("SELECT last_number + 1 FROM repos WHERE id = ?", rp.ID)
		if err != nil {
			return nil, err
		}
		if err := b.setRef(ctx, pullRef(next), headSHA); err != nil {
			return nil, err
		}
		var i *issue
		taken := false
		err = f.write(ctx, func(t *txn) error {
			if n, err := t.count("SELECT last_number + 1 FROM repos WHERE id = ?", rp.ID); err != nil || n != next {
				taken = err == nil
				return err
			}
			n, err := t.count("SELECT count(*) FROM issues i JOIN pulls p ON p.issue_id = i.id WHERE i.repo_id = ? AND i.state = 'open' AND p.head_repo_id = ? AND p.head_ref = ? AND p.base_ref = ?", rp.ID, head.ID, branch, base)
			if err != nil {
				return err
			}
			if n > 0 {
				return invalid("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", head.Owner.Login, branch))
			}
			i, err = t.openIssue(rp, actor, newIssue{Title: in.Title, Body: in.Body, Pull: p})
			return err
		})
		if taken {
			continue
		}
		if err != nil {
			if derr := b.updateRef(context.WithoutCancel(ctx), pullRef(next), "", headSHA); derr != nil {
				f.log.Debug("Removing an unused ref failed.", "error", derr)
			}
			return nil, err
		}
		return i, nil
	}
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

// newBase prepares the move of a pull request to another base branch; nil
// when none is asked for.
func (f *Forge) newBase(r *reader, rp *repo, i *issue, name *string) (*baseChange, error) {
	if name == nil || i.Pull == nil || *name == i.Pull.BaseRef {
		return nil, nil
	}
	if i.State != "open" {
		return nil, unprocessable("Cannot change the base branch of a closed pull request.")
	}
	sha, err := r.refSHA(rp.ID, "refs/heads/"+*name)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "base", "invalid", fmt.Sprintf("Proposed base branch '%s' was not found", truncate(*name, 100)))
	}
	if err != nil {
		return nil, err
	}
	size, err := f.bare(rp.ID).stats(r.ctx, sha, i.Pull.HeadSHA)
	if err != nil {
		return nil, err
	}
	return &baseChange{*name, sha, size}, nil
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

// updatePull merges the base branch into the head branch.
func (f *Forge) updatePull(ctx context.Context, rp *repo, i *issue, actor *account, expected string) error {
	r := f.read(ctx)
	head, err := r.headRepo(rp, i.Pull)
	if err != nil {
		return err
	}
	if head == nil || i.State != "open" {
		return unprocessable("The head branch no longer exists.")
	}
	perm, err := r.granted(head, actor)
	if err != nil {
		return err
	}
	if perm < permWrite {
		basePerm, err := r.granted(rp, actor)
		if err != nil {
			return err
		}
		if !i.Pull.Modify || basePerm < permWrite {
			return forbidden("Must have push access to the head branch.")
		}
	}
	if expected != "" && expected != i.Pull.HeadSHA {
		return unprocessable("expected head sha didn’t match current head ref.")
	}
	unlock := f.lockRepo(head.ID)
	defer unlock()
	b := f.bare(head.ID)
	tip, err := r.refSHA(rp.ID, "refs/heads/"+i.Pull.BaseRef)
	if err != nil {
		return err
	}
	if head.ID != rp.ID {
		tmp := "refs/pull/incoming/" + tip
		if err := b.fetch(ctx, f.repoDir(rp.ID), tip, tmp); err != nil {
			return err
		}
		defer func() { _ = b.updateRef(context.WithoutCancel(ctx), tmp, "", tip) }()
	}
	if in, err := b.isAncestor(ctx, tip, i.Pull.HeadSHA); err != nil {
		return err
	} else if in {
		return unprocessable("There are no new commits on the base branch.")
	}
	tree, ok, err := b.mergeTrees(ctx, i.Pull.HeadSHA, tip)
	if err != nil {
		return err
	}
	if !ok {
		return unprocessable("merge conflict between base and head")
	}
	sha, err := b.commitTree(ctx, tree, []string{i.Pull.HeadSHA, tip}, f.userSignature(actor), f.forgeSignature(), fmt.Sprintf("Merge branch '%s' into %s\n", i.Pull.BaseRef, i.Pull.HeadRef))
	if err != nil {
		return err
	}
	if err := b.updateRef(ctx, "refs/heads/"+i.Pull.HeadRef, sha, i.Pull.HeadSHA); err != nil {
		if errors.Is(err, errRefMoved) {
			return unprocessable("expected head sha didn’t match current head ref.")
		}
		return err
	}
	return f.syncLocked(ctx, head.ID, actor)
}

func listReviewRequests(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	o, err := c.pullJSON(rp, i, nil)
	if err != nil {
		return nil, err
	}
	return obj{"users": o["requested_reviewers"], "teams": o["requested_teams"]}, nil
}

func (c *call) changeReviewers(status int, change func(t *txn, rp *repo, i *issue, users, teams []string) error) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	if c.perm < permTriage && c.viewer.ID != i.AuthorID {
		return nil, forbidden("Must have triage access to request reviews.")
	}
	var in struct {
		Reviewers []string `json:"reviewers"`
		Teams     []string `json:"team_reviewers"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := change(t, rp, i, in.Reviewers, in.Teams); err != nil {
			return err
		}
		o, err = t.pullJSON(rp, i, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{status: status, body: o}, nil
}

func requestReviews(c *call) (any, error) {
	return c.changeReviewers(http.StatusCreated, func(t *txn, rp *repo, i *issue, users, teams []string) error {
		return t.requestReviews(rp, i, c.viewer, users, teams)
	})
}

func unrequestReviews(c *call) (any, error) {
	return c.changeReviewers(http.StatusOK, func(t *txn, rp *repo, i *issue, users, teams []string) error {
		return t.unrequestReviews(rp, i, c.viewer, users, teams)
	})
}

func listReviews(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.reviews(i.ID)
	if err != nil {
		return nil, err
	}
	visible := all[:0]
	for _, v := range all {
		if v.State != "PENDING" || c.viewer != nil && v.AuthorID == c.viewer.ID {
			visible = append(visible, v)
		}
	}
	return each(paginate(c, visible), func(v *review) (obj, error) { return c.reviewJSON(rp, i, v) })
}

// lineComment is a comment on the diff as clients send it.
type lineComment struct {
	Path      string `json:"path"`
	Position  int    `json:"position"`
	Line      int    `json:"line"`
	Side      string `json:"side"`
	StartLine int    `json:"start_line"`
	StartSide string `json:"start_side"`
	Subject   string `json:"subject_type"`
	Body      string `json:"body"`
	SHA       string `json:"commit_id"`
	ReplyTo   int64  `json:"in_reply_to"`
}

// locate turns a line comment into its stored form; the path must be part of
// the pull request.
func (c *call) locate(rp *repo, i *issue, in lineComment, files []change) (reviewComment, error) {
	out := reviewComment{Path: in.Path, Position: in.Position, Line: in.Line, Side: in.Side, SHA: in.SHA, Body: in.Body, ReplyTo: in.ReplyTo, StartLine: in.StartLine, StartSide: in.StartSide, Subject: in.Subject}
	if in.Subject != "" && in.Subject != "line" && in.Subject != "file" {
		return out, invalid("PullRequestReviewComment", "subject_type", "invalid", "")
	}
	if in.Side != "" && in.Side != "LEFT" && in.Side != "RIGHT" {
		return out, invalid("PullRequestReviewComment", "side", "invalid", "")
	}
	if in.ReplyTo != 0 {
		orig, err := c.replyTarget(in.ReplyTo, i.ID)
		if err != nil {
			return out, err
		}
		if orig.ReplyTo != 0 { // threads are flat
			out.ReplyTo = orig.ReplyTo
		}
		out.Path, out.Position, out.Line, out.Side, out.Hunk, out.SHA = orig.Path, orig.Position, orig.Line, orig.Side, orig.Hunk, orig.SHA
		return out, nil
	}
	for _, f := range files {
		if f.Path == in.Path {
			out.Hunk = hunkAt(f.Patch, in.Position)
			return out, nil
		}
	}
	return out, invalid("PullRequestReviewComment", "path", "invalid", "path is not part of the pull request")
}

// hunkAt returns the start of a patch up to a position, at most ten lines.
func hunkAt(patch string, position int) string {
	lines := strings.Split(patch, "\n")
	if position <= 0 || position >= len(lines) {
		position = min(len(lines)-1, 10)
	}
	return strings.Join(lines[max(0, position-10):position+1], "\n")
}

func createReview(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct {
		SHA      string        `json:"commit_id"`
		Body     string        `json:"body"`
		Event    string        `json:"event"`
		Comments []lineComment `json:"comments"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	n := newReview{Event: in.Event, Body: in.Body, SHA: in.SHA}
	if len(in.Comments) > 0 {
		files, err := c.f.pullFiles(c.ctx, rp, i, true)
		if err != nil {
			return nil, err
		}
		for _, lc := range in.Comments {
			rc, err := c.locate(rp, i, lc, files)
			if err != nil {
				return nil, err
			}
			rc.SHA = in.SHA
			n.Comments = append(n.Comments, rc)
		}
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		v, err := t.addReview(rp, i, c.viewer, n)
		if err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func (c *call) reviewOf(need permission) (*repo, *issue, *review, error) {
	rp, i, err := c.pullOf(need)
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := c.id("review")
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := one(c.reader, scanReview, "SELECT "+reviewCols+" FROM reviews v WHERE v.id = ? AND v.issue_id = ?", id, i.ID)
	return rp, i, v, err
}

func getReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.reviewJSON(rp, i, v)
}

func submitReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct{ Body, Event string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	state, ok := reviewStates[in.Event]
	if v.State != "PENDING" || v.AuthorID != c.viewer.ID || !ok || state == "PENDING" {
		return nil, unprocessable("Could not submit the review")
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		v.State, v.Submitted = state, t.now
		if in.Body != "" {
			v.Body = in.Body
		}
		if _, err := t.exec("UPDATE reviews SET state = ?, body = ?, submitted = ? WHERE id = ?", v.State, v.Body, v.Submitted, v.ID); err != nil {
			return err
		}
		if err := t.submitted(rp, i, v, c.viewer); err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func dismissReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct{ Message string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := t.dismissReview(rp, i, v, c.viewer, in.Message); err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func listReviewComments(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.reviewComments(i.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rc *reviewComment) (obj, error) { return c.reviewCommentJSON(rp, i, rc) })
}

func createReviewComment(c *call) (any, error) {
	var in lineComment
	if err := c.body(&in); err != nil {
		return nil, err
	}
	return c.commentOnDiff(in)
}

// commentOnDiff adds one comment to the diff, outside of a review.
func (c *call) commentOnDiff(in lineComment) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	files, err := c.f.pullFiles(c.ctx, rp, i, true)
	if err != nil {
		return nil, err
	}
	rc, err := c.locate(rp, i, in, files)
	if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		// As on GitHub a lone comment is a review of its own, which sends no event.
		id, err := t.exec("INSERT INTO reviews (issue_id, author_id, state, body, sha, submitted) VALUES (?,?,'COMMENTED','',?,?)", i.ID, c.viewer.ID, i.Pull.HeadSHA, t.now)
		if err != nil {
			return err
		}
		rc.ReviewID = id
		made, err := t.addReviewComment(rp, i, c.viewer, rc, true)
		if err != nil {
			return err
		}
		o, err = t.reviewCommentJSON(rp, i, made)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}
