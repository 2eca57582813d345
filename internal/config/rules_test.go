package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config/live"
)

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// In one step, because a watcher may look at any time.
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// loadTree loads config.yaml, the jobs below jobs/ and the shards below shards/.
func loadTree(t *testing.T, files map[string]string) (*Config, error) {
	t.Helper()
	if _, ok := files["config.yaml"]; !ok {
		files["config.yaml"] = ""
	}
	return Load(t.Context(), treeOptions(tree(t, files)))
}

func treeOptions(root string) Options {
	opts := DefaultOptions()
	opts.ConfigPath = filepath.Join(root, "config.yaml")
	if _, err := os.Stat(filepath.Join(root, "jobs")); err == nil {
		opts.JobConfigPath = filepath.Join(root, "jobs")
	}
	if _, err := os.Stat(filepath.Join(root, "shards")); err == nil {
		opts.SupplementalDirs = []string{filepath.Join(root, "shards")}
	}
	return opts
}

func mustLoad(t *testing.T, files map[string]string) *Config {
	t.Helper()
	c, err := loadTree(t, files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func main(t *testing.T, config string) *Config {
	t.Helper()
	return mustLoad(t, map[string]string{"config.yaml": config})
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not contain %q: %v", part, err)
		}
	}
}

func presubmit(name string) string {
	return "{name: " + name + ", spec: {containers: [{image: alpine}]}}"
}

func presubmits(names ...string) string {
	out := "presubmits:\n  org/repo:\n"
	for _, name := range names {
		out += "  - " + presubmit(name) + "\n"
	}
	return out
}

func jobNames(c *Config) []string {
	var out []string
	for _, p := range c.AllPresubmits() {
		out = append(out, p.Name)
	}
	return out
}

func TestPathsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(t.Context(), Options{ConfigPath: dir})
	wantError(t, err, dir, "directory")
	_, err = Load(t.Context(), Options{ConfigPath: filepath.Join(dir, "none.yaml")})
	wantError(t, err, "none.yaml", "no such file")
	write(t, filepath.Join(dir, "config.yaml"), "")
	_, err = Load(t.Context(), Options{ConfigPath: filepath.Join(dir, "config.yaml"), JobConfigPath: filepath.Join(dir, "jobs")})
	wantError(t, err, "jobs", "no such file")
	_, err = Load(t.Context(), Options{ConfigPath: filepath.Join(dir, "config.yaml"), SupplementalDirs: []string{filepath.Join(dir, "shards")}})
	wantError(t, err, "shards", "no such file")
}

func TestLinksThatLeadNowhereAreMistakes(t *testing.T) {
	root := tree(t, map[string]string{"config.yaml": "", "jobs/a.yaml": presubmits("a"), "elsewhere/x.yaml": presubmits("never")})
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(root, "jobs", name)); err != nil {
			t.Fatal(err)
		}
	}
	// Directories behind links are not entered, files behind links are read.
	link("../elsewhere", "dir")
	link("../elsewhere/x.yaml", "b.yaml")
	c, err := Load(t.Context(), treeOptions(root))
	if err != nil || !slices.Equal(jobNames(c), []string{"a", "never"}) {
		t.Errorf("found %v, %v", c, err)
	}
	link("nowhere.yaml", "c.yaml")
	_, err = Load(t.Context(), treeOptions(root))
	wantError(t, err, "jobs/c.yaml: the job file cannot be read: no such file")
}

func TestAPanicIsAnError(t *testing.T) {
	opts := treeOptions(tree(t, map[string]string{"config.yaml": "", "jobs/a.yaml": presubmits("a")}))
	opts.Checks = []func(*Config) []Problem{func(*Config) []Problem { panic("a mistake in a rule") }}
	_, err := Load(t.Context(), opts)
	wantError(t, err, "config.yaml: a mistake in a rule")
	err = guarded("a.yaml", func() error { panic("in a goroutine") })
	wantError(t, err, "loading a.yaml: in a goroutine")
	// Even raw jobs that no reader makes.
	_, err = main(t, "").ResolveInRepo("org/repo", nil)
	wantError(t, err, "the jobs of org/repo")
}

