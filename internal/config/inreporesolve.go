package config

import (
	"slices"
)

// InRepoEnabled tells whether jobs are read from a repository: the most
// specific key of in_repo_config.enabled that is not null decides.
func (c *InRepoConfig) InRepoEnabled(identifier string) bool {
	for _, key := range identifierKeys(identifier) {
		if enabled := c.Enabled[key]; enabled != nil {
			return *enabled
		}
	}
	return false
}

// Clusters are the build clusters the in-repo jobs of a repository may use:
// all that any key for it names.
func (c *InRepoConfig) Clusters(identifier string) []string {
	var out []string
	for _, key := range identifierKeys(identifier) {
		out = append(out, c.AllowedClusters[key]...)
	}
	return out
}

// ResolveInRepo turns the raw jobs of a repository into jobs that can run
// beside its static ones. Mistakes come as Errors with the place of each.
// raw is not changed, so it can be resolved again with another configuration.
func (c *Config) ResolveInRepo(identifier string, raw *InRepoJobs) (*InRepoJobs, error) {
	var ps problems
	re := &regexCache{}
	resolver := newResolver(c, re)
	resolver.presets = slices.Concat(c.Presets, raw.Presets)
	out := &InRepoJobs{Presets: raw.Presets}
	for i := range raw.Presubmits {
		job, found := resolver.presubmit(raw.Presubmits[i], identifier)
		out.Presubmits = append(out.Presubmits, job)
		ps.add(found.list...)
	}
	for i := range raw.Postsubmits {
		job, found := resolver.postsubmit(raw.Postsubmits[i], identifier)
		out.Postsubmits = append(out.Postsubmits, job)
		ps.add(found.list...)
	}
	if len(ps.list) == 0 {
		// Mistakes of static jobs were told when they were loaded, so what is
		// found here is the repository's.
		checkRepoPresubmits(identifier, slices.Concat(c.PresubmitsStatic(identifier), out.Presubmits), &ps)
		checkRepoPostsubmits(identifier, slices.Concat(c.PostsubmitsStatic(identifier), out.Postsubmits), &ps)
	}
	clusters := c.InRepoConfig.Clusters(identifier)
	for _, job := range out.bases() {
		if !slices.Contains(clusters, job.Cluster) {
			ps.add(problemOf(job, "cluster", "found %q, which jobs of %s may not use, expected one of %q", job.Cluster, identifier, clusters))
		}
	}
	if len(ps.list) > 0 {
		return nil, ps.sorted(func(file string) []byte { return raw.sources[file] })
	}
	return out, nil
}

func (j *InRepoJobs) bases() []*JobBase {
	var out []*JobBase
	for i := range j.Presubmits {
		out = append(out, &j.Presubmits[i].JobBase)
	}
	for i := range j.Postsubmits {
		out = append(out, &j.Postsubmits[i].JobBase)
	}
	return out
}
