package v1

// Keys of labels and annotations. Programs and people select on them, so they
// never change.
const (
	// CreatedByProwLabel is "true" on every ProwJob and on every workload made from one.
	CreatedByProwLabel = "created-by-prow"
	// CreatedByTideLabel is "true" on ProwJobs that Tide creates.
	CreatedByTideLabel = "created-by-tide"
	// TypeLabel holds the job type.
	TypeLabel = "prow.k8s.io/type"
	// JobLabel holds the job name, as a label possibly truncated; JobAnnotation holds it in full.
	JobLabel      = "prow.k8s.io/job"
	JobAnnotation = "prow.k8s.io/job"
	// ContextLabel holds the status context, as a label possibly truncated; ContextAnnotation holds it in full.
	ContextLabel      = "prow.k8s.io/context"
	ContextAnnotation = "prow.k8s.io/context"
	// OrgLabel, RepoLabel, BaseRefLabel and PullLabel come from the refs the job tests.
	OrgLabel     = "prow.k8s.io/refs.org"
	RepoLabel    = "prow.k8s.io/refs.repo"
	BaseRefLabel = "prow.k8s.io/refs.base_ref"
	PullLabel    = "prow.k8s.io/refs.pull"
	// ProwJobIDLabel holds the name of the ProwJob, on its workload and, once that exists, on itself.
	ProwJobIDLabel = "prow.k8s.io/id"
	// BuildIDLabel holds the build ID, where ProwJobIDLabel is set.
	BuildIDLabel = "prow.k8s.io/build-id"
	// PlankVersionLabel holds the version of the controller that made a pod.
	PlankVersionLabel = "prow.k8s.io/plank-version"
	// EventGUIDLabel holds the delivery id of the webhook that caused a job.
	EventGUIDLabel = "event-GUID"
	// IsOptionalLabel tells whether a presubmit is optional.
	IsOptionalLabel = "prow.k8s.io/is-optional"
	// RetestLabel is "true" on jobs asked for by /retest or /retest-required.
	RetestLabel = "prow.k8s.io/retest"
	// RerunAttemptLabel holds the number of a periodic's retry, from 1.
	RerunAttemptLabel = "prow.k8s.io/re-run"
	// GerritRevisionLabel, GerritPatchsetLabel and GerritReportLabel mark jobs of one Gerrit change.
	GerritRevisionLabel = "prow.k8s.io/gerrit-revision"
	GerritPatchsetLabel = "prow.k8s.io/gerrit-patchset"
	GerritReportLabel   = "prow.k8s.io/gerrit-report-label"
	// GerritIDAnnotation and GerritInstanceAnnotation hold a change id and its host.
	GerritIDAnnotation       = "prow.k8s.io/gerrit-id"
	GerritInstanceAnnotation = "prow.k8s.io/gerrit-instance"
)

// GitHubReporterName is the key of the GitHub reporter in status.prev_report_states.
const GitHubReporterName = "github-reporter"
