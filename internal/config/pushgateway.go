package config

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PushGateway says whether and how metrics are pushed. Read once at start.
type PushGateway struct {
	// Endpoint is where metrics are pushed; empty is nowhere.
	Endpoint string `json:"endpoint,omitempty"`
	// Interval is the time between two pushes. Default: 1m.
	Interval *metav1.Duration `json:"interval,omitempty"`
	// ServeMetrics serves /metrics although an endpoint is set. Default: false.
	ServeMetrics bool `json:"serve_metrics"`
}

// ServesMetrics tells whether /metrics is served: always without an endpoint.
func (p *PushGateway) ServesMetrics() bool { return p.Endpoint == "" || p.ServeMetrics }
