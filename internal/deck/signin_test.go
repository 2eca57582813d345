package deck

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestProbe30SignIn(t *testing.T) {
	g := startGuarded(t, nil, "", "{}")
	v := g.visitor()
	begun := v.get("/github-login?dest=pr%3Fx%3D1")
	to, err := begun.Location()
	if err != nil {
		t.Fatalf("%s %s", begun.Status, begun.body)
	}
	q := to.Query()
	if begun.StatusCode != http.StatusFound || !strings.HasPrefix(to.String(), g.forge+"/login/oauth/authorize?") ||
		q.Get("client_id") != "deck" || q.Get("response_type") != "code" || q.Get("scope") != "read:org" || q.Get("state") == "" ||
		q.Get("prompt") != "consent" || q.Get("access_type") != "online" || q.Get("redirect_uri") != g.url+"/github-login/redirect?dest=pr%3Fx%3D1" {
		t.Errorf("sent to %s", to)
	}
	if c := cookieOf(begun, "oauth-session"); c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 || strings.Contains(c.Value, q.Get("state")) {
		t.Errorf("the cookie of the state: %v", c)
	}
	back := v.consent(begun, "alice")
	wrong, _ := url.Parse(back)
	values := wrong.Query()
	values.Set("state", strings.Repeat("0", 64))
	wrong.RawQuery = values.Encode()
	for name, try := range map[string]func() answer{
		"a wrong state":           func() answer { return v.get(wrong.String()) },
		"no state":                func() answer { return v.get("/github-login/redirect?code=x") },
		"the answer to another":   func() answer { return g.visitor().get(back) },
		"the provider of another": func() answer { return v.get(strings.Replace(back, "/github-login/", "/oidc-login/", 1)) },
	} {
		if got := try(); got.StatusCode != http.StatusInternalServerError && got.StatusCode != http.StatusNotFound || cookieOf(got, "access-token-session") != nil {
			t.Errorf("%s: %s %v", name, got.Status, got.Cookies())
		}
	}
	done := v.get(back)
	session := cookieOf(done, "access-token-session")
	if done.StatusCode != http.StatusFound || done.Header.Get("Location") != g.url+"/pr?x=1" || session == nil {
		t.Fatalf("%s to %q: %s", done.Status, done.Header.Get("Location"), done.body)
	}
	if !session.HttpOnly || session.Path != "/" || session.SameSite != http.SameSiteLaxMode || session.Secure || strings.Contains(session.Value, "gho_") {
		t.Errorf("the session: %s", session)
	}
	if c := cookieOf(done, "github_login"); c == nil || c.Value != "alice" || c.HttpOnly || c.MaxAge != 30*24*3600 {
		t.Errorf("the login: %v", c)
	}
	if got := v.get(back); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("an answer is taken twice: %s", got.Status)
	}
	page := v.get("/").body
	contains(t, "the page of somebody who is signed in", page, "<span>alice</span>", `action="./sign-out"`)
	contains(t, "the page of others", g.get("/").body, `href="./sign-in?dest="`)
	lacks(t, "the page of others", g.get("/").body, "alice")

	out := v.post("/sign-out", nil)
	if out.StatusCode != http.StatusSeeOther || v.cookie("access-token-session") != "" || v.cookie("github_login") != "" {
		t.Errorf("signing out: %s", out.Status)
	}
	if got := g.signIn("alice").post("/sign-out", nil, "Origin", "https://evil.example"); got.StatusCode != http.StatusForbidden {
		t.Errorf("another site signs visitors out: %s", got.Status)
	}
	if got := v.get("/sign-in?dest=x"); got.StatusCode != http.StatusFound || got.Header.Get("Location") != "./github-login?dest=x" {
		t.Errorf("the only way to sign in is not chosen: %s %s", got.Status, got.Header.Get("Location"))
	}
}

func cookieOf(a answer, name string) *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == name && c.MaxAge >= 0 {
			return c
		}
	}
	return nil
}

func TestASignInLeadsToNoOtherSite(t *testing.T) {
	g := startGuarded(t, nil, "", "{}")
	for _, dest := range []string{
		"//evil.example", "///evil.example", "https:evil.example", "https://evil.example", "https:///evil.example", `\\evil.example`, `/\evil.example`, `/\/evil.example`,
		"%2F%2Fevil.example", "/%2Fevil.example", "/\t/evil.example", "\t//evil.example", "/\n/evil.example", "javascript:alert(1)", "@evil.example", ".evil.example", "..//evil.example", "%2e%2e/evil", "//evil.example/..", "\x00//evil.example", strings.Repeat("a", 5000),
	} {
		v := g.visitor()
		got := v.get(v.consent(v.get("/github-login?dest="+url.QueryEscape(dest)), "alice"))
		location := got.Header.Get("Location")
		to, err := url.Parse(location)
		if err != nil || got.StatusCode != http.StatusFound || !strings.HasPrefix(location, g.url+"/") || strings.HasPrefix(location, g.url+"//") || to.Host != strings.TrimPrefix(g.url, "http://") || strings.ContainsAny(location, "\\\t\n\x00") {
			t.Errorf("%.40q leads to %.60q (%s)", dest, location, got.Status)
		}
	}
}

