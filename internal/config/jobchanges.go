package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// JobsDelta tells what a change of the configuration means for the jobs of one type.
type JobsDelta[J any] struct {
	// Added are jobs that exist only after the change.
	Added []*J
	// Removed are jobs that existed only before the change.
	Removed []*J
	// Changed are jobs whose effective values differ: the old and the new form.
	Changed [][2]*J
}

// Empty tells that no job differs.
func (d *JobsDelta[J]) Empty() bool {
	return len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0
}

// JobChanges tells what a change means for jobs, by repository. Repositories
// without a difference are absent.
type JobChanges struct {
	Presubmits  map[string]JobsDelta[Presubmit]
	Postsubmits map[string]JobsDelta[Postsubmit]
	Periodics   JobsDelta[Periodic]
}

// ChangedJobs compares the static jobs of two configurations; nil is one
// without jobs. Jobs that share their name, on different branches, are paired
// in order. Where a job stands in its files does not count.
func ChangedJobs(before, after *Config) (JobChanges, error) {
	if before == nil {
		before = &Config{}
	}
	if after == nil {
		after = &Config{}
	}
	var out JobChanges
	var err error
	if out.Presubmits, err = changedByRepo(before.PresubmitsByRepo, after.PresubmitsByRepo, func(p *Presubmit) string { return p.Name }); err != nil {
		return JobChanges{}, err
	}
	if out.Postsubmits, err = changedByRepo(before.PostsubmitsByRepo, after.PostsubmitsByRepo, func(p *Postsubmit) string { return p.Name }); err != nil {
		return JobChanges{}, err
	}
	if out.Periodics, err = changedJobs(before.Periodics, after.Periodics, func(p *Periodic) string { return p.Name }); err != nil {
		return JobChanges{}, err
	}
	return out, nil
}

func changedByRepo[J any](before, after map[string][]J, name func(*J) string) (map[string]JobsDelta[J], error) {
	out := map[string]JobsDelta[J]{}
	repos := maps.Clone(before)
	if repos == nil {
		repos = map[string][]J{}
	}
	maps.Copy(repos, after)
	for repo := range repos {
		delta, err := changedJobs(before[repo], after[repo], name)
		if err != nil {
			return nil, fmt.Errorf("comparing the jobs of %s: %w", repo, err)
		}
		if !delta.Empty() {
			out[repo] = delta
		}
	}
	return out, nil
}

func changedJobs[J any](before, after []J, name func(*J) string) (JobsDelta[J], error) {
	var out JobsDelta[J]
	// Jobs of files that did not change are shared by both configurations.
	if len(before) == len(after) && (len(before) == 0 || &before[0] == &after[0]) {
		return out, nil
	}
	byName := make(map[string][]*J, len(before))
	for i := range before {
		key := name(&before[i])
		byName[key] = append(byName[key], &before[i])
	}
	for i := range after {
		key := name(&after[i])
		old := byName[key]
		if len(old) == 0 {
			out.Added = append(out.Added, &after[i])
			continue
		}
		byName[key] = old[1:]
		a, err := json.Marshal(old[0])
		if err != nil {
			return out, fmt.Errorf("job %s: %w", key, err)
		}
		b, err := json.Marshal(&after[i])
		if err != nil {
			return out, fmt.Errorf("job %s: %w", key, err)
		}
		if !bytes.Equal(a, b) {
			out.Changed = append(out.Changed, [2]*J{old[0], &after[i]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byName)) {
		out.Removed = append(out.Removed, byName[key]...)
	}
	return out, nil
}
