package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unique"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
)

// slimAnnotations are the annotations that decide whether a job is reported.
var slimAnnotations = []string{
	prowv1.GerritIDAnnotation, prowv1.GerritInstanceAnnotation,
	PubSubProjectKey, PubSubTopicKey, PubSubRunIDKey,
}

// slimLabels are the labels by which jobs are chosen or grouped.
var slimLabels = []string{
	prowv1.IsOptionalLabel, prowv1.CreatedByTideLabel, prowv1.GerritRevisionLabel, prowv1.GerritPatchsetLabel, prowv1.GerritReportLabel,
	PubSubProjectKey, PubSubTopicKey, PubSubRunIDKey,
}

// Keys that send a job to a topic; an annotation goes before a label.
const (
	PubSubProjectKey = "prow.k8s.io/pubsub.project"
	PubSubTopicKey   = "prow.k8s.io/pubsub.topic"
	PubSubRunIDKey   = "prow.k8s.io/pubsub.runID"
)

// slimMark is the generation of slim jobs, one that no API server gives: the first
// list of all jobs passes the transform twice, and a second copy of each would
// double the memory it takes.
const slimMark = -1

// Slimmer makes the jobs that the cache of reporters holds. It may be used
// concurrently, and the zero value is ready.
type Slimmer struct {
	mu     sync.Mutex
	states map[states]map[string]prowv1.ProwJobState
}

// Slim keeps of a ProwJob what decides whether and with which others it is
// reported, which is what the cache of reporters holds: an installation has tens
// of thousands of finished jobs, most of whose bytes are pods. The report itself
// is made from the whole job. Objects of other kinds stay as they are.
func (s *Slimmer) Slim(object any) (any, error) {
	job, ok := object.(*prowv1.ProwJob)
	if !ok || job.Generation == slimMark {
		return object, nil
	}
	slim := &prowv1.ProwJob{TypeMeta: job.TypeMeta}
	slim.Generation = slimMark
	slim.Name, slim.Namespace, slim.ResourceVersion = job.Name, same(job.Namespace), job.ResourceVersion
	slim.CreationTimestamp, slim.DeletionTimestamp = job.CreationTimestamp, job.DeletionTimestamp
	slim.Labels, slim.Annotations = pick(job.Labels, slimLabels), pick(job.Annotations, slimAnnotations)
	slim.Spec, slim.Status = slimSpec(&job.Spec), s.slimStatus(&job.Status)
	return slim, nil
}

// same returns an equal text that all jobs share: most are about few jobs of few
// repositories.
func same(text string) string { return unique.Make(text).Value() }

func slimSpec(spec *prowv1.ProwJobSpec) prowv1.ProwJobSpec {
	out := prowv1.ProwJobSpec{
		Type: prowv1.ProwJobType(same(string(spec.Type))), Agent: prowv1.ProwJobAgent(same(string(spec.Agent))), Cluster: same(spec.Cluster),
		Job: same(spec.Job), Report: spec.Report, Context: same(spec.Context), RerunCommand: same(spec.RerunCommand),
	}
	if spec.Refs != nil {
		refs := slimRefs(*spec.Refs)
		out.Refs = &refs
	}
	for _, refs := range spec.ExtraRefs {
		out.ExtraRefs = append(out.ExtraRefs, slimRefs(refs))
	}
	if c := spec.ReporterConfig; c != nil && c.Slack != nil {
		slack := *c.Slack
		slack.ReportTemplate = ""
		out.ReporterConfig = &prowv1.ReporterConfig{Slack: &slack}
	}
	if d := spec.ProwJobDefault; d != nil && d.ResultStoreConfig != nil && d.ResultStoreConfig.ProjectID != "" {
		out.ProwJobDefault = &prowv1.ProwJobDefault{ResultStoreConfig: d.ResultStoreConfig}
		// Only then it matters where the files are.
		if d := spec.DecorationConfig; d != nil && d.GCSConfiguration != nil {
			out.DecorationConfig = &prowv1.DecorationConfig{GCSConfiguration: &prowv1.GCSConfiguration{Bucket: same(d.GCSConfiguration.Bucket)}}
		}
	}
	return out
}

