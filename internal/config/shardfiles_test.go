package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"
)

func TestShardScope(t *testing.T) {
	for content, want := range map[string]ShardScope{
		"": {},
		"branch-protection: {protect-tested-repos: false}":                   {Global: true},
		"branch-protection: {allow_disabled_policies: true}":                 {Global: true},
		"branch-protection: {allow_disabled_job_policies: true}":             {Global: true},
		"branch-protection: {protect_repos_with_optional_jobs: true}":        {Global: true},
		"branch-protection: {protect: true}":                                 {Global: true},
		"branch-protection: {orgs: {o: {}}}":                                 {},
		"branch-protection: {orgs: {o: {protect: false}}}":                   {Orgs: sets.New("o")},
		"branch-protection: {orgs: {o: {repos: {r: {}}}}}":                   {Repos: sets.New("o/r")},
		"slack_reporter_configs: {'*': {channel: c}}":                        {Global: true},
		"slack_reporter_configs: {o: {}, p/r: {}}":                           {Orgs: sets.New("o"), Repos: sets.New("p/r")},
		"tide: {merge_method: {o: squash, p/r@b: merge}}":                    {Orgs: sets.New("o"), Repos: sets.New("p/r@b")},
		"tide: {queries: [{orgs: [o], repos: [p/r], excludedRepos: [o/x]}]}": {Orgs: sets.New("o"), Repos: sets.New("p/r")},
		"plank: {max_concurrency: 1}":                                        {Global: true},
		"tide: {max_goroutines: 1}":                                          {Global: true},
		"presubmits: {o/r: []}":                                              {},
	} {
		path := filepath.Join(tree(t, map[string]string{"x.yaml": content}), "x.yaml")
		shard, err := ReadShard(path)
		if err != nil {
			t.Fatal(err)
		}
		got := shard.ShardScope()
		if got.Global != want.Global || !got.Orgs.Equal(want.Orgs) || !got.Repos.Equal(want.Repos) {
			t.Errorf("%s: found %+v, expected %+v", content, got, want)
		}
	}
	_, err := ReadShard(filepath.Join(tree(t, map[string]string{"x.yaml": "tide: []"}), "x.yaml"))
	wantError(t, err, "x.yaml:1:7: tide: found a list, expected a map")
}

// TestShardMerging holds whatever a shard says.
func TestShardMerging(t *testing.T) {
	const shard = `
branch-protection: {protect: true, allow_disabled_policies: true, orgs: {o: {enforce_admins: true, repos: {r: {protect: true, branches: {b: {protect: false}}}}}}}
slack_reporter_configs: {o: {channel: c}}
tide: {merge_method: {o: squash}, queries: [{orgs: [o]}]}
`
	read := func() ProwConfig {
		c, err := ReadShard(filepath.Join(tree(t, map[string]string{"x.yaml": shard}), "x.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return *c
	}
	merge := func(into, from ProwConfig) (out string, problems []string) {
		into.mergeShard(&from, func(field, _ string, _ ...any) { problems = append(problems, field) })
		dump, err := yaml.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		return string(dump), problems
	}
	want, err := yaml.Marshal(read())
	if err != nil {
		t.Fatal(err)
	}
	if got, problems := merge(ProwConfig{}, read()); got != string(want) || len(problems) > 0 {
		t.Errorf("merging into an empty configuration: %v\n%s", problems, cmp.Diff(string(want), got))
	}
	if got, problems := merge(read(), ProwConfig{}); got != string(want) || len(problems) > 0 {
		t.Errorf("merging an empty one: %v\n%s", problems, cmp.Diff(string(want), got))
	}
	_, problems := merge(read(), read())
	if diff := cmp.Diff([]string{
		"branch-protection.allow_disabled_policies", "branch-protection", "branch-protection.orgs.o", "branch-protection.orgs.o.repos.r",
		"branch-protection.orgs.o.repos.r.branches.b", "tide.merge_method.o", "slack_reporter_configs.o",
	}, problems); diff != "" {
		t.Errorf("merging with itself: %s", diff)
	}
}

func TestOnlyChangedFilesAreParsedAgain(t *testing.T) {
	root := tree(t, map[string]string{
		"config.yaml": "", "jobs/a.yaml": presubmits("a"), "jobs/b.yaml": presubmits("b"),
		"shards/a_prowconfig.yaml": "tide: {merge_method: {o: {r: {main: squash}}}}", "shards/b_prowconfig.yaml": "tide: {queries: [{orgs: [o], labels: [b, a]}]}",
	})
	l := NewLoader(treeOptions(root))
	first, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(root, name) }
	job, shard := l.jobs[path("jobs/a.yaml")], l.shards[path("shards/a_prowconfig.yaml")]
	write(t, path("jobs/b.yaml"), presubmits("b2"))
	write(t, path("shards/b_prowconfig.yaml"), "tide: {queries: [{orgs: [p], labels: [b, a]}]}")
	second, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.jobs[path("jobs/a.yaml")] != job || l.shards[path("shards/a_prowconfig.yaml")] != shard {
		t.Error("a file that did not change was parsed again")
	}
	if !slices.Equal(jobNames(second), []string{"a", "b2"}) || second.Tide.Queries[0].Orgs[0] != "p" || second.Tide.MergeMethod("o", "r", "main") != MergeSquash {
		t.Errorf("the changes are not served: %v, %+v", jobNames(second), second.Tide.Queries)
	}
	if !slices.Equal(jobNames(first), []string{"a", "b"}) || first.Tide.Queries[0].Orgs[0] != "o" || first.Tide.MergeMethod("o", "r", "main") != MergeSquash {
		t.Error("the first configuration changed")
	}
	if got := shard.config.Tide.MergeType["o"].Repos["r"].patterns; got != nil {
		t.Error("the shard was changed, which the snapshots share")
	}
}

func TestWarningsOfLoading(t *testing.T) {
	c := mustLoad(t, map[string]string{
		"jobs/a.yaml":              "decorate_all_jobs: true\npresubmits:\n  org:\n  - {name: a, agent: mine}\n  - {name: b, agent: jenkins, rerun_auth_config: {allow_anyone: true, github_users: [u]}}\n",
		"shards/a_prowconfig.yaml": "tide: {}\nperiodics: []\n",
		"config.yaml":              "plank: {report_template: x}\ndeck: {spyglass: {viewers: {x: [junit-viewer]}}}\ntide: {pr_status_base_url: 'http://x'}\n",
	})
	var got []string
	for _, w := range c.Warnings() {
		w.File = filepath.Base(w.File)
		got = append(got, w.String())
	}
	slices.Sort(got)
	want := []string{
		"a.yaml:1:1: decorate_all_jobs: has no effect in a job file",
		"a.yaml:3:3: presubmits.org: the key names no repository",
		`a.yaml:4:5: job a: agent: found "mine", which no controller here runs`,
		"a.yaml:5:5: job b: rerun_auth_config: allow_anyone is true",
		"a_prowconfig.yaml:2:1: periodics: has no effect in a supplemental file",
		"config.yaml:1:9: plank.report_template: deprecated",
		"config.yaml:2:19: deck.spyglass.viewers: deprecated",
		"config.yaml:3:8: tide.pr_status_base_url: deprecated",
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
