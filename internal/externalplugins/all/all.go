// Package all lists the external plugins of this project, which are programs of
// their own. A new one is a package beside this one and a line here.
package all

import (
	"github.com/spf13/cobra"

	"prow/internal/externalplugins/cherrypicker"
	"prow/internal/externalplugins/needsrebase"
	"prow/internal/externalplugins/refresh"
	"prow/internal/plugins"
)

// Program is an external plugin and what runs it.
type Program struct {
	// Plugin describes it; its name is the one of lists, which may differ from that of
	// the program.
	Plugin *plugins.Plugin
	// Command is the program.
	Command *cobra.Command
}

// Programs are all of them.
func Programs() []Program {
	return []Program{
		{cherrypicker.Describe(), cherrypicker.Command()},
		{needsrebase.Describe(), needsrebase.Command()},
		{refresh.Describe(), refresh.Command()},
	}
}

// Plugins are the descriptions by name.
func Plugins() map[string]*plugins.Plugin {
	byName := map[string]*plugins.Plugin{}
	for _, p := range Programs() {
		byName[p.Plugin.Name] = p.Plugin
	}
	return byName
}
