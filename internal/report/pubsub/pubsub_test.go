package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/report"
)

func job() *prowv1.ProwJob {
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Type: "presubmit", Job: "j", Refs: &prowv1.Refs{Org: "o", Repo: "r"}, ExtraRefs: []prowv1.Refs{{Org: "o", Repo: "extra"}}}}
	j.Annotations = map[string]string{report.PubSubProjectKey: "p", report.PubSubTopicKey: "t"}
	j.Labels = map[string]string{report.PubSubTopicKey: "label", report.PubSubRunIDKey: "run-1"}
	j.Status = prowv1.ProwJobStatus{State: "success", URL: "https://prow.x/view/gs/b/logs/j/1", Description: "fine"}
	return j
}

func newReporter(t *testing.T) (*Reporter, *pstest.Server) {
	t.Helper()
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	t.Cleanup(func() { _ = server.Close() })
	if _, err := server.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/t"}); err != nil {
		t.Fatal(err)
	}
	topics := &Topics{Emulator: server.Addr, UserAgent: "crier/test"}
	t.Cleanup(func() { _ = topics.Close() })
	cfg := &config.Config{}
	cfg.Plank.JobURLPrefixConfig = map[string]string{"*": "https://prow.x/view/"}
	return &Reporter{Publisher: topics, Config: func() *config.Config { return cfg }}, server
}

func TestProbe29AStateChangeIsOneMessage(t *testing.T) {
	r, server := newReporter(t)
	if _, _, err := r.Report(t.Context(), job()); err != nil {
		t.Fatal(err)
	}
	messages := server.Messages()
	if len(messages) != 1 || len(messages[0].Attributes) != 0 {
		t.Fatalf("messages %+v", messages)
	}
	want := `{"project":"p","topic":"t","runid":"run-1","status":"success","url":"https://prow.x/view/gs/b/logs/j/1","gcs_path":"gs://b/logs/j/1",` +
		`"refs":[{"org":"o","repo":"r"},{"org":"o","repo":"extra"}],"job_type":"presubmit","job_name":"j","message":"fine"}`
	if got := string(messages[0].Data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bare := job()
	bare.Spec.Refs, bare.Spec.ExtraRefs, bare.Status.Description = nil, nil, ""
	data, _ := json.Marshal(messageFor(bare, ""))
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil || len(keys) != 8 {
		t.Errorf("without refs and description: %s", data)
	}
}

func TestWhichJobsAreTold(t *testing.T) {
	r := &Reporter{}
	if !r.ShouldReport(t.Context(), job()) {
		t.Error("a job with project and topic is not told")
	}
	onlyLabels := job()
	onlyLabels.Annotations, onlyLabels.Labels = nil, map[string]string{report.PubSubProjectKey: "p", report.PubSubTopicKey: "t"}
	if !r.ShouldReport(t.Context(), onlyLabels) {
		t.Error("labels do not count")
	}
	noTopic := job()
	noTopic.Annotations, noTopic.Labels = map[string]string{report.PubSubProjectKey: "p"}, nil
	if r.ShouldReport(t.Context(), noTopic) {
		t.Error("a job without a topic is told")
	}
}

func TestATopicThatIsMissingIsTheUsersError(t *testing.T) {
	r, server := newReporter(t)
	j := job()
	j.Annotations[report.PubSubTopicKey] = "missing"
	if _, _, err := r.Report(t.Context(), j); !report.IsUserError(err) {
		t.Errorf("got %v", err)
	}
	_ = server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := r.Report(ctx, job()); err == nil || report.IsUserError(err) {
		t.Errorf("a server that is down: %v", err)
	}
	if !report.IsUserError(report.UserError(status.Error(codes.NotFound, "x"))) || report.IsUserError(errors.New("x")) {
		t.Error("kinds of errors")
	}
}

func TestStoragePath(t *testing.T) {
	const prefix = "https://prow.x/view/"
	for url, want := range map[string]string{
		"": "", prefix + "gs/b/logs/j/1": "gs://b/logs/j/1", prefix + "s3/b/logs/j/1": "s3://b/logs/j/1", prefix + "gcs/b/x": "gs://b/x",
		prefix + "b/logs": "gs://b/logs", prefix + "file/data/logs/j/1": "file:///data/logs/j/1", prefix + "gsbucket/x": "gs://gsbucket/x",
	} {
		if got := storagePath(url, prefix); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
		if got := storagePath(url, prefix[:len(prefix)-1]); got != want {
			t.Errorf("%s with a prefix without a slash: %s, want %s", url, got, want)
		}
	}
}
