package clone

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
)

// probe runs the real programs on one machine, as a pod would.
type probe struct {
	bin string
	dir string
	// environ is what the image gives its programs.
	environ []string
}

// programs builds the programs.
func programs(t testing.TB, names ...string) string {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-o", bin}
	for _, name := range names {
		args = append(args, "prow/cmd/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func newProbe(t testing.TB, bin string) *probe {
	dir := t.TempDir()
	return &probe{bin: bin, dir: dir, environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
}

// run runs a program and returns its exit code and what it said.
func (p *probe) run(t testing.TB, name string, env map[string]any, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.bin, name), args...)
	cmd.Env = slices.Clone(p.environ)
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		encoded, err := json.Marshal(env[variable])
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, variable+"="+string(encoded))
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// clonerefs runs it as the pod builder configures it, and returns the records.
func (p *probe) clonerefs(t testing.TB, change func(*options.Clone), refs ...v1.Refs) []artifacts.CloneRecord {
	t.Helper()
	src, err := os.MkdirTemp(p.dir, "src")
	if err != nil {
		t.Fatal(err)
	}
	opts := &options.Clone{
		SrcRoot: src, Log: p.log(), GitUserName: "ci-robot", GitUserEmail: "ci-robot@k8s.io",
		Refs: refs, GitHubAPIEndpoints: []string{"https://api.github.com"},
	}
	if change != nil {
		change(opts)
	}
	if code, out := p.run(t, "clonerefs", map[string]any{options.CloneEnv: opts}); code != 0 {
		t.Fatalf("clonerefs exited with %d:\n%s", code, out)
	}
	var records []artifacts.CloneRecord
	p.read(t, p.log(), &records)
	return records
}

func (p *probe) log() string { return filepath.Join(p.dir, "clone.json") }

func (p *probe) read(t testing.TB, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// initupload stores the start of a run, and returns the directory of the run.
func (p *probe) initupload(t testing.TB, spec downward.JobSpec) (code int, run, out string) {
	t.Helper()
	opts := map[string]any{"bucket": "file://" + p.dir + "/bucket", "path_strategy": "explicit", "dry_run": false, "log": p.log()}
	code, out = p.run(t, "initupload", map[string]any{options.InitUploadEnv: opts, downward.JobSpecEnv: spec})
	err := filepath.WalkDir(p.dir+"/bucket", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Name() == "started.json" {
			run = filepath.Dir(path)
		}
		return err
	})
	if err != nil || run == "" {
		t.Fatalf("there is no started.json: %v\n%s", err, out)
	}
	return code, run, out
}

func jobSpec(kind v1.ProwJobType, refs *v1.Refs, extra ...v1.Refs) downward.JobSpec {
	return downward.NewJobSpec(v1.ProwJobSpec{Type: kind, Job: "unit", Refs: refs, ExtraRefs: extra}, "42", "id")
}

// TestProbes are the acceptance probes of clonerefs and initupload, by number.
func TestProbes(t *testing.T) {
	s := newServer(t)
	bin := programs(t, "clonerefs", "initupload", "sidecar")

	t.Run("probe 12: base and pull are merged, reproducibly", func(t *testing.T) {
		refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]})
		one, two := newProbe(t, bin), newProbe(t, bin)
		first, second := one.clonerefs(t, nil, refs), two.clonerefs(t, nil, refs)
		if len(first) != 2 || first[0].Refs.Org != "" || first[0].Refs.Repo != "" {
			t.Fatalf("records: %+v", first)
		}
		if first[1].FinalSHA == "" || first[1].FinalSHA != second[1].FinalSHA {
			t.Errorf("final commits: %q and %q", first[1].FinalSHA, second[1].FinalSHA)
		}
		dirs, _ := filepath.Glob(one.dir + "/src*/src/example.com/repo")
		if parents := strings.Fields(s.run(t, dirs[0], "show", "-s", "--format=%P", "HEAD")); !slices.Equal(parents, []string{s.sha["main"], s.sha["1"]}) {
			t.Errorf("parents of HEAD: %v", parents)
		}
		raw, err := os.ReadFile(one.log())
		if err != nil || !bytes.HasPrefix(raw, []byte(`[{"refs":{"org":"","repo":""}`)) {
			t.Errorf("clone.json begins %.60s, %v", raw, err)
		}
		if info, err := os.Stat(one.log()); err != nil || info.Mode().Perm()&0o700 != 0o700 {
			t.Errorf("clone.json: %v, %v", info.Mode(), err)
		}
	})

	t.Run("probe 13: a number is fetched as pull/N/head and merged from FETCH_HEAD, ref and commit as such", func(t *testing.T) {
		got := commandsWithMerge(newProbe(t, bin).clonerefs(t, nil, s.refs(v1.Pull{Number: 2}))[1])
		for _, want := range []string{"repo.git pull/2/head", "git merge --no-ff FETCH_HEAD"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in\n%s", want, got)
			}
		}
		got = commandsWithMerge(newProbe(t, bin).clonerefs(t, nil, s.refs(v1.Pull{Number: 2, Ref: "refs/pull/2/head", SHA: s.sha["2"]}))[1])
		for _, want := range []string{"repo.git refs/pull/2/head", "git merge --no-ff " + s.sha["2"]} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in\n%s", want, got)
			}
		}
	})

	t.Run("probe 14: a shallow clone without HEAD is one fetch", func(t *testing.T) {
		refs := s.refs()
		refs.CloneDepth, refs.SkipFetchHead = 2, true
		got := fetches(newProbe(t, bin).clonerefs(t, nil, refs)[1])
		if len(got) != 1 || !strings.Contains(got[0], "--depth 2") || strings.Contains(got[0], "--tags") {
			t.Errorf("fetches: %q", got)
		}
	})

	t.Run("probe 15: a sparse clone has the one file", func(t *testing.T) {
		p := newProbe(t, bin)
		refs := s.refs()
		refs.SparseCheckoutFiles = []string{"Makefile"}
		got := fetches(p.clonerefs(t, nil, refs)[1])
		if len(got) != 1 || !strings.Contains(got[0], "--filter=blob:none --no-tags ") || strings.Contains(got[0], "--prune") {
			t.Errorf("fetches: %q", got)
		}
		files, _ := filepath.Glob(p.dir + "/src*/src/example.com/repo/*")
		if len(files) != 2 || filepath.Base(files[0]) != ".git" || filepath.Base(files[1]) != "Makefile" {
			t.Errorf("work tree: %v", files)
		}
	})

	t.Run("probe 16: an OAuth token is presented, and is nowhere to be read", func(t *testing.T) {
		p := newProbe(t, bin)
		token := filepath.Join(p.dir, "token")
		if err := os.WriteFile(token, []byte("12345678\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		refs := s.refs()
		refs.RepoLink = s.url + "/private/org/repo"
		if records := p.clonerefs(t, func(o *options.Clone) { o.OauthTokenFile = token }, refs); records[1].Failed {
			t.Fatal(records[1].Message)
		}
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte("12345678:x-oauth-basic"))
		if !s.presented("/private/org/repo")[header] {
			t.Error("the token was not presented")
		}
		records, err := os.ReadFile(p.log())
		if err != nil {
			t.Fatal(err)
		}
		config, _ := filepath.Glob(p.dir + "/src*/src/example.com/repo/.git/config")
		onDisk, err := os.ReadFile(config[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range []string{"12345678", base64.StdEncoding.EncodeToString([]byte("12345678")), header} {
			if bytes.Contains(records, []byte(leak)) || bytes.Contains(onDisk, []byte(leak)) {
				t.Errorf("%s is in clone.json or in .git/config", leak)
			}
		}
		// What echoes the token is masked: here the branch is called like it.
		refs.BaseRef, refs.BaseSHA = "12345678", ""
		p.clonerefs(t, func(o *options.Clone) { o.OauthTokenFile = token }, refs)
		if records, _ = os.ReadFile(p.log()); bytes.Contains(records, []byte("remote ref 12345678")) || !bytes.Contains(records, []byte("XXXXXXXX")) {
			t.Errorf("records: %s", records)
		}
	})

	t.Run("probe 17: a missing branch fails in initupload", func(t *testing.T) {
		p := newProbe(t, bin)
		refs := s.refs()
		refs.BaseRef, refs.BaseSHA = "missing", ""
		records := p.clonerefs(t, nil, refs) // exits with 0
		if !records[1].Failed {
			t.Fatalf("record: %+v", records[1])
		}
		code, run, out := p.initupload(t, jobSpec(v1.PostsubmitJob, &refs))
		if code != 1 || !strings.Contains(out, "couldn't find remote ref missing") {
			t.Errorf("initupload exited with %d:\n%s", code, out)
		}
		var finished map[string]any
		p.read(t, filepath.Join(run, "finished.json"), &finished)
		if finished["passed"] != false || finished["result"] != "FAILURE" || finished["timestamp"] == nil || len(finished) != 3 {
			t.Errorf("finished.json: %v", finished)
		}
		text, _ := os.ReadFile(filepath.Join(run, "clone-log.txt"))
		log, _ := os.ReadFile(filepath.Join(run, "build-log.txt"))
		if len(text) == 0 || !bytes.Equal(text, log) {
			t.Errorf("clone-log.txt:\n%s\nbuild-log.txt:\n%s", text, log)
		}
		if raw, _ := os.ReadFile(p.log()); len(raw) == 0 {
			t.Error("no records")
		} else if stored, _ := os.ReadFile(filepath.Join(run, "clone-records.json")); !bytes.Equal(raw, stored) {
			t.Error("clone-records.json is not what clonerefs wrote")
		}
	})

	t.Run("probe 17: a conflict is called one", func(t *testing.T) {
		p := newProbe(t, bin)
		refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]}, v1.Pull{Number: 3, SHA: s.sha["3"]})
		p.clonerefs(t, nil, refs)
		code, run, out := p.initupload(t, jobSpec(v1.BatchJob, &refs))
		log, _ := os.ReadFile(filepath.Join(run, "build-log.txt"))
		if want := "merge conflict: pull request 3"; code != 1 || !strings.Contains(out, want) || !bytes.Contains(log, []byte("# Reason: "+want)) {
			t.Errorf("initupload exited with %d:\n%s\nbuild-log.txt:\n%s", code, out, log)
		}
	})

	t.Run("probe 18: one repository twice is an error, one path for two a warning", func(t *testing.T) {
		p := newProbe(t, bin)
		opts := &options.Clone{SrcRoot: p.dir, Log: p.log(), Refs: []v1.Refs{s.refs(), s.refs()}}
		if code, out := p.run(t, "clonerefs", map[string]any{options.CloneEnv: opts}); code != 1 || !strings.Contains(out, "org/repo is to be cloned twice") {
			t.Errorf("exited with %d:\n%s", code, out)
		}
		opts.Refs[1].Repo = "other"
		if code, out := p.run(t, "clonerefs", map[string]any{options.CloneEnv: opts}); code != 0 || !strings.Contains(out, `"severity":"warn"`) {
			t.Errorf("exited with %d:\n%s", code, out)
		}
		var records []artifacts.CloneRecord
		if p.read(t, p.log(), &records); len(records) != 3 || records[1].Failed || records[2].Failed {
			t.Errorf("records: %+v", records)
		}
	})

	t.Run("probe 38: a presubmit's commit is the merge, its revision the pull", func(t *testing.T) {
		p := newProbe(t, bin)
		refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]})
		records := p.clonerefs(t, nil, refs)
		code, run, out := p.initupload(t, jobSpec(v1.PresubmitJob, &refs))
		var started artifacts.Started
		if p.read(t, filepath.Join(run, "started.json"), &started); code != 0 || started.RepoCommit != records[1].FinalSHA || started.RepoCommit == s.sha["1"] || started.RepoCommit == "" {
			t.Errorf("exited with %d, %+v, merged as %s\n%s", code, started, records[1].FinalSHA, out)
		}
		for _, name := range []string{"process-log.txt", "marker-file.txt"} {
			if err := os.WriteFile(filepath.Join(p.dir, name), []byte("0"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		code, out = p.run(t, "sidecar", map[string]any{downward.JobSpecEnv: jobSpec(v1.PresubmitJob, &refs), options.SidecarEnv: map[string]any{
			"gcs_options": map[string]any{"bucket": "file://" + p.dir + "/bucket", "path_strategy": "explicit", "dry_run": false},
			"entries":     []map[string]any{{"process_log": p.dir + "/process-log.txt", "marker_file": p.dir + "/marker-file.txt"}},
		}})
		var finished artifacts.Finished
		if p.read(t, filepath.Join(run, "finished.json"), &finished); code != 0 || finished.Revision != s.sha["1"] {
			t.Errorf("sidecar exited with %d, finished.json: %+v\n%s", code, finished, out)
		}
	})

	t.Run("probe 39: a periodic's commit is that of its first refs that are not auxiliary", func(t *testing.T) {
		auxiliary, main := s.refs(), s.refs()
		auxiliary.Auxiliary, auxiliary.BaseSHA = true, s.sha["base"]
		main.Repo, main.PathAlias = "b", "b"
		p := newProbe(t, bin)
		records := p.clonerefs(t, nil, auxiliary, main)
		_, run, _ := p.initupload(t, jobSpec(v1.PeriodicJob, nil, auxiliary, main))
		var started artifacts.Started
		if p.read(t, filepath.Join(run, "started.json"), &started); started.RepoCommit != records[2].FinalSHA || started.RepoCommit != s.sha["main"] {
			t.Errorf("started.json: %+v", started)
		}
		p = newProbe(t, bin)
		p.clonerefs(t, nil, auxiliary)
		_, run, _ = p.initupload(t, jobSpec(v1.PeriodicJob, nil, auxiliary))
		var raw map[string]any
		if p.read(t, filepath.Join(run, "started.json"), &raw); raw["repo-commit"] != nil {
			t.Errorf("started.json: %v", raw)
		}
	})

	t.Run("exit codes", func(t *testing.T) {
		p := newProbe(t, bin)
		missing := s.refs()
		missing.BaseRef, missing.BaseSHA = "missing", ""
		failing := &options.Clone{SrcRoot: p.dir, Log: p.log(), Refs: []v1.Refs{missing}, Fail: true}
		if code, out := p.run(t, "clonerefs", map[string]any{options.CloneEnv: failing}); code != 1 || !strings.Contains(out, p.log()) {
			t.Errorf("with fail, a clone that fails exits with %d:\n%s", code, out)
		}
		failing.Fail, failing.Log = false, filepath.Join(p.dir, "no", "such", "directory")
		if code, _ := p.run(t, "clonerefs", map[string]any{options.CloneEnv: failing}); code != 1 {
			t.Errorf("records that cannot be written exit with %d", code)
		}
		p.environ = append(p.environ, options.CloneEnv+"=")
		if code, _ := p.run(t, "clonerefs", nil, "--src-root=x"); code != 1 {
			t.Errorf("an empty variable exits with %d", code)
		}
		p.environ = p.environ[:len(p.environ)-1]
		for want, args := range map[int][]string{
			2: {"--no-such-flag"},
			1: {"--src-root=" + p.dir},
			0: {"--src-root=" + p.dir, "--log=" + p.log(), "--repo=org,repo=main:" + s.sha["main"] + ",1:" + s.sha["1"], "--clone-alias=alias/{{.Repo}}", "--uri-prefix=" + s.url + "/{{.Org}}/{{.Repo}}.git"},
		} {
			if code, out := p.run(t, "clonerefs", nil, args...); code != want {
				t.Errorf("%v exits with %d:\n%s", args, code, out)
			}
		}
		// The two templates take effect.
		if _, err := os.Stat(filepath.Join(p.dir, "src", "alias", "repo", "1.txt")); err != nil {
			t.Error(err)
		}
	})
}

// commandsWithMerge are the commands, with their variables.
func commandsWithMerge(record artifacts.CloneRecord) string {
	var lines []string
	for _, c := range record.Commands {
		lines = append(lines, c.Command)
	}
	return strings.Join(lines, "\n")
}
