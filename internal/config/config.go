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
	// DecorateAllJobs is the default of decorate for every job. It counts only
	// in the main file.
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
	// PodNamespace is where test pods live in build clusters. Default: default.
	PodNamespace string `json:"pod_namespace,omitempty"`
	// ProwJobNamespace is where ProwJobs live. Default: default.
	ProwJobNamespace string `json:"prowjob_namespace,omitempty"`
	// LogLevel is panic, fatal, error, warn, warning, info, debug or trace, in
	// any case. Default: info.
	LogLevel string `json:"log_level,omitempty"`
	// StatusErrorLink is the URL the Jenkins controller gives for jobs that
	// cannot be started.
	StatusErrorLink string `json:"status_error_link,omitempty"`
	// DefaultJobTimeout is accepted and shown; nothing reads it. Default: 24h.
	DefaultJobTimeout *metav1.Duration `json:"default_job_timeout,omitempty"`
	// DisabledClusters are contexts that are ignored when kubeconfigs are
	// loaded. Read once at start.
	DisabledClusters []string `json:"disabled_clusters,omitempty"`

	BranchProtection      BranchProtection       `json:"branch-protection"`
	Deck                  Deck                   `json:"deck,omitempty"`
	Gangway               Gangway                `json:"gangway"`
	Gerrit                Gerrit                 `json:"gerrit,omitempty"`
	GitHub                GitHubOptions          `json:"github,omitempty"`
	GitHubReporter        GitHubReporter         `json:"github_reporter,omitempty"`
	Horologium            Horologium             `json:"horologium"`
	InRepoConfig          InRepoConfig           `json:"in_repo_config"`
	JenkinsOperators      []JenkinsOperator      `json:"jenkins_operators,omitempty"`
	ManagedWebhooks       ManagedWebhooks        `json:"managed_webhooks"`
	Moonraker             Moonraker              `json:"moonraker"`
	OwnersDirDenylist     *OwnersDirDenylist     `json:"owners_dir_denylist,omitempty"`
	Pipeline              Pipeline               `json:"pipeline"`
	Plank                 Plank                  `json:"plank"`
	ProwJobDefaultEntries []ProwJobDefaultEntry  `json:"prowjob_default_entries,omitempty"`
	PubSubSubscriptions   map[string][]string    `json:"pubsub_subscriptions,omitempty"`
	PubSubTriggers        []PubSubTrigger        `json:"pubsub_triggers,omitempty"`
	PushGateway           PushGateway            `json:"push_gateway"`
	Scheduler             Scheduler              `json:"scheduler"`
	Sinker                Sinker                 `json:"sinker"`
	SlackReporterConfigs  map[string]SlackReport `json:"slack_reporter_configs,omitempty"`
	Tide                  Tide                   `json:"tide"`
}
