package github

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"prow/internal/forge/github/budget"
	"prow/internal/forge/githubapp"
	"prow/internal/forge/httpcache"
	"prow/internal/secret"
)

// Flags is the flag group of every component that talks to GitHub.
type Flags struct {
	Host            string
	Endpoints       []string
	GraphQLEndpoint string
	TokenPath       string
	RequestTimeout  time.Duration
	MaxRetries      int
	Max404Retries   int
	BackoffTimeout  time.Duration
	InitialDelay    time.Duration

	// AppID and AppKeyPath authenticate as a GitHub App.
	AppID, AppKeyPath string
	// HourlyTokens and AllowedBurst limit requests. What they are before Bind is
	// the default of their flags.
	HourlyTokens, AllowedBurst int
	// OrgThrottles limit requests about an org, as org:hourlyTokens:burst.
	OrgThrottles []string
	// CacheDir and CacheSize say where answers of GitHub are kept, and how many
	// bytes of them; without a directory it is in memory.
	CacheDir  string
	CacheSize int64
	// ListCollaborators answers whether somebody is a collaborator from the list.
	ListCollaborators bool
	// SigningKeyPath is a private key of SSH with which commits are signed.
	SigningKeyPath string
	// NoThrottle leaves the flags of limits out, for components that limit
	// themselves.
	NoThrottle bool

	orgRates map[string]Rate
	// budget and metrics are shared by all clients of these flags.
	budget  *budget.Broker
	metrics *Metrics
	// cache opens the store that all clients of these flags share.
	cache func() (httpcache.Store, error)
}

// defaultCacheSize is the bound of the cache of answers, in bytes.
const defaultCacheSize = 64 << 20

// Bind registers the flags.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.Host, "github-host", DefaultHost, "Host of git URLs; for GitHub Enterprise its host.")
	fs.StringArrayVar(&f.Endpoints, "github-endpoint", []string{DefaultEndpoint}, "REST endpoint, repeatable, in order of preference.")
	fs.StringVar(&f.GraphQLEndpoint, "github-graphql-endpoint", DefaultGraphQLEndpoint, "GraphQL endpoint.")
	fs.StringVar(&f.TokenPath, "github-token-path", "", "File that holds a personal access token.")
	fs.StringVar(&f.AppID, "github-app-id", "", "ID of the GitHub App to authenticate as, with --github-app-private-key-path.")
	fs.StringVar(&f.AppKeyPath, "github-app-private-key-path", "", "File that holds the private key of the GitHub App, in PEM.")
	if !f.NoThrottle {
		fs.IntVar(&f.HourlyTokens, "github-hourly-tokens", f.HourlyTokens, "Requests an hour; 0 is no limit.")
		fs.IntVar(&f.AllowedBurst, "github-allowed-burst", f.AllowedBurst, "Requests at once after a pause; 0 is no limit.")
		fs.StringArrayVar(&f.OrgThrottles, "github-throttle-org", nil, "Limit of the App's requests about an org, as org:hourlyTokens:burst. May be repeated.")
	}
	fs.StringVar(&f.CacheDir, "github-cache-dir", "", "Directory for answers of GitHub, which are asked for again only if they have changed. It must not be shared. Empty: they are kept in memory.")
	fs.Int64Var(&f.CacheSize, "github-cache-size", defaultCacheSize, "Bound of the answers that are kept, in bytes; 0 keeps none. Answers of a ghproxy are never kept.")
	fs.BoolVar(&f.ListCollaborators, "github-list-collaborators", false, "Ask for the list of a repository's collaborators instead of for each one. The list costs nothing of the limit while it has not changed, but has a page for each hundred.")
	fs.StringVar(&f.SigningKeyPath, "git-signing-key-path", "", "Private key of SSH with which commits are signed.")
	fs.DurationVar(&f.RequestTimeout, "github-client.request-timeout", 2*time.Minute, "Time limit of a single HTTP request.")
	fs.IntVar(&f.MaxRetries, "github-client.max-retries", 8, "Attempts per request; 0 is the default.")
	fs.IntVar(&f.Max404Retries, "github-client.max-404-retries", 2, "Further attempts after an answer 404; 0 is the default, less is none.")
	fs.DurationVar(&f.BackoffTimeout, "github-client.backoff-timeout", 2*time.Minute, "Longest acceptable wait for a rate limit.")
	fs.DurationVar(&f.InitialDelay, "github-client.initial-delay", 2*time.Second, "First back-off delay; it doubles.")
}

