package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"prow/internal/config"
)

const (
	// askLimit bounds one question.
	askLimit = 10 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 10
	// maxAnswers bounds how many answers are kept.
	maxAnswers = 10_000
)

// settings of a service; comparable, so that a change is seen.
type settings struct {
	url string
	// valid is how long an answer is used; 0 keeps none.
	valid time.Duration
	// cleanup is how often old answers are dropped.
	cleanup time.Duration
}

func settingsOf(cfg *config.ExternalScheduling) settings {
	out := settings{url: cfg.URL}
	if d := cfg.Cache.EntryTimeoutInterval; d != nil {
		out.valid = d.Duration
	}
	if out.cleanup = out.valid; cfg.Cache.CacheCleanupInterval != nil {
		out.cleanup = cfg.Cache.CacheCleanupInterval.Duration
	}
	return out
}

// external asks a service, and keeps its answers for a while.
type external struct {
	settings settings
	client   *http.Client
	now      func() time.Time

	mu      sync.Mutex
	answers map[string]answer
	cleaned time.Time
}

type answer struct {
	cluster string
	at      time.Time
}

func newExternal(s settings, now func() time.Time) *external {
	return &external{settings: s, client: &http.Client{Timeout: askLimit}, now: now, answers: map[string]answer{}, cleaned: now()}
}

// cluster is where the service wants runs of a job.
func (e *external) cluster(ctx context.Context, job string) (string, error) {
	if cluster, ok := e.kept(job); ok {
		return cluster, nil
	}
	cluster, err := e.ask(ctx, job)
	if err != nil {
		return "", fmt.Errorf("ask %s for the cluster of job %s: %w", e.settings.url, job, err)
	}
	e.keep(job, cluster)
	return cluster, nil
}

func (e *external) kept(job string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if now.Sub(e.cleaned) > e.settings.cleanup {
		e.cleaned = now
		for name, a := range e.answers {
			if now.Sub(a.at) >= e.settings.valid {
				delete(e.answers, name)
			}
		}
	}
	a, ok := e.answers[job]
	return a.cluster, ok && now.Sub(a.at) < e.settings.valid
}

func (e *external) keep(job, cluster string) {
	if e.settings.valid <= 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.answers[job]; !known && len(e.answers) >= maxAnswers {
		// Any of them can be asked for again.
		for name := range e.answers {
			delete(e.answers, name)
			break
		}
	}
	e.answers[job] = answer{cluster, e.now()}
}

func (e *external) ask(ctx context.Context, job string) (string, error) {
	body, err := json.Marshal(map[string]string{"job": job})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.settings.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	var out struct {
		Cluster string `json:"cluster"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	if out.Cluster == "" {
		return "", errors.New("the answer names no cluster")
	}
	return out.Cluster, nil
}
