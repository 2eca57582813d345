package downward

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

func TestStarted(t *testing.T) {
	a, b := v1.Refs{Org: "o", Repo: "a", BaseRef: "main", Auxiliary: true}, v1.Refs{Org: "o", Repo: "b", BaseRef: "main"}
	records := []artifacts.CloneRecord{{}, {Refs: a, FinalSHA: "sha-a"}, {Refs: b, FinalSHA: "sha-b"}}
	at := time.Unix(1700000000, 0)
	for sentence, c := range map[string]struct {
		spec    JobSpec
		records []artifacts.CloneRecord
		want    artifacts.Started
	}{
		"the commit of the first extra refs that count (probe 39)": {JobSpec{ExtraRefs: []v1.Refs{a, b}}, records,
			artifacts.Started{Repos: map[string]string{"o/a": "main", "o/b": "main"}, RepoCommit: "sha-b", RepoVersion: "sha-b"}},
		"no commit of auxiliary refs (probe 39)": {JobSpec{ExtraRefs: []v1.Refs{a}}, records,
			artifacts.Started{Repos: map[string]string{"o/a": "main"}}},
		"the head of the pull where nothing was cloned": {JobSpec{Refs: exampleRefs()}, nil,
			artifacts.Started{Pull: "1", Repos: map[string]string{"org-name/repo-name": "base-ref:base-sha,1:pull-sha"}, RepoCommit: "pull-sha", RepoVersion: "pull-sha"}},
		"nothing": {JobSpec{}, nil, artifacts.Started{}},
	} {
		c.want.Timestamp = at.Unix()
		if diff := cmp.Diff(c.want, c.spec.Started(c.records, at)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
}
