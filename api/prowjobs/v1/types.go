package v1

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ProwJobType says what a job tests.
// +kubebuilder:validation:Enum=presubmit;postsubmit;periodic;batch
type ProwJobType string

// The job types.
const (
	// PresubmitJob tests one unmerged change.
	PresubmitJob ProwJobType = "presubmit"
	// PostsubmitJob runs on a pushed commit.
	PostsubmitJob ProwJobType = "postsubmit"
	// PeriodicJob runs by time or request and is tied to no change.
	PeriodicJob ProwJobType = "periodic"
	// BatchJob tests several unmerged changes merged together.
	BatchJob ProwJobType = "batch"
)

// ProwJobState says how far a job came.
// +kubebuilder:validation:Enum=scheduling;triggered;pending;success;failure;aborted;error
type ProwJobState string

// The states. Completion is told by status.completionTime, not by the state.
const (
	// SchedulingState: created, waiting for the scheduler to choose a cluster.
	SchedulingState ProwJobState = "scheduling"
	// TriggeredState: accepted, the workload has not been started.
	TriggeredState ProwJobState = "triggered"
	// PendingState: the workload exists.
	PendingState ProwJobState = "pending"
	// SuccessState: the workload ended with exit code 0.
	SuccessState ProwJobState = "success"
	// FailureState: the workload ended with another exit code.
	FailureState ProwJobState = "failure"
	// AbortedState: stopped early on purpose.
	AbortedState ProwJobState = "aborted"
	// ErrorState: infrastructure or configuration prevented a verdict.
	ErrorState ProwJobState = "error"
)

// AllStates lists every state.
func AllStates() []ProwJobState {
	return []ProwJobState{SchedulingState, TriggeredState, PendingState, SuccessState, FailureState, AbortedState, ErrorState}
}

// ProwJobAgent names the controller that owns a job.
type ProwJobAgent string

// The agents this project acts on.
const (
	KubernetesAgent ProwJobAgent = "kubernetes"
	JenkinsAgent    ProwJobAgent = "jenkins"
	TektonAgent     ProwJobAgent = "tekton-pipeline"
)

// DefaultClusterAlias is the alias of the default build cluster.
const DefaultClusterAlias = "default"

// ProwJob is one run of a job.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=prowjobs,singular=prowjob,scope=Namespaced
// +kubebuilder:metadata:annotations="api-approved.kubernetes.io=https://github.com/kubernetes/test-infra/pull/8669"
// +kubebuilder:printcolumn:name="Job",type=string,JSONPath=`.spec.job`,description="The name of the job being run"
// +kubebuilder:printcolumn:name="BuildId",type=string,JSONPath=`.status.build_id`,description="The ID of the build"
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`,description="The type of the job"
// +kubebuilder:printcolumn:name="Org",type=string,JSONPath=`.spec.refs.org`,description="The org of the code under test"
// +kubebuilder:printcolumn:name="Repo",type=string,JSONPath=`.spec.refs.repo`,description="The repository of the code under test"
// +kubebuilder:printcolumn:name="Pulls",type=string,JSONPath=`.spec.refs.pulls[*].number`,description="The pull requests under test"
// +kubebuilder:printcolumn:name="StartTime",type=date,JSONPath=`.status.startTime`,description="When the job was created"
// +kubebuilder:printcolumn:name="CompletionTime",type=date,JSONPath=`.status.completionTime`,description="When the job finished"
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`,description="How far the job came"
type ProwJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what to run against which code.
	// +optional
	Spec ProwJobSpec `json:"spec,omitempty"`
	// Status says how far the run came.
	// +optional
	Status ProwJobStatus `json:"status,omitempty"`
}

// ProwJobList is a list of ProwJobs.
// +kubebuilder:object:root=true
type ProwJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ProwJob `json:"items"`
}

