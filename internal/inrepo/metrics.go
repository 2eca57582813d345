package inrepo

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/git"
)

// Metrics tell how long reading repositories takes, by repository.
type Metrics struct {
	acquisition, rest *prometheus.HistogramVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		acquisition: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inrepoconfig_git_client_acquisition_duration", Help: "Seconds until a work tree with the commits is there.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200},
		}, []string{"org", "repo"}),
		rest: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inrepoconfig_git_other_duration", Help: "Seconds that checking out and merging take.",
			Buckets: []float64{0.1, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600},
		}, []string{"org", "repo"}),
	}
	reg.MustRegister(m.acquisition, m.rest)
	return m
}

func (m *Metrics) acquired(rev config.Revision, took time.Duration) {
	if m != nil {
		m.acquisition.WithLabelValues(rev.Org, rev.Repo).Observe(took.Seconds())
	}
}

func (m *Metrics) other(rev config.Revision, took time.Duration) {
	if m != nil {
		m.rest.WithLabelValues(rev.Org, rev.Repo).Observe(took.Seconds())
	}
}

// ObserveGit registers the metrics of the steps by which a cache makes work trees,
// and has it tell them.
func ObserveGit(reg prometheus.Registerer, cache *git.Cache) {
	whole := []float64{0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200}
	steps := map[git.Step]*prometheus.HistogramVec{}
	for step, m := range map[git.Step]struct {
		help    string
		buckets []float64
	}{
		git.StepMirror: {"Seconds until a mirror was made or brought up to date.", whole},
		git.StepFetch:  {"Seconds until commits that a mirror lacked were there.", whole},
		git.StepClone:  {"Seconds that making a work tree from a mirror took.", whole},
		git.StepSparse: {"Seconds that limiting a work tree to some directories took.", []float64{0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90}},
	} {
		steps[step] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: string(step), Help: m.help, Buckets: m.buckets}, []string{"org", "repo"})
		reg.MustRegister(steps[step])
	}
	cache.Observe = func(step git.Step, org, repo string, took time.Duration) {
		steps[step].WithLabelValues(org, repo).Observe(took.Seconds())
	}
}
