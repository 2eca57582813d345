package all

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"prow/internal/plugins/pluginconfig"
)

// The help of hook and the pages made from it need every part.
func TestPluginsDescribeThemselves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	nameRe := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for name, p := range Plugins() {
		if name != p.Name || !nameRe.MatchString(name) || p.Description == "" || len(p.Events()) == 0 {
			t.Errorf("%s: name %q, description %q, events %q", name, p.Name, p.Description, p.Events())
		}
		if p.Config != nil {
			p.Config(cfg, []string{"o/r"})
		}
		var snippet pluginconfig.Configuration
		if err := yaml.UnmarshalStrict([]byte(p.Snippet), &snippet); err != nil {
			t.Errorf("%s: the snippet is no configuration: %v", name, err)
		}
		for _, c := range p.Commands {
			if !strings.HasPrefix(c.Usage, "/") || c.Description == "" || c.WhoCanUse == "" || len(c.Examples) == 0 {
				t.Errorf("%s: command %+v is not described", name, c)
			}
		}
	}
	for _, name := range []string{"approve", "help", "hold", "lgtm", "trigger", "wip"} {
		if Plugins()[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEveryPluginHasANameThatCheckconfigKnows(t *testing.T) {
	known := pluginconfig.KnownPlugins()
	if !slices.IsSorted(known) {
		t.Error("the names are not in order")
	}
	for name := range Plugins() {
		if !slices.Contains(known, name) {
			t.Errorf("%s is not known", name)
		}
	}
}
