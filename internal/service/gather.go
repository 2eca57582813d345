package service

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// union gathers from several registries. A family that an earlier one has is
// left out of the later ones: each registry of the process brings the metrics
// of the Go runtime, and they may stand there once.
type union []prometheus.Gatherer

// Gather implements prometheus.Gatherer.
func (u union) Gather() ([]*dto.MetricFamily, error) {
	var out []*dto.MetricFamily
	var errs []error
	have := map[string]bool{}
	for _, registry := range u {
		families, err := registry.Gather()
		errs = append(errs, err)
		for _, f := range families {
			if !have[f.GetName()] {
				have[f.GetName()] = true
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, errors.Join(errs...)
}