func TestForgedSessionsAreNobody(t *testing.T) {
	g := startGuarded(t, nil, "", "{}")
	g.job("a", nil)
	g.eventually("/prowjobs.js", `"a"`)
	v := g.signIn("alice")
	real := v.cookie("access-token-session")
	changed := "A"
	if real[0] == 'A' {
		changed = "B"
	}
	for name, value := range map[string]string{
		"nothing":             "",
		"a login":             "alice",
		"plain JSON":          `eyJuIjoiYWxpY2UiLCJ0IjoieCJ9`,
		"one letter changed":  changed + real[1:],
		"cut":                 real[:len(real)-4],
		"a cookie of a state": cookieOf(g.visitor().get("/github-login"), "oauth-session").Value,
	} {
		got := g.do(http.MethodPost, "/rerun?prowjob=a", "Origin", g.url, "Cookie", "access-token-session="+value+"; github_login=alice")
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %s", name, got.Status, got.body)
		}
	}
	if got := v.post("/rerun?prowjob=a", nil); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the real one: %s %s", got.Status, got.body)
	}
}

func TestProbe45PlainHTTPIsLedAway(t *testing.T) {
	s := start(t, Options{RedirectHTTPTo: "prow.example"}, "")
	got := s.get("/tide?x=1", "X-Forwarded-Proto", "http")
	if got.StatusCode != http.StatusMovedPermanently || got.Header.Get("Location") != "https://prow.example/tide?x=1" {
		t.Errorf("%s %s", got.Status, got.Header.Get("Location"))
	}
	if got := s.get("//evil.example/x", "X-Forwarded-Proto", "http"); !strings.HasPrefix(got.Header.Get("Location"), "https://prow.example/") {
		t.Errorf("%s %s", got.Status, got.Header.Get("Location"))
	}
	if got := s.get("/tide", "X-Forwarded-Proto", "https"); got.StatusCode != http.StatusOK {
		t.Errorf("%s", got.Status)
	}
}

func TestASecretDoesNotBecomeWeakerWhileItIsInUse(t *testing.T) {
	path := cookieSecret(t, 32)
	store := new(secret.Store)
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), store)
	o := Options{CookieSecretFile: path, OAuthURL: "x", OAuthConfigFile: write(t, "oauth", "{client_id: a, client_secret: bbbbbbbb, redirect_url: 'https://d.example/'}")}
	access, err := newAccess(t.Context(), rt, &o, watchConfig(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = store.Run(t.Context(), rt.Log) }()
	before, err := access.sign.Sealer.Seal("x", 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var got int
	for _, weak := range []string{"", "a2s=", "%%%"} {
		if err := os.WriteFile(path, []byte(weak), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond)
		if err := access.sign.Sealer.Open("x", before, &got); err != nil {
			t.Fatalf("%q is used as the secret: %v", weak, err)
		}
	}
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("n"), 40))), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); access.sign.Sealer.Open("x", before, &got) == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a new secret is not used")
		}
	}
}

func TestASiteBelowAPath(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner := "http://" + listener.Addr().String()
	target, err := url.Parse(inner)
	if err != nil {
		t.Fatal(err)
	}
	// As an ingress does that strips a prefix.
	proxy := httptest.NewServer(http.StripPrefix("/deck", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}))
	defer proxy.Close()
	back := proxy.URL + "/deck/github-login/redirect"
	g := &guarded{forge: startForge(t, back)}
	g.site = startAt(t, listener, Options{
		OAuthURL: "yes", CookieSecretFile: cookieSecret(t, 32), AllowInsecure: true, RerunCreatesJob: true,
		OAuthConfigFile: write(t, "oauth", "client_id: deck\nclient_secret: a-secret-of-deck\nredirect_url: "+back+"\nbase_url: "+g.forge+"\n"),
		GitHub:          github.Flags{Endpoints: []string{g.forge + "/api/v3"}},
	}, deckWith("rerun_auth_configs: {'*': {github_users: [alice]}}"))
	g.job("p", nil)
	g.eventually("/prowjobs.js", `"p"`)
	g.url = proxy.URL
	v := g.visitor()
	page := v.get("/deck/run/p/rerun")
	contains(t, "the page", page.body, `href="../../sign-in?dest=run%2fp%2frerun"`)
	for _, dest := range []string{"run/p/rerun", "/deck/run/p/rerun"} {
		got := v.get(v.consent(v.get("/deck/github-login?dest="+url.QueryEscape(dest)), "alice"))
		if got.Header.Get("Location") != proxy.URL+"/deck/run/p/rerun" {
			t.Errorf("%s leads to %q: %s", dest, got.Header.Get("Location"), got.body)
		}
	}
	got := v.post("/deck/rerun?prowjob=p", nil)
	to, err := got.Location()
	if err != nil || !strings.HasPrefix(to.String(), proxy.URL+"/deck/run/") {
		t.Errorf("%s: %v", got.Status, to)
	}
	if done := v.get(to.String()); done.StatusCode != http.StatusOK || !strings.Contains(done.body, "this is the new run") || !strings.Contains(done.body, "alice reran p.") {
		t.Errorf("%s: %s", done.Status, done.body)
	}
	if got := v.post("/deck/sign-out", nil); got.Header.Get("Location") != "./" {
		t.Errorf("%s", got.Header.Get("Location"))
	}
}
