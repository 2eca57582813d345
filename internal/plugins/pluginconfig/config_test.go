package pluginconfig_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/internal/config/live"
	"prow/internal/plugins/pluginconfig"
)

func options(t *testing.T, files map[string]string) pluginconfig.Options {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pluginconfig.Options{
		Path: filepath.Join(root, "plugins.yaml"), SupplementalDirs: []string{root}, SupplementalSuffix: pluginconfig.DefaultSuffix,
	}
}

func load(t *testing.T, content string) *pluginconfig.Configuration {
	t.Helper()
	c, err := pluginconfig.Load(t.Context(), options(t, map[string]string{"plugins.yaml": content}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEnabledPlugins(t *testing.T) {
	c := load(t, `
plugins:
  org: {plugins: [a, b], excluded_repos: [out, both]}
  org/repo: {plugins: [c]}
  org/both: {plugins: [a]}
external_plugins:
  org: [{name: x, events: [push]}]
  org/repo: [{name: y, endpoint: 'http://y:1'}]
`)
	for repo, want := range map[string][]string{"repo": {"a", "b", "c"}, "other": {"a", "b"}, "out": nil, "both": {"a"}, "": {"a", "b"}} {
		if diff := cmp.Diff(want, c.EnabledPlugins("org", repo)); diff != "" {
			t.Errorf("%s: %s", repo, diff)
		}
	}
	if c.Enabled("a", "org", "out") || !c.Enabled("a", "org", "both") || c.Enabled("a", "nobody", "x") {
		t.Error("wrong")
	}
	orgs, repos, excluded := c.EnabledFor("a")
	if diff := cmp.Diff([]any{[]string{"org"}, []string{"org/both"}, map[string][]string{"org": {"org/out"}}}, []any{orgs, repos, excluded}); diff != "" {
		t.Error(diff)
	}
	external := c.EnabledExternalPlugins("org", "repo")
	if len(external) != 2 || external[0].Endpoint != "http://x" || external[1].Endpoint != "http://y:1" || external[0].Wants("issues") || !external[1].Wants("issues") {
		t.Errorf("found %+v", external)
	}
}

func TestOlderFormOfPlugins(t *testing.T) {
	c := load(t, "plugins: {org: [a, b], org/repo: [c]}")
	if diff := cmp.Diff([]string{"a", "b", "c"}, c.EnabledPlugins("org", "repo")); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings()) != 1 || !strings.Contains(c.Warnings()[0], "deprecated") {
		t.Errorf("warnings: %v", c.Warnings())
	}
}

func TestLookupOfListSections(t *testing.T) {
	c := load(t, `
plugins: {org: {plugins: [lgtm]}}
lgtm:
- {repos: [org], review_acts_as_lgtm: true}
- {repos: [org/repo], store_tree_hash: true}
- {repos: [org/repo], review_acts_as_lgtm: true}
approve:
- {repos: [org], require_self_approval: true, ignore_review_state: true}
triggers:
- {repos: [org], trusted_org: friends, only_org_members: true}
- {repos: [org/repo], join_org_url: 'https://join'}
unknown_section: {a: b}
`)
	if l := c.LgtmFor("org", "repo"); !l.StoreTreeHash || l.ReviewActsAsLgtm {
		t.Errorf("the first entry of the repository goes before that of the org: %+v", l)
	}
	if l := c.LgtmFor("org", "other"); !l.ReviewActsAsLgtm {
		t.Errorf("the org: %+v", l)
	}
	if l := c.LgtmFor("x", "y"); l.ReviewActsAsLgtm {
		t.Errorf("the default: %+v", l)
	}
	a, d := c.ApproveFor("org", "repo"), c.ApproveFor("x", "y")
	if a.HasSelfApproval() || a.ConsiderReviewState() || !d.HasSelfApproval() || !d.ConsiderReviewState() || d.CommandHelpLink != "https://go.k8s.io/bot-commands" || a.PrProcessLink == "" {
		t.Errorf("approve: %+v, %+v", a, d)
	}
	for repo, want := range map[string]string{"org/other": "https://github.com/orgs/friends/people", "org/repo": "https://join", "x/y": "https://github.com/orgs/x/people"} {
		org, name, _ := strings.Cut(repo, "/")
		if got := c.TriggerFor(org, name).JoinOrgURL; got != want {
			t.Errorf("%s: found %s", repo, got)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, "blunderbuss: {wait_for_status: {}}\nowners: {filenames: {org: {owners: O, owners_aliases: A}}}")
	if *c.Blunderbuss.ReviewerCount != 2 || c.Blunderbuss.WaitForStatus.Context != "tide" || !c.Blunderbuss.WaitForStatus.DescriptionRe().MatchString("Not mergeable. Needs lgtm label.") {
		t.Errorf("blunderbuss: %+v", c.Blunderbuss)
	}
	if diff := cmp.Diff([]string{"approved", "lgtm"}, c.Owners.LabelsDenyList); diff != "" {
		t.Error(diff)
	}
	if got := load(t, "owners: {labels_denylist: []}").Owners.LabelsDenyList; len(got) != 0 {
		t.Errorf("an empty list stays empty, found %v", got)
	}
	if got := c.OwnersFilenames("org", "x").Owners + c.OwnersFilenames("x", "y").OwnersAliases; got != "OOWNERS_ALIASES" {
		t.Errorf("found %s", got)
	}
	if c.Help.HelpGuidelinesURL == "" || c.Size.WithDefaults().Xxl != 1000 {
		t.Error("defaults are missing")
	}
}

func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"both forms of plugins":            {map[string]string{"plugins.yaml": "plugins:\n  org: [a]\n  other: {plugins: [b]}\n"}, []string{"plugins.yaml:2:3", "plugins", "expected {plugins: [...]} everywhere"}},
		"a plugin of the org and its repo": {map[string]string{"plugins.yaml": "plugins:\n  org: {plugins: [a]}\n  org/repo: {plugins: [a]}\n"}, []string{"plugins.yaml:3:3: plugins.org/repo", `["a"]`}},
		"an external plugin twice":         {map[string]string{"plugins.yaml": "external_plugins:\n  org: [{name: a}]\n  org/repo: [{name: a}]\n"}, []string{"plugins.yaml:3:3"}},
		"an external plugin without name":  {map[string]string{"plugins.yaml": "external_plugins:\n  org: [{}]\n"}, []string{"plugins.yaml:2:9", "missing"}},
		"too few reviewers":                {map[string]string{"plugins.yaml": "blunderbuss: {request_count: 0}"}, []string{"plugins.yaml:1:15", "at least 1"}},
		"sizes that shrink":                {map[string]string{"plugins.yaml": "size: {s: 10}"}, []string{"plugins.yaml:1:1: size"}},
		"a repository twice in approve":    {map[string]string{"plugins.yaml": "approve: [{repos: [a/b]}, {repos: [a/b]}]"}, []string{"a/b has two entries"}},
		"half a pair of names":             {map[string]string{"plugins.yaml": "owners: {filenames: {org: {owners: X}}}"}, []string{"owners.filenames.org"}},
		"an expression":                    {map[string]string{"plugins.yaml": "heart: {commentregexp: '('}\nblunderbuss: {wait_for_status: {description: '['}}"}, []string{"2 problems", "heart.commentregexp", "blunderbuss.wait_for_status.description"}},
		"a type":                           {map[string]string{"plugins.yaml": "triggers:\n- repos: org\n"}, []string{"plugins.yaml:2:10: triggers[0].repos", "expected a list"}},
		"no file":                          {map[string]string{}, []string{"plugins.yaml", "no such file"}},
		"a shard with more than it may":    {map[string]string{"plugins.yaml": "", "a_pluginconfig.yaml": "size: {s: 1}\nlabel: {additional_labels: [x]}\n"}, []string{"a_pluginconfig.yaml", "label", "size"}},
		"a key in two files":               {map[string]string{"plugins.yaml": "plugins: {org: {plugins: [a]}}", "a_pluginconfig.yaml": "plugins: {org: {plugins: [b]}}"}, []string{"a_pluginconfig.yaml:1:11"}},
		"a restricted label in two files":  {map[string]string{"plugins.yaml": "label: {restricted_labels: {org: [{label: a}]}}", "a_pluginconfig.yaml": "label: {restricted_labels: {org: [{label: a}]}}"}, []string{"the label a"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pluginconfig.Load(t.Context(), options(t, tc.files))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not contain %q: %v", part, err)
				}
			}
		})
	}
}

