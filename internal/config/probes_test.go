package config

import (
	"bytes"
	"compress/gzip"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config/live"
)

// refused checks that a main file does not load, and why.
func refused(t *testing.T, config string, parts ...string) {
	t.Helper()
	_, err := loadTree(t, map[string]string{"config.yaml": config})
	wantError(t, err, parts...)
}

const (
	podSpec = "spec: {containers: [{image: i}]}"
	images  = "utility_images: {clonerefs: a, initupload: b, entrypoint: c, sidecar: d}, gcs_configuration: {bucket: gs://b, path_strategy: explicit}"
)

// pre is a main file with presubmits of org/repo, each given by its fields.
func pre(jobs ...string) string { return ofRepo("presubmits", jobs) }

// post is a main file with postsubmits of org/repo.
func post(jobs ...string) string { return ofRepo("postsubmits", jobs) }

func ofRepo(key string, jobs []string) string {
	return key + ":\n  org/repo:\n  - {" + strings.Join(jobs, "}\n  - {") + "}\n"
}

// per is a main file with periodics.
func per(jobs ...string) string { return "periodics:\n- {" + strings.Join(jobs, "}\n- {") + "}\n" }

// TestProbes are the acceptance probes of loading, by their number. Those of
// checkconfig, 7 and 40, are tested there; of 7 the loading is tested here.
func TestProbes(t *testing.T) {
	for _, probe := range []struct {
		sentence string
		run      func(t *testing.T)
	}{
		{"01 an empty main file loads, with exactly the listed defaults", probe01},
		{"02 a main path that is a directory and a missing job path are errors", probe02},
		{"03 a gzipped main file loads like a plain one", probe03},
		{"04 a duplicate base name in the job tree is an error, and both files load after renaming one", probe04},
		{"05 jobs of a mounted ConfigMap load exactly once", probe05},
		{"06 prowignore leaves out a directory, or files of its own subtree", probe06},
		{"07 an unknown field loads normally, is refused strictly, and is never refused below prow_ignored", probe07},
		{"08 shards may set four fields, each switch once; equal queries become one", probe08},
		{"09 two shards with one Slack key are an error that names it", probe09},
		{"10 the content of VERSION is config_version_sha", probe10},
		{"11 a swapped ConfigMap is served within two seconds, a broken one is not and is logged once", probe11},
		{"12 a presubmit with name and spec gets agent, cluster, context, rerun command and trigger", probe12},
		{"13 a trigger alone, or one that does not match the rerun command, is refused", probe13},
		{"14 presubmits share a name on different branches only", probe14},
		{"15 two jobs with one context on overlapping branches are refused", probe15},
		{"16 names with slashes are for Jenkins only, and do not end in a dot", probe16},
		{"17 reserved labels, bad keys and bad values are refused", probe17},
		{"18 reserved volumes and mount paths are refused, paths below them are not", probe18},
		{"19 variables of the system are refused by type of job", probe19},
		{"20 several containers need decoration and free names; init containers must be sidecars", probe20},
		{"21 a decorated job needs a command or args; legacy paths need a default org", probe21},
		{"22 default entries merge in order, and an explicit empty secret switches off", probe22},
		{"23 both forms of decoration defaults are refused", probe23},
		{"24 a preset adds to each container, must not clash, and shares no label pair", probe24},
		{"25 an unquoted label of a job has a clear message, that of a preset is a string", probe25},
		{"26 a periodic has exactly one schedule, which is understood, and a name of its own", probe26},
		{"27 always_run: true excludes a change key; false runs by it; unset runs", probe27},
		{"28 skip_if_only_changed runs on any other change, when forced, but not without changes", probe28},
		{"29 in-repo configuration is enabled by the most specific key; clusters are united", probe29},
		{"30 the directory .prow wins over the file; its files come in path order; static names are taken", probe30},
		{"31 cached content gets the defaults of the moment; lookups, misses and hits count", probe31},
		{"32 merge methods by branch, expression, repository; unknown ones are refused", probe32},
		{"33 contradicting queries are refused", probe33},
		{"34 a context that is required and conditional is a policy error", probe34},
		{"35 branch protection: entries need protect, disabled settings are errors unless allowed, tested repos are protected", probe35},
		{"36 Slack templates must stand a job without refs, and a channel is needed", probe36},
		{"37 additional buckets need validation, which then knows all configured buckets", probe37},
		{"38 both Pub/Sub forms are refused, the older one is converted", probe38},
		{"39 gangway clients need filters, the type PROJECT and numbers of their own", probe39},
	} {
		t.Run(probe.sentence, probe.run)
	}
}

