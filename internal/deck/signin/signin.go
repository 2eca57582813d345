package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"prow/internal/deck/seal"
	"prow/internal/forge/github"
)

// The cookies. Their names are those that scripts and people know.
const (
	sessionCookie = "access-token-session"
	stateCookie   = "oauth-session"
	loginCookie   = "github_login"
)

const (
	// stateLife is how long a sign-in may take.
	stateLife = 10 * time.Minute
	// sessionLife is how long a session with GitHub lasts, which is asked whether it
	// still stands whenever something is to be done.
	sessionLife = 30 * 24 * time.Hour
	// askTimeout bounds the questions to a provider.
	askTimeout = 15 * time.Second
)

// ErrNotSignedIn says that nobody has signed in, or no longer.
var ErrNotSignedIn = errors.New("nobody is signed in")

// User is somebody who has signed in.
type User struct {
	// Name is the login at GitHub, or "oidc:" and the name at another provider.
	Name string
	// Account is the account at GitHub as GitHub tells it; nil where only the name is
	// known, or the user is not one of GitHub.
	Account *github.User
	// Forge tells that the name is a login of GitHub.
	Forge bool
}

// Options say how to sign in.
type Options struct {
	// Config is the file as it is now.
	Config func() *Config
	Sealer *seal.Sealer
	// Insecure lets cookies travel by plain HTTP.
	Insecure bool
	// GitHubHost is where people sign in unless the file says otherwise.
	GitHubHost string
	// Client makes the client that acts with a user's token.
	Client func(token string) (*github.Client, error)
	Log    *slog.Logger
}

// Agent signs people in and tells who they are.
type Agent struct {
	Options
	http *http.Client

	mu sync.Mutex
	// provider is that of the issuer; it is found when it is first needed, because
	// the pages do not depend on it.
	provider *oidc.Provider
	issuer   string
}

// New returns an agent.
func New(o Options) *Agent { return &Agent{Options: o, http: &http.Client{Timeout: askTimeout}} }

// Provider is a way to sign in.
type Provider struct {
	// Name is for people, Path what leads there from the root of the site.
	Name, Path string
}

// Providers are the ways to sign in.
func (a *Agent) Providers() []Provider {
	cfg := a.Config()
	var out []Provider
	if cfg.GitHub() {
		out = append(out, Provider{"GitHub", "github-login"})
	}
	if cfg.OIDC != nil {
		out = append(out, Provider{cfg.OIDC.Name, "oidc-login"})
	}
	return out
}

// session is what the cookie holds.
type session struct {
	Name string `json:"n"`
	// Token is GitHub's; empty for others.
	Token string `json:"t,omitempty"`
	Forge bool   `json:"f,omitempty"`
}

func (a *Agent) session(r *http.Request) (out session, ok bool) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return out, false
	}
	return out, a.Sealer.Open(sessionCookie, c.Value, &out) == nil && out.Name != ""
}

// Claimed is how the visitor was called when they signed in; empty for others. It is
// for pages only: whether it still holds is for Who.
func (a *Agent) Claimed(r *http.Request) string {
	s, _ := a.session(r)
	return s.Name
}

// Who tells who sends a request, or ErrNotSignedIn.
func (a *Agent) Who(ctx context.Context, r *http.Request) (*User, error) {
	s, ok := a.session(r)
	if !ok {
		return nil, ErrNotSignedIn
	}
	if s.Token == "" {
		return &User{Name: s.Name, Forge: s.Forge}, nil
	}
	user, _, err := a.ask(ctx, s.Token)
	return user, err
}

// Acting tells who sends a request, and returns a client that acts for them on GitHub.
// Of those who signed in elsewhere it is nil.
func (a *Agent) Acting(ctx context.Context, r *http.Request) (*User, *github.Client, error) {
	s, ok := a.session(r)
	switch {
	case !ok:
		return nil, nil, ErrNotSignedIn
	case s.Token == "":
		return &User{Name: s.Name, Forge: s.Forge}, nil, nil
	}
	return a.ask(ctx, s.Token)
}

// ask asks GitHub whose token it is.
func (a *Agent) ask(ctx context.Context, token string) (*User, *github.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := a.Client(token)
	if err != nil {
		return nil, nil, err
	}
	account, err := client.BotUser(ctx)
	switch {
	case github.StatusCode(err) == http.StatusUnauthorized:
		return nil, nil, fmt.Errorf("%w: GitHub no longer takes the token", ErrNotSignedIn)
	case err != nil:
		return nil, nil, err
	case account.Login == "":
		return nil, nil, errors.New("GitHub does not tell the login of the user")
	}
	return &User{Name: account.Login, Account: account, Forge: true}, client, nil
}

// pending is a sign-in that has begun.
type pending struct {
	Provider string `json:"p"`
	State    string `json:"s"`
	Dest     string `json:"d"`
	Redirect string `json:"r"`
	Verifier string `json:"v"`
	Nonce    string `json:"n,omitempty"`
}

func randomHex() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// StartGitHub sends the visitor to GitHub.
func (a *Agent) StartGitHub(w http.ResponseWriter, r *http.Request) {
	cfg := a.Config()
	if !cfg.GitHub() {
		http.NotFound(w, r)
		return
	}
	p := pending{Provider: "github", State: randomHex(), Dest: SafeDestination(r.FormValue("dest")), Redirect: cfg.RedirectURL, Verifier: oauth2.GenerateVerifier()}
	if u, err := url.Parse(cfg.RedirectURL); err == nil && p.Dest != "" {
		query := u.Query()
		query.Set("dest", p.Dest)
		u.RawQuery = query.Encode()
		p.Redirect = u.String()
	}
	oc := a.githubConfig(cfg, p.Redirect)
	a.begin(w, r, p, oc.AuthCodeURL(p.State, oauth2.AccessTypeOnline, oauth2.SetAuthURLParam("prompt", "consent"), oauth2.S256ChallengeOption(p.Verifier)))
}

