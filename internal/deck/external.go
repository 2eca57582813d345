package deck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
)

const (
	// externalAnswer is how long another agent may take to answer, externalLog how
	// long its whole log may.
	externalAnswer = 10 * time.Second
	externalLog    = 10 * time.Minute
	// maxExternalLog is how much of such a log is passed on, in bytes.
	maxExternalLog = 1 << 30
	// maxExternalURL bounds what a template of an address makes, in bytes.
	maxExternalURL = 8 << 10
)

// newExternalLogs is the client with which logs of other agents are fetched. It
// follows few redirects, and only those that stay with HTTP.
func newExternalLogs() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: externalAnswer}).DialContext,
			TLSHandshakeTimeout:   externalAnswer,
			ResponseHeaderTimeout: externalAnswer,
			IdleConnTimeout:       time.Minute,
			MaxConnsPerHost:       64,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("it redirects again and again")
			}
			return nil
		},
	}
}

// externalURL is where the log of a run of another agent is, by the first entry of
// deck.external_agent_logs that is for it; errNoLog if none is.
func (s *server) externalURL(pj *v1.ProwJob) (string, error) {
	entries := s.config.Get().Deck.ExternalAgentLogs
	for i := range entries {
		if !entries[i].Matches(pj) {
			continue
		}
		var out limitedText
		if err := entries[i].URLTemplateParsed().Execute(&out, pj); err != nil {
			return "", fmt.Errorf("deck.external_agent_logs[%d].url_template: %w", i, err)
		}
		u, err := url.Parse(out.String())
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("deck.external_agent_logs[%d].url_template makes %.200q, which is not an http or https URL", i, out.String())
		}
		return u.String(), nil
	}
	return "", fmt.Errorf("%w: deck.external_agent_logs has no entry for agent %q and the labels of this run", errNoLog, pj.Spec.Agent)
}

// limitedText is what a template writes, which fails beyond a bound.
type limitedText struct{ strings.Builder }

func (l *limitedText) Write(b []byte) (int, error) {
	if l.Len()+len(b) > maxExternalURL {
		return 0, fmt.Errorf("the address is longer than %d bytes", maxExternalURL)
	}
	return l.Builder.Write(b)
}

// externalStream opens the log of a run of another agent.
func (s *server) externalStream(ctx context.Context, pj *v1.ProwJob) (io.ReadCloser, error) {
	from, err := s.externalURL(pj)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, externalLog)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := s.external.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("fetching the log of another agent: %w", err)
	}
	closing := closeFunc(func() error { defer cancel(); return resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("fetching the log of another agent: %s answers %s", req.URL.Host, resp.Status), closing())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxExternalLog), closing}, nil
}

type closeFunc func() error

func (c closeFunc) Close() error { return c() }

func (s *server) copyExternalLog(w http.ResponseWriter, r *http.Request, pj *v1.ProwJob) error {
	stream, err := s.externalStream(r.Context(), pj)
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // only read
	plainText(w)
	_, _ = io.Copy(w, stream) // a viewer who left is no error
	return nil
}
