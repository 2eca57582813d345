package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

func (t *Tide) resolve(s *sectionContext) {
	defaultDuration(&t.SyncPeriod, time.Minute)
	defaultDuration(&t.StatusUpdatePeriod, t.SyncPeriod.Duration)
	if t.MaxGoroutines < 0 {
		s.report("tide.max_goroutines", "found %d, expected a positive number", t.MaxGoroutines)
	}
	defaultTo(&t.MaxGoroutines, 20)
	if t.Gerrit != nil {
		defaultTo(&t.Gerrit.RateLimit, 5)
	}

	if t.TargetURL != "" {
		if len(t.TargetURLs) > 0 {
			s.report("tide.target_url", "found together with target_urls, expected only target_urls")
		} else {
			t.TargetURLs, t.TargetURL = map[string]string{"*": t.TargetURL}, ""
		}
	}
	if t.PRStatusBaseURL != "" {
		if len(t.PRStatusBaseURLs) > 0 {
			s.report("tide.pr_status_base_url", "found together with pr_status_base_urls, expected only pr_status_base_urls")
		} else {
			s.warn("tide.pr_status_base_url", "deprecated; use pr_status_base_urls with the key *")
			t.PRStatusBaseURLs, t.PRStatusBaseURL = map[string]string{"*": t.PRStatusBaseURL}, ""
		}
	}
	if _, ok := t.PRStatusBaseURLs["*"]; !ok && len(t.PRStatusBaseURLs) > 0 {
		s.report("tide.pr_status_base_urls", "missing the key *, expected a URL for all other repositories")
	}

	compileMergeMethods(t.MergeType, s.re, s.report)
	for _, key := range slices.Sorted(maps.Keys(t.MergeTemplate)) {
		tmpl, field := t.MergeTemplate[key], "tide.merge_commit_template."+key
		if tmpl.TitleTemplate != "" {
			tmpl.Title = checkTemplate(s.report, field+".title", "CommitTitle", tmpl.TitleTemplate, nil)
		}
		if tmpl.BodyTemplate != "" {
			tmpl.Body = checkTemplate(s.report, field+".body", "CommitBody", tmpl.BodyTemplate, nil)
		}
		t.MergeTemplate[key] = tmpl
	}
	for _, key := range slices.Sorted(maps.Keys(t.Planners)) {
		planner, field := t.Planners[key], "tide.planners."+key
		defaultTo(&planner.Name, PlannerClassic)
		if planner.Name != PlannerClassic && planner.Name != PlannerSpeculative {
			s.report(field+".name", "found %q, expected classic or speculative", planner.Name)
		}
		if planner.MaxRuns < 0 || planner.MaxPulls < 0 {
			s.report(field, "found a negative bound, expected max_runs and max_pulls to be positive")
		}
		defaultTo(&planner.MaxRuns, 20)
		defaultDuration(&planner.Deadline, 24*time.Hour)
		if planner.Deadline.Duration <= 0 {
			s.report(field+".deadline", "found %s, expected a positive duration", planner.Deadline.Duration)
		}
		t.Planners[key] = planner
	}
	for _, key := range slices.Sorted(maps.Keys(t.GitHubMergeBlocksPolicyMap)) {
		switch policy := t.GitHubMergeBlocksPolicyMap[key]; policy {
		case MergeBlocksIgnore, MergeBlocksPermit, MergeBlocksBlock:
		default:
			s.report("tide.github_merge_blocks_policy."+key, "found %q, expected ignore, permit or block", policy)
		}
	}
}

