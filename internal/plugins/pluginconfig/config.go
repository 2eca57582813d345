package pluginconfig

import "prow/internal/config"

// Configuration is one immutable snapshot of the plugin configuration. Keys of
// maps and members of lists called repos are orgs or "org/repo"s, compared
// literally, unless their field says otherwise.
type Configuration struct {
	// Plugins maps an org or "org/repo" to the plugins it uses. Read
	// EnabledPlugins instead.
	Plugins Plugins `json:"plugins,omitempty"`
	// ExternalPlugins maps an org or "org/repo" to services that get its
	// events. Read EnabledExternalPlugins instead.
	ExternalPlugins map[string][]ExternalPlugin `json:"external_plugins,omitempty"`
	// Owners says how OWNERS files are read.
	Owners Owners `json:"owners,omitempty"`

	// Approve configures approve. Read ApproveFor instead.
	Approve []Approve `json:"approve,omitempty"`
	// Blockades configures blockade; every entry that applies counts.
	Blockades []Blockade `json:"blockades,omitempty"`
	// Blunderbuss configures blunderbuss.
	Blunderbuss Blunderbuss `json:"blunderbuss,omitempty"`
	// BranchCleaner configures branchcleaner.
	BranchCleaner BranchCleaner `json:"branch_cleaner,omitempty"`
	// Bugzilla configures bugzilla. Read OptionsFor instead.
	Bugzilla Bugzilla `json:"bugzilla,omitempty"`
	// Cat configures cat.
	Cat KeyFile `json:"cat,omitempty"`
	// CherryPickApproved configures cherry-pick-approved.
	CherryPickApproved []CherryPickApproved `json:"cherry_pick_approved,omitempty"`
	// CherryPickUnapproved configures cherry-pick-unapproved.
	CherryPickUnapproved CherryPickUnapproved `json:"cherry_pick_unapproved,omitempty"`
	// ConfigUpdater configures config-updater.
	ConfigUpdater ConfigUpdater `json:"config_updater,omitempty"`
	// Dco configures dco by "org/repo", org or "*". Read DcoFor instead.
	Dco map[string]*Dco `json:"dco,omitempty"`
	// Golint configures golint.
	Golint Golint `json:"golint,omitempty"`
	// Goose configures goose.
	Goose KeyFile `json:"goose,omitempty"`
	// Heart configures heart.
	Heart Heart `json:"heart,omitempty"`
	// Help configures help.
	Help Help `json:"help,omitempty"`
	// InvalidCommitMsg configures invalidcommitmsg. Read InvalidCommitMsgFor instead.
	InvalidCommitMsg []InvalidCommitMsg `json:"invalid_commit_msg,omitempty"`
	// Jira configures jira.
	Jira *Jira `json:"jira,omitempty"`
	// Label configures label.
	Label Label `json:"label,omitempty"`
	// Lgtm configures lgtm. Read LgtmFor instead.
	Lgtm []Lgtm `json:"lgtm,omitempty"`
	// MilestoneApplier maps an "org/repo" to the milestones of its branches.
	MilestoneApplier map[string]BranchToMilestone `json:"milestone_applier,omitempty"`
	// Override configures override.
	Override Override `json:"override,omitempty"`
	// ProjectConfig configures project.
	ProjectConfig ProjectConfig `json:"project_config,omitempty"`
	// ProjectManager configures project-manager.
	ProjectManager ProjectManager `json:"project_manager,omitempty"`
	// ReleaseNote configures release-note.
	ReleaseNote ReleaseNotes `json:"release_note,omitempty"`
	// RepoMilestone maps an "org/repo" to those who may set its milestones;
	// the key "" is for all others. Read MilestoneFor instead.
	RepoMilestone map[string]Milestone `json:"repo_milestone,omitempty"`
	// RequireMatchingLabel configures require-matching-label; every entry that
	// applies counts.
	RequireMatchingLabel []RequireMatchingLabel `json:"require_matching_label,omitempty"`
	// Retitle configures retitle.
	Retitle Retitle `json:"retitle,omitempty"`
	// Rifle configures rifle, which is used instead of blunderbuss.
	Rifle Blunderbuss `json:"rifle,omitempty"`
	// SigMention configures sigmention.
	SigMention SigMention `json:"sigmention,omitempty"`
	// Size configures size.
	Size Size `json:"size,omitempty"`
	// Slack configures slackevents.
	Slack Slack `json:"slack,omitempty"`
	// Triggers configures trigger. Read TriggerFor instead.
	Triggers []Trigger `json:"triggers,omitempty"`
	// Welcome configures welcome. Read WelcomeFor instead.
	Welcome []Welcome `json:"welcome,omitempty"`

	index index
}

type index struct {
	version  string
	warnings config.Errors
	// main is the path of the main file.
	main string
	// origins are the places of what came from supplemental files, by the
	// path of the field in the merged configuration.
	origins map[string]origin
}

// origin is a field of a file.
type origin struct{ file, field string }

// Version identifies the content of the files.
func (c *Configuration) Version() string { return c.index.version }

// Warnings are mistakes that do no harm, ordered by place: what is deprecated
// or has no effect.
func (c *Configuration) Warnings() []config.Problem { return c.index.warnings }

// Place tells where a field of the configuration was written: the file, and
// the path of the field there. Supplemental files count their lists from 0.
func (c *Configuration) Place(field string) (file, fieldInFile string) {
	for end := len(field); end > 0; end-- {
		if end < len(field) && field[end] != '.' && field[end] != '[' {
			continue
		}
		if o, ok := c.index.origins[field[:end]]; ok {
			return o.file, o.field + field[end:]
		}
	}
	return c.index.main, field
}
