package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"prow/internal/forge/github/budget"
	"prow/internal/forge/httpcache"
)

// DefaultEndpoint and DefaultGraphQLEndpoint are github.com's.
const (
	DefaultHost            = "github.com"
	DefaultEndpoint        = "https://api.github.com"
	DefaultGraphQLEndpoint = "https://api.github.com/graphql"
)

// apiVersion is sent with every request.
const apiVersion = "2022-11-28"

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
	// Throttle limits the requests, whatever the forge allows. Zero: it does not.
	Throttle Rate
	// OrgThrottles are limits of their own for some orgs, which count instead.
	OrgThrottles map[string]Rate
	// Cache keeps answers, which are revalidated each time. Nil: none are kept.
	Cache httpcache.Store
	// Budget knows how much is left of the forge's limits; clients that use the same
	// ones share it. Nil: the client has its own.
	Budget *budget.Broker
	// Priority is that of requests which say nothing else. Zero: by what they do.
	Priority Priority
	// ListCollaborators answers whether somebody is a collaborator from the list of
	// all, which costs nothing where a cache has it, instead of by a question.
	ListCollaborators bool
	// Metrics measure requests. Nil: nobody does.
	Metrics *Metrics
	// Censor replaces secrets in what is sent, such as in comments. Nil: nothing is
	// replaced.
	Censor func([]byte) []byte
	Logger *slog.Logger
}

// Client calls a forge. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	base    *url.URL
	graphql string
	agent   string
	dryRun  bool
	log     *slog.Logger
	bot     *bot
	censor  func([]byte) []byte
	sleep   func(context.Context, time.Duration) error
	// token and metrics are for telling whose token it is.
	token             TokenSource
	metrics           *Metrics
	used              atomic.Bool
	listCollaborators bool
	// app tells that the client acts as a GitHub App.
	app bool
	// repeating, if set, is since when the work may have been done in part; see Repeating.
	repeating time.Time
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
		base, err := parseEndpoint(e)
		if err != nil {
			return nil, fmt.Errorf("GitHub endpoint %q: %w", e, err)
		}
		base.Path = strings.TrimSuffix(base.Path, "/") + "/"
		bases = append(bases, base)
	}
	graphql, err := parseEndpoint(o.GraphQLEndpoint)
	if err != nil {
		return nil, fmt.Errorf("GitHub GraphQL endpoint %q: %w", o.GraphQLEndpoint, err)
	}
	// A redirect to somewhere else gets no credential.
	hosts := map[string]bool{graphql.Host: true}
	graphqls := graphQLEndpoints(graphql, bases)
	for _, base := range bases {
		hosts[base.Host] = true
	}
	policy := o.Retry.withDefaults()
	if o.Budget == nil {
		o.Budget = budget.NewBroker(policy.MaxSleep, policy.Now, policy.Sleep)
	}
	measured := &meter{next: o.Transport, bases: bases, broker: o.Budget, metrics: o.Metrics, priority: o.Priority, now: policy.Now, log: o.Logger}
	// What the cache asks may turn out to be free, and a wait is no part of what the forge took.
	transport := cached(newThrottle(measured, &o, policy), o.Cache)
	var authenticated http.RoundTripper = &authTransport{token: o.Token, hosts: hosts, next: transport}
	if o.App != nil {
		authenticated = &appTransport{auth: o.App, bases: bases, hosts: hosts, next: transport}
	}
	if o.Censor == nil {
		o.Censor = func(raw []byte) []byte { return raw }
	}
	return &Client{
		http: &http.Client{
			Transport: &retryTransport{
				policy:   policy,
				bases:    bases,
				graphqls: graphqls,
				timeout:  o.RequestTimeout,
				next:     authenticated,
				log:      o.Logger,
			},
			CheckRedirect: followRedirect,
		},
		base: bases[0], graphql: graphql.String(), agent: o.UserAgent, dryRun: o.DryRun, log: o.Logger, bot: &bot{},
		censor: o.Censor, sleep: policy.Sleep, app: o.App != nil, token: o.Token, metrics: o.Metrics, listCollaborators: o.ListCollaborators,
	}, nil
}

// parseEndpoint parses the URL of a server.
func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.ParseRequestURI(text)
	if err != nil {
		return nil, err
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("it must be http or https and a host, and a path at most")
	}
	return u, nil
}

// For derives a client for a part of the component, such as a plugin: it is named
// in the User-Agent, and knows by itself whether it was used.
func (c *Client) For(part string) *Client {
	component, version, _ := strings.Cut(c.agent, "/")
	return c.clone(component + "." + part + "/" + version)
}

// clone is a client that is named so and does not know yet whether it was used.
func (c *Client) clone(agent string) *Client {
	return &Client{
		http: c.http, base: c.base, graphql: c.graphql, agent: agent, dryRun: c.dryRun, log: c.log, bot: c.bot,
		censor: c.censor, sleep: c.sleep, app: c.app, token: c.token, metrics: c.metrics, listCollaborators: c.listCollaborators, repeating: c.repeating,
	}
}

// Used tells whether a request was made through this very client.
func (c *Client) Used() bool { return c.used.Load() }

// UsesAppAuth tells whether the client acts as a GitHub App.
func (c *Client) UsesAppAuth() bool { return c.app }

// DryRun tells whether the client keeps changes to itself.
func (c *Client) DryRun() bool { return c.dryRun }
