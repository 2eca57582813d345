package local

import (
	"encoding/json"
	"slices"
)

func rulesetRoutes() []route {
	all := []route{{method: "GET", pattern: "/repos/{owner}/{repo}/rules/branches/{branch...}", serve: listBranchRules}}
	for _, base := range []string{"/orgs/{org}/rulesets", "/repos/{owner}/{repo}/rulesets"} {
		all = append(all,
			route{method: "GET", pattern: base, serve: listRulesets},
			route{method: "POST", pattern: base, serve: createRuleset},
			route{method: "GET", pattern: base + "/{id}", serve: getRuleset},
			route{method: "PUT", pattern: base + "/{id}", serve: editRuleset},
			route{method: "DELETE", pattern: base + "/{id}", serve: deleteRuleset},
		)
	}
	return all
}

// rulesetOwner finds whose rulesets the path is about.
func (c *call) rulesetOwner(write bool) (v ruleset, rp *repo, owner *account, err error) {
	if c.params["org"] != "" {
		org, err := c.adminOrg()
		if err != nil {
			return v, nil, nil, err
		}
		v.OrgID = org.ID
		return v, nil, org, nil
	}
	need := permRead
	if write {
		need = permAdmin
	}
	if rp, err = c.theRepo(need); err != nil {
		return v, nil, nil, err
	}
	v.RepoID = rp.ID
	return v, rp, &rp.Owner, nil
}

func (c *call) rulesetJSON(v *ruleset, full bool) (obj, error) {
	kind, source, self := "Repository", "", ""
	if v.OrgID != 0 {
		org, err := c.accountID(v.OrgID)
		if err != nil {
			return nil, err
		}
		kind, source, self = "Organization", org.Login, c.f.api("/orgs/%s/rulesets/%d", org.Login, v.ID)
	} else {
		rp, err := c.repoID(v.RepoID)
		if err != nil {
			return nil, err
		}
		source, self = rp.fullName(), c.f.api("/repos/%s/rulesets/%d", rp.fullName(), v.ID)
	}
	o := obj{
		"id": v.ID, "node_id": nodeID("RRS", v.ID), "name": v.Name, "target": v.Target, "enforcement": v.Enforcement, "source_type": kind, "source": source,
		"created_at": v.Created, "updated_at": v.Updated, "_links": obj{"self": obj{"href": self}},
	}
	if full {
		o["bypass_actors"], o["conditions"], o["rules"] = json.RawMessage(v.Bypass), json.RawMessage(v.Conditions), json.RawMessage(v.Rules)
		o["current_user_can_bypass"] = "never"
	}
	return o, nil
}

func listRulesets(c *call) (any, error) {
	v, rp, owner, err := c.rulesetOwner(false)
	if err != nil {
		return nil, err
	}
	where, args := "q.org_id = ? AND q.repo_id = ?", []any{v.OrgID, v.RepoID}
	if rp != nil && c.query("includes_parents") != "false" {
		where, args = "q.repo_id = ? OR q.org_id = ?", []any{rp.ID, owner.ID}
	}
	all, err := list(c.reader, scanRuleset, "SELECT "+rulesetCols+" FROM rulesets q WHERE "+where+" ORDER BY q.id", args...)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(v *ruleset) (obj, error) { return c.rulesetJSON(v, false) })
}

// rulesetEdit is the body of ruleset creation and change.
type rulesetEdit struct {
	Name        *string            `json:"name"`
	Target      *string            `json:"target"`
	Enforcement *string            `json:"enforcement"`
	Bypass      []bypassActor      `json:"bypass_actors"`
	Conditions  *rulesetConditions `json:"conditions"`
	Rules       []rule             `json:"rules"`
}

