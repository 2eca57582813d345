package resultstore

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	resultstore "google.golang.org/genproto/googleapis/devtools/resultstore/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
	"prow/internal/storage/memory"
)

// server keeps invocations as ResultStore does: they are made once, filled in
// batches that carry the token of the one before, and closed.
type server struct {
	resultstore.UnimplementedResultStoreUploadServer
	mu          sync.Mutex
	invocations map[string]*invocation
	// answers are given to the next calls, in order; OK lets one through.
	answers []codes.Code
	// loseAnswer does the next call, and answers that it could not.
	loseAnswer bool
	calls      []string
}

type invocation struct {
	*resultstore.Invocation
	token, resume string
	requests      []*resultstore.UploadRequest
	finalized     bool
}

func (s *server) enter(call string) error {
	s.calls = append(s.calls, call)
	if len(s.answers) > 0 {
		code := s.answers[0]
		s.answers = s.answers[1:]
		if code != codes.OK {
			return status.Error(code, "as told")
		}
	}
	return nil
}

func (s *server) leave() error {
	if s.loseAnswer {
		s.loseAnswer = false
		return status.Error(codes.Unavailable, "the answer is lost")
	}
	return nil
}

func (s *server) find(name, token string) (*invocation, error) {
	i := s.invocations[strings.TrimSuffix(strings.TrimPrefix(name, "invocations/"), "/uploadMetadata")]
	switch {
	case i == nil:
		return nil, status.Error(codes.NotFound, name)
	case i.token != token:
		return nil, status.Error(codes.PermissionDenied, "another token")
	case i.finalized:
		return nil, status.Error(codes.FailedPrecondition, "finalized")
	}
	return i, nil
}

func (s *server) CreateInvocation(_ context.Context, r *resultstore.CreateInvocationRequest) (*resultstore.Invocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("create"); err != nil {
		return nil, err
	}
	if s.invocations[r.InvocationId] != nil {
		return nil, status.Error(codes.AlreadyExists, r.InvocationId)
	}
	s.invocations[r.InvocationId] = &invocation{Invocation: r.Invocation, token: r.AuthorizationToken, resume: r.InitialResumeToken}
	return r.Invocation, s.leave()
}

func (s *server) TouchInvocation(_ context.Context, r *resultstore.TouchInvocationRequest) (*resultstore.TouchInvocationResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("touch"); err != nil {
		return nil, err
	}
	_, err := s.find(r.Name, r.AuthorizationToken)
	return &resultstore.TouchInvocationResponse{}, err
}

func (s *server) GetInvocationUploadMetadata(_ context.Context, r *resultstore.GetInvocationUploadMetadataRequest) (*resultstore.UploadMetadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("metadata"); err != nil {
		return nil, err
	}
	i, err := s.find(r.Name, r.AuthorizationToken)
	if err != nil {
		return nil, err
	}
	return &resultstore.UploadMetadata{ResumeToken: i.resume}, nil
}

func (s *server) UploadBatch(_ context.Context, r *resultstore.UploadBatchRequest) (*resultstore.UploadBatchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter("batch"); err != nil {
		return nil, err
	}
	i, err := s.find(r.Parent, r.AuthorizationToken)
	if err != nil {
		return nil, err
	}
	if r.ResumeToken != i.resume || len(r.UploadRequests) > 100 {
		return nil, status.Error(codes.InvalidArgument, "resume token")
	}
	i.resume = r.NextResumeToken
	for _, u := range r.UploadRequests {
		i.requests = append(i.requests, u)
		i.finalized = i.finalized || u.UploadOperation == resultstore.UploadRequest_FINALIZE
	}
	return &resultstore.UploadBatchResponse{}, s.leave()
}

