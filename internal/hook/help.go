package hook

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// reposTTL is how long the repositories of an org are remembered.
const reposTTL = time.Hour

// Help is the answer of /plugin-help.
type Help struct {
	AllRepos            []string
	RepoPlugins         map[string][]string
	RepoExternalPlugins map[string][]string
	PluginHelp          map[string]PluginHelp
	ExternalPluginHelp  map[string]PluginHelp
}

// PluginHelp describes one plugin.
type PluginHelp struct {
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

// repoLister lists the repositories of an account.
type repoLister interface {
	GetRepos(ctx context.Context, org string, isUser bool) ([]github.Repo, error)
}

// helper serves /plugin-help.
type helper struct {
	plugins map[string]*plugins.Plugin
	config  func() *pluginconfig.Configuration
	repos   repoLister
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	known map[string]orgRepos
}

type orgRepos struct {
	names []string
	at    time.Time
}

func (h *helper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "405 Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := json.Marshal(h.help(r.Context()))
	if err != nil {
		http.Error(w, "500 Internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (h *helper) help(ctx context.Context) Help {
	cfg := h.config()
	all := map[string]bool{}
	expand := func(key string) []string {
		if strings.Contains(key, "/") {
			return []string{key}
		}
		return h.orgRepos(ctx, key)
	}
	out := Help{
		RepoPlugins: map[string][]string{"": slices.Sorted(maps.Keys(h.plugins))}, RepoExternalPlugins: map[string][]string{},
		PluginHelp: map[string]PluginHelp{}, ExternalPluginHelp: map[string]PluginHelp{},
	}
	enabledIn := map[string][]string{}
	for key, entry := range cfg.Plugins {
		out.RepoPlugins[key] = entry.Plugins
		for _, repo := range expand(key) {
			all[repo] = true
			_, name, _ := strings.Cut(repo, "/")
			if !strings.Contains(key, "/") && slices.Contains(entry.ExcludedRepos, name) {
				continue
			}
			for _, plugin := range entry.Plugins {
				enabledIn[plugin] = append(enabledIn[plugin], repo)
			}
		}
	}
	external := map[string]bool{}
	for key, entries := range cfg.ExternalPlugins {
		for _, repo := range expand(key) {
			all[repo] = true
		}
		for _, e := range entries {
			out.RepoExternalPlugins[key] = append(out.RepoExternalPlugins[key], e.Name)
			external[e.Name] = true
		}
	}
	out.RepoExternalPlugins[""] = slices.Sorted(maps.Keys(external))
	out.AllRepos = slices.Sorted(maps.Keys(all))
	for name, p := range h.plugins {
		repos := enabledIn[name]
		slices.Sort(repos)
		out.PluginHelp[name] = describePlugin(p, cfg, slices.Compact(repos))
	}
	return out
}

func describePlugin(p *plugins.Plugin, cfg *pluginconfig.Configuration, repos []string) PluginHelp {
	help := PluginHelp{Description: p.Description, Snippet: p.Snippet, Events: p.Events()}
	if p.Config != nil {
		help.Config = p.Config(cfg, repos)
	}
	for _, c := range p.Commands {
		help.Commands = append(help.Commands, CommandHelp{Usage: c.Usage, Featured: c.Featured, Description: c.Description, Examples: c.Examples, WhoCanUse: c.Who.Sentence})
	}
	return help
}

// orgRepos lists the repositories of an org or user as "org/repo". One that
// cannot be listed has none, and is asked for again next time.
func (h *helper) orgRepos(ctx context.Context, org string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.known[org]; ok && h.now().Sub(known.at) < reposTTL {
		return known.names
	}
	repos, err := h.repos.GetRepos(ctx, org, false)
	if err != nil {
		repos, err = h.repos.GetRepos(ctx, org, true)
	}
	if err != nil {
		h.log.WarnContext(ctx, "the repositories of an org cannot be listed", "org", org, "error", err)
		return nil
	}
	var full []string
	for _, r := range repos {
		full = append(full, org+"/"+r.Name)
	}
	if h.known == nil {
		h.known = map[string]orgRepos{}
	}
	h.known[org] = orgRepos{names: full, at: h.now()}
	return full
}
