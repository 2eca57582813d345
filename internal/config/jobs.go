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
	// Name names the job. It is required and holds letters, digits, '-', '.' and
	// '_'; for agent jenkins also folders separated by '/', and it does not end in
	// '.' or '/'. Names over 63 bytes are accepted; the label of the job is cut.
	Name string `json:"name"`
	// Labels go to the ProwJob and to its pod, and choose presets. Keys are
	// Kubernetes label names, values label values of at most 63 bytes;
	// prow.k8s.io/type, prow.k8s.io/id and created-by-prow are reserved.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations go to the ProwJob and to its pod. Keys are Kubernetes annotation
	// names.
	Annotations map[string]string `json:"annotations,omitempty"`
	// MaxConcurrency limits how many runs of the job exist at once; 0 is no limit.
	// It must not be negative. Default: 0.
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// Agent names the controller that runs the job: kubernetes, jenkins or
	// tekton-pipeline. Others are somebody else's and are hardly checked. Default:
	// kubernetes.
	Agent string `json:"agent,omitempty"`
	// Cluster is the alias of the build cluster. Default: default.
	Cluster string `json:"cluster,omitempty"`
	// Namespace is where the workload goes. It must be pod_namespace unless the
	// agent is tekton-pipeline. Default: pod_namespace.
	Namespace *string `json:"namespace,omitempty"`
	// ErrorOnEviction ends the job in error when its pod is evicted, instead of
	// starting it again. Only for agent kubernetes. Default: false.
	ErrorOnEviction bool `json:"error_on_eviction,omitempty"`
	// Spec is the pod of a job of agent kubernetes, which must have one; other
	// agents must not. It holds at least one container, and several only if the
	// job is decorated; init containers must have restartPolicy Always.
	Spec *corev1.PodSpec `json:"spec,omitempty"`
	// PipelineRunSpec is the older place of the Tekton PipelineRunSpec of a job of
	// agent tekton-pipeline, which must have one here or in
	// tekton_pipeline_run_spec; other agents must not.
	PipelineRunSpec *runtime.RawExtension `json:"pipeline_run_spec,omitempty"`
	// TektonPipelineRunSpec is the preferred place of a Tekton pipeline, by
	// version; it wins over pipeline_run_spec.
	TektonPipelineRunSpec *v1.TektonPipelineRunSpec `json:"tekton_pipeline_run_spec,omitempty"`
	// ReporterConfig overrides settings of reporters for the job, such as the
	// channel of slack_reporter_configs.
	ReporterConfig *v1.ReporterConfig `json:"reporter_config,omitempty"`
	// RerunAuthConfig says who may run the job again, beside those Deck's
	// configuration admits. allow_anyone excludes every list.
	RerunAuthConfig *v1.RerunAuthConfig `json:"rerun_auth_config,omitempty"`
	// Hidden keeps the job from Deck instances that do not show hidden jobs.
	// Default: false.
	Hidden bool `json:"hidden,omitempty"`
	// ProwJobDefault overrides prowjob_default_entries for the job. Default: what
	// the entries say, and the tenant GlobalDefaultID.
	ProwJobDefault *v1.ProwJobDefault `json:"prowjob_defaults,omitempty"`
	// JobQueueName names a queue of plank.job_queue_capacities, whose capacity the
	// job shares with others; max_concurrency counts as well, and the lower limit
	// wins.
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
	// Decorate asks for the pod utilities, which clone, time out and upload.
	// Default: decorate_all_jobs.
	Decorate *bool `json:"decorate,omitempty"`
	// PathAlias is the location of the primary repository below <root>/src. It has
	// no effect on periodics. Default: github.com/<org>/<repo>.
	PathAlias string `json:"path_alias,omitempty"`
	// CloneURI overrides the URL the primary repository is cloned from; with
	// oauth_token_secret it must be http or https. It has no effect on periodics.
	CloneURI string `json:"clone_uri,omitempty"`
	// SkipSubmodules leaves submodules alone. Default: false.
	SkipSubmodules bool `json:"skip_submodules,omitempty"`
	// CloneDepth is the number of commits to clone; 0 is everything. It has no
	// effect on periodics. Default: 0.
	CloneDepth int `json:"clone_depth,omitempty"`
	// SkipFetchHead leaves out the first fetch of HEAD and tags. Default: false.
	SkipFetchHead bool `json:"skip_fetch_head,omitempty"`
	// ExtraRefs are further repositories to clone.
	ExtraRefs []v1.Refs `json:"extra_refs,omitempty"`
	// DecorationConfig configures the pod utilities; what it leaves open comes
	// from plank's defaults. Only for agent kubernetes. A decorated job needs all
	// four utility images and a storage place, and each container a command or
	// args.
	DecorationConfig *v1.DecorationConfig `json:"decoration_config,omitempty"`
}

