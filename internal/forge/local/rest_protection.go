package local

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

var errNotProtected = &apiError{Status: http.StatusNotFound, Message: "Branch not protected"}

// changeBranch serves POST below a branch: parts of its protection, or its new name.
func changeBranch(c *call) (any, error) {
	if branch, ok := strings.CutSuffix(c.params["branch"], "/rename"); ok {
		return c.renameBranch(branch)
	}
	return changeProtection(c)
}

// changeProtection serves everything at and below "branches/{branch}/protection".
func changeProtection(c *call) (any, error) {
	branch, part, ok := protectionOf(c.params["branch"])
	if !ok {
		return nil, errNotFound
	}
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	if _, err := c.refSHA(rp.ID, "refs/heads/"+branch); errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not found"}
	} else if err != nil {
		return nil, err
	}
	p, err := c.protection(rp.ID, branch)
	if err != nil {
		return nil, err
	}
	if part == "" && c.http.Method == http.MethodPut {
		return c.putProtection(rp, branch, p)
	}
	if p == nil {
		return nil, errNotProtected
	}
	switch {
	case part != "":
		return c.protectionPart(rp, branch, p, part)
	case c.http.Method == http.MethodGet:
		return c.protectionJSON(rp, branch, p)
	case c.http.Method == http.MethodDelete:
		return noContent, c.f.write(c.ctx, func(t *txn) error {
			if _, err := t.exec("DELETE FROM protections WHERE repo_id = ? AND branch = ?", rp.ID, branch); err != nil {
				return err
			}
			return t.emit(rp, c.viewer, "branch_protection_rule", "deleted", obj{"rule": obj{"name": branch}})
		})
	}
	return nil, errNotFound
}

// putProtection replaces the protection. Four keys must be there, null or not.
func (c *call) putProtection(rp *repo, branch string, before *protection) (any, error) {
	var raw map[string]json.RawMessage
	if err := c.body(&raw); err != nil {
		return nil, err
	}
	var missing []string
	for _, key := range []string{"required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"} {
		if _, ok := raw[key]; !ok {
			missing = append(missing, `"`+key+`"`)
		}
	}
	if len(missing) == 1 {
		return nil, invalidRequest(missing[0] + " wasn't supplied.")
	}
	if len(missing) > 1 {
		return nil, invalidRequest(strings.Join(missing, ", ") + " weren't supplied.")
	}
	var p protection
	if err := c.body(&p); err != nil {
		return nil, err
	}
	if p.Restrictions != nil && rp.Owner.Kind != kindOrg {
		return nil, invalid("ProtectedBranch", "restrictions", "custom", "Only organization repositories can have users and team restrictions")
	}
	if before != nil { // set by operations of its own only
		p.RequiredSignatures = before.RequiredSignatures
	}
	if err := c.saveProtection(rp, branch, &p); err != nil {
		return nil, err
	}
	return c.protectionJSON(rp, branch, &p)
}

func (c *call) saveProtection(rp *repo, branch string, p *protection) error {
	if s := p.RequiredStatusChecks; s != nil {
		s.settle()
	}
	if v := p.RequiredPullRequestReviews; v != nil && (v.RequiredApprovingReviewCount < 0 || v.RequiredApprovingReviewCount > 6) {
		return invalidRequest("required_approving_review_count must be between 0 and 6.")
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return c.f.write(c.ctx, func(t *txn) error {
		n, err := t.count("SELECT count(*) FROM protections WHERE repo_id = ? AND branch = ?", rp.ID, branch)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO protections (repo_id, branch, rules) VALUES (?,?,?) ON CONFLICT DO UPDATE SET rules = excluded.rules", rp.ID, branch, string(raw)); err != nil {
			return err
		}
		return t.emit(rp, c.viewer, "branch_protection_rule", map[bool]string{false: "created", true: "edited"}[n > 0], obj{"rule": obj{"name": branch}})
	})
}

