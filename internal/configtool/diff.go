package configtool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prow/internal/config"
)

// Diff is what a change of the configuration means.
type Diff struct {
	// Added and Removed are jobs.
	Added   []JobLine `json:"added"`
	Removed []JobLine `json:"removed"`
	// Changed are jobs, those with the same changes together, most jobs first.
	Changed []JobChange `json:"changed"`
	// Settings are keys of the main configuration whose effective value changed.
	Settings []Change `json:"settings"`
}

// JobLine names a job and says when it runs.
type JobLine struct {
	Job  string `json:"job"`
	Runs string `json:"runs"`
}

// JobChange is what changed in the same way in some jobs.
type JobChange struct {
	Jobs    []string `json:"jobs"`
	Changes []Change `json:"changes"`
}

// Change is one value that changed.
type Change struct {
	// Aspect tells what the change is about; empty for settings.
	Aspect Aspect `json:"aspect,omitempty"`
	// Field is the path of the value; empty where Old and New are sentences.
	Field string `json:"field"`
	// Old and New are JSON, or sentences; empty where there is no value.
	Old string `json:"old"`
	New string `json:"new"`
}

// Aspect is what a change of a job is about.
type Aspect string

// The aspects, in the order in which they are told.
const (
	// AspectTrigger: when the job runs.
	AspectTrigger Aspect = "trigger"
	// AspectMerge: whether the job must succeed before a merge.
	AspectMerge Aspect = "merge"
	// AspectReport: where its result is reported.
	AspectReport Aspect = "report"
	// AspectPod: what runs, and where.
	AspectPod Aspect = "pod"
	// AspectOther: limits, visibility and rights.
	AspectOther Aspect = "other"
)

var aspects = []Aspect{AspectTrigger, AspectMerge, AspectReport, AspectPod, AspectOther}

// aspectOf sorts the top-level keys of a job; the rest is about the pod.
var aspectOf = map[string]Aspect{
	"always_run": AspectTrigger, "run_if_changed": AspectTrigger, "skip_if_only_changed": AspectTrigger,
	"trigger": AspectTrigger, "rerun_command": AspectTrigger, "branches": AspectTrigger, "skip_branches": AspectTrigger,
	"run_before_merge": AspectTrigger, "cron": AspectTrigger, "interval": AspectTrigger, "minimum_interval": AspectTrigger, "retry": AspectTrigger,
	"optional": AspectMerge,
	"context":  AspectReport, "skip_report": AspectReport, "reporter_config": AspectReport,
	"max_concurrency": AspectOther, "job_queue_name": AspectOther, "hidden": AspectOther, "rerun_auth_config": AspectOther,
	"prowjob_defaults": AspectOther, "tags": AspectOther,
}

// Empty tells whether nothing changed.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Changed)+len(d.Settings) == 0
}

// Compare tells what differs between two configurations.
func Compare(before, after *config.Config) (*Diff, error) {
	out := &Diff{Added: []JobLine{}, Removed: []JobLine{}, Changed: []JobChange{}, Settings: []Change{}}
	groups := map[string]*JobChange{}
	for _, pair := range match(jobs(before), jobs(after)) {
		switch {
		case pair.before == nil:
			out.Added = append(out.Added, JobLine{pair.after.title(), runs(pair.after)})
		case pair.after == nil:
			out.Removed = append(out.Removed, JobLine{pair.before.title(), runs(pair.before)})
		default:
			changes, err := pair.changes()
			if err != nil {
				return nil, err
			}
			if len(changes) == 0 {
				continue
			}
			key := fmt.Sprint(changes)
			if groups[key] == nil {
				groups[key] = &JobChange{Changes: changes}
			}
			groups[key].Jobs = append(groups[key].Jobs, pair.after.title())
		}
	}
	for _, g := range groups {
		out.Changed = append(out.Changed, *g)
	}
	slices.SortFunc(out.Changed, func(a, b JobChange) int {
		return cmp.Or(cmp.Compare(len(b.Jobs), len(a.Jobs)), cmp.Compare(a.Jobs[0], b.Jobs[0]))
	})
	settings, err := compareValues(before.ProwConfig, after.ProwConfig)
	if err != nil {
		return nil, err
	}
	out.Settings = append(out.Settings, settings...)
	return out, nil
}

