package checkconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// maxJobName is how long a name may be so that it can be a label.
const maxJobName = 63

// ofJob is a problem with a job, at the place where it starts.
func ofJob(job *config.JobBase, field, format string, args ...any) config.Problem {
	return config.Problem{
		File: job.SourcePath, Line: job.SourceLine, Job: job.Name, Field: field, Message: fmt.Sprintf(format, args...),
	}
}

// staticJobs are all jobs of the files.
func (in *input) staticJobs() []*config.JobBase {
	var out []*config.JobBase
	for _, job := range in.config.AllPresubmits() {
		out = append(out, &job.JobBase)
	}
	for _, job := range in.config.AllPostsubmits() {
		out = append(out, &job.JobBase)
	}
	for i := range in.config.Periodics {
		out = append(out, &in.config.Periodics[i].JobBase)
	}
	return out
}

// onKubernetes are the jobs that run as pods.
func (in *input) onKubernetes() []*config.JobBase {
	return slices.DeleteFunc(in.staticJobs(), func(job *config.JobBase) bool { return job.Agent != string(v1.KubernetesAgent) })
}

// refusedRerunCommands finds presubmits that nobody can ask for, because Gerrit
// does not take their command for one.
func refusedRerunCommands(c *config.Config, presubmits []config.Presubmit) []config.Problem {
	var out []config.Problem
	for i := range presubmits {
		p := &presubmits[i]
		if !c.Gerrit.IsAllowedPresubmitTrigger(p.RerunCommand) {
			out = append(out, ofJob(&p.JobBase, "rerun_command", "found %q, which gerrit.allowed_presubmit_trigger_re (%s) does not match",
				p.RerunCommand, c.Gerrit.AllowedPresubmitTriggerRe))
		}
	}
	return out
}

func nonDecoratedJobs(in *input) []config.Problem {
	var out []config.Problem
	for _, job := range in.onKubernetes() {
		if !job.Decorated() {
			out = append(out, ofJob(job, "decorate", "the job runs without pod utilities; set decorate: true, its logs and artifacts are not kept otherwise"))
		}
	}
	return out
}

func validDecorationConfig(in *input) []config.Problem {
	var out []config.Problem
	for _, job := range in.onKubernetes() {
		if !job.Decorated() {
			continue
		}
		if job.DecorationConfig == nil {
			out = append(out, ofJob(job, "decoration_config", "missing"))
		} else if err := job.DecorationConfig.Validate(); err != nil {
			out = append(out, ofJob(job, "decoration_config", "%v", err))
		}
	}
	return out
}

func longJobNames(in *input) []config.Problem {
	var out []config.Problem
	for _, job := range in.onKubernetes() {
		if n := len(job.Name); n > maxJobName {
			out = append(out, ofJob(job, "name", "the name has %d bytes, expected at most %d: labels of its pods cannot hold more", n, maxJobName))
		}
	}
	return out
}

func duplicateJobRefs(in *input) []config.Problem {
	var out []config.Problem
	for _, repo := range sortedKeys(in.config.PresubmitsByRepo) {
		jobs := in.config.PresubmitsByRepo[repo]
		for i := range jobs {
			if twice := repeatedRefs(repo, jobs[i].ExtraRefs); len(twice) > 0 {
				out = append(out, ofJob(&jobs[i].JobBase, "extra_refs", "%s is cloned more than once, expected every repository once", strings.Join(twice, ", ")))
			}
		}
	}
	return out
}

// repeatedRefs are the repositories that are there more than once, sorted.
func repeatedRefs(repo string, extra []v1.Refs) []string {
	seen := map[string]int{repo: 1}
	for _, ref := range extra {
		seen[ref.Org+"/"+ref.Repo]++
	}
	maps.DeleteFunc(seen, func(_ string, n int) bool { return n < 2 })
	return sortedKeys(seen)
}

func periodicCloneConfig(in *input) []config.Problem {
	var out []config.Problem
	for i := range in.config.Periodics {
		job := &in.config.Periodics[i].JobBase
		for field, set := range map[string]bool{"clone_depth": job.CloneDepth != 0, "clone_uri": job.CloneURI != "", "path_alias": job.PathAlias != ""} {
			if set {
				out = append(out, ofJob(job, field, "of no effect: a periodic has no repository of its own; set it in extra_refs"))
			}
		}
	}
	return out
}

func requiredAnnotations(in *input) []config.Problem {
	var out []config.Problem
	for _, job := range in.staticJobs() {
		var missing []string
		for _, key := range in.options.RequiredJobAnnotations {
			if _, ok := job.Annotations[key]; !ok {
				missing = append(missing, key)
			}
		}
		if len(missing) > 0 {
			out = append(out, ofJob(job, "annotations", "missing: %s", strings.Join(missing, ", ")))
		}
	}
	return out
}

func missingTrigger(in *input) []config.Problem {
	repos := map[string]*config.JobBase{}
	for repo, jobs := range in.config.PostsubmitsByRepo {
		if len(jobs) > 0 {
			repos[repo] = &jobs[0].JobBase
		}
	}
	for repo, jobs := range in.config.PresubmitsByRepo {
		if len(jobs) > 0 {
			repos[repo] = &jobs[0].JobBase
		}
	}
	var out []config.Problem
	for _, key := range sortedKeys(repos) {
		org, repo, _ := strings.Cut(key, "/")
		if onGerrit(key) || in.plugins.Enabled("trigger", org, repo) {
			continue
		}
		p := ofJob(repos[key], "", "%s has jobs, but the plugin trigger is not enabled there: nothing starts them", key)
		p.Job = ""
		out = append(out, p)
	}
	return out
}

// onGerrit tells whether the key of a repository is for Gerrit, whose changes
// no plugin sees: it has a scheme, or starts with a host name, which no GitHub
// org does.
func onGerrit(key string) bool {
	return config.IsGerritOrg(key) || strings.Contains(orgOf(key), ".") || strings.Count(key, "/") > 1
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
