package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxPushCommits is GitHub's limit for the commits of one push event.
const maxPushCommits = 2048

// move is one ref that is elsewhere than the database says.
type move struct {
	Ref, Before, After string // "" for absence
	Forced             bool
	Commits            []pushedCommit
	Head               *pushedCommit
}

// pushedCommit is a commit of a push with the files it touches.
type pushedCommit struct {
	commit
	Added, Removed, Modified []string
}

func (m *move) branch() (string, bool) { return strings.CutPrefix(m.Ref, "refs/heads/") }

// stats is the size of a pull request.
type stats struct{ Additions, Deletions, Files, Commits int }

// headMove is a pull request whose head branch moved.
type headMove struct {
	base   *repo
	issue  *issue
	before string
	after  string // "" when the branch is gone
	forced bool
	stats  stats
}

// syncRefs tells the world what changed in git since it was last told: it
// compares the refs of a repository with the recorded ones and records the
// difference with its consequences in one transaction. It is the only place
// that does so, whoever moved the refs, and it is safe to repeat.
func (f *Forge) syncRefs(ctx context.Context, repoID int64, actor *account) error {
	unlock := f.lockRepo(repoID)
	defer unlock()
	return f.syncLocked(ctx, repoID, actor)
}

// syncLocked is syncRefs for callers that hold the repository's lock. A nil
// actor stands for whoever was last seen moving refs.
func (f *Forge) syncLocked(ctx context.Context, repoID int64, actor *account) error {
	// A client that hangs up must not stop the consequences of its push.
	ctx = context.WithoutCancel(ctx)
	r := f.read(ctx)
	rp, err := r.repoID(repoID)
	if err != nil {
		return err
	}
	if actor == nil {
		if actor, err = r.accountID(rp.PusherID); err != nil {
			return err
		}
	}
	b := f.bare(repoID)
	moves, err := f.moves(r, rp, b)
	if err != nil {
		return fmt.Errorf("comparing refs of %s: %w", rp.fullName(), err)
	}
	if len(moves) == 0 {
		return nil
	}
	heads, err := f.movedHeads(r, rp, moves)
	if err != nil {
		return fmt.Errorf("following pull requests of %s: %w", rp.fullName(), err)
	}
	merged, err := f.mergedPulls(r, rp, b, moves, heads)
	if err != nil {
		return fmt.Errorf("looking for merged pull requests of %s: %w", rp.fullName(), err)
	}
	return f.write(ctx, func(t *txn) error {
		if _, err := t.exec("UPDATE repos SET pushed = ?, updated = ? WHERE id = ?", t.now, t.now, rp.ID); err != nil {
			return err
		}
		rp.Pushed, rp.Updated = t.now, t.now
		for i := range moves {
			if err := t.recordMove(rp, actor, &moves[i]); err != nil {
				return err
			}
		}
		for i := range heads {
			if err := t.recordHead(actor, &heads[i]); err != nil {
				return err
			}
		}
		for i := range merged {
			if err := t.recordMerge(rp, actor, &merged[i]); err != nil {
				return err
			}
		}
		return t.closeOrphans(rp, actor, moves)
	})
}