// world is a ResultStore, a bucket and a reporter.
type world struct {
	*server
	t      *testing.T
	bucket storage.Bucket
	r      *Reporter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, server: &server{invocations: map[string]*invocation{}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	resultstore.RegisterResultStoreUploadServer(g, w.server)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := resultstore.NewResultStoreUploadClient(conn)
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(opts.ConfigPath, []byte("plank: {default_decoration_config_entries: [{config: {gcs_configuration: {bucket: b, path_strategy: explicit}}}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	opener := storage.NewOpener(map[string]storage.Provider{"gs": memory.Provider()})
	if w.bucket, err = opener.Open(t.Context(), "gs://b"); err != nil {
		t.Fatal(err)
	}
	w.r = &Reporter{
		Upload: func(context.Context) (resultstore.ResultStoreUploadClient, error) { return client, nil }, Storage: opener,
		Config: func() *config.Config { return cfg }, FirstDelay: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	for name, content := range map[string]string{
		"started.json": `{"timestamp":200,"repo-commit":"merge"}`, "build-log.txt": "log", "build.log": "not the log", "artifacts/junit.xml": "<x/>", "artifacts/deep/a.txt": "12345",
	} {
		if err := w.bucket.Put(t.Context(), "pr-logs/pull/o_r/5/unit/17/"+name, strings.NewReader(content), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func job(state prowv1.ProwJobState) *prowv1.ProwJob {
	done := metav1.Unix(290, 0)
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: "pj-1", Labels: map[string]string{prowv1.RepoLabel: "r", prowv1.PullLabel: "5"}}}
	j.Spec = prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Job: "unit", Report: true,
		Refs:      &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", Pulls: []prowv1.Pull{{Number: 5, SHA: "head"}}},
		ExtraRefs: []prowv1.Refs{{Org: "o", Repo: "extra", BaseRef: "main"}},
		PodSpec: &corev1.PodSpec{Containers: []corev1.Container{
			{Command: []string{"make", "-s"}, Args: []string{"test"}, Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "S", ValueFrom: &corev1.EnvVarSource{}}}},
			{Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}},
		}},
		ProwJobDefault: &prowv1.ProwJobDefault{ResultStoreConfig: &prowv1.ResultStoreConfig{ProjectID: "project"}},
	}
	j.Status = prowv1.ProwJobStatus{State: state, BuildID: "17", URL: "https://prow/1", StartTime: metav1.Unix(100, 0), CompletionTime: &done}
	return j
}

func (w *world) report(state prowv1.ProwJobState) error {
	_, _, err := w.r.Report(w.t.Context(), job(state))
	return err
}

func TestARunIsOneInvocation(t *testing.T) {
	w := newWorld(t)
	if err := w.report(prowv1.SuccessState); err != nil {
		t.Fatal(err)
	}
	i := w.invocations["pj-1"]
	if i == nil || !i.finalized || i.Timing.StartTime.Seconds != 200 || i.Timing.Duration.Seconds != 90 || i.StatusAttributes.Status != resultstore.Status_PASSED {
		t.Fatalf("invocation %v", i)
	}
	if a := i.InvocationAttributes; a.ProjectId != "project" || a.Labels[0] != "prow" || a.Description != "presubmit for r/5/17/unit" {
		t.Errorf("attributes %v", a)
	}
	if c := i.WorkspaceInfo.CommandLines; len(c) != 2 || c[0].Label != "original" || c[0].Tool != "make -s" || c[0].Args[0] != "test" {
		t.Errorf("commands %v", c)
	}
	var properties, files []string
	for _, p := range i.Properties {
		properties = append(properties, p.Key+"="+p.Value)
	}
	if got, want := strings.Join(properties, " "), "Instance=17 Job=unit Prow_Dashboard_URL=https://prow/1 Env=A=1 Env=B=2 Commit=merge Branch=main Repo=o/extra Repo=o/r"; got != want {
		t.Errorf("properties\n%s, want\n%s", got, want)
	}
	for _, f := range i.Files {
		if f.Length.GetValue() == 0 || !strings.HasPrefix(f.Uri, "gs://b/pr-logs/pull/o_r/5/unit/17/") {
			t.Errorf("file %v", f)
		}
		files = append(files, f.Uid+":"+f.ContentType)
	}
	want := "build.log:text/plain started.json:application/json prowjob.json:application/json finished.json:application/json artifacts/deep/a.txt:text/plain artifacts/junit.xml:"
	if got := strings.Join(files, " "); !strings.HasPrefix(got, want) {
		t.Errorf("files\n%s, want\n%s", got, want)
	}
	if len(i.requests) != 5 || i.requests[1].Id.TargetId != "unit" || i.requests[1].GetTarget().TargetAttributes.Type != resultstore.TargetType_TEST || i.requests[3].Id.ActionId != "overall" {
		t.Errorf("requests %v", i.requests)
	}
	if err := w.report(prowv1.SuccessState); err != nil || len(i.requests) != 5 {
		t.Errorf("a second report: %v, %d requests", err, len(i.requests))
	}
}

func TestOnlyTheDirectoryOfArtifacts(t *testing.T) {
	w := newWorld(t)
	w.r.ArtifactsDirOnly = true
	if err := w.report(prowv1.FailureState); err != nil {
		t.Fatal(err)
	}
	last := w.invocations["pj-1"].Files
	if f := last[len(last)-1]; f.Uid != "artifacts/" || f.Length != nil {
		t.Errorf("last file %v", f)
	}
}

func TestAnInvocationThatWasLeftIsFinished(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"after the creation":                 func(w *world) { w.answers = append([]codes.Code{codes.OK}, many(codes.Unavailable, 8)...) },
		"the answer to the creation is lost": func(w *world) { w.loseAnswer = true },
		"the answer to the batch is lost":    func(w *world) { w.answers = []codes.Code{codes.Unavailable, codes.OK} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			err := w.report(prowv1.FailureState)
			if err != nil {
				err = w.report(prowv1.FailureState)
			}
			if i := w.invocations["pj-1"]; err != nil || !i.finalized || len(i.requests) != 5 {
				t.Errorf("%v, calls %q", err, w.calls)
			}
		})
	}
}

