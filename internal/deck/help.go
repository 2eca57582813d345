package deck

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// helpTTL is how long the help of plugins is remembered.
const helpTTL = time.Minute

// pluginHelp is what hook says about its plugins.
type pluginHelp struct {
	AllRepos            []string
	RepoPlugins         map[string][]string
	RepoExternalPlugins map[string][]string
	PluginHelp          map[string]onePlugin
	ExternalPluginHelp  map[string]onePlugin
}

type onePlugin struct {
	Description string
	Config      map[string]string `json:",omitempty"`
	Snippet     string            `json:",omitempty"`
	Events      []string
	Commands    []pluginCommand
}

type pluginCommand struct {
	Usage       string
	Featured    bool
	Description string
	Examples    []string
	WhoCanUse   string
}

// noHelp has the form of help, and nothing in it.
func noHelp() pluginHelp {
	return pluginHelp{[]string{}, map[string][]string{}, map[string][]string{}, map[string]onePlugin{}, map[string]onePlugin{}}
}

// helpAgent asks hook, and remembers the answer for a while.
type helpAgent struct {
	url string
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	known  *pluginHelp
	until  time.Time
	failed bool
}

// get returns the help; where hook does not answer it is empty and ok is false.
func (h *helpAgent) get(ctx context.Context) (help pluginHelp, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known != nil && h.now().Before(h.until) {
		return *h.known, true
	}
	var fresh pluginHelp
	// One asks for all who wait, and must not fail them by leaving.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := fetchJSON(ctx, h.url, &fresh, ""); err != nil {
		if !h.failed {
			h.log.WarnContext(ctx, "the help of plugins cannot be had", "error", err)
		}
		h.failed = true
		return noHelp(), false
	}
	h.known, h.until, h.failed = &fresh, h.now().Add(helpTTL), false
	return fresh, true
}

func (s *server) pluginHelpJS(w http.ResponseWriter, r *http.Request) {
	help, _ := s.help.get(r.Context())
	s.writeData(w, r, jsonBody(help))
}

// pluginView is a plugin on a page.
type pluginView struct {
	Name     string
	External bool
	Enabled  []string
	onePlugin
}

// commandView is a command on a page.
type commandView struct {
	pluginCommand
	Plugin   string
	External bool
	// Anchor is the fragment by which the command is linked.
	Anchor string
}

type helpView struct {
	Enabled, Answers bool
	Repo             string
	Repos            []string
	Commands         []commandView
	Plugins          []pluginView
}

func (s *server) helpView(r *http.Request) helpView {
	view := helpView{Enabled: s.help != nil, Repo: r.URL.Query().Get("repo")}
	if s.help == nil {
		return view
	}
	help, ok := s.help.get(r.Context())
	view.Answers = ok
	deck := &s.config.Get().Deck
	for _, full := range help.AllRepos {
		if org, repo := splitRepo(full); s.visible.showsHidden() || !deck.IsHidden(org, repo) {
			view.Repos = append(view.Repos, full)
		}
	}
	view.addPlugins(help.PluginHelp, help.RepoPlugins, false)
	view.addPlugins(help.ExternalPluginHelp, help.RepoExternalPlugins, true)
	slices.SortFunc(view.Plugins, func(a, b pluginView) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(view.Commands, func(a, b commandView) int {
		if a.Featured != b.Featured {
			if a.Featured {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Usage, b.Usage)
	})
	return view
}

func (v *helpView) addPlugins(help map[string]onePlugin, byRepo map[string][]string, external bool) {
	names := byRepo[""]
	if v.Repo != "" {
		org, _ := splitRepo(v.Repo)
		names = slices.Concat(byRepo[org], byRepo[v.Repo])
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		plugin, ok := help[name]
		if !ok {
			continue
		}
		view := pluginView{Name: name, External: external, onePlugin: plugin}
		for where, enabled := range byRepo {
			if where != "" && slices.Contains(enabled, name) {
				view.Enabled = append(view.Enabled, where)
			}
		}
		slices.Sort(view.Enabled)
		v.Plugins = append(v.Plugins, view)
		for _, c := range plugin.Commands {
			example := c.Usage
			if len(c.Examples) > 0 {
				example = c.Examples[0]
			}
			anchor := strings.ReplaceAll(strings.TrimPrefix(strings.Fields(example + " x")[0], "/"), "-", "_")
			v.Commands = append(v.Commands, commandView{c, name, external, anchor})
		}
	}
}

func (s *server) commandsPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, "command-help", "Commands", s.helpView(r))
}

func (s *server) pluginsPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, "plugins", "Plugins", s.helpView(r))
}
