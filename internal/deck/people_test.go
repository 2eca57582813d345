package deck

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/plugins/pluginconfig"
)

// guarded is a Deck to which people sign in with their accounts of a local forge:
//
//	org o: alice owns it, bob is a member, robot is the bot; team leads: bob
//	org friends: fred
//	o/r: wendy is a collaborator; stranger is nobody
type guarded struct {
	*site
	forge string
}

func token(login string) string { return "token-of-" + login }

// startForge serves a forge with those people; back is where the OAuth App sends them.
func startForge(t testing.TB, back string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forge, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), BaseURL: "http://" + listener.Addr().String(), AnonymousRead: true, SignIn: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: forge.Handler()}
	go func() { _ = server.Serve(listener) }()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- forge.Run(ctx) }()
	t.Cleanup(func() {
		_ = server.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := forge.Close(); err != nil {
			t.Error(err)
		}
	})
	seed := local.Seed{
		Users: []local.User{{Login: "alice"}, {Login: "bob"}, {Login: "wendy"}, {Login: "fred"}, {Login: "stranger"}, {Login: "ann"}, {Login: "robot", Bot: true}},
		Orgs: []local.SeedOrg{
			{Org: local.Org{Login: "o"}, Members: map[string]string{"alice": "admin", "bob": "member", "robot": "admin"}, Teams: []local.Team{{Name: "leads", Members: []string{"bob"}}}},
			{Org: local.Org{Login: "friends"}, Members: map[string]string{"fred": "member", "robot": "admin"}},
		},
		Repos:     []local.SeedRepo{{Repo: local.Repo{Owner: "o", Name: "r"}, Collaborators: map[string]string{"wendy": "write"}}},
		OAuthApps: []local.OAuthApp{{ClientID: "deck", ClientSecret: "a-secret-of-deck", Owner: "o", CallbackURL: back}},
	}
	for _, u := range seed.Users {
		seed.Tokens = append(seed.Tokens, local.SeedToken{Login: u.Login, Token: token(u.Login)})
	}
	if err := forge.Apply(t.Context(), seed); err != nil {
		t.Fatal(err)
	}
	return "http://" + listener.Addr().String()
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func cookieSecret(t testing.TB, size int) string {
	return write(t, "cookie", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", size)))+"\n")
}

// startGuarded serves a Deck and its forge; extra is appended to the configuration, of
// which plugins is that of plugins.
func startGuarded(t testing.TB, change func(*Options), extra, plugins string) *guarded {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back := "http://" + listener.Addr().String() + "/github-login/redirect"
	g := &guarded{forge: startForge(t, back)}
	o := Options{
		OAuthURL: "yes", CookieSecretFile: cookieSecret(t, 32), AllowInsecure: true, RerunCreatesJob: true,
		OAuthConfigFile: write(t, "oauth", "client_id: deck\nclient_secret: a-secret-of-deck\nredirect_url: "+back+"\nscopes: [read:org]\nbase_url: "+g.forge+"\nfinal_redirect_url: ignored\n"),
		GitHub:          github.Flags{Endpoints: []string{g.forge + "/api/v3"}, GraphQLEndpoint: g.forge + "/api/graphql", TokenPath: write(t, "token", token("robot"))},
		Plugins:         pluginconfig.Options{Path: write(t, "plugins.yaml", plugins), SupplementalSuffix: pluginconfig.DefaultSuffix},
	}
	if change != nil {
		change(&o)
	}
	g.site = startAt(t, listener, o, extra)
	return g
}

// as asks the forge for somebody.
func (g *guarded) as(login string) *gogithub.Client {
	g.t.Helper()
	client, err := gogithub.NewClient(nil).WithAuthToken(token(login)).WithEnterpriseURLs(g.forge, g.forge)
	if err != nil {
		g.t.Fatal(err)
	}
	return client
}

// visitor is a browser.
type visitor struct {
	t    testing.TB
	g    *guarded
	http *http.Client
}

func (g *guarded) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &visitor{g.t, g, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// send sends a request as a browser on a page of the site does, unless headers say else.
func (v *visitor) send(method, address string, form url.Values, headers ...string) answer {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.g.url + address
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", v.g.url)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

func (v *visitor) get(path string, headers ...string) answer {
	v.t.Helper()
	return v.send(http.MethodGet, path, nil, headers...)
}

func (v *visitor) post(path string, form url.Values, headers ...string) answer {
	v.t.Helper()
	return v.send(http.MethodPost, path, form, headers...)
}

// consent is what the forge answers when the visitor, who is login there, says yes.
func (v *visitor) consent(start answer, login string) string {
	v.t.Helper()
	to, err := start.Location()
	if err != nil {
		v.t.Fatalf("%s: %s", start.Status, start.body)
	}
	forge, err := url.Parse(v.g.forge)
	if err != nil {
		v.t.Fatal(err)
	}
	v.http.Jar.SetCookies(forge, []*http.Cookie{{Name: "forge_user", Value: login, Path: "/"}})
	answered := v.send(http.MethodPost, to.String(), url.Values{"allow": {"yes"}}, "Origin", v.g.forge)
	back, err := answered.Location()
	if err != nil {
		v.t.Fatalf("the forge says %s: %s", answered.Status, answered.body)
	}
	return back.String()
}

// signIn is a visitor who has signed in.
func (g *guarded) signIn(login string) *visitor {
	g.t.Helper()
	v := g.visitor()
	if got := v.get(v.consent(v.get("/github-login"), login)); got.StatusCode != http.StatusFound {
		g.t.Fatalf("%s: %s", got.Status, got.body)
	}
	return v
}

func (v *visitor) cookie(name string) string {
	u, err := url.Parse(v.g.url)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
