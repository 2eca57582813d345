package config

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func mapFS(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func own(names ...string) string {
	out := "presubmits:\n"
	for _, name := range names {
		out += "- " + presubmit(name) + "\n"
	}
	return out
}

func inRepoNames(j *InRepoJobs) []string {
	var out []string
	for _, job := range j.bases() {
		out = append(out, job.Name)
	}
	return out
}

func TestReadInRepo(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
		err   string
	}{
		"nothing":                       {files: map[string]string{"README.md": "x"}},
		"a file":                        {files: map[string]string{".prow.yaml": own("hans")}, want: []string{"hans"}},
		"the other extension":           {files: map[string]string{".prow.yml": own("hans")}},
		"the directory goes first":      {files: map[string]string{".prow.yaml": own("hans"), ".prow/base.yaml": own("kurt")}, want: []string{"kurt"}},
		"all files, in order":           {files: map[string]string{".prow/b/two.yml": own("two"), ".prow/a/one.yaml": own("one"), ".prow/a/x.txt": "["}, want: []string{"one", "two"}},
		"equal base names":              {files: map[string]string{".prow/b/x.yaml": own("two"), ".prow/a/x.yaml": own("one")}, want: []string{"one", "two"}},
		"ignored files":                 {files: map[string]string{".prowignore": ".prow/b/\n", ".prow/b/x.yaml": "[", ".prow/a/x.yaml": own("one"), ".prow/a/y.yaml": "[", ".prow/a/.prowignore": "y.*"}, want: []string{"one"}},
		"a file where a directory goes": {files: map[string]string{".prow": "x"}, err: ".prow: found a file, expected a directory"},
		"a mistake has its place":       {files: map[string]string{".prow/a.yaml": "presubmits:\n- name: a\n  max_concurrency: x\n"}, err: ".prow/a.yaml:3:20: presubmits[0].max_concurrency"},
		"unknown fields":                {files: map[string]string{".prow.yaml": "what: 1\n" + own("a")}, want: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, err := ReadInRepo(mapFS(tc.files))
			if tc.err != "" {
				wantError(t, err, tc.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, inRepoNames(jobs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSymbolicLinksStayInside(t *testing.T) {
	root := tree(t, map[string]string{"repo/.prow/real.yaml": own("a"), "secret.yaml": "password: hunter2", "repo/outside.yaml": own("x"), "repo/.prow/dir/b.yaml": own("b")})
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(root, "repo/.prow", name)); err != nil {
			t.Fatal(err)
		}
	}
	link("real.yaml", "zinside.yaml")
	read := func() (*InRepoJobs, error) {
		r, err := os.OpenRoot(filepath.Join(root, "repo"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return ReadInRepo(r.FS())
	}
	jobs, err := read()
	if err != nil || cmp.Diff([]string{"b", "a", "a"}, inRepoNames(jobs)) != "" {
		t.Fatalf("found %v, %v", jobs, err)
	}
	for _, target := range []string{"../../secret.yaml", filepath.Join(root, "secret.yaml"), "../outside.yaml", "zinside.yaml", "../../../../../../dev/zero", "dir"} {
		link(target, "bad.yaml")
		if _, err := read(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: found %v", target, err)
		} else {
			wantError(t, err, ".prow/bad.yaml", "symbolic link")
		}
		if err := os.Remove(filepath.Join(root, "repo/.prow/bad.yaml")); err != nil {
			t.Fatal(err)
		}
	}
}

// memoryTrees serves the same files for every revision, and counts.
type memoryTrees struct {
	fs    fs.FS
	err   error
	opens atomic.Int32
	gate  chan struct{} // if not nil, opening waits for it
	revs  []Revision
	mu    sync.Mutex
}

func (m *memoryTrees) OpenTree(ctx context.Context, rev Revision) (fs.FS, func(), error) {
	m.opens.Add(1)
	m.mu.Lock()
	m.revs = append(m.revs, rev)
	m.mu.Unlock()
	if m.gate != nil {
		select {
		case <-m.gate:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	return m.fs, func() {}, m.err
}

const inRepoOn = "in_repo_config: {enabled: {'*': true, org: false, 'org/yes': true}}\n"

func TestInRepoIsAskedOnlyWhereEnabled(t *testing.T) {
	c := main(t, inRepoOn+presubmits("static"))
	for repo, want := range map[string]bool{"org/repo": false, "org/yes": true, "other/repo": true, "https://h/a/b": true} {
		if got := c.InRepoConfig.InRepoEnabled(repo); got != want {
			t.Errorf("%s: found %v", repo, got)
		}
	}
	never := func(context.Context) (string, error) { t.Error("a commit was asked for"); return "", nil }
	var nobody *InRepo
	jobs, err := nobody.Presubmits(t.Context(), c, "org/repo", "main", never, never)
	if err != nil || len(jobs) != 1 {
		t.Errorf("found %v, %v", jobs, err)
	}
	_, err = nobody.Presubmits(t.Context(), c, "other/repo", "main", SHA("base"))
	wantError(t, err, "no git client")
	_, err = NewInRepo(&memoryTrees{}, InRepoOptions{}).Presubmits(t.Context(), c, "other", "main", SHA("base"))
	wantError(t, err, "expected a repository")
}

func TestInRepoJobsJoinStaticOnes(t *testing.T) {
	trees := &memoryTrees{fs: mapFS(map[string]string{".prow.yaml": own("own") + "postsubmits:\n- " + presubmit("post") + "\n"})}
	c := main(t, "in_repo_config: {enabled: {'*': true}}\ntide: {merge_method: {org: squash}}\n"+presubmits("static"))
	r := NewInRepo(trees, InRepoOptions{})
	jobs, err := r.Presubmits(t.Context(), c, "org/repo", "main", SHA("base"), SHA("head"), SHA(""))
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 2 || jobs[0].Name != "static" || jobs[1].Name != "own" || jobs[1].RerunCommand != "/test own" || jobs[1].SourcePath != "" {
		t.Errorf("found %+v", jobs)
	}
	if diff := cmp.Diff([]Revision{{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "base", HeadSHAs: []string{"head"}, MergeMethod: MergeSquash}}, trees.revs); diff != "" {
		t.Error(diff)
	}
	posts, err := r.Postsubmits(t.Context(), c, "org/repo", "main", SHA("base"))
	if err != nil || len(posts) != 1 || posts[0].Context != "post" {
		t.Errorf("found %v, %v", posts, err)
	}
}

func TestInRepoMistakes(t *testing.T) {
	for name, tc := range map[string]struct{ config, content, want string }{
		"like a static job": {"", own("x", "static"), ".prow.yaml:3:4: job static: name: another presubmit of org/repo"},
		"a cluster that is not allowed": {"", "presubmits:\n- name: a\n  cluster: privileged\n  spec: {containers: [{}]}\n",
			`.prow.yaml:3:3: job a: cluster: found "privileged", which jobs of org/repo may not use`},
		"no cluster at all":                 {"in_repo_config: {allowed_clusters: {'*': []}}", own("a"), `found "default"`},
		"a rule":                            {"", "presubmits:\n- name: a\n  trigger: x\n  spec: {containers: [{}]}\n", ".prow.yaml:2:3: job a: rerun_command"},
		"a pipeline task without reference": {"", "presubmits:\n- {name: a, agent: tekton-pipeline, pipeline_run_spec: {pipelineSpec: {tasks: [{}]}}, cluster: x}\n", "cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := ReadInRepo(mapFS(map[string]string{".prow.yaml": tc.content}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = main(t, presubmits("static")+tc.config).ResolveInRepo("org/repo", raw)
			wantError(t, err, tc.want)
		})
	}
	c := main(t, "in_repo_config: {allowed_clusters: {org: [privileged]}}")
	raw, err := ReadInRepo(mapFS(map[string]string{".prow.yaml": own("a") + "- {name: b, cluster: privileged, spec: {containers: [{}]}}\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ResolveInRepo("org/repo", raw); err != nil {
		t.Errorf("both clusters are allowed: %v", err)
	}
}

func counter(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestInRepoCacheKeepsContentNotDefaults(t *testing.T) {
	const job = "presubmits:\n- {name: a, decorate: true, spec: {containers: [{command: [x]}]}}\n"
	config := func(image string) *Config {
		return main(t, "in_repo_config: {enabled: {'*': true}}\nplank: {default_decoration_configs: {'*': {utility_images: {clonerefs: "+image+
			", initupload: b, entrypoint: c, sidecar: d}, gcs_configuration: {path_strategy: explicit}}}}")
	}
	trees := &memoryTrees{fs: mapFS(map[string]string{".prow.yaml": job})}
	reg := prometheus.NewRegistry()
	r := NewInRepo(trees, InRepoOptions{CacheSize: 2, Registerer: reg})
	for _, image := range []string{"old", "new"} {
		jobs, err := r.Presubmits(t.Context(), config(image), "org/repo", "main", SHA("base"), SHA("head"))
		if err != nil {
			t.Fatal(err)
		}
		if got := jobs[0].DecorationConfig.UtilityImages.CloneRefs; got != image {
			t.Errorf("found the image %s, expected %s", got, image)
		}
	}
	for name, want := range map[string]float64{"lookups": 2, "misses": 1, "hits": 1, "cache_usage_size": 1, "evictions_forced": 0} {
		if got := counter(t, reg, "inRepoConfigCache_"+name); got != want {
			t.Errorf("%s is %v, expected %v", name, got, want)
		}
	}
	for _, base := range []string{"b1", "b2", "b3"} {
		if _, err := r.Jobs(t.Context(), config("x"), "org/repo", "main", SHA(base)); err != nil {
			t.Fatal(err)
		}
	}
	if got := counter(t, reg, "inRepoConfigCache_evictions_forced"); got != 2 {
		t.Errorf("%v revisions were forgotten, expected 2", got)
	}
	trees.err = errors.New("conflict")
	for range 2 {
		_, err := r.Jobs(t.Context(), config("x"), "org/repo", "main", SHA("b4"))
		wantError(t, err, "conflict", "org/repo")
	}
	trees.err = nil
	if _, err := r.Jobs(t.Context(), config("x"), "org/repo", "main", SHA("b4")); err != nil {
		t.Errorf("a failure was remembered: %v", err)
	}
}

func TestInRepoCacheIsBoundedByMemory(t *testing.T) {
	trees := &memoryTrees{fs: mapFS(map[string]string{".prow.yaml": own("a", "b")})}
	c := main(t, "in_repo_config: {enabled: {'*': true}}")
	reg := prometheus.NewRegistry()
	r := NewInRepo(trees, InRepoOptions{Registerer: reg})
	look := func(base string) {
		t.Helper()
		if _, err := r.Jobs(t.Context(), c, "org/repo", "main", SHA(base)); err != nil {
			t.Fatal(err)
		}
	}
	look("first")
	if r.bytes <= 0 {
		t.Fatalf("the memory is not counted: %d", r.bytes)
	}
	r.room = 3 * r.bytes
	for _, base := range []string{"b", "c", "d", "e"} {
		look(base)
	}
	if n := r.order.Len(); n != 3 || r.bytes != r.room {
		t.Errorf("%d revisions with %d bytes are remembered, expected 3 with %d", n, r.bytes, r.room)
	}
	// What is too large alone is still served.
	r.room = 1
	look("f")
	if n := r.order.Len(); n != 1 {
		t.Errorf("%d revisions are remembered, expected the newest only", n)
	}
	if got := counter(t, reg, "inRepoConfigCache_cache_usage_size"); got != 1 {
		t.Errorf("the metric tells %v", got)
	}
}

func TestInRepoLookupsShareOneReading(t *testing.T) {
	trees := &memoryTrees{fs: mapFS(map[string]string{".prow.yaml": own("a")}), gate: make(chan struct{})}
	c := main(t, "in_repo_config: {enabled: {'*': true}}")
	reg := prometheus.NewRegistry()
	r := NewInRepo(trees, InRepoOptions{Registerer: reg})
	impatient, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 10)
	first := make(chan error, 1)
	go func() {
		_, err := r.Jobs(impatient, c, "org/repo", "main", SHA("base"))
		first <- err
	}()
	for trees.opens.Load() == 0 {
		runtime.Gosched()
	}
	for range cap(errs) {
		go func() {
			_, err := r.Jobs(t.Context(), c, "org/repo", "main", SHA("base"))
			errs <- err
		}()
	}
	for counter(t, reg, "inRepoConfigCache_lookups") < float64(1+cap(errs)) {
		runtime.Gosched()
	}
	// The one who reads gives up; the others must not suffer.
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("found %v", err)
	}
	close(trees.gate)
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := trees.opens.Load(); n > 2 {
		t.Errorf("the revision was read %d times", n)
	}
}

func FuzzReadInRepo(f *testing.F) {
	f.Add("presubmits:\n- {name: a, spec: {containers: [{image: x}]}}\n")
	f.Add("presets: [&a {<<: *a}]")
	f.Add("postsubmits: [{name: a, run_if_changed: '(', branches: ['['], agent: tekton-pipeline, pipeline_run_spec: {pipelineSpec: {tasks: [{}]}}}]")
	c := &Config{}
	c.ProwConfig.resolve(&sectionContext{re: &regexCache{}, report: func(string, string, ...any) {}, warn: func(string, string, ...any) {}})
	f.Fuzz(func(t *testing.T, content string) {
		raw, err := ReadInRepo(mapFS(map[string]string{".prow.yaml": content}))
		if err != nil {
			return
		}
		_, err = c.ResolveInRepo("org/repo", raw)
		var list Errors
		if err != nil && !errors.As(err, &list) {
			t.Errorf("found %v, expected Errors", err)
		}
	})
}

func FuzzLoadMain(f *testing.F) {
	for _, pattern := range []string{"*.good.yaml", "*.bad.yaml"} {
		list, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range list {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(t.Context(), Options{ConfigPath: path})
		var list Errors
		if err != nil && !errors.As(err, &list) {
			t.Errorf("found %v, expected Errors", err)
		}
	})
}

func FuzzParseCron(f *testing.F) {
	for _, s := range []string{"TZ=UTC", "TZ= 1", "CRON_TZ=UTC 0 5 * * *", "@every 1h", "@every", "0 05 15 * * 1-5", "*/0 * * * *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if schedule, err := ParseCron(s); err == nil && schedule == nil {
			t.Error("neither a schedule nor an error")
		}
	})
}
