package config

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v1 "prow/api/prowjobs/v1"
)

// JobBase is what every job has, whatever causes it to run.
type JobBase struct {
	// Name names the job; see validJobName.
	Name string `json:"name"`
	// Labels and Annotations go to the ProwJob and to its pod.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// MaxConcurrency limits how many runs of the job exist at once; 0 is no limit.
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// Agent names the controller that runs the job. Default: kubernetes.
	Agent string `json:"agent,omitempty"`
	// Cluster is the alias of the build cluster. Default: default.
	Cluster string `json:"cluster,omitempty"`
	// Namespace is where the workload goes. Default: pod_namespace.
	Namespace *string `json:"namespace,omitempty"`
	// ErrorOnEviction ends the job in error when its pod is evicted.
	ErrorOnEviction bool `json:"error_on_eviction,omitempty"`
	// Spec is the pod of a kubernetes job.
	Spec *corev1.PodSpec `json:"spec,omitempty"`
	// PipelineRunSpec is the older place of a Tekton pipeline.
	PipelineRunSpec *runtime.RawExtension `json:"pipeline_run_spec,omitempty"`
	// TektonPipelineRunSpec is the preferred place of a Tekton pipeline.
	TektonPipelineRunSpec *v1.TektonPipelineRunSpec `json:"tekton_pipeline_run_spec,omitempty"`
	// ReporterConfig overrides settings of reporters.
	ReporterConfig *v1.ReporterConfig `json:"reporter_config,omitempty"`
	// RerunAuthConfig says who may run the job again.
	RerunAuthConfig *v1.RerunAuthConfig `json:"rerun_auth_config,omitempty"`
	// Hidden keeps the job from Deck instances that do not show hidden jobs.
	Hidden bool `json:"hidden,omitempty"`
	// ProwJobDefault holds values of prowjob_default_entries; never nil after a load.
	ProwJobDefault *v1.ProwJobDefault `json:"prowjob_defaults,omitempty"`
	// JobQueueName names a pool of plank.job_queue_capacities.
	JobQueueName string `json:"job_queue_name,omitempty"`

	// SourcePath is the file the job was read from; empty for in-repo jobs.
	SourcePath string `json:"-"`
	// SourceLine is the line the job starts at, from 1; 0 where unknown.
	SourceLine int `json:"-"`
	// sourceColumn goes with SourceLine.
	sourceColumn int
	// inRepoPath is the file of an in-repo job within its repository.
	inRepoPath string

	UtilityConfig
}

// SetPosition is called by the decoder with the place the job starts at.
func (b *JobBase) SetPosition(line, column int) { b.SourceLine, b.sourceColumn = line, column }

// file is where the job stands.
func (b *JobBase) file() string {
	if b.SourcePath != "" {
		return b.SourcePath
	}
	return b.inRepoPath
}

// UtilityConfig says how the pod utilities treat a job.
type UtilityConfig struct {
	// Decorate asks for the pod utilities. Default: decorate_all_jobs.
	Decorate *bool `json:"decorate,omitempty"`
	// PathAlias is the location of the primary repository below <root>/src.
	PathAlias string `json:"path_alias,omitempty"`
	// CloneURI overrides the URL the primary repository is cloned from.
	CloneURI string `json:"clone_uri,omitempty"`
	// SkipSubmodules leaves submodules alone.
	SkipSubmodules bool `json:"skip_submodules,omitempty"`
	// CloneDepth is the depth of the clone; 0 is everything.
	CloneDepth int `json:"clone_depth,omitempty"`
	// SkipFetchHead leaves out the first fetch of HEAD and tags.
	SkipFetchHead bool `json:"skip_fetch_head,omitempty"`
	// ExtraRefs are further repositories to clone.
	ExtraRefs []v1.Refs `json:"extra_refs,omitempty"`
	// DecorationConfig configures the pod utilities; never nil for a decorated
	// job after a load.
	DecorationConfig *v1.DecorationConfig `json:"decoration_config,omitempty"`
}

// Decorated tells whether the pod utilities are asked for.
func (u *UtilityConfig) Decorated() bool { return u.Decorate != nil && *u.Decorate }

