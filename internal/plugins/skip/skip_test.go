package skip

import (
	"testing"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

const spec = "\n    spec: {containers: [{image: alpine, command: [\"true\"]}]}\n"

const jobs = `
presubmits:
  o/r:
  - name: required
    always_run: true` + spec + `
  - name: opt
    optional: true` + spec + `
  - name: quiet
    skip_report: true` + spec + `
  - name: elsewhere
    optional: true
    branches: [release]` + spec + `
  - name: both-main
    context: both
    branches: [main]` + spec + `
  - name: both-release
    context: both
    optional: true
    branches: [release]` + spec

func TestARequiredContextStaysWhateverAnotherJobOfItSays(t *testing.T) {
	job := func(name string, optional bool) config.Presubmit {
		return config.Presubmit{JobBase: config.JobBase{Name: name}, Reporter: config.Reporter{Context: "c"}, Optional: optional}
	}
	results := []plugins.Result{{Context: "c", State: github.StatusFailure}}
	if got := decide(results, []config.Presubmit{job("a", true), job("b", false)}, "main", nil); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := decide(results, []config.Presubmit{job("a", true)}, "main", nil); len(got) != 1 || !got[0].Green() {
		t.Errorf("got %+v", got)
	}
}

func TestProbe29_Skip(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Jobs: jobs})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	head := w.Head("change")
	w.Comment("eve", n, "/skip")
	for name, state := range map[string]string{"required": "failure", "opt": "failure", "quiet": "pending", "elsewhere": "failure", "both": "failure", "other": "error"} {
		w.Status(head, name, state)
	}
	w.Comment("eve", n, "/skip\n/test opt")
	want := map[string]string{"required": "failure: ", "opt": "failure: ", "quiet": "success: Skipped", "elsewhere": "failure: ", "both": "failure: ", "other": "error: "}
	w.WantStatuses(head, want)
	w.Comment("eve", n, "/skipper")
	w.Comment("eve", n, "/Skip\r\n")
	want["opt"] = "success: Skipped"
	w.WantStatuses(head, want)
	w.HandleAgain("issue_comment")
	w.WantStatuses(head, want)
	w.WantComments(n)
}

func TestSkippingCheckRuns(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Jobs: jobs, Config: "github_reporter: {check_run_repos: [o/r]}"})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	head := w.Head("change")
	w.CheckRun(head, "required", "failure")
	w.CheckRun(head, "opt", "failure")
	w.Comment("eve", n, "/skip")
	w.WantCheckRuns(head, map[string]string{"required": "failure: ", "opt": "success: Skipped"})
}
