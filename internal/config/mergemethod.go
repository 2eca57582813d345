package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// MergeMethod is a way of merging a pull request.
type MergeMethod string

// The methods.
const (
	MergeMerge  MergeMethod = "merge"
	MergeSquash MergeMethod = "squash"
	MergeRebase MergeMethod = "rebase"
)

func (m MergeMethod) valid() bool { return m == MergeMerge || m == MergeSquash || m == MergeRebase }

// TideOrgMergeType is the method of an org, or the methods of its
// repositories; "*" stands for the repositories that are not named. The keys
// of merge_method may also be "org/repo" and "org/repo@branch".
type TideOrgMergeType struct {
	Method MergeMethod
	Repos  map[string]TideRepoMergeType
}

// TideRepoMergeType is the method of a repository, or the methods of its
// branches by regular expression.
type TideRepoMergeType struct {
	Method   MergeMethod
	Branches map[string]MergeMethod

	// patterns are the expressions of Branches in lexical order.
	patterns []branchPattern
}

type branchPattern struct {
	re     *regexp.Regexp
	method MergeMethod
}

// UnmarshalJSON reads a method or a map.
func (t *TideOrgMergeType) UnmarshalJSON(b []byte) error {
	*t = TideOrgMergeType{}
	return scalarOrMap(b, &t.Method, &t.Repos)
}

// MarshalJSON writes the method where one is set, else the map.
func (t TideOrgMergeType) MarshalJSON() ([]byte, error) {
	if t.Method == "" && len(t.Repos) > 0 {
		return json.Marshal(t.Repos)
	}
	return json.Marshal(t.Method)
}

// UnmarshalJSON reads a method or a map.
func (t *TideRepoMergeType) UnmarshalJSON(b []byte) error {
	*t = TideRepoMergeType{}
	return scalarOrMap(b, &t.Method, &t.Branches)
}

// MarshalJSON writes the method where one is set, else the map.
func (t TideRepoMergeType) MarshalJSON() ([]byte, error) {
	if t.Method == "" && len(t.Branches) > 0 {
		return json.Marshal(t.Branches)
	}
	return json.Marshal(t.Method)
}

func scalarOrMap(b []byte, scalar, m any) error {
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, m)
	}
	if err := json.Unmarshal(b, scalar); err != nil {
		return fmt.Errorf("expected merge, squash, rebase or a map, found %.60s", b)
	}
	return nil
}

// compileMergeMethods checks every method and prepares the branch patterns.
// Of what m holds nothing is changed, only m itself.
func compileMergeMethods(m map[string]TideOrgMergeType, re *regexCache, report fieldReporter) {
	check := func(field string, method MergeMethod, emptyAllowed bool) {
		if !method.valid() && (method != "" || !emptyAllowed) {
			report(field, "found %q, expected merge, squash or rebase", method)
		}
	}
	for _, org := range slices.Sorted(maps.Keys(m)) {
		field := "tide.merge_method." + org
		check(field, m[org].Method, true)
		// The map may belong to a shard, which stays as it is.
		entry := m[org]
		entry.Repos = maps.Clone(entry.Repos)
		m[org] = entry
		repos := entry.Repos
		for _, repo := range slices.Sorted(maps.Keys(repos)) {
			field := field + "." + repo
			entry := repos[repo]
			check(field, entry.Method, true)
			entry.patterns = nil
			for _, pattern := range slices.Sorted(maps.Keys(entry.Branches)) {
				field := field + "." + pattern
				check(field, entry.Branches[pattern], false)
				compiled, err := re.compile(pattern)
				if err != nil {
					report(field, "the name of a branch must be a regular expression: %v", err)
					continue
				}
				entry.patterns = append(entry.patterns, branchPattern{compiled, entry.Branches[pattern]})
			}
			repos[repo] = entry
		}
	}
}

// MergeMethod returns how a pull request is merged. The first of these decides:
// the key "org/repo@branch"; a branch pattern of the repository, in lexical
// order; the key "org/repo"; the repository within its org; the org; merge.
// Callers without a branch pass an empty one.
func (t *Tide) MergeMethod(org, repo, branch string) MergeMethod {
	if m := t.MergeType[org+"/"+repo+"@"+branch].Method; m != "" {
		return m
	}
	ofOrg := t.MergeType[org]
	ofRepo, ok := ofOrg.Repos[repo]
	if !ok {
		ofRepo = ofOrg.Repos["*"]
	}
	for _, p := range ofRepo.patterns {
		if p.re.MatchString(branch) {
			return p.method
		}
	}
	if m := t.MergeType[org+"/"+repo].Method; m != "" {
		return m
	}
	if ofRepo.Method != "" {
		return ofRepo.Method
	}
	if ofOrg.Method != "" {
		return ofOrg.Method
	}
	return MergeMerge
}
