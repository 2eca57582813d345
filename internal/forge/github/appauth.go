package github

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/githubapp"
)

// Fields that tell a caching proxy what a request is charged to, and how long
// its token is good.
const (
	tokenExpiryField = "X-PROW-TOKEN-EXPIRES-AT"
	tokenBudgetField = "X-PROW-GHCACHE-TOKEN-BUDGET-IDENTIFIER"
)

// tokenReserve is how long a token must still be good to be used.
const tokenReserve = time.Minute

// maxAppAnswer bounds an answer about the app itself, in bytes.
const maxAppAnswer = 8 << 20

// AppAuth authenticates requests as a GitHub App: those about the app itself
// with a token it signs, all others with the token of its installation in the
// org they are about. It is safe for concurrent use, and may be shared by clients.
type AppAuth struct {
	id  string
	key func() (*rsa.PrivateKey, error)
	now func() time.Time
	// censor learns every token of an installation, so that logs do not tell it.
	censor func(token string, until time.Time)

	slug  lookup[string]
	mu    sync.Mutex
	known map[string]*installation // by login in lower case
	list  sync.Mutex               // held while installations are listed
}

// installation is where the app may act.
type installation struct {
	id    int64
	token lookup[installationToken]
}

type installationToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// lookup is a value that is asked for once at a time.
type lookup[T any] struct {
	turn  chan struct{} // of size 1
	once  sync.Once
	value *T
}

// get returns the value while it is good, else asks for a new one. Those who
// wait for somebody else's question give up with their own context.
func (l *lookup[T]) get(ctx context.Context, good func(T) bool, ask func() (T, error)) (T, error) {
	l.once.Do(func() { l.turn = make(chan struct{}, 1) })
	var none T
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	if l.value != nil && good(*l.value) {
		return *l.value, nil
	}
	v, err := ask()
	if err != nil {
		return none, err
	}
	l.value = &v
	return v, nil
}

// NewAppAuth authenticates as the app of the id. key gives its private key, and
// is called for each token the app signs. censor is told of the tokens the app
// gets, and until when they are good; it may be nil.
func NewAppAuth(id string, key func() (*rsa.PrivateKey, error), censor func(token string, until time.Time)) *AppAuth {
	if censor == nil {
		censor = func(string, time.Time) {}
	}
	return &AppAuth{id: id, key: key, now: time.Now, censor: censor, known: map[string]*installation{}}
}

type orgKey struct{}

// WithOrg says which org requests are about that do not name one in their path,
// such as searches.
func WithOrg(ctx context.Context, org string) context.Context {
	return context.WithValue(ctx, orgKey{}, org)
}