func probe01(t *testing.T) {
	dump, err := yaml.Marshal(main(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/empty.good.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(dump)); diff != "" {
		t.Error(diff)
	}
}

func probe02(t *testing.T) {
	dir := tree(t, map[string]string{"config.yaml": ""})
	_, err := Load(t.Context(), Options{ConfigPath: dir})
	wantError(t, err, "directory, expected a file")
	_, err = Load(t.Context(), Options{ConfigPath: filepath.Join(dir, "config.yaml"), JobConfigPath: filepath.Join(dir, "jobs")})
	wantError(t, err, "jobs", "no such file")
}

func zipped(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func probe03(t *testing.T) {
	plain := pre("name: a, "+podSpec) + "log_level: debug\n"
	dumps := map[string]bool{}
	for _, content := range []string{plain, zipped(t, plain)} {
		dump, err := yaml.Marshal(main(t, content))
		if err != nil {
			t.Fatal(err)
		}
		dumps[string(dump)] = true
	}
	if len(dumps) != 1 {
		t.Errorf("the results differ: %v", dumps)
	}
	c := mustLoad(t, map[string]string{"jobs/a.yaml": zipped(t, presubmits("a")), "shards/b_prowconfig.yaml": zipped(t, "tide: {merge_method: {o: squash}}")})
	if len(jobNames(c)) != 1 || c.Tide.MergeMethod("o", "r", "b") != MergeSquash {
		t.Error("a gzipped job file or shard is not read")
	}
}

func probe04(t *testing.T) {
	_, err := loadTree(t, map[string]string{"jobs/a/x.yaml": presubmits("a"), "jobs/b/x.yaml": presubmits("b")})
	wantError(t, err, "b/x.yaml", "the same base name as", "a/x.yaml")
	c := mustLoad(t, map[string]string{"jobs/a/x.yaml": presubmits("a"), "jobs/b/y.yaml": presubmits("b")})
	if diff := cmp.Diff([]string{"a", "b"}, jobNames(c)); diff != "" {
		t.Error(diff)
	}
}

func probe05(t *testing.T) {
	root := tree(t, map[string]string{"config.yaml": "", "jobs/..2024/x.yaml": presubmits("a")})
	for link, target := range map[string]string{"..data": "..2024", "x.yaml": "..data/x.yaml"} {
		if err := os.Symlink(target, filepath.Join(root, "jobs", link)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(t.Context(), treeOptions(root))
	if err != nil || !slices.Equal(jobNames(c), []string{"a"}) {
		t.Errorf("found %v, %v", c, err)
	}
}

func probe06(t *testing.T) {
	for name, content := range map[string]string{"jobs/.prowignore": "subdir/\n", "jobs/subdir/.prowignore": "*.yaml\n"} {
		c := mustLoad(t, map[string]string{name: content, "jobs/a.yaml": presubmits("a"), "jobs/subdir/b.yaml": presubmits("b"), "jobs/subdir/c/d.yaml": presubmits("d")})
		if diff := cmp.Diff([]string{"a"}, jobNames(c)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func probe07(t *testing.T) {
	for content, strictly := range map[string]string{"lolNotARealField: 1": "lolNotARealField", "prow_ignored: {lolNotARealField: 1}": ""} {
		opts := treeOptions(tree(t, map[string]string{"config.yaml": content}))
		if _, err := Load(t.Context(), opts); err != nil {
			t.Errorf("%s: %v", content, err)
		}
		opts.Strict = true
		_, err := Load(t.Context(), opts)
		if strictly != "" {
			wantError(t, err, strictly, "no such field")
		} else if err != nil {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func probe08(t *testing.T) {
	_, err := loadTree(t, map[string]string{"shards/a_prowconfig.yaml": "plank: {max_concurrency: 1}"})
	wantError(t, err, "branch-protection, slack_reporter_configs, tide.merge_method and tide.queries", `plank: {"max_concurrency":1}`)
	const on = "branch-protection: {allow_disabled_job_policies: true}"
	_, err = loadTree(t, map[string]string{"shards/a_prowconfig.yaml": on, "shards/b_prowconfig.yaml": on})
	wantError(t, err, "allow_disabled_job_policies", "another file")
	c := mustLoad(t, map[string]string{
		"shards/a_prowconfig.yaml": "tide: {queries: [{labels: [lgtm, approved], repos: [o/a]}]}",
		"shards/b_prowconfig.yaml": "tide: {queries: [{labels: [approved, lgtm], repos: [o/b]}]}",
	})
	if len(c.Tide.Queries) != 1 || !slices.Equal(c.Tide.Queries[0].Labels, []string{"approved", "lgtm"}) || !slices.Equal(c.Tide.Queries[0].Repos, []string{"o/a", "o/b"}) {
		t.Errorf("found %+v", c.Tide.Queries)
	}
}

func probe09(t *testing.T) {
	const slack = "slack_reporter_configs: {my-org: {channel: c}}"
	_, err := loadTree(t, map[string]string{"shards/a_prowconfig.yaml": slack, "shards/b_prowconfig.yaml": slack})
	wantError(t, err, "my-org is set in another file")
}

func probe10(t *testing.T) {
	if c := mustLoad(t, map[string]string{"config.yaml": "config_version_sha: key", "VERSION": "v1\n"}); c.ConfigVersionSHA != "v1\n" {
		t.Errorf("found %q", c.ConfigVersionSHA)
	}
}

// probe11 swaps volumes as the kubelet does, and looks every second as a
// component does.
func probe11(t *testing.T) {
	root := t.TempDir()
	swap := func(version, content string) {
		t.Helper()
		write(t, filepath.Join(root, ".."+version, "config.yaml"), content)
		if err := os.Symlink(".."+version, filepath.Join(root, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "..data_tmp"), filepath.Join(root, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("1", "log_level: debug")
	if err := os.Symlink("..data/config.yaml", filepath.Join(root, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var level slog.LevelVar
	w, err := NewWatcher(t.Context(), treeOptions(root), live.Options{
		Level: &level, Interval: 20 * time.Millisecond, RetryAfter: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = w.Run(ctx) }()
	until := func(what string, cond func() bool) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !cond() {
			select {
			case <-deadline:
				t.Fatal("not in time: ", what)
			case <-tick.C:
			}
		}
	}
	swap("2", "log_level: warn")
	until("the new value is served", func() bool { return w.Get().LogLevel == "warn" })
	swap("3", "log_level: loud")
	until("the error shows", func() bool { return w.Status().Err != nil })
	failing := w.Status()
	until("the broken file is tried again", func() bool { return w.Status().Took != failing.Took })
	if w.Get().LogLevel != "warn" {
		t.Errorf("serves %s, expected the last good value", w.Get().LogLevel)
	}
	swap("4", "log_level: error")
	until("the mended file is served", func() bool { return w.Get().LogLevel == "error" && w.Status().Err == nil })
	stop()
	<-stopped
	if level.Level() != slog.LevelError {
		t.Errorf("the process logs at %s", level.Level())
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("the error is logged %d times:\n%s", n, log.String())
	}
}

func probe12(t *testing.T) {
	p := &main(t, pre("name: NAME, "+podSpec)).PresubmitsByRepo["org/repo"][0]
	if p.Agent != "kubernetes" || p.Cluster != "default" || p.Context != "NAME" || p.RerunCommand != "/test NAME" || p.Trigger != `(?m)^/test( | .* )NAME,?($|\s.*)` {
		t.Errorf("found %+v", p)
	}
	for comment, want := range map[string]bool{"/test NAME": true, "/test foo NAME": true, "/test NAME, x": true, "/test NAMEx": false} {
		if p.TriggerMatches(comment) != want {
			t.Errorf("%q: expected %v", comment, want)
		}
	}
}

func probe13(t *testing.T) {
	refused(t, pre("name: a, trigger: /go, "+podSpec), "job a: rerun_command: missing")
	refused(t, pre("name: a, trigger: /go, rerun_command: /test a, "+podSpec), `rerun_command: found "/test a", expected a comment that the trigger "/go" matches`)
}

func probe14(t *testing.T) {
	main(t, pre("name: a, branches: [master], "+podSpec, "name: a, branches: [other], "+podSpec))
	refused(t, pre("name: a, branches: [master], "+podSpec, "name: a, "+podSpec), "another presubmit of org/repo has this name", "central and in-repo definitions")
	main(t, pre(`name: a, skip_branches: ['release-\d+\.\d+'], `+podSpec, "name: a, branches: [release-1.14, release-1.13], "+podSpec))
}

func probe15(t *testing.T) {
	refused(t, pre("name: a, context: c, "+podSpec, "name: b, context: c, "+podSpec), `the presubmit a of org/repo reports under the context "c"`)
	refused(t, post("name: a, context: c, "+podSpec, "name: b, context: c, "+podSpec), `the postsubmit a of org/repo reports under the context "c"`)
	main(t, pre("name: a, context: c, branches: [x], "+podSpec, "name: b, context: c, branches: [z], "+podSpec))
}

func probe16(t *testing.T) {
	refused(t, pre("name: a/b, "+podSpec), `name: found "a/b"`)
	main(t, pre("name: folder/job, agent: jenkins"))
	refused(t, pre("name: job., agent: jenkins"), `name: found "job."`)
}

func probe17(t *testing.T) {
	for labels, want := range map[string]string{"prow.k8s.io/id: x": "labels.prow.k8s.io/id", "_x: v": "labels._x", "ok: _v": "labels.ok"} {
		refused(t, pre("name: a, labels: {"+labels+"}, "+podSpec), want)
	}
}

func probe18(t *testing.T) {
	container := func(volume, mount string) string {
		return pre("name: a, spec: {volumes: [{name: " + volume + "}], containers: [{image: i, volumeMounts: [{name: v, mountPath: " + mount + "}]}]}")
	}
	refused(t, pre("name: a, spec: {volumes: [{name: logs}], containers: [{image: i}]}"), `spec.volumes[0].name: found "logs"`)
	main(t, container("v", "/logs/extra"))
	refused(t, container("v", "/tools"), `mountPath: found "/tools"`)
}

func probe19(t *testing.T) {
	env := func(name string) string {
		return "name: a, interval: 1h, spec: {containers: [{env: [{name: " + name + "}]}]}"
	}
	refused(t, pre(env("PULL_NUMBER")), "PULL_NUMBER")
	main(t, per(env("PULL_NUMBER")))
	refused(t, per(env("CI")), "found CI")
}

func probe20(t *testing.T) {
	two := func(name string) string {
		return "spec: {containers: [{name: one, command: [x]}, {name: " + name + ", command: [x]}]}"
	}
	refused(t, pre("name: a, "+two("two")), "found 2 containers")
	decorated := "name: a, decorate: true, decoration_config: {" + images + "}, "
	main(t, pre(decorated+two("two")))
	refused(t, pre(decorated+two("sidecar")), `found "sidecar"`)
	refused(t, pre("name: a, spec: {initContainers: [{name: i}], containers: [{image: i}]}"), "init container")
	main(t, pre("name: a, spec: {initContainers: [{name: i, restartPolicy: Always}], containers: [{image: i}]}"))
}

func probe21(t *testing.T) {
	refused(t, pre("name: a, decorate: true, decoration_config: {"+images+"}, "+podSpec), "needs a command or args")
	main(t, pre("name: a, decorate: true, decoration_config: {"+images+"}, spec: {containers: [{args: [x]}]}"))
	refused(t, pre("name: a, decorate: true, decoration_config: {"+strings.Replace(images, "explicit", "legacy", 1)+"}, spec: {containers: [{args: [x]}]}"),
		`path_strategy "legacy" needs both default_org and default_repo`)
}

func probe22(t *testing.T) {
	c := main(t, `
plank:
  default_decoration_config_entries:
  - {config: {timeout: 2h, grace_period: 15s, gcs_credentials_secret: secret, `+images+`}}
  - {repo: org, config: {timeout: 1h}}
  - {repo: org/repo, config: {timeout: 3h}}
  - {cluster: trusted, config: {grace_period: 30s}}
  - {repo: org/foo, cluster: trusted, config: {grace_period: 1m}}
  - {cluster: X, config: {gcs_credentials_secret: ""}}
presubmits:
  org/foo:
  - {name: a, decorate: true, cluster: trusted, spec: &s {containers: [{command: [x]}]}}
  - {name: b, decorate: true, cluster: X, spec: *s}
`)
	a, b := c.PresubmitsByRepo["org/foo"][0].DecorationConfig, c.PresubmitsByRepo["org/foo"][1].DecorationConfig
	if a.Timeout.Get() != time.Hour || a.GracePeriod.Get() != time.Minute || *a.GCSCredentialsSecret != "secret" {
		t.Errorf("found %v, %v, %q, expected 1h, 1m and the default secret", a.Timeout, a.GracePeriod, *a.GCSCredentialsSecret)
	}
	if b.GCSCredentialsSecret == nil || *b.GCSCredentialsSecret != "" {
		t.Errorf("the secret is not switched off: %v", b.GCSCredentialsSecret)
	}
}

func probe23(t *testing.T) {
	refused(t, "plank: {default_decoration_configs: {'*': {timeout: 1h}}, default_decoration_config_entries: [{config: {timeout: 1h}}]}",
		"found together with default_decoration_config_entries")
}

func probe24(t *testing.T) {
	const preset = "presets: [{env: [{name: E, value: v}]}]\n"
	refused(t, preset+pre("name: a, spec: {containers: [{env: [{name: E}]}]}"), "the variable E of the preset at", "is already there")
	c := main(t, preset+pre("name: a, decorate: true, decoration_config: {"+images+"}, spec: {containers: [{name: one, command: [x]}, {name: two, command: [x]}]}"))
	for _, container := range c.PresubmitsByRepo["org/repo"][0].Spec.Containers {
		if len(container.Env) != 1 || container.Env[0].Name != "E" {
			t.Errorf("%s has %v", container.Name, container.Env)
		}
	}
	_, err := loadTree(t, map[string]string{"jobs/a.yaml": "presets: [{labels: {p: a, q: b}}]", "jobs/b.yaml": "presets: [{labels: {p: a, r: c}}]"})
	wantError(t, err, "b.yaml:1:11: presets.labels.p", "p: a", "a.yaml:1")
}

func probe25(t *testing.T) {
	_, err := loadTree(t, map[string]string{"jobs/a.yaml": pre("name: a, labels: {preset-a: true}, " + podSpec)})
	wantError(t, err, `a.yaml:3:34: presubmits.org/repo[0].labels.preset-a: found the boolean "true", expected a string; put it in quotes`)
	c := mustLoad(t, map[string]string{"jobs/a.yaml": "presets: [{labels: {preset-a: true}, env: [{name: E, value: 1}]}]\n" + pre("name: a, labels: {preset-a: 'true'}, "+podSpec)})
	if env := c.PresubmitsByRepo["org/repo"][0].Spec.Containers[0].Env; len(env) != 1 || env[0].Value != "1" {
		t.Errorf("found %v", env)
	}
}

func probe26(t *testing.T) {
	refused(t, per("name: a, cron: '@daily', interval: 1h, "+podSpec), "interval: found together with cron")
	refused(t, per("name: a, "+podSpec), "cron: missing")
	main(t, per(`name: a, cron: "0 05 15 * * 1-5", `+podSpec))
	refused(t, per("name: a, cron: TZ=UTC, "+podSpec), "a time zone without times")
	refused(t, per("name: a, interval: 1h, "+podSpec, "name: a, interval: 2h, "+podSpec), "another periodic has this name")
}

func probe27(t *testing.T) {
	refused(t, post("name: a, always_run: true, run_if_changed: x, "+podSpec), "run_if_changed: found together with always_run: true")
	c := main(t, post("name: changed, always_run: false, run_if_changed: ^file$, "+podSpec, "name: never, always_run: false, "+podSpec, "name: plain, "+podSpec))
	for i, want := range []bool{true, false, true} {
		p := &c.PostsubmitsByRepo["org/repo"][i]
		if got, err := p.ShouldRun("main", changed("file")); err != nil || got != want {
			t.Errorf("%s: found %v, %v", p.Name, got, err)
		}
	}
}

func probe28(t *testing.T) {
	p := &main(t, pre(`name: a, skip_if_only_changed: '^docs/|\.md$', `+podSpec)).PresubmitsByRepo["org/repo"][0]
	for _, tc := range []struct {
		changes      []string
		forced, want bool
	}{
		{[]string{"docs/a.go", "README.md"}, false, false},
		{[]string{"docs/a.go", "x.go"}, false, true},
		{[]string{"README.md"}, true, true},
		{nil, false, false},
	} {
		if got, err := p.ShouldRun("main", changed(tc.changes...), tc.forced, false); err != nil || got != tc.want {
			t.Errorf("%+v: found %v, %v", tc, got, err)
		}
	}
}

func inRepoError(t *testing.T, c *Config, content string) error {
	t.Helper()
	raw, err := ReadInRepo(mapFS(map[string]string{".prow.yaml": content}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ResolveInRepo("org/repo", raw)
	return err
}

func probe29(t *testing.T) {
	c := main(t, `in_repo_config: {enabled: {"*": true, org: false}}`)
	if c.InRepoConfig.InRepoEnabled("org/repo") || !c.InRepoConfig.InRepoEnabled("other/repo") {
		t.Error("the most specific key does not decide")
	}
	const both = "presubmits: [{name: a, cluster: privileged, " + podSpec + "}, {name: b, " + podSpec + "}]"
	wantError(t, inRepoError(t, c, both), "privileged", "org/repo")
	if err := inRepoError(t, main(t, "in_repo_config: {allowed_clusters: {org: [privileged]}}"), both); err != nil {
		t.Error(err)
	}
	wantError(t, inRepoError(t, main(t, `in_repo_config: {allowed_clusters: {"*": []}}`), own("a")), `cluster: found "default"`)
}

func probe30(t *testing.T) {
	for _, tc := range []struct {
		files map[string]string
		want  []string
	}{
		{map[string]string{".prow.yaml": own("hans"), ".prow/base.yaml": own("kurt")}, []string{"kurt"}},
		{map[string]string{".prow/b/two.yml": own("two"), ".prow/a/one.yaml": own("one")}, []string{"one", "two"}},
	} {
		jobs, err := ReadInRepo(mapFS(tc.files))
		if err != nil || !slices.Equal(inRepoNames(jobs), tc.want) {
			t.Errorf("found %v, %v, expected %v", jobs, err, tc.want)
		}
	}
	wantError(t, inRepoError(t, main(t, presubmits("static")), own("static")), "job static: name: another presubmit of org/repo", "central and in-repo definitions")
}

func probe31(t *testing.T) {
	config := func(image string) *Config {
		return main(t, "in_repo_config: {enabled: {'*': true}}\nplank: {default_decoration_configs: {'*': {"+strings.Replace(images, "clonerefs: a", "clonerefs: "+image, 1)+"}}}")
	}
	reg := prometheus.NewRegistry()
	r := NewInRepo(&memoryTrees{fs: fstest.MapFS{".prow.yaml": {Data: []byte("presubmits: [{name: a, decorate: true, spec: {containers: [{command: [x]}]}}]")}}},
		InRepoOptions{Registerer: reg})
	for _, image := range []string{"old", "new"} {
		jobs, err := r.Presubmits(t.Context(), config(image), "org/repo", "main", SHA("base"), SHA("head"))
		if err != nil || jobs[0].DecorationConfig.UtilityImages.CloneRefs != image {
			t.Errorf("found %+v, %v, expected the image %s", jobs, err, image)
		}
	}
	for name, want := range map[string]float64{"lookups": 2, "misses": 1, "hits": 1} {
		if got := counter(t, reg, "inRepoConfigCache_"+name); got != want {
			t.Errorf("%s: found %v, expected %v", name, got, want)
		}
	}
}

func probe32(t *testing.T) {
	c := main(t, "tide: {merge_method: {kubernetes/kops@main: squash, kubernetes: {kops: {main: rebase}}, kubernetes/kops: merge}}")
	for branch, want := range map[string]MergeMethod{"main": MergeSquash, "maintenance": MergeRebase, "dev": MergeMerge} {
		if got := c.Tide.MergeMethod("kubernetes", "kops", branch); got != want {
			t.Errorf("%s: found %s, expected %s", branch, got, want)
		}
	}
	refused(t, "tide: {merge_method: {org: fake}}", `found "fake", expected merge, squash or rebase`)
}

func probe33(t *testing.T) {
	for query, want := range map[string]string{
		"orgs: [k], repos: [k/r]":                                 "which the query lists as a whole",
		"orgs: [k], excludedRepos: [o/r]":                         "expected a repository of an org that the query lists",
		"orgs: [k], includedBranches: [a], excludedBranches: [b]": "found together with includedBranches",
		"orgs: [k], labels: [a, b], missingLabels: [b]":           `labels ["b"] are also required`,
		"labels: [a]":                          "orgs and repos are both empty",
		"orgs: [k/r]":                          `found "k/r", expected the name of an org`,
		"repos: [k]":                           `found "k", expected org/repo`,
		"repos: [k/r, k/r]":                    "k/r is listed twice",
		"orgs: [k], labels: [a, a]":            `"a" is listed twice`,
		"orgs: [k], excludedRepos: [k/a, k/a]": "k/a is listed twice",
		"orgs: [k, k]":                         "k is listed twice",
		"orgs: [k], includedBranches: [a, a]":  `"a" is listed twice`,
		"orgs: [''], repos: [k/r]":             `found "", expected the name of an org`,
		"orgs: [k], excludedRepos: [k]":        `found "k", expected org/repo`,
	} {
		refused(t, "tide: {queries: [{"+query+"}]}", "tide.queries[0]", want)
	}
}

func probe34(t *testing.T) {
	c := main(t, "tide: {context_options: {required-contexts: [c]}}\n"+pre("name: a, context: c, run_if_changed: x, "+podSpec))
	_, err := c.ContextPolicy("org", "repo", "main", c.PresubmitsStatic("org/repo"))
	wantError(t, err, `contexts ["c"] are both required and required if present`)
}

func probe35(t *testing.T) {
	policy := func(config string) (*Policy, error) {
		c := main(t, "branch-protection: {"+config+"}\n"+pre("name: a, always_run: true, branches: [tested], "+podSpec))
		branch := "main"
		if strings.Contains(config, "tested-repos") {
			branch = "tested"
		}
		return c.BranchPolicy("org", "repo", branch, c.PresubmitsStatic("org/repo"))
	}
	_, err := policy("orgs: {org: {repos: {repo: {branches: {main: {}}}}}}")
	wantError(t, err, "branch main: protect must be set")
	const disabled = "protect: false, restrictions: {users: [u]}, orgs: {org: {}}"
	_, err = policy(disabled)
	wantError(t, err, "settings although protect is false")
	if _, err = policy(disabled + ", allow_disabled_policies: true"); err != nil {
		t.Error(err)
	}
	p, err := policy("protect-tested-repos: true, orgs: {org: {}}")
	if err != nil || !isTrue(p.Protect) || !slices.Equal(p.RequiredStatusChecks.Contexts, []string{"a"}) {
		t.Errorf("found %+v, %v", p, err)
	}
}

func probe36(t *testing.T) {
	refused(t, `slack_reporter_configs: {"*": {channel: c, report_template: "{{.Spec.Refs.Org}}"}}`, "the template fails on a job without refs")
	refused(t, `slack_reporter_configs: {"*": {report_template: x}}`, "channel: missing")
	c := main(t, `slack_reporter_configs: {"*": {channel: c}, org: {channel: o, report: false, job_states_to_report: [failure]}}`)
	own := &v1.ReporterConfig{Slack: &v1.SlackReporterConfig{Channel: "mine"}}
	report, ok := c.SlackReportOf(&v1.ProwJobSpec{Refs: &v1.Refs{Org: "org", Repo: "r"}, ReporterConfig: own})
	if !ok || report.Channel != "mine" || *report.Report || len(report.JobStatesToReport) != 1 || report.ReportTemplate != DefaultSlackTemplate {
		t.Errorf("the job's own settings do not go first: %+v", report)
	}
}

func probe37(t *testing.T) {
	refused(t, "deck: {additional_allowed_buckets: [b]}", "expected skip_storage_path_validation: false")
	for _, who := range []string{"administrators: {allow_anyone: true, github_users: [u]}", "rerun_auth_configs: {o: {allow_anyone: true, github_orgs: [u]}}", "default_rerun_auth_configs: [{repo: o, rerun_auth_configs: {allow_anyone: true, github_team_ids: [1]}}]"} {
		refused(t, "deck: {"+who+"}", "allow_anyone is true")
	}
	c := main(t, "deck: {additional_allowed_buckets: [b], skip_storage_path_validation: false}\nplank: {default_decoration_config_entries: [{config: {gcs_configuration: {bucket: s3://d}}}]}")
	for bucket, ok := range map[string]bool{"b": true, "d": true, "unknown": false} {
		if err := c.ValidateStorageBucket(bucket); (err == nil) != ok {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

func probe38(t *testing.T) {
	refused(t, "pubsub_subscriptions: {p: [s]}\npubsub_triggers: [{project: p}]", "found together with pubsub_triggers")
	want := []PubSubTrigger{{Project: "p", Topics: []string{"s"}, AllowedClusters: []string{"*"}, MaxOutstandingMessages: 10}}
	if diff := cmp.Diff(want, main(t, "pubsub_subscriptions: {p: [s]}").PubSubTriggers); diff != "" {
		t.Error(diff)
	}
}

func probe39(t *testing.T) {
	client := func(typ, filters string) string {
		return "{gcp: {endpoint_api_consumer_type: " + typ + ", endpoint_api_consumer_number: '1'}, allowed_jobs_filters: [" + filters + "]}"
	}
	good := client("PROJECT", "{tenant_id: t}")
	for clients, want := range map[string]string{
		client("PROJECT", ""):                      "expected at least one filter",
		client("USER", "{tenant_id: t}"):           `found "USER", expected PROJECT`,
		good + ", " + good:                         "the same client as",
		"{allowed_jobs_filters: [{tenant_id: t}]}": "missing gcp",
		client("PROJECT", "{}"):                    "tenant_id: missing",
	} {
		refused(t, "gangway: {allowed_api_clients: ["+clients+"]}", want)
	}
	g := &main(t, "gangway: {allowed_api_clients: ["+good+"]}").Gangway
	header := map[string]string{GangwayConsumerType: "PROJECT", GangwayConsumerNumber: "1"}
	if c, err := g.IdentifyClient(func(key string) string { return header[key] }); err != nil || c != &g.AllowedAPIClients[0] {
		t.Errorf("found %v, %v", c, err)
	}
	if _, err := g.IdentifyClient(func(string) string { return "" }); err == nil {
		t.Error("a request without metadata is a client")
	}
}
