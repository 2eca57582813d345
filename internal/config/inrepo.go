package config

import (
	v1 "prow/api/prowjobs/v1"
)

// InRepoConfig says which repositories may bring their own jobs.
type InRepoConfig struct {
	// Enabled maps "*", "org" or "org/repo" to whether jobs are read from the
	// repository; the most specific key that is not null wins.
	Enabled map[string]*bool `json:"enabled,omitempty"`
	// AllowedClusters maps the same keys to the build clusters in-repo jobs may
	// use; all matching keys count together. Default: "*" allows "default".
	AllowedClusters map[string][]string `json:"allowed_clusters,omitempty"`
}

func (c *InRepoConfig) resolve() {
	if c.AllowedClusters["*"] == nil {
		if c.AllowedClusters == nil {
			c.AllowedClusters = map[string][]string{}
		}
		c.AllowedClusters["*"] = []string{v1.DefaultClusterAlias}
	}
}