func (e rulesetEdit) apply(v *ruleset) error {
	set(&v.Name, e.Name)
	set(&v.Target, e.Target)
	set(&v.Enforcement, e.Enforcement)
	if err := checkText("Ruleset", "name", v.Name, 100, true); err != nil {
		return err
	}
	if !slices.Contains([]string{"branch", "tag", "push"}, v.Target) {
		return invalid("Ruleset", "target", "invalid", "")
	}
	if !slices.Contains([]string{"active", "disabled", "evaluate"}, v.Enforcement) {
		return invalid("Ruleset", "enforcement", "invalid", "")
	}
	for _, b := range e.Bypass {
		if !slices.Contains([]string{"OrganizationAdmin", "RepositoryRole", "Team", "Integration", "DeployKey"}, b.Type) {
			return invalid("Ruleset", "bypass_actors", "invalid", "")
		}
	}
	for _, r := range e.Rules {
		if !slices.Contains(ruleTypes, r.Type) {
			return invalid("Ruleset", "rules", "invalid", "Invalid rule '"+truncate(r.Type, 50)+"'")
		}
	}
	for _, part := range []struct {
		given bool
		value any
		to    *string
	}{{e.Bypass != nil, e.Bypass, &v.Bypass}, {e.Conditions != nil, e.Conditions, &v.Conditions}, {e.Rules != nil, e.Rules, &v.Rules}} {
		if !part.given {
			continue
		}
		raw, err := json.Marshal(part.value)
		if err != nil {
			return err
		}
		*part.to = string(raw)
	}
	if _, err := v.rules(); err != nil {
		return invalid("Ruleset", "rules", "invalid", "")
	}
	return nil
}

func createRuleset(c *call) (any, error) {
	v, _, _, err := c.rulesetOwner(true)
	if err != nil {
		return nil, err
	}
	v.Target, v.Bypass, v.Conditions, v.Rules = "branch", "[]", "{}", "[]"
	var in rulesetEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(&v); err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		n, err := t.count("SELECT count(*) FROM rulesets WHERE org_id = ? AND repo_id = ? AND name = ?", v.OrgID, v.RepoID, v.Name)
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("Ruleset", "name", "custom", "Name must be unique")
		}
		v.Created, v.Updated = t.now, t.now
		v.ID, err = t.exec("INSERT INTO rulesets (org_id, repo_id, name, target, enforcement, bypass, conditions, rules, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?)",
			v.OrgID, v.RepoID, v.Name, v.Target, v.Enforcement, v.Bypass, v.Conditions, v.Rules, v.Created, v.Updated)
		return err
	})
	if err != nil {
		return nil, err
	}
	o, err := c.rulesetJSON(&v, true)
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) rulesetOf(write bool) (*ruleset, error) {
	owner, _, account, err := c.rulesetOwner(write)
	if err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	if !write && owner.RepoID != 0 {
		return one(c.reader, scanRuleset, "SELECT "+rulesetCols+" FROM rulesets q WHERE q.id = ? AND (q.repo_id = ? OR q.org_id = ?)", id, owner.RepoID, account.ID)
	}
	return one(c.reader, scanRuleset, "SELECT "+rulesetCols+" FROM rulesets q WHERE q.id = ? AND q.org_id = ? AND q.repo_id = ?", id, owner.OrgID, owner.RepoID)
}

func getRuleset(c *call) (any, error) {
	v, err := c.rulesetOf(false)
	if err != nil {
		return nil, err
	}
	return c.rulesetJSON(v, true)
}

func editRuleset(c *call) (any, error) {
	v, err := c.rulesetOf(true)
	if err != nil {
		return nil, err
	}
	var in rulesetEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(v); err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		v.Updated = t.now
		_, err := t.exec("UPDATE rulesets SET name = ?, target = ?, enforcement = ?, bypass = ?, conditions = ?, rules = ?, updated = ? WHERE id = ?", v.Name, v.Target, v.Enforcement, v.Bypass, v.Conditions, v.Rules, v.Updated, v.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.rulesetJSON(v, true)
}

func deleteRuleset(c *call) (any, error) {
	v, err := c.rulesetOf(true)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM rulesets WHERE id = ?", v.ID)
		return err
	})
}

// listBranchRules shows the rules of all active rulesets that cover a branch,
// whether it exists or not.
func listBranchRules(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	sets, err := c.rulesetsFor(rp, c.params["branch"])
	if err != nil {
		return nil, err
	}
	var out []obj
	for i := range sets {
		all, err := sets[i].list()
		if err != nil {
			return nil, err
		}
		shown, err := c.rulesetJSON(&sets[i], false)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			o := obj{"type": r.Type, "ruleset_source_type": shown["source_type"], "ruleset_source": shown["source"], "ruleset_id": sets[i].ID}
			if r.Parameters != nil {
				o["parameters"] = r.Parameters
			}
			out = append(out, o)
		}
	}
	return paginate(c, out), nil
}