// ProwJobSpec says what to run against which code. The order of the fields is
// the order in which they are written.
type ProwJobSpec struct {
	// Type says what the job tests.
	// +kubebuilder:validation:Required
	Type ProwJobType `json:"type,omitempty"`
	// Agent names the controller that owns the job.
	Agent ProwJobAgent `json:"agent,omitempty"`
	// Cluster is the alias of the build cluster; empty means "default".
	Cluster string `json:"cluster,omitempty"`
	// Namespace is where the workload goes; honoured by Tekton only.
	Namespace string `json:"namespace,omitempty"`
	// Job is the name of the job in the configuration.
	// +kubebuilder:validation:Required
	Job string `json:"job,omitempty"`
	// Refs is the code under test.
	Refs *Refs `json:"refs,omitempty"`
	// ExtraRefs are further repositories to clone.
	ExtraRefs []Refs `json:"extra_refs,omitempty"`
	// Report says whether reporters speak about this job.
	Report bool `json:"report,omitempty"`
	// Context is the name of the status on the code host.
	Context string `json:"context,omitempty"`
	// RerunCommand is the comment that runs a presubmit again.
	RerunCommand string `json:"rerun_command,omitempty"`
	// MaxConcurrency limits how many jobs of this name run at once; 0 is no limit.
	// +kubebuilder:validation:Minimum=0
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// ErrorOnEviction ends the job in state error when its pod is evicted, instead of making the pod again.
	ErrorOnEviction bool `json:"error_on_eviction,omitempty"`
	// PodSpec is the pod as the user wrote it, undecorated.
	PodSpec *corev1.PodSpec `json:"pod_spec,omitempty"`
	// JenkinsSpec holds what only Jenkins jobs need.
	JenkinsSpec *JenkinsSpec `json:"jenkins_spec,omitempty"`
	// PipelineRunSpec is the older place of a Tekton PipelineRunSpec.
	// +kubebuilder:validation:XPreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	PipelineRunSpec *runtime.RawExtension `json:"pipeline_run_spec,omitempty"`
	// TektonPipelineRunSpec is the preferred place of a Tekton PipelineRunSpec.
	TektonPipelineRunSpec *TektonPipelineRunSpec `json:"tekton_pipeline_run_spec,omitempty"`
	// DecorationConfig configures the pod utilities; nil leaves the pod undecorated.
	DecorationConfig *DecorationConfig `json:"decoration_config,omitempty"`
	// ReporterConfig overrides the settings of reporters.
	ReporterConfig *ReporterConfig `json:"reporter_config,omitempty"`
	// RerunAuthConfig says who may run the job again.
	RerunAuthConfig *RerunAuthConfig `json:"rerun_auth_config,omitempty"`
	// Hidden keeps the job from Deck instances that do not show hidden jobs.
	Hidden bool `json:"hidden,omitempty"`
	// ProwJobDefault holds values that come from the global defaults.
	ProwJobDefault *ProwJobDefault `json:"prowjob_defaults,omitempty"`
	// JobQueueName names a shared concurrency pool.
	JobQueueName string `json:"job_queue_name,omitempty"`
}

// JenkinsSpec holds what only Jenkins jobs need.
type JenkinsSpec struct {
	// GitHubBranchSourceJob marks a job of the GitHub branch source plugin.
	GitHubBranchSourceJob bool `json:"github_branch_source_job,omitempty"`
}

// TektonPipelineRunSpec holds a PipelineRunSpec by version.
type TektonPipelineRunSpec struct {
	// +kubebuilder:validation:XPreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// V1Beta1 is a Tekton PipelineRunSpec of the API version v1beta1.
	V1Beta1 *runtime.RawExtension `json:"v1beta1,omitempty"`
}

// ErrNoPipeline is returned where a job of the Tekton agent names no pipeline.
var ErrNoPipeline = errors.New("neither tekton_pipeline_run_spec.v1beta1 nor pipeline_run_spec is set")

// HasPipelineRunSpec tells whether the spec names a pipeline.
func (s *ProwJobSpec) HasPipelineRunSpec() bool {
	_, err := s.GetPipelineRunSpec()
	return err == nil
}

// GetPipelineRunSpec returns the pipeline of the job; the versioned place wins.
func (s *ProwJobSpec) GetPipelineRunSpec() (*runtime.RawExtension, error) {
	if s.TektonPipelineRunSpec != nil && s.TektonPipelineRunSpec.V1Beta1 != nil {
		return s.TektonPipelineRunSpec.V1Beta1, nil
	}
	if s.PipelineRunSpec != nil {
		return s.PipelineRunSpec, nil
	}
	return nil, ErrNoPipeline
}

// ReporterConfig overrides the settings of reporters.
type ReporterConfig struct {
	Slack *SlackReporterConfig `json:"slack,omitempty"`
}

// SlackReporterConfig says where and when a job is reported to Slack.
type SlackReporterConfig struct {
	// Host is the key of the workspace.
	Host string `json:"host,omitempty"`
	// Channel is the channel's name or id. A message cannot be sent without one.
	Channel string `json:"channel,omitempty"`
	// JobStatesToReport limits the states that are reported.
	JobStatesToReport []ProwJobState `json:"job_states_to_report,omitempty"`
	// ReportTemplate is a Go template over the ProwJob.
	ReportTemplate string `json:"report_template,omitempty"`
	// Report switches reporting on or off explicitly.
	Report *bool `json:"report,omitempty"`
}

