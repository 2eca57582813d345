package prowjob_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/joblabels"
	"prow/internal/pod"
	"prow/internal/pod/buildid"
	"prow/internal/pod/downward"
	"prow/internal/prowjob"
)

const utilities = `utility_images: {clonerefs: a, initupload: b, entrypoint: c, sidecar: d}`

// parse loads a configuration from text.
func parse(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(t.Context(), config.Options{ConfigPath: path, SupplementalSuffix: config.DefaultShardSuffix})
}

func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refused wants an error that holds all parts.
func refused(t *testing.T, text string, parts ...string) {
	t.Helper()
	_, err := parse(t, text)
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q", err, part)
		}
	}
}

// withDecoration is a configuration with a default decoration and one presubmit.
func withDecoration(decoration, job string) string {
	return "plank: {default_decoration_configs: {'*': {" + utilities + ", " + decoration + "}}}\n" +
		"presubmits: {org/repo: [{name: unit, decorate: true, " + job + "spec: {containers: [{image: i, command: [make]}]}}]}\n"
}

const explicit = "gcs_configuration: {bucket: b, path_strategy: explicit}"

func presubmit(t *testing.T, text string) *v1.ProwJob {
	t.Helper()
	c := mustParse(t, text)
	return prowjob.NewPresubmit(&c.PresubmitsStatic("org/repo")[0], refs(), prowjob.Event{GUID: "guid"})
}

