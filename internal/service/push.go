package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

// pushTimeout bounds one push.
const pushTimeout = 30 * time.Second

// PushGateway says where a component pushes its metrics.
type PushGateway struct {
	// Endpoint is the URL of the gateway; http:// may be left out.
	Endpoint string
	// Interval is the time between two pushes.
	Interval time.Duration
	// ServeMetrics serves /metrics all the same.
	ServeMetrics bool
}

// run pushes at once and then every interval, until ctx ends. A gateway that
// does not answer is logged; the next push carries everything.
func (g PushGateway) run(ctx context.Context, component string, metrics prometheus.Gatherer, log *slog.Logger) {
	interval := g.Interval
	if interval <= 0 {
		interval = time.Minute
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := g.push(ctx, component, metrics); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "metrics were not pushed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// push replaces what the gateway has of this instance: PUT
// /metrics/job/COMPONENT/instance/HOST with the metrics as delimited protocol buffers.
func (g PushGateway) push(ctx context.Context, component string, metrics prometheus.Gatherer) error {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	if strings.Contains(component+host, "/") {
		return fmt.Errorf("push metrics: neither the component %q nor the host %q may have a slash", component, host)
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	err = push.New(g.Endpoint, component).Grouping("instance", host).Gatherer(metrics).Client(&http.Client{Timeout: pushTimeout}).PushContext(ctx)
	if err != nil {
		return fmt.Errorf("push metrics to %s: %w", g.Endpoint, err)
	}
	return nil
}
