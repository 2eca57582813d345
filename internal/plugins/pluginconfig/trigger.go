package pluginconfig

// Trigger configures the plugin trigger.
type Trigger struct {
	// Repos are orgs and "org/repo"s.
	Repos []string `json:"repos,omitempty"`
	// TrustedApps are slugs of GitHub apps whose pull requests are trusted.
	TrustedApps []string `json:"trusted_apps,omitempty"`
	// TrustedOrg is a further org whose members are trusted.
	// It is deprecated: make them members of the org.
	TrustedOrg string `json:"trusted_org,omitempty"`
	// JoinOrgURL is where to ask for membership. Default: the people of
	// TrustedOrg, or else of the repository's org.
	JoinOrgURL string `json:"join_org_url,omitempty"`
	// OnlyOrgMembers takes trust from collaborators who are not members. Default: false.
	OnlyOrgMembers bool `json:"only_org_members,omitempty"`
	// IgnoreOkToTest makes /ok-to-test do nothing. Default: false.
	IgnoreOkToTest bool `json:"ignore_ok_to_test,omitempty"`
	// OkToTestPerCommit makes /ok-to-test count for the commit it was said about
	// only, so that commits pushed later wait for it again. Default: false.
	OkToTestPerCommit bool `json:"ok_to_test_per_commit,omitempty"`
	// TriggerGitHubWorkflows makes commands also run GitHub's own workflows. Default: false.
	TriggerGitHubWorkflows bool `json:"trigger_github_workflows,omitempty"`
	// OrgInvite says whether frequent authors are invited to join.
	OrgInvite OrgInvite `json:"org_invite,omitempty"`
}

// OrgInvite says whether frequent authors are invited to join.
type OrgInvite struct {
	// Prominent is the invitation at the head of the welcome comment.
	Prominent ProminentInvite `json:"prominent,omitempty"`
}

// ProminentInvite is the invitation at the head of the welcome comment.
type ProminentInvite struct {
	// Disabled leaves the invitation out. Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// MergedPRThreshold is how many merged pull requests it takes. Default: 3.
	MergedPRThreshold *int `json:"merged_pr_threshold,omitempty"`
	// Message is its text, which may hold {join_org_url}. Default: a text of the plugin.
	Message string `json:"message,omitempty"`
}

// Threshold is how many merged pull requests the invitation takes.
func (p *ProminentInvite) Threshold() int {
	if p.MergedPRThreshold == nil {
		return 3
	}
	return *p.MergedPRThreshold
}

// TriggerFor is the configuration of trigger for a repository. Its JoinOrgURL
// is never empty.
func (c *Configuration) TriggerFor(org, repo string) Trigger {
	t, _ := forRepo(c.Triggers, func(t *Trigger) []string { return t.Repos }, org, repo)
	if t.JoinOrgURL == "" {
		joinOrg := t.TrustedOrg
		if joinOrg == "" {
			joinOrg = org
		}
		t.JoinOrgURL = "https://github.com/orgs/" + joinOrg + "/people"
	}
	return t
}

func (c *Configuration) resolveTriggers(r *rules) {
	for i := range c.Triggers {
		if c.Triggers[i].TrustedOrg != "" {
			r.warn(element("triggers", i)+".trusted_org", "deprecated; make its members members of the org")
		}
	}
	checkUniqueRepos("triggers", c.Triggers, func(t *Trigger) []string { return t.Repos }, firstCounts(r.warn))
}
