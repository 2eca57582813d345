package configtool

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"prow/internal/config"
)

var update = flag.Bool("update", false, "write the golden files again")

// run runs the command and returns what it printed.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

var of = func(dir string) []string {
	return []string{"--config-path=" + dir + "config.yaml", "--job-config-path=" + dir + "jobs"}
}

var withShards = "--supplemental-prow-config-dir=testdata/old/shards"

func golden(t *testing.T, name, have string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("not as in %s (-want +have):\n%s", path, diff)
	}
}

func TestExplainTellsValuesAndTheirOrigins(t *testing.T) {
	for name, args := range map[string][]string{
		"a job with a preset, defaults and merge keys": {"unit"},
		"jobs that share a name":                       {"lint"},
		"a periodic":                                   {"nightly"},
		"keys":                                         {"plank.pod_pending_timeout", "plank.pod_running_timeout", "pod_namespace", "tide.blocker_label"},
		"keys of shards":                               {"tide.queries", "tide.merge_method", "tide.queries[1].labels"},
		"an entry of the defaults":                     {"plank.default_decoration_config_entries[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, slices.Concat([]string{"explain"}, args, of("testdata/old/"), []string{withShards})...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "explain-"+strings.ReplaceAll(name, " ", "-")+".golden", out)
			for decoder := yaml.NewDecoder(strings.NewReader(out)); ; {
				var any yaml.Node
				if err := decoder.Decode(&any); err != nil {
					if err.Error() != "EOF" {
						t.Errorf("the answer is no YAML: %v", err)
					}
					break
				}
			}
		})
	}
}

func TestExplainHasAFormForMachines(t *testing.T) {
	out, err := run(t, slices.Concat([]string{"explain", "unit", "--output=json"}, of("testdata/old/"))...)
	if err != nil {
		t.Fatal(err)
	}
	var answers []Explanation
	if err := json.Unmarshal([]byte(out), &answers); err != nil || len(answers) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, want := range map[string]string{
		"name":                           "testdata/old/jobs/a.yaml:7",
		"max_concurrency":                "testdata/old/jobs/a.yaml:4",
		"namespace":                      "pod_namespace at testdata/old/config.yaml:1",
		"decoration_config.grace_period": "testdata/old/jobs/a.yaml:13",
		"decoration_config.timeout":      "plank.default_decoration_config_entries[1] at testdata/old/config.yaml:16",
		"spec.containers[0].env[1]":      "preset at testdata/old/config.yaml:24",
		"spec.volumes":                   "preset at testdata/old/config.yaml:24",
		"trigger":                        "made from the name",
		"agent":                          "default",
	} {
		if have := answers[0].Origins[path]; have != want {
			t.Errorf("%s comes from %q, want %q", path, have, want)
		}
	}
}

func TestExplainRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown word names similar ones": {[]string{"niightly"}, `"niightly" is no job and no key of the configuration; similar: nightly`},
		"a job of another repository":        {[]string{"unit", "--repo=other/repo"}, `"unit" is no job of other/repo and no key of the configuration; similar: unit`},
		"an index beyond the list is told":   {[]string{"tide.queries[x]"}, `"tide.queries[x]" is no job and no key`},
		"nothing":                            {nil, "name a job, or a key"},
		"a form it does not know":            {[]string{"unit", "--output=xml"}, `--output is "xml", expected text or json`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, slices.Concat([]string{"explain"}, c.args, of("testdata/old/"))...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestDiffTellsWhatAChangeMeans(t *testing.T) {
	out, err := run(t, slices.Concat([]string{"diff", "testdata/old", "testdata/new"}, of(""))...)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.golden", out)
}

func TestDiffOfEqualsIsEmpty(t *testing.T) {
	out, err := run(t, slices.Concat([]string{"diff", "testdata/old", "testdata/old", "--exit-code"}, of(""))...)
	if err != nil || out != "nothing changes\n" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = run(t, slices.Concat([]string{"diff", "testdata/old", "testdata/new", "--exit-code"}, of(""))...)
	if !errors.Is(err, ErrDiffers) {
		t.Errorf("with --exit-code: %v", err)
	}
}

func TestDiffReadsRevisions(t *testing.T) {
	dir := t.TempDir()
	sh := func(command string) {
		t.Helper()
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.CopyFS(dir, os.DirFS("testdata/old")); err != nil {
		t.Fatal(err)
	}
	sh("git init -q . && git add -A && git commit -qm old")
	sh("sed -i s/15m/20m/ config.yaml && touch untracked")
	t.Chdir(dir)
	out, err := run(t, slices.Concat([]string{"diff", "HEAD", "."}, of(""))...)
	if err != nil || !strings.Contains(out, `plank.pod_pending_timeout: "15m0s" -> "20m0s"`) {
		t.Errorf("%v\n%s", err, out)
	}
	status, err := exec.Command("git", "status", "--short").Output()
	if want := " M config.yaml\n?? untracked\n"; err != nil || string(status) != want {
		t.Errorf("the repository changed: %q, %v", status, err)
	}
	for _, revision := range []string{"nope", "--upload-pack=x"} {
		if _, err = run(t, slices.Concat([]string{"diff"}, of(""), []string{"--", revision, "."})...); err == nil || !strings.Contains(err.Error(), "neither a directory nor a revision") {
			t.Errorf("%s: %v", revision, err)
		}
	}
}

func TestDiffReportsAStateThatDoesNotLoad(t *testing.T) {
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "config.yaml"), []byte("plank: {max_concurrency: -1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, "diff", "testdata/old", bad, "--config-path=config.yaml")
	if err == nil || !strings.Contains(err.Error(), "plank.max_concurrency") {
		t.Errorf("%v", err)
	}
}

// Every job and every top-level key of a real configuration has an explanation
// in which every value has an origin.
func TestExplainRealConfiguration(t *testing.T) {
	dir := os.Getenv("PROW_REAL_CONFIG")
	if dir == "" {
		t.Skip("PROW_REAL_CONFIG is not set")
	}
	opts := config.DefaultOptions()
	opts.ConfigPath, opts.JobConfigPath = filepath.Join(dir, "config", "config.yaml"), filepath.Join(dir, "jobs")
	c, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExplainer(c, opts)
	if err != nil {
		t.Fatal(err)
	}
	all := jobs(c)
	for i := range all {
		x, err := e.job(&all[i])
		if err != nil {
			t.Fatal(err)
		}
		if x.Origins["name"] == byDefault {
			t.Errorf("%s: the name has no place", x.What)
		}
	}
	t.Logf("%d jobs explained", len(all))
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"plank.max_concurrency", "tide.queries[0]", "tide.merge_method.org/special", "[", "a[-1].b", "..", "presets[9999999999999]"} {
		f.Add(s)
	}
	opts := config.DefaultOptions()
	opts.ConfigPath = "testdata/old/config.yaml"
	c, err := config.Load(f.Context(), opts)
	if err != nil {
		f.Fatal(err)
	}
	e, err := NewExplainer(c, opts)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, what string) {
		list, err := e.Explain(what, "")
		if (err == nil) == (len(list) == 0) {
			t.Errorf("%q: %d answers, %v", what, len(list), err)
		}
	})
}
