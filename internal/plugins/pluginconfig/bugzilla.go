package pluginconfig

import "slices"

// Bugzilla configures the plugin bugzilla by branch, where "*" is every
// branch, on three levels.
type Bugzilla struct {
	// Default is for every repository.
	Default map[string]BugzillaOptions `json:"default,omitempty"`
	// Orgs maps an org to its options.
	Orgs map[string]BugzillaOrg `json:"orgs,omitempty"`
}

// BugzillaOrg are the options of an org.
type BugzillaOrg struct {
	// Default is for every repository of the org, by branch.
	Default map[string]BugzillaOptions `json:"default,omitempty"`
	// Repos maps a repository, without its org, to its options.
	Repos map[string]BugzillaRepo `json:"repos,omitempty"`
}

// BugzillaRepo are the options of a repository.
type BugzillaRepo struct {
	// Branches maps a branch or "*" to its options.
	Branches map[string]BugzillaOptions `json:"branches,omitempty"`
}

// BugzillaOptions say what is asked of the bug a pull request names, and what
// becomes of it. What is not set is inherited.
type BugzillaOptions struct {
	// ExcludeDefaults drops everything that would be inherited.
	ExcludeDefaults *bool `json:"exclude_defaults,omitempty"`
	// EnableBackporting clones the bug for automated cherry-picks. Default: false.
	EnableBackporting *bool `json:"enable_backporting,omitempty"`
	// ValidateByDefault also acts on pull requests that name no bug. Default: false.
	ValidateByDefault *bool `json:"validate_by_default,omitempty"`
	// IsOpen is whether the bug must be open. Default: either.
	IsOpen *bool `json:"is_open,omitempty"`
	// TargetRelease is the bug's required first target release. Default: any.
	TargetRelease *string `json:"target_release,omitempty"`
	// Statuses are added to ValidStates.
	Statuses *[]string `json:"statuses,omitempty"`
	// ValidStates are the states the bug may be in. Default: any.
	ValidStates *[]BugzillaState `json:"valid_states,omitempty"`
	// DependentBugStatuses are added to DependentBugStates.
	DependentBugStatuses *[]string `json:"dependent_bug_statuses,omitempty"`
	// DependentBugStates are the states bugs it depends on may be in. Default: any.
	DependentBugStates *[]BugzillaState `json:"dependent_bug_states,omitempty"`
	// DependentBugTargetReleases are the target releases bugs it depends on may
	// have. Default: any.
	DependentBugTargetReleases *[]string `json:"dependent_bug_target_releases,omitempty"`
	// DeprecatedDependentBugTargetRelease is added to DependentBugTargetReleases.
	// It is deprecated: use that list.
	DeprecatedDependentBugTargetRelease *string `json:"dependent_bug_target_release,omitempty"`
	// StatusAfterValidation is StateAfterValidation without a resolution.
	StatusAfterValidation *string `json:"status_after_validation,omitempty"`
	// StateAfterValidation is what a valid bug is moved to; it goes before
	// StatusAfterValidation. Default: the bug stays.
	StateAfterValidation *BugzillaState `json:"state_after_validation,omitempty"`
	// AddExternalLink links the pull request in the bug. Default: false.
	AddExternalLink *bool `json:"add_external_link,omitempty"`
	// StatusAfterMerge is StateAfterMerge without a resolution.
	StatusAfterMerge *string `json:"status_after_merge,omitempty"`
	// StateAfterMerge is what the bug is moved to when all its pull requests
	// are merged; it goes before StatusAfterMerge. Default: the bug stays.
	StateAfterMerge *BugzillaState `json:"state_after_merge,omitempty"`
	// StateAfterClose is what the bug is moved to when the pull request is
	// closed without a merge. Default: the bug stays.
	StateAfterClose *BugzillaState `json:"state_after_close,omitempty"`
	// AllowedGroups are groups a bug may be in; the levels are united. Empty
	// allows all.
	AllowedGroups []string `json:"allowed_groups,omitempty"`
}

// BugzillaState is a state of a bug. Where it is compared, an empty member
// matches anything.
type BugzillaState struct {
	// Status is such as NEW or CLOSED.
	Status string `json:"status,omitempty"`
	// Resolution is such as ERRATA.
	Resolution string `json:"resolution,omitempty"`
}

// Matches tells whether a bug is in the state.
func (s BugzillaState) Matches(status, resolution string) bool {
	return (s.Status == "" || s.Status == status) && (s.Resolution == "" || s.Resolution == resolution)
}