func TestGerritRepos(t *testing.T) {
	c := main(t, "gerrit: {org_repos_config: [{org: 'https://h', repos: [a], opt_out_help: true}, {org: 'https://h', repos: [b/c], filters: {branches: [m]}}, {org: 'https://i', repos: [a]}]}")
	repos := GerritRepos(c.Gerrit.OrgReposConfig)
	if len(repos) != 2 || len(repos["https://h"]) != 2 || repos["https://h"]["a"] != nil || repos["https://h"]["b/c"].Branches[0] != "m" {
		t.Errorf("found %v", repos)
	}
	if out := GerritReposWithoutHelp(c.Gerrit.OrgReposConfig); len(out) != 1 || !out["https://h"].Has("a") || out["https://h"].Has("b/c") {
		t.Errorf("found %v", out)
	}
}

func TestJobFilesNeedUniqueBaseNames(t *testing.T) {
	_, err := loadTree(t, map[string]string{"jobs/a/x.yaml": presubmits("a"), "jobs/b/x.yaml": presubmits("b")})
	wantError(t, err, "b/x.yaml", "same base name", "a/x.yaml")
	c := mustLoad(t, map[string]string{"jobs/a/x.yaml": presubmits("a"), "jobs/b/x.yml": presubmits("b"), "jobs/c.txt": "not: [read"})
	if diff := cmp.Diff([]string{"a", "b"}, jobNames(c)); diff != "" {
		t.Error(diff)
	}
	if got := c.PresubmitsByRepo["org/repo"][0].SourcePath; filepath.Base(got) != "x.yaml" {
		t.Errorf("source path %q", got)
	}
}

