package config

import (
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
)

// Controller holds the settings shared by the controllers of the agents.
type Controller struct {
	// JobURLTemplate is a Go template over the ProwJob.
	JobURLTemplate string `json:"job_url_template,omitempty"`
	// ReportTemplate is the older form of ReportTemplates["*"].
	ReportTemplate string `json:"report_template,omitempty"`
	// ReportTemplates maps "org/repo", "org" or "*" to a Go template over the
	// ProwJob that is added to comments.
	ReportTemplates map[string]string `json:"report_templates,omitempty"`
	// MaxConcurrency limits how many workloads exist at once; 0 is no limit.
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// MaxGoroutines limits how many jobs are handled at once. Default: 20.
	MaxGoroutines int `json:"max_goroutines,omitempty"`

	jobURLTemplate  *template.Template
	reportTemplates map[string]*template.Template
}

// Plank configures the controller that runs jobs as pods.
type Plank struct {
	Controller

	// PodPendingTimeout is how long a pod may be pending. Default: 10m.
	PodPendingTimeout *metav1.Duration `json:"pod_pending_timeout,omitempty"`
	// PodRunningTimeout is how long a pod may run. Default: 48h.
	PodRunningTimeout *metav1.Duration `json:"pod_running_timeout,omitempty"`
	// PodUnscheduledTimeout is how long a pod may wait for a node. Default: 5m.
	PodUnscheduledTimeout *metav1.Duration `json:"pod_unscheduled_timeout,omitempty"`
	// MaxRevivals is how often a pod is made again after it was lost. Default: 3.
	MaxRevivals *int `json:"max_revivals,omitempty"`
	// DefaultDecorationConfigsMap is the older form of the defaults, by "*",
	// "org" or "org/repo". Read DecorationDefaults instead.
	DefaultDecorationConfigsMap map[string]*v1.DecorationConfig `json:"default_decoration_configs,omitempty"`
	// DefaultDecorationConfigEntries are the defaults as a list. Read
	// DecorationDefaults instead.
	DefaultDecorationConfigEntries []DecorationDefault `json:"default_decoration_config_entries,omitempty"`
	// JobURLPrefixConfig maps "org/repo", "org" or "*" to the URL below which
	// the output of jobs is shown.
	JobURLPrefixConfig map[string]string `json:"job_url_prefix_config,omitempty"`
	// JobURLPrefixDisableAppendStorageProvider leaves the storage provider out
	// of job URLs.
	JobURLPrefixDisableAppendStorageProvider bool `json:"jobURLPrefixDisableAppendStorageProvider,omitempty"`
	// BuildClusterStatusFile is a storage path where the health of the build
	// clusters is published.
	BuildClusterStatusFile string `json:"build_cluster_status_file,omitempty"`
	// JobQueueCapacities maps a queue to how many of its jobs may exist at
	// once; 0 blocks the queue, a negative number is no limit.
	JobQueueCapacities map[string]int `json:"job_queue_capacities,omitempty"`

	decorationDefaults []DecorationDefault
}

// DecorationDefault is a default decoration config and the jobs it is for.
type DecorationDefault struct {
	// OrgRepo is "", "*", "org" or "org/repo", compared literally.
	OrgRepo string `json:"repo,omitempty"`
	// Cluster is "", "*" or an alias.
	Cluster string `json:"cluster,omitempty"`
	// Config holds the fields that are set.
	Config *v1.DecorationConfig `json:"config,omitempty"`
}

// ProwJobDefaultEntry is a default of prowjob_defaults and the jobs it is for.
type ProwJobDefaultEntry struct {
	// OrgRepo is "", "*", "org" or "org/repo", compared literally.
	OrgRepo string `json:"repo,omitempty"`
	// Cluster is "", "*" or an alias.
	Cluster string `json:"cluster,omitempty"`
	// Config holds the fields that are set.
	Config *v1.ProwJobDefault `json:"config,omitempty"`
}
