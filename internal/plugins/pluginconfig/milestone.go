package pluginconfig

// BranchToMilestone maps a branch to the title of the milestone that pull
// requests merged to it get.
type BranchToMilestone map[string]string

// Milestone says who may set the milestones of a repository.
type Milestone struct {
	// MaintainersID is the number of the team.
	// It is deprecated: use MaintainersTeam.
	MaintainersID int `json:"maintainers_id,omitempty"`
	// MaintainersTeam is the slug of the team.
	MaintainersTeam string `json:"maintainers_team,omitempty"`
	// MaintainersFriendlyName is what the team is called in messages.
	// Default: MaintainersTeam.
	MaintainersFriendlyName string `json:"maintainers_friendly_name,omitempty"`
}

// MilestoneFor says who may set the milestones of a repository; false where
// nothing is configured.
func (c *Configuration) MilestoneFor(org, repo string) (Milestone, bool) {
	m, ok := c.RepoMilestone[org+"/"+repo]
	if !ok {
		m, ok = c.RepoMilestone[""]
	}
	return m, ok
}

func (c *Configuration) resolveMilestones(r *rules) {
	for _, key := range sortedKeys(c.RepoMilestone) {
		m := c.RepoMilestone[key]
		if m.MaintainersID != 0 {
			r.warn("repo_milestone."+key+".maintainers_id", "deprecated; use maintainers_team")
		}
		setDefault(&m.MaintainersFriendlyName, m.MaintainersTeam)
		c.RepoMilestone[key] = m
	}
}