func TestSupplementalFiles(t *testing.T) {
	c, err := pluginconfig.Load(t.Context(), options(t, map[string]string{
		"plugins.yaml":               "plugins: {org: {plugins: [a]}}\nlgtm: [{repos: [org]}]",
		"dir/a_pluginconfig.yaml":    "plugins: {other: {plugins: [b]}}\nlgtm: [{repos: [other], store_tree_hash: true}]",
		"..data/b_pluginconfig.yaml": "[not read",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Enabled("b", "other", "x") || !c.LgtmFor("other", "x").StoreTreeHash {
		t.Errorf("found %+v", c)
	}
}

func TestReload(t *testing.T) {
	opts := options(t, map[string]string{"plugins.yaml": "plugins: {org: {plugins: [a]}}"})
	w, err := pluginconfig.NewWatcher(t.Context(), opts, live.Options{Interval: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	if err := os.WriteFile(opts.Path, []byte("plugins: {org: {plugins: [bb]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !w.Get().Enabled("bb", "org", "x") {
		select {
		case <-deadline:
			t.Fatal("the change is not served")
		case <-tick.C:
		}
	}
}

func TestRealPluginConfigurationLoads(t *testing.T) {
	root := os.Getenv("PROW_REAL_CONFIG")
	if root == "" {
		t.Skip("PROW_REAL_CONFIG is not set: the real plugin configuration is NOT tested")
	}
	c, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: filepath.Join(root, "config", "plugins.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Enabled("trigger", "kubernetes", "kubernetes") || !c.Enabled("approve", "kubernetes", "kubernetes") {
		t.Error("kubernetes/kubernetes lost its plugins")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("plugins: {org: [a], org/repo: {plugins: [b]}}")
	f.Add("blunderbuss: {wait_for_status: {description: '('}}\nlabel: {restricted_labels: {'*': [{label: a}]}}")
	path := filepath.Join(f.TempDir(), "plugins.yaml")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path}); (c == nil) == (err == nil) {
			t.Error("neither a configuration nor an error, or both")
		}
	})
}
