package pod

import (
	"strings"
	"testing"
	"text/template"

	v1 "prow/api/prowjobs/v1"
)

func TestJobURL(t *testing.T) {
	job := func(bucket, jobPrefix string) *v1.ProwJob {
		pj := &v1.ProwJob{Spec: v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "job", Refs: &v1.Refs{Org: "org", Repo: "repo", Pulls: []v1.Pull{{Number: 1}}}}}
		pj.Status.BuildID = "build"
		if bucket != "" {
			pj.Spec.DecorationConfig = &v1.DecorationConfig{GCSConfiguration: &v1.GCSConfiguration{Bucket: bucket, PathStrategy: "explicit", JobURLPrefix: jobPrefix}}
		}
		return pj
	}
	byTemplate := template.Must(template.New("url").Parse("https://template/{{.Spec.Job}}"))
	prefixes := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for sentence, c := range map[string]struct {
		urls URLs
		pj   *v1.ProwJob
		want string
	}{
		"the page of a run in GCS":             {URLs{Prefixes: prefixes("*", "https://prow.k8s.io/view/")}, job("gs://bucket", ""), "https://prow.k8s.io/view/gs/bucket/pr-logs/pull/org_repo/1/job/build"},
		"the page of a run in S3":              {URLs{Prefixes: prefixes("*", "https://prow.k8s.io/view")}, job("s3://bucket", ""), "https://prow.k8s.io/view/s3/bucket/pr-logs/pull/org_repo/1/job/build"},
		"without the provider":                 {URLs{Prefixes: prefixes("*", "https://gubernator.com/build"), OmitProvider: true}, job("bucket", ""), "https://gubernator.com/build/bucket/pr-logs/pull/org_repo/1/job/build"},
		"the repository's prefix wins":         {URLs{Prefixes: prefixes("*", "https://all", "org", "https://org", "org/repo", "https://repo")}, job("b", ""), "https://repo/gs/b/pr-logs/pull/org_repo/1/job/build"},
		"an empty prefix is passed over":       {URLs{Prefixes: prefixes("*", "https://all", "org", "https://org", "org/repo", "")}, job("b", ""), "https://org/gs/b/pr-logs/pull/org_repo/1/job/build"},
		"the job's own prefix wins over all":   {URLs{Prefixes: prefixes("org/repo", "https://repo")}, job("b", "https://own"), "https://own/gs/b/pr-logs/pull/org_repo/1/job/build"},
		"doubled slashes collapse":             {URLs{Prefixes: prefixes("*", "https://x")}, job("gs://b/a://y", ""), "https://x/gs/b/a:/y/pr-logs/pull/org_repo/1/job/build"},
		"a job without a prefix: the template": {URLs{Template: byTemplate}, job("b", ""), "https://template/job"},
		"an undecorated job: the template":     {URLs{Prefixes: prefixes("*", "https://all"), Template: byTemplate}, job("", ""), "https://template/job"},
		"neither":                              {URLs{}, job("", ""), ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, err := c.urls.JobURL(c.pj); err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
	if got, err := (URLs{Prefixes: prefixes("*", "https://x")}).JobURL(job("://bucket", "")); err == nil || got != "" {
		t.Errorf("a bucket that is no URL: %q, %v", got, err)
	}
	odd := template.Must(template.New("url").Parse("https://{{.Spec.Nothing}}"))
	if got, err := (URLs{Template: odd}).JobURL(job("", "")); got != "" || err == nil || !strings.Contains(err.Error(), "job_url_template") {
		t.Errorf("a template that fails: %q, %v", got, err)
	}
}
