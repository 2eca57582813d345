package prowjob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

const configuration = `
plank:
  default_decoration_configs:
    '*':
      blobless_fetch: true
      utility_images: {clonerefs: a, initupload: b, entrypoint: c, sidecar: d}
      gcs_configuration: {bucket: b, path_strategy: explicit}
      sparse_checkout_files: [only]
presubmits:
  org/repo:
  - name: unit
    decorate: true
    optional: true
    path_alias: k8s.io/repo
    clone_depth: 3
    labels: {preset: x}
    annotations: {note: "y"}
    max_concurrency: 2
    jenkins_spec: {github_branch_source_job: true}
    reporter_config: {slack: {channel: c, job_states_to_report: []}}
    extra_refs:
    - {org: o, repo: a, blobless_fetch: false}
    - {org: o, repo: b}
    spec: {containers: [{name: c, command: [make]}]}
  - name: silent
    skip_report: true
    reporter_config: {slack: {job_states_to_report: [failure]}}
    spec: {containers: [{name: c}]}
postsubmits:
  org/repo: [{name: push, spec: {containers: [{name: c}]}}]
periodics:
- name: nightly
  interval: 1h
  labels: {a: b}
  extra_refs: [{org: org, repo: repo, base_ref: main}]
  spec: {containers: [{name: c}]}
`

