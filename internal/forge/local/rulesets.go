package local

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ruleset is a named set of rules of a repository or organisation.
type ruleset struct {
	ID, OrgID, RepoID         int64
	Name, Target, Enforcement string
	Bypass                    string // JSON list of bypassActor
	Conditions, Rules         string // JSON
	Created, Updated          when
}

const rulesetCols = "q.id, q.org_id, q.repo_id, q.name, q.target, q.enforcement, q.bypass, q.conditions, q.rules, q.created, q.updated"

func scanRuleset(s scanner, v *ruleset) error {
	return s.Scan(&v.ID, &v.OrgID, &v.RepoID, &v.Name, &v.Target, &v.Enforcement, &v.Bypass, &v.Conditions, &v.Rules, &v.Created, &v.Updated)
}

// rulesetConditions say which refs and, for organisations, which repositories are covered.
type rulesetConditions struct {
	RefName        *patterns `json:"ref_name,omitempty"`
	RepositoryName *patterns `json:"repository_name,omitempty"`
	RepositoryID   *struct {
		IDs []int64 `json:"repository_ids"`
	} `json:"repository_id,omitempty"`
}

type patterns struct {
	Include []string `json:"include"`
	Exclude []string `json:"exclude"`
}

// matchPattern matches a name as fnmatch does; "~ALL" is everything, and "**"
// crosses slashes as does a pattern's last "*".
func matchPattern(pattern, name string) bool {
	if pattern == "~ALL" || pattern == name {
		return true
	}
	if before, ok := strings.CutSuffix(pattern, "/**/*"); ok {
		return strings.HasPrefix(name, before+"/")
	}
	if before, ok := strings.CutSuffix(pattern, "**"); ok && !strings.ContainsAny(before, "*?[") {
		return strings.HasPrefix(name, before)
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func (p *patterns) covers(names ...string) bool {
	if p == nil {
		return true
	}
	hit := func(list []string) bool {
		return slices.ContainsFunc(list, func(pat string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return matchPattern(pat, n) })
		})
	}
	return hit(p.Include) && !hit(p.Exclude)
}

// covers says whether a ruleset applies to a branch of a repository.
func (v *ruleset) covers(rp *repo, branch string) (bool, error) {
	var c rulesetConditions
	if err := json.Unmarshal([]byte(v.Conditions), &c); err != nil {
		return false, fmt.Errorf("conditions of ruleset %d: %w", v.ID, err)
	}
	names := []string{"refs/heads/" + branch}
	if branch == rp.DefaultBranch {
		names = append(names, "~DEFAULT_BRANCH")
	}
	if !c.RefName.covers(names...) || !c.RepositoryName.covers(rp.Name) {
		return false, nil
	}
	return c.RepositoryID == nil || slices.Contains(c.RepositoryID.IDs, rp.ID), nil
}

// rulesetsFor returns the active rulesets that cover a branch.
func (r *reader) rulesetsFor(rp *repo, branch string) ([]ruleset, error) {
	all, err := list(r, scanRuleset, "SELECT "+rulesetCols+" FROM rulesets q WHERE q.target = 'branch' AND q.enforcement = 'active' AND (q.repo_id = ? OR q.org_id != 0 AND q.org_id = ?) ORDER BY q.id", rp.ID, rp.Owner.ID)
	if err != nil {
		return nil, err
	}
	var out []ruleset
	for _, v := range all {
		ok, err := v.covers(rp, branch)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// rule is one entry of a ruleset.
type rule struct {
	Type       string          `json:"type"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

// ruleTypes are the rules that may be stored; those not handled in
// [ruleset.rules] are shown but not enforced.
var ruleTypes = []string{
	"creation", "update", "deletion", "required_linear_history", "merge_queue", "required_deployments", "required_signatures", "pull_request",
	"required_status_checks", "non_fast_forward", "commit_message_pattern", "commit_author_email_pattern", "committer_email_pattern",
	"branch_name_pattern", "tag_name_pattern", "workflows", "code_scanning", "file_path_restriction", "max_file_path_length", "file_extension_restriction", "max_file_size",
}

func (v *ruleset) list() ([]rule, error) {
	var all []rule
	if err := json.Unmarshal([]byte(v.Rules), &all); err != nil {
		return nil, fmt.Errorf("rules of ruleset %d: %w", v.ID, err)
	}
	return all, nil
}

// rules turns a ruleset into the form that is enforced.
func (v *ruleset) rules() (*ruleSource, error) {
	s := &ruleSource{ID: v.ID, Name: v.Name}
	if err := json.Unmarshal([]byte(v.Bypass), &s.Bypass); err != nil {
		return nil, fmt.Errorf("bypass list of ruleset %d: %w", v.ID, err)
	}
	all, err := v.list()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		switch r.Type {
		case "creation":
			s.NoCreate = true
		case "update":
			s.NoUpdate = true
		case "deletion":
			s.NoDelete = true
		case "required_linear_history":
			s.Linear = true
		case "non_fast_forward":
			s.NoForce = true
		case "pull_request":
			var p struct {
				Count   int      `json:"required_approving_review_count"`
				Dismiss bool     `json:"dismiss_stale_reviews_on_push"`
				Owners  bool     `json:"require_code_owner_review"`
				Last    bool     `json:"require_last_push_approval"`
				Methods []string `json:"allowed_merge_methods"`
			}
			if err := json.Unmarshal(r.Parameters, &p); err != nil {
				return nil, fmt.Errorf("rule pull_request of ruleset %d: %w", v.ID, err)
			}
			s.Reviews, s.Methods = &reviewRules{Count: p.Count, DismissStale: p.Dismiss, CodeOwners: p.Owners, LastPush: p.Last}, p.Methods
		case "required_status_checks":
			var p struct {
				Strict bool `json:"strict_required_status_checks_policy"`
				Checks []struct {
					Context string `json:"context"`
					AppID   *int64 `json:"integration_id"`
				} `json:"required_status_checks"`
			}
			if err := json.Unmarshal(r.Parameters, &p); err != nil {
				return nil, fmt.Errorf("rule required_status_checks of ruleset %d: %w", v.ID, err)
			}
			s.Strict, s.HasChecks = s.Strict || p.Strict, true
			for _, c := range p.Checks {
				s.Checks = append(s.Checks, appCheck{c.Context, c.AppID})
			}
		}
	}
	return s, nil
}
