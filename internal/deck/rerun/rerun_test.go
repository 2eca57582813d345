package rerun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	o := config.DefaultOptions()
	o.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(o.ConfigPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const jobs = `
presubmits:
  o/r:
  - {name: unit, branches: [main], path_alias: new.example/r, spec: {containers: [{name: test, image: new}]}}
  - {name: unit, branches: [release], spec: {containers: [{name: test, image: old}]}}
  https://host-review.example/r:
  - {name: gerrit, spec: {containers: [{name: test, image: new}]}}
postsubmits:
  o/r:
  - {name: publish, max_concurrency: 3, spec: {containers: [{name: test, image: new}]}}
`

func old(change func(*v1.ProwJob)) *v1.ProwJob {
	pj := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec: v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "unit", Refs: &v1.Refs{
			Org: "o", Repo: "r", BaseRef: "main", BaseSHA: "base", PathAlias: "old.example/r", CloneDepth: 7, CloneURI: "ssh://old", Pulls: []v1.Pull{{Number: 1, SHA: "head"}},
		}},
		Status: v1.ProwJobStatus{State: v1.FailureState, BuildID: "7", PodName: "old"},
	}
	change(pj)
	return pj
}

func TestLatest(t *testing.T) {
	cfg := load(t, jobs)
	now := time.Unix(1700000000, 0)
	for name, test := range map[string]struct {
		change func(*v1.ProwJob)
		check  func(*v1.ProwJob) bool
		err    string
	}{
		"the job of the branch, with its own way to clone": {func(*v1.ProwJob) {}, func(pj *v1.ProwJob) bool {
			r := pj.Spec.Refs
			return pj.Spec.PodSpec.Containers[0].Image == "new" && r.PathAlias == "new.example/r" && r.CloneDepth == 0 && r.CloneURI == "" && r.BaseSHA == "base" && r.Pulls[0].SHA == "head"
		}, ""},
		"a postsubmit": {func(pj *v1.ProwJob) { pj.Spec.Type, pj.Spec.Job, pj.Spec.Refs.Pulls = v1.PostsubmitJob, "publish", nil }, func(pj *v1.ProwJob) bool {
			return pj.Spec.MaxConcurrency == 3 && pj.Spec.Type == v1.PostsubmitJob
		}, ""},
		"a change of Gerrit, whose org has no scheme": {func(pj *v1.ProwJob) {
			pj.Spec.Job, pj.Spec.Refs.Org = "gerrit", "host-review.example"
			pj.Labels[v1.GerritRevisionLabel], pj.Labels[v1.GerritPatchsetLabel], pj.Annotations[v1.GerritIDAnnotation], pj.Annotations["other"] = "abc", "2", "id", "x"
		}, func(pj *v1.ProwJob) bool {
			return pj.Labels[v1.GerritRevisionLabel] == "abc" && pj.Labels[v1.GerritPatchsetLabel] == "2" && pj.Annotations[v1.GerritIDAnnotation] == "id" && pj.Annotations["other"] == "" && pj.Spec.Refs.CloneURI == "ssh://old"
		}, ""},
		"who asked is kept": {func(pj *v1.ProwJob) { pj.Labels[v1.EventGUIDLabel], pj.Labels[v1.CreatedByTideLabel] = "guid", "true" }, func(pj *v1.ProwJob) bool {
			return pj.Labels[v1.EventGUIDLabel] == "guid" && pj.Labels[v1.CreatedByTideLabel] == "true"
		}, ""},
		"a branch that no job runs on": {func(pj *v1.ProwJob) { pj.Spec.Refs.BaseRef = "next" }, nil, "no longer runs on branch next"},
		"two jobs for the branch":      {func(pj *v1.ProwJob) { pj.Spec.Refs.BaseRef = "main-release" }, nil, "several jobs"},
		"an unknown job":               {func(pj *v1.ProwJob) { pj.Spec.Job = "x" }, nil, "no presubmit x of o/r"},
		"an unknown periodic":          {func(pj *v1.ProwJob) { pj.Spec.Type = v1.PeriodicJob }, nil, "no periodic unit"},
		"a batch":                      {func(pj *v1.ProwJob) { pj.Spec.Type = v1.BatchJob }, nil, "type batch"},
		"no branch":                    {func(pj *v1.ProwJob) { pj.Spec.Refs.BaseRef = "" }, nil, "does not say"},
	} {
		before := old(test.change)
		kept := before.DeepCopy()
		got, err := Latest(cfg, before, prowjob.WithClock(func() time.Time { return now }))
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)), test.err == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case err == nil && (!test.check(got) || got.Name == "old" || got.Status.State != v1.TriggeredState || got.Status.BuildID != "" || !got.Status.StartTime.Equal(&metav1.Time{Time: now})):
			t.Errorf("%s: %+v", name, got)
		}
		if before.Spec.Refs.String() != kept.Spec.Refs.String() || before.Spec.Refs.PathAlias != kept.Spec.Refs.PathAlias {
			t.Errorf("%s: the old one was changed", name)
		}
	}
	// The configuration is shared, and stays as it is.
	if job := cfg.PresubmitsStatic("o/r")[0]; len(job.Labels) != 0 {
		t.Errorf("the configuration was changed: %v", job.Labels)
	}
}

func TestOriginal(t *testing.T) {
	before := old(func(pj *v1.ProwJob) {
		pj.Labels["mine"], pj.Labels[v1.BuildIDLabel], pj.Labels[v1.ProwJobIDLabel] = "x", "7", "old"
		pj.Annotations["mine"], pj.Annotations[applied] = "y", "{}"
	})
	got := Original(before, prowjob.RequireScheduling(true))
	if got.Labels["mine"] != "x" || got.Annotations["mine"] != "y" || got.Labels[v1.BuildIDLabel] != "" || got.Labels[v1.ProwJobIDLabel] != "" || got.Annotations[applied] != "" {
		t.Errorf("%v %v", got.Labels, got.Annotations)
	}
	if got.Status.State != v1.SchedulingState || got.Status.PodName != "" || got.Status.BuildID != "" || got.Spec.Refs.PathAlias != "old.example/r" || got.Name == "old" {
		t.Errorf("%+v", got)
	}
	if before.Labels[v1.BuildIDLabel] != "7" {
		t.Error("the old one was changed")
	}
}
