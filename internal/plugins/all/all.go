// Package all lists the plugins that are compiled into hook. A new plugin is a
// package beside this one and a line here.
package all

import (
	"prow/internal/plugins"
	"prow/internal/plugins/approve"
	"prow/internal/plugins/assign"
	"prow/internal/plugins/help"
	"prow/internal/plugins/hold"
	"prow/internal/plugins/label"
	"prow/internal/plugins/lgtm"
	"prow/internal/plugins/lifecycle"
	"prow/internal/plugins/retitle"
	"prow/internal/plugins/size"
	"prow/internal/plugins/trigger"
	"prow/internal/plugins/wip"
)

// Plugins are all plugins by name.
func Plugins() map[string]*plugins.Plugin {
	byName := map[string]*plugins.Plugin{}
	for _, p := range []*plugins.Plugin{
		approve.New(),
		assign.New(),
		help.New(),
		hold.New(),
		label.New(),
		lgtm.New(),
		lifecycle.New(),
		retitle.New(),
		size.New(),
		trigger.New(),
		wip.New(),
	} {
		byName[p.Name] = p
	}
	return byName
}
