package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gogithub "github.com/google/go-github/v75/github"
)

// DefaultEndpoint and DefaultGraphQLEndpoint are github.com's.
const (
	DefaultHost            = "github.com"
	DefaultEndpoint        = "https://api.github.com"
	DefaultGraphQLEndpoint = "https://api.github.com/graphql"
)

// apiVersion is sent with every request.
const apiVersion = "2022-11-28"

// maxResponse bounds one response body in bytes.
const maxResponse = 64 << 20

// TokenSource gives the token for the next request; "" sends none. It is called
// once per request, so a rotated token takes effect at once.
type TokenSource func() (string, error)

// ClientOptions say how to reach a forge.
type ClientOptions struct {
	// Endpoints are REST bases in order of preference; a later one is tried when
	// a connection to an earlier one fails. Empty: DefaultEndpoint.
	Endpoints []string
	// GraphQLEndpoint is the URL of GraphQL. Empty: DefaultGraphQLEndpoint.
	GraphQLEndpoint string
	// Token authenticates; nil is anonymous.
	Token TokenSource
	// App authenticates as a GitHub App, instead of Token.
	App *AppAuth
	// UserAgent names the component and its version.
	UserAgent string
	// DryRun keeps every request that would change something from being sent.
	DryRun bool
	// Retry tunes retries and waits.
	Retry RetryPolicy
	// RequestTimeout bounds one HTTP request. Zero: 2 minutes.
	RequestTimeout time.Duration
	// Transport carries requests. Nil: http.DefaultTransport.
	Transport http.RoundTripper
	Logger    *slog.Logger
}

// Client calls a forge. It is safe for concurrent use.
type Client struct {
	rest    *gogithub.Client
	http    *http.Client
	graphql string
	agent   string
	dryRun  bool
	log     *slog.Logger
	bot     *botCache
	used    atomic.Bool
	// app tells that the client acts as a GitHub App.
	app bool
}

// botCache holds the client's own account once it has been asked for.
type botCache struct {
	mu   sync.Mutex
	user *User
}

// NewClient checks the options and builds a client; it sends nothing.
func NewClient(o ClientOptions) (*Client, error) {
	if len(o.Endpoints) == 0 {
		o.Endpoints = []string{DefaultEndpoint}
	}
	if o.GraphQLEndpoint == "" {
		o.GraphQLEndpoint = DefaultGraphQLEndpoint
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 2 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	bases := make([]*url.URL, 0, len(o.Endpoints))
	for _, e := range o.Endpoints {
		base, err := url.ParseRequestURI(e)
		if err != nil {
			return nil, fmt.Errorf("GitHub endpoint %q: %w", e, err)
		}
		base.Path = strings.TrimSuffix(base.Path, "/") + "/"
		bases = append(bases, base)
	}
	graphql, err := url.ParseRequestURI(o.GraphQLEndpoint)
	if err != nil {
		return nil, fmt.Errorf("GitHub GraphQL endpoint %q: %w", o.GraphQLEndpoint, err)
	}
	// A redirect to somewhere else gets no credential.
	hosts := map[string]bool{graphql.Host: true}
	for _, base := range bases {
		hosts[base.Host] = true
	}
	var authenticated http.RoundTripper = &authTransport{token: o.Token, hosts: hosts, next: o.Transport}
	if o.App != nil {
		authenticated = &appTransport{auth: o.App, bases: bases, hosts: hosts, next: o.Transport}
	}
	hc := &http.Client{
		Transport: &retryTransport{
			policy:  o.Retry.withDefaults(),
			bases:   bases,
			timeout: o.RequestTimeout,
			next:    authenticated,
			log:     o.Logger,
		},
	}
	rest := gogithub.NewClient(hc)
	rest.BaseURL = bases[0]
	rest.UserAgent = o.UserAgent
	// The retry transport knows the forge's limits; a second opinion would fail calls it means to wait for.
	rest.DisableRateLimitCheck = true
	return &Client{rest: rest, http: hc, graphql: o.GraphQLEndpoint, agent: o.UserAgent, dryRun: o.DryRun, log: o.Logger, bot: &botCache{}, app: o.App != nil}, nil
}

// For derives a client for a part of the component, such as a plugin: it is named
// in the User-Agent, and knows by itself whether it was used.
func (c *Client) For(part string) *Client {
	component, version, _ := strings.Cut(c.agent, "/")
	d := &Client{http: c.http, graphql: c.graphql, agent: component + "." + part + "/" + version, dryRun: c.dryRun, log: c.log, bot: c.bot, app: c.app}
	d.rest = gogithub.NewClient(c.http)
	d.rest.BaseURL, d.rest.UserAgent, d.rest.DisableRateLimitCheck = c.rest.BaseURL, d.agent, true
	return d
}

// Used tells whether a request was made through this very client.
func (c *Client) Used() bool { return c.used.Load() }

// DryRun tells whether the client keeps changes to itself.
func (c *Client) DryRun() bool { return c.dryRun }

// BotUser is the account under which the client acts, asked for once.
func (c *Client) BotUser(ctx context.Context) (*User, error) {
	c.bot.mu.Lock()
	defer c.bot.mu.Unlock()
	if c.bot.user != nil {
		return c.bot.user, nil
	}
	var u User
	if c.app {
		var app struct {
			Slug string `json:"slug"`
			Name string `json:"name"`
		}
		if err := c.get(ctx, "app", &app); err != nil {
			return nil, fmt.Errorf("who am I: %w", err)
		}
		u = User{Login: app.Slug, Name: app.Name, Email: app.Slug + "@users.noreply.github.com"}
	} else if err := c.get(ctx, "user", &u); err != nil {
		return nil, fmt.Errorf("who am I: %w", err)
	}
	c.bot.user = &u
	return &u, nil
}

// BotUserChecker returns a test for "is this login the bot"; logins are
// compared as accounts are, without regard to case, and with or without "[bot]".
func (c *Client) BotUserChecker(ctx context.Context) (func(login string) bool, error) {
	bot, err := c.BotUser(ctx)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(NormLogin(bot.Login), "[bot]")
	return func(login string) bool {
		return strings.TrimSuffix(NormLogin(login), "[bot]") == name
	}, nil
}

// path joins escaped elements; "a/b" as one element stays one element.
func path(elements ...string) string {
	escaped := make([]string, len(elements))
	for i, e := range elements {
		escaped[i] = url.PathEscape(e)
	}
	return strings.Join(escaped, "/")
}

// repoPath is repos/org/repo followed by escaped elements.
func repoPath(org, repo string, elements ...string) string {
	return path(append([]string{"repos", org, repo}, elements...)...)
}

// get reads one resource into out.
func (c *Client) get(ctx context.Context, path string, out any) error {
	_, err := c.do(ctx, http.MethodGet, path, nil, out)
	return err
}

// change sends a mutating request unless the client is in dry-run, where it is
// only logged and out stays as it is.
func (c *Client) change(ctx context.Context, method, path string, body, out any) error {
	if c.dryRun {
		c.log.InfoContext(ctx, "dry-run: not sent", "method", method, "path", path)
		return nil
	}
	_, err := c.do(ctx, method, path, body, out)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body, out any) (*gogithub.Response, error) {
	c.used.Store(true)
	req, err := c.rest.NewRequest(method, path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("X-GitHub-Api-Version", apiVersion)
	if out != nil {
		// go-github decodes straight from the wire; the limit keeps a broken server from filling memory.
		raw := &limitedBuffer{limit: maxResponse}
		resp, err := c.rest.Do(ctx, req, raw)
		if err != nil {
			return resp, fmt.Errorf("%s %s: %w", method, path, err)
		}
		if len(raw.data) > 0 {
			if err := json.Unmarshal(raw.data, out); err != nil {
				return resp, fmt.Errorf("%s %s: decode the answer: %w", method, path, err)
			}
		}
		return resp, nil
	}
	resp, err := c.rest.Do(ctx, req, nil)
	if err != nil {
		return resp, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return resp, nil
}

// list reads all pages of a list of T.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	return listUnder(ctx, c, path, query, func(raw json.RawMessage) (page []T, err error) {
		err = json.Unmarshal(raw, &page)
		return page, err
	})
}

