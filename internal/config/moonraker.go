package config

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Moonraker configures clients of the service that caches in-repo configuration.
type Moonraker struct {
	// ClientTimeout limits one request. Default: 10m.
	ClientTimeout *metav1.Duration `json:"client_timeout,omitempty"`
}
