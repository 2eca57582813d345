package config

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Scheduler configures the component that chooses the build cluster of a job.
// Without a strategy every job keeps the cluster it names; failover wins over
// external.
type Scheduler struct {
	// Enabled makes new ProwJobs start in state scheduling. Default: false.
	Enabled bool `json:"enabled,omitempty"`
	// Failover replaces clusters by a fixed table.
	Failover *FailoverScheduling `json:"failover,omitempty"`
	// External asks a service.
	External *ExternalScheduling `json:"external,omitempty"`
}

// FailoverScheduling replaces clusters by a fixed table.
type FailoverScheduling struct {
	// ClusterMappings maps a cluster to the one used instead.
	ClusterMappings map[string]string `json:"mappings,omitempty"`
}

// ExternalScheduling asks a service for the cluster of a job.
type ExternalScheduling struct {
	// URL is where the service is asked.
	URL string `json:"url,omitempty"`
	// Cache says how long answers are kept.
	Cache ExternalSchedulingCache `json:"cache,omitempty"`
}

// ExternalSchedulingCache keeps the answers of the service.
type ExternalSchedulingCache struct {
	// EntryTimeoutInterval is how long an answer is used.
	EntryTimeoutInterval *metav1.Duration `json:"entry_timeout_interval,omitempty"`
	// CacheCleanupInterval is how often old answers are dropped.
	CacheCleanupInterval *metav1.Duration `json:"cleanup_interval,omitempty"`
}