func environment(t *testing.T, spec v1.ProwJobSpec, id string) map[string]string {
	t.Helper()
	jobSpec := downward.NewJobSpec(spec, id, "name")
	env, err := jobSpec.Env()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func url(t *testing.T, c *config.Config, pj *v1.ProwJob) (string, error) {
	t.Helper()
	pj.Status.BuildID = "build"
	return pod.URLs{Prefixes: c.Plank.JobURLPrefixConfig, OmitProvider: !c.Plank.StorageProviderInURL(), Template: c.Plank.JobURLTemplateParsed()}.JobURL(pj)
}

// TestProbes are the acceptance probes of the ProwJob API that are about making
// ProwJobs, by their numbers; those of the CRD, of mkpj and of mkpod stand with these.
func TestProbes(t *testing.T) {
	t.Run("probe 5: a long name is cut in the label and whole in the annotation", func(t *testing.T) {
		name := strings.Repeat("j", 62) + "-" + strings.Repeat("k", 37)
		labels, annotations := joblabels.For(v1.ProwJobSpec{Type: v1.PeriodicJob, Job: name}, nil, nil)
		if got := labels[v1.JobLabel]; got != name[:62] || len(annotations[v1.JobAnnotation]) != 100 {
			t.Errorf("label %q (%d), annotation %q", got, len(got), annotations[v1.JobAnnotation])
		}
	})
	t.Run("probe 6: labels of a Gerrit repository", func(t *testing.T) {
		labels, _ := joblabels.For(v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "j", Refs: &v1.Refs{Org: "https://gerrit.example.com", Repo: "a/b"}}, nil, nil)
		if labels[v1.OrgLabel] != "gerrit.example.com" || labels[v1.RepoLabel] != "b" {
			t.Errorf("labels: %v", labels)
		}
	})
	t.Run("probe 7: labels of a periodic with extra refs", func(t *testing.T) {
		c := mustParse(t, "periodics: [{name: n, interval: 1h, extra_refs: [{org: org, repo: repo, base_ref: main}], spec: {containers: [{image: i}]}}]")
		labels := prowjob.NewPeriodic(&c.Periodics[0], 0).Labels
		context, hasContext := labels[v1.ContextLabel]
		_, hasPull := labels[v1.PullLabel]
		if labels[v1.OrgLabel] != "org" || labels[v1.BaseRefLabel] != "main" || !hasContext || context != "" || hasPull {
			t.Errorf("labels: %v", labels)
		}
	})
	t.Run("probe 8: labels of a job reach ProwJob and pod, and may not be Prow's own", func(t *testing.T) {
		pj := presubmit(t, withDecoration(explicit, "labels: {preset: x}, "))
		built, err := pod.Build(pj)
		if err != nil {
			t.Fatal(err)
		}
		if pj.Labels["preset"] != "x" || built.Labels["preset"] != "x" {
			t.Errorf("labels: %v, %v", pj.Labels, built.Labels)
		}
		refused(t, withDecoration(explicit, "labels: {prow.k8s.io/id: x}, "), "prow.k8s.io/id")
	})
	t.Run("probe 9: labels of a webhook", func(t *testing.T) {
		c := mustParse(t, withDecoration(explicit, "optional: true, "))
		job := &c.PresubmitsStatic("org/repo")[0]
		pj := prowjob.NewPresubmit(job, refs(), prowjob.Event{GUID: "delivery"})
		_, retest := pj.Labels[v1.RetestLabel]
		if pj.Labels["event-GUID"] != "delivery" || pj.Labels["prow.k8s.io/is-optional"] != "true" || retest {
			t.Errorf("labels: %v", pj.Labels)
		}
		if got := prowjob.NewPresubmit(job, refs(), prowjob.Event{GUID: "delivery", Retest: true}).Labels["prow.k8s.io/retest"]; got != "true" {
			t.Errorf("after /retest: %q", got)
		}
	})
	t.Run("probe 10: with a scheduler a job starts in scheduling", func(t *testing.T) {
		c := mustParse(t, "scheduler: {enabled: true}\n"+withDecoration(explicit, ""))
		pj := prowjob.NewPresubmit(&c.PresubmitsStatic("org/repo")[0], refs(), prowjob.Event{}, prowjob.RequireScheduling(c.Scheduler.Enabled))
		if pj.Status.State != v1.SchedulingState {
			t.Errorf("state: %s", pj.Status.State)
		}
	})
	t.Run("probe 11: blobless fetches are inherited, and declined", func(t *testing.T) {
		pj := presubmit(t, withDecoration(explicit+", blobless_fetch: true", "extra_refs: [{org: o, repo: a, base_ref: m, blobless_fetch: false}, {org: o, repo: b, base_ref: m}], "))
		if !*pj.Spec.Refs.BloblessFetch || *pj.Spec.ExtraRefs[0].BloblessFetch || !*pj.Spec.ExtraRefs[1].BloblessFetch {
			t.Errorf("refs: %+v, %+v", pj.Spec.Refs, pj.Spec.ExtraRefs)
		}
	})
	t.Run("probe 12: PULL_REFS", func(t *testing.T) {
		r := v1.Refs{BaseRef: "master", BaseSHA: "deadbeef", Pulls: []v1.Pull{{Number: 123, SHA: "abcd1234"}, {Number: 456, SHA: "dcba4321"}}}
		if got := environment(t, v1.ProwJobSpec{Type: v1.BatchJob, Refs: &r}, "1")["PULL_REFS"]; got != "master:deadbeef,123:abcd1234,456:dcba4321" {
			t.Error(got)
		}
		for want, r := range map[string]v1.Refs{
			"master": {BaseRef: "master"}, "master:deadbeef": {BaseRef: "master", BaseSHA: "deadbeef"}, "main,7:": {BaseRef: "main", Pulls: []v1.Pull{{Number: 7}}},
			"main:aa,7:bb:refs/changes/07/7/1": {BaseRef: "main", BaseSHA: "aa", Pulls: []v1.Pull{{Number: 7, SHA: "bb", Ref: "refs/changes/07/7/1"}}},
		} {
			if got := r.String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("probe 13: SRC_HOST and SRC_BASE", func(t *testing.T) {
		for alias, want := range map[string]string{"k8s.io/repo-name": "k8s.io repo-name", "x": "x org/repo", "": "github.com org/repo"} {
			env := environment(t, v1.ProwJobSpec{Type: v1.PostsubmitJob, Refs: &v1.Refs{Org: "org", Repo: "repo", PathAlias: alias}}, "1")
			if got := env["SRC_HOST"] + " " + env["SRC_BASE"]; got != want {
				t.Errorf("alias %q: got %s, want %s", alias, got, want)
			}
		}
	})
	t.Run("probe 14: BUILD_NUMBER is for the kubernetes agent", func(t *testing.T) {
		if _, has := environment(t, v1.ProwJobSpec{Type: v1.PeriodicJob, Agent: v1.JenkinsAgent}, "7")["BUILD_NUMBER"]; has {
			t.Error("Jenkins got a BUILD_NUMBER")
		}
		env := environment(t, v1.ProwJobSpec{Type: v1.PeriodicJob, Agent: v1.KubernetesAgent}, "7")
		if env["BUILD_NUMBER"] != "7" || env["BUILD_ID"] != "7" {
			t.Errorf("variables: %v", env)
		}
	})
	t.Run("probe 15: reserved variables depend on the type", func(t *testing.T) {
		const containers = "spec: {containers: [{image: i, env: [{name: PULL_REFS, value: x}]}]}}]"
		refused(t, "presubmits: {org/repo: [{name: unit, "+containers+"}", "PULL_REFS")
		mustParse(t, "periodics: [{name: n, interval: 1h, "+containers)
	})
	t.Run("probe 16: of two runs on a pull request the older goes", func(t *testing.T) {
		older, newer := run("older", 1, nil), run("newer", 2, nil)
		if got := names(prowjob.Duplicates([]*v1.ProwJob{older, newer})); got != "older" {
			t.Errorf("replaced: %s", got)
		}
		prowjob.Supersede(older)
		if older.Status.State != v1.AbortedState || older.Status.PrevReportStates["github-reporter"] != v1.AbortedState || older.Complete() {
			t.Errorf("status: %+v", older.Status)
		}
		batch := func(pj *v1.ProwJob) { pj.Spec.Type = v1.BatchJob }
		base := func(pj *v1.ProwJob) { pj.Spec.Refs.BaseRef = "other" }
		for _, jobs := range [][]*v1.ProwJob{{run("a", 1, batch), run("b", 2, batch)}, {run("a", 1, nil), run("b", 2, base)}} {
			if got := names(prowjob.Duplicates(jobs)); got != "" {
				t.Errorf("replaced: %s", got)
			}
		}
	})
	t.Run("probe 18: an unknown queue is an error of the configuration", func(t *testing.T) {
		refused(t, withDecoration(explicit, "job_queue_name: missing, "), "missing")
	})
	t.Run("probe 19: build ids tell the time", func(t *testing.T) {
		now := time.UnixMilli(1714564800123)
		ids, err := buildid.NewSnowflake(buildid.DefaultNode, func() time.Time { now = now.Add(time.Millisecond); return now })
		if err != nil {
			t.Fatal(err)
		}
		var last int64
		for range 2 {
			text, err := ids.BuildID(t.Context(), "job")
			if err != nil {
				t.Fatal(err)
			}
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil || id <= last || (id>>22)+1288834974657 != now.UnixMilli() {
				t.Errorf("id %s after %d at %d: %v", text, last, now.UnixMilli(), err)
			}
			last = id
		}
	})
	t.Run("probe 22: the page of a run in S3", func(t *testing.T) {
		text := "plank: {job_url_prefix_config: {'*': 'https://prow/view/'}, %s default_decoration_configs: {'*': {" + utilities + ", gcs_configuration: {bucket: 's3://b', path_strategy: explicit}}}}\n" +
			"presubmits: {org/repo: [{name: unit, decorate: true, spec: {containers: [{image: i, command: [make]}]}}]}\n"
		for switched, want := range map[string]string{"": "https://prow/view/s3/b/pr-logs/pull/org_repo/7/unit/build", "jobURLPrefixDisableAppendStorageProvider: true,": "https://prow/view/b/pr-logs/pull/org_repo/7/unit/build"} {
			c := mustParse(t, fmt.Sprintf(text, switched))
			if got, err := url(t, c, presubmit(t, fmt.Sprintf(text, switched))); err != nil || got != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		}
	})
	t.Run("probe 23: an empty prefix is passed over, the job's own wins", func(t *testing.T) {
		for own, want := range map[string]string{"": "https://all/", ", job_url_prefix: 'https://own/'": "https://own/"} {
			text := "plank: {job_url_prefix_config: {'*': 'https://all/', org: ''}, default_decoration_configs: {'*': {" + utilities + ", gcs_configuration: {bucket: b, path_strategy: explicit" + own + "}}}}\n" +
				"presubmits: {org/repo: [{name: unit, decorate: true, spec: {containers: [{image: i, command: [make]}]}}]}\n"
			if got, err := url(t, mustParse(t, text), presubmit(t, text)); err != nil || !strings.HasPrefix(got, want) {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		}
	})
	t.Run("probe 24: an undecorated job has the address of the template", func(t *testing.T) {
		const job = "periodics: [{name: n, interval: 1h, spec: {containers: [{image: i}]}}]"
		c := mustParse(t, "plank: {job_url_template: '{{.Spec.Type}}'}\n"+job)
		if got, err := url(t, c, prowjob.NewPeriodic(&c.Periodics[0], 0)); err != nil || got != "periodic" {
			t.Errorf("got %s, %v", got, err)
		}
		c = mustParse(t, "plank: {job_url_template: '{{.Garbage}}'}\n"+job)
		if got, err := url(t, c, prowjob.NewPeriodic(&c.Periodics[0], 0)); err == nil || got != "" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("probe 25: allow_anyone excludes lists", func(t *testing.T) {
		refused(t, withDecoration(explicit, "rerun_auth_config: {allow_anyone: true, github_orgs: [x]}, "), "allow_anyone")
	})
	t.Run("probe 26: whether to report to Slack is written down", func(t *testing.T) {
		for slack, want := range map[string]bool{
			"job_states_to_report: []": false, "job_states_to_report: [failure]": true, "channel: c": true,
			"job_states_to_report: [], report: true": true, "job_states_to_report: [failure], report: false": false,
		} {
			pj := presubmit(t, withDecoration(explicit, "reporter_config: {slack: {"+slack+"}}, "))
			if got := pj.Spec.ReporterConfig.Slack.Report; got == nil || *got != want {
				t.Errorf("%s: got %v, want %t", slack, got, want)
			}
		}
	})
	t.Run("probe 27: an empty secret switches the default off", func(t *testing.T) {
		pj := presubmit(t, "plank: {default_decoration_config_entries: [{config: {"+utilities+", "+explicit+", gcs_credentials_secret: a}}, {cluster: build, config: {gcs_credentials_secret: ''}}]}\n"+
			"presubmits: {org/repo: [{name: unit, cluster: build, decorate: true, spec: {containers: [{image: i, command: [make]}]}}]}\n")
		built, err := pod.Build(pj)
		if err != nil {
			t.Fatal(err)
		}
		if got := pj.Spec.DecorationConfig.GCSCredentialsSecret; got == nil || *got != "" {
			t.Errorf("secret: %v", got)
		}
		for _, v := range built.Spec.Volumes {
			if v.Name == "gcs-credentials" {
				t.Error("credentials are mounted")
			}
		}
	})
	t.Run("probe 28: incomplete decoration is an error of the configuration", func(t *testing.T) {
		const job = "presubmits: {org/repo: [{name: unit, decorate: true, decoration_config: {%s}, spec: {containers: [{image: i, command: [make]}]}}]}\n"
		refused(t, fmt.Sprintf(job, explicit), "clonerefs, initupload, entrypoint, sidecar")
		refused(t, fmt.Sprintf(job, "utility_images: {clonerefs: a, sidecar: d}, "+explicit), "initupload, entrypoint")
		refused(t, fmt.Sprintf(job, utilities+", gcs_configuration: {bucket: b, path_strategy: legacy}"), "default_org")
		refused(t, fmt.Sprintf(job, utilities+", "+explicit+", oauth_token_secret: {name: n, key: k}, ssh_key_secrets: [s]"), "oauth_token_secret", "ssh_key_secrets")
	})
	t.Run("probe 29: a time-out in nanoseconds is stored as text", func(t *testing.T) {
		pj := presubmit(t, withDecoration(explicit, "decoration_config: {timeout: 3600000000000}, "))
		raw, err := pj.Spec.DecorationConfig.Timeout.MarshalJSON()
		if err != nil || string(raw) != `"1h0m0s"` {
			t.Errorf("got %s, %v", raw, err)
		}
	})
}

func TestSparseDirectoriesGoToThePrimaryRefOnly(t *testing.T) {
	pj := presubmit(t, withDecoration(explicit+", sparse_checkout: [cmd]", "extra_refs: [{org: o, repo: a, base_ref: m, sparse_checkout: [bin]}, {org: o, repo: b, base_ref: m}], "))
	got := [][]string{pj.Spec.Refs.SparseCheckout, pj.Spec.ExtraRefs[0].SparseCheckout, pj.Spec.ExtraRefs[1].SparseCheckout}
	if diff := cmp.Diff([][]string{{"cmd"}, {"bin"}, nil}, got); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkNewPresubmit(b *testing.B) {
	path := filepath.Join(b.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(withDecoration(explicit, "")), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := config.Load(b.Context(), config.Options{ConfigPath: path, SupplementalSuffix: config.DefaultShardSuffix})
	if err != nil {
		b.Fatal(err)
	}
	job, on := &c.PresubmitsStatic("org/repo")[0], refs()
	b.ReportAllocs()
	for b.Loop() {
		prowjob.NewPresubmit(job, on, prowjob.Event{GUID: "guid"})
	}
}
