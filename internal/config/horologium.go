package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Horologium configures the component that starts periodics.
type Horologium struct {
	// TickInterval is how often periodics are examined. Read once at start.
	// Default: 1m.
	TickInterval *metav1.Duration `json:"tick_interval,omitempty"`
	// Jitter spreads cron jobs: each runs later than its slots by a time that
	// depends on its name, is always the same, and stays below this and below
	// half the time between two slots. Jobs with @every or an interval are not
	// delayed. Default: 0, no delay.
	Jitter *metav1.Duration `json:"jitter,omitempty"`
}

// JitterLimit is the longest delay of a cron job: none unless configured.
func (h *Horologium) JitterLimit() time.Duration {
	if h.Jitter == nil {
		return 0
	}
	return max(h.Jitter.Duration, 0)
}

// Tick is how often periodics are examined: one minute unless configured.
func (h *Horologium) Tick() time.Duration {
	if h.TickInterval == nil || h.TickInterval.Duration <= 0 {
		return time.Minute
	}
	return h.TickInterval.Duration
}
