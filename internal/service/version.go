package service

import (
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// version is set by the linker: v<yyyymmdd>-<commit>.
var version string

// Version is the version of the program: the one given by the linker, else the
// commit that the Go tool recorded, else "unset/0".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return s.Value[:12]
			}
		}
	}
	return "unset/0"
}

// versionMetric is the gauge prow_version.
func versionMetric(version string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "prow_version", Help: "Day of the build, in seconds since 1970; -1 if the version names none."})
	g.Set(buildDay(version))
	return g
}

// buildDay is the day in a version such as v20260102-abcdef, in seconds since
// 1970, or -1.
func buildDay(version string) float64 {
	day, _, found := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	t, err := time.Parse("20060102", day)
	if !found || err != nil || !strings.HasPrefix(version, "v") {
		return -1
	}
	return float64(t.Unix())
}