func load(t *testing.T) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(t.Context(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refs() v1.Refs {
	return prowjob.PullRefs(prowjob.PullRequest{
		Org: "org", Repo: "repo", RepoURL: "https://h/org/repo", BaseRef: "main", Number: 7, Title: "Fix", URL: "https://h/org/repo/pull/7",
		Author: "me", AuthorURL: "https://h/me", HeadSHA: "head", HeadRef: "branch",
	}, "base")
}

func TestPullRefs(t *testing.T) {
	want := v1.Refs{
		Org: "org", Repo: "repo", RepoLink: "https://h/org/repo", BaseRef: "main", BaseSHA: "base", BaseLink: "https://h/org/repo/commit/base",
		Pulls: []v1.Pull{{Number: 7, Author: "me", SHA: "head", HeadRef: "branch", Title: "Fix", Link: "https://h/org/repo/pull/7",
			AuthorLink: "https://h/me", CommitLink: "https://h/org/repo/pull/7/commits/head"}},
	}
	if diff := cmp.Diff(want, refs()); diff != "" {
		t.Error(diff)
	}
}

func TestPresubmit(t *testing.T) {
	p := &load(t).PresubmitsStatic("org/repo")[0]
	now := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	pj := prowjob.NewPresubmit(p, refs(), prowjob.Event{GUID: "guid", Retest: true}, prowjob.WithClock(func() time.Time { return now }), prowjob.InNamespace("ns"))
	if _, err := uuid.Parse(pj.Name); err != nil || pj.Namespace != "ns" || pj.Kind != "ProwJob" || pj.APIVersion != "prow.k8s.io/v1" {
		t.Errorf("object: %s, %s, %s", pj.Name, pj.Namespace, pj.GroupVersionKind())
	}
	if pj.Status.State != v1.TriggeredState || !pj.Status.StartTime.Time.Equal(now) {
		t.Errorf("status: %+v", pj.Status)
	}
	s := pj.Spec
	if s.Type != v1.PresubmitJob || s.Job != "unit" || s.Context != "unit" || !s.Report || s.RerunCommand != "/test unit" || s.MaxConcurrency != 2 ||
		s.Agent != v1.KubernetesAgent || s.Cluster != "default" || s.Namespace != "default" || !s.JenkinsSpec.GitHubBranchSourceJob {
		t.Errorf("spec: %+v", s)
	}
	if r := s.Refs; r.PathAlias != "k8s.io/repo" || r.CloneDepth != 3 || !*r.BloblessFetch || !cmp.Equal(r.SparseCheckoutFiles, []string{"only"}) {
		t.Errorf("refs: %+v", r)
	}
	if *s.ExtraRefs[0].BloblessFetch || !*s.ExtraRefs[1].BloblessFetch {
		t.Errorf("extra refs: %+v", s.ExtraRefs)
	}
	if s.ReporterConfig.Slack.Report == nil || *s.ReporterConfig.Slack.Report {
		t.Error("an empty list of states must switch Slack off")
	}
	for key, want := range map[string]string{
		v1.EventGUIDLabel: "guid", v1.IsOptionalLabel: "true", v1.RetestLabel: "true", "preset": "x", v1.CreatedByProwLabel: "true",
		v1.TypeLabel: "presubmit", v1.JobLabel: "unit", v1.PullLabel: "7", v1.OrgLabel: "org",
	} {
		if pj.Labels[key] != want {
			t.Errorf("label %s is %q, expected %q", key, pj.Labels[key], want)
		}
	}
	if pj.Annotations["note"] != "y" || pj.Annotations[v1.JobAnnotation] != "unit" {
		t.Errorf("annotations: %v", pj.Annotations)
	}
	// Nothing is shared with the configuration.
	pj.Spec.PodSpec.Containers[0].Command[0] = "changed"
	*pj.Spec.DecorationConfig.BloblessFetch = false
	pj.Labels["preset"] = "changed"
	if p.Spec.Containers[0].Command[0] != "make" || !*p.DecorationConfig.BloblessFetch || p.Labels["preset"] != "x" {
		t.Error("changing the object changed the configuration")
	}
}

func TestOtherTypes(t *testing.T) {
	c := load(t)
	silent := &c.PresubmitsStatic("org/repo")[1]
	if pj := prowjob.New(prowjob.PresubmitSpec(silent, refs()), nil, nil, prowjob.RequireScheduling(true)); pj.Spec.Report ||
		pj.Status.State != v1.SchedulingState || !*pj.Spec.ReporterConfig.Slack.Report || pj.Spec.DecorationConfig != nil {
		t.Errorf("silent: %+v", pj.Spec)
	}
	batch := prowjob.BatchSpec(&c.PresubmitsStatic("org/repo")[0], refs())
	if batch.Type != v1.BatchJob || batch.Report || batch.Context != "unit" || batch.RerunCommand != "" || batch.JenkinsSpec != nil || batch.Refs == nil {
		t.Errorf("batch: %+v", batch)
	}
	push := prowjob.NewPostsubmit(&c.PostsubmitsStatic("org/repo")[0], prowjob.BranchRefs("org", "repo", "https://h/org/repo", "main", "sha"), prowjob.Event{GUID: "g"})
	if push.Spec.Type != v1.PostsubmitJob || push.Spec.Context != "push" || !push.Spec.Report || push.Labels[v1.EventGUIDLabel] != "g" {
		t.Errorf("push: %+v", push)
	}
	if _, has := push.Labels[v1.IsOptionalLabel]; has {
		t.Error("a postsubmit is neither optional nor required")
	}
	nightly := prowjob.NewPeriodic(&c.Periodics[0], 1)
	if nightly.Spec.Refs != nil || !nightly.Spec.Report || nightly.Spec.Context != "" || nightly.Labels[v1.RerunAttemptLabel] != "1" ||
		nightly.Labels[v1.BaseRefLabel] != "main" || nightly.Labels["a"] != "b" {
		t.Errorf("nightly: %+v", nightly)
	}
	if value, ok := nightly.Labels[v1.ContextLabel]; !ok || value != "" {
		t.Error("a periodic carries an empty context label")
	}
	if _, has := c.Periodics[0].Labels[v1.RerunAttemptLabel]; has {
		t.Error("a retry changed the labels of the configuration")
	}
}

func TestStableName(t *testing.T) {
	a, b := prowjob.StableName("delivery", "job"), prowjob.StableName("delivery", "job")
	if a != b || prowjob.StableName("delivery job") == a || prowjob.StableName("delivery", "other") == a {
		t.Error("names must be equal exactly where their causes are")
	}
	if _, err := uuid.Parse(a); err != nil || strings.ToLower(a) != a {
		t.Errorf("%s is not a name", a)
	}
}

// run is a presubmit that started some seconds after the epoch.
func run(name string, started int64, change func(*v1.ProwJob)) *v1.ProwJob {
	pj := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "unit", Refs: &v1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: name, Pulls: []v1.Pull{{Number: 1, SHA: name}}}},
		Status:     v1.ProwJobStatus{State: v1.TriggeredState, StartTime: metav1.Unix(started, 0)},
	}
	if change != nil {
		change(pj)
	}
	return pj
}

func names(jobs []*v1.ProwJob) string {
	var out []string
	for _, pj := range jobs {
		out = append(out, pj.Name)
	}
	return strings.Join(out, " ")
}