func (c *call) protectionJSON(rp *repo, branch string, p *protection) (obj, error) {
	u := c.f.api("/repos/%s/branches/%s/protection", rp.fullName(), escapePath(branch))
	flag := func(v bool) obj { return obj{"enabled": v} }
	o := obj{
		"url": u, "enforce_admins": obj{"url": u + "/enforce_admins", "enabled": p.EnforceAdmins}, "required_linear_history": flag(p.RequiredLinearHistory),
		"allow_force_pushes": flag(p.AllowForcePushes), "allow_deletions": flag(p.AllowDeletions), "block_creations": flag(p.BlockCreations),
		"required_conversation_resolution": flag(p.RequiredConversationResolution), "lock_branch": flag(p.LockBranch), "allow_fork_syncing": flag(p.AllowForkSyncing),
		"required_signatures": obj{"url": u + "/required_signatures", "enabled": p.RequiredSignatures},
	}
	if p.RequiredStatusChecks != nil {
		o["required_status_checks"] = checksJSON(u, p.RequiredStatusChecks)
	}
	if p.RequiredPullRequestReviews != nil {
		o["required_pull_request_reviews"] = reviewsJSON(u, p.RequiredPullRequestReviews)
	}
	if p.Restrictions != nil {
		var err error
		if o["restrictions"], err = c.restrictionsJSON(rp, u, p.Restrictions); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func checksJSON(u string, s *checkProtection) obj {
	checks := make([]obj, 0, len(s.Checks))
	for _, k := range s.Checks {
		checks = append(checks, obj{"context": k.Context, "app_id": k.AppID})
	}
	u += "/required_status_checks"
	return obj{"url": u, "strict": s.Strict, "contexts": orEmpty(s.Contexts), "contexts_url": u + "/contexts", "checks": checks}
}

func reviewsJSON(u string, s *reviewProtection) obj {
	return obj{
		"url": u + "/required_pull_request_reviews", "dismiss_stale_reviews": s.DismissStaleReviews, "require_code_owner_reviews": s.RequireCodeOwnerReviews,
		"required_approving_review_count": s.RequiredApprovingReviewCount, "require_last_push_approval": s.RequireLastPushApproval,
	}
}

// restrictionLists renders the three lists of those who may push.
func (c *call) restrictionLists(rp *repo, s *restrictions) (users, teams, apps []obj, err error) {
	users, teams, apps = []obj{}, []obj{}, []obj{}
	for _, login := range s.Users {
		a, err := c.account(login)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, nil, err
		}
		users = append(users, c.f.userJSON(a))
	}
	for _, slug := range s.Teams {
		t, err := c.team(rp.Owner.ID, slug)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, nil, err
		}
		teams = append(teams, c.f.plainTeamJSON(&rp.Owner, t))
	}
	for _, slug := range s.Apps {
		p, err := one(c.reader, scanApp, "SELECT "+appCols+" FROM apps p WHERE p.slug = ?", slug)
		if errors.Is(err, errNotFound) {
			apps = append(apps, obj{"slug": slug, "name": slug, "id": 0}) // not an App of this forge
			continue
		}
		if err != nil {
			return nil, nil, nil, err
		}
		o, err := c.appObj(p)
		if err != nil {
			return nil, nil, nil, err
		}
		apps = append(apps, o)
	}
	return users, teams, apps, nil
}

func (c *call) restrictionsJSON(rp *repo, u string, s *restrictions) (obj, error) {
	users, teams, apps, err := c.restrictionLists(rp, s)
	u += "/restrictions"
	return obj{"url": u, "users_url": u + "/users", "teams_url": u + "/teams", "apps_url": u + "/apps", "users": users, "teams": teams, "apps": apps}, err
}

