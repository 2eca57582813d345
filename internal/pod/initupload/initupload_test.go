package initupload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

func TestText(t *testing.T) {
	record := artifacts.CloneRecord{
		Refs:   v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "sha", Pulls: []v1.Pull{{Number: 1, SHA: "one"}, {Number: 2}}},
		Failed: true, FinalSHA: "final", Duration: time.Minute,
		Commands: []artifacts.CloneCommand{{Command: "git init", Output: "Initialized\n", Duration: time.Second}, {Command: "git fetch", Error: "exit status 128"}},
	}
	want := "# FAILED!\n# Cloning org/repo at main(sha)\n# Checking out pulls:\n#\t1 (one)\n#\t2\n" +
		"$ git init (runtime: 1s)\nInitialized\n$ git fetch\n# Error: exit status 128\n# Final SHA: final\n# Total runtime: 1m0s\n\n"
	if diff := cmp.Diff(want, Text(record)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := Text(artifacts.CloneRecord{}), "# Environment setup\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