// moves compares git with the table of refs.
func (f *Forge) moves(r *reader, rp *repo, b bare) ([]move, error) {
	now, err := b.refs(r.ctx)
	if err != nil {
		return nil, err
	}
	type ref struct{ name, sha string }
	old, err := list(r, func(s scanner, v *ref) error { return s.Scan(&v.name, &v.sha) }, "SELECT name, sha FROM refs WHERE repo_id = ?", rp.ID)
	if err != nil {
		return nil, err
	}
	var moves []move
	known := ""
	for _, o := range old {
		if o.name == "refs/heads/"+rp.DefaultBranch {
			known = o.sha
		}
		if now[o.name] != o.sha {
			moves = append(moves, move{Ref: o.name, Before: o.sha, After: now[o.name]})
		}
		delete(now, o.name)
	}
	for name, sha := range now {
		moves = append(moves, move{Ref: name, After: sha})
	}
	slices.SortFunc(moves, func(a, b move) int { return strings.Compare(a.Ref, b.Ref) })
	hooks, err := r.count("SELECT count(*) FROM hooks WHERE repo_id = ? OR (org_id != 0 AND org_id = ?)", rp.ID, rp.Owner.ID)
	if err != nil {
		return nil, err
	}
	for i := range moves {
		m := &moves[i]
		if m.Before != "" && m.After != "" {
			ff, err := b.isAncestor(r.ctx, m.Before, m.After)
			m.Forced = err == nil && !ff
		}
		if hooks == 0 || m.After == "" {
			continue // nobody listens: do not read history
		}
		if err := f.describeMove(r.ctx, b, m, known); err != nil {
			return nil, err
		}
	}
	return moves, nil
}

// describeMove reads the commits a push brought. known bounds what a new
// branch shows: commits of the default branch are not news.
func (f *Forge) describeMove(ctx context.Context, b bare, m *move, known string) error {
	head, err := b.resolve(ctx, m.After)
	if errors.Is(err, errNoObject) {
		return nil // a tag that points at no commit
	}
	if err != nil {
		return err
	}
	exclude := m.Before
	if exclude == "" {
		exclude = known
	}
	var commits []commit
	if _, isBranch := m.branch(); isBranch {
		limit := maxPushCommits
		if exclude == "" {
			limit = 1 // the first push is an import: its history is no news and may be long
		}
		if commits, err = b.log(ctx, head, logQuery{Exclude: exclude, Reverse: true, Max: limit}); err != nil {
			return err
		}
	}
	top, err := b.commit(ctx, head)
	if err != nil {
		return err
	}
	all, err := b.touched(ctx, append(commits, *top))
	if err != nil {
		return err
	}
	m.Commits, m.Head = all[:len(commits)], &all[len(commits)]
	return nil
}

// touched lists the files of each commit, against its first parent.
func (b bare) touched(ctx context.Context, commits []commit) ([]pushedCommit, error) {
	list := make([]pushedCommit, len(commits))
	bySHA := map[string][]*pushedCommit{}
	var in strings.Builder
	for i, c := range commits {
		list[i].commit = c
		if bySHA[c.SHA] == nil {
			in.WriteString(c.SHA + "\n")
		}
		bySHA[c.SHA] = append(bySHA[c.SHA], &list[i])
	}
	out, err := b.git.run(ctx, b.dir, input{stdin: strings.NewReader(in.String())},
		"diff-tree", "--stdin", "-r", "-z", "--root", "--no-renames", "--diff-merges=first-parent", "--name-status", "--always")
	if err != nil {
		return nil, fmt.Errorf("listing files of commits: %w", err)
	}
	f := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	var cur []*pushedCommit
	for i := 0; i < len(f); i++ {
		switch s := strings.TrimSpace(f[i]); {
		case validSHA(s):
			cur = bySHA[s]
		case len(s) == 1 && i+1 < len(f):
			i++
			for _, c := range cur {
				switch s {
				case "A":
					c.Added = append(c.Added, f[i])
				case "D":
					c.Removed = append(c.Removed, f[i])
				default:
					c.Modified = append(c.Modified, f[i])
				}
			}
		}
	}
	return list, nil
}

