package report

import (
	"context"
	"fmt"
	"strings"

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
	prowv1.TypeLabel, prowv1.OrgLabel, prowv1.RepoLabel, prowv1.PullLabel, prowv1.IsOptionalLabel, prowv1.CreatedByTideLabel,
	prowv1.GerritRevisionLabel, prowv1.GerritPatchsetLabel, prowv1.GerritReportLabel,
	PubSubProjectKey, PubSubTopicKey, PubSubRunIDKey,
}

// Keys that send a job to a topic; an annotation goes before a label.
const (
	PubSubProjectKey = "prow.k8s.io/pubsub.project"
	PubSubTopicKey   = "prow.k8s.io/pubsub.topic"
	PubSubRunIDKey   = "prow.k8s.io/pubsub.runID"
)

// Slim keeps of a ProwJob what decides whether and with which others it is
// reported, which is what the cache of reporters holds: an installation has tens
// of thousands of finished jobs, most of whose bytes are pods. The report itself
// is made from the whole job. Objects of other kinds stay as they are.
func Slim(object any) (any, error) {
	job, ok := object.(*prowv1.ProwJob)
	if !ok {
		return object, nil
	}
	slim := &prowv1.ProwJob{TypeMeta: job.TypeMeta, Status: job.Status}
	slim.Name, slim.Namespace, slim.UID, slim.ResourceVersion = job.Name, job.Namespace, job.UID, job.ResourceVersion
	slim.CreationTimestamp, slim.DeletionTimestamp = job.CreationTimestamp, job.DeletionTimestamp
	slim.Labels, slim.Annotations = pick(job.Labels, slimLabels), pick(job.Annotations, slimAnnotations)
	spec := &job.Spec
	slim.Spec = prowv1.ProwJobSpec{
		Type: spec.Type, Agent: spec.Agent, Cluster: spec.Cluster, Job: spec.Job, Report: spec.Report, Context: spec.Context, RerunCommand: spec.RerunCommand,
	}
	if spec.Refs != nil {
		refs := slimRefs(*spec.Refs)
		slim.Spec.Refs = &refs
	}
	for _, refs := range spec.ExtraRefs {
		slim.Spec.ExtraRefs = append(slim.Spec.ExtraRefs, slimRefs(refs))
	}
	if c := spec.ReporterConfig; c != nil && c.Slack != nil {
		slack := *c.Slack
		slack.ReportTemplate = ""
		slim.Spec.ReporterConfig = &prowv1.ReporterConfig{Slack: &slack}
	}
	if d := spec.ProwJobDefault; d != nil && d.ResultStoreConfig != nil {
		slim.Spec.ProwJobDefault = &prowv1.ProwJobDefault{ResultStoreConfig: d.ResultStoreConfig}
	}
	if d := spec.DecorationConfig; d != nil && d.GCSConfiguration != nil {
		slim.Spec.DecorationConfig = &prowv1.DecorationConfig{GCSConfiguration: &prowv1.GCSConfiguration{Bucket: d.GCSConfiguration.Bucket}}
	}
	return slim, nil
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
	out := prowv1.Refs{Org: refs.Org, Repo: refs.Repo, BaseSHA: refs.BaseSHA}
	for _, pull := range refs.Pulls {
		out.Pulls = append(out.Pulls, prowv1.Pull{Number: pull.Number, SHA: pull.SHA, Author: pull.Author})
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
