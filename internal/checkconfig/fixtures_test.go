package checkconfig

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"prow/internal/service"
)

var update = flag.Bool("update", false, "write what checkconfig says into the fixtures")

// result is what a run of the program leaves.
type result struct {
	status         int
	stdout, stderr string
}

// run runs the program as a user would, with the exit status of cmd/prow.
func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := Command()
	cmd.SetArgs(service.NormalizeArgs(args))
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	r := result{}
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		r.status = 1
		var usage *service.UsageError
		if errors.As(err, &usage) {
			r.status = 2
		}
		errOut.WriteString("prow: " + err.Error() + "\n")
	}
	r.stdout, r.stderr = out.String(), errOut.String()
	return r
}

// lay writes files to a directory, which becomes the current one. DIR in them
// is its path.
func lay(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(inDir(content, dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// inDir puts the path of the directory in a text.
func inDir(text, dir string) string { return strings.ReplaceAll(text, "DIR", dir) }

// arguments are the flags for what is in the files, and those of the file args.
func arguments(files map[string]string, dir string) []string {
	args := []string{"--config-path=config.yaml"}
	for name := range files {
		if strings.HasPrefix(name, "jobs/") {
			args = append(args, "--job-config-path=jobs")
		}
	}
	if _, ok := files["plugins.yaml"]; ok {
		args = append(args, "--plugin-config=plugins.yaml")
	}
	return append(args, strings.Fields(inDir(files["args"], dir))...)
}

// TestEveryCheck runs each check alone on its fixtures: testdata/CHECK.bad.txtar
// with the report it expects, and testdata/CHECK.good.txtar without findings.
func TestEveryCheck(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(filepath.Base(path), ".txtar")
		check, _, _ := strings.Cut(base, ".")
		bad := strings.HasSuffix(base, ".bad")
		seen[check+filepath.Ext(base)] = true
		t.Run(base, func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range archive.Files {
				files[f.Name] = string(f.Data)
			}
			dir := lay(t, files)
			args := arguments(files, dir)
			if check != rerunCommands {
				args = append(args, "--warnings="+check)
			} else {
				args = append(args, "--exclude-warning=non-decorated-jobs")
			}
			lenient, strict := run(t, args...), run(t, append(args, "--strict")...)
			if lenient.status != 0 {
				t.Fatalf("without --strict the exit status is %d: %s", lenient.status, lenient.stderr)
			}
			if want := map[bool]int{true: 1, false: 0}[bad]; strict.status != want {
				t.Errorf("with --strict the exit status is %d, want %d:\n%s%s", strict.status, want, strict.stdout, strict.stderr)
			}
			got := strings.ReplaceAll(lenient.stderr+lenient.stdout, dir, "DIR")
			if !*update {
				if diff := cmp.Diff(files["want"], got); diff != "" {
					t.Errorf("the report differs (-want +got), -update rewrites it:\n%s", diff)
				}
				return
			}
			archive.Files = append(without(archive.Files, "want"), txtar.File{Name: "want", Data: []byte(got)})
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	elsewhere := map[string]string{
		"verify-owners-presence": "asks GitHub", appInstallation: "asks GitHub", "valid-decoration-config": "refused by the load",
	}
	for _, c := range checks {
		if elsewhere[c.name] == "" && (!seen[c.name+".bad"] || !seen[c.name+".good"]) {
			t.Errorf("%s has no bad or no good fixture", c.name)
		}
	}
}

func without(list []txtar.File, name string) []txtar.File {
	var out []txtar.File
	for _, f := range list {
		if f.Name != name {
			out = append(out, f)
		}
	}
	return out
}