// movedHeads finds the open pull requests whose head branch moved and brings
// refs/pull/N/head of their base repository along.
func (f *Forge) movedHeads(r *reader, rp *repo, moves []move) ([]headMove, error) {
	var heads []headMove
	for i := range moves {
		branch, ok := moves[i].branch()
		if !ok {
			continue
		}
		pulls, err := list(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.state = 'open' AND p.head_repo_id = ? AND p.head_ref = ? ORDER BY i.id", rp.ID, branch)
		if err != nil {
			return nil, err
		}
		for k := range pulls {
			is := &pulls[k]
			if is.Pull.HeadSHA == moves[i].After {
				continue
			}
			base, err := r.repoID(is.RepoID)
			if err != nil {
				return nil, err
			}
			h := headMove{base: base, issue: is, before: is.Pull.HeadSHA, after: moves[i].After, forced: moves[i].Forced}
			if h.after != "" {
				if err := f.placeHead(r.ctx, base.ID, rp.ID, h.after, is.Number); err != nil {
					return nil, err
				}
				tip, err := r.refSHA(base.ID, "refs/heads/"+is.Pull.BaseRef)
				if err != nil && !errors.Is(err, errNotFound) {
					return nil, err
				}
				if h.stats, err = f.bare(base.ID).stats(r.ctx, tip, h.after); err != nil {
					return nil, err
				}
			}
			heads = append(heads, h)
		}
	}
	return heads, nil
}

// placeHead makes refs/pull/N/head of the base repository point at sha.
func (f *Forge) placeHead(ctx context.Context, baseID, headID int64, sha string, number int) error {
	b := f.bare(baseID)
	if headID != baseID {
		// By object name: the branch may have moved on meanwhile.
		if err := b.fetch(ctx, f.repoDir(headID), sha, pullRef(number)); err != nil {
			return err
		}
	}
	return b.setRef(ctx, pullRef(number), sha)
}

// stats measures base...head.
func (b bare) stats(ctx context.Context, base, head string) (stats, error) {
	if base == "" {
		return stats{}, nil
	}
	mb, err := b.mergeBase(ctx, base, head)
	if err != nil {
		return stats{}, err
	}
	files, err := b.diff(ctx, mb, head, false)
	if err != nil {
		return stats{}, err
	}
	s := stats{Files: len(files)}
	for _, c := range files {
		s.Additions += c.Additions
		s.Deletions += c.Deletions
	}
	s.Commits, err = b.count(ctx, head, mb)
	return s, err
}

// mergedPull is a pull request that a move of its base branch completed.
type mergedPull struct {
	issue *issue
	sha   string
	by    int64 // 0: the pusher
}

// mergedPulls finds pull requests whose merge, by button or by push, arrived
// on the base branch.
func (f *Forge) mergedPulls(r *reader, rp *repo, b bare, moves []move, heads []headMove) ([]mergedPull, error) {
	var out []mergedPull
	for i := range moves {
		m := &moves[i]
		branch, ok := m.branch()
		if !ok || m.After == "" {
			continue
		}
		pulls, err := list(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.state = 'open' AND i.repo_id = ? AND p.base_ref = ? ORDER BY i.id", rp.ID, branch)
		if err != nil {
			return nil, err
		}
		for k := range pulls {
			is := &pulls[k]
			if p := is.Pull; p.IntentSHA != "" {
				done, err := b.isAncestor(r.ctx, p.IntentSHA, m.After)
				if err != nil && exitCode(err) < 0 {
					return nil, err
				}
				if done {
					out = append(out, mergedPull{is, p.IntentSHA, p.IntentBy})
					continue
				}
			}
			head := is.Pull.HeadSHA
			for _, h := range heads {
				if h.issue.ID == is.ID {
					head = h.after
				}
			}
			if head == "" {
				continue
			}
			in, err := b.isAncestor(r.ctx, head, m.After)
			if err != nil {
				return nil, err
			}
			if in && m.Before != "" {
				before, err := b.isAncestor(r.ctx, head, m.Before)
				if err != nil {
					return nil, err
				}
				in = !before
			}
			if in {
				out = append(out, mergedPull{is, m.After, 0})
			}
		}
	}
	return out, nil
}

// recordMove stores the new place of a ref and sends create, delete and push.
func (t *txn) recordMove(rp *repo, actor *account, m *move) error {
	var err error
	if m.After == "" {
		_, err = t.exec("DELETE FROM refs WHERE repo_id = ? AND name = ?", rp.ID, m.Ref)
	} else {
		_, err = t.exec("INSERT INTO refs (repo_id, name, sha, pusher_id) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET sha = excluded.sha, pusher_id = excluded.pusher_id", rp.ID, m.Ref, m.After, actor.ID)
	}
	if err != nil {
		return err
	}
	kind, short := "branch", strings.TrimPrefix(m.Ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(m.Ref, "refs/tags/"); ok {
		kind, short = "tag", tag
	}
	switch {
	case m.Before == "":
		err = t.emit(rp, actor, "create", "", obj{"ref": short, "ref_type": kind, "master_branch": rp.DefaultBranch, "description": orNull(rp.Description), "pusher_type": "user"})
	case m.After == "":
		err = t.emit(rp, actor, "delete", "", obj{"ref": short, "ref_type": kind, "pusher_type": "user"})
	}
	if err != nil {
		return err
	}
	payload, err := t.pushJSON(rp, actor, m)
	if err != nil {
		return err
	}
	return t.emit(rp, actor, "push", "", payload)
}

// pushJSON renders a push event. Its repository differs from all other events:
// the owner carries a name, the times are numbers.
func (t *txn) pushJSON(rp *repo, actor *account, m *move) (obj, error) {
	before, after := m.Before, m.After
	compare := ""
	switch {
	case before == "":
		before = zeroSHA
		compare = t.f.web("/%s/commit/%.12s", rp.fullName(), m.After)
	case after == "":
		after = zeroSHA
		compare = t.f.web("/%s/compare/%.12s...%.12s", rp.fullName(), before, zeroSHA)
	default:
		compare = t.f.web("/%s/compare/%.12s...%.12s", rp.fullName(), before, after)
	}
	ro := t.f.repoJSON(rp)
	owner := ro["owner"].(obj)
	owner["name"], owner["email"] = rp.Owner.Login, orNull(rp.Owner.Email)
	ro["created_at"], ro["pushed_at"] = rp.Created.Unix(), t.now.Unix()
	ro["master_branch"], ro["stargazers"] = rp.DefaultBranch, 0
	if rp.Owner.Kind == kindOrg {
		ro["organization"] = rp.Owner.Login
	}
	commits := make([]obj, 0, len(m.Commits))
	for i := range m.Commits {
		o, err := t.pushedJSON(rp, &m.Commits[i])
		if err != nil {
			return nil, err
		}
		commits = append(commits, o)
	}
	payload := obj{
		"ref": m.Ref, "before": before, "after": after, "created": m.Before == "", "deleted": m.After == "", "forced": m.Forced, "base_ref": nil,
		"compare": compare, "commits": commits, "head_commit": nil, "repository": ro,
		"pusher": obj{"name": actor.Login, "email": orNull(actor.Email)},
	}
	if m.Head != nil {
		o, err := t.pushedJSON(rp, m.Head)
		if err != nil {
			return nil, err
		}
		payload["head_commit"] = o
	}
	return payload, nil
}

func (t *txn) pushedJSON(rp *repo, c *pushedCommit) (obj, error) {
	person := func(s signature) (obj, error) {
		o := obj{"name": s.Name, "email": s.Email, "date": when{s.When}}
		u, err := t.userByEmail(s.Email)
		if uo, ok := u.(obj); ok {
			o["username"] = uo["login"]
		}
		return o, err
	}
	author, err := person(c.Author)
	if err != nil {
		return nil, err
	}
	committer, err := person(c.Committer)
	if err != nil {
		return nil, err
	}
	return obj{
		"id": c.SHA, "tree_id": c.Tree, "distinct": true, "message": c.Message, "timestamp": when{c.Committer.When},
		"url": t.f.web("/%s/commit/%s", rp.fullName(), c.SHA), "author": author, "committer": committer,
		"added": orEmpty(c.Added), "removed": orEmpty(c.Removed), "modified": orEmpty(c.Modified),
	}, nil
}

// orEmpty makes nil lists show as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// recordHead moves the head of a pull request, or closes it when its branch is gone.
func (t *txn) recordHead(actor *account, h *headMove) error {
	is, err := t.issueID(h.issue.ID)
	if err != nil {
		return err
	}
	if is.State != "open" {
		return nil
	}
	if h.after == "" {
		// A merge deletes its branch after it was recorded, so this one is unmerged.
		if err := t.record(is, actor, event{Event: "head_ref_deleted"}); err != nil {
			return err
		}
		return t.setState(h.base, is, actor, "closed", "")
	}
	tip, err := t.refSHA(h.base.ID, "refs/heads/"+is.Pull.BaseRef)
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	is.Pull.HeadSHA, is.Pull.BaseSHA = h.after, tip
	if _, err := t.exec("UPDATE pulls SET head_sha = ?, base_sha = ? WHERE issue_id = ?", h.after, tip, is.ID); err != nil {
		return err
	}
	if err := t.saveStats(is, h.stats); err != nil {
		return err
	}
	if err := t.dismissStale(h.base, is, actor); err != nil {
		return err
	}
	entry := event{Event: "head_ref_pushed", Before: h.before, After: h.after, SHA: h.after}
	if h.forced {
		entry.Event = "head_ref_force_pushed"
	}
	if err := t.record(is, actor, entry); err != nil {
		return err
	}
	if err := t.touch(is); err != nil {
		return err
	}
	return t.emitIssue(h.base, is, actor, "synchronize", obj{"before": h.before, "after": h.after})
}

// dismissStale takes the weight from approvals of what the head was before,
// where the rules of the base branch ask for that.
func (t *txn) dismissStale(rp *repo, i *issue, actor *account) error {
	rules, err := t.rulesFor(rp, i.Pull.BaseRef)
	if err != nil || !anyRule(rules, func(s *ruleSource) bool { return s.Reviews != nil && s.Reviews.DismissStale }) {
		return err
	}
	all, err := t.reviews(i.ID)
	if err != nil {
		return err
	}
	for k := range all {
		if all[k].State == "APPROVED" {
			if err := t.dismissReview(rp, i, &all[k], actor, "The head of the pull request moved."); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordMerge marks a pull request as merged.
func (t *txn) recordMerge(rp *repo, pusher *account, m *mergedPull) error {
	is, err := t.issueID(m.issue.ID)
	if err != nil || is.State != "open" {
		return err
	}
	actor := pusher
	if m.by != 0 {
		if actor, err = t.accountID(m.by); err != nil {
			return err
		}
	}
	is.Pull.Merged, is.Pull.MergedBy, is.Pull.MergeSHA = t.now, actor.ID, m.sha
	if _, err := t.exec("UPDATE pulls SET merged = ?, merged_by = ?, merge_sha = ?, intent_sha = '' WHERE issue_id = ?", t.now, actor.ID, m.sha, is.ID); err != nil {
		return err
	}
	if err := t.record(is, actor, event{Event: "merged", SHA: m.sha}); err != nil {
		return err
	}
	return t.setState(rp, is, actor, "closed", "")
}

// closeOrphans closes pull requests whose base branch was deleted.
func (t *txn) closeOrphans(rp *repo, actor *account, moves []move) error {
	for i := range moves {
		branch, ok := moves[i].branch()
		if !ok || moves[i].After != "" {
			continue
		}
		pulls, err := list(&t.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.state = 'open' AND i.repo_id = ? AND p.base_ref = ? ORDER BY i.id", rp.ID, branch)
		if err != nil {
			return err
		}
		for k := range pulls {
			if err := t.setState(rp, &pulls[k], actor, "closed", ""); err != nil {
				return err
			}
		}
	}
	return nil
}
