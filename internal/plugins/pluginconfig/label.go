package pluginconfig

import (
	"slices"
	"strings"
)

// Label configures the plugin label.
type Label struct {
	// AdditionalLabels may be set by /label and taken by /remove-label.
	AdditionalLabels []string `json:"additional_labels,omitempty"`
	// RestrictedLabels maps "*", an org or "org/repo" to labels that only some
	// may set. Read RestrictedLabelsFor instead.
	RestrictedLabels map[string][]RestrictedLabel `json:"restricted_labels,omitempty"`
}

// RestrictedLabel is a label that only some may set.
type RestrictedLabel struct {
	// Label is its name; compared without regard to case.
	Label string `json:"label"`
	// AllowedTeams are slugs of teams of the org.
	AllowedTeams []string `json:"allowed_teams,omitempty"`
	// AllowedUsers are logins.
	AllowedUsers []string `json:"allowed_users,omitempty"`
	// AssignOn are labels that assign AllowedUsers when they are set.
	AssignOn []AssignOn `json:"assign_on,omitempty"`
}

// AssignOn names a label that assigns those who may set another.
type AssignOn struct {
	// Label is the name of the label.
	Label string `json:"label"`
}

// RestrictedLabelsFor are the restricted labels of a repository by their name
// in lower case: those of "*", of the org and of the repository, united label
// by label in that order.
func (l *Label) RestrictedLabelsFor(org, repo string) map[string]RestrictedLabel {
	out := map[string]RestrictedLabel{}
	for _, key := range []string{"*", org, org + "/" + repo} {
		for _, more := range l.RestrictedLabels[key] {
			name := strings.ToLower(more.Label)
			merged, seen := out[name]
			if !seen {
				merged.Label = more.Label
			}
			merged.AllowedTeams = appendNew(merged.AllowedTeams, more.AllowedTeams)
			merged.AllowedUsers = appendNew(merged.AllowedUsers, more.AllowedUsers)
			merged.AssignOn = appendNew(merged.AssignOn, more.AssignOn)
			out[name] = merged
		}
	}
	return out
}

// appendNew appends what is not there yet; the result shares nothing with list.
func appendNew[T comparable](list, more []T) []T {
	out := slices.Clone(list)
	for _, v := range more {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
