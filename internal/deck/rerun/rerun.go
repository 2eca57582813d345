// Package rerun makes the ProwJob that runs a job again.
package rerun

import (
	"fmt"
	"maps"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

// ofTheRun are labels that tell of one run, not of the job.
var ofTheRun = []string{v1.BuildIDLabel, v1.ProwJobIDLabel, v1.PlankVersionLabel}

// applied is what kubectl notes about the object that it made.
const applied = "kubectl.kubernetes.io/last-applied-configuration"

// kept are the labels and annotations that say for whom a job ran. They stay, whatever
// the configuration says by now.
var (
	keptLabels      = []string{v1.GerritRevisionLabel, v1.GerritPatchsetLabel, v1.GerritReportLabel, v1.EventGUIDLabel, v1.CreatedByTideLabel}
	keptAnnotations = []string{v1.GerritIDAnnotation, v1.GerritInstanceAnnotation}
)

// Original runs a job again as it was.
func Original(old *v1.ProwJob, opts ...prowjob.Option) *v1.ProwJob {
	labels, annotations := maps.Clone(old.Labels), maps.Clone(old.Annotations)
	for _, name := range ofTheRun {
		delete(labels, name)
	}
	delete(annotations, applied)
	return prowjob.New(old.Spec, labels, annotations, opts...)
}

// Latest runs a job again as the configuration has it now, for the same code. Jobs that
// repositories bring themselves are not looked for. An error says why there is none.
func Latest(cfg *config.Config, old *v1.ProwJob, opts ...prowjob.Option) (*v1.ProwJob, error) {
	labels := pick(old.Labels, keptLabels)
	var out *v1.ProwJob
	switch old.Spec.Type {
	case v1.PeriodicJob:
		for i := range cfg.Periodics {
			if p := &cfg.Periodics[i]; p.Name == old.Spec.Job {
				out = prowjob.NewPeriodic(p, 0, opts...)
			}
		}
		if out == nil {
			return nil, fmt.Errorf("the configuration has no periodic %s", old.Spec.Job)
		}
	case v1.PresubmitJob:
		refs, where, err := codeOf(old)
		if err != nil {
			return nil, err
		}
		jobs := cfg.PresubmitsStatic(where)
		i, err := choose(old, where, len(jobs), func(i int) (string, *config.Brancher) { return jobs[i].Name, &jobs[i].Brancher })
		if err != nil {
			return nil, err
		}
		out = prowjob.NewPresubmit(&jobs[i], refs, prowjob.Event{}, opts...)
	case v1.PostsubmitJob:
		refs, where, err := codeOf(old)
		if err != nil {
			return nil, err
		}
		jobs := cfg.PostsubmitsStatic(where)
		i, err := choose(old, where, len(jobs), func(i int) (string, *config.Brancher) { return jobs[i].Name, &jobs[i].Brancher })
		if err != nil {
			return nil, err
		}
		out = prowjob.NewPostsubmit(&jobs[i], refs, prowjob.Event{}, opts...)
	default:
		return nil, fmt.Errorf("a job of type %s cannot be made from the configuration alone", old.Spec.Type)
	}
	out.Labels = with(out.Labels, labels)
	out.Annotations = with(out.Annotations, pick(old.Annotations, keptAnnotations))
	return out, nil
}

// codeOf is the code that a job is about, without what its configuration said about
// cloning, and the name of the repository in the configuration.
func codeOf(old *v1.ProwJob) (refs v1.Refs, where string, err error) {
	if old.Spec.Refs == nil || old.Spec.Refs.Org == "" || old.Spec.Refs.Repo == "" || old.Spec.Refs.BaseRef == "" {
		return refs, "", fmt.Errorf("%s does not say which repository and branch it is about", old.Name)
	}
	refs = *old.Spec.Refs.DeepCopy()
	where = refs.OrgRepoString()
	_, gerrit := old.Labels[v1.GerritRevisionLabel]
	if gerrit && !strings.Contains(refs.Org, "://") {
		where = "https://" + where
	}
	refs.PathAlias, refs.SkipSubmodules, refs.SkipFetchHead, refs.CloneDepth = "", false, false, 0
	refs.BloblessFetch, refs.SparseCheckoutFiles, refs.SparseCheckout = nil, nil, nil
	if !gerrit { // the URL of Gerrit comes from the change
		refs.CloneURI = ""
	}
	return refs, where, nil
}

// choose finds the one job of the name that runs on the branch.
func choose(old *v1.ProwJob, where string, count int, job func(int) (string, *config.Brancher)) (int, error) {
	found, named := -1, false
	for i := range count {
		name, branches := job(i)
		if name != old.Spec.Job {
			continue
		}
		named = true
		if !branches.ShouldRunAtBranch(old.Spec.Refs.BaseRef) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("the configuration has several jobs %s of %s for branch %s", old.Spec.Job, where, old.Spec.Refs.BaseRef)
		}
		found = i
	}
	switch {
	case found >= 0:
		return found, nil
	case named:
		return 0, fmt.Errorf("job %s of %s no longer runs on branch %s", old.Spec.Job, where, old.Spec.Refs.BaseRef)
	}
	return 0, fmt.Errorf("the configuration has no %s %s of %s", old.Spec.Type, old.Spec.Job, where)
}

func pick(from map[string]string, names []string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if value, ok := from[name]; ok {
			out[name] = value
		}
	}
	return out
}

func with(base, more map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}
