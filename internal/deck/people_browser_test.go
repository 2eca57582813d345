package deck

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	v1 "prow/api/prowjobs/v1"
)

// TestBrowserPeople lets people sign in with their accounts of a local forge and use
// what is theirs.
func TestBrowserPeople(t *testing.T) {
	needBrowser(t)
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/history" {
			fmt.Fprint(w, `{"o/r:main":[{"time":"2026-01-02T03:04:05Z","action":"MERGE","target":[{"number":3,"author":"ann","sha":"aaa","title":"Say hello"}],"tenantids":null},{"time":"2026-01-02T03:00:05Z","action":"TRIGGER_BATCH","err":"no cluster","target":[{"number":2,"author":"bob","sha":"bbb","title":"Rename things"}],"tenantids":null}]}`)
			return
		}
		fmt.Fprint(w, `[{"Org":"o","Repo":"r","Branch":"main","Action":"WAIT","Blockers":[{"Number":99,"Title":"The release is being cut","URL":"https://forge.example/99"}],"Refused":[{"Number":2,"Title":"x","State":"pending","Code":"labels","Sentence":"Needs approved label.","Links":[]}]}]`)
	}))
	defer tide.Close()
	var replayed []string
	g := startGuarded(t, func(o *Options) {
		o.TideURL = tide.URL
		o.HookURL, o.HookAdminTokenFile = fakeHook(t, &replayed)+"/plugin-help", write(t, "token", "s3cret")
	}, deckWith("administrators: {github_users: [alice]}")+pullQueries, "{}")
	number, sha := g.openPull("ann", "one", "Make the upload of artifacts survive a restart of the node")
	g.openPull("ann", "two", "Document how to run the tests without a cluster")
	g.status(sha, "cla", "success", "Signed.")
	g.status(sha, "unit", "pending", "Waits.")
	g.job("for-one", func(pj *v1.ProwJob) {
		pj.Spec.Job, pj.Spec.Context, pj.Spec.Report = "pull-unit", "unit", true
		pj.Spec.Refs.Pulls[0].Number, pj.Spec.Refs.Pulls[0].SHA = number, sha
		pj.Status.State, pj.Status.Description, pj.Status.BuildID = v1.FailureState, "Job failed: TestUpload.", "17"
		pj.Status.CompletionTime = &pj.Status.StartTime
	})
	g.eventually("/prowjobs.js", "for-one")
	g.eventually("/tide", "Needs approved label.")
	browse(t, []string{"DECK_URL=" + g.url, "FORGE_URL=" + g.forge}, "people.test.js")
	if len(replayed) != 1 {
		t.Errorf("handled again: %q", replayed)
	}
}
