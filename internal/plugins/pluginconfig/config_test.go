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
	c := load(t, "plugins: {org: [cat, dog], org/repo: [hold]}")
	if diff := cmp.Diff([]string{"cat", "dog", "hold"}, c.EnabledPlugins("org", "repo")); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings()) != 1 || !strings.Contains(c.Warnings()[0].Message, "deprecated") {
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
		"no plugin of that name":           {map[string]string{"plugins.yaml": "plugins:\n  org:\n    plugins:\n    - hold\n    - lgmt\n"}, []string{`plugins.yaml:5:7: plugins.org.plugins[1]: there is no plugin "lgmt"; did you mean "lgtm"?`}},
		"a plugin that was removed":        {map[string]string{"plugins.yaml": "plugins: {org: [requiresig]}"}, []string{"require-matching-label does what it did"}},
		"reviewers twice in one entry":     {map[string]string{"plugins.yaml": "plugins: {org: {plugins: [blunderbuss, rifle]}}"}, []string{"plugins.org", "both blunderbuss and rifle"}},
		"reviewers of the org and the repo": {map[string]string{"plugins.yaml": "plugins:\n  org: {plugins: [blunderbuss]}\n  org/repo: {plugins: [rifle]}\n"},
			[]string{"plugins.yaml:3:3: plugins.org/repo: found rifle, but the org org uses blunderbuss"}},
		"too few reviewers of rifle": {map[string]string{"plugins.yaml": "rifle: {request_count: 0}"}, []string{"rifle.request_count"}},
		"expressions": {map[string]string{"plugins.yaml": "sigmention: {regexp: '('}\ncherry_pick_unapproved: {branchregexp: '('}\ncherry_pick_approved: [{branchregexp: '('}]\nblockades: [{branchregexp: '('}]\nrequire_matching_label: [{org: o, regexp: '(', missing_label: x, prs: true}]\nrifle: {wait_for_status: {description: '['}}"},
			[]string{"6 problems", "sigmention.regexp", "cherry_pick_unapproved.branchregexp", "cherry_pick_approved[0].branchregexp", "blockades[0].branchregexp", "require_matching_label[0].regexp", "rifle.wait_for_status"}},
		"a label that asks for itself":       {map[string]string{"plugins.yaml": "require_matching_label:\n- {org: o, regexp: ^needs-, missing_label: needs-kind, prs: true}"}, []string{"plugins.yaml:2:12: require_matching_label[0].regexp", "take itself away"}},
		"a label nothing asks for":           {map[string]string{"plugins.yaml": "require_matching_label:\n- {org: o, regexp: ^kind/, missing_label: x}"}, []string{"neither prs nor issues"}},
		"an empty requirement":               {map[string]string{"plugins.yaml": "require_matching_label: [{repo: a/b, branch: x, grace_period: soon, issues: true}]"}, []string{"6 problems", ".org", ".repo", ".branch", ".grace_period", ".regexp", ".missing_label"}},
		"a ConfigMap with two kinds of name": {map[string]string{"plugins.yaml": "config_updater: {maps: {a: {name: x, partitioned_names: [y]}}}"}, []string{"config_updater.maps.a.name", "together with partitioned_names"}},
		"a ConfigMap without name":           {map[string]string{"plugins.yaml": "config_updater: {maps: {a: {}}}"}, []string{"expected name or partitioned_names"}},
		"too many partitions":                {map[string]string{"plugins.yaml": "config_updater: {maps: {a: {partitioned_names: [" + strings.Repeat("x,", 257) + "]}}}"}, []string{"found 257 names, expected at most 256"}},
		"two files for one key":              {map[string]string{"plugins.yaml": "config_updater:\n  maps:\n    a/*.yaml: {name: x}\n    b/*.yaml: {name: x, use_full_path_as_key: true}\n"}, []string{"plugins.yaml:4:5", "as a/*.yaml does"}},
		"clusters and groups":                {map[string]string{"plugins.yaml": "config_updater: {cluster_groups: {g: {}}, maps: {a: {name: x, clusters: {c: ['']}, cluster_groups: [g]}}}"}, []string{"together with cluster_groups"}},
		"a group that is not there":          {map[string]string{"plugins.yaml": "config_updater: {cluster_groups: {g: {}}, maps: {a: {name: x, cluster_groups: [h]}}}"}, []string{`no cluster group "h", expected one of ["g"]`}},
		"a board without projects":           {map[string]string{"plugins.yaml": "project_manager: {orgsRepos: {o: {}}}"}, []string{"project_manager.orgsRepos.o.projects"}},
		"a project without columns":          {map[string]string{"plugins.yaml": "project_manager: {orgsRepos: {o: {projects: {p: {}}}}}"}, []string{"projects.p.columns"}},
		"an empty column":                    {map[string]string{"plugins.yaml": "project_manager: {orgsRepos: {o: {projects: {p: {columns: [{}]}}}}}"}, []string{"3 problems", "neither id nor name", "[0].org", "[0].labels"}},
		"two columns with the same labels":   {map[string]string{"plugins.yaml": "project_manager: {orgsRepos: {o: {projects: {p: {columns: [{id: 1, org: o, labels: [a, b]}, {name: x, org: o, labels: [b, a]}]}}}}}"}, []string{"columns[1].labels", "column 0"}},
		"a check of commits":                 {map[string]string{"plugins.yaml": "invalid_commit_msg: [{repos: [' '], checks: [{name: x}]}]"}, []string{"2 problems", "checks[0].name", "repos[0]"}},
		"a repository twice elsewhere":       {map[string]string{"plugins.yaml": "welcome: [{repos: [a]}, {repos: [a]}]\ninvalid_commit_msg: [{repos: [a]}, {repos: [a]}]"}, []string{"2 problems", "welcome[1].repos[0]", "invalid_commit_msg[1].repos[0]"}},
		"bugzilla defaults in two files": {map[string]string{"plugins.yaml": "bugzilla: {default: {a: {}}, orgs: {o: {default: {a: {}}, repos: {r: {}}}}}", "a_pluginconfig.yaml": "bugzilla: {default: {b: {}}, orgs: {o: {default: {b: {}}, repos: {r: {}}}}}"},
			[]string{"3 problems", "a_pluginconfig.yaml", "bugzilla.default", "bugzilla.orgs.o.default", "bugzilla.orgs.o.repos.r"}},
		"a rule that is broken in a shard": {map[string]string{"plugins.yaml": "approve: [{repos: [a]}]", "a_pluginconfig.yaml": "\napprove:\n- repos: [b]\n- repos: [a]\n"}, []string{"a_pluginconfig.yaml:4:11: approve[1].repos[0]"}},
		"a restricted label in two files":  {map[string]string{"plugins.yaml": "label: {restricted_labels: {org: [{label: a}]}}", "a_pluginconfig.yaml": "label: {restricted_labels: {org: [{label: a}]}}"}, []string{"the label a"}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t, tc.files)
			opts.CheckNames = strings.Contains(name, "plugin that was removed") || strings.Contains(name, "no plugin of")
			_, err := pluginconfig.Load(t.Context(), opts)
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
	waitFor(t, func() bool { return w.Get().Enabled("bb", "org", "x") })
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
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
	if problems := c.CheckNames(); len(problems) > 0 {
		t.Errorf("unknown plugins: %v", problems)
	}
	for _, w := range c.Warnings() {
		t.Log(w)
	}
	if !c.Enabled("trigger", "kubernetes", "kubernetes") || !c.Enabled("approve", "kubernetes", "kubernetes") {
		t.Error("kubernetes/kubernetes lost its plugins")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("plugins: {org: [a], org/repo: {plugins: [b]}}")
	f.Add("bugzilla: {default: {'*': {statuses: [A]}}, orgs: {o: {repos: {r: {branches: {b: {is_open: true}}}}}}}")
	f.Add("config_updater: {cluster_groups: {g: {clusters: [a], namespaces: [b]}}, maps: {'a/**': {name: x, cluster_groups: [g]}}}")
	f.Add("require_matching_label: [{org: o, regexp: '^a', missing_label: b, prs: true, grace_period: 1s}]\nproject_manager: {orgsRepos: {o: {projects: {p: {columns: [{id: 1, labels: [a], org: o}]}}}}}")
	f.Add("plugins: {o: {plugins: [blunderbuss, transfer-issue]}, o/r: {plugins: [rifle]}}\ninvalid_commit_msg: [{repos: [a], checks: [{name: fixupPrefix}]}]")
	f.Add("blunderbuss: {wait_for_status: {description: '('}}\nlabel: {restricted_labels: {'*': [{label: a}]}}")
	path := filepath.Join(f.TempDir(), "plugins.yaml")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path, Strict: true, CheckNames: true})
		if (c == nil) == (err == nil) {
			t.Error("neither a configuration nor an error, or both")
		}
		if c != nil {
			c.Scope()
			c.Bugzilla.OptionsFor("o", "r", "b")
			c.Label.RestrictedLabelsFor("o", "r")
		}
	})
}
