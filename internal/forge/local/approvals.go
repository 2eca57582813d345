package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// approver is somebody with write access whose last opinion is an approval.
type approver struct {
	*account
	sha string // what was approved
}

// countReviews folds the latest opinion of each reviewer with write access,
// and looks for those whose approval the rules want.
func (r *reader) countReviews(rp *repo, i *issue, rules []*ruleSource, e *evidence) error {
	all, err := r.reviews(i.ID)
	if err != nil {
		return err
	}
	latest := map[int64]review{}
	for _, v := range all {
		switch v.State {
		case "APPROVED", "CHANGES_REQUESTED", "DISMISSED":
			latest[v.AuthorID] = v
		}
	}
	var approvers []approver
	for id, v := range latest {
		a, err := r.accountID(id)
		if err != nil {
			return err
		}
		p, err := r.granted(rp, a)
		if err != nil {
			return err
		}
		if p < permWrite {
			continue
		}
		switch v.State {
		case "APPROVED":
			approvers = append(approvers, approver{a, v.SHA})
		case "CHANGES_REQUESTED":
			e.Changes = true
		}
	}
	e.Approvals = len(approvers)
	if i.State != "open" {
		return nil // nothing is waited for any more, and the branches may be gone
	}
	if anyRule(rules, func(s *ruleSource) bool { return s.Reviews != nil && s.Reviews.LastPush }) {
		if e.LastPush, err = r.lastPushUnapproved(i, approvers); err != nil {
			return err
		}
	}
	if anyRule(rules, func(s *ruleSource) bool { return s.Reviews != nil && s.Reviews.CodeOwners }) {
		if e.Owners, err = r.missingOwners(rp, i, approvers); err != nil {
			return fmt.Errorf("looking for code owners of pull request %d of %s: %w", i.Number, rp.fullName(), err)
		}
	}
	return nil
}

// lastPushUnapproved is the login of who pushed the head last, unless somebody
// else approved it since.
func (r *reader) lastPushUnapproved(i *issue, approvers []approver) (string, error) {
	pusher, err := r.lastPusher(i)
	if err != nil {
		return "", err
	}
	for _, a := range approvers {
		if a.ID != pusher && a.sha == i.Pull.HeadSHA {
			return "", nil
		}
	}
	who, err := r.accountID(pusher)
	if err != nil {
		return "", err
	}
	return who.Login, nil
}

// lastPusher is who moved the head branch last, the author when that is not known.
func (r *reader) lastPusher(i *issue) (int64, error) {
	id, err := one(r, scalar[int64], "SELECT pusher_id FROM refs WHERE repo_id = ? AND name = ?", i.Pull.HeadRepoID, "refs/heads/"+i.Pull.HeadRef)
	if errors.Is(err, errNotFound) || err == nil && *id == 0 {
		return i.AuthorID, nil
	}
	if err != nil {
		return 0, err
	}
	return *id, nil
}

// missingOwners are the owners of the first changed file none of whose owners
// approved. The file with the owners is that of the base branch, so that a
// pull request cannot change who judges it.
func (r *reader) missingOwners(rp *repo, i *issue, approvers []approver) ([]string, error) {
	tip, err := r.refSHA(rp.ID, "refs/heads/"+i.Pull.BaseRef)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rules, err := r.codeOwners(rp, tip)
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	files, err := r.f.pullFiles(r.ctx, rp, i, false)
	if err != nil {
		return nil, err
	}
	known := map[string]*owner{}
	judged := map[string]bool{}
	for _, file := range files {
		names := []string{file.Path}
		if file.OldPath != "" {
			names = append(names, file.OldPath) // who owned it must agree that it goes
		}
		for _, name := range names {
			owners := ownersOf(rules, name)
			key := strings.Join(owners, " ")
			if judged[key] {
				continue
			}
			judged[key] = true
			missing, err := r.unapproved(rp, owners, approvers, known)
			if err != nil || missing != nil {
				return missing, err
			}
		}
	}
	return nil, nil
}

// codeOwners reads the rules about owners at a commit.
func (r *reader) codeOwners(rp *repo, commit string) ([]ownerRule, error) {
	b := r.f.bare(rp.ID)
	for _, place := range codeOwnersPlaces {
		kind, sha, size, err := b.pathObject(r.ctx, commit, place)
		if errors.Is(err, errNoObject) || err == nil && kind != "blob" {
			continue
		}
		if err != nil {
			return nil, err
		}
		if size > maxCodeOwners {
			return nil, nil
		}
		text, err := b.blob(r.ctx, sha, maxCodeOwners)
		return parseCodeOwners(text), err
	}
	return nil, nil
}

// owner is whom a word of a CODEOWNERS file means.
type owner struct {
	name    string
	members []int64
}

// unapproved are the names of owners if none of them approved. Owners who do
// not exist or may not write do not count; without any other, nobody is waited for.
func (r *reader) unapproved(rp *repo, words []string, approvers []approver, known map[string]*owner) ([]string, error) {
	var names []string
	for _, word := range words {
		o, seen := known[word]
		if !seen {
			var err error
			if o, err = r.owner(rp, word); err != nil {
				return nil, err
			}
			known[word] = o
		}
		if o == nil {
			continue
		}
		if slices.ContainsFunc(approvers, func(a approver) bool { return slices.Contains(o.members, a.ID) }) {
			return nil, nil
		}
		names = append(names, o.name)
	}
	return names, nil
}

// owner looks up a person or team with write access, nil without.
func (r *reader) owner(rp *repo, word string) (*owner, error) {
	name, named := strings.CutPrefix(word, "@")
	if org, slug, ok := strings.Cut(name, "/"); ok && named {
		return r.ownerTeam(rp, org, slug)
	}
	var a *account
	var err error
	if named {
		a, err = r.account(name)
	} else {
		a, err = one(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.email = ? COLLATE NOCASE AND a.kind != ?", name, kindOrg)
	}
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := r.granted(rp, a)
	if err != nil || p < permWrite {
		return nil, err
	}
	return &owner{a.Login, []int64{a.ID}}, nil
}

// ownerTeam is a team as owner: those in the teams below it belong to it, and
// it has what the teams above it have.
func (r *reader) ownerTeam(rp *repo, org, slug string) (*owner, error) {
	if !strings.EqualFold(org, rp.Owner.Login) {
		return nil, nil
	}
	t, err := r.team(rp.Owner.ID, slug)
	if errors.Is(err, errNotFound) || err == nil && t.Privacy == "secret" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	granted, err := list(r, scalar[string], `WITH RECURSIVE up(id) AS (SELECT ?1 UNION SELECT t.parent_id FROM teams t JOIN up ON t.id = up.id WHERE t.parent_id != 0)
		SELECT x.permission FROM team_repos x WHERE x.repo_id = ?2 AND x.team_id IN (SELECT id FROM up)`, t.ID, rp.ID)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(granted, func(name string) bool { p, err := parsePermission(name); return err == nil && p >= permWrite }) {
		return nil, nil
	}
	members, err := list(r, scalar[int64], `WITH RECURSIVE down(id) AS (SELECT ?1 UNION SELECT t.id FROM teams t JOIN down ON t.parent_id = down.id)
		SELECT DISTINCT user_id FROM team_members WHERE team_id IN (SELECT id FROM down)`, t.ID)
	return &owner{rp.Owner.Login + "/" + t.Slug, members}, err
}

// orList lists names of which one is enough.
func orList(names []string) string {
	switch n := len(names); n {
	case 0, 1, 2:
		return strings.Join(names, " and/or ")
	default:
		return strings.Join(names[:n-1], ", ") + ", and/or " + names[n-1]
	}
}