// Validate completes empty values and reports every bad flag at once.
func (f *Flags) Validate() error {
	var errs []error
	if len(f.Endpoints) == 0 {
		f.Endpoints = []string{DefaultEndpoint}
	}
	for i, e := range f.Endpoints {
		if e == "" {
			f.Endpoints[i] = DefaultEndpoint
		} else if _, err := parseEndpoint(e); err != nil {
			errs = append(errs, fmt.Errorf("--github-endpoint=%s: %w", e, err))
		}
	}
	if f.GraphQLEndpoint == "" {
		f.GraphQLEndpoint = DefaultGraphQLEndpoint
	} else if _, err := parseEndpoint(f.GraphQLEndpoint); err != nil {
		errs = append(errs, fmt.Errorf("--github-graphql-endpoint=%s: %w", f.GraphQLEndpoint, err))
	}
	if f.Host == "" {
		f.Host = DefaultHost
	}
	switch {
	case f.TokenPath != "" && (f.AppID != "" || f.AppKeyPath != ""):
		errs = append(errs, errors.New("--github-token-path excludes --github-app-id and --github-app-private-key-path"))
	case (f.AppID == "") != (f.AppKeyPath == ""):
		errs = append(errs, errors.New("--github-app-id and --github-app-private-key-path go together"))
	}
	return errors.Join(append(errs, f.validateThrottles())...)
}

// validateThrottles completes and checks the limits; it reports all problems at once.
func (f *Flags) validateThrottles() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case f.HourlyTokens < 0 || f.AllowedBurst < 0:
		add("--github-hourly-tokens and --github-allowed-burst must not be negative")
	case f.HourlyTokens == 0:
		f.AllowedBurst = 0 // the easy way to switch a component's default off
	case f.AllowedBurst == 0:
		add("--github-hourly-tokens=%d needs --github-allowed-burst", f.HourlyTokens)
	case f.AllowedBurst > f.HourlyTokens:
		add("--github-allowed-burst=%d must not be larger than --github-hourly-tokens=%d", f.AllowedBurst, f.HourlyTokens)
	}
	if len(f.OrgThrottles) > 0 && f.AppID == "" {
		add("--github-throttle-org needs --github-app-id: other credentials have one limit for all orgs")
	}
	f.orgRates = map[string]Rate{}
	for _, value := range f.OrgThrottles {
		org, rate, err := parseOrgThrottle(value)
		if err != nil {
			add("-github-throttle-org=%s %w", value, err)
			continue
		}
		if _, twice := f.orgRates[org]; twice {
			add("got multiple -github-throttle-org for the %s org", org)
		}
		f.orgRates[org] = rate
	}
	return errors.Join(errs...)
}

func parseOrgThrottle(value string) (org string, rate Rate, err error) {
	parts := strings.Split(value, ":")
	if len(parts) != 3 || parts[0] == "" {
		return "", Rate{}, errors.New("is not in org:hourlyTokens:burst format")
	}
	numbers := map[string]*int{"hourlyTokens": &rate.PerHour, "burst": &rate.Burst}
	for i, name := range []string{"hourlyTokens", "burst"} {
		if *numbers[name], err = strconv.Atoi(parts[i+1]); err != nil {
			return "", Rate{}, fmt.Errorf("is not valid: %s is not an int", name)
		}
		if *numbers[name] < 1 {
			return "", Rate{}, fmt.Errorf("is not valid: %s must be > 0", name)
		}
	}
	if rate.Burst > rate.PerHour {
		return "", Rate{}, errors.New("is not valid: burst must not be greater than hourlyTokens")
	}
	return parts[0], rate, nil
}

