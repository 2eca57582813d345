package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Config is one immutable snapshot of the configuration: the jobs and the
// settings of the components.
type Config struct {
	JobConfig
	ProwConfig

	// index holds what lookups need and the files do not say.
	index index
}

// JobConfig holds the jobs, as job files and the main file declare them.
type JobConfig struct {
	// Presets are pieces of pod spec that jobs ask for by label.
	Presets []Preset `json:"presets,omitempty"`
	// PresubmitsByRepo maps a repository ("org/repo"; for Gerrit the host and
	// repository, with or without scheme) to its presubmits.
	PresubmitsByRepo map[string][]Presubmit `json:"presubmits,omitempty"`
	// PostsubmitsByRepo maps a repository to its postsubmits.
	PostsubmitsByRepo map[string][]Postsubmit `json:"postsubmits,omitempty"`
	// Periodics are all periodics; their names are unique.
	Periodics []Periodic `json:"periodics,omitempty"`
	// DecorateAllJobs is the default of decorate for every job. It counts only in
	// the main file. Default: false.
	DecorateAllJobs bool `json:"decorate_all_jobs,omitempty"`
	// ProwIgnored takes any content and is never interpreted: a place for the
	// user's own anchors.
	ProwIgnored any `json:"prow_ignored,omitempty"`
}

// ProwConfig holds the settings of the components.
type ProwConfig struct {
	// ConfigVersionSHA is the revision the configuration came from; a file
	// VERSION beside the main file overrides it.
	ConfigVersionSHA string `json:"config_version_sha,omitempty"`
	// PodNamespace is where test pods live in build clusters; it must exist.
	// Default: default.
	PodNamespace string `json:"pod_namespace,omitempty"`
	// ProwJobNamespace is where ProwJobs live; it must exist. Default: default.
	ProwJobNamespace string `json:"prowjob_namespace,omitempty"`
	// LogLevel is panic, fatal, error, warn, warning, info, debug or trace, in any
	// case; others are refused. Default: info.
	LogLevel string `json:"log_level,omitempty"`
	// StatusErrorLink is the URL the Jenkins controller gives for jobs that cannot
	// be started. Default: https://github.com/kubernetes/test-infra/issues.
	StatusErrorLink string `json:"status_error_link,omitempty"`
	// DefaultJobTimeout is accepted and shown; nothing reads it. Default: 24h.
	DefaultJobTimeout *metav1.Duration `json:"default_job_timeout,omitempty"`
	// DisabledClusters are contexts that are ignored when kubeconfigs are
	// loaded. Read once at start.
	DisabledClusters []string `json:"disabled_clusters,omitempty"`

	// BranchProtection says how branches are protected.
	BranchProtection BranchProtection `json:"branch-protection"`
	// Deck configures the pages.
	Deck Deck `json:"deck,omitempty"`
	// Gangway configures the API that starts jobs on request.
	Gangway Gangway `json:"gangway"`
	// Gerrit configures the Gerrit adapter and reporter.
	Gerrit Gerrit `json:"gerrit,omitempty"`
	// GitHub says where GitHub is for people.
	GitHub GitHubOptions `json:"github,omitempty"`
	// GitHubReporter configures reports to GitHub.
	GitHubReporter GitHubReporter `json:"github_reporter,omitempty"`
	// Horologium configures the component that starts periodics.
	Horologium Horologium `json:"horologium"`
	// InRepoConfig says which repositories may bring their own jobs.
	InRepoConfig InRepoConfig `json:"in_repo_config"`
	// JenkinsOperators configure the controllers of Jenkins jobs, one entry each.
	JenkinsOperators []JenkinsOperator `json:"jenkins_operators,omitempty"`
	// ManagedWebhooks configures the component that keeps webhook secrets.
	ManagedWebhooks ManagedWebhooks `json:"managed_webhooks"`
	// Moonraker configures clients of the service that reads in-repo configuration
	// for others.
	Moonraker Moonraker `json:"moonraker"`
	// OwnersDirDenylist names directories that are ignored when OWNERS files are
	// searched. Default: only the built-in expressions.
	OwnersDirDenylist *OwnersDirDenylist `json:"owners_dir_denylist,omitempty"`
	// Pipeline configures the controller of Tekton jobs.
	Pipeline Pipeline `json:"pipeline"`
	// Plank configures the controller that runs jobs as pods.
	Plank Plank `json:"plank"`
	// ProwJobDefaultEntries are the defaults of prowjob_defaults; all that match a
	// job are merged in order, later ones win.
	ProwJobDefaultEntries []ProwJobDefaultEntry `json:"prowjob_default_entries,omitempty"`
	// PubSubSubscriptions is the older form of pubsub_triggers: a project to its
	// subscription ids, for any cluster. It excludes pubsub_triggers.
	PubSubSubscriptions map[string][]string `json:"pubsub_subscriptions,omitempty"`
	// PubSubTriggers say from where requests for jobs are taken.
	PubSubTriggers []PubSubTrigger `json:"pubsub_triggers,omitempty"`
	// PushGateway says whether and how metrics are pushed.
	PushGateway PushGateway `json:"push_gateway"`
	// Scheduler configures the component that chooses the build cluster of a job.
	Scheduler Scheduler `json:"scheduler"`
	// Sinker configures the garbage collector.
	Sinker Sinker `json:"sinker"`
	// SlackReporterConfigs map "org/repo", "org" or "*" to where and when jobs are
	// reported to Slack; the most specific key counts.
	SlackReporterConfigs map[string]SlackReport `json:"slack_reporter_configs,omitempty"`
	// Tide configures the merge automation.
	Tide Tide `json:"tide"`
}
