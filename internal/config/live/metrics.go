package live

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics makes an Options.Observe that tells, labelled with what is watched,
// whether the last load succeeded and since when the served content is served.
func Metrics(reg prometheus.Registerer, name string) func(Status) {
	good := register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "prow_config_last_load_successful", Help: "1 if the files are as they are served, 0 if they do not load and older content is served.",
	}, []string{"name"})).WithLabelValues(name)
	loaded := register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "prow_config_loaded_timestamp_seconds", Help: "Unix time at which the served content was loaded.",
	}, []string{"name"})).WithLabelValues(name)
	return func(s Status) {
		good.Set(0)
		if s.Err == nil {
			good.Set(1)
		}
		loaded.Set(float64(s.LoadedAt.Unix()))
	}
}

// register returns the equal vector that another watcher has registered already.
func register(reg prometheus.Registerer, v *prometheus.GaugeVec) *prometheus.GaugeVec {
	var already prometheus.AlreadyRegisteredError
	if err := reg.Register(v); errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(*prometheus.GaugeVec); ok {
			return existing
		}
	}
	return v
}
