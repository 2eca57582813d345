package downward

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "prow/api/prowjobs/v1"
)

func exampleRefs() *v1.Refs {
	return &v1.Refs{Org: "org-name", Repo: "repo-name", BaseRef: "base-ref", BaseSHA: "base-sha",
		Pulls: []v1.Pull{{Number: 1, Author: "author-name", SHA: "pull-sha", Title: "pull-title", HeadRef: "branch-name"}}}
}

func TestEnvOfPresubmit(t *testing.T) {
	spec := NewJobSpec(v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "job-name", Agent: v1.KubernetesAgent, Refs: exampleRefs()}, "0", "prowjob")
	got, err := spec.Env()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"CI": "true", "JOB_NAME": "job-name", "JOB_TYPE": "presubmit", "PROW_JOB_ID": "prowjob", "BUILD_ID": "0", "BUILD_NUMBER": "0",
		"JOB_SPEC":   `{"type":"presubmit","job":"job-name","buildid":"0","prowjobid":"prowjob","refs":{"org":"org-name","repo":"repo-name","base_ref":"base-ref","base_sha":"base-sha","pulls":[{"number":1,"author":"author-name","sha":"pull-sha","title":"pull-title","head_ref":"branch-name"}]}}`,
		"REPO_OWNER": "org-name", "REPO_NAME": "repo-name", "SRC_HOST": "github.com", "SRC_BASE": "org-name/repo-name",
		"PULL_BASE_REF": "base-ref", "PULL_BASE_SHA": "base-sha", "PULL_REFS": "base-ref:base-sha,1:pull-sha",
		"PULL_NUMBER": "1", "PULL_PULL_SHA": "pull-sha", "PULL_HEAD_REF": "branch-name", "PULL_TITLE": "pull-title",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	read, err := FromEnv(func(name string) (string, bool) { v, ok := got[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleRefs(), read.Refs); diff != "" {
		t.Errorf("JOB_SPEC does not read back (-want +got):\n%s", diff)
	}
}

func TestReservedNames(t *testing.T) {
	always := []string{"BUILD_ID", "BUILD_NUMBER", "CI", "JOB_NAME", "JOB_SPEC", "JOB_TYPE", "PROW_JOB_ID"}
	refs := []string{"PULL_BASE_REF", "PULL_BASE_SHA", "PULL_REFS", "REPO_NAME", "REPO_OWNER", "SRC_BASE", "SRC_HOST"}
	pull := []string{"PULL_HEAD_REF", "PULL_NUMBER", "PULL_PULL_SHA", "PULL_TITLE"}
	for jobType, groups := range map[v1.ProwJobType][][]string{
		v1.PeriodicJob: {always}, v1.PostsubmitJob: {always, refs}, v1.BatchJob: {always, refs}, v1.PresubmitJob: {always, refs, pull},
	} {
		want := slices.Sorted(slices.Values(slices.Concat(groups...)))
		if diff := cmp.Diff(want, ReservedNames(jobType)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", jobType, diff)
		}
	}
}

func TestBuildNumberIsForTheKubernetesAgentOnly(t *testing.T) {
	spec := NewJobSpec(v1.ProwJobSpec{Type: v1.PeriodicJob, Job: "j", Agent: v1.TektonAgent}, "1", "p")
	env, err := spec.Env()
	if _, ok := env["BUILD_NUMBER"]; err != nil || ok {
		t.Errorf("got %v, %v", env, err)
	}
}

func TestMissingRefsAreAnError(t *testing.T) {
	for sentence, spec := range map[string]v1.ProwJobSpec{
		"a postsubmit without refs":  {Type: v1.PostsubmitJob},
		"a presubmit without a pull": {Type: v1.PresubmitJob, Refs: &v1.Refs{Org: "o"}},
	} {
		jobSpec := NewJobSpec(spec, "1", "p")
		if _, err := jobSpec.Env(); err == nil {
			t.Errorf("%s must be an error", sentence)
		}
	}
}

func TestSource(t *testing.T) {
	for sentence, c := range map[string]struct {
		refs       v1.Refs
		host, base string
	}{
		"GitHub is the default":                {v1.Refs{Org: "o", Repo: "r"}, "github.com", "o/r"},
		"an alias is split at its first slash": {v1.Refs{Org: "o", Repo: "r", PathAlias: "k8s.io/repo-name", RepoLink: "https://x/y"}, "k8s.io", "repo-name"},
		"an alias without a slash is a host":   {v1.Refs{Org: "o", Repo: "r", PathAlias: "host"}, "host", "o/r"},
		"a link is read without its scheme":    {v1.Refs{Org: "o", Repo: "r", RepoLink: "https://ghe.example/o/r"}, "ghe.example", "o/r"},
	} {
		if host, base := source(&c.refs); host != c.host || base != c.base {
			t.Errorf("%s: got %s, %s", sentence, host, base)
		}
	}
}

func TestRevision(t *testing.T) {
	for sentence, c := range map[string]struct {
		spec JobSpec
		want string
	}{
		"the head of the pull":             {JobSpec{Refs: exampleRefs()}, "pull-sha"},
		"the base commit without a pull":   {JobSpec{Refs: &v1.Refs{BaseRef: "main", BaseSHA: "sha"}}, "sha"},
		"the branch without a commit":      {JobSpec{Refs: &v1.Refs{BaseRef: "main"}}, "main"},
		"the first extra ref that counts":  {JobSpec{ExtraRefs: []v1.Refs{{BaseRef: "a", Auxiliary: true}, {BaseRef: "b"}}}, "b"},
		"nothing with auxiliary refs only": {JobSpec{ExtraRefs: []v1.Refs{{BaseRef: "a", Auxiliary: true}}}, ""},
	} {
		if got := c.spec.Revision(); got != c.want {
			t.Errorf("%s: got %q, want %q", sentence, got, c.want)
		}
	}
}

func TestFromEnvErrors(t *testing.T) {
	for sentence, lookup := range map[string]func(string) (string, bool){
		"unset":     func(string) (string, bool) { return "", false },
		"malformed": func(string) (string, bool) { return "{", true },
	} {
		if _, err := FromEnv(lookup); err == nil {
			t.Errorf("%s must be an error", sentence)
		}
	}
}