func (a *Agent) githubConfig(cfg *Config, redirect string) *oauth2.Config {
	base := strings.TrimRight(cfg.BaseURL, "/")
	if base == "" {
		base = "https://" + a.GitHubHost
	}
	return &oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, RedirectURL: redirect, Scopes: cfg.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: base + "/login/oauth/authorize", TokenURL: base + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
	}
}

func (a *Agent) begin(w http.ResponseWriter, r *http.Request, p pending, to string) {
	text, err := a.Sealer.Seal(stateCookie, p, stateLife)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.set(w, stateCookie, text, stateLife)
	noStore(w)
	http.Redirect(w, r, to, http.StatusFound)
}

// FinishGitHub takes the visitor back from GitHub.
func (a *Agent) FinishGitHub(w http.ResponseWriter, r *http.Request) {
	cfg := a.Config()
	p, err := a.finish(w, r, "github")
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), oauth2.HTTPClient, a.http), askTimeout)
	defer cancel()
	token, err := a.githubConfig(cfg, p.Redirect).Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		a.fail(w, r, fmt.Errorf("GitHub gives no token for the code: %w", err))
		return
	}
	user, _, err := a.ask(ctx, token.AccessToken)
	if err != nil {
		a.fail(w, r, fmt.Errorf("who has signed in: %w", err))
		return
	}
	if !a.enter(w, r, session{Name: user.Name, Token: token.AccessToken, Forge: true}, sessionLife) {
		return
	}
	// Scripts of pages read this one; nothing trusts it.
	http.SetCookie(w, &http.Cookie{Name: loginCookie, Value: user.Name, Path: "/", MaxAge: int(sessionLife.Seconds()), Secure: !a.Insecure, SameSite: http.SameSiteLaxMode})
	a.leave(w, r, pathOf(cfg.RedirectURL, githubBack), p.Dest)
}

// finish checks that the answer of a provider is one to the visitor's own question.
func (a *Agent) finish(w http.ResponseWriter, r *http.Request, provider string) (p pending, err error) {
	noStore(w)
	c, err := r.Cookie(stateCookie)
	if err != nil {
		return p, errors.New("the sign-in did not begin in this browser, or took too long")
	}
	if err := a.Sealer.Open(stateCookie, c.Value, &p); err != nil {
		return p, fmt.Errorf("the sign-in did not begin here, or took too long: %w", err)
	}
	state := r.FormValue("state")
	if p.Provider != provider || state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(p.State)) != 1 {
		return p, errors.New("the answer is not one to the question of this browser")
	}
	a.set(w, stateCookie, "", -1) // it is good once
	if refused := r.FormValue("error"); refused != "" {
		return p, &refusedError{refused, r.FormValue("error_description")}
	}
	return p, nil
}

// refusedError is what a provider says instead of a code.
type refusedError struct{ code, description string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("the provider does not sign in: %q (%q)", e.code, e.description)
}

func (a *Agent) enter(w http.ResponseWriter, r *http.Request, s session, life time.Duration) bool {
	text, err := a.Sealer.Seal(sessionCookie, s, life)
	if err != nil {
		a.fail(w, r, err)
		return false
	}
	a.set(w, sessionCookie, text, life)
	a.Log.InfoContext(r.Context(), "somebody signed in", "user", s.Name)
	return true
}

func (a *Agent) leave(w http.ResponseWriter, r *http.Request, path, dest string) {
	scheme := "https"
	if a.Insecure {
		scheme = "http"
	}
	// A destination may have the path of the site already, as the address bar has it.
	if rest, ok := strings.CutPrefix("/"+dest, path+"/"); ok && path != "" {
		dest = rest
	}
	w.Header().Set("Location", scheme+"://"+r.Host+path+"/"+dest)
	w.WriteHeader(http.StatusFound)
}

// SignOut forgets who the visitor is.
func (a *Agent) SignOut(w http.ResponseWriter, r *http.Request) {
	if name := a.Claimed(r); name != "" {
		a.Log.InfoContext(r.Context(), "somebody signed out", "user", name)
	}
	a.Forget(w)
	noStore(w)
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
}

// Forget takes the cookies back.
func (a *Agent) Forget(w http.ResponseWriter) {
	for _, name := range []string{sessionCookie, stateCookie, loginCookie} {
		a.set(w, name, "", -1)
	}
}

func (a *Agent) set(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life.Seconds())
	if life < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: !a.Insecure, SameSite: http.SameSiteLaxMode})
}

func (a *Agent) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusedError
	level := slog.LevelWarn
	if errors.As(err, &refused) && refused.code == "access_denied" {
		level = slog.LevelDebug // the visitor has thought better of it
	}
	a.Log.Log(r.Context(), level, "a sign-in failed", "error", err)
	noStore(w)
	text := "The sign-in failed: begin again at the page you came from. The log of this program tells why."
	if refused != nil {
		text = "The sign-in was refused: " + fmt.Sprintf("%.200q", refused.code)
	}
	http.Error(w, text, http.StatusInternalServerError)
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, must-revalidate")
	w.Header().Set("Expires", "0")
}
