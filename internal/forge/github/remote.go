package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"prow/internal/git"
	"prow/internal/secret"
)

// GitRemotes tells where the repositories of the forge are cloned from, and
// authenticates with the token. The host is that of --github-host; it is spoken to
// as the first endpoint is, so a plain forge on this machine is not asked for TLS.
func (f *Flags) GitRemotes(secrets *secret.Store) (git.Remotes, error) {
	base := url.URL{Scheme: "https", Host: cmp.Or(f.Host, DefaultHost)}
	if len(f.Endpoints) > 0 {
		endpoint, err := url.Parse(f.Endpoints[0])
		if err != nil {
			return nil, fmt.Errorf("--github-endpoint: %w", err)
		}
		if endpoint.Scheme == "http" && endpoint.Host == base.Host {
			base.Scheme = "http"
		}
	}
	token := func(context.Context, string) (string, error) { return "", nil }
	app, err := f.appAuth(secrets)
	if err != nil {
		return nil, err
	}
	if app != nil && len(f.Endpoints) > 0 {
		endpoint, err := url.Parse(cmp.Or(f.Endpoints[0], DefaultEndpoint))
		if err != nil {
			return nil, fmt.Errorf("--github-endpoint: %w", err)
		}
		token = func(ctx context.Context, org string) (string, error) {
			return app.Token(ctx, endpoint, http.DefaultTransport, org)
		}
	}
	if f.TokenPath != "" {
		get, err := secrets.File(f.TokenPath, nil)
		if err != nil {
			return nil, fmt.Errorf("--github-token-path: %w", err)
		}
		token = func(context.Context, string) (string, error) { return get().Reveal(), nil }
	}
	return func(ctx context.Context, org, repo string) (git.Remote, error) {
		remote := git.Remote{URL: base.JoinPath(org, repo).String()}
		t, err := token(ctx, org)
		if err != nil {
			return git.Remote{}, err
		}
		if t != "" {
			remote.Settings = git.BasicAuth(remote.URL, "x-access-token", t)
		}
		return remote, nil
	}, nil
}

// Identity is under whom commits are made: the account of the client, with the
// key of --git-signing-key-path.
func (f *Flags) Identity(bot User) git.Identity {
	return git.Identity{
		Name:       bot.Login,
		Email:      cmp.Or(bot.Email, bot.Login+"@users.noreply."+cmp.Or(f.Host, DefaultHost)),
		SigningKey: f.SigningKeyPath,
	}
}
