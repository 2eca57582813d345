package signin

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"sigs.k8s.io/yaml"

	"prow/internal/deck/seal"
)

// issuer is a provider of OpenID Connect that signs in whoever asks. change may spoil
// the claims of the next token, and with signs it by other means.
type issuer struct {
	t      *testing.T
	url    string
	key    *rsa.PrivateKey
	mu     sync.Mutex
	asked  url.Values
	code   string
	claims map[string]any
	change func(map[string]any)
	with   *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, claims: map[string]any{"email": "ann@example.com", "email_verified": true, "preferred_username": "Ann", "sub": "4711"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": i.url, "authorization_endpoint": i.url + "/auth", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked, i.code = r.URL.Query(), rand.Text()
		http.Redirect(w, r, i.asked.Get("redirect_uri")+"?"+url.Values{"code": {i.code}, "state": {i.asked.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("/token", i.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if id != "deck" || secret != "s3cret" || i.code == "" || r.FormValue("code") != i.code || r.FormValue("redirect_uri") != i.asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != i.asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	i.code = ""
	claims := maps.Clone(i.claims)
	claims["iss"], claims["aud"], claims["nonce"] = i.url, "deck", i.asked.Get("nonce")
	claims["exp"], claims["iat"] = time.Now().Add(time.Hour).Unix(), time.Now().Unix()
	if i.change != nil {
		i.change(claims)
	}
	key := i.key
	if i.with != nil {
		key = i.with
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		i.t.Error(err)
		return
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		i.t.Error(err)
		return
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		i.t.Error(err)
		return
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Error(err)
		return
	}
	answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": text})
}

// oidcSite signs in by the issuer; more is added to its part of the file.
func oidcSite(t *testing.T, i *issuer, more map[string]any) (site string, agent *Agent) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	part := map[string]any{"issuer_url": i.url, "client_id": "deck", "client_secret": "s3cret", "redirect_url": server.URL + "/oidc-login/redirect"}
	maps.Copy(part, more)
	raw, err := yaml.Marshal(map[string]any{"oidc": part})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	agent = New(Options{Config: func() *Config { return cfg }, Sealer: seal.New(func() []byte { return []byte("k") }, time.Now), Insecure: true, Log: slog.New(slog.DiscardHandler)})
	mux.HandleFunc("/oidc-login", agent.StartOIDC)
	mux.HandleFunc("/oidc-login/redirect", agent.FinishOIDC)
	mux.HandleFunc("/github-login", agent.StartGitHub)
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		user, err := agent.Who(r.Context(), r)
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
			return
		}
		answer(w, user)
	})
	return server.URL, agent
}

// visit signs in and tells who the site thinks it is.
func visit(t *testing.T, site string) (who string, code int, at string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	resp, err := client.Get(site + "/oidc-login?dest=who%3Fx%3D1")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	code, at = resp.StatusCode, resp.Request.URL.String()
	if resp, err = client.Get(site + "/who"); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body)), code, at
}