// pair is a job before and after; one of them may be missing.
type pair struct{ before, after *job }

// match pairs jobs of the same kind, repository and name. Where several share
// these, because they are for different branches, equal branches go first and
// the order decides about the rest.
func match(before, after []job) []pair {
	type key struct{ kind, repo, name string }
	keyOf := func(j *job) key {
		if j.kind == periodic {
			return key{j.kind, "", j.base.Name}
		}
		return key{j.kind, j.repo, j.base.Name}
	}
	old := map[key][]*job{}
	for i := range before {
		old[keyOf(&before[i])] = append(old[keyOf(&before[i])], &before[i])
	}
	slices.SortStableFunc(after, compareJobs)
	out := make([]pair, 0, len(after))
	take := func(k key, fits func(*job) bool) *job {
		i := slices.IndexFunc(old[k], fits)
		if i < 0 {
			return nil
		}
		found := old[k][i]
		old[k] = slices.Delete(old[k], i, i+1)
		return found
	}
	for i := range after {
		j := &after[i]
		out = append(out, pair{take(keyOf(j), func(o *job) bool { return sameBranches(o, j) }), j})
	}
	for i := range out {
		if out[i].before == nil {
			out[i].before = take(keyOf(out[i].after), func(*job) bool { return true })
		}
	}
	for i := range before {
		if left := old[keyOf(&before[i])]; slices.Contains(left, &before[i]) {
			out = append(out, pair{&before[i], nil})
		}
	}
	return out
}

func sameBranches(a, b *job) bool {
	return a.branches == nil || slices.Equal(a.branches.Branches, b.branches.Branches) && slices.Equal(a.branches.SkipBranches, b.branches.SkipBranches)
}

func (p pair) changes() ([]Change, error) {
	list, err := compareValues(p.before.value, p.after.value)
	if err != nil {
		return nil, err
	}
	var out []Change
	if was, is := runs(p.before), runs(p.after); was != is {
		out = append(out, Change{AspectTrigger, "", was, is})
	}
	if was, is := merges(p.before), merges(p.after); was != is {
		out = append(out, Change{AspectMerge, "", was, is})
	}
	for _, c := range list {
		top := c.Field
		if end := strings.IndexAny(top, ".["); end > 0 {
			top = top[:end]
		}
		c.Aspect = cmp.Or(aspectOf[top], AspectPod)
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Change) int {
		return cmp.Compare(slices.Index(aspects, a.Aspect), slices.Index(aspects, b.Aspect))
	})
	return out, nil
}

// compareValues tells which leaves differ.
func compareValues(before, after any) ([]Change, error) {
	was, err := leaves(before)
	if err != nil {
		return nil, err
	}
	is, err := leaves(after)
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	var out []Change
	for _, field := range slices.Sorted(maps.Keys(keys)) {
		if was[field] != is[field] {
			out = append(out, Change{Field: field, Old: was[field], New: is[field]})
		}
	}
	return out, nil
}

// leaves maps the path of every value that holds no further one, and of every
// list of such, to its JSON.
func leaves(value any) (map[string]string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", value, err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", value, err)
	}
	out := map[string]string{}
	flatten(tree, "", out)
	return out, nil
}

func flatten(value any, at string, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if at != "" {
				key = at + "." + key
			}
			flatten(child, key, into)
		}
	case []any:
		if !slices.ContainsFunc(v, isObject) {
			into[at] = text(v)
			return
		}
		for i, child := range v {
			flatten(child, at+"["+itemName(v, i)+"]", into)
		}
	default:
		into[at] = text(v)
	}
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// itemName tells items of a list apart: by name where all have one of their
// own, by what they say where they have none, so that an item in front does
// not make all that follow look changed.
func itemName(list []any, i int) string {
	names := map[string]int{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		names[name]++
	}
	if len(names) == len(list) && names[""] == 0 {
		return list[i].(map[string]any)["name"].(string)
	}
	return fmt.Sprint(i)
}

// text is compact JSON without escapes for HTML.
func text(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
