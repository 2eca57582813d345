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
}

// Tick is how often periodics are examined: one minute unless configured.
func (h *Horologium) Tick() time.Duration {
	if h.TickInterval == nil || h.TickInterval.Duration <= 0 {
		return time.Minute
	}
	return h.TickInterval.Duration
}
