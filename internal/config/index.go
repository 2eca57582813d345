package config

import (
	"k8s.io/apimachinery/pkg/util/sets"
)

// index holds what lookups need and the files do not say.
type index struct {
	// allRepos are the repositories of Tide queries and of jobs.
	allRepos sets.Set[string]
	// buckets are the storage buckets that may be shown, without scheme.
	buckets sets.Set[string]
	// version identifies the content the snapshot was read from.
	version string
	// warnings are mistakes that do no harm.
	warnings []Problem
}

// AllRepos returns the repositories of Tide queries and of jobs; never nil.
func (c *Config) AllRepos() sets.Set[string] {
	if c.index.allRepos == nil {
		return sets.New[string]()
	}
	return c.index.allRepos
}

// Version identifies the content the snapshot was read from: equal versions
// mean equal files.
func (c *Config) Version() string { return c.index.version }

// PresubmitsStatic returns the presubmits of a repository that the files
// declare. For a Gerrit repository those declared without scheme follow.
func (c *JobConfig) PresubmitsStatic(identifier string) []Presubmit {
	return static(c.PresubmitsByRepo, identifier)
}

// PostsubmitsStatic returns the postsubmits of a repository, as
// PresubmitsStatic does.
func (c *JobConfig) PostsubmitsStatic(identifier string) []Postsubmit {
	return static(c.PostsubmitsByRepo, identifier)
}

func static[J any](byRepo map[string][]J, identifier string) []J {
	jobs := byRepo[identifier]
	if bare := withoutScheme(identifier); bare != identifier {
		if more := byRepo[bare]; len(more) > 0 {
			return append(jobs[:len(jobs):len(jobs)], more...)
		}
	}
	return jobs
}

// Warnings are mistakes that do no harm: fields that are deprecated or have no
// effect, files that were skipped.
func (c *Config) Warnings() []Problem { return c.index.warnings }