// check tells every rule the query breaks; field is its place.
func (q *TideQuery) check(report func(field, format string, args ...any)) {
	orgs := sets.New[string]()
	for i, org := range q.Orgs {
		switch field := fmt.Sprintf("orgs[%d]", i); {
		case org == "" || strings.Contains(org, "/"):
			report(field, "found %q, expected the name of an org", org)
		case orgs.Has(org):
			report(field, "%s is listed twice", org)
		}
		orgs.Insert(org)
	}
	repos := func(name string, list []string, check func(field, org, full string)) {
		seen := sets.New[string]()
		for i, full := range list {
			field := fmt.Sprintf("%s[%d]", name, i)
			org, repo, ok := strings.Cut(full, "/")
			switch {
			case !ok || org == "" || repo == "" || strings.Contains(repo, "/"):
				report(field, "found %q, expected org/repo", full)
			case seen.Has(full):
				report(field, "%s is listed twice", full)
			default:
				check(field, org, full)
			}
			seen.Insert(full)
		}
	}
	repos("repos", q.Repos, func(field, org, full string) {
		if orgs.Has(org) {
			report(field, "found %s, expected no repository of the org %s, which the query lists as a whole", full, org)
		}
	})
	repos("excludedRepos", q.ExcludedRepos, func(field, org, full string) {
		if !orgs.Has(org) {
			report(field, "found %s, expected a repository of an org that the query lists", full)
		}
	})
	if len(q.Orgs) == 0 && len(q.Repos) == 0 {
		report("", "orgs and repos are both empty, expected at least one")
	}
	noDuplicates := func(name string, list []string) sets.Set[string] {
		seen := sets.New[string]()
		for i, v := range list {
			if seen.Has(v) {
				report(fmt.Sprintf("%s[%d]", name, i), "%q is listed twice", v)
			}
			seen.Insert(v)
		}
		return seen
	}
	labels := noDuplicates("labels", q.Labels)
	if both := labels.Intersection(noDuplicates("missingLabels", q.MissingLabels)); len(both) > 0 {
		report("missingLabels", "labels %q are also required", sets.List(both))
	}
	noDuplicates("includedBranches", q.IncludedBranches)
	noDuplicates("excludedBranches", q.ExcludedBranches)
	if len(q.IncludedBranches) > 0 && len(q.ExcludedBranches) > 0 {
		report("excludedBranches", "found together with includedBranches, expected one of them")
	}
}

// deduplicateQueries merges queries that differ only in what they are for, and sorts
// the result, so that equal configurations have equal queries. Queries stay
// apart where jobs of their repositories belong to different tenants, and
// where one excludes a repository that another lists.
func (c *ProwConfig) deduplicateQueries(queries TideQueries) TideQueries {
	byCriteria, grown := map[string][]int{}, map[int]bool{}
	var out TideQueries
	for _, q := range queries {
		for _, list := range []*[]string{&q.Labels, &q.MissingLabels, &q.IncludedBranches, &q.ExcludedBranches} {
			*list = slices.Sorted(slices.Values(*list))
		}
		key := c.queryCriteria(&q)
		merged := false
		for _, i := range byCriteria[key] {
			if have := &out[i]; !overlap(have.ExcludedRepos, q.Repos) && !overlap(have.Repos, q.ExcludedRepos) {
				have.Orgs = slices.Concat(have.Orgs, q.Orgs)
				have.Repos = slices.Concat(have.Repos, q.Repos)
				have.ExcludedRepos = slices.Concat(have.ExcludedRepos, q.ExcludedRepos)
				merged, grown[i] = true, true
				break
			}
		}
		if !merged {
			byCriteria[key] = append(byCriteria[key], len(out))
			out = append(out, q)
		}
	}
	for i := range grown {
		for _, list := range []*[]string{&out[i].Orgs, &out[i].Repos, &out[i].ExcludedRepos} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
	}
	type keyed struct {
		text  string
		query TideQuery
	}
	order := make([]keyed, len(out))
	for i := range out {
		order[i] = keyed{out[i].Query(), out[i]}
		if b, err := json.Marshal(&out[i]); err == nil {
			order[i].text = string(b)
		}
	}
	slices.SortStableFunc(order, func(a, b keyed) int { return cmp.Compare(a.text, b.text) })
	for i := range order {
		out[i] = order[i].query
	}
	return out
}

func (c *ProwConfig) queryCriteria(q *TideQuery) string {
	tenants := sets.New[string]()
	for _, of := range [][]string{q.Orgs, q.Repos} {
		for _, name := range of {
			tenants.Insert(c.GetProwJobDefault(name, "*").TenantID)
		}
	}
	return fmt.Sprintf("%q %q %q %q %q %q %t %q", q.Author, q.Labels, q.MissingLabels, q.IncludedBranches,
		q.ExcludedBranches, q.Milestone, q.ReviewApprovedRequired, sets.List(tenants))
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
