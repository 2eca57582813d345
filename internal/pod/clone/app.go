package clone

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"prow/api/artifacts"
	"prow/internal/forge/githubapp"
)

const (
	// appUser is the user of a GitHub App towards git.
	appUser = "x-access-token"
	// appRequestTimeout bounds one request to the API.
	appRequestTimeout = 30 * time.Second
	maxAppResponse    = 1 << 20
)

// addApp makes every repository be fetched as a GitHub App.
func (c *Cloner) addApp(context.Context) ([]artifacts.CloneCommand, error) {
	if c.opts.GitHubAppID == "" {
		return nil, nil
	}
	fail := func(err error) ([]artifacts.CloneCommand, error) {
		return []artifacts.CloneCommand{{Command: "reading the private key of the GitHub App", Error: err.Error()}}, err
	}
	content, err := os.ReadFile(c.opts.GitHubAppPrivateKeyFile)
	if err != nil {
		return fail(err)
	}
	c.addSecret(content)
	key, err := githubapp.ParseKey(content)
	if err != nil {
		return fail(fmt.Errorf("the GitHub App: %w", err))
	}
	app := &app{id: c.opts.GitHubAppID, key: key, endpoints: c.opts.GitHubAPIEndpoints, now: c.now, wait: c.wait, vended: map[string]string{}}
	c.token = func(ctx context.Context, org string) (credentials, error) {
		token, err := app.token(ctx, org)
		if err != nil {
			return credentials{}, err
		}
		c.addSecret([]byte(token))
		return credentials{user: appUser, password: token}, nil
	}
	return nil, nil
}

// app gets tokens for the installations of a GitHub App.
type app struct {
	id        string
	key       *rsa.PrivateKey
	endpoints []string
	now       func() time.Time
	wait      func(context.Context, time.Duration) error

	// mu is held while asking, so that clones side by side ask once.
	mu     sync.Mutex
	vended map[string]string // by org; they outlive all attempts to fetch
}

// token gets a token for an org. Its error is a *failure.
func (a *app) token(ctx context.Context, org string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token := a.vended[org]; token != "" {
		return token, nil
	}
	var installation struct {
		ID int64 `json:"id"`
	}
	if err := a.call(ctx, http.MethodGet, "/orgs/"+url.PathEscape(org)+"/installation", &installation); err != nil {
		// An account may be a person's rather than an org.
		if userErr := a.call(ctx, http.MethodGet, "/users/"+url.PathEscape(org)+"/installation", &installation); userErr != nil {
			return "", a.failure(fmt.Errorf("finding the installation of the GitHub App for %s: %w", org, errors.Join(err, userErr)))
		}
	}
	var token struct {
		Token string `json:"token"`
	}
	err := a.call(ctx, http.MethodPost, fmt.Sprintf("/app/installations/%d/access_tokens", installation.ID), &token)
	if err == nil && token.Token == "" {
		err = errors.New("the answer holds none")
	}
	if err != nil {
		return "", a.failure(fmt.Errorf("getting a token of the GitHub App for %s: %w", org, err))
	}
	a.vended[org] = token.Token
	return token.Token, nil
}

// statusError is an answer of the API that is no success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// passing tells whether it may help to ask again.
func passing(err error) bool {
	status := (*statusError)(nil)
	return !errors.As(err, &status) || status.code >= 500 || status.code == http.StatusTooManyRequests
}

func (a *app) failure(err error) error {
	if passing(err) {
		return &failure{artifacts.CloneUnavailable, err}
	}
	return &failure{artifacts.CloneUnauthorized, err}
}

// call asks the endpoints in turn until one answers, and all of them again for a
// second and a half if the last trouble may pass.
func (a *app) call(ctx context.Context, method, path string, into any) error {
	for attempt := 1; ; attempt++ {
		var errs []error
		again := false
		for _, endpoint := range a.endpoints {
			err := a.callOne(ctx, method, strings.TrimSuffix(endpoint, "/")+path, into)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
			again = again || passing(err)
		}
		if !again || attempt >= quickly || a.wait(ctx, retryWaits()[attempt-1]) != nil {
			return errors.Join(errs...)
		}
	}
}

func (a *app) callOne(ctx context.Context, method, address string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, appRequestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	assertion, err := a.assertion()
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+assertion)
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAppResponse))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, address, err)
	}
	if resp.StatusCode/100 != 2 {
		return &statusError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %.200s", method, address, resp.Status, bytes.TrimSpace(body))}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, address, err)
	}
	return nil
}

// assertion is the token by which the App itself identifies, as RFC 7519 has it.
func (a *app) assertion() (string, error) {
	now := a.now()
	// Clocks differ: it is good from a minute ago.
	return githubapp.Token(a.id, a.key, now.Add(-time.Minute), now.Add(9*time.Minute))
}