// protectionPart serves one part of a protection.
func (c *call) protectionPart(rp *repo, branch string, p *protection, part string) (any, error) {
	u := c.f.api("/repos/%s/branches/%s/protection", rp.fullName(), escapePath(branch))
	method := c.http.Method
	save := func(answer any) (any, error) {
		if err := c.saveProtection(rp, branch, p); err != nil {
			return nil, err
		}
		if method == http.MethodDelete && answer == nil {
			return noContent, nil
		}
		return answer, nil
	}
	switch {
	case part == "enforce_admins" || part == "required_signatures":
		flag := &p.EnforceAdmins
		if part == "required_signatures" {
			flag = &p.RequiredSignatures
		}
		switch method {
		case http.MethodPost:
			*flag = true
			return save(obj{"url": u + "/" + part, "enabled": true})
		case http.MethodDelete:
			*flag = false
			return save(nil)
		}
		return obj{"url": u + "/" + part, "enabled": *flag}, nil
	case part == "required_status_checks" || strings.HasPrefix(part, "required_status_checks/"):
		if p.RequiredStatusChecks == nil {
			return nil, &apiError{Status: http.StatusNotFound, Message: "Required status checks not enabled"}
		}
		if part == "required_status_checks/contexts" {
			return c.listPart(&p.RequiredStatusChecks.Contexts, "contexts", func() (any, error) {
				p.RequiredStatusChecks.Checks = nil
				if _, err := save(nil); err != nil {
					return nil, err
				}
				return orEmpty(p.RequiredStatusChecks.Contexts), nil
			})
		}
		switch method {
		case http.MethodDelete:
			p.RequiredStatusChecks = nil
			return save(nil)
		case http.MethodPatch:
			var in struct {
				Strict   *bool       `json:"strict"`
				Contexts *[]string   `json:"contexts"`
				Checks   *[]appCheck `json:"checks"`
			}
			if err := c.body(&in); err != nil {
				return nil, err
			}
			s := p.RequiredStatusChecks
			set(&s.Strict, in.Strict)
			if in.Contexts != nil {
				s.Contexts, s.Checks = *in.Contexts, nil
			}
			set(&s.Checks, in.Checks)
			if _, err := save(nil); err != nil {
				return nil, err
			}
		}
		return checksJSON(u, p.RequiredStatusChecks), nil
	case part == "required_pull_request_reviews":
		if p.RequiredPullRequestReviews == nil && method != http.MethodPatch {
			return nil, &apiError{Status: http.StatusNotFound, Message: "Pull request reviews are not enabled"}
		}
		switch method {
		case http.MethodDelete:
			p.RequiredPullRequestReviews = nil
			return save(nil)
		case http.MethodPatch:
			if p.RequiredPullRequestReviews == nil {
				p.RequiredPullRequestReviews = &reviewProtection{}
			}
			if err := c.body(p.RequiredPullRequestReviews); err != nil {
				return nil, err
			}
			if _, err := save(nil); err != nil {
				return nil, err
			}
		}
		return reviewsJSON(u, p.RequiredPullRequestReviews), nil
	case part == "restrictions" || strings.HasPrefix(part, "restrictions/"):
		if p.Restrictions == nil {
			return nil, &apiError{Status: http.StatusNotFound, Message: "Push restrictions not enabled"}
		}
		if kind, ok := strings.CutPrefix(part, "restrictions/"); ok {
			list := p.Restrictions.list(kind)
			if list == nil {
				return nil, errNotFound
			}
			return c.listPart(list, kind, func() (any, error) {
				if _, err := save(nil); err != nil {
					return nil, err
				}
				users, teams, apps, err := c.restrictionLists(rp, p.Restrictions)
				return map[string][]obj{"users": users, "teams": teams, "apps": apps}[kind], err
			})
		}
		if method == http.MethodDelete {
			p.Restrictions = nil
			return save(nil)
		}
		return c.restrictionsJSON(rp, u, p.Restrictions)
	}
	return nil, errNotFound
}

// listPart serves a list inside a protection: POST adds, PUT replaces, DELETE removes.
// The body is a bare list or an object with the list under its name.
func (c *call) listPart(list *[]string, name string, save func() (any, error)) (any, error) {
	if c.http.Method != http.MethodGet {
		var raw json.RawMessage
		if err := c.body(&raw); err != nil {
			return nil, err
		}
		var given []string
		if json.Unmarshal(raw, &given) != nil {
			var in map[string][]string
			if json.Unmarshal(raw, &in) != nil {
				return nil, badRequest("Problems parsing JSON")
			}
			given = in[name]
		}
		switch c.http.Method {
		case http.MethodPut:
			*list = given
		case http.MethodPost:
			for _, s := range given {
				if !slices.Contains(*list, s) {
					*list = append(*list, s)
				}
			}
		case http.MethodDelete:
			*list = slices.DeleteFunc(*list, func(s string) bool { return slices.Contains(given, s) })
		}
	}
	return save()
}

// renameBranch moves a branch to a new name; its protection and the pull
// requests into it follow.
func (c *call) renameBranch(from string) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		To string `json:"new_name"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validBranch(in.To) {
		return nil, invalid("Branch", "new_name", "invalid", "")
	}
	if from == rp.DefaultBranch && c.perm < permAdmin {
		return nil, forbidden("Must have admin rights to Repository.")
	}
	sha, err := c.refSHA(rp.ID, "refs/heads/"+from)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not found"}
	}
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, "refs/heads/"+in.To, sha, "", true); err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		for _, q := range []string{
			"UPDATE pulls SET base_ref = ?1 WHERE base_ref = ?2 AND issue_id IN (SELECT id FROM issues WHERE repo_id = ?3 AND state = 'open')",
			"UPDATE pulls SET head_ref = ?1 WHERE head_ref = ?2 AND head_repo_id = ?3",
			"UPDATE protections SET branch = ?1 WHERE branch = ?2 AND repo_id = ?3",
			"UPDATE repos SET default_branch = ?1 WHERE default_branch = ?2 AND id = ?3",
		} {
			if _, err := t.exec(q, in.To, from, rp.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.f.initBare(c.ctx, rp.ID); err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, "refs/heads/"+from, "", sha, true); err != nil {
		return nil, err
	}
	c.params["branch"] = in.To
	o, err := getBranch(c)
	if err != nil {
		return nil, err
	}
	return created(o)
}