// listUnder reads all pages and lets items find the list in each.
func listUnder[T any](ctx context.Context, c *Client, path string, query url.Values, items func(json.RawMessage) ([]T, error)) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	if !query.Has("per_page") {
		query.Set("per_page", "100")
	}
	var all []T
	for {
		var raw json.RawMessage
		resp, err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &raw)
		if err != nil {
			return all, err
		}
		if len(raw) > 0 {
			page, err := items(raw)
			if err != nil {
				return all, fmt.Errorf("GET %s: decode page: %w", path, err)
			}
			all = append(all, page...)
		}
		next := nextQuery(resp.Header.Get("Link"))
		if next == nil {
			return all, nil
		}
		query = next
	}
}

// nextQuery is the query of the rel="next" link, nil without one. The host and
// path of the link are not used: pages always come from the endpoint that was asked.
func nextQuery(link string) url.Values {
	for part := range strings.SplitSeq(link, ",") {
		target, rel, ok := strings.Cut(part, ";")
		if !ok || !strings.Contains(rel, `rel="next"`) {
			continue
		}
		u, err := url.Parse(strings.Trim(strings.TrimSpace(target), "<>"))
		if err != nil {
			return nil
		}
		return u.Query()
	}
	return nil
}

// limitedBuffer refuses more than limit bytes.
type limitedBuffer struct {
	data  []byte
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.limit {
		return 0, fmt.Errorf("answer is larger than %d bytes", b.limit)
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// Query runs a GraphQL query for an org and decodes its data into out. Where
// the forge answers with data and errors, out holds what came and the error
// tells the rest.
func (c *Client) Query(ctx context.Context, org, query string, variables map[string]any, out any) error {
	c.used.Store(true)
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return fmt.Errorf("GraphQL query: %w", err)
	}
	if org != "" {
		ctx = WithOrg(ctx, org)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.graphql, strings.NewReader(string(body)))
	if err != nil {
		return fmt.Errorf("GraphQL query: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	req.Header.Add("Accept", "application/vnd.github.antiope-preview+json")
	req.Header.Add("Accept", "application/vnd.github.merge-info-preview+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("GraphQL query: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return fmt.Errorf("GraphQL query: read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GraphQL query: status %d: %s", resp.StatusCode, firstBytes(raw, 500))
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("GraphQL query: decode the answer: %w", err)
	}
	var errs []error
	if len(answer.Data) > 0 && string(answer.Data) != "null" {
		if err := json.Unmarshal(answer.Data, out); err != nil {
			errs = append(errs, fmt.Errorf("decode data: %w", err))
		}
	}
	for _, e := range answer.Errors {
		errs = append(errs, errors.New(e.Message))
	}
	if len(errs) > 0 {
		return fmt.Errorf("GraphQL query: %w", errors.Join(errs...))
	}
	return nil
}

func firstBytes(b []byte, n int) []byte {
	return b[:min(len(b), n)]
}