func (s *Slimmer) slimStatus(status *prowv1.ProwJobStatus) prowv1.ProwJobStatus {
	return prowv1.ProwJobStatus{
		StartTime: status.StartTime, PendingTime: status.PendingTime, CompletionTime: status.CompletionTime, State: prowv1.ProwJobState(same(string(status.State))),
		URL: status.URL, BuildID: status.BuildID, PrevReportStates: s.sameStates(status.PrevReportStates),
	}
}

// states are the states of a job by reporter, in a form that can be compared.
type states [8]struct{ reporter, state string }

// maxStateMaps bounds the maps that are shared; there are few different ones.
const maxStateMaps = 4096

// sameStates returns an equal map that many jobs share and nobody changes.
func (s *Slimmer) sameStates(have map[string]prowv1.ProwJobState) map[string]prowv1.ProwJobState {
	var key states
	if len(have) == 0 || len(have) > len(key) {
		return have
	}
	for i, reporter := range slices.Sorted(maps.Keys(have)) {
		key[i].reporter, key[i].state = same(reporter), same(string(have[reporter]))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.states[key]; known != nil {
		return known
	}
	if s.states == nil {
		s.states = map[states]map[string]prowv1.ProwJobState{}
	}
	if len(s.states) < maxStateMaps {
		s.states[key] = have
	}
	return have
}

// pick copies those entries; the keys are the constants, so they take no memory.
func pick(from map[string]string, keys []string) map[string]string {
	var out map[string]string
	for _, key := range keys {
		if value, ok := from[key]; ok {
			if out == nil {
				out = make(map[string]string, len(keys)/2)
			}
			out[key] = value
		}
	}
	return out
}

func slimRefs(refs prowv1.Refs) prowv1.Refs {
	out := prowv1.Refs{Org: same(refs.Org), Repo: same(refs.Repo), BaseSHA: same(refs.BaseSHA)}
	if len(refs.Pulls) > 0 {
		out.Pulls = make([]prowv1.Pull, len(refs.Pulls))
	}
	for i, pull := range refs.Pulls {
		out.Pulls[i] = prowv1.Pull{Number: pull.Number, SHA: same(pull.SHA), Author: same(pull.Author)}
	}
	return out
}

// SubjectIndex finds jobs by what they are about; see Subject.
const SubjectIndex = "report.subject"

// Subject names what a job reports about: a pull request or, without one, a
// commit. It is "" for jobs without refs, and for batches.
func Subject(spec *prowv1.ProwJobSpec) string {
	switch refs := spec.Refs; {
	case refs == nil || len(refs.Pulls) > 1:
		return ""
	case len(refs.Pulls) == 1:
		return fmt.Sprintf("%s/%s#%d", refs.Org, refs.Repo, refs.Pulls[0].Number)
	default:
		return fmt.Sprintf("%s/%s@%s", refs.Org, refs.Repo, refs.BaseSHA)
	}
}

// AddIndex makes an index by subject; without it every look at the jobs of a pull
// request would walk through all jobs.
func AddIndex(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &prowv1.ProwJob{}, SubjectIndex, func(object client.Object) []string {
		job, ok := object.(*prowv1.ProwJob)
		if !ok {
			return nil
		}
		if subject := Subject(&job.Spec); subject != "" {
			return []string{subject}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index ProwJobs by subject: %w", err)
	}
	return nil
}

// SameSubject lists the slim jobs about the same pull request or commit, the job
// itself among them. The objects are the cache's and must not be changed.
func SameSubject(ctx context.Context, jobs client.Reader, job *prowv1.ProwJob) ([]prowv1.ProwJob, error) {
	subject := Subject(&job.Spec)
	if subject == "" {
		return nil, nil
	}
	var list prowv1.ProwJobList
	err := jobs.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingFields{SubjectIndex: subject}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the jobs of %s: %w", strings.TrimSpace(subject), err)
	}
	return list.Items, nil
}
