package initupload

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

func TestTheReasonOfAFailureIsTold(t *testing.T) {
	conflict := artifacts.CloneRecord{Refs: v1.Refs{Org: "o", Repo: "r", BaseRef: "main"}, Failed: true, Reason: artifacts.CloneConflict, Message: "pull request 3 does not merge into main: conflicts in a.txt"}
	if text := Text(conflict); !strings.Contains(text, "# FAILED!\n# Cloning o/r at main\n# Reason: merge conflict: pull request 3 does not merge into main: conflicts in a.txt\n") {
		t.Errorf("text:\n%s", text)
	}
	for sentence, c := range map[string]struct {
		record artifacts.CloneRecord
		want   string
	}{
		"a conflict":                  {conflict, "o/r: merge conflict: pull request 3 does not merge into main: conflicts in a.txt"},
		"a host that is away":         {artifacts.CloneRecord{Refs: conflict.Refs, Failed: true, Reason: artifacts.CloneUnavailable, Message: "git fetch: 502"}, "o/r: infrastructure: git fetch: 502"},
		"the setup":                   {artifacts.CloneRecord{Failed: true, Message: "no key"}, "environment setup: no key"},
		"a record of another program": {artifacts.CloneRecord{Refs: conflict.Refs, Failed: true}, "o/r: see the clone log"},
	} {
		if got := failure(c.record); got != c.want {
			t.Errorf("%s: %q, want %q", sentence, got, c.want)
		}
	}
}

func TestTell(t *testing.T) {
	file := filepath.Join(t.TempDir(), "termination-log")
	if err := Tell(file, errors.New("x")); err != nil {
		t.Errorf("without the file of the kubelet: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file was made")
	}
	if err := os.WriteFile(file, []byte("something longer than that"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Tell(file, errors.New("first\nsecond")); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "first" {
		t.Errorf("told %q", got)
	}
}

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
