package checkconfig

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

// FuzzChecks runs all checks that only read files. Whatever the files hold, the
// report is one that programs can read.
func FuzzChecks(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		files := map[string]string{}
		for _, file := range archive.Files {
			files[filepath.Base(file.Name)] = string(file.Data)
		}
		f.Add(files["config.yaml"], files["plugins.yaml"], files["x_prowconfig.yaml"], files["x_pluginconfig.yaml"])
	}
	dir := f.TempDir()
	shards := filepath.Join(dir, "org")
	if err := os.Mkdir(shards, 0o755); err != nil {
		f.Fatal(err)
	}
	o := &Options{
		Config:  config.Options{ConfigPath: filepath.Join(dir, "config.yaml"), SupplementalDirs: []string{dir}, SupplementalSuffix: config.DefaultShardSuffix},
		Plugins: pluginconfig.Options{Path: filepath.Join(dir, "plugins.yaml"), SupplementalDirs: []string{dir}, SupplementalSuffix: pluginconfig.DefaultSuffix},
		Output:  outputJSON, RequiredJobAnnotations: []string{"a"},
	}
	for _, c := range checks {
		if c.ask == nil {
			o.Warnings = append(o.Warnings, c.name)
		}
	}
	f.Fuzz(func(t *testing.T, main, plugins, shard, pluginShard string) {
		for path, content := range map[string]string{
			o.Config.ConfigPath: main, o.Plugins.Path: plugins,
			filepath.Join(shards, "x_prowconfig.yaml"): shard, filepath.Join(shards, "x_pluginconfig.yaml"): pluginShard,
		} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, errOut strings.Builder
		err := Run(t.Context(), Env{Stdout: &out, Stderr: &errOut}, o)
		var report Report
		if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		var problems config.Errors
		if report.Passed != (err == nil) || err != nil && len(report.Errors) == 0 {
			t.Errorf("passed is %v, but the error is %v", report.Passed, err)
		}
		if err != nil && !errors.As(err, &problems) {
			t.Errorf("an error that is no list of places: %v", err)
		}
	})
}
