package checkconfig

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
)

// relation is a label and the plugin that sets it.
type relation struct {
	plugin, label string
	// forbidden tells that the label keeps from merging; others are asked for.
	forbidden bool
	// external tells that the plugin is a service. That it is enabled obliges
	// Tide to nothing.
	external bool
}

// relations are the labels that plugins set for Tide.
var relations = []relation{
	{plugin: "lgtm", label: "lgtm"},
	{plugin: "approve", label: "approved"},
	{plugin: "hold", label: "do-not-merge/hold", forbidden: true},
	{plugin: "wip", label: "do-not-merge/work-in-progress", forbidden: true},
	{plugin: "bugzilla", label: "bugzilla/invalid-bug", forbidden: true},
	{plugin: "verify-owners", label: "do-not-merge/invalid-owners-file", forbidden: true},
	{plugin: "release-note", label: "do-not-merge/release-note-label-needed", forbidden: true},
	{plugin: "cherry-pick-unapproved", label: "do-not-merge/cherry-pick-not-approved", forbidden: true},
	{plugin: "blockade", label: "do-not-merge/blocked-paths", forbidden: true},
	{plugin: "needs-rebase", label: "needs-rebase", forbidden: true, external: true},
}

func mismatchedTide(in *input) []config.Problem {
	return in.mismatches(relations)
}

func mismatchedTideLenient(in *input) []config.Problem {
	return in.mismatches(slices.DeleteFunc(slices.Clone(relations), func(r relation) bool { return r.forbidden }))
}

func (in *input) mismatches(relations []relation) []config.Problem {
	var out []config.Problem
	written := in.queries()
	merges := tidePlaces(in.config.Tide.Queries, func(*config.TideQuery) bool { return true })
	for _, r := range relations {
		named, all, one := asksFor, "ask for", "asks for"
		if r.forbidden {
			named, all, one = forbids, "forbid", "forbids"
		}
		asked := tidePlaces(in.config.Tide.Queries, func(q *config.TideQuery) bool { return named(q, r.label) })
		enabled := in.enabled(r)
		for _, p := range asked.minus(enabled).list() {
			i := slices.IndexFunc(written, func(q query) bool { return named(&q.TideQuery, r.label) && speaksOf(&q.TideQuery, p) })
			problem := config.Problem{File: in.options.Config.ConfigPath}
			if i >= 0 {
				problem = written[i].problem("")
			}
			kind := "plugin"
			if r.external {
				kind = "external plugin"
			}
			problem.Message = fmt.Sprintf("%s: Tide's queries %s the label %s, but the %s %s, which sets it, is not enabled", p, all, r.label, kind, r.plugin)
			out = append(out, problem)
		}
		if r.external {
			continue
		}
		for _, p := range enabled.and(merges).minus(asked).list() {
			out = append(out, in.pluginFiles.at(in.whereEnabled(r.plugin, p), "%s: the plugin %s sets the label %s, but no query of Tide there %s it",
				p, r.plugin, r.label, one))
		}
	}
	return out
}

// enabled is where a plugin is used.
func (in *input) enabled(r relation) places {
	if !r.external {
		return in.pluginPlaces(r.plugin)
	}
	var keys []string
	for key, list := range in.plugins.ExternalPlugins {
		for _, e := range list {
			if e.Name == r.plugin {
				keys = append(keys, key)
			}
		}
	}
	return placesOf(keys...)
}

// pluginPlaces is where a plugin is used.
func (in *input) pluginPlaces(plugin string) places {
	orgNames, repos, excluded := in.plugins.EnabledFor(plugin)
	orgs := map[string]sets.Set[string]{}
	for _, org := range orgNames {
		orgs[org] = sets.New(excluded[org]...)
	}
	return newPlaces(orgs, sets.New(repos...))
}

// whereEnabled are the keys of the entry that enables a plugin at a place.
func (in *input) whereEnabled(plugin string, p place) []string {
	key := p.name
	if !slices.Contains(in.plugins.Plugins[key].Plugins, plugin) {
		key = orgOf(p.name)
	}
	return []string{"plugins", key}
}