func TestOpenIDConnect(t *testing.T) {
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	for name, test := range map[string]struct {
		more   map[string]any
		change func(map[string]any)
		with   *rsa.PrivateKey
		want   string
	}{
		"by mail":                           {want: `{"Name":"oidc:ann@example.com","Account":null,"Forge":false}`},
		"by subject":                        {more: map[string]any{"user_claim": "sub"}, want: `{"Name":"oidc:4711","Account":null,"Forge":false}`},
		"by a claim with logins of GitHub":  {more: map[string]any{"user_claim": "preferred_username", "github_logins": true}, want: `{"Name":"ann","Account":null,"Forge":true}`},
		"a mail address nobody verified":    {change: set("email_verified", false)},
		"one told so as a text":             {change: set("email_verified", "false")},
		"no name":                           {change: set("email", nil)},
		"a name that is a number":           {change: set("email", 7)},
		"a name of two lines":               {change: set("email", "ann\nroot")},
		"a mail address as a login":         {more: map[string]any{"github_logins": true}},
		"a token for another program":       {change: set("aud", "other")},
		"a token for another sign-in":       {change: set("nonce", "other")},
		"a token of another issuer":         {change: set("iss", "https://evil.example")},
		"a token of yesterday":              {change: set("exp", time.Now().Add(-time.Hour).Unix())},
		"a token that somebody else signed": {with: stranger},
		"a secret that is wrong":            {more: map[string]any{"client_secret": "guessed"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.change, i.with = test.change, test.with
			site, _ := oidcSite(t, i, test.more)
			who, code, at := visit(t, site)
			if test.want == "" {
				if who != ErrNotSignedIn.Error() || code != http.StatusInternalServerError {
					t.Errorf("%d at %s: %s is signed in", code, at, who)
				}
				return
			}
			if who != test.want || code != http.StatusOK || at != site+"/who?x=1" {
				t.Errorf("%d at %s: %s", code, at, who)
			}
			if scope := i.asked.Get("scope"); scope != "openid profile email" || i.asked.Has("dest") || strings.Contains(i.asked.Get("redirect_uri"), "dest") {
				t.Errorf("asked for %v", i.asked)
			}
		})
	}
}

func TestAProviderThatIsAwayIsAskedAgain(t *testing.T) {
	i := newIssuer(t)
	site, agent := oidcSite(t, i, nil)
	cfg := agent.Config()
	away := cfg.OIDC.IssuerURL
	cfg.OIDC.IssuerURL = "http://127.0.0.1:1"
	if _, code, _ := visit(t, site); code != http.StatusInternalServerError {
		t.Errorf("%d", code)
	}
	cfg.OIDC.IssuerURL = away
	if who, _, _ := visit(t, site); !strings.Contains(who, "oidc:ann") {
		t.Errorf("%s", who)
	}
}

func TestParseConfig(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"an OAuth App":               {"client_id: a\nclient_secret: b\nredirect_url: https://deck.example/github-login/redirect\ncookie_secret: x\n", ""},
		"JSON":                       {`{"client_id":"a","client_secret":"b","redirect_url":"https://deck.example/github-login/redirect","scopes":["repo"]}`, ""},
		"nothing":                    {"", "client_id is missing\nclient_secret is missing\nredirect_url is missing"},
		"half":                       {"client_id: a\nredirect_url: deck\n", "client_secret is missing\nredirect_url: found \"deck\", expected an http or https URL"},
		"a provider alone":           {"oidc: {issuer_url: https://id.example, client_id: a, client_secret: b, redirect_url: https://deck.example/oidc-login/redirect}", ""},
		"a provider without address": {"oidc: {client_id: a, client_secret: b, redirect_url: https://deck.example/}", "oidc.issuer_url is missing"},
		"a session of no time":       {"oidc: {issuer_url: https://id.example, client_id: a, client_secret: b, redirect_url: https://d.example/, session: 0s}", "oidc.session: found 0s, expected a positive duration"},
	} {
		got := ""
		if _, err := ParseConfig([]byte(test.file)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestThePathOfTheSiteComesFromItsCallback(t *testing.T) {
	for redirect, want := range map[string]string{
		"https://deck.example/github-login/redirect":      "",
		"https://deck.example/deck/github-login/redirect": "/deck",
		"https://deck.example/elsewhere":                  "",
	} {
		if got := pathOf(redirect, githubBack); got != want {
			t.Errorf("%s: %q", redirect, got)
		}
	}
}

func FuzzSafeDestination(f *testing.F) {
	for _, seed := range []string{"pr?x=1", "//evil", `\\evil`, "https:evil", "/\t/evil", "%2f%2fevil", "a/../..//b", "?a=//b", "#x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := SafeDestination(text)
		u, err := url.Parse("https://deck.example/base/" + got)
		if err != nil || u.Host != "deck.example" || strings.HasPrefix(got, "/") || strings.ContainsAny(got, "\\\r\n\t\x00") || !strings.HasPrefix(u.ResolveReference(&url.URL{}).Path, "/base/") {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
