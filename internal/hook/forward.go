package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
)

const (
	// forwardTries is how often an external plugin is called that does not answer;
	// any answer ends the tries.
	forwardTries = 5
	// forwardPause is the first pause between tries; it doubles.
	forwardPause = 100 * time.Millisecond
	// forwardLimit bounds one try.
	forwardLimit = 30 * time.Second
	// forwardAnswer is how many bytes of an answer that is an error are logged.
	forwardAnswer = 1 << 10
	// external begins the names of the lanes and outcomes of external plugins.
	external = "external:"
)

// forwarder sends deliveries to external plugins, which check the signature again.
type forwarder struct {
	client *http.Client
	// keys are the current secrets: what was signed with one that is no longer current is signed anew.
	keys     func() webhook.Keys
	pause    func(ctx context.Context, d time.Duration) error
	duration *prometheus.HistogramVec
}

func newForwarder(keys func() webhook.Keys, reg prometheus.Registerer) *forwarder {
	return &forwarder{
		client: &http.Client{Timeout: forwardLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		keys:   keys, pause: pause,
		duration: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prow_external_plugin_duration_seconds", Help: "Seconds that an external plugin took to answer, by status code; \"error\" without an answer.", Buckets: prometheus.DefBuckets,
		}, []string{"plugin", "code"})),
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// handlers are the external plugins that get a delivery: those of its repository,
// and of its organisation, which also get events that are about no repository.
func (f *forwarder) handlers(pc *pluginconfig.Configuration, d *store.Delivery, serves func(org, repo string) bool, log *slog.Logger) (out []handler) {
	org, repo, _ := strings.Cut(d.Repo, "/")
	if org == "" || !serves(org, repo) {
		return nil
	}
	delivery := *d
	for _, e := range pc.EnabledExternalPlugins(org, repo) {
		if !e.Wants(d.Event) {
			continue
		}
		log := log.With("external-plugin", e.Name)
		out = append(out, handler{key: external + e.Name, lane: external + e.Name, do: func(ctx context.Context, _ webhook.Attempt) error {
			err := f.send(ctx, e, &delivery)
			if err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "an external plugin did not take a delivery", "error", err)
			}
			return err
		}})
	}
	return out
}

// send sends a delivery until the plugin answers.
func (f *forwarder) send(ctx context.Context, e pluginconfig.ExternalPlugin, d *store.Delivery) error {
	wait := forwardPause
	for try := 1; ; try++ {
		answered, err := f.try(ctx, e, d)
		if err == nil || answered || try == forwardTries || ctx.Err() != nil {
			return err
		}
		if err := f.pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// try sends a delivery once. answered tells whether the plugin said anything.
func (f *forwarder) try(ctx context.Context, e pluginconfig.ExternalPlugin, d *store.Delivery) (answered bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Endpoint, bytes.NewReader(d.Payload))
	if err != nil {
		return true, fmt.Errorf("external plugin %s: %w", e.Name, err)
	}
	// Only what makes a delivery is passed on, nothing that a proxy has put to it.
	req.Header.Set("X-GitHub-Event", d.Event)
	req.Header.Set("X-GitHub-Delivery", d.ID)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ProwHook")
	if signature, ok := f.keys().Signature(d.Payload, d.Signature, d.Repo); ok {
		req.Header.Set("X-Hub-Signature-256", signature)
	}
	start := time.Now()
	resp, err := f.client.Do(req)
	if err != nil {
		f.duration.WithLabelValues(e.Name, "error").Observe(time.Since(start).Seconds())
		return false, fmt.Errorf("external plugin %s: %w", e.Name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the answer was read as far as it matters
	f.duration.WithLabelValues(e.Name, strconv.Itoa(resp.StatusCode)).Observe(time.Since(start).Seconds())
	text, err := io.ReadAll(io.LimitReader(resp.Body, forwardAnswer))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return true, fmt.Errorf("external plugin %s answered %s: %s", e.Name, resp.Status, strings.ToValidUTF8(strings.TrimSpace(string(text)), "?"))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return true, nil // it has been taken
	}
	return true, nil
}

// helpURL is where an external plugin describes itself.
func helpURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	return u.JoinPath("help").String(), nil
}