func many(code codes.Code, n int) (out []codes.Code) {
	for range n {
		out = append(out, code)
	}
	return out
}

func TestAnswers(t *testing.T) {
	for _, code := range permanent {
		w := newWorld(t)
		w.answers = many(code, 20)
		if err := w.report(prowv1.FailureState); err != nil {
			t.Errorf("%s is tried again: %v", code, err)
		}
		if n := len(w.calls); n > 2 {
			t.Errorf("%s: %d calls", code, n)
		}
	}
	w := newWorld(t)
	w.answers = many(codes.Internal, 20)
	if err := w.report(prowv1.FailureState); err == nil || len(w.calls) != 8 {
		t.Errorf("%v after %d calls, want an error after 8", err, len(w.calls))
	}
}

func TestStatuses(t *testing.T) {
	for state, want := range map[prowv1.ProwJobState]resultstore.Status{
		"success": resultstore.Status_PASSED, "failure": resultstore.Status_FAILED, "aborted": resultstore.Status_CANCELLED,
		"error": resultstore.Status_INCOMPLETE, "pending": resultstore.Status_TOOL_FAILED,
	} {
		if got := statusOf(state); got != want {
			t.Errorf("%s: %s", state, got)
		}
	}
}

func TestTheTokenFollowsFromTheInvocation(t *testing.T) {
	a, b := authorizationToken("a"), authorizationToken("b")
	if a == b || a != authorizationToken("a") || len(a) != 36 || a[14] != '4' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Errorf("tokens %s, %s", a, b)
	}
}

func TestWhichJobsAreUploaded(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		change func(*prowv1.ProwJob)
		want   bool
	}{
		"a complete job with a project": {func(*prowv1.ProwJob) {}, true},
		"a running job":                 {func(j *prowv1.ProwJob) { j.Status.CompletionTime = nil }, false},
		"a job that does not report":    {func(j *prowv1.ProwJob) { j.Spec.Report = false }, false},
		"a job without a project":       {func(j *prowv1.ProwJob) { j.Spec.ProwJobDefault = nil }, false},
		"a job whose files are on S3": {func(j *prowv1.ProwJob) {
			j.Spec.DecorationConfig = &prowv1.DecorationConfig{GCSConfiguration: &prowv1.GCSConfiguration{Bucket: "s3://b"}}
		}, false},
	} {
		j := job(prowv1.SuccessState)
		tc.change(j)
		if got := w.r.ShouldReport(t.Context(), j); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
