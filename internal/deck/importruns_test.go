package deck

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// importInto runs the import on the bucket of a site.
func (s *site) importInto(dsn string, change func(*importOptions), locations ...string) string {
	s.t.Helper()
	o := &importOptions{config: config.DefaultOptions(), store: dsn, parallel: 4, keep: 1000}
	o.config.ConfigPath = s.config
	if change != nil {
		change(o)
	}
	if locations == nil {
		locations = []string{"file://" + s.bucket}
	}
	var out strings.Builder
	if err := importRuns(s.t.Context(), &out, o, locations); err != nil {
		s.t.Fatalf("%v: %s", err, &out)
	}
	return out.String()
}

func TestRunsAreImportedFromStorage(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "deck.db")
	s := start(t, Options{Store: dsn, lookEvery: 100 * time.Millisecond, RerunCreatesJob: true, CookieSecretFile: cookieSecret(t, 32)}, "\nperiodics:\n- {name: murky, interval: 1h, hidden: true, spec: {containers: [{name: test, image: x}]}}\n")
	// One with its ProwJob, which somebody may have changed since.
	full := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "full-run"},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Job: "unit", Agent: v1.KubernetesAgent, RerunAuthConfig: &v1.RerunAuthConfig{AllowAnyone: true},
			Refs:             &v1.Refs{Org: "o", Repo: "r", BaseRef: "main", Pulls: []v1.Pull{{Number: 7, Author: "ann", Title: evil, SHA: strings.Repeat("a", 40)}}},
			DecorationConfig: &v1.DecorationConfig{GCSConfiguration: &v1.GCSConfiguration{Bucket: "gs://former", PathStrategy: v1.PathStrategyExplicit}},
		},
		Status: v1.ProwJobStatus{State: v1.FailureState, BuildID: "105", Description: "Two tests failed.", StartTime: metav1.Unix(1700000000, 0), CompletionTime: &metav1.Time{Time: time.Unix(1700000300, 0)}},
	}
	put := func(dir string, pj *v1.ProwJob) {
		s.storeBuild(dir, 1700000000, "FAILURE", nil)
		raw, err := json.Marshal(pj)
		if err != nil {
			t.Fatal(err)
		}
		s.store(dir+"/prowjob.json", string(raw))
	}
	alias := func(job, build, dir string) {
		s.store("pr-logs/directory/"+job+"/"+build+".txt", "file://"+s.bucket+"/"+dir)
	}
	put("pr-logs/pull/o_r/7/unit/105", full)
	alias("unit", "105", "pr-logs/pull/o_r/7/unit/105")
	// One that claims to be another.
	put("pr-logs/pull/o_r/7/unit/106", full)
	alias("unit", "106", "pr-logs/pull/o_r/7/unit/106")
	alias("unit", "107", "pr-logs/pull/o_r/7/unit/105")
	hidden := full.DeepCopy()
	hidden.Name, hidden.Spec.Job, hidden.Spec.Hidden, hidden.Status.BuildID = "hidden-run", "concealed", true, "108"
	put("pr-logs/pull/o_r/7/concealed/108", hidden)
	alias("concealed", "108", "pr-logs/pull/o_r/7/concealed/108")
	// Without their ProwJobs: a periodic, a batch, a presubmit, one of a hidden repository, a hidden job, and one that runs.
	s.storeBuild("logs/nightly/201", 1700000000, "SUCCESS", nil)
	s.storeBuild("pr-logs/pull/batch/unit/202", 1700000000, "ABORTED", nil)
	s.storeBuild("pr-logs/pull/o_r/8/lint/203", 1700000000, "SUCCESS", nil)
	s.store("pr-logs/pull/o_r/8/lint/203/started.json", fmt.Sprintf(`{"timestamp":1700000000,"pull":"8","repos":{"o/r":"main:%s,8:%s"}}`, strings.Repeat("b", 40), strings.Repeat("c", 40)))
	alias("lint", "203", "pr-logs/pull/o_r/8/lint/203")
	s.storeBuild("pr-logs/pull/o_secret/9/veiled/204", 1700000000, "SUCCESS", nil)
	alias("veiled", "204", "pr-logs/pull/o_secret/9/veiled/204")
	s.storeBuild("logs/murky/205", 1700000000, "SUCCESS", nil)
	s.storeBuild("logs/nightly/206", 1700000000, "", nil)
	s.store("logs/nightly/207/finished.json", `{"timestamp":`)

	out := s.importInto(dsn, nil)
	contains(t, "the report", out, "In all: 7 imported, 0 known before, 1 without result, 3 broken", "unit, build 106 is skipped: prowjob.json is that of another run", "unit, build 107 is skipped: ", "nightly, build 207 is skipped: finished.json: ", "logs/nightly: 1 imported")

	list := s.eventually("/", "nightly", "lint").body
	contains(t, "the list", list, "Two tests failed.", "#7", "#8", "ann", "&lt;script&gt;")
	lacks(t, "the list", list, "veiled", "murky", "concealed", "<script>alert")
	for path, want := range map[string][]string{
		"/run/full-run": {"Two tests failed.", "failed", "o/r", "5m00s"},
		"/view/file" + s.bucket + "/pr-logs/pull/o_r/7/unit/105": {"Two tests failed."},
		"/view/file" + s.bucket + "/pr-logs/pull/o_r/8/lint/203": {"passed", "#8", "o/r", "1m05s"},
		"/view/file" + s.bucket + "/logs/nightly/201":            {"passed", "1m05s", "finished.json"},
		"/view/file" + s.bucket + "/pr-logs/pull/batch/unit/202": {"aborted"},
		"/?type=batch": {"unit"},
		"/?pull=8":     {"lint"},
	} {
		contains(t, path, s.get(path).body, want...)
	}
	for _, path := range []string{"/run/hidden-run", "/view/file" + s.bucket + "/pr-logs/pull/o_secret/9/veiled/204", "/view/file" + s.bucket + "/logs/murky/205", "/view/prowjob/murky/205"} {
		if got := s.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	if got := s.get("/prowjobs.js").body; got != `{"items":[]}` {
		t.Errorf("what is not in the cluster is in prowjobs.js: %s", got)
	}
	// Who can write to the bucket cannot have anything run here.
	if got := s.do(http.MethodPost, "/rerun?prowjob=full-run", "Origin", s.url); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, "only known from storage") {
		t.Errorf("a rerun of what was found: %s %s", got.Status, got.body)
	}
	lacks(t, "the YAML", s.get("/prowjob?prowjob=full-run").body, "allow_anyone")

	t.Run("again, and reads only what is new", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(s.bucket, "pr-logs/pull/o_r/7/unit/105")); err != nil {
			t.Fatal(err)
		}
		s.storeBuild("logs/nightly/208", 1700000000, "SUCCESS", nil)
		contains(t, "the report", s.importInto(dsn, nil), "In all: 1 imported, 7 known before")
	})
	t.Run("one job, with a path prefix", func(t *testing.T) {
		s.storeBuild("deep/er/logs/nightly/209", 1700000000, "SUCCESS", nil)
		s.storeBuild("deep/er/logs/other/210", 1700000000, "SUCCESS", nil)
		contains(t, "the report", s.importInto(dsn, func(o *importOptions) { o.job = "nightly" }, "file://"+s.bucket+"/deep/er"), "In all: 1 imported")
		s.eventually("/run/"+foundName(s, "deep/er/logs/nightly/209"), "passed", "deep/er/logs/nightly/209")
	})
	t.Run("not what is too old", func(t *testing.T) {
		s.storeBuild("logs/old/1", 1600000000, "SUCCESS", nil)
		s.storeBuild("logs/old/2", 1700000000, "SUCCESS", nil)
		contains(t, "the report", s.importInto(dsn, func(o *importOptions) { o.keepFor = time.Since(time.Unix(1650000000, 0)) }), "logs/old: 1 imported")
	})
	t.Run("not of buckets that are not shown", func(t *testing.T) {
		o := &importOptions{config: config.DefaultOptions(), store: dsn, parallel: 4, keep: 1000}
		o.config.ConfigPath = s.config
		if err := importRuns(t.Context(), &strings.Builder{}, o, []string{"file:///etc"}); err == nil || !strings.Contains(err.Error(), "file:///etc: ") {
			t.Error(err)
		}
	})
}

// foundName is how a run is called of which storage has no ProwJob.
func foundName(s *site, key string) string {
	sum := sha256.Sum256([]byte("file" + s.bucket + "/" + key))
	return "found-" + hex.EncodeToString(sum[:16])
}
