package pluginconfig_test

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/internal/config/live"
	"prow/internal/plugins/pluginconfig"
)

func TestDefaultsOfSections(t *testing.T) {
	c := load(t, `
cherry_pick_approved: [{org: o, repo: r}]
require_matching_label: [{org: o, regexp: ^kind/, missing_label: needs-kind, prs: true}]
repo_milestone: {"": {maintainers_team: all}, o/r: {maintainers_team: few, maintainers_friendly_name: The Few}}
dco: {"*": {trusted_org: x}, o/r: {contributing_path: G.md}}
jira: {disabled_jira_projects: [ABC]}
`)
	for name, tc := range map[string]struct{ got, want any }{
		"the branches of cherry-picks":        {c.CherryPickApproved[0].BranchRe().String(), "^release-.*$"},
		"the branches of unapproved ones":     {c.CherryPickUnapproved.BranchRe().MatchString("release-1.2"), true},
		"the comment names the first label":   {strings.Contains(c.CherryPickUnapproved.Comment, "`cherry-pick-approved`"), true},
		"the comment names the second label":  {strings.Contains(c.CherryPickUnapproved.Comment, "`do-not-merge/cherry-pick-not-approved`"), true},
		"the time to set a label":             {c.RequireMatchingLabel[0].GracePeriodDuration(), 5 * time.Second},
		"rifle asks two":                      {*c.Rifle.ReviewerCount, 2},
		"lint is confident":                   {c.Golint.Confidence(), 0.8},
		"SIGs of Kubernetes are mentioned":    {c.SigMention.Re().FindStringSubmatch("@kubernetes/sig-node-bugs")[1], "node"},
		"two ConfigMaps are written":          {len(c.ConfigUpdater.Maps), 2},
		"the main file goes to config":        {c.ConfigUpdater.Maps["config/prow/config.yaml"].Name, "config"},
		"to the namespace of the ProwJobs":    {c.ConfigUpdater.Maps["config/prow/plugins.yaml"].Clusters, map[string][]string{"default": {""}}},
		"a team is called by its slug":        {c.RepoMilestone[""].MaintainersFriendlyName, "all"},
		"or by its name":                      {c.RepoMilestone["o/r"].MaintainersFriendlyName, "The Few"},
		"dco of a repository hides that of *": {c.DcoFor("o", "r"), pluginconfig.Dco{ContributingRepo: "o/r", ContributingBranch: "master", ContributingPath: "G.md"}},
		"dco of all":                          {c.DcoFor("x", "y").TrustedOrg, "x"},
		"projects of Jira in any case":        {c.Jira.Disabled("abc"), true},
		"no Jira":                             {(*pluginconfig.Jira)(nil).Disabled("abc"), false},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if m, ok := c.MilestoneFor("x", "y"); !ok || m.MaintainersTeam != "all" {
		t.Errorf("the key \"\" is for all others, found %v", m)
	}
	if got := load(t, "config_updater: {maps: {}}").ConfigUpdater.Maps; len(got) != 0 {
		t.Errorf("an empty map stays empty, found %v", got)
	}
}

func TestClusterGroupsKeepTheRestOfTheirEntry(t *testing.T) {
	c := load(t, `
config_updater:
  cluster_groups:
    a: {clusters: [c1, c2], namespaces: [n1]}
    b: {clusters: [c2], namespaces: [n1, n2]}
  maps:
    x/*.yaml: {name: x, cluster_groups: [a, b], use_full_path_as_key: true, allowed_repos: [o], denied_repos: [o/secret]}
`)
	spec := c.ConfigUpdater.Maps["x/*.yaml"]
	if diff := cmp.Diff(map[string][]string{"c1": {"n1"}, "c2": {"n1", "n2"}}, spec.Clusters); diff != "" {
		t.Error(diff)
	}
	if !spec.UseFullPathAsKey || !spec.Allows("o", "r") || spec.Allows("o", "secret") || spec.Allows("x", "r") {
		t.Errorf("the rest of the entry is lost: %+v", spec)
	}
}

func TestOptionsOfBugzilla(t *testing.T) {
	c := load(t, `
bugzilla:
  default:
    "*": {is_open: true, statuses: [NEW], allowed_groups: [b], enable_backporting: true, dependent_bug_target_release: v1}
    main: {target_release: v2, status_after_validation: POST, status_after_merge: M, state_after_merge: {status: MODIFIED, resolution: R}}
  orgs:
    org:
      default: {"*": {is_open: false, allowed_groups: [a]}}
      repos:
        own: {branches: {main: {exclude_defaults: true, target_release: v3}}}
`)
	one := func(s string) *string { return &s }
	on, off := true, false
	for name, tc := range map[string]struct {
		org, repo, branch string
		want              pluginconfig.BugzillaOptions
	}{
		"every branch": {"x", "y", "other", pluginconfig.BugzillaOptions{
			IsOpen: &on, EnableBackporting: &on, AllowedGroups: []string{"b"}, ValidStates: &[]pluginconfig.BugzillaState{{Status: "NEW"}},
			DependentBugTargetReleases: &[]string{"v1"}}},
		"the branch, then the org, groups united, states before statuses": {"org", "y", "main", pluginconfig.BugzillaOptions{
			IsOpen: &off, EnableBackporting: &on, AllowedGroups: []string{"a", "b"}, ValidStates: &[]pluginconfig.BugzillaState{{Status: "NEW"}},
			DependentBugTargetReleases: &[]string{"v1"}, TargetRelease: one("v2"),
			StateAfterValidation: &pluginconfig.BugzillaState{Status: "POST"}, StateAfterMerge: &pluginconfig.BugzillaState{Status: "MODIFIED", Resolution: "R"}}},
		"a layer that excludes what was before": {"org", "own", "main", pluginconfig.BugzillaOptions{ExcludeDefaults: &on, TargetRelease: one("v3")}},
	} {
		if diff := cmp.Diff(tc.want, c.Bugzilla.OptionsFor(tc.org, tc.repo, tc.branch)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(c.Warnings()) != 2 || !strings.Contains(c.Warnings()[1].String(), "bugzilla.default.*.dependent_bug_target_release: deprecated") {
		t.Errorf("warnings: %v", c.Warnings())
	}
}

func TestRestrictedLabelsAreUnited(t *testing.T) {
	c := load(t, `
label:
  restricted_labels:
    "*": [{label: A, allowed_users: [x], assign_on: [{label: q}, {label: p}]}]
    o: [{label: a, allowed_users: [y, x], allowed_teams: [t]}]
    o/r: [{label: b}]
`)
	want := map[string]pluginconfig.RestrictedLabel{
		"a": {Label: "A", AllowedUsers: []string{"x", "y"}, AllowedTeams: []string{"t"}, AssignOn: []pluginconfig.AssignOn{{Label: "q"}, {Label: "p"}}},
		"b": {Label: "b"},
	}
	if diff := cmp.Diff(want, c.Label.RestrictedLabelsFor("o", "r")); diff != "" {
		t.Error(diff)
	}
}

func TestLookupsOfSmallSections(t *testing.T) {
	c := load(t, `
branch_cleaner: {preserved_branches: {o: ["release-.*", "("], o/r: [keep]}}
override: {allowed_github_teams: {o: [a], o/r: [b]}}
invalid_commit_msg: [{repos: [o], checks: [{name: fixupPrefix, disabled: true}]}]
`)
	for branch, want := range map[string]bool{"release-1": true, "my-release-1": true, "keep": true, "(": true, "x": false} {
		if got := c.BranchCleaner.IsPreservedBranch("o", "r", branch); got != want {
			t.Errorf("%s: %v", branch, got)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, c.Override.TeamsFor("o", "r")); diff != "" {
		t.Error(diff)
	}
	m, other := c.InvalidCommitMsgFor("o", "r"), c.InvalidCommitMsgFor("x", "y")
	if m.Enabled(pluginconfig.CheckFixupPrefix) || !m.Enabled(pluginconfig.CheckIssueClosingKeyword) || !other.Enabled(pluginconfig.CheckFixupPrefix) {
		t.Error("wrong checks")
	}
	if len(c.Warnings()) < 1 || !strings.Contains(c.Warnings()[0].Field+c.Warnings()[len(c.Warnings())-1].Field, "branch_cleaner.preserved_branches.o[1]") {
		t.Errorf("an expression that never matches is worth a warning: %v", c.Warnings())
	}
}

func TestWarnings(t *testing.T) {
	for content, want := range map[string]string{
		"plugins: {}":                                                  "no plugin is enabled",
		"plugins: {o: {excluded_repos: [r]}}":                          "plugins.o: no plugin is enabled here",
		"plugins: {o: {plugins: [transfer-issue]}}":                    "the plugin transfer-issue is now called issue-management",
		"triggers: [{repos: [o], trusted_org: x}]":                     "triggers[0].trusted_org: deprecated",
		"repo_milestone: {o/r: {maintainers_id: 1}}":                   "repo_milestone.o/r.maintainers_id: deprecated",
		"lgtm: [{repos: [a]}, {repos: [b, a]}]":                        "lgtm[1].repos[1]: a has two entries, expected one; the other is number 0, which is the one that counts",
		"triggers: [{repos: [a]}, {repos: [a]}]":                       "triggers[1].repos[0]",
		"welcome: [{repos: [a], message_template: '{{'}]":              "not a Go template",
		"blockades: [{blockregexps: ['(']}]":                           "blockades[0].blockregexps[0]",
		"plugins: {o: {plugins: [nope]}}":                              "plugins.o.plugins[0]: there is no plugin",
		"unknown_section: {a: b}":                                      "1:1: unknown_section: there is no such field",
		"size: {}\nsize: {}":                                           "2:1: size: the key stands twice",
		"plugins: {o: [hold, hold]}":                                   "plugins.o: the plugin hold stands twice",
		"plugins: {o: {plugins: [hold], excluded_repos: [o/r]}}":       "plugins.o.excluded_repos[0]: found \"o/r\", which leaves nothing out",
		"plugins: {o/r: {plugins: [hold], excluded_repos: [r]}}":       "plugins.o/r.excluded_repos: of no effect",
		"plugins: {o: [a]}":                                            "the form org: [a, b] is deprecated",
		"blockades: [{blockregexps: [a], exceptionregexps: [b, '[']}]": "blockades[0].exceptionregexps[1]",
	} {
		var texts []string
		for _, w := range load(t, content).Warnings() {
			texts = append(texts, w.String())
		}
		if !strings.Contains(strings.Join(texts, "\n"), want) {
			t.Errorf("%s: no warning has %q: %q", content, want, texts)
		}
	}
}

func TestWhatAFileIsAbout(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    pluginconfig.Scope
	}{
		"nothing":      {"", pluginconfig.Scope{}},
		"plugins":      {"plugins: {o: {plugins: [a]}, o/r: {plugins: [b]}}\nexternal_plugins: {p/q: [{name: x}]}", pluginconfig.Scope{Orgs: []string{"o"}, Repos: []string{"o/r", "p/q"}}},
		"lists":        {"approve: [{repos: [a]}]\nlgtm: [{repos: [b]}]\ntriggers: [{repos: [c]}]\nwelcome: [{repos: [d/e]}]", pluginconfig.Scope{Orgs: []string{"a", "b", "c"}, Repos: []string{"d/e"}}},
		"bugzilla":     {"bugzilla: {orgs: {a: {default: {x: {}}}, b: {repos: {c: {}}}}}", pluginconfig.Scope{Orgs: []string{"a"}, Repos: []string{"b/c"}}},
		"all bugs":     {"bugzilla: {default: {x: {}}}", pluginconfig.Scope{Global: true}},
		"labels":       {"label: {restricted_labels: {a: [], b/c: []}}", pluginconfig.Scope{Orgs: []string{"a"}, Repos: []string{"b/c"}}},
		"all labels":   {"label: {restricted_labels: {'*': []}}", pluginconfig.Scope{Global: true}},
		"another key":  {"size: {s: 1}", pluginconfig.Scope{Global: true}},
		"other labels": {"label: {additional_labels: [a]}", pluginconfig.Scope{Global: true}},
	} {
		c, problems := pluginconfig.Parse([]byte(tc.content), false)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(tc.want, c.Scope()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProbeBlunderbussAndRifleExcludeEachOtherUnlessTheRepositoryIsExcluded(t *testing.T) {
	c := load(t, "plugins:\n  o: {plugins: [blunderbuss], excluded_repos: [r]}\n  o/r: {plugins: [rifle]}\n")
	if !c.Enabled("rifle", "o", "r") {
		t.Error("rifle is not enabled")
	}
}

func TestAWatcherLogsWarningsOnceForEachVersion(t *testing.T) {
	opts := options(t, map[string]string{"plugins.yaml": "plugins: {org: {plugins: [nope]}}"})
	var text lines
	w, err := pluginconfig.NewWatcher(t.Context(), opts, live.Options{
		Interval: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&text, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	for _, name := range []string{"other", "third"} {
		if err := os.WriteFile(opts.Path, []byte("plugins: {org: {plugins: ["+name+"]}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return w.Get().Enabled(name, "org", "x") })
	}
	for _, name := range []string{"nope", "other", "third"} {
		if got := text.count("there is no plugin \\\"" + name); got != 1 {
			t.Errorf("%s was told %d times: %s", name, got, text.String())
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }
