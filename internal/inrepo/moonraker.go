package inrepo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// How long a client waits for the service to come up, and how often it asks.
const (
	pingEvery = 500 * time.Millisecond
	pingFor   = 15 * time.Second
)

// maxAnswer bounds the answer of the service; a repository may bring less.
const maxAnswer = 64 << 20

// Moonraker asks the service that reads and remembers in-repo configuration for
// others. It implements config.RawSource; what it returns is defaulted and
// checked here, by the configuration of the caller.
type Moonraker struct {
	base      *url.URL
	userAgent string
	timeout   func() time.Duration
	client    *http.Client
}

// MoonrakerOptions tune a client.
type MoonrakerOptions struct {
	// UserAgent names the component.
	UserAgent string
	// Timeout limits one request; it is asked before each. Required.
	Timeout func() time.Duration
}

// NewMoonraker returns a client once the service at address, http://host:port,
// answers; it fails after 15 seconds without an answer.
func NewMoonraker(ctx context.Context, address string, opts MoonrakerOptions) (*Moonraker, error) {
	base, err := parseMoonraker(address)
	if err != nil {
		return nil, err
	}
	m := &Moonraker{base: base, userAgent: opts.UserAgent, timeout: opts.Timeout, client: &http.Client{}}
	ctx, cancel := context.WithTimeout(ctx, pingFor)
	defer cancel()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		err := m.ping(ctx)
		if err == nil {
			return m, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("moonraker at %s does not answer: %w", base, err)
		}
	}
}

func parseMoonraker(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("moonraker address: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("moonraker address: found %q, expected http://host:port", address)
	}
	return u, nil
}

func (m *Moonraker) ping(ctx context.Context) error {
	// A service that hangs must not use up the time of those asked after it.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := m.do(ctx, http.MethodGet, "ping", nil)
	return err
}

// RawJobs returns what a revision declares, as the service read it.
func (m *Moonraker) RawJobs(ctx context.Context, _ string, rev config.Revision) (*config.InRepoJobs, error) {
	refs := v1.Refs{Org: rev.Org, Repo: rev.Repo, BaseRef: rev.BaseRef, BaseSHA: rev.BaseSHA}
	for _, sha := range rev.HeadSHAs {
		refs.Pulls = append(refs.Pulls, v1.Pull{SHA: sha})
	}
	body, err := json.Marshal(struct {
		Refs v1.Refs `json:"refs"`
	}{refs})
	if err != nil {
		return nil, fmt.Errorf("encoding a request to moonraker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout())
	defer cancel()
	answer, err := m.do(ctx, http.MethodPost, "inrepoconfig", body)
	if err != nil {
		return nil, fmt.Errorf("asking moonraker for %s/%s at %s: %w", rev.Org, rev.Repo, rev.BaseSHA, err)
	}
	var jobs config.InRepoJobs
	if err := json.Unmarshal(answer, &jobs); err != nil {
		return nil, fmt.Errorf("reading the answer of moonraker for %s/%s: %w", rev.Org, rev.Repo, err)
	}
	return &jobs, nil
}

func (m *Moonraker) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	if m.userAgent != "" {
		req.Header.Set("User-Agent", m.userAgent)
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		// The text tells why; the connection is used again only if it was short.
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, errors.New("the answer is too large")
	}
	return answer, nil
}
