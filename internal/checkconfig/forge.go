package checkconfig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/secret"
	"prow/internal/service"
)

// forge makes clients for GitHub: one that has a token, or one for each org in
// which the app is installed.
type forge struct {
	options *Options
	log     *slog.Logger
	secrets *secret.Store
	// single is the client with the token; nil for the app.
	single *github.Client
	// app calls as the app itself, and installations are those of the app, by
	// org in lower case.
	app           *github.Client
	installations map[string]github.Installation
	byOrg         map[string]*github.Client
	transport     http.RoundTripper
}

// forge connects to GitHub, which takes credentials.
func (in *input) forge(ctx context.Context) (*forge, error) {
	o := in.options
	secrets := new(secret.Store)
	f := &forge{
		options: o, secrets: secrets, byOrg: map[string]*github.Client{},
		log:       service.NewLogger(in.env.Stderr, slog.LevelWarn, secrets),
		transport: github.Throttle(http.DefaultTransport, o.HourlyTokens, o.AllowedBurst),
	}
	var err error
	switch {
	case o.GitHub.TokenPath != "":
		if f.single, err = f.connect(f.transport, nil); err != nil {
			return nil, err
		}
		return f, nil
	case o.AppID == "":
		return nil, errors.New("GitHub must be asked, which needs --github-token-path, or --github-app-id and --github-app-private-key-path")
	}
	key, err := os.ReadFile(o.AppKeyPath)
	if err != nil {
		return nil, fmt.Errorf("--github-app-private-key-path: %w", err)
	}
	token, err := github.AppToken(o.AppID, key)
	if err != nil {
		return nil, fmt.Errorf("--github-app-private-key-path: %w", err)
	}
	if f.app, err = f.connect(f.transport, token); err != nil {
		return nil, err
	}
	list, err := f.app.ListAppInstallations(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking GitHub where the app %s is installed: %w", o.AppID, err)
	}
	f.installations = map[string]github.Installation{}
	for _, i := range list {
		f.installations[strings.ToLower(i.Account.Login)] = i
	}
	return f, nil
}

// client calls about an org.
func (f *forge) client(ctx context.Context, org string) (*github.Client, error) {
	if f.single != nil {
		return f.single, nil
	}
	if c := f.byOrg[org]; c != nil {
		return c, nil
	}
	installation, ok := f.installations[strings.ToLower(org)]
	if !ok {
		return nil, fmt.Errorf("the GitHub app %s is not installed in the org %s", f.options.AppID, org)
	}
	token, err := f.app.CreateInstallationToken(ctx, installation.ID)
	if err != nil {
		return nil, fmt.Errorf("asking GitHub for access to the org %s: %w", org, err)
	}
	f.secrets.Add(token)
	transport := f.transport
	if r, ok := f.options.throttles[org]; ok {
		transport = github.Throttle(http.DefaultTransport, r.perHour, r.burst)
	}
	// The token lives for an hour; a run of checkconfig does not.
	c, err := f.connect(transport, func() (string, error) { return token, nil })
	if err != nil {
		return nil, err
	}
	f.byOrg[org] = c
	return c, nil
}

func (f *forge) connect(transport http.RoundTripper, token github.TokenSource) (*github.Client, error) {
	flags := f.options.GitHub
	log := f.log
	if token != nil {
		// The flags know no credentials, and would say so.
		log = slog.New(slog.DiscardHandler)
	}
	client, err := flags.Client("checkconfig/"+service.Version(), false, f.secrets, log, func(o *github.ClientOptions) {
		o.Transport, o.Logger = transport, f.log
		if token != nil {
			o.Token = token
		}
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to GitHub: %w", err)
	}
	return client, nil
}
