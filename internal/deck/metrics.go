package deck

import (
	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/service"
)

// newMetrics are the metrics of requests. Pages are larger and slower than what
// other components serve.
func newMetrics(reg prometheus.Registerer, cfg *config.Watcher) *service.HTTPMetrics {
	service.Register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deck_config_reload_failing", Help: "1 while the configuration in the files does not load and an older one is served.",
	}, func() float64 {
		if cfg.Status().Err != nil {
			return 1
		}
		return 0
	}))
	seconds := []float64{0.005}
	for b := 1.0 / 128; b <= 16; b *= 2 {
		seconds = append(seconds, b)
	}
	return service.NewHTTPMetrics(reg, Name, service.HTTPBuckets{Seconds: append(seconds, 20), Bytes: prometheus.ExponentialBuckets(16384, 2, 12)})
}
