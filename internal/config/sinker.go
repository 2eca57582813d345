package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sinker configures the garbage collector.
type Sinker struct {
	// ResyncPeriod is the time between two collections. Default: 1h.
	ResyncPeriod *metav1.Duration `json:"resync_period,omitempty"`
	// MaxProwJobAge is the age at which finished ProwJobs go. Default: 168h.
	MaxProwJobAge *metav1.Duration `json:"max_prowjob_age,omitempty"`
	// MaxPodAge is the age at which pods go. Default: 24h.
	MaxPodAge *metav1.Duration `json:"max_pod_age,omitempty"`
	// TerminatedPodTTL is how long a pod stays after it ended. Default: MaxPodAge.
	TerminatedPodTTL *metav1.Duration `json:"terminated_pod_ttl,omitempty"`
	// ExcludeClusters are build clusters that are left alone.
	ExcludeClusters []string `json:"exclude_clusters,omitempty"`
}

func (s *Sinker) resolve() {
	defaultDuration(&s.ResyncPeriod, time.Hour)
	defaultDuration(&s.MaxProwJobAge, 7*24*time.Hour)
	defaultDuration(&s.MaxPodAge, 24*time.Hour)
	defaultDuration(&s.TerminatedPodTTL, s.MaxPodAge.Duration)
}
