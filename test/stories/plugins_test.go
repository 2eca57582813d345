package stories

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	external "prow/internal/externalplugins/all"
	"prow/internal/plugins/all"
)

// builtIn are the plugins of an installation whose configuration was not changed.
const builtIn = "../../standalone/up/templates/plugins.yaml"

// enabled are the plugins that a configuration enables. Lines of templates are left out.
func enabled(t *testing.T, path, text string) (names []string) {
	t.Helper()
	var plain strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{{") {
			plain.WriteString(strings.NewReplacer("{{quote .Org}}", "org").Replace(line))
		}
	}
	var c struct {
		Plugins  map[string]struct{ Plugins []string }
		External map[string][]struct{ Name string } `json:"external_plugins"`
	}
	if err := yaml.Unmarshal([]byte(plain.String()), &c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, p := range c.Plugins {
		names = append(names, p.Plugins...)
	}
	for _, list := range c.External {
		for _, p := range list {
			names = append(names, p.Name)
		}
	}
	return names
}

// Every plugin takes part in a story, beside others and with a forge, a cluster and
// jobs as users have them.
func TestEveryPluginIsInAStory(t *testing.T) {
	raw, err := os.ReadFile(builtIn)
	if err != nil {
		t.Fatal(err)
	}
	told := enabled(t, builtIn, string(raw))
	stories, err := filepath.Glob("*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range stories {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			if filepath.Base(file.Name) == "plugins.yaml" {
				told = append(told, enabled(t, path, string(file.Data))...)
			}
		}
	}
	names := slices.Concat(slices.Collect(maps.Keys(all.Plugins())), slices.Collect(maps.Keys(external.Plugins())))
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(told, name) {
			t.Errorf("the plugin %s is in no story", name)
		}
	}
}
