package config

// Pipeline configures the controller of Tekton jobs.
type Pipeline struct {
	// AllowConcurrentPostsubmitJobs lets postsubmits of one branch run side by
	// side. Default: false.
	AllowConcurrentPostsubmitJobs bool `json:"allow_concurrent_postsubmit_jobs,omitempty"`
}
