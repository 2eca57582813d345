package plugins

import (
	"reflect"
	"testing"

	"prow/internal/forge/github"
)

func TestTheBestCheckRunOfANameCounts(t *testing.T) {
	run := func(name, status, conclusion string) github.CheckRun {
		return github.CheckRun{Name: name, Status: status, Conclusion: conclusion}
	}
	got := map[string]string{}
	for _, r := range ofCheckRuns([]github.CheckRun{
		run("good", "completed", "failure"), run("good", "completed", "success"), run("good", "queued", ""),
		run("running", "completed", "cancelled"), run("running", "in_progress", ""),
		run("bad", "completed", "timed_out"), run("neutral", "completed", "neutral"), run("skipped", "completed", "skipped"),
	}) {
		got[r.Context] = r.State
	}
	want := map[string]string{"good": "success", "running": "pending", "bad": "failure", "neutral": "success", "skipped": "success"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
