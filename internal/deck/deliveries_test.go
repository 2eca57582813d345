package deck

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeHook lists two deliveries to those who have the token.
func fakeHook(t *testing.T, replayed *[]string) string {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/plugin-help":
			_, _ = io.WriteString(w, "{}")
		case r.Header.Get("Authorization") != "Bearer s3cret":
			http.Error(w, "no", http.StatusUnauthorized)
		case r.Method == http.MethodPost:
			*replayed = append(*replayed, r.URL.RequestURI())
			w.WriteHeader(http.StatusAccepted)
		default:
			_, _ = io.WriteString(w, `{"waiting":3,"dead":1,"next":"5,b","deliveries":[
				{"id":"a","event":"issue_comment","action":"created","repo":"o/<r>","received":"2026-01-02T03:04:05Z","state":"done","outcomes":[{"handler":"lgtm/comment","took_ms":12,"error":"the forge <b>is down"}]},
				{"id":"b","event":"`+r.URL.Query().Get("event")+`","received":"2026-01-02T03:04:05Z","state":"dead"}]}`)
		}
	}))
	t.Cleanup(hook.Close)
	return hook.URL
}

func TestDeliveries(t *testing.T) {
	var replayed []string
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{HookURL: fakeHook(t, &replayed) + "/plugin-help", HookAdminTokenFile: token}, "")
	page := s.get("/deliveries?event=push&nonsense=x").body
	for _, want := range []string{"3 waiting", "1 put aside", "o/&lt;r&gt;", "the forge &lt;b&gt;is down", "12 ms", "deliveries/a/replay", `href="./deliveries?before=5%2Cb&amp;event=push"`, "push", "Webhooks"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "s3cret") {
		t.Error("the page shows the token")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(origin string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/deliveries/a/replay", strings.NewReader("all=true"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", origin)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if code := post("https://evil.example"); code != http.StatusForbidden || len(replayed) != 0 {
		t.Errorf("a form of another site is answered with %d", code)
	}
	if code := post(s.url); code != http.StatusSeeOther || len(replayed) != 1 || replayed[0] != "/deliveries/a/replay?all=true" {
		t.Errorf("%d, replayed %q", code, replayed)
	}
}

func TestWithoutATokenNobodySeesDeliveries(t *testing.T) {
	s := start(t, Options{}, "")
	if got := s.get("/deliveries"); got.StatusCode != http.StatusNotFound || strings.Contains(s.get("/").body, "Webhooks") {
		t.Errorf("%d", got.StatusCode)
	}
}

func TestOnlyAdministratorsSeeDeliveriesWherePeopleSignIn(t *testing.T) {
	for name, test := range map[string]struct {
		extra string
		want  map[string]int
	}{
		"nobody is named":      {"", map[string]int{"alice": 403, "bob": 403, "": 401}},
		"who may rerun is not": {deckWith("rerun_auth_configs: {'*': {allow_anyone: true}}"), map[string]int{"alice": 403, "": 401}},
		"a name and a team":    {deckWith("administrators: {github_users: [Alice], github_team_slugs: [{org: o, slug: leads}]}"), map[string]int{"alice": 200, "bob": 200, "stranger": 403, "": 401}},
		"everybody":            {deckWith("administrators: {allow_anyone: true}"), map[string]int{"": 200}},
	} {
		t.Run(name, func(t *testing.T) {
			var replayed []string
			g := startGuarded(t, func(o *Options) {
				o.HookURL, o.HookAdminTokenFile = fakeHook(t, &replayed)+"/plugin-help", write(t, "token", "s3cret")
			}, test.extra, "{}")
			for login, want := range test.want {
				v, before := g.visitor(), len(replayed)
				if login != "" {
					v = g.signIn(login)
				}
				page, list, again := v.get("/deliveries"), v.get("/deliveries.js"), v.post("/deliveries/a/replay", nil)
				posted := want
				if want == 200 {
					posted = 303
				}
				if page.StatusCode != want || list.StatusCode != want || again.StatusCode != posted || (len(replayed) > before) != (want == 200) {
					t.Errorf("%q: %s, %s, %s", login, page.Status, list.Status, again.Status)
				}
				if want != 200 && strings.Contains(page.body+list.body, "issue_comment") {
					t.Errorf("%q reads deliveries", login)
				}
			}
		})
	}
}

func TestAdministratorsThatNobodyCanTell(t *testing.T) {
	var replayed []string
	s := start(t, Options{HookURL: fakeHook(t, &replayed) + "/plugin-help", HookAdminTokenFile: write(t, "token", "s3cret")}, deckWith("administrators: {github_users: [alice]}"))
	if got := s.get("/deliveries"); got.StatusCode != http.StatusInternalServerError || strings.Contains(got.body, "issue_comment") {
		t.Errorf("%s", got.Status)
	}
}
