package local

import (
	"fmt"
	"slices"
	"strings"
)

// ruleSource is one set of rules for a branch: its protection, or a ruleset
// that covers it. A branch can have several; all of them must be met.
type ruleSource struct {
	ID      int64 // of a ruleset
	Name    string
	Classic bool // branch protection, whose refusals are worded differently

	Checks    []appCheck
	HasChecks bool
	Strict    bool // the head must contain the tip of the base
	Reviews   *reviewRules
	Push      *restrictions // who may push or merge, nil for everybody with write access
	Methods   []string      // allowed merge methods, nil for all

	Linear, NoForce, NoDelete, NoCreate, NoUpdate bool

	EnforceAdmins bool
	Bypass        []bypassActor
}

// reviewRules ask for approvals and so for a pull request.
type reviewRules struct {
	Count        int
	DismissStale bool
	CodeOwners   bool // of what the pull request changes, somebody each must approve
	LastPush     bool // somebody else than who pushed last must approve
	Bypass       *restrictions
}

// bypassActor may ignore a ruleset.
type bypassActor struct {
	ID   *int64 `json:"actor_id"`
	Type string `json:"actor_type"` // OrganizationAdmin, RepositoryRole, Team, Integration, DeployKey
	Mode string `json:"bypass_mode"`
}

// roleIDs are the numbers of repository roles in bypass lists.
var roleIDs = map[int64]permission{5: permAdmin, 2: permMaintain, 4: permWrite, 3: permTriage, 1: permRead}

// rulesFor collects what applies to a branch.
func (r *reader) rulesFor(rp *repo, branch string) ([]*ruleSource, error) {
	var all []*ruleSource
	p, err := r.protection(rp.ID, branch)
	if err != nil {
		return nil, err
	}
	if p != nil {
		all = append(all, p.rules())
	}
	sets, err := r.rulesetsFor(rp, branch)
	if err != nil {
		return nil, err
	}
	for i := range sets {
		s, err := sets[i].rules()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// among says whether an account is named in a list of people, teams and Apps.
func (r *reader) among(rp *repo, l *restrictions, a *account) (bool, error) {
	is := func(s string) bool { return strings.EqualFold(s, a.Login) }
	app := func(s string) bool { return is(s) || is(s+"[bot]") }
	if slices.ContainsFunc(l.Users, is) || slices.ContainsFunc(l.Apps, app) {
		return true, nil
	}
	for _, slug := range l.Teams {
		n, err := r.count("SELECT count(*) FROM team_members m JOIN teams t ON t.id = m.team_id WHERE t.org_id = ? AND t.slug = ? AND m.user_id = ?", rp.Owner.ID, slug, a.ID)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	return false, nil
}

// bypassed says whether an account may ignore the rules of a source. inPull
// is set for merging a pull request, which more people may be allowed.
func (r *reader) bypassed(rp *repo, s *ruleSource, a *account, inPull bool) (bool, error) {
	if s.Classic {
		if s.EnforceAdmins {
			return false, nil
		}
		p, err := r.granted(rp, a)
		// Apps are never administrators, whatever their permissions.
		return p == permAdmin && a.grant == nil, err
	}
	for _, b := range s.Bypass {
		if b.Mode == "pull_request" && !inPull {
			continue
		}
		ok := false
		switch b.Type {
		case "OrganizationAdmin":
			role, err := r.orgRole(rp.Owner.ID, a.ID)
			if err != nil {
				return false, err
			}
			ok = role == "admin" || a.Admin
		case "RepositoryRole":
			if b.ID == nil {
				continue
			}
			want, known := roleIDs[*b.ID]
			p, err := r.granted(rp, a)
			if err != nil {
				return false, err
			}
			ok = known && p >= want && a.grant == nil
		case "Team":
			if b.ID == nil {
				continue
			}
			n, err := r.count("SELECT count(*) FROM team_members WHERE team_id = ? AND user_id = ?", *b.ID, a.ID)
			if err != nil {
				return false, err
			}
			ok = n > 0
		case "Integration":
			if b.ID == nil {
				continue
			}
			n, err := r.count("SELECT count(*) FROM apps WHERE id = ? AND bot_id = ?", *b.ID, a.ID)
			if err != nil {
				return false, err
			}
			ok = n > 0
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// evidence is what is known about a commit and its reviews when rules are judged.
type evidence struct {
	Statuses []status
	Runs     []checkRun
	// AppOf maps accounts to the Apps they act for.
	AppOf     map[int64]int64
	Approvals int
	Changes   bool     // somebody with write access asks for changes
	Owners    []string // code owners waited for, if a rule asks
	LastPush  string   // who pushed what nobody else approved, if a rule asks
}

// unmetChecks names the first required check that has not succeeded, in GitHub's words.
func (s *ruleSource) unmetChecks(e *evidence) string {
	for _, c := range s.Checks {
		found, ok := false, false
		mine := func(creator int64) bool { return c.AppID == nil || e.AppOf[creator] == *c.AppID }
		for _, v := range e.Statuses {
			if v.Context == c.Context && mine(v.CreatorID) {
				found, ok = true, v.State == "success"
			}
		}
		for _, k := range e.Runs {
			if k.Name == c.Context && mine(k.CreatorID) && !ok {
				found, ok = true, checkPassed(k)
			}
		}
		switch {
		case !found:
			return fmt.Sprintf("Required status check %q is expected.", c.Context)
		case !ok:
			return fmt.Sprintf("Required status check %q has not succeeded.", c.Context)
		}
	}
	return ""
}

// unmetReviews names what reviewers still have to do, "" for nothing, in GitHub's words.
func (s *ruleSource) unmetReviews(e *evidence) string {
	v := s.Reviews
	if v == nil {
		return ""
	}
	need := v.Count
	if s.Classic {
		need = max(1, need)
	}
	switch {
	case e.Changes && need > 0:
		return "Changes were requested."
	case e.Approvals < need && need == 1:
		return "At least 1 approving review is required by reviewers with write access."
	case e.Approvals < need:
		return fmt.Sprintf("At least %d approving reviews are required by reviewers with write access.", need)
	case v.CodeOwners && len(e.Owners) > 0:
		return "Waiting on code owner review from " + orList(e.Owners) + "."
	case v.LastPush && e.LastPush != "":
		return "New changes require approval from someone other than " + e.LastPush + " because they were the last pusher."
	}
	return ""
}

// unmet names the first rule that a pull request does not meet, "" for none.
func (s *ruleSource) unmet(e *evidence) string {
	if why := s.unmetReviews(e); why != "" {
		return why
	}
	return s.unmetChecks(e)
}

func anyRule(all []*ruleSource, is func(*ruleSource) bool) bool { return slices.ContainsFunc(all, is) }

// evidenceFor gathers what has been reported about a commit.
func (r *reader) evidenceFor(rp *repo, sha string) (*evidence, error) {
	e := &evidence{AppOf: map[int64]int64{}}
	var err error
	if e.Statuses, err = r.latestStatuses(rp.ID, sha); err != nil {
		return nil, err
	}
	if e.Runs, err = r.latestCheckRuns(rp.ID, sha); err != nil {
		return nil, err
	}
	type row struct{ bot, app int64 }
	apps, err := list(r, func(s scanner, v *row) error { return s.Scan(&v.bot, &v.app) }, "SELECT bot_id, id FROM apps")
	for _, a := range apps {
		e.AppOf[a.bot] = a.app
	}
	return e, err
}
