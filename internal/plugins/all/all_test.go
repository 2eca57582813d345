package all

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
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
	lineStartRe := regexp.MustCompile(`^\(\?[a-z]*m[a-z]*\)\^/`)
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
			if !strings.HasPrefix(c.Usage, "/") || c.Description == "" || c.Who.Sentence == "" || len(c.Examples) == 0 {
				t.Errorf("%s: command %+v is not described", name, c)
			}
			if c.Run == nil && p.Handlers.Comment == nil {
				t.Errorf("%s: nobody runs the command %s", name, c.Usage)
			}
			if c.Match == nil || !lineStartRe.MatchString(c.Match.String()) {
				t.Errorf("%s: the command %s does not begin in the first column of a line: %v", name, c.Usage, c.Match)
				continue
			}
			for _, example := range c.Examples {
				if !c.Match.MatchString(example) || !c.Match.MatchString("text\r\n"+example+"\r\ntext") {
					t.Errorf("%s: the example %q of %s is no such command", name, example, c.Usage)
				}
			}
		}
	}
}

// An edit may make anything of a text that was looked at already.
func TestProbe40_EditedTextsAreNoCommands(t *testing.T) {
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(opts.ConfigPath, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	// reads tells whether a plugin does anything about a text on one of all kinds of issues.
	reads := func(p *plugins.Plugin, action, text string) bool {
		for _, issue := range []string{`"state":"open"`, `"state":"open","pull_request":{}`, `"state":"closed"`} {
			payload := fmt.Sprintf(`{"action":%q,"issue":{"number":7,%s},"comment":{"id":1,"body":%q,"user":{"login":"u","id":5}},"repository":{"full_name":"o/r","name":"r","owner":{"login":"o"}}}`, action, issue, text)
			event, err := github.ParseEvent(github.EventIssueComment, "1", []byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range p.Bind(cfg, plugins.Describe(github.EventIssueComment, event)) {
				if b.Kind == "comment" {
					return true
				}
			}
		}
		return false
	}
	for name, p := range Plugins() {
		for _, c := range p.Commands {
			for _, text := range c.Examples {
				if !reads(p, "created", text) {
					t.Errorf("%s does not read %q", name, text)
				}
				for _, action := range []string{"edited", "deleted"} {
					if reads(p, action, text) {
						t.Errorf("%s reads %q in a comment that was %s", name, text, action)
					}
				}
			}
		}
	}
}

func TestEveryPackageOfAPluginIsCompiledIn(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]bool{}
	for name := range Plugins() {
		packages[strings.ReplaceAll(name, "-", "")] = true
	}
	for _, e := range entries {
		if !e.IsDir() || slices.Contains([]string{"all", "pages", "pluginconfig", "plugintest"}, e.Name()) {
			continue
		}
		if !packages[e.Name()] {
			t.Errorf("%s is not listed", e.Name())
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
