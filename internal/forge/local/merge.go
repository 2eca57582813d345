package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// verdict is what GitHub would say about merging a pull request.
type verdict struct {
	Mergeable bool
	State     string // CLEAN, DIRTY, BLOCKED, BEHIND, UNSTABLE, DRAFT
	Decision  string // APPROVED, CHANGES_REQUESTED, REVIEW_REQUIRED or ""
	Behind    bool   // a rule wants the head to contain the base, and it does not
	Sources   []*ruleSource
	Evidence  *evidence
}

// judge computes the verdict on an open pull request. The merge itself is
// tried in git only when head or base moved since the last time.
func (f *Forge) judge(ctx context.Context, rp *repo, i *issue) (*verdict, error) {
	r := f.read(ctx)
	p := i.Pull
	v := &verdict{State: "UNKNOWN"}
	all, err := r.rulesFor(rp, p.BaseRef)
	if err != nil {
		return nil, err
	}
	v.Sources = all
	if v.Evidence, err = r.evidenceFor(rp, p.HeadSHA); err != nil {
		return nil, err
	}
	if err := r.countReviews(rp, i, all, v.Evidence); err != nil {
		return nil, err
	}
	v.Decision = decision(v.Evidence, all)
	if i.State != "open" {
		return v, nil
	}
	tip, err := r.refSHA(rp.ID, "refs/heads/"+p.BaseRef)
	if errors.Is(err, errNotFound) {
		v.State = "DIRTY"
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	if v.Mergeable, err = f.mergeable(ctx, rp, i, tip); err != nil {
		return nil, err
	}
	blocked := false
	for _, s := range all {
		blocked = blocked || s.unmet(v.Evidence) != ""
	}
	if anyRule(all, func(s *ruleSource) bool { return s.Strict }) {
		in, err := f.bare(rp.ID).isAncestor(ctx, tip, p.HeadSHA)
		if err != nil {
			return nil, err
		}
		v.Behind = !in
	}
	switch {
	case !v.Mergeable:
		v.State = "DIRTY"
	case p.Draft:
		v.State = "DRAFT"
	case blocked:
		v.State = "BLOCKED"
	case v.Behind:
		v.State = "BEHIND"
	case unstable(v.Evidence.Statuses, v.Evidence.Runs):
		v.State = "UNSTABLE"
	default:
		v.State = "CLEAN"
	}
	return v, nil
}

// mergeable tries the merge of a head into the tip of its base, with memory.
func (f *Forge) mergeable(ctx context.Context, rp *repo, i *issue, tip string) (bool, error) {
	p := i.Pull
	if p.CheckedBase == tip && p.CheckedHead == p.HeadSHA {
		return p.Mergeable, nil
	}
	_, ok, err := f.bare(rp.ID).mergeTrees(ctx, tip, p.HeadSHA)
	if err != nil {
		return false, err
	}
	p.CheckedBase, p.CheckedHead, p.Mergeable = tip, p.HeadSHA, ok
	return ok, f.write(ctx, func(t *txn) error {
		_, err := t.exec("UPDATE pulls SET checked_base = ?, checked_head = ?, mergeable = ? WHERE issue_id = ?", tip, p.HeadSHA, ok, i.ID)
		return err
	})
}

// reviewDecision is the decision alone, for searches.
func (r *reader) reviewDecision(rp *repo, i *issue) (string, error) {
	all, err := r.rulesFor(rp, i.Pull.BaseRef)
	if err != nil {
		return "", err
	}
	var e evidence
	if err := r.countReviews(rp, i, all, &e); err != nil {
		return "", err
	}
	return decision(&e, all), nil
}

// decision words the opinions of reviewers.
func decision(e *evidence, rules []*ruleSource) string {
	switch {
	case e.Changes:
		return "CHANGES_REQUESTED"
	case anyRule(rules, func(s *ruleSource) bool { return s.unmetReviews(e) != "" }):
		return "REVIEW_REQUIRED"
	case e.Approvals > 0:
		return "APPROVED"
	}
	return ""
}

func checkPassed(k checkRun) bool {
	return k.Status == "completed" && slices.Contains([]string{"success", "neutral", "skipped"}, k.Conclusion)
}

func unstable(statuses []status, runs []checkRun) bool {
	return len(statuses) > 0 && combinedState(statuses) != "success" ||
		slices.ContainsFunc(runs, func(k checkRun) bool { return !checkPassed(k) })
}

// mergeRequest is what the merge API takes.
type mergeRequest struct {
	Method  string `json:"merge_method"`
	Title   string `json:"commit_title"`
	Message string `json:"commit_message"`
	SHA     string `json:"sha"`
}

// merge merges a pull request. The intent is stored before the base branch
// moves, so that a process killed in between still records the merge.
func (f *Forge) merge(ctx context.Context, rp *repo, number int, actor *account, req mergeRequest) (string, error) {
	unlock := f.lockRepo(rp.ID)
	defer unlock()
	r := f.read(ctx)
	i, err := r.pull(rp.ID, number)
	if err != nil {
		return "", err
	}
	p := i.Pull
	method := req.Method
	if method == "" {
		method = "merge"
	}
	switch {
	case method != "merge" && method != "squash" && method != "rebase":
		return "", invalid("PullRequest", "merge_method", "invalid", "")
	case i.State != "open":
		return "", notAllowed("Pull Request is not mergeable")
	case req.SHA != "" && req.SHA != p.HeadSHA:
		return "", &apiError{Status: 409, Message: "Head branch was modified. Review and try the merge again."}
	case p.Draft:
		return "", notAllowed("Pull Request is still a draft")
	case method == "merge" && !rp.AllowMerge:
		return "", notAllowed("Merge commits are not allowed on this repository.")
	case method == "squash" && !rp.AllowSquash:
		return "", notAllowed("Squash merges are not allowed on this repository.")
	case method == "rebase" && !rp.AllowRebase:
		return "", notAllowed("Rebase merges are not allowed on this repository.")
	}
	v, err := f.judge(ctx, rp, i)
	if err != nil {
		return "", err
	}
	if err := r.mayMerge(rp, actor, v, method); err != nil {
		return "", err
	}
	b := f.bare(rp.ID)
	base := "refs/heads/" + p.BaseRef
	tip, err := r.refSHA(rp.ID, base)
	if err != nil {
		return "", err
	}
	sha, err := f.mergeCommit(ctx, r, b, rp, i, actor, tip, method, req)
	if err != nil {
		return "", err
	}
	err = f.write(ctx, func(t *txn) error {
		_, err := t.exec("UPDATE pulls SET intent_sha = ?, intent_by = ? WHERE issue_id = ?", sha, actor.ID, i.ID)
		if err == nil {
			_, err = t.exec("UPDATE repos SET pusher_id = ? WHERE id = ?", actor.ID, rp.ID)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := b.updateRef(ctx, base, sha, tip); err != nil {
		if errors.Is(err, errRefMoved) {
			return "", notAllowed("Base branch was modified. Review and try the merge again.")
		}
		return "", err
	}
	if err := f.syncLocked(ctx, rp.ID, actor); err != nil {
		return "", err
	}
	if rp.DeleteBranch && p.HeadRepoID == rp.ID && p.HeadRef != rp.DefaultBranch {
		if no, err := f.read(ctx).judgeMove(rp, actor, refMove{"refs/heads/" + p.HeadRef, p.HeadSHA, ""}); err != nil || no.Message != "" {
			return sha, err // a protected head stays
		}
		if err := b.updateRef(context.WithoutCancel(ctx), "refs/heads/"+p.HeadRef, "", p.HeadSHA); err != nil && !errors.Is(err, errRefMoved) {
			return "", err
		}
		return sha, f.syncLocked(ctx, rp.ID, actor)
	}
	return sha, nil
}

// mayMerge refuses a merge that the rules of the base branch forbid to actor.
func (r *reader) mayMerge(rp *repo, actor *account, v *verdict, method string) error {
	behind := ""
	for _, s := range v.Sources {
		free, err := r.bypassed(rp, s, actor, true)
		if err != nil {
			return err
		}
		if free {
			continue
		}
		if s.Push != nil {
			in, err := r.among(rp, s.Push, actor)
			if err != nil {
				return err
			}
			if !in {
				return notAllowed("You're not authorized to push to this branch. Visit the protected branches documentation for more information.")
			}
		}
		if s.NoUpdate {
			return s.refuse("Cannot update this protected ref.")
		}
		if method == "merge" && s.Linear {
			return s.refuse(refuseMerges)
		}
		if len(s.Methods) > 0 && !slices.Contains(s.Methods, method) {
			return s.refuse(fmt.Sprintf("%s merges are not allowed by the rules of this branch.", method))
		}
		if !v.Mergeable {
			continue // said below, whatever else is wrong
		}
		why := s.unmetReviews(v.Evidence)
		if why != "" && s.Reviews.Bypass != nil {
			in, err := r.among(rp, s.Reviews.Bypass, actor)
			if err != nil {
				return err
			}
			if in {
				why = ""
			}
		}
		if why == "" {
			why = s.unmetChecks(v.Evidence)
		}
		if why != "" {
			return s.refuse(why)
		}
		if s.Strict && v.Behind && behind == "" {
			behind = "Head branch is out of date. Review and try the merge again."
			if !s.Classic {
				behind = "Repository rule violations found\n\n" + behind
			}
		}
	}
	switch {
	case !v.Mergeable:
		return notAllowed("Pull Request is not mergeable")
	case behind != "":
		return notAllowed(behind)
	}
	return nil
}

// refuse words a refusal as its source does.
func (s *ruleSource) refuse(why string) error {
	if !s.Classic {
		why = "Repository rule violations found\n\n" + why + "\n\n"
	}
	return notAllowed(why)
}

// forgeSignature is the committer of merges made here.
func (f *Forge) forgeSignature() signature {
	return signature{"Forge", "noreply@forge.invalid", f.clock.Now()}
}

// userSignature is an account as author. Accounts without an e-mail get an
// address that leads back to them.
func (f *Forge) userSignature(a *account) signature {
	s := signature{a.Name, a.Email, f.clock.Now()}
	if s.Name == "" {
		s.Name = a.Login
	}
	if s.Email == "" {
		s.Email = a.Login + "@users.noreply.forge.invalid"
	}
	return s
}

// mergeCommit writes what the base branch shall become.
func (f *Forge) mergeCommit(ctx context.Context, r *reader, b bare, rp *repo, i *issue, actor *account, tip, method string, req mergeRequest) (string, error) {
	p := i.Pull
	if method == "rebase" {
		return f.rebase(ctx, b, tip, p.HeadSHA)
	}
	tree, ok, err := b.mergeTrees(ctx, tip, p.HeadSHA)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", notAllowed("Pull Request is not mergeable")
	}
	title, message := req.Title, req.Message
	if method == "merge" {
		owner := rp.Owner.Login
		if head, err := r.headRepo(rp, p); err != nil {
			return "", err
		} else if head != nil {
			owner = head.Owner.Login
		}
		if title == "" {
			title = fmt.Sprintf("Merge pull request #%d from %s/%s", i.Number, owner, p.HeadRef)
		}
		if message == "" {
			message = i.Title
		}
		return b.commitTree(ctx, tree, []string{tip, p.HeadSHA}, f.userSignature(actor), f.forgeSignature(), commitMessage(title, message))
	}
	commits, err := b.log(ctx, p.HeadSHA, logQuery{Exclude: tip, Reverse: true, Max: 250})
	if err != nil {
		return "", err
	}
	if title == "" {
		title = fmt.Sprintf("%s (#%d)", i.Title, i.Number)
	}
	if message == "" {
		message = squashMessage(commits)
	}
	author, err := r.accountID(i.AuthorID)
	if err != nil {
		return "", err
	}
	return b.commitTree(ctx, tree, []string{tip}, f.userSignature(author), f.forgeSignature(), commitMessage(title, message))
}

func commitMessage(title, body string) string {
	if body = strings.TrimSpace(body); body == "" {
		return title + "\n"
	}
	return title + "\n\n" + body + "\n"
}

// squashMessage lists the commits of a squash; a single one gives its body.
func squashMessage(commits []commit) string {
	if len(commits) == 1 {
		_, body, _ := strings.Cut(commits[0].Message, "\n")
		return body
	}
	var b strings.Builder
	for _, c := range commits {
		if len(c.Parents) < 2 {
			fmt.Fprintf(&b, "* %s\n\n", c.Message)
		}
	}
	return b.String()
}

// rebase replays the commits of head that tip does not have, merges left out,
// on top of tip.
func (f *Forge) rebase(ctx context.Context, b bare, tip, head string) (string, error) {
	commits, err := b.log(ctx, head, logQuery{Exclude: tip, Reverse: true})
	if err != nil {
		return "", err
	}
	current, err := b.commit(ctx, tip)
	if err != nil {
		return "", err
	}
	for _, c := range commits {
		if len(c.Parents) != 1 {
			continue
		}
		// A cherry-pick is a merge whose base is the parent of the picked commit.
		// A commit with the current tree and that parent makes git find this base.
		stand, err := b.commitTree(ctx, current.Tree, c.Parents, c.Author, c.Committer, "stand-in\n")
		if err != nil {
			return "", err
		}
		tree, ok, err := b.mergeTrees(ctx, stand, c.SHA)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", notAllowed("This branch can't be rebased")
		}
		if tree == current.Tree {
			continue // already there
		}
		sha, err := b.commitTree(ctx, tree, []string{current.SHA}, c.Author, f.forgeSignature(), c.Message+"\n")
		if err != nil {
			return "", err
		}
		current = &commit{SHA: sha, Tree: tree}
	}
	if current.SHA == tip {
		return "", notAllowed("Pull Request is not mergeable")
	}
	return current.SHA, nil
}
