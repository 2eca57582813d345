package configtool

import (
	"cmp"
	"maps"
	"slices"

	"prow/internal/config"
)

// Kinds of jobs.
const (
	presubmit  = "presubmit"
	postsubmit = "postsubmit"
	periodic   = "periodic"
)

// job is a job of any kind.
type job struct {
	kind string
	// repo is the key of the repository; of a periodic, its first extra ref.
	repo string
	base *config.JobBase
	// branches is nil for periodics.
	branches *config.Brancher
	// value is the whole job.
	value any
}

// jobs are the static jobs in a stable order.
func jobs(c *config.Config) []job {
	var out []job
	for _, repo := range slices.Sorted(maps.Keys(c.PresubmitsByRepo)) {
		for i := range c.PresubmitsByRepo[repo] {
			p := &c.PresubmitsByRepo[repo][i]
			out = append(out, job{presubmit, repo, &p.JobBase, &p.Brancher, p})
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(c.PostsubmitsByRepo)) {
		for i := range c.PostsubmitsByRepo[repo] {
			p := &c.PostsubmitsByRepo[repo][i]
			out = append(out, job{postsubmit, repo, &p.JobBase, &p.Brancher, p})
		}
	}
	for i := range c.Periodics {
		p := &c.Periodics[i]
		repo := ""
		if len(p.ExtraRefs) > 0 {
			repo = p.ExtraRefs[0].OrgRepoString()
		}
		out = append(out, job{periodic, repo, &p.JobBase, nil, p})
	}
	return out
}

// title names a job for people.
func (j *job) title() string {
	if j.kind == periodic {
		return "periodic " + j.base.Name
	}
	return j.kind + " " + j.base.Name + " of " + j.repo
}

func compareJobs(a, b job) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.repo, b.repo), cmp.Compare(a.base.Name, b.base.Name))
}
