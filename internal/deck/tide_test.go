package deck

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestThePageOfTideShowsTheReasonOfEveryPullRequest(t *testing.T) {
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/history" {
			fmt.Fprint(w, `{}`)
			return
		}
		fmt.Fprint(w, `[
{"Org":"o","Repo":"r","Branch":"main","PendingPRs":[{"Number":12,"Title":"Speed up"}],"MissingPRs":[{"Number":13,"Title":"Bump"},{"Number":15,"Title":"Bad"}],"Action":"BLOCKED",
 "ActionReason":{"Code":"blocked","Sentence":"Merging is blocked by #5.","Links":["https://forge.example/o/r/issues/5"]},
 "Reasons":[{"Number":12,"SHA":"a","State":"pending","Code":"in-trial","Sentence":"It is being tested together with #11.","Links":["https://prow.example/view/12"]},
  {"Number":13,"SHA":"b","State":"pending","Code":"queued","Sentence":"It waits for a run.","Links":["javascript:alert(1)"]},
  {"Number":15,"SHA":"c","State":"pending","Code":"ejected","Sentence":"It fails by itself."}],
 "Refused":[{"Number":14,"SHA":"d","Title":"Rename things","State":"error","Code":"conflict","Sentence":"Not mergeable: it has a merge conflict."}]},
{"Org":"o","Repo":"older","Branch":"main","PendingPRs":[{"Number":1,"Title":"Old"}],"Action":"WAIT"}]`)
	}))
	defer tide.Close()
	s := start(t, Options{TideURL: tide.URL}, "")
	body := s.eventually("/tide", "It fails by itself.").body
	contains(t, "the page", body,
		`Merging is blocked by #5. <a class="small" href="https://forge.example/o/r/issues/5" rel="noopener noreferrer">#5</a>`,
		"It is being tested together with #11.", `href="https://prow.example/view/12" rel="noopener noreferrer">run</a>`, "It waits for a run.",
		"#14</a> Rename things", "Not mergeable: it has a merge conflict.",
		// A Tide of other make says nothing.
		"required jobs run against the newest base")
	lacks(t, "the page", body, "javascript:")
	if n := strings.Count(body, "s-failed"); n != 2 {
		t.Errorf("%d rows are marked as failed, want those that are ejected and that have a conflict", n)
	}
	contains(t, "the JSON", s.get("/tide.js").body, `"ActionReason":{"Code":"blocked"`, `"Refused":[{"Number":14`)
}