// RerunAuthConfig says who may run or abort a job.
type RerunAuthConfig struct {
	// AllowAnyone admits everyone; it excludes every other field.
	AllowAnyone bool `json:"allow_anyone,omitempty"`
	// GitHubTeamIDs are ids of teams in the job's own org.
	GitHubTeamIDs   []int            `json:"github_team_ids,omitempty"`
	GitHubTeamSlugs []GitHubTeamSlug `json:"github_team_slugs,omitempty"`
	// GitHubUsers are logins.
	GitHubUsers []string `json:"github_users,omitempty"`
	// GitHubOrgs are orgs whose members are admitted.
	GitHubOrgs []string `json:"github_orgs,omitempty"`
}

// GitHubTeamSlug names a team of an org.
type GitHubTeamSlug struct {
	// Slug is the team's name in URLs.
	Slug string `json:"slug"`
	// Org is the org the team belongs to.
	Org string `json:"org"`
}

// Validate refuses allow_anyone together with any list.
func (r *RerunAuthConfig) Validate() error {
	if r != nil && r.AllowAnyone && (len(r.GitHubTeamIDs) > 0 || len(r.GitHubTeamSlugs) > 0 || len(r.GitHubUsers) > 0 || len(r.GitHubOrgs) > 0) {
		return errors.New("allow_anyone is true, so github_team_ids, github_team_slugs, github_users and github_orgs must be empty")
	}
	return nil
}

// ProwJobDefault holds values that come from the global defaults.
type ProwJobDefault struct {
	ResultStoreConfig *ResultStoreConfig `json:"resultstore_config,omitempty"`
	// TenantID groups jobs by who may see them.
	TenantID string `json:"tenant_id,omitempty"`
}

// GlobalDefaultTenantID is the tenant of jobs that name none.
const GlobalDefaultTenantID = "GlobalDefaultID"

// ResultStoreConfig says where results are uploaded.
type ResultStoreConfig struct {
	// ProjectID is the Google Cloud project that results are uploaded to. Unset: none are.
	ProjectID string `json:"project_id,omitempty"`
}

// ProwJobStatus says how far a run came.
type ProwJobStatus struct {
	// StartTime is when the ProwJob was made, not when its pod started.
	// +optional
	StartTime metav1.Time `json:"startTime,omitempty"`
	// PendingTime is when the job first became pending.
	PendingTime *metav1.Time `json:"pendingTime,omitempty"`
	// CompletionTime is set once; a job with it is finished.
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// State says how far the run came.
	// +kubebuilder:validation:Required
	State ProwJobState `json:"state,omitempty"`
	// Description is a short text for people, shown on the code host.
	Description string `json:"description,omitempty"`
	// Reason says in one word why the job waits or how it ended. Empty: nothing is in its way.
	Reason Reason `json:"reason,omitempty"`
	// URL shows the run.
	URL string `json:"url,omitempty"`
	// PodRevivalCount is how often the pod was made again after an unexpected stop.
	PodRevivalCount int `json:"pod_revival_count,omitempty"`
	// PodName equals the name of the ProwJob.
	PodName string `json:"pod_name,omitempty"`
	// BuildID names the run in storage.
	BuildID string `json:"build_id,omitempty"`
	// JenkinsBuildID is Jenkins' own number.
	JenkinsBuildID string `json:"jenkins_build_id,omitempty"`
	// PrevReportStates holds, by reporter, the last state each has handled.
	PrevReportStates map[string]ProwJobState `json:"prev_report_states,omitempty"`
}

// Complete tells whether the run is finished.
func (j *ProwJob) Complete() bool {
	return j.Status.CompletionTime != nil
}

// SetComplete finishes the run now.
func (j *ProwJob) SetComplete() {
	now := metav1.Now()
	j.Status.CompletionTime = &now
}

// ClusterAlias is the alias of the build cluster, "default" where the spec names none.
func (j *ProwJob) ClusterAlias() string {
	if j.Spec.Cluster == "" {
		return DefaultClusterAlias
	}
	return j.Spec.Cluster
}

// MainRefs are the refs that say which code a job is about: its refs, or the
// first extra refs, or nil.
func (s *ProwJobSpec) MainRefs() *Refs {
	if s.Refs != nil {
		return s.Refs
	}
	if len(s.ExtraRefs) > 0 {
		return &s.ExtraRefs[0]
	}
	return nil
}
