package trigger

import (
	"fmt"
	"net/http"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/plugins/plugintest"
)

// reported makes the check run of a job as the reporter does.
func reported(t *testing.T, w *plugintest.World, job *prowv1.ProwJob, conclusion string) int64 {
	t.Helper()
	run, _, err := w.As("bot").Checks.CreateCheckRun(t.Context(), plugintest.Org, plugintest.Repo, gogithub.CreateCheckRunOptions{
		Name: job.Spec.Context, HeadSHA: job.Spec.Refs.Pulls[0].SHA, ExternalID: &job.Name, Status: gogithub.Ptr("completed"), Conclusion: &conclusion,
	})
	if err != nil {
		t.Fatal(err)
	}
	return run.GetID()
}

// press presses a button of a check run; "" is GitHub's own.
func press(t *testing.T, w *plugintest.World, login string, id int64, button string) {
	t.Helper()
	url, body := fmt.Sprintf("repos/%s/%s/check-runs/%d/rerequest", plugintest.Org, plugintest.Repo, id), any(nil)
	if button != "" {
		url, body = fmt.Sprintf("repos/%s/%s/check-runs/%d/requested-action", plugintest.Org, plugintest.Repo, id), map[string]string{"identifier": button}
	}
	c := w.As(login)
	req, err := c.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	w.Settle()
}

func TestAPressedButtonRunsTheJobAgain(t *testing.T) {
	w := newWorld(t, plugintest.Options{Config: "github_reporter: {check_run_repos: [o/r]}"})
	n := change(w, "alice", "change")
	job := w.Jobs()[0]
	id := reported(t, w, &job, "failure")
	w.Settle()
	press(t, w, "boss", id, "")
	if jobs := w.Jobs(); len(jobs) != 2 || jobs[0].Spec.Refs.Pulls[0].Number != n {
		t.Fatalf("jobs %+v", jobs)
	}
	want := func(n int) {
		t.Helper()
		if jobs := w.Jobs(); len(jobs) != n {
			t.Errorf("%d jobs, want %d", len(jobs), n)
		}
	}
	press(t, w, "boss", id, rerunAction)
	want(3)
	press(t, w, "boss", id, "another-button")
	want(3)

	// A check run of something else that borrows the name of a job starts nothing.
	other := job.DeepCopy()
	other.Spec.Context = "b"
	press(t, w, "boss", reported(t, w, other, "failure"), "")
	other.Name, other.Spec.Context = "unknown", "a"
	press(t, w, "boss", reported(t, w, other, "failure"), "")
	want(3)

	// Nor does one of a commit that is not the head any more.
	w.Push("change", map[string]string{"more": "z"})
	want(4)
	press(t, w, "boss", id, "")
	want(4)
}

func TestAPressedButtonNeedsTrust(t *testing.T) {
	w := newWorld(t, plugintest.Options{Plugins: "triggers: [{repos: [o], only_org_members: true}]"})
	n := change(w, "eve", "change")
	w.Comment("alice", n, "/test all")
	job := w.Jobs()[0]
	id := reported(t, w, &job, "failure")
	want := func(n int) {
		t.Helper()
		if jobs := w.Jobs(); len(jobs) != n {
			t.Errorf("%d jobs, want %d", len(jobs), n)
		}
	}
	want(1)
	for _, login := range []string{"eve", "bob"} { // the forge shows its buttons to those who may push
		w.Collaborator(login, "push")
	}
	press(t, w, "eve", id, "")
	want(1)
	press(t, w, "bob", id, "")
	want(2)
}

func TestRetestLooksAtCheckRuns(t *testing.T) {
	w := newWorld(t, plugintest.Options{Config: "github_reporter: {check_run_repos: [o/r]}"})
	n := change(w, "alice", "change")
	job := w.Jobs()[0]
	w.TakeJobs()
	reported(t, w, &job, "success")
	w.Comment("alice", n, "/retest")
	w.WantJobs("")
	reported(t, w, &job, "cancelled")
	w.Comment("alice", n, "/retest")
	w.WantJobs("a")
}
