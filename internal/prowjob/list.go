package prowjob

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// LatestPerJob returns, among the jobs of a type, the one that started last
// for each job name.
func LatestPerJob(jobs []*v1.ProwJob, typ v1.ProwJobType) map[string]*v1.ProwJob {
	out := map[string]*v1.ProwJob{}
	for _, pj := range jobs {
		if pj.Spec.Type != typ {
			continue
		}
		if last := out[pj.Spec.Job]; last == nil || pj.Status.StartTime.After(last.Status.StartTime.Time) {
			out[pj.Spec.Job] = pj
		}
	}
	return out
}

// Active are the jobs that a controller has work with.
type Active struct {
	Pending, Triggered []*v1.ProwJob
	// Aborted jobs are aborted but not complete: their workload must be stopped.
	Aborted []*v1.ProwJob
}

// PartitionActive picks the active jobs.
func PartitionActive(jobs []*v1.ProwJob) Active {
	var out Active
	for _, pj := range jobs {
		switch pj.Status.State {
		case v1.PendingState:
			out.Pending = append(out.Pending, pj)
		case v1.TriggeredState:
			out.Triggered = append(out.Triggered, pj)
		case v1.AbortedState:
			if !pj.Complete() {
				out.Aborted = append(out.Aborted, pj)
			}
		}
	}
	return out
}

// Identifier tells what a job is about, whatever commits it tests: a newer run
// with an equal identifier replaces an older one.
func Identifier(spec *v1.ProwJobSpec) string {
	parts := []string{string(spec.Type), spec.Job}
	if spec.Refs != nil {
		parts = append(parts, digest(spec.Refs))
	}
	for i := range spec.ExtraRefs {
		parts = append(parts, digest(&spec.ExtraRefs[i]))
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// digest tells which branch and pull requests refs are about. The order of the
// pull requests does not matter.
func digest(refs *v1.Refs) string {
	numbers := make([]int, len(refs.Pulls))
	for i, pull := range refs.Pulls {
		numbers[i] = pull.Number
	}
	slices.Sort(numbers)
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.Itoa(n)
	}
	return fmt.Sprintf("%s/%s@%s %v", refs.Org, refs.Repo, refs.BaseRef, text)
}

// Duplicates returns the presubmits that a newer run of the same job on the
// same pull request replaces, in the order in which they are found. Among
// those that started at the same moment the first in the list stays. Batches
// are never replaced.
func Duplicates(jobs []*v1.ProwJob) []*v1.ProwJob {
	var replaced []*v1.ProwJob
	current := map[string]*v1.ProwJob{}
	for _, pj := range jobs {
		if pj.Complete() || pj.Spec.Type != v1.PresubmitJob {
			continue
		}
		id := Identifier(&pj.Spec)
		switch have := current[id]; {
		case have == nil:
			current[id] = pj
		case have.Status.StartTime.Time.Before(pj.Status.StartTime.Time):
			replaced = append(replaced, have)
			current[id] = pj
		default:
			replaced = append(replaced, pj)
		}
	}
	return replaced
}

// Supersede marks a job as replaced by a newer run: it is aborted, and the
// reporter to GitHub takes that as reported, so that no status of the old run
// is written over the newer one's. The controller that owns the workload stops
// it and completes the job.
func Supersede(pj *v1.ProwJob) {
	pj.Status.State = v1.AbortedState
	if pj.Status.PrevReportStates == nil {
		pj.Status.PrevReportStates = map[string]v1.ProwJobState{}
	}
	pj.Status.PrevReportStates[v1.GitHubReporterName] = v1.AbortedState
}
