// Package all lists the plugins that are compiled into hook. A new plugin is a
// package beside this one and a line here.
package all

import "prow/internal/plugins"

// Plugins are all plugins by name.
func Plugins() map[string]*plugins.Plugin {
	byName := map[string]*plugins.Plugin{}
	for _, p := range []*plugins.Plugin{} {
		byName[p.Name] = p
	}
	return byName
}
