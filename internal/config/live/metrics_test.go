package live_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config/live"
)

func TestMetricsTellWhetherOlderContentIsServed(t *testing.T) {
	reg := prometheus.NewRegistry()
	config, plugins := live.Metrics(reg, "config"), live.Metrics(reg, "plugin config")
	plugins(live.Status{LoadedAt: time.Unix(7, 0)})
	for want, err := range map[float64]error{1: nil, 0: errors.New("bad")} {
		config(live.Status{LoadedAt: time.Unix(7, 0), Err: err})
		families, gatherErr := reg.Gather()
		if gatherErr != nil {
			t.Fatal(gatherErr)
		}
		for _, f := range families {
			if f.GetName() != "prow_config_last_load_successful" {
				continue
			}
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != want {
				t.Errorf("with error %v the metric is %v", err, got)
			}
		}
	}
}
