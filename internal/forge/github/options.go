package github

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/pflag"

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
}

// Bind registers the flags.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.Host, "github-host", DefaultHost, "Host of git URLs; for GitHub Enterprise its host.")
	fs.StringArrayVar(&f.Endpoints, "github-endpoint", []string{DefaultEndpoint}, "REST endpoint, repeatable, in order of preference.")
	fs.StringVar(&f.GraphQLEndpoint, "github-graphql-endpoint", DefaultGraphQLEndpoint, "GraphQL endpoint.")
	fs.StringVar(&f.TokenPath, "github-token-path", "", "File that holds a personal access token.")
	fs.DurationVar(&f.RequestTimeout, "github-client.request-timeout", 2*time.Minute, "Time limit of a single HTTP request.")
	fs.IntVar(&f.MaxRetries, "github-client.max-retries", 8, "Attempts per request; 0 is the default.")
	fs.IntVar(&f.Max404Retries, "github-client.max-404-retries", 2, "Further attempts after an answer 404; 0 is the default.")
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
		} else if _, err := url.ParseRequestURI(e); err != nil {
			errs = append(errs, fmt.Errorf("--github-endpoint=%s: %w", e, err))
		}
	}
	if f.GraphQLEndpoint == "" {
		f.GraphQLEndpoint = DefaultGraphQLEndpoint
	} else if _, err := url.Parse(f.GraphQLEndpoint); err != nil {
		errs = append(errs, fmt.Errorf("--github-graphql-endpoint=%s: %w", f.GraphQLEndpoint, err))
	}
	if f.Host == "" {
		f.Host = DefaultHost
	}
	return errors.Join(errs...)
}

// Client builds a client for a component. The token is read from its file
// through secrets, so that it is followed and censored. Options may change what
// the flags say.
func (f *Flags) Client(agent string, dryRun bool, secrets *secret.Store, log *slog.Logger, options ...func(*ClientOptions)) (*Client, error) {
	var token TokenSource
	if f.TokenPath != "" {
		get, err := secrets.File(f.TokenPath, nil)
		if err != nil {
			return nil, fmt.Errorf("--github-token-path: %w", err)
		}
		token = func() (string, error) { return get().Reveal(), nil }
	} else {
		log.Warn("no credentials for GitHub: requests are anonymous")
	}
	o := ClientOptions{
		Endpoints: f.Endpoints, GraphQLEndpoint: f.GraphQLEndpoint, Token: token, UserAgent: agent, DryRun: dryRun,
		RequestTimeout: f.RequestTimeout, Logger: log,
		Retry: RetryPolicy{MaxRetries: f.MaxRetries, Max404Retries: f.Max404Retries, MaxSleep: f.BackoffTimeout, InitialDelay: f.InitialDelay},
	}
	for _, option := range options {
		option(&o)
	}
	return NewClient(o)
}