func TestMountedConfigMapIsReadOnce(t *testing.T) {
	root := tree(t, map[string]string{"config.yaml": "", "jobs/..2024/x.yaml": presubmits("a")})
	for link, target := range map[string]string{"..data": "..2024", "x.yaml": "..data/x.yaml"} {
		if err := os.Symlink(target, filepath.Join(root, "jobs", link)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(t.Context(), treeOptions(root))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a"}, jobNames(c)); diff != "" {
		t.Error(diff)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink("jobs", link); err != nil {
		t.Fatal(err)
	}
	opts := treeOptions(root)
	opts.JobConfigPath = link
	if c, err := Load(t.Context(), opts); err != nil || len(jobNames(c)) != 1 {
		t.Errorf("a root that is a symbolic link: %v, %v", err, c)
	}
}

func TestProwIgnore(t *testing.T) {
	jobs := func() map[string]string {
		return map[string]string{
			"jobs/a.yaml": presubmits("a"), "jobs/sub/b.yaml": presubmits("b"), "jobs/sub/deep/c.yaml": presubmits("c"), "jobs/other/d.yaml": presubmits("d"),
		}
	}
	for name, tc := range map[string]struct {
		ignores map[string]string
		want    []string
	}{
		"a directory":                           {map[string]string{"jobs/.prowignore": "sub/\n"}, []string{"a", "d"}},
		"a pattern in a directory":              {map[string]string{"jobs/sub/.prowignore": "*.yaml\n"}, []string{"a", "d"}},
		"a deeper file brings back":             {map[string]string{"jobs/.prowignore": "*.yaml", "jobs/sub/.prowignore": "!b.yaml"}, []string{"b"}},
		"nothing comes back below an ignored":   {map[string]string{"jobs/.prowignore": "sub/\n!sub/b.yaml\n"}, []string{"a", "d"}},
		"comments, anchors and double asterisk": {map[string]string{"jobs/.prowignore": "# no\n\n/a.yaml\nsub/**/c.yaml\n"}, []string{"d", "b"}},
		"a name that is not a directory":        {map[string]string{"jobs/.prowignore": "a.yaml/\n"}, []string{"a", "d", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := jobs()
			for path, content := range tc.ignores {
				files[path] = content
			}
			if diff := cmp.Diff(tc.want, jobNames(mustLoad(t, files))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStrictRefusesUnknownFields(t *testing.T) {
	root := tree(t, map[string]string{
		"config.yaml":  "lolNotARealField: 1\nprow_ignored: {lolNotARealField: 1}\nlog_level: info\nlog_level: info\n",
		"jobs/a.yaml":  "presubmits:\n  org/repo:\n  - name: a\n    allways_run: true\n    spec: {containers: [{imag: x}]}\nprow_ignored: 3\n",
		"jobs/ok.yaml": presubmits("b"),
	})
	opts := treeOptions(root)
	if _, err := Load(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	opts.Strict = true
	_, err := Load(t.Context(), opts)
	wantError(t, err, "config.yaml:1:1: lolNotARealField", "a.yaml:4:5: presubmits.org/repo[0].allways_run", "a.yaml:5:26", "3 problems")
}

func TestShards(t *testing.T) {
	_, err := loadTree(t, map[string]string{"shards/a_prowconfig.yaml": "plank: {max_concurrency: 1}"})
	wantError(t, err, "a_prowconfig.yaml", "branch-protection", "slack_reporter_configs", "tide.merge_method", "tide.queries", "plank")
	_, err = loadTree(t, map[string]string{
		"shards/a_prowconfig.yaml": "branch-protection: {allow_disabled_job_policies: true}", "shards/b_prowconfig.yaml": "branch-protection: {allow_disabled_job_policies: true}"})
	wantError(t, err, "b_prowconfig.yaml:1:21", "allow_disabled_job_policies")
	_, err = loadTree(t, map[string]string{
		"shards/a_prowconfig.yaml": "slack_reporter_configs: {my-org: {channel: c}}", "shards/b_prowconfig.yaml": "slack_reporter_configs: {my-org: {channel: c}}"})
	wantError(t, err, "my-org")
	c := mustLoad(t, map[string]string{
		"shards/a_prowconfig.yaml":     "tide: {queries: [{labels: [lgtm, approved], repos: [o/a]}], merge_method: {o: squash}}",
		"shards/sub/b_prowconfig.yaml": "tide: {queries: [{labels: [approved, lgtm], repos: [o/b]}]}\nbranch-protection: {orgs: {o: {repos: {b: {protect: true}}}}}",
		"shards/ignored.yaml":          "[not read",
		"config.yaml":                  "branch-protection: {orgs: {o: {repos: {a: {protect: true}}}}}",
	})
	want := TideQueries{{Labels: []string{"approved", "lgtm"}, Repos: []string{"o/a", "o/b"}}}
	if len(c.Tide.Queries) != 1 || !slices.Equal(c.Tide.Queries[0].Labels, want[0].Labels) || !slices.Equal(c.Tide.Queries[0].Repos, want[0].Repos) {
		t.Errorf("found %+v, expected %+v", c.Tide.Queries, want)
	}
	if got := c.Tide.MergeMethod("o", "a", "main"); got != MergeSquash {
		t.Errorf("merge method %s", got)
	}
	if len(c.BranchProtection.Orgs["o"].Repos) != 2 {
		t.Errorf("branch protection is not merged: %+v", c.BranchProtection)
	}
	_, err = loadTree(t, map[string]string{"shards/a_prowconfig.yaml": "tide: {queries: [{labels: [a]}]}"})
	wantError(t, err, "a_prowconfig.yaml:1:18: tide.queries[0]")
}

func TestReloadFollowsTheFiles(t *testing.T) {
	root := tree(t, map[string]string{"config.yaml": "", "jobs/deep/er/a.yaml": presubmits("a"), "jobs/b.yaml": presubmits("b")})
	w, err := NewWatcher(t.Context(), treeOptions(root), live.Options{Interval: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	changes, cancel := w.Subscribe()
	defer cancel()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	until := func(what string, cond func() bool) {
		t.Helper()
		for !cond() {
			select {
			case <-deadline:
				t.Fatal("not in time: ", what)
			case <-tick.C:
			}
		}
	}
	write(t, filepath.Join(root, "jobs/deep/er/a.yaml"), presubmits("a2"))
	until("a nested file changes", func() bool { return slices.Equal(jobNames(w.Get()), []string{"b", "a2"}) })
	if d := <-changes; d.Before == nil || d.After != w.Get() {
		t.Error("the subscriber did not get the change")
	}
	write(t, filepath.Join(root, "jobs/deep/er/a.yaml"), presubmits("b"))
	until("a mistake is visible", func() bool { return w.Status().Err != nil })
	wantError(t, w.Status().Err, "a.yaml:3", "job b", "central and in-repo", "b.yaml:3")
	if !slices.Equal(jobNames(w.Get()), []string{"b", "a2"}) {
		t.Error("a mistake changed what is served")
	}
	if err := os.Remove(filepath.Join(root, "jobs/b.yaml")); err != nil {
		t.Fatal(err)
	}
	until("it heals", func() bool { return w.Status().Err == nil && slices.Equal(jobNames(w.Get()), []string{"b"}) })
	if err := os.Remove(filepath.Join(root, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	until("a missing main file is visible", func() bool { return w.Status().Err != nil })
	write(t, filepath.Join(root, "config.yaml"), "log_level: debug")
	until("the file is back", func() bool { return w.Get().LogLevel == "debug" && w.Status().Err == nil })
}

// TestReloadedJobsFollowTheDefaults changes defaults while job files stay.
func TestReloadedJobsFollowTheDefaults(t *testing.T) {
	root := tree(t, map[string]string{"config.yaml": "pod_namespace: one", "jobs/a.yaml": presubmits("a"), "jobs/p.yaml": ""})
	l := NewLoader(treeOptions(root))
	check := func(namespace string, env int) {
		t.Helper()
		c, err := l.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := c.PresubmitsByRepo["org/repo"][0]
		if *p.Namespace != namespace || len(p.Spec.Containers[0].Env) != env {
			t.Errorf("namespace %s with %d variables, expected %s with %d", *p.Namespace, len(p.Spec.Containers[0].Env), namespace, env)
		}
	}
	check("one", 0)
	write(t, filepath.Join(root, "config.yaml"), "pod_namespace: two")
	check("two", 0)
	write(t, filepath.Join(root, "jobs/p.yaml"), "presets: [{env: [{name: E, value: v}]}]")
	check("two", 1)
	write(t, filepath.Join(root, "jobs/p.yaml"), "")
	check("two", 0)
}

// TestDefaultTrigger compares the matcher with the expression it stands for.
func TestDefaultTrigger(t *testing.T) {
	for comment, want := range map[string]bool{
		"/test NAME": true, "/test foo NAME": true, "/test NAME, x": true, "/test NAME,": true, "/test NAME\r\nmore": true, "x\n/test NAME": true,
		"/test NAMEx": false, "/test xNAME": false, "/testNAME": false, " /test NAME": false, "/test": false, "/test NAME;": false,
		"/test NAMENAME NAME": true, "/test  NAME": true, "/test\tNAME": false, "/test a\tNAME": false, "/test NAME,NAME": false, "/test NAMEx NAME\tx": true,
		"/retest NAME": false, "/test x\nNAME": false,
	} {
		if got := matchesDefaultTrigger("NAME", comment); got != want {
			t.Errorf("%q: found %v, expected %v", comment, got, want)
		}
		re, err := new(regexCache).compile(DefaultTrigger("NAME"))
		if err != nil {
			t.Fatal(err)
		}
		if got := re.MatchString(comment); got != want {
			t.Errorf("%q: the expression says %v, expected %v", comment, got, want)
		}
	}
}

func FuzzDefaultTrigger(f *testing.F) {
	f.Add("a-b", "/test a-b, x\n/test a-b")
	f.Add("a", "/test  a a")
	f.Fuzz(func(t *testing.T, name, comment string) {
		if !validJobName(name, "kubernetes") || strings.Contains(name, ".") || len(name) > 20 {
			t.Skip()
		}
		re, err := new(regexCache).compile(DefaultTrigger(name))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := matchesDefaultTrigger(name, comment), re.MatchString(comment); got != want {
			t.Errorf("%q on %q: the matcher says %v, the expression %v", name, comment, got, want)
		}
	})
}

func TestDecorationDefaultsMergeInOrder(t *testing.T) {
	c := main(t, `
plank:
  default_decoration_config_entries:
  - config:
      timeout: 2h
      grace_period: 15s
      utility_images: {clonerefs: a, initupload: b, entrypoint: c, sidecar: d}
      gcs_configuration: {bucket: b, path_strategy: explicit}
      gcs_credentials_secret: secret
  - {repo: org, config: {timeout: 1h}}
  - {repo: org/repo, config: {timeout: 3h}}
  - {cluster: trusted, config: {grace_period: 30s, gcs_credentials_secret: ""}}
  - {repo: org/foo, cluster: trusted, config: {grace_period: 1m}}
presubmits:
  org/foo:
  - {name: a, decorate: true, cluster: trusted, spec: {containers: [{command: [x]}]}}
  - {name: b, decorate: true, spec: {containers: [{command: [x]}]}}
  - {name: c, decorate: true, decoration_config: {timeout: 5m}, spec: {containers: [{command: [x]}]}}
periodics:
- {name: d, interval: 1h, decorate: true, extra_refs: [{org: org, repo: repo}], spec: {containers: [{command: [x]}]}}
`)
	jobs := c.PresubmitsStatic("org/foo")
	a, b, own, periodic := jobs[0].DecorationConfig, jobs[1].DecorationConfig, jobs[2].DecorationConfig, c.Periodics[0].DecorationConfig
	if a.Timeout.Get() != time.Hour || a.GracePeriod.Get() != time.Minute || *a.GCSCredentialsSecret != "" {
		t.Errorf("trusted: %+v", a)
	}
	if b.Timeout.Get() != time.Hour || b.GracePeriod.Get() != 15*time.Second || *b.GCSCredentialsSecret != "secret" {
		t.Errorf("default cluster: %+v", b)
	}
	if own.Timeout.Get() != 5*time.Minute || own.UtilityImages.Sidecar != "d" {
		t.Errorf("own: %+v", own)
	}
	if periodic.Timeout.Get() != 3*time.Hour {
		t.Errorf("periodic: %+v", periodic)
	}
}

func TestEntryMatching(t *testing.T) {
	for _, tc := range []struct {
		entryRepo, entryCluster, repo, cluster string
		want                                   bool
	}{
		{"some.org", "", "https://some-review.org/repo", "default", true},
		{"org", "", "http://org/repo", "default", true},
		{"http://org/repo", "", "http://org/repo", "default", true},
		{"org2", "", "org/repo", "default", false},
		{"org", "", "org/repo", "default", true},
		{"org/repo", "", "org/repo2", "default", false},
		{"", "", "", "default", true},
		{"*", "*", "", "default", true},
		{"org", "", "", "default", false},
		{"org", "x", "org/repo", "default", false},
		{"org", "x", "org/repo", "x", true},
	} {
		if got := entryMatches(tc.entryRepo, tc.entryCluster, tc.repo, tc.cluster); got != tc.want {
			t.Errorf("%+v: found %v", tc, got)
		}
	}
}

func TestPresets(t *testing.T) {
	c := mustLoad(t, map[string]string{
		"config.yaml": "presets: [{env: [{name: E, value: v}]}]",
		"jobs/a.yaml": `
presets:
- labels: {preset-a: true}
  volumes: [{name: v, emptyDir: {}}]
  volumeMounts: [{name: v, mountPath: /v}]
plank: {}
presubmits:
  org/repo:
  - {name: a, labels: {preset-a: "true"}, spec: {containers: [{image: x}]}}
  - {name: b, labels: {preset-a: "false"}, spec: {containers: [{image: x}]}}
`})
	for _, p := range c.PresubmitsStatic("org/repo") {
		container, mounts := p.Spec.Containers[0], 0
		if p.Name == "a" {
			mounts = 1
		}
		if len(container.Env) != 1 || container.Env[0].Name != "E" || len(container.VolumeMounts) != mounts || len(p.Spec.Volumes) != mounts {
			t.Errorf("%s: found %+v", p.Name, p.Spec)
		}
	}
}

// TestRetryKeepsItsOwnInterval: the interval between attempts is not that of
// the periodic.
func TestRetryKeepsItsOwnInterval(t *testing.T) {
	c := main(t, `
periodics:
- {name: a, interval: 6h, retry: {attempts: 3, interval: 10m}, spec: &s {containers: [{}]}}
- {name: b, minimum_interval: 90m, spec: *s}
`)
	a, b := &c.Periodics[0], &c.Periodics[1]
	if a.IntervalDuration() != 6*time.Hour || a.RetryInterval() != 10*time.Minute || a.MinimumIntervalDuration() != 0 {
		t.Errorf("found %v, %v, %v", a.IntervalDuration(), a.RetryInterval(), a.MinimumIntervalDuration())
	}
	if b.IntervalDuration() != 0 || b.MinimumIntervalDuration() != 90*time.Minute || b.RetryInterval() != 0 {
		t.Errorf("found %v, %v, %v", b.IntervalDuration(), b.MinimumIntervalDuration(), b.RetryInterval())
	}
}

func changed(files ...string) ChangedFiles {
	return func() ([]string, error) { return files, nil }
}

func TestRunDecisions(t *testing.T) {
	c := main(t, `
presubmits:
  org/repo:
  - {name: docs, skip_if_only_changed: '^docs/|\.md$', spec: &s {containers: [{}]}}
  - {name: changed, run_if_changed: '^pkg/', branches: [master], spec: *s}
  - {name: manual, spec: *s}
  - {name: always, always_run: true, skip_branches: [^release-], spec: *s}
postsubmits:
  org/repo:
  - {name: file, always_run: false, run_if_changed: ^file$, spec: *s}
  - {name: never, always_run: false, spec: *s}
  - {name: plain, spec: *s}
`)
	pre, post := c.PresubmitsStatic("org/repo"), c.PostsubmitsStatic("org/repo")
	for _, tc := range []struct {
		name, job, branch string
		changes           []string
		forced, defaults  bool
		want              bool
	}{
		{"only documents", "docs", "master", []string{"docs/a.go", "README.md"}, false, false, false},
		{"not only documents", "docs", "master", []string{"docs/a.go", "x.go"}, false, false, true},
		{"only documents, forced", "docs", "master", []string{"README.md"}, true, false, true},
		{"no change at all", "docs", "master", nil, false, false, false},
		{"no change at all, default", "docs", "master", nil, false, true, true},
		{"a change that matches", "changed", "mastermind", []string{"pkg/a"}, false, false, true},
		{"another branch", "changed", "main", []string{"pkg/a"}, true, true, false},
		{"manual", "manual", "x", nil, false, false, false},
		{"manual by default", "manual", "x", nil, false, true, true},
		{"always", "always", "x", nil, false, false, true},
		{"a skipped branch", "always", "release-1", nil, true, true, false},
	} {
		p := &pre[slices.IndexFunc(pre, func(p Presubmit) bool { return p.Name == tc.job })]
		got, err := p.ShouldRun(tc.branch, changed(tc.changes...), tc.forced, tc.defaults)
		if err != nil || got != tc.want {
			t.Errorf("%s: found %v, %v", tc.name, got, err)
		}
	}
	for name, want := range map[string]bool{"file": true, "never": false, "plain": true} {
		p := &post[slices.IndexFunc(post, func(p Postsubmit) bool { return p.Name == name })]
		if got, err := p.ShouldRun("main", changed("file")); err != nil || got != want {
			t.Errorf("postsubmit %s: found %v, %v", name, got, err)
		}
	}
	broken := func() ([]string, error) { return nil, os.ErrDeadlineExceeded }
	if got, err := pre[0].ShouldRun("master", broken, false, true); err == nil || !got {
		t.Errorf("changes that cannot be had: %v, %v", got, err)
	}
}

func TestFilterForComment(t *testing.T) {
	c := main(t, `
presubmits:
  org/repo:
  - {name: always, always_run: true, spec: &s {containers: [{}]}}
  - {name: failed, always_run: true, spec: *s}
  - {name: flaky, optional: true, spec: *s}
  - {name: changed, run_if_changed: ^pkg/, spec: *s}
  - {name: manual, spec: *s}
`)
	contexts := func() (failed, all map[string]bool, err error) {
		return map[string]bool{"failed": true, "flaky": true}, map[string]bool{"failed": true, "flaky": true, "always": true}, nil
	}
	for comment, want := range map[string][]string{
		"nothing":               nil,
		"/test manual":          {"manual"},
		"/test all":             {"always", "failed", "changed"},
		"/ok-to-test":           {"always", "failed", "changed"},
		"/retest":               {"failed", "flaky", "changed"},
		"/retest-required":      {"failed", "changed"},
		"/test-manual-required": {"manual"},
		"/test manual\n/retest": {"failed", "flaky", "changed", "manual"},
	} {
		filter, err := FilterForComment(comment, true, contexts)
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := FilterPresubmits(filter, "main", changed("pkg/a"), c.PresubmitsStatic("org/repo"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range jobs {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", comment, diff)
		}
	}
}

func TestMergeMethod(t *testing.T) {
	c := main(t, `
tide:
  merge_method:
    kubernetes/kops@main: squash
    kubernetes/kops: merge
    kubernetes: {kops: {main: rebase}, other: squash, "*": {"^r-": rebase}}
    plain: squash
`)
	for want, list := range map[MergeMethod][][3]string{
		MergeSquash: {{"kubernetes", "kops", "main"}, {"kubernetes", "other", "x"}, {"plain", "x", ""}},
		MergeRebase: {{"kubernetes", "kops", "maintenance"}, {"kubernetes", "unknown", "r-1"}},
		MergeMerge:  {{"kubernetes", "kops", "dev"}, {"kubernetes", "unknown", "x"}, {"nobody", "x", "x"}},
	} {
		for _, key := range list {
			if got := c.Tide.MergeMethod(key[0], key[1], key[2]); got != want {
				t.Errorf("%v: found %s, expected %s", key, got, want)
			}
		}
	}
}

func TestTideQueries(t *testing.T) {
	q := TideQuery{Orgs: []string{"o"}, ExcludedRepos: []string{"o/x"}, Repos: []string{"p/r"}, Labels: []string{"lgtm", "a,b"}, MissingLabels: []string{"hold"},
		Author: "me", Milestone: "v1", ReviewApprovedRequired: true, ExcludedBranches: []string{"old"}}
	const common = `is:pr state:open archived:false author:"me" -base:"old" label:"lgtm" label:"a","b" -label:"hold" milestone:"v1" review:approved`
	if got, want := q.Query(), common+` org:"o" -repo:"o/x" repo:"p/r"`; got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	if diff := cmp.Diff(map[string]string{"o": common + ` org:"o" -repo:"o/x"`, "p": common + ` repo:"p/r"`}, q.OrgQueries()); diff != "" {
		t.Error(diff)
	}
	for repo, want := range map[string]bool{"o/any": true, "o/x": false, "p/r": true, "p/s": false} {
		if org, name := SplitRepo(repo); q.ForRepo(org, name) != want {
			t.Errorf("%s: expected %v", repo, want)
		}
	}
	exceptions, repos := TideQueries{
		{Orgs: []string{"org2"}, ExcludedRepos: []string{"org2/r1", "org2/r2", "org2/r3"}}, {Repos: []string{"org2/r3"}},
	}.OrgExceptionsAndRepos()
	if !exceptions["org2"].HasAll("org2/r1", "org2/r2") || len(exceptions["org2"]) != 2 || !repos.Has("org2/r3") {
		t.Errorf("found %v, %v", exceptions, repos)
	}
	// An org without a repository and that repository stay two queries.
	c := main(t, "tide: {queries: [{orgs: [o], excludedRepos: [o/a], labels: [l]}, {repos: [o/a], labels: [l]}]}")
	if len(c.Tide.Queries) != 2 {
		t.Errorf("merging lost a repository: %+v", c.Tide.Queries)
	}
}

func TestContextPolicy(t *testing.T) {
	const jobs = `
presubmits:
  org/repo:
  - {name: always, always_run: true, spec: &s {containers: [{}]}}
  - {name: changed, run_if_changed: x, spec: *s}
  - {name: optional, always_run: true, optional: true, spec: *s}
  - {name: manual, spec: *s}
  - {name: elsewhere, branches: [other], always_run: true, spec: *s}
branch-protection:
  orgs: {org: {protect: true, required_status_checks: {contexts: [cla]}}}
`
	c := main(t, jobs+`
tide:
  context_options:
    from-branch-protection: true
    optional-regex-contexts: [^flaky-]
    orgs: {org: {skip-unknown-contexts: true, repos: {repo: {branches: {strict: {skip-unknown-contexts: false}}}}}}
`)
	p, err := c.ContextPolicy("org", "repo", "main", c.PresubmitsStatic("org/repo"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"always", "cla"}, p.MissingRequiredContexts([]string{"changed"})); diff != "" {
		t.Error(diff)
	}
	for context, want := range map[string]bool{"always": false, "changed": false, "manual": false, "optional": true, "flaky-x": true, "unknown": true, "cla": false} {
		if got := p.IsOptional(context); got != want {
			t.Errorf("%s: optional is %v", context, got)
		}
	}
	if p, err = c.ContextPolicy("org", "repo", "strict", nil); err != nil || p.IsOptional("unknown") {
		t.Errorf("the branch does not override: %v", err)
	}
	c = main(t, jobs+"tide: {context_options: {required-contexts: [changed]}}")
	_, err = c.ContextPolicy("org", "repo", "main", c.PresubmitsStatic("org/repo"))
	wantError(t, err, "changed", "required if present")
}

func TestBranchPolicy(t *testing.T) {
	jobs := "\npresubmits: {org/repo: [{name: always, always_run: true, spec: {containers: [{}]}}]}\n"
	for name, tc := range map[string]struct {
		config, wantErr string
		protect         bool
		contexts        []string
	}{
		"a branch with an entry needs protect":    {config: "orgs: {org: {repos: {repo: {branches: {main: {}}}}}}", wantErr: "protect must be set"},
		"settings although not protected":         {config: "protect: false\n  restrictions: {users: [u]}\n  allow_disabled_job_policies: true\n  orgs: {org: {}}", wantErr: ""},
		"a required job on an unprotected branch": {config: "protect: false\n  orgs: {org: {}}", wantErr: "required jobs"},
		"tested repositories are protected":       {config: "protect-tested-repos: true\n  orgs: {org: {}}", protect: true, contexts: []string{"always"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := main(t, "branch-protection:\n  "+tc.config+jobs)
			p, err := c.BranchPolicy("org", "repo", "main", c.PresubmitsStatic("org/repo"))
			if tc.wantErr != "" {
				wantError(t, err, tc.wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.protect && (p == nil || !isTrue(p.Protect) || !slices.Equal(p.RequiredStatusChecks.Contexts, tc.contexts)) {
				t.Errorf("found %+v", p)
			}
		})
	}
	c := main(t, "branch-protection: {protect: false, restrictions: {users: [u]}, orgs: {org: {}}}")
	_, err := c.BranchPolicy("org", "repo", "main", nil)
	wantError(t, err, "settings although protect is false")
}

func TestStorageBuckets(t *testing.T) {
	c := main(t, `
deck:
  skip_storage_path_validation: false
  additional_allowed_buckets: [b]
  spyglass: {bucket_aliases: {alias: b}}
plank: {default_decoration_configs: {'*': {gcs_configuration: {bucket: 's3://d'}}}}
`)
	for bucket, ok := range map[string]bool{"b": true, "alias": true, "d": true, "x": false} {
		if err := c.ValidateStorageBucket(bucket); (err == nil) != ok {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	for id, want := range map[string][]string{
		"https://foo":    {"https://foo", "foo", "*"},
		"host/a/b":       {"host/a/b", "host", "*"},
		"https://h/a/b":  {"https://h/a/b", "h/a/b", "https://h", "h", "*"},
		"org/repo":       {"org/repo", "org", "*"},
		"http://h/r/s/t": {"http://h/r/s/t", "h/r/s/t", "http://h", "h", "*"},
	} {
		if diff := cmp.Diff(want, identifierKeys(id)); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	c := main(t, "presubmits:\n  https://h/a/b: ["+presubmit("x")+"]\n  h/a/b: ["+presubmit("z")+"]\n")
	if got := c.PresubmitsStatic("https://h/a/b"); len(got) != 2 || got[0].Name != "x" || got[1].Name != "z" {
		t.Errorf("found %v", got)
	}
}

func TestJobURLPrefix(t *testing.T) {
	c := main(t, "plank: {job_url_prefix_config: {'*': 'https://a/', org: '', org/repo: 'https://b/'}, report_templates: {org: x, '*': z}}")
	for _, tc := range []struct {
		refs *v1.Refs
		want string
	}{{nil, "https://a/"}, {&v1.Refs{Org: "org", Repo: "repo"}, "https://b/"}, {&v1.Refs{Org: "org", Repo: "other"}, "https://a/"}} {
		if got := c.Plank.JobURLPrefix(tc.refs); got != tc.want {
			t.Errorf("%v: found %s", tc.refs, got)
		}
	}
	spec := &v1.ProwJobSpec{DecorationConfig: &v1.DecorationConfig{GCSConfiguration: &v1.GCSConfiguration{JobURLPrefix: "https://own/"}}}
	if got := c.Plank.JobURLPrefixOf(spec); got != "https://own/" {
		t.Errorf("found %s", got)
	}
	if got := c.Plank.ReportTemplateFor(&v1.Refs{Org: "org"}).Root.String(); got != "x" {
		t.Errorf("found %s", got)
	}
}

func TestDefaultEntries(t *testing.T) {
	c := main(t, `
prowjob_default_entries:
- {config: {tenant_id: all, resultstore_config: {project_id: p}}}
- {repo: org, config: {tenant_id: mine}}
`)
	if got := c.GetProwJobDefault("org/repo", "default"); got.TenantID != "mine" || got.ResultStoreConfig.ProjectID != "p" {
		t.Errorf("found %+v", got)
	}
}

// TestLookupsDoNotAllocate holds for each of many jobs.
func TestLookupsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties the pools of package regexp")
	}
	c := main(t, "presubmits:\n  org/repo:\n  - {name: a, run_if_changed: ^x$, branches: [main], skip_branches: [old], spec: {containers: [{}]}}\n")
	changes := changed("a", "b", "x")
	n := testing.AllocsPerRun(100, func() {
		for i := range c.PresubmitsStatic("org/repo") {
			p := &c.PresubmitsByRepo["org/repo"][i]
			if _, err := p.ShouldRun("main", changes, false, false); err != nil {
				t.Fatal(err)
			}
			p.TriggerMatches("/test a\n/test b")
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