// OptionsFor are the options of a branch: those of every repository, of the
// org and of the repository, each for "*" and then for the branch; a later
// layer replaces the fields it sets. In the result the older fields Statuses,
// StatusAfter... and DependentBugTargetRelease have been moved to their
// successors, so they are nil.
func (b *Bugzilla) OptionsFor(org, repo, branch string) BugzillaOptions {
	ofOrg := b.Orgs[org]
	var out BugzillaOptions
	for _, level := range []map[string]BugzillaOptions{b.Default, ofOrg.Default, ofOrg.Repos[repo].Branches} {
		for _, key := range []string{"*", branch} {
			layer, ok := level[key]
			if !ok {
				continue
			}
			if layer.ExcludeDefaults != nil && *layer.ExcludeDefaults {
				out = BugzillaOptions{}
			}
			out.overlay(layer.normalized())
		}
	}
	return out
}

// normalized moves the older fields to their successors.
func (o BugzillaOptions) normalized() BugzillaOptions {
	o.ValidStates = withStatuses(o.ValidStates, o.Statuses)
	o.DependentBugStates = withStatuses(o.DependentBugStates, o.DependentBugStatuses)
	if r := o.DeprecatedDependentBugTargetRelease; r != nil {
		all := []string{}
		if o.DependentBugTargetReleases != nil {
			all = *o.DependentBugTargetReleases
		}
		all = appendNew(all, []string{*r})
		o.DependentBugTargetReleases = &all
	}
	if o.StateAfterValidation == nil && o.StatusAfterValidation != nil {
		o.StateAfterValidation = &BugzillaState{Status: *o.StatusAfterValidation}
	}
	if o.StateAfterMerge == nil && o.StatusAfterMerge != nil {
		o.StateAfterMerge = &BugzillaState{Status: *o.StatusAfterMerge}
	}
	o.Statuses, o.DependentBugStatuses, o.DeprecatedDependentBugTargetRelease = nil, nil, nil
	o.StatusAfterValidation, o.StatusAfterMerge = nil, nil
	return o
}

func withStatuses(states *[]BugzillaState, statuses *[]string) *[]BugzillaState {
	if statuses == nil {
		return states
	}
	all := []BugzillaState{}
	if states != nil {
		all = slices.Clone(*states)
	}
	for _, status := range *statuses {
		all = appendNew(all, []BugzillaState{{Status: status}})
	}
	return &all
}

func (o *BugzillaOptions) overlay(layer BugzillaOptions) {
	override(&o.ExcludeDefaults, layer.ExcludeDefaults)
	override(&o.EnableBackporting, layer.EnableBackporting)
	override(&o.ValidateByDefault, layer.ValidateByDefault)
	override(&o.IsOpen, layer.IsOpen)
	override(&o.TargetRelease, layer.TargetRelease)
	override(&o.ValidStates, layer.ValidStates)
	override(&o.DependentBugStates, layer.DependentBugStates)
	override(&o.DependentBugTargetReleases, layer.DependentBugTargetReleases)
	override(&o.StateAfterValidation, layer.StateAfterValidation)
	override(&o.AddExternalLink, layer.AddExternalLink)
	override(&o.StateAfterMerge, layer.StateAfterMerge)
	override(&o.StateAfterClose, layer.StateAfterClose)
	if len(layer.AllowedGroups) > 0 {
		o.AllowedGroups = appendNew(o.AllowedGroups, layer.AllowedGroups)
		slices.Sort(o.AllowedGroups)
	}
}

func override[T any](field **T, value *T) {
	if value != nil {
		*field = value
	}
}

// mergeShard adds what a supplemental file says. The defaults of all, the
// defaults of an org and a repository may each stand in one file only.
func (b *Bugzilla) mergeShard(shard *Bugzilla, s *shardMerge) {
	if shard.Default != nil {
		if b.Default != nil {
			s.report("bugzilla.default", "set in another file as well")
		} else {
			b.Default = shard.Default
			s.from("bugzilla.default", "bugzilla.default")
		}
	}
	for _, org := range sortedKeys(shard.Orgs) {
		field, from := "bugzilla.orgs."+org, shard.Orgs[org]
		into := b.Orgs[org]
		if from.Default != nil {
			if into.Default != nil {
				s.report(field+".default", "set in another file as well")
			} else {
				into.Default = from.Default
				s.from(field+".default", field+".default")
			}
		}
		mergeKeys(&into.Repos, from.Repos, field+".repos", s)
		if b.Orgs == nil {
			b.Orgs = map[string]BugzillaOrg{}
		}
		b.Orgs[org] = into
	}
}

func (b *Bugzilla) resolve(r *rules) {
	check := func(field string, branches map[string]BugzillaOptions) {
		for _, branch := range sortedKeys(branches) {
			if branches[branch].DeprecatedDependentBugTargetRelease != nil {
				r.warn(field+"."+branch+".dependent_bug_target_release", "deprecated; use dependent_bug_target_releases")
			}
		}
	}
	check("bugzilla.default", b.Default)
	for _, org := range sortedKeys(b.Orgs) {
		field := "bugzilla.orgs." + org
		check(field+".default", b.Orgs[org].Default)
		for _, repo := range sortedKeys(b.Orgs[org].Repos) {
			check(field+".repos."+repo+".branches", b.Orgs[org].Repos[repo].Branches)
		}
	}
}
