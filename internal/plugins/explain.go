package plugins

import (
	"context"
	"strings"

	"prow/internal/forge/github"
)

// ManagedLabel is a label that a plugin sets and removes.
type ManagedLabel struct {
	// Name is the label; one that ends with "*" stands for all that begin so.
	Name string
	// Present and Absent say what follows from the label being there or not, and
	// what to do about it; empty: nothing worth telling.
	Present, Absent string
}

// Matches tells whether a label of a pull request is the one.
func (l ManagedLabel) Matches(label string) bool {
	if prefix, ok := strings.CutSuffix(l.Name, "*"); ok {
		return len(label) >= len(prefix) && strings.EqualFold(label[:len(prefix)], prefix)
	}
	return strings.EqualFold(l.Name, label)
}

// Explanation is something a plugin says about a pull request now.
type Explanation struct {
	// Waits tells that something is missing that the plugin looks after.
	Waits bool   `json:"waits"`
	Text  string `json:"text"`
}

// Explainer says what a plugin makes of a pull request as it is now. It changes
// nothing.
type Explainer func(ctx context.Context, a *Agent, pr *github.PullRequest) ([]Explanation, error)

// ExplainLabels says what the plugin's labels mean for a pull request with these labels.
func (p *Plugin) ExplainLabels(labels []github.Label) (out []Explanation) {
	for _, managed := range p.Labels {
		present := ""
		for _, l := range labels {
			if managed.Matches(l.Name) {
				present = l.Name
				break
			}
		}
		switch {
		case present != "" && managed.Present != "":
			out = append(out, Explanation{Text: "label " + present + ": " + managed.Present})
		case present == "" && managed.Absent != "":
			out = append(out, Explanation{Text: "no label " + managed.Name + ": " + managed.Absent})
		}
	}
	return out
}
