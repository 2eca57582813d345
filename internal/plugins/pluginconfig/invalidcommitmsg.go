package pluginconfig

import (
	"fmt"
	"slices"
	"strings"
)

// The checks of the plugin invalidcommitmsg.
const (
	CheckFixupPrefix         = "fixupPrefix"
	CheckIssueClosingKeyword = "issueClosingKeywords"
)

var commitChecks = []string{CheckFixupPrefix, CheckIssueClosingKeyword}

// InvalidCommitMsg configures the plugin invalidcommitmsg.
type InvalidCommitMsg struct {
	// Repos are orgs and "org/repo"s; each may stand in one entry only.
	Repos []string `json:"repos,omitempty"`
	// Checks switch checks; those that are not named are on.
	Checks []CommitCheck `json:"checks,omitempty"`
}

// CommitCheck switches a check.
type CommitCheck struct {
	// Name is fixupPrefix or issueClosingKeywords.
	Name string `json:"name"`
	// Disabled switches it off. Default: false.
	Disabled bool `json:"disabled,omitempty"`
}

// Enabled tells whether a check is on.
func (m *InvalidCommitMsg) Enabled(check string) bool {
	return !slices.ContainsFunc(m.Checks, func(c CommitCheck) bool { return c.Name == check && c.Disabled })
}

// InvalidCommitMsgFor is the configuration of invalidcommitmsg for a repository.
func (c *Configuration) InvalidCommitMsgFor(org, repo string) InvalidCommitMsg {
	m, _ := forRepo(c.InvalidCommitMsg, func(m *InvalidCommitMsg) []string { return m.Repos }, org, repo)
	return m
}

func (c *Configuration) checkInvalidCommitMsg(r *rules) {
	for i := range c.InvalidCommitMsg {
		field := element("invalid_commit_msg", i)
		for j, check := range c.InvalidCommitMsg[i].Checks {
			if !slices.Contains(commitChecks, check.Name) {
				r.report(fmt.Sprintf("%s.checks[%d].name", field, j), "found %q, expected one of %q", check.Name, commitChecks)
			}
		}
		for j, repo := range c.InvalidCommitMsg[i].Repos {
			if strings.TrimSpace(repo) == "" {
				r.report(fmt.Sprintf("%s.repos[%d]", field, j), "found nothing, expected an org or org/repo")
			}
		}
	}
	checkUniqueRepos("invalid_commit_msg", c.InvalidCommitMsg, func(m *InvalidCommitMsg) []string { return m.Repos }, r.report)
}
