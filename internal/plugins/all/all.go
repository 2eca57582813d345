// Package all lists the plugins that are compiled into hook. A new plugin is a
// package beside this one and a line here.
package all

import (
	"prow/internal/plugins"
	"prow/internal/plugins/trigger"
)

// Plugins are all plugins by name.
func Plugins() map[string]*plugins.Plugin {
	byName := map[string]*plugins.Plugin{}
	for _, p := range []*plugins.Plugin{
		trigger.New(),
	} {
		byName[p.Name] = p
	}
	return byName
}
