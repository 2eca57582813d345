package planner

import (
	"slices"
	"strings"
)

// pick returns the pull request that comes first by priority among those that
// pass the test: entries in order, then everyone; within an entry the lowest number.
func pick(priority [][]string, pulls []*Pull, test func(*Pull) bool) *Pull {
	for _, labels := range append(slices.Clip(priority), nil) {
		for _, p := range pulls {
			if p.hasLabels(labels) && test(p) {
				return p
			}
		}
	}
	return nil
}

// hasLabels tells whether all the labels are there; commas separate alternatives.
func (p *Pull) hasLabels(labels []string) bool {
	for _, label := range labels {
		if !slices.ContainsFunc(strings.Split(label, ","), func(alternative string) bool {
			return slices.ContainsFunc(p.Labels, func(have string) bool { return strings.EqualFold(have, strings.TrimSpace(alternative)) })
		}) {
			return false
		}
	}
	return true
}
