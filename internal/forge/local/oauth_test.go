package local

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// signIn is a person who answers the question of the page of consent.
func (w *world) signIn(login, address, answer string) *url.URL {
	w.t.Helper()
	base, err := url.Parse("http://" + w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, base.ResolveReference(u).String(), strings.NewReader("allow="+answer))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", base.String())
	if login != "" {
		req.AddCookie(&http.Cookie{Name: userCookie, Value: login})
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		body, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("%s: %s", resp.Status, body)
	}
	to, err := resp.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	return to
}

func TestPeopleSignInToPrograms(t *testing.T) {
	w := newWorld(t)
	app := OAuthApp{ClientID: "deck", ClientSecret: "a-secret-of-deck", Name: "Deck <b>", Owner: "boss", CallbackURL: "https://deck.example/github-login/redirect"}
	for range 2 {
		if err := w.forge.Apply(t.Context(), Seed{OAuthApps: []OAuthApp{app, {ClientID: "other", ClientSecret: "another-secret", Owner: "boss", CallbackURL: "https://other.example/"}}}); err != nil {
			t.Fatal(err)
		}
	}
	config := func(id, secret string) *oauth2.Config {
		return &oauth2.Config{
			ClientID: id, ClientSecret: secret, RedirectURL: app.CallbackURL + "?dest=pr", Scopes: []string{"read:org"},
			Endpoint: oauth2.Endpoint{AuthURL: "http://" + w.addr + "/login/oauth/authorize", TokenURL: "http://" + w.addr + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
		}
	}
	deck := config("deck", "a-secret-of-deck")

	resp, err := http.Get(deck.AuthCodeURL("s"))
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if !strings.Contains(string(page), "Deck &lt;b&gt;") || !strings.Contains(string(page), "read:org") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "form-action 'self' https://deck.example;") {
		t.Errorf("%s\n%s", resp.Header, page)
	}

	verifier := oauth2.GenerateVerifier()
	code := func() string {
		to := w.signIn("dev", deck.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier)), "yes")
		if to.Host != "deck.example" || to.Query().Get("dest") != "pr" || to.Query().Get("state") != "the state" {
			t.Fatalf("sent to %s", to)
		}
		return to.Query().Get("code")
	}
	token, err := deck.Exchange(t.Context(), code(), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	who := func(token string) (string, string, int) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addr+"/api/v3/user", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body), resp.Header.Get("X-OAuth-Scopes"), resp.StatusCode
	}
	if body, scopes, _ := who(token.AccessToken); !strings.Contains(body, `"login":"dev"`) || scopes != "read:org" {
		t.Errorf("scopes %q: %s", scopes, body)
	}

	t.Run("a code is good once, for its program, its callback and its verifier", func(t *testing.T) {
		once := code()
		if _, err := deck.Exchange(t.Context(), once, oauth2.VerifierOption(verifier)); err != nil {
			t.Fatal(err)
		}
		moved := config("deck", "a-secret-of-deck")
		moved.RedirectURL = app.CallbackURL
		for name, try := range map[string]func() error{
			"twice":              func() error { _, err := deck.Exchange(t.Context(), once, oauth2.VerifierOption(verifier)); return err },
			"no verifier":        func() error { _, err := deck.Exchange(t.Context(), code()); return err },
			"a wrong secret":     func() error { _, err := config("deck", "guessed").Exchange(t.Context(), code()); return err },
			"an unknown program": func() error { _, err := config("no", "guessed").Exchange(t.Context(), code()); return err },
			"a different program": func() error {
				_, err := config("other", "another-secret").Exchange(t.Context(), code(), oauth2.VerifierOption(verifier))
				return err
			},
			"another callback": func() error {
				_, err := moved.Exchange(t.Context(), code(), oauth2.VerifierOption(verifier))
				return err
			},
			"a code that was never": func() error { _, err := deck.Exchange(t.Context(), "guess"); return err },
		} {
			if err := try(); err == nil {
				t.Errorf("%s: a token is given", name)
			}
		}
	})
	t.Run("nobody is sent to where the program is not", func(t *testing.T) {
		for _, wish := range []string{"https://evil.example/", "https://deck.example/", "https://deck.example/github-login/redirect/../..", "http://deck.example/github-login/redirect", "https://deck.example@evil.example/github-login/redirect", "https://deck.example/github-login/redirectevil"} {
			to := w.signIn("dev", "/login/oauth/authorize?client_id=deck&state=s&redirect_uri="+url.QueryEscape(wish), "yes")
			if to.Host != "deck.example" || to.Path != "/github-login/redirect" || to.Query().Get("error") != "redirect_uri_mismatch" || to.Query().Has("code") {
				t.Errorf("%s: sent to %s", wish, to)
			}
		}
	})
	t.Run("who says no is believed", func(t *testing.T) {
		if to := w.signIn("dev", deck.AuthCodeURL("s"), "no"); to.Query().Get("error") != "access_denied" || to.Query().Has("code") {
			t.Errorf("sent to %s", to)
		}
	})
	t.Run("without scopes there are none", func(t *testing.T) {
		plain := config("deck", "a-secret-of-deck")
		plain.Scopes = nil
		got, err := plain.Exchange(t.Context(), w.signIn("boss", plain.AuthCodeURL("s"), "yes").Query().Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		if _, scopes, code := who(got.AccessToken); scopes != "" || code != http.StatusOK {
			t.Errorf("%d, scopes %q", code, scopes)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://"+w.addr+"/api/v3/orgs/acme", strings.NewReader(`{"name":"x"}`))
		req.Header.Set("Authorization", "Bearer "+got.AccessToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("an owner's token without scopes changes the org: %s", resp.Status)
		}
	})
	t.Run("nothing usable is in the database", func(t *testing.T) {
		n, err := w.forge.read(t.Context()).count("SELECT count(*) FROM oauth_apps WHERE secret = 'a-secret-of-deck'")
		if err != nil || n != 0 {
			t.Errorf("%d %v", n, err)
		}
	})
}
