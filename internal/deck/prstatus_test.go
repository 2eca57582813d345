package deck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/prstatus"
	"prow/internal/forge/github"
)

// openPull opens a pull request of somebody in o/r and returns its number and commit.
func (g *guarded) openPull(login, branch, title string) (int, string) {
	g.t.Helper()
	ctx, robot := g.t.Context(), g.as("robot")
	base, _, err := robot.Git.GetRef(ctx, "o", "r", "heads/main")
	if err != nil {
		g.t.Fatal(err)
	}
	if _, _, err := robot.Git.CreateRef(ctx, "o", "r", gogithub.CreateRef{Ref: "refs/heads/" + branch, SHA: base.Object.GetSHA()}); err != nil {
		g.t.Fatal(err)
	}
	made, _, err := robot.Repositories.CreateFile(ctx, "o", "r", branch+".txt", &gogithub.RepositoryContentFileOptions{Message: gogithub.Ptr(title), Content: []byte(title), Branch: &branch})
	if err != nil {
		g.t.Fatal(err)
	}
	pr, _, err := g.as(login).PullRequests.Create(ctx, "o", "r", &gogithub.NewPullRequest{Title: &title, Head: &branch, Base: gogithub.Ptr("main")})
	if err != nil {
		g.t.Fatal(err)
	}
	return pr.GetNumber(), made.GetSHA()
}

func (g *guarded) status(sha, context, state, text string) {
	g.t.Helper()
	if _, _, err := g.as("robot").Repositories.CreateStatus(g.t.Context(), "o", "r", sha, &gogithub.RepoStatus{State: &state, Context: &context, Description: &text, TargetURL: gogithub.Ptr("https://ci.example/" + context)}); err != nil {
		g.t.Fatal(err)
	}
}

const pullQueries = `
tide:
  queries:
  - {repos: [o/r], labels: [lgtm, approved], missingLabels: [do-not-merge/hold]}
`

func TestProbe31PullRequestsOfNobody(t *testing.T) {
	g := startGuarded(t, nil, "", "{}")
	want := `{"Login":false,"PullRequestsWithContexts":null}`
	if got := g.get("/pr-data.js"); got.StatusCode != http.StatusOK || got.body != want || got.Header.Get("Cache-Control") != "no-store, must-revalidate" || got.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%s %v %s", got.Status, got.Header, got.body)
	}
	if got := g.get("/pr-data.js?var=x"); got.body != "var x = "+want+";" {
		t.Errorf("as a script: %s", got.body)
	}
	v := g.visitor()
	if got := v.get("/pr?query=is%3Aopen"); got.StatusCode != http.StatusFound || got.Header.Get("Location") != "./sign-in?dest=pr%3Fquery%3Dis%253Aopen" {
		t.Errorf("the page: %s to %q", got.Status, got.Header.Get("Location"))
	}
	if got := v.post("/pr-data.js", nil, "Origin", "https://evil.example"); got.StatusCode != http.StatusForbidden {
		t.Errorf("another site asks: %s", got.Status)
	}
	if got := start(t, Options{}, "").get("/pr"); got.StatusCode != http.StatusNotFound {
		t.Errorf("where nobody can sign in: %s", got.Status)
	}
}

