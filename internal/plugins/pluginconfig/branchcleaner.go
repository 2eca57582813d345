package pluginconfig

import (
	"regexp"
	"slices"
)

// BranchCleaner configures the plugin that deletes merged branches.
type BranchCleaner struct {
	// PreservedBranches maps an org or "org/repo" to branches that stay: names
	// or unanchored regular expressions. Both levels count.
	PreservedBranches map[string][]string `json:"preserved_branches,omitempty"`
}

// IsPreservedBranch tells whether a branch stays. An expression that is not
// valid matches only the branch of that name.
func (b *BranchCleaner) IsPreservedBranch(org, repo, branch string) bool {
	return slices.ContainsFunc(slices.Concat(b.PreservedBranches[org+"/"+repo], b.PreservedBranches[org]), func(entry string) bool {
		if entry == branch {
			return true
		}
		re, err := regexp.Compile(entry)
		return err == nil && re.MatchString(branch)
	})
}

func (b *BranchCleaner) resolve(r *rules) {
	for _, key := range sortedKeys(b.PreservedBranches) {
		for i, entry := range b.PreservedBranches[key] {
			r.warnRegexp(element("branch_cleaner.preserved_branches."+key, i), entry)
		}
	}
}
