package prowjob

import (
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/joblabels"
)

// Option changes how New makes an object.
type Option func(*options)

type options struct {
	scheduling bool
	name       string
	now        func() time.Time
	namespace  string
}

// RequireScheduling makes the job wait for the scheduler to choose a cluster.
func RequireScheduling(required bool) Option {
	return func(o *options) { o.scheduling = required }
}

// WithName sets the name instead of drawing one. Creators whose work may be
// repeated after a crash derive the name from what caused the job, so that the
// second creation fails instead of running the job twice.
func WithName(name string) Option {
	return func(o *options) { o.name = name }
}

// WithClock sets where the start time comes from.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.now = now }
}

// InNamespace sets the namespace; without it the creator does.
func InNamespace(namespace string) Option {
	return func(o *options) { o.namespace = namespace }
}

// New makes a ProwJob from a spec. The extra labels and annotations win over
// those derived from the spec.
func New(spec v1.ProwJobSpec, extraLabels, extraAnnotations map[string]string, opts ...Option) *v1.ProwJob {
	o := options{now: time.Now}
	for _, opt := range opts {
		opt(&o)
	}
	if o.name == "" {
		o.name = uuid.NewString()
	}
	state := v1.TriggeredState
	if o.scheduling {
		state = v1.SchedulingState
	}
	labels, annotations := joblabels.For(spec, extraLabels, extraAnnotations)
	spec = *spec.DeepCopy()
	resolveSlackReport(&spec)
	return &v1.ProwJob{
		TypeMeta: metav1.TypeMeta{APIVersion: v1.SchemeGroupVersion.String(), Kind: "ProwJob"},
		ObjectMeta: metav1.ObjectMeta{
			Name: o.name, Namespace: o.namespace, Labels: labels, Annotations: annotations,
		},
		Spec:   spec,
		Status: v1.ProwJobStatus{StartTime: metav1.NewTime(o.now()), State: state},
	}
}

// StableName is the name of the one job that a cause has: equal parts give
// equal names, in the form of a UUID.
func StableName(parts ...string) string {
	// Quoting keeps ("a b") and ("a", "b") apart.
	var text string
	for _, part := range parts {
		text += strconv.Quote(part)
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(text)).String()
}

// resolveSlackReport writes down whether to report to Slack while an empty
// list of states can still be told from none, which the API cannot.
func resolveSlackReport(spec *v1.ProwJobSpec) {
	if spec.ReporterConfig == nil || spec.ReporterConfig.Slack == nil || spec.ReporterConfig.Slack.Report != nil {
		return
	}
	slack := spec.ReporterConfig.Slack
	report := slack.JobStatesToReport == nil || len(slack.JobStatesToReport) > 0
	slack.Report = &report
}

// Event says which event asks for a job.
type Event struct {
	// GUID is the id of the webhook delivery; empty without one.
	GUID string
	// Retest tells that a /retest or /retest-required asked.
	Retest bool
	// Labels are further labels, over those of the job.
	Labels map[string]string
}

// NewPresubmit makes the ProwJob of a presubmit that an event on a pull
// request asks for.
func NewPresubmit(p *config.Presubmit, refs v1.Refs, event Event, opts ...Option) *v1.ProwJob {
	labels := eventLabels(p.Labels, event)
	labels[v1.IsOptionalLabel] = strconv.FormatBool(p.Optional)
	return New(PresubmitSpec(p, refs), labels, p.Annotations, opts...)
}

// NewPostsubmit makes the ProwJob of a postsubmit that a push asks for.
func NewPostsubmit(p *config.Postsubmit, refs v1.Refs, event Event, opts ...Option) *v1.ProwJob {
	return New(PostsubmitSpec(p, refs), eventLabels(p.Labels, event), p.Annotations, opts...)
}

// NewPeriodic makes the ProwJob of a periodic. attempt counts the retries of a
// failed run from 1; 0 is a first run.
func NewPeriodic(p *config.Periodic, attempt int, opts ...Option) *v1.ProwJob {
	labels := maps.Clone(p.Labels)
	if attempt > 0 {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[v1.RerunAttemptLabel] = strconv.Itoa(attempt)
	}
	return New(PeriodicSpec(p), labels, p.Annotations, opts...)
}

func eventLabels(job map[string]string, event Event) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, job)
	maps.Copy(labels, event.Labels)
	if event.Retest {
		labels[v1.RetestLabel] = "true"
	}
	if event.GUID != "" {
		labels[v1.EventGUIDLabel] = event.GUID
	}
	return labels
}

// LogAttrs are the fields by which a job is found in logs.
func LogAttrs(pj *v1.ProwJob) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("name", pj.Name),
		slog.String("job", pj.Spec.Job),
		slog.String("type", string(pj.Spec.Type)),
		slog.String("state", string(pj.Status.State)),
	}
	if guid := pj.Labels[v1.EventGUIDLabel]; guid != "" {
		attrs = append(attrs, slog.String(v1.EventGUIDLabel, guid))
	}
	if refs := pj.Spec.Refs; refs != nil && len(refs.Pulls) == 1 {
		attrs = append(attrs, slog.Int("pr", refs.Pulls[0].Number), slog.String("repo", refs.Repo), slog.String("org", refs.Org))
	}
	if pj.Spec.JenkinsSpec != nil {
		attrs = append(attrs, slog.Bool("github_based_job", pj.Spec.JenkinsSpec.GitHubBranchSourceJob))
	}
	return attrs
}

// Logger is a logger with the fields of a job.
func Logger(log *slog.Logger, pj *v1.ProwJob) *slog.Logger {
	return slog.New(log.Handler().WithAttrs(LogAttrs(pj)))
}