// orgOf is the org a request is about; "" if it is about none.
func orgOf(ctx context.Context, path string) string {
	if org, _ := ctx.Value(orgKey{}).(string); org != "" {
		return org
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if first != "repos" && first != "orgs" {
		return ""
	}
	org, _, _ := strings.Cut(rest, "/")
	return org
}

var ofInstallation = regexp.MustCompile(`^/repos/[^/]+/[^/]+/installation$`)

// appTransport puts the app's tokens on requests to the forge's hosts.
type appTransport struct {
	auth  *AppAuth
	bases []*url.URL
	hosts map[string]bool
	next  http.RoundTripper
}

func (t *appTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.hosts[req.URL.Host] {
		return t.next.RoundTrip(req)
	}
	base, path := t.split(req.URL)
	c := &appCall{auth: t.auth, base: base, next: t.next}
	req = req.Clone(req.Context())
	if path == "/app" || strings.HasPrefix(path, "/app/") || ofInstallation.MatchString(path) {
		if err := c.asApp(req, path); err != nil {
			return nil, &tokenError{err}
		}
		return t.next.RoundTrip(req)
	}
	org := orgOf(req.Context(), path)
	if org == "" {
		return nil, &tokenError{fmt.Errorf("%s %s names no org, so no installation of the app can speak for it; this is a mistake in the program, please report it", req.Method, path)}
	}
	forget, err := c.asInstallation(req, org)
	if err != nil {
		return nil, &tokenError{err}
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		forget() // it was revoked; the next request asks for another
	}
	return resp, err
}

// split takes the base of an endpoint from a URL. GraphQL has a place of its own;
// what has to be asked about the app is asked at the first endpoint then.
func (t *appTransport) split(u *url.URL) (base *url.URL, path string) {
	for _, b := range t.bases {
		prefix := strings.TrimSuffix(b.Path, "/")
		if b.Host == u.Host && strings.HasPrefix(u.Path, prefix+"/") {
			return b, strings.TrimPrefix(u.Path, prefix)
		}
	}
	return t.bases[0], u.Path
}

// appCall asks about the app on the way to an endpoint.
type appCall struct {
	auth *AppAuth
	base *url.URL
	next http.RoundTripper
}

// asApp signs a request as the app itself.
func (c *appCall) asApp(req *http.Request, path string) error {
	budget := c.auth.id
	if path != "/app" {
		slug, err := c.slug(req.Context())
		if err != nil {
			return err
		}
		budget = slug
	}
	return c.sign(req, budget)
}

func (c *appCall) sign(req *http.Request, budget string) error {
	now := c.auth.now().UTC()
	key, err := c.auth.key()
	if err != nil {
		return err
	}
	token, err := githubapp.Token(c.auth.id, key, now, now.Add(appTokenLife))
	if err != nil {
		return err
	}
	set(req, token, now.Add(appTokenLife), budget)
	return nil
}

func set(req *http.Request, token string, expires time.Time, budget string) {
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set(tokenExpiryField, expires.UTC().Format(time.RFC3339))
	req.Header.Set(tokenBudgetField, budget)
}

// asInstallation puts the token of the org's installation on a request. forget
// makes the next request ask for a new one.
func (c *appCall) asInstallation(req *http.Request, org string) (forget func(), err error) {
	ctx := req.Context()
	slug, err := c.slug(ctx)
	if err != nil {
		return nil, err
	}
	in, err := c.installation(ctx, org)
	if err != nil {
		return nil, err
	}
	good := func(t installationToken) bool { return t.ExpiresAt.Sub(c.auth.now()) > tokenReserve }
	token, err := in.token.get(ctx, good, func() (out installationToken, err error) {
		err = c.ask(ctx, http.MethodPost, "/app/installations/"+strconv.FormatInt(in.id, 10)+"/access_tokens", slug, &out)
		if err == nil && out.Token == "" {
			err = errors.New("the answer holds no token")
		}
		if err != nil {
			return out, fmt.Errorf("get a token for the app's installation in %s: %w", org, err)
		}
		c.auth.censor(out.Token, out.ExpiresAt)
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	set(req, token.Token, token.ExpiresAt, slug+" - "+org)
	return func() { c.forget(ctx, in, token) }, nil
}

func (c *appCall) forget(ctx context.Context, in *installation, token installationToken) {
	// The error is that of the context: then nobody asks any more.
	_, _ = in.token.get(ctx, func(t installationToken) bool { return t.Token != token.Token }, func() (installationToken, error) {
		return installationToken{}, nil
	})
}

// slug is the name of the app in URLs and logins.
func (c *appCall) slug(ctx context.Context) (string, error) {
	return c.auth.slug.get(ctx, func(string) bool { return true }, func() (string, error) {
		var app struct {
			Slug string `json:"slug"`
		}
		if err := c.ask(ctx, http.MethodGet, "/app", c.auth.id, &app); err != nil {
			return "", fmt.Errorf("ask about the app %s: %w", c.auth.id, err)
		}
		return app.Slug, nil
	})
}

// installation finds where the app may act for an org. A login that is not
// known makes it list all installations again, once at a time.
func (c *appCall) installation(ctx context.Context, org string) (*installation, error) {
	if in := c.auth.lookup(org); in != nil {
		return in, nil
	}
	c.auth.list.Lock()
	defer c.auth.list.Unlock()
	if in := c.auth.lookup(org); in != nil {
		return in, nil
	}
	slug, err := c.slug(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for page := 1; page > 0; {
		var list []Installation
		if err := c.ask(ctx, http.MethodGet, "/app/installations?per_page=100&page="+strconv.Itoa(page), slug, &list); err != nil {
			return nil, fmt.Errorf("list the installations of the app: %w", err)
		}
		for _, in := range list {
			found[strings.ToLower(in.Account.Login)] = in.ID
		}
		if page++; len(list) < 100 {
			page = 0
		}
	}
	c.auth.replace(found)
	if in := c.auth.lookup(org); in != nil {
		return in, nil
	}
	return nil, fmt.Errorf("the GitHub App %s is not installed in the organization %s", slug, org)
}

func (a *AppAuth) lookup(org string) *installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[strings.ToLower(org)]
}

// replace takes over a list and keeps the tokens of installations that are still in it.
func (a *AppAuth) replace(found map[string]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	byID := map[int64]*installation{}
	for _, in := range a.known {
		byID[in.id] = in
	}
	a.known = make(map[string]*installation, len(found))
	for login, id := range found {
		if byID[id] == nil {
			byID[id] = &installation{id: id}
		}
		a.known[login] = byID[id]
	}
}

// ask sends a request as the app itself.
func (c *appCall) ask(ctx context.Context, method, path, budget string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base.String(), "/")+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.github.v3+json")
	req.Header.Set("X-GitHub-Api-Version", apiVersion)
	if err := c.sign(req, budget); err != nil {
		return err
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAppAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, firstBytes(raw, 500))
	}
	return json.Unmarshal(raw, out)
}

// Token is a token for an org, for programs such as git that authenticate by themselves.
func (a *AppAuth) Token(ctx context.Context, endpoint *url.URL, next http.RoundTripper, org string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	if err != nil {
		return "", err
	}
	c := &appCall{auth: a, base: endpoint, next: next}
	if _, err := c.asInstallation(req, org); err != nil {
		return "", err
	}
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), nil
}
