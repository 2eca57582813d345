package buildlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"prow/internal/deck/lens"
)

// maxAnalysis is how much the highlighter may answer, in bytes.
const maxAnalysis = 1 << 20

// analysis is what the highlighter found: lines from 1, both inclusive.
type analysis struct {
	Min    int    `json:"min"`
	Max    int    `json:"max"`
	Link   string `json:"link,omitempty"`
	Pinned bool   `json:"pinned,omitempty"`
	Error  string `json:"error,omitempty"`
}

// analyzable tells the logs that a highlighter can read by itself: those in Google Cloud Storage.
func analyzable(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "https" && (u.Host == "storage.googleapis.com" || u.Host == "storage.cloud.google.com")
}

func (l *buildLog) analysis(ctx context.Context, a lens.Artifact, c *config) analysis {
	if c.Highlighter == nil {
		return analysis{Error: "no highlighter is configured"}
	}
	info, err := a.Stat(ctx)
	if err != nil || !analyzable(info.URL) {
		return analysis{Error: "the highlighter cannot read " + a.Name() + ": it is not in Google Cloud Storage"}
	}
	return l.analyze(ctx, info.URL, c.Highlighter)
}

// analyze asks the highlighter which lines matter.
func (l *buildLog) analyze(ctx context.Context, address string, c *highlighterConfig) analysis {
	out, err := l.ask(ctx, c, address)
	if err != nil {
		return analysis{Error: err.Error()}
	}
	if out.Error == "" && (out.Min <= 0 || out.Max < out.Min) {
		return analysis{Error: fmt.Sprintf("the highlighter answered with the lines %d to %d", out.Min, out.Max)}
	}
	if u, err := url.Parse(out.Link); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		out.Link = ""
	}
	return out
}

func (l *buildLog) ask(ctx context.Context, c *highlighterConfig, link string) (out analysis, err error) {
	body, err := json.Marshal(struct {
		URL       string `json:"url"`
		Pin       bool   `json:"pin"`
		Overwrite bool   `json:"overwrite"`
	}{link, c.Pin || c.Auto, c.Overwrite})
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, highlighterTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("ask the highlighter: %w", err)
	}
	request.Header.Set("Content-Type", "text/plain")
	response, err := l.client.Do(request)
	if err != nil {
		return out, errAnswer("the highlighter does not answer")
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode >= 300 {
		return out, fmt.Errorf("the highlighter answered with status %d", response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnalysis))
	if err != nil {
		return out, errAnswer("the highlighter stopped in the middle of its answer")
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("the highlighter answered with something else than JSON: %w", err)
	}
	return out, nil
}

// errAnswer is an error that anybody may see: it names no address within the site.
type errAnswer string

func (e errAnswer) Error() string { return string(e) }