// Presubmit runs on pull requests.
type Presubmit struct {
	JobBase

	// AlwaysRun runs the job on every change of every pull request.
	AlwaysRun bool `json:"always_run"`
	// Optional says that the job need not succeed for a merge.
	Optional bool `json:"optional,omitempty"`
	// Trigger is the regular expression a comment must match to run the job.
	// Default: /test NAME, see DefaultTrigger.
	Trigger string `json:"trigger,omitempty"`
	// RerunCommand is the comment that runs the job again; it must match Trigger.
	RerunCommand string `json:"rerun_command,omitempty"`
	// RunBeforeMerge makes Tide run the job before every merge, whatever its
	// change matcher says.
	RunBeforeMerge bool `json:"run_before_merge,omitempty"`

	Brancher
	RegexpChangeMatcher
	Reporter

	// JenkinsSpec holds what only Jenkins jobs need.
	JenkinsSpec *v1.JenkinsSpec `json:"jenkins_spec,omitempty"`

	trigger triggerMatcher
}

// Postsubmit runs on pushes.
type Postsubmit struct {
	JobBase

	// AlwaysRun decides for jobs without a change matcher. Unset: run.
	AlwaysRun *bool `json:"always_run,omitempty"`

	Brancher
	RegexpChangeMatcher
	Reporter

	// JenkinsSpec holds what only Jenkins jobs need.
	JenkinsSpec *v1.JenkinsSpec `json:"jenkins_spec,omitempty"`
}

// Periodic runs by time. Exactly one of Cron, Interval and MinimumInterval is set.
type Periodic struct {
	JobBase

	// Cron has five fields, or six with leading seconds, or is a descriptor.
	Cron string `json:"cron,omitempty"`
	// Interval is the time between the starts of two runs, as a Go duration.
	Interval string `json:"interval,omitempty"`
	// MinimumInterval is the time between the end of one run and the start of
	// the next, as a Go duration.
	MinimumInterval string `json:"minimum_interval,omitempty"`
	// Tags are accepted and unused.
	Tags []string `json:"tags,omitempty"`
	// Retry says how a failed run is tried again.
	Retry *Retry `json:"retry,omitempty"`

	schedule periodicSchedule
}

// Retry says how a failed run of a periodic is tried again.
type Retry struct {
	// RunAll makes all attempts even after one succeeded.
	RunAll bool `json:"run_all,omitempty"`
	// Attempts is the number of attempts; the scheduler caps it at 10.
	Attempts int `json:"attempts,omitempty"`
	// Interval is the time between attempts, as a Go duration.
	Interval string `json:"interval,omitempty"`
}

// Reporter says whether and under which name a job reports to the code host.
type Reporter struct {
	// Context is the name of the status. Default: the name of the job.
	Context string `json:"context,omitempty"`
	// SkipReport keeps the job from reporting.
	SkipReport bool `json:"skip_report,omitempty"`
}

// Preset is a piece of pod spec that is added to the jobs that carry all of
// its labels; without labels, to every job.
type Preset struct {
	Labels       map[string]string    `json:"labels,omitempty"`
	Env          []corev1.EnvVar      `json:"env,omitempty"`
	Volumes      []corev1.Volume      `json:"volumes,omitempty"`
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`
	Tolerations  []corev1.Toleration  `json:"tolerations,omitempty"`

	source position
}

// SetPosition is called by the decoder with the place the preset starts at.
func (p *Preset) SetPosition(line, column int) { p.source.line, p.source.column = line, column }

// AllPresubmits returns the static presubmits of the given repositories, of
// all repositories where none are given, by repository in lexical order.
func (c *JobConfig) AllPresubmits(repos ...string) []*Presubmit {
	return allOf(c.PresubmitsByRepo, repos)
}

// AllPostsubmits returns the static postsubmits, as AllPresubmits does.
func (c *JobConfig) AllPostsubmits(repos ...string) []*Postsubmit {
	return allOf(c.PostsubmitsByRepo, repos)
}

// PeriodicsForRepo returns the periodics that have the repository among their
// extra refs, once for each such ref.
func (c *JobConfig) PeriodicsForRepo(org, repo string) []*Periodic {
	var out []*Periodic
	for i := range c.Periodics {
		for _, ref := range c.Periodics[i].ExtraRefs {
			if ref.Org == org && ref.Repo == repo {
				out = append(out, &c.Periodics[i])
			}
		}
	}
	return out
}

func allOf[J any](byRepo map[string][]J, repos []string) []*J {
	if len(repos) == 0 {
		repos = slices.Sorted(maps.Keys(byRepo))
	}
	var out []*J
	for _, repo := range repos {
		jobs := byRepo[repo]
		for i := range jobs {
			out = append(out, &jobs[i])
		}
	}
	return out
}
