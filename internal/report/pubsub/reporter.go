// Package pubsub publishes every state of a ProwJob on the topic of Google Cloud
// Pub/Sub that the job names.
package pubsub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/report"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "pubsub-reporter"

// reportLimit bounds one report.
const reportLimit = 10 * time.Second

// Publisher publishes a message on a topic.
type Publisher interface {
	// Publish returns an error marked with report.UserError where there is no such topic.
	Publish(ctx context.Context, project, topic string, data []byte) error
}

// Reporter publishes the states of jobs.
type Reporter struct {
	Publisher Publisher
	Config    func() *config.Config
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

// ShouldReport takes jobs that name a project and a topic, whether or not they
// report elsewhere.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	return key(job, report.PubSubProjectKey) != "" && key(job, report.PubSubTopicKey) != ""
}

// key reads an annotation, or where it is not set the label of the same name.
func key(job *prowv1.ProwJob, name string) string {
	return cmp.Or(job.Annotations[name], job.Labels[name])
}

// Message is the data of a message, as JSON.
type Message struct {
	Project string              `json:"project"`
	Topic   string              `json:"topic"`
	RunID   string              `json:"runid"`
	Status  prowv1.ProwJobState `json:"status"`
	URL     string              `json:"url"`
	// GCSPath is the URL of the run's directory in storage.
	GCSPath string             `json:"gcs_path"`
	Refs    []prowv1.Refs      `json:"refs,omitempty"`
	JobType prowv1.ProwJobType `json:"job_type"`
	JobName string             `json:"job_name"`
	Message string             `json:"message,omitempty"`
}

// Report publishes the message.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	m := messageFor(job, r.Config().Plank.JobURLPrefixOf(&job.Spec))
	data, err := json.Marshal(m)
	if err != nil {
		return nil, 0, fmt.Errorf("make the message: %w", err)
	}
	if err := r.Publisher.Publish(ctx, m.Project, m.Topic, data); err != nil {
		return nil, 0, fmt.Errorf("publish on topic %s of project %s: %w", m.Topic, m.Project, err)
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

func messageFor(job *prowv1.ProwJob, urlPrefix string) Message {
	m := Message{
		Project: key(job, report.PubSubProjectKey), Topic: key(job, report.PubSubTopicKey), RunID: key(job, report.PubSubRunIDKey),
		Status: job.Status.State, URL: job.Status.URL, GCSPath: storagePath(job.Status.URL, urlPrefix),
		JobType: job.Spec.Type, JobName: job.Spec.Job, Message: job.Status.Description,
	}
	if job.Spec.Refs != nil {
		m.Refs = append(m.Refs, *job.Spec.Refs)
	}
	m.Refs = append(m.Refs, job.Spec.ExtraRefs...)
	return m
}

// storagePath is the place in storage that the URL of a run shows. What names no
// provider is in GCS.
func storagePath(url, prefix string) string {
	if url == "" {
		return ""
	}
	place := strings.TrimLeft(strings.TrimPrefix(url, prefix), "/")
	if rest, old := strings.CutPrefix(place, "gcs/"); old {
		place = "gs/" + rest
	}
	for _, provider := range []string{"gs", "s3"} {
		if rest, ok := strings.CutPrefix(place, provider+"/"); ok {
			return provider + "://" + rest
		}
	}
	if rest, ok := strings.CutPrefix(place, "file/"); ok {
		return "file:///" + rest
	}
	return "gs://" + place
}
