package artifacts

import (
	"slices"
	"testing"

	v1 "prow/api/prowjobs/v1"
)

func presubmit(org, repo string) Run {
	return Run{Type: v1.PresubmitJob, Job: "j", BuildID: "b", Refs: &v1.Refs{Org: org, Repo: repo, Pulls: []v1.Pull{{Number: 1}, {Number: 2}}}}
}

func TestPathForSpec(t *testing.T) {
	explicit := v1.GCSConfiguration{PathStrategy: "explicit", DefaultOrg: "kubernetes", DefaultRepo: "kubernetes"}
	single, legacy, prefixed := explicit, explicit, explicit
	single.PathStrategy, legacy.PathStrategy, prefixed.PathPrefix = "single", "legacy", "some/prefix"
	for sentence, c := range map[string]struct {
		g    v1.GCSConfiguration
		run  Run
		want string
	}{
		"explicit names the default repository":               {explicit, presubmit("kubernetes", "kubernetes"), "pr-logs/pull/kubernetes_kubernetes/1/j/b"},
		"explicit names another org":                          {explicit, presubmit("org", "repo"), "pr-logs/pull/org_repo/1/j/b"},
		"single leaves out the default repository":            {single, presubmit("kubernetes", "kubernetes"), "pr-logs/pull/1/j/b"},
		"single names another repository in full":             {single, presubmit("kubernetes", "test-infra"), "pr-logs/pull/kubernetes_test-infra/1/j/b"},
		"legacy leaves out the default repository (probe 33)": {legacy, presubmit("kubernetes", "kubernetes"), "pr-logs/pull/1/j/b"},
		"legacy leaves out the default org (probe 33)":        {legacy, presubmit("kubernetes", "test-infra"), "pr-logs/pull/test-infra/1/j/b"},
		"legacy names another org (probe 33)":                 {legacy, presubmit("o", "r"), "pr-logs/pull/o_r/1/j/b"},
		"a Gerrit instance loses its scheme, a repo slashes":  {explicit, presubmit("https://gerrit", "foo/bar"), "pr-logs/pull/gerrit_foo_bar/1/j/b"},
		"a Gerrit instance loses its trailing slashes":        {explicit, presubmit("http://gerrit//", "foo"), "pr-logs/pull/gerrit_foo/1/j/b"},
		"the prefix precedes the directory":                   {prefixed, presubmit("o", "r"), "some/prefix/pr-logs/pull/o_r/1/j/b"},
		"batches share one directory":                         {legacy, Run{Type: v1.BatchJob, Job: "j", BuildID: "b"}, "pr-logs/pull/batch/j/b"},
		"postsubmits are under logs":                          {legacy, Run{Type: v1.PostsubmitJob, Job: "j", BuildID: "b"}, "logs/j/b"},
		"periodics are under logs":                            {prefixed, Run{Type: v1.PeriodicJob, Job: "j", BuildID: "b"}, "some/prefix/logs/j/b"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, err := PathForSpec(&c.g, c.run); err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
	for sentence, run := range map[string]Run{
		"an unknown type":            {Type: "odd", Job: "j"},
		"a presubmit without refs":   {Type: v1.PresubmitJob, Job: "j"},
		"a presubmit without a pull": {Type: v1.PresubmitJob, Job: "j", Refs: &v1.Refs{Org: "o"}},
	} {
		if got, err := PathForSpec(&explicit, run); err == nil {
			t.Errorf("%s must be an error, got %s", sentence, got)
		}
	}
	if _, err := PathForSpec(&v1.GCSConfiguration{PathStrategy: "odd"}, presubmit("o", "r")); err == nil {
		t.Error("an unknown strategy must be an error")
	}
}

func TestPointers(t *testing.T) {
	g := &v1.GCSConfiguration{Bucket: "bucket", PathStrategy: "explicit", PathPrefix: "p"}
	for sentence, c := range map[string]struct {
		run    Run
		latest []string
		alias  string
	}{
		"a presubmit has an alias and two latest builds": {presubmit("org", "repo"),
			[]string{"pr-logs/directory/j/latest-build.txt", "pr-logs/pull/org_repo/1/j/latest-build.txt"}, "pr-logs/directory/j/b.txt"},
		"a batch has only a latest build": {Run{Type: v1.BatchJob, Job: "j", BuildID: "b"}, []string{"pr-logs/directory/j/latest-build.txt"}, ""},
		"so has a periodic":               {Run{Type: v1.PeriodicJob, Job: "j", BuildID: "b"}, []string{"logs/j/latest-build.txt"}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			latest, err := LatestBuildPaths(g, c.run)
			if err != nil || !slices.Equal(latest, c.latest) {
				t.Errorf("latest builds: got %v, %v; want %v", latest, err, c.latest)
			}
			if got := AliasPath(c.run); got != c.alias {
				t.Errorf("alias: got %q, want %q", got, c.alias)
			}
		})
	}
}

func TestAliasContent(t *testing.T) {
	for bucket, want := range map[string]string{
		"bucket":       "gs://bucket/pr-logs/pull/org_repo/1/j/b",
		"gs://bucket":  "gs://bucket/pr-logs/pull/org_repo/1/j/b",
		"s3://bucket/": "s3://bucket/pr-logs/pull/org_repo/1/j/b",
		"file:///dir":  "file:///dir/pr-logs/pull/org_repo/1/j/b",
	} {
		got, err := AliasContent(&v1.GCSConfiguration{Bucket: bucket, PathStrategy: "explicit"}, presubmit("org", "repo"))
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", bucket, got, err, want)
		}
	}
	if _, err := AliasContent(&v1.GCSConfiguration{Bucket: "://bucket", PathStrategy: "explicit"}, presubmit("org", "repo")); err == nil {
		t.Error("a bucket that is no URL must be an error")
	}
}
