package pluginconfig

import (
	"fmt"
	"regexp"
)

// Blockade keeps changes of some files from being merged.
type Blockade struct {
	// Repos are orgs and "org/repo"s.
	Repos []string `json:"repos,omitempty"`
	// BranchRegexp limits the base branches, unanchored. Default: every branch.
	BranchRegexp *string `json:"branchregexp,omitempty"`
	// BlockRegexps are unanchored expressions, one of which a path must match
	// to be blocked. The plugin leaves out those that are not valid.
	BlockRegexps []string `json:"blockregexps,omitempty"`
	// ExceptionRegexps are unanchored expressions, none of which a blocked
	// path matches.
	ExceptionRegexps []string `json:"exceptionregexps,omitempty"`
	// Explanation tells people why.
	Explanation string `json:"explanation,omitempty"`

	branchRe *regexp.Regexp
}

// BranchRe is BranchRegexp compiled; nil is every branch.
func (b *Blockade) BranchRe() *regexp.Regexp { return b.branchRe }

func (c *Configuration) resolveBlockades(r *rules) {
	for i := range c.Blockades {
		b, field := &c.Blockades[i], fmt.Sprintf("blockades[%d]", i)
		if b.BranchRegexp != nil {
			b.branchRe = r.regexp(field+".branchregexp", *b.BranchRegexp)
		}
		for j, expr := range b.BlockRegexps {
			r.warnRegexp(fmt.Sprintf("%s.blockregexps[%d]", field, j), expr)
		}
		for j, expr := range b.ExceptionRegexps {
			r.warnRegexp(fmt.Sprintf("%s.exceptionregexps[%d]", field, j), expr)
		}
	}
}
