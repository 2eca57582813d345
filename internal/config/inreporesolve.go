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
func (c *Config) ResolveInRepo(identifier string, raw *InRepoJobs) (jobs *InRepoJobs, err error) {
	err = guarded("the jobs of "+identifier, func() error {
		jobs, err = c.resolveInRepo(identifier, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

func (c *Config) resolveInRepo(identifier string, raw *InRepoJobs) (*InRepoJobs, error) {
	ps := problems{most: maxInRepoProblems}
	limit := newInRepoBudget()
	resolver := newResolver(c, &regexCache{budget: limit})
	resolver.limit = limit
	resolver.presets = slices.Concat(c.Presets, raw.Presets)
	out := &InRepoJobs{Presets: raw.Presets}
	for i := range raw.Presubmits {
		if ps.full() {
			break
		}
		job, found := resolver.presubmit(raw.Presubmits[i], identifier)
		out.Presubmits = append(out.Presubmits, job)
		ps.add(found.list...)
	}
	for i := range raw.Postsubmits {
		if ps.full() {
			break
		}
		job, found := resolver.postsubmit(raw.Postsubmits[i], identifier)
		out.Postsubmits = append(out.Postsubmits, job)
		ps.add(found.list...)
	}
	checkNamesakes(out.Presubmits, func(p *Presubmit) (*JobBase, *Brancher, string) { return &p.JobBase, &p.Brancher, p.Context }, &ps)
	checkNamesakes(out.Postsubmits, func(p *Postsubmit) (*JobBase, *Brancher, string) { return &p.JobBase, &p.Brancher, p.Context }, &ps)
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

// checkNamesakes refuses more jobs of one name, or of one context, than can be
// compared in no time.
func checkNamesakes[J any](jobs []J, of func(*J) (base *JobBase, branches *Brancher, context string), ps *problems) {
	names, contexts := map[string]int{}, map[string]int{}
	for i := range jobs {
		b, branches, context := of(&jobs[i])
		if n := len(branches.Branches) + len(branches.SkipBranches); n > maxInRepoBranches {
			ps.add(problemOf(b, "branches", "found %d branches, expected at most %d", n, maxInRepoBranches))
		}
		if names[b.Name]++; names[b.Name] == maxInRepoNamesakes+1 {
			ps.add(problemOf(b, "name", "more than %d jobs have this name", maxInRepoNamesakes))
		}
		if contexts[context]++; contexts[context] == maxInRepoNamesakes+1 {
			ps.add(problemOf(b, "context", "more than %d jobs report under this context", maxInRepoNamesakes))
		}
	}
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