func TestDuplicates(t *testing.T) {
	complete := func(pj *v1.ProwJob) { pj.SetComplete() }
	batch := func(pj *v1.ProwJob) { pj.Spec.Type = v1.BatchJob }
	pulls := func(numbers ...int) func(*v1.ProwJob) {
		return func(pj *v1.ProwJob) {
			pj.Spec.Refs.Pulls = nil
			for _, n := range numbers {
				pj.Spec.Refs.Pulls = append(pj.Spec.Refs.Pulls, v1.Pull{Number: n})
			}
		}
	}
	extra := func(repos ...string) func(*v1.ProwJob) {
		return func(pj *v1.ProwJob) {
			for _, r := range repos {
				pj.Spec.ExtraRefs = append(pj.Spec.ExtraRefs, v1.Refs{Org: "o", Repo: r})
			}
		}
	}
	for name, tc := range map[string]struct {
		jobs []*v1.ProwJob
		want string
	}{
		"the older one goes":                       {[]*v1.ProwJob{run("new", 2, nil), run("old", 1, nil)}, "old"},
		"the order of the list does not matter":    {[]*v1.ProwJob{run("old", 1, nil), run("new", 2, nil)}, "old"},
		"all but the newest go":                    {[]*v1.ProwJob{run("a", 1, nil), run("b", 3, nil), run("c", 2, nil)}, "a c"},
		"the first of equal ones stays":            {[]*v1.ProwJob{run("a", 1, nil), run("b", 1, nil)}, "b"},
		"complete jobs do not count":               {[]*v1.ProwJob{run("a", 1, complete), run("b", 2, nil)}, ""},
		"batches stay":                             {[]*v1.ProwJob{run("a", 1, batch), run("b", 2, batch)}, ""},
		"another base":                             {[]*v1.ProwJob{run("a", 1, nil), run("b", 2, func(pj *v1.ProwJob) { pj.Spec.Refs.BaseRef = "x" })}, ""},
		"another job":                              {[]*v1.ProwJob{run("a", 1, nil), run("b", 2, func(pj *v1.ProwJob) { pj.Spec.Job = "x" })}, ""},
		"another pull request":                     {[]*v1.ProwJob{run("a", 1, pulls(1)), run("b", 2, pulls(2))}, ""},
		"the order of pull requests is irrelevant": {[]*v1.ProwJob{run("a", 1, pulls(1, 10, 2)), run("b", 2, pulls(10, 2, 1))}, "a"},
		"the order of extra refs is irrelevant":    {[]*v1.ProwJob{run("a", 1, extra("x", "y")), run("b", 2, extra("y", "x"))}, "a"},
		"other extra refs":                         {[]*v1.ProwJob{run("a", 1, extra("x")), run("b", 2, extra("y"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(prowjob.Duplicates(tc.jobs)); got != tc.want {
				t.Errorf("found %q, expected %q", got, tc.want)
			}
		})
	}
	pj := run("a", 1, nil)
	prowjob.Supersede(pj)
	if pj.Status.State != v1.AbortedState || pj.Status.PrevReportStates[v1.GitHubReporterName] != v1.AbortedState || pj.Complete() {
		t.Errorf("found %+v", pj.Status)
	}
}

func TestIdentifier(t *testing.T) {
	spec := &run("a", 1, nil).Spec
	if got, want := prowjob.Identifier(spec), "o/r@main [1],presubmit,unit"; got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
}

func TestLists(t *testing.T) {
	state := func(s v1.ProwJobState) func(*v1.ProwJob) {
		return func(pj *v1.ProwJob) { pj.Status.State = s }
	}
	jobs := []*v1.ProwJob{
		run("p", 1, state(v1.PendingState)), run("t", 3, nil), run("a", 2, state(v1.AbortedState)), run("s", 1, state(v1.SuccessState)),
		run("done", 1, func(pj *v1.ProwJob) { pj.Status.State = v1.AbortedState; pj.SetComplete() }),
	}
	active := prowjob.PartitionActive(jobs)
	if got := names(active.Pending) + "|" + names(active.Triggered) + "|" + names(active.Aborted); got != "p|t|a" {
		t.Errorf("found %s", got)
	}
	if got := prowjob.LatestPerJob(jobs, v1.PresubmitJob)["unit"].Name; got != "t" {
		t.Errorf("found %s", got)
	}
	if got := prowjob.LatestPerJob(jobs, v1.PeriodicJob); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	keys := ""
	for _, attr := range prowjob.LogAttrs(run("x", 1, nil)) {
		keys += attr.Key + " "
	}
	if keys != "name job type state pr repo org " {
		t.Errorf("found %s", keys)
	}
}
