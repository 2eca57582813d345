package plugins

import "prow/internal/plugins/pluginconfig"

// Help is what a plugin says of itself, as /plugin-help and /help answer it.
type Help struct {
	Description string
	Config      map[string]string `json:",omitempty"`
	Snippet     string            `json:",omitempty"`
	Events      []string
	Commands    []CommandHelp
}

// CommandHelp describes one command.
type CommandHelp struct {
	Usage       string
	Featured    bool
	Description string
	Examples    []string
	WhoCanUse   string
}

// Help is made from the plugin's data and from what the configuration means for
// the repositories ("org/repo") that enable it.
func (p *Plugin) Help(cfg *pluginconfig.Configuration, repos []string) Help {
	help := Help{Description: p.Description, Snippet: p.Snippet, Events: p.Events()}
	if p.Config != nil {
		help.Config = p.Config(cfg, repos)
	}
	for _, c := range p.Commands {
		help.Commands = append(help.Commands, CommandHelp{Usage: c.Usage, Featured: c.Featured, Description: c.Description, Examples: c.Examples, WhoCanUse: c.Who.Sentence})
	}
	return help
}
