package pluginconfig

// Lgtm configures the plugin lgtm.
type Lgtm struct {
	// Repos are orgs and "org/repo"s; the first entry that has one counts.
	Repos []string `json:"repos,omitempty"`
	// ReviewActsAsLgtm makes approving reviews count as /lgtm, and those that
	// request changes as /lgtm cancel. Default: false.
	ReviewActsAsLgtm bool `json:"review_acts_as_lgtm,omitempty"`
	// StoreTreeHash keeps the label on a change of commits that leaves the tree.
	// Default: false.
	StoreTreeHash bool `json:"store_tree_hash,omitempty"`
	// StickyLgtmTeam is the name of a team whose members keep the label when they push.
	// Default: none.
	StickyLgtmTeam string `json:"trusted_team_for_sticky_lgtm,omitempty"`
}

// LgtmFor is the configuration of lgtm for a repository.
func (c *Configuration) LgtmFor(org, repo string) Lgtm {
	l, _ := forRepo(c.Lgtm, func(l *Lgtm) []string { return l.Repos }, org, repo)
	return l
}
