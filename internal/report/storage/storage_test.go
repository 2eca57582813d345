package storage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
	"prow/internal/storage/providers"
)

// world is a directory for storage and a reporter that writes there.
type world struct {
	t   *testing.T
	dir string
	r   *Reporter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	yaml := "plank: {default_decoration_config_entries: [{config: {gcs_configuration: {bucket: 'file://" + w.dir + "', path_strategy: explicit}}}]}"
	if err := os.WriteFile(opts.ConfigPath, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	w.r = &Reporter{Storage: providers.New(providers.Credentials{}), Config: func() *config.Config { return cfg }, Log: slog.New(slog.DiscardHandler)}
	return w
}

func job(state prowv1.ProwJobState) *prowv1.ProwJob {
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Job: "unit", Refs: &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: "base", Pulls: []prowv1.Pull{{Number: 5, SHA: "head"}}},
	}}
	j.Status = prowv1.ProwJobStatus{State: state, BuildID: "17", StartTime: metav1.Unix(100, 0)}
	if state != prowv1.PendingState {
		done := metav1.Unix(160, 0)
		j.Status.CompletionTime = &done
	}
	return j
}

const runDir = "pr-logs/pull/o_r/5/unit/17"

func (w *world) report(j *prowv1.ProwJob) {
	w.t.Helper()
	if _, _, err := w.r.Report(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, runDir, name) }

func (w *world) read(name string) string {
	w.t.Helper()
	content, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}

func (w *world) write(name, content string) {
	w.t.Helper()
	bucket, err := w.r.Storage.Open(w.t.Context(), "file://"+w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer bucket.Close()
	if err := bucket.Put(w.t.Context(), runDir+"/"+name, strings.NewReader(content), storage.PutOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestProbe31StartedOfOthersIsLeftAloneAndFinishedIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	const foreign = `{"timestamp":1,"repo-commit":"merged"}`
	w.write("started.json", foreign)
	w.report(job(prowv1.PendingState))
	if _, err := os.Stat(w.path("finished.json")); err == nil {
		t.Error("a running job has finished")
	}
	w.report(job(prowv1.FailureState))
	if got := w.read("started.json"); got != foreign {
		t.Errorf("started.json is now %s", got)
	}
	want := "{\n\t\"timestamp\": 160,\n\t\"passed\": false,\n\t\"metadata\": {\n\t\t\"uploader\": \"crier\"\n\t},\n\t\"result\": \"failure\"\n}"
	if got := w.read("finished.json"); got != want {
		t.Errorf("finished.json is %s", got)
	}
	later := job(prowv1.SuccessState)
	later.Status.Description = "second run"
	w.report(later)
	if got := w.read("finished.json"); got != want {
		t.Errorf("finished.json is now %s", got)
	}
	var stored prowv1.ProwJob
	if err := json.Unmarshal([]byte(w.read("prowjob.json")), &stored); err != nil || stored.Status.Description != "second run" || !strings.Contains(w.read("prowjob.json"), "\n\t\"spec\"") {
		t.Errorf("prowjob.json is not current: %v", err)
	}
}

func TestStarted(t *testing.T) {
	w := newWorld(t)
	w.report(job(prowv1.PendingState))
	want := "{\n\t\"timestamp\": 100,\n\t\"pull\": \"5\",\n\t\"repos\": {\n\t\t\"o/r\": \"main:base,5:head\"\n\t},\n\t\"repo-commit\": \"head\",\n\t\"metadata\": {\n\t\t\"uploader\": \"crier\"\n\t},\n\t\"repo-version\": \"head\"\n}"
	if got := w.read("started.json"); got != want {
		t.Errorf("started.json is %s", got)
	}
	// The clones tell what was tested; the reporter may write over what it wrote.
	w.write("clone-records.json", `[{"refs":{"org":"o","repo":"r","base_ref":"main","base_sha":"base","pulls":[{"number":5,"author":"","sha":"head"}]},"final_sha":"merge"}]`)
	w.report(job(prowv1.SuccessState))
	if got := w.read("started.json"); !strings.Contains(got, `"repo-commit": "merge"`) {
		t.Errorf("started.json is %s", got)
	}
	// Now it names another commit than the static one, so it stays.
	w.write("clone-records.json", `[]`)
	w.report(job(prowv1.SuccessState))
	if got := w.read("started.json"); !strings.Contains(got, `"repo-commit": "merge"`) {
		t.Errorf("started.json is %s", got)
	}
}

func TestAStartedThatIsNoJSONIsNotTouched(t *testing.T) {
	for _, content := range []string{"oops", `"text"`, `{"timestamp":"x"}`} {
		w := newWorld(t)
		w.write("started.json", content)
		w.report(job(prowv1.SuccessState))
		if got := w.read("started.json"); got != content {
			t.Errorf("started.json is %s", got)
		}
	}
}

func TestAPeriodicThatNeverStartsHasAStarted(t *testing.T) {
	w := newWorld(t)
	j := job(prowv1.ErrorState)
	j.Spec.Type, j.Spec.Refs = prowv1.PeriodicJob, nil
	w.report(j)
	content, err := os.ReadFile(filepath.Join(w.dir, "logs/unit/17/started.json"))
	if err != nil || !strings.Contains(string(content), `"timestamp": 100`) {
		t.Errorf("%s, %v", content, err)
	}
}

func TestWhatHasNoPlaceIsReported(t *testing.T) {
	r := &Reporter{Config: func() *config.Config { return &config.Config{} }, Log: slog.New(slog.DiscardHandler)}
	if done, _, err := r.Report(t.Context(), job(prowv1.SuccessState)); err != nil || len(done) != 1 {
		t.Errorf("%v, %v", done, err)
	}
	noBuild := job(prowv1.SuccessState)
	noBuild.Status.BuildID = ""
	if r.ShouldReport(t.Context(), noBuild) || !r.ShouldReport(t.Context(), job(prowv1.SuccessState)) {
		t.Error("a job is reported iff it has a build id")
	}
}

// full is a bucket on a disk that is full.
type full struct{ storage.Bucket }

func (f full) Put(_ context.Context, key string, src io.Reader, _ storage.PutOptions) error {
	return errors.New("no space left on device: " + key)
}

func TestOneFileThatFailsDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t)
	bucket, err := w.r.Storage.Open(t.Context(), "file://"+w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.r.Storage = storage.NewOpener(map[string]storage.Provider{"file": func(context.Context, storage.Location) (storage.Bucket, error) { return full{bucket}, nil }})
	_, _, err = w.r.Report(t.Context(), job(prowv1.SuccessState))
	for _, name := range []string{"started.json", "finished.json", "prowjob.json"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not tell of %s: %v", name, err)
		}
	}
}

// late is a bucket in which a file appears after it was looked for.
type late struct{ storage.Bucket }

func (l late) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if strings.HasSuffix(key, "started.json") {
		return nil, storage.ErrNotExist
	}
	return l.Bucket.Get(ctx, key, offset, length)
}

func TestAStartedThatAppearsMeanwhileStays(t *testing.T) {
	w := newWorld(t)
	w.write("started.json", "{}")
	bucket, err := w.r.Storage.Open(t.Context(), "file://"+w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.r.Storage = storage.NewOpener(map[string]storage.Provider{"file": func(context.Context, storage.Location) (storage.Bucket, error) { return late{bucket}, nil }})
	w.report(job(prowv1.PendingState))
	if got := w.read("started.json"); got != "{}" {
		t.Errorf("started.json is %s", got)
	}
}