func TestPullRequestsOfAVisitor(t *testing.T) {
	var tideAnswer string
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/history" {
			fmt.Fprint(w, `{}`)
			return
		}
		fmt.Fprint(w, tideAnswer)
	}))
	t.Cleanup(tide.Close)
	tideAnswer = `[{"Org":"o","Repo":"r","Branch":"main","Action":"WAIT","Blockers":[{"Number":99,"Title":"Freeze","URL":"https://forge.example/99"}],"Refused":[{"Number":3,"Title":"x","State":"pending","Code":"labels","Sentence":"Needs approved label.","Links":[]}]}]`
	g := startGuarded(t, func(o *Options) { o.TideURL = tide.URL }, pullQueries, "{}")
	hostile := `<script>alert(1)</script> "quoted"`
	one, sha := g.openPull("ann", "one", hostile)
	two, _ := g.openPull("ann", "two", "Second")
	three, _ := g.openPull("ann", "three", "Third")
	_, _ = g.openPull("bob", "four", "Of somebody else")
	g.status(sha, "unit", "pending", "Waits.")
	g.status(sha, "cla", "success", "Signed.")
	if _, _, err := g.as("robot").Issues.AddLabelsToIssue(t.Context(), "o", "r", two, []string{"lgtm", "approved"}); err != nil {
		t.Fatal(err)
	}
	g.job("for-one", func(pj *v1.ProwJob) {
		pj.Spec.Job, pj.Spec.Context, pj.Spec.Report = "pull-unit", "unit", true
		pj.Spec.Refs.Pulls[0].Number, pj.Spec.Refs.Pulls[0].SHA = one, sha
		pj.Status.State, pj.Status.Description, pj.Status.BuildID = v1.FailureState, "Job failed <b>badly</b>.", "17"
		pj.Status.CompletionTime = &pj.Status.StartTime
	})
	g.eventually("/prowjobs.js", "for-one")
	g.eventually("/tide", "Needs approved label.")

	v := g.signIn("ann")
	if got := v.get("/pr"); got.StatusCode != http.StatusFound || got.Header.Get("Location") != "?query="+url.QueryEscape("is:pr state:open author:ann") {
		t.Fatalf("%s to %q: %s", got.Status, got.Header.Get("Location"), got.body)
	}
	page := v.get("/pr?query=" + url.QueryEscape("state:open author:ann"))
	if page.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", page.Status, page.body)
	}
	contains(t, "the page", page.body,
		fmt.Sprintf(">o/r#%d</a>", one), "&lt;script&gt;alert(1)&lt;/script&gt;", "It needs the labels approved, lgtm.", "Job failed &lt;b&gt;badly&lt;/b&gt;.", `misses the label <span class="label">lgtm</span>`, // one
		"Everything is there; Tide has not taken it up yet.", "everything is fulfilled", // two
		"Needs approved label.", // three, as Tide says
		`Merges into o/r main are blocked by <a href="https://forge.example/99"`, `is:pr state:open archived:false label:&#34;approved`, // all
		fmt.Sprintf(`href="./?pull=%d&amp;repo=o%%2Fr"`, one), `href="./tide-history?author=ann"`, `href="./view/`)
	lacks(t, "the page", page.body, "Of somebody else", "<script>alert", ">tide<")
	if strings.Count(page.body, "Freeze") != 1 {
		t.Error("a blocker is told once for each pull request")
	}
	_ = three

	got := v.post("/pr-data.js", url.Values{"query": {"state:open author:ann"}})
	var data struct {
		Login                    bool
		PullRequestsWithContexts []prstatus.Item
	}
	if err := json.Unmarshal([]byte(got.body), &data); err != nil || !data.Login || len(data.PullRequestsWithContexts) != 3 {
		t.Fatalf("%v %s", err, got.body)
	}
	for _, item := range data.PullRequestsWithContexts {
		if pr := item.PullRequest; pr.Number == one {
			if len(item.Contexts) != 2 || pr.HeadRefOID != sha || pr.Author.Login != "ann" || pr.BaseRef.Prefix != "refs/heads/" || pr.Repository.NameWithOwner != "o/r" || pr.Title != hostile {
				t.Errorf("%+v", item)
			}
		}
	}
	contains(t, "the data", got.body, `"Labels":{"Nodes":[{"Label":{"ID":"`, `"Name":"lgtm"}}`, `"Contexts":[]`, `"Milestone":null`, `"Mergeable":"MERGEABLE"`)
	lacks(t, "the data", got.body, "URL", "Approved")

	if got := v.get("/pr?query=" + url.QueryEscape(strings.Repeat("x", 5000))); got.StatusCode != http.StatusBadRequest {
		t.Errorf("an endless query: %s", got.Status)
	}
	if got := v.get("/pr?query=frob%3Ax"); got.StatusCode != http.StatusBadGateway {
		t.Errorf("a query that the forge refuses: %s", got.Status)
	}
}

func TestPullRequestsWhereGitHubHasRevokedTheToken(t *testing.T) {
	revoked := false
	var forge string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if revoked {
			http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, forge+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(proxy.Close)
	g := startGuarded(t, nil, "", "{}")
	forge = g.forge
	revoked = true
	other := startGuarded(t, func(o *Options) {
		o.GitHub = github.Flags{Endpoints: []string{proxy.URL + "/api/v3"}, GraphQLEndpoint: proxy.URL + "/api/graphql", TokenPath: o.GitHub.TokenPath}
	}, "", "{}")
	v := other.visitor()
	// A session that was good before: the two sites share the secret of their cookies.
	u, _ := url.Parse(other.url)
	from := g.signIn("ann")
	v.http.Jar.SetCookies(u, []*http.Cookie{{Name: "access-token-session", Value: from.cookie("access-token-session"), Path: "/"}})
	if got := v.get("/pr-data.js"); got.body != `{"Login":false,"PullRequestsWithContexts":null}` || v.cookie("access-token-session") != "" {
		t.Errorf("the data: %s, the session is %q", got.body, v.cookie("access-token-session"))
	}
	v.http.Jar.SetCookies(u, []*http.Cookie{{Name: "access-token-session", Value: from.cookie("access-token-session"), Path: "/"}})
	if got := v.get("/pr?query=is%3Aopen"); got.StatusCode != http.StatusFound || !strings.HasPrefix(got.Header.Get("Location"), "./sign-in?dest=pr") || v.cookie("access-token-session") != "" {
		t.Errorf("the page: %s to %q", got.Status, got.Header.Get("Location"))
	}
	v.http.Jar.SetCookies(u, []*http.Cookie{{Name: "access-token-session", Value: from.cookie("access-token-session"), Path: "/"}})
	other.job("again", nil)
	other.eventually("/prowjobs.js", "again")
	if got := v.post("/rerun?prowjob=again", nil); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a rerun with a revoked token: %s", got.Status)
	}
}