// Decorated tells whether the pod utilities are asked for.
func (u *UtilityConfig) Decorated() bool { return u.Decorate != nil && *u.Decorate }

// Presubmit runs on pull requests.
type Presubmit struct {
	JobBase

	// AlwaysRun runs the job on every change of every pull request; it excludes
	// run_if_changed and skip_if_only_changed. Default: false.
	AlwaysRun bool `json:"always_run"`
	// Optional says that the job need not succeed for a merge. Default: false.
	Optional bool `json:"optional,omitempty"`
	// Trigger is the regular expression a comment must match to run the job. It is
	// set together with rerun_command or not at all. Default: the job's own /test
	// command, alone or among others.
	Trigger string `json:"trigger,omitempty"`
	// RerunCommand is the comment that runs the job again; it must match trigger.
	// Default: /test and the name of the job.
	RerunCommand string `json:"rerun_command,omitempty"`
	// RunBeforeMerge makes Tide run the job before every merge to its branches,
	// whatever its change matcher says. Default: false.
	RunBeforeMerge bool `json:"run_before_merge,omitempty"`

	Brancher
	RegexpChangeMatcher
	Reporter

	// JenkinsSpec holds what only jobs of agent jenkins need.
	JenkinsSpec *v1.JenkinsSpec `json:"jenkins_spec,omitempty"`

	trigger triggerMatcher
}

// Postsubmit runs on pushes.
type Postsubmit struct {
	JobBase

	// AlwaysRun decides for jobs without a change matcher; true excludes
	// run_if_changed and skip_if_only_changed. Default: true without a change
	// matcher.
	AlwaysRun *bool `json:"always_run,omitempty"`

	Brancher
	RegexpChangeMatcher
	Reporter

	// JenkinsSpec holds what only jobs of agent jenkins need.
	JenkinsSpec *v1.JenkinsSpec `json:"jenkins_spec,omitempty"`
}

// Periodic runs by time. Exactly one of Cron, Interval and MinimumInterval is set.
type Periodic struct {
	JobBase

	// Cron tells the times: five fields, or six with leading seconds, or a
	// descriptor such as @daily or @every 1h; TZ= or CRON_TZ= and a zone may stand
	// before them. Exactly one of cron, interval and minimum_interval is set.
	Cron string `json:"cron,omitempty"`
	// Interval is the time between the starts of two runs, as a Go duration.
	// Exactly one of cron, interval and minimum_interval is set.
	Interval string `json:"interval,omitempty"`
	// MinimumInterval is the time between the end of one run and the start of the
	// next, as a Go duration. Exactly one of cron, interval and minimum_interval
	// is set.
	MinimumInterval string `json:"minimum_interval,omitempty"`
	// Tags are for other tools; nothing here reads them.
	Tags []string `json:"tags,omitempty"`
	// Retry says how a failed run is tried again.
	Retry *Retry `json:"retry,omitempty"`

	schedule periodicSchedule
}

// Retry says how a failed run of a periodic is tried again.
type Retry struct {
	// RunAll makes all attempts even after one succeeded. Default: false.
	RunAll bool `json:"run_all,omitempty"`
	// Attempts is the number of attempts; more than 10 count as 10.
	Attempts int `json:"attempts,omitempty"`
	// Interval is the time between attempts, as a Go duration. It is required.
	Interval string `json:"interval,omitempty"`
}

// Reporter says whether and under which name a job reports to the code host.
type Reporter struct {
	// Context is the name of the status. No other job of the repository may report
	// under it on the same branch. Default: the name of the job.
	Context string `json:"context,omitempty"`
	// SkipReport keeps the job from reporting; it excludes the label
	// prow.k8s.io/gerrit-report-label. Default: false.
	SkipReport bool `json:"skip_report,omitempty"`
}

// Preset is a piece of pod spec that is added to the jobs that carry all of
// its labels; without labels, to every job.
type Preset struct {
	// Labels are what a job must carry, with equal values, to get the preset;
	// without labels every job gets it. Two presets must not share a label with
	// its value.
	Labels map[string]string `json:"labels,omitempty"`
	// Env is added to every container of the job; the container must not have a
	// variable of the name.
	Env []corev1.EnvVar `json:"env,omitempty"`
	// Volumes are added to the pod; it must not have a volume of the name.
	Volumes []corev1.Volume `json:"volumes,omitempty"`
	// VolumeMounts are added to every container of the job; the container must not
	// mount a volume of the name.
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`
	// Tolerations are added to the pod; it must not have an equal one.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

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