// appAuth authenticates as the App of the flags; nil without one. The key is
// read through secrets, so that it is followed.
func (f *Flags) appAuth(secrets *secret.Store) (*AppAuth, error) {
	if f.AppID == "" {
		return nil, nil
	}
	key, err := secrets.File(f.AppKeyPath, func(raw []byte) error { _, err := githubapp.ParseKey(raw); return err })
	if err != nil {
		return nil, fmt.Errorf("--github-app-private-key-path: %w", err)
	}
	parse := func() (*rsa.PrivateKey, error) { return githubapp.ParseKey([]byte(key().Reveal())) }
	return NewAppAuth(f.AppID, parse, secrets.AddUntil), nil
}

// store is where answers are kept; nil where none are.
func (f *Flags) store(log *slog.Logger) (httpcache.Store, error) {
	if f.CacheSize <= 0 {
		return nil, nil
	}
	if f.cache == nil {
		f.cache = sync.OnceValues(func() (httpcache.Store, error) {
			if f.CacheDir == "" {
				return httpcache.NewMemory(f.CacheSize), nil
			}
			disk, err := httpcache.NewDisk(f.CacheDir, f.CacheSize, log)
			if err != nil {
				return nil, fmt.Errorf("--github-cache-dir: %w", err)
			}
			return disk.Part("github"), nil
		})
	}
	return f.cache()
}

// Measure registers the metrics of the clients that are built after it.
func (f *Flags) Measure(reg prometheus.Registerer) { f.metrics = NewMetrics(reg) }

// Client builds a client for a component. The token is read from its file
// through secrets, so that it is followed and censored. Options may change what
// the flags say.
func (f *Flags) Client(agent string, dryRun bool, secrets *secret.Store, log *slog.Logger, options ...func(*ClientOptions)) (*Client, error) {
	var token TokenSource
	app, err := f.appAuth(secrets)
	if err != nil {
		return nil, err
	}
	if f.TokenPath != "" {
		get, err := secrets.File(f.TokenPath, nil)
		if err != nil {
			return nil, fmt.Errorf("--github-token-path: %w", err)
		}
		token = func() (string, error) { return get().Reveal(), nil }
		if f.CacheSize <= 0 && len(f.Endpoints) == 1 && f.Endpoints[0] == DefaultEndpoint {
			log.Warn("neither a ghproxy nor a cache is in use: repeated questions cost as much as new ones")
		}
	} else if app == nil {
		log.Warn("no credentials for GitHub: requests are anonymous")
	}
	o := ClientOptions{
		Endpoints: f.Endpoints, GraphQLEndpoint: f.GraphQLEndpoint, Token: token, App: app, UserAgent: agent, DryRun: dryRun,
		RequestTimeout: f.RequestTimeout, Logger: log, ListCollaborators: f.ListCollaborators,
		Retry: RetryPolicy{MaxRetries: f.MaxRetries, Max404Retries: f.Max404Retries, MaxSleep: f.BackoffTimeout, InitialDelay: f.InitialDelay},
	}
	o.Throttle, o.OrgThrottles = Rate{f.HourlyTokens, f.AllowedBurst}, f.orgRates
	if o.Cache, err = f.store(log); err != nil {
		return nil, err
	}
	o.Censor = secrets.Censor
	if f.budget == nil {
		policy := o.Retry.withDefaults()
		f.budget = budget.NewBroker(policy.MaxSleep, policy.Now, policy.Sleep)
	}
	o.Budget, o.Metrics = f.budget, f.metrics
	for _, option := range options {
		option(&o)
	}
	return NewClient(o)
}
