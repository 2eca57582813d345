package plugins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestProbe33to35_HowOwnersAreConfigured(t *testing.T) {
	for name, tc := range map[string]struct {
		config, plugins     string
		skip, markdown, own bool
	}{
		"by default":            {"{}", "{}", false, false, true},
		"for everybody":         {"{}", "owners: {skip_collaborators: [o]}", true, false, true},
		"with Markdown":         {"{}", "owners: {mdyamlrepos: [o/r]}", false, true, true},
		"with no built-in list": {"owners_dir_denylist: {ignore_preconfigured_defaults: true}", "{}", false, false, false},
	} {
		dir := t.TempDir()
		write := func(name, content string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		opts := config.DefaultOptions()
		opts.ConfigPath = write("config.yaml", tc.config)
		cfg, err := config.Load(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		pc, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: write("plugins.yaml", tc.plugins)})
		if err != nil {
			t.Fatal(err)
		}
		s := plugins.OwnersSettings(cfg, pc)("o", "r")
		if s.SkipCollaborators != tc.skip || s.Markdown != tc.markdown || strings.Contains(strings.Join(s.DenyDirs, " "), "vendor") != tc.own {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestProbe37_OnlyCommentsOfTheBotArePruned(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: &plugins.Plugin{Name: "hold"}})
	n := w.Issue("eve", "T", "")
	w.Comment("bot", n, "outdated")
	w.Comment("eve", n, "outdated")
	w.Comment("bot", n, "still true")
	w.Agent("delivery").Pruner(plugintest.Org, plugintest.Repo, n).Prune(t.Context(), func(c github.IssueComment) bool { return c.Body == "outdated" })
	var left []string
	for _, c := range w.Comments(n) {
		left = append(left, c.User.Login+": "+c.Body)
	}
	if got := strings.Join(left, ", "); got != "eve: outdated, bot: still true" {
		t.Errorf("left are %s", got)
	}
}
