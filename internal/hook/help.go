package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	PluginHelp          map[string]plugins.Help
	ExternalPluginHelp  map[string]plugins.Help
}

// repoLister lists the repositories of an account.
type repoLister interface {
	GetRepos(ctx context.Context, org string, isUser bool) ([]github.Repo, error)
}

// externalHelpLimit bounds how long external plugins are waited for.
const externalHelpLimit = time.Second

// maxExternalHelp bounds what one of them may answer, in bytes.
const maxExternalHelp = 1 << 20

// helper serves /plugin-help.
type helper struct {
	client  *http.Client
	plugins map[string]*plugins.Plugin
	config  func() *pluginconfig.Configuration
	repos   repoLister
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	known map[string]orgRepos
}

func newHelper(all map[string]*plugins.Plugin, cfg func() *pluginconfig.Configuration, repos repoLister, now func() time.Time, log *slog.Logger) *helper {
	return &helper{client: &http.Client{Timeout: externalHelpLimit}, plugins: all, config: cfg, repos: repos, now: now, log: log}
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
		PluginHelp: map[string]plugins.Help{},
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
	external := map[string]*externalUse{}
	for _, key := range slices.Sorted(maps.Keys(cfg.ExternalPlugins)) {
		repos := expand(key)
		for _, repo := range repos {
			all[repo] = true
		}
		if len(repos) == 0 {
			repos = []string{key} // an org that cannot be listed
		}
		for _, e := range cfg.ExternalPlugins[key] {
			out.RepoExternalPlugins[key] = append(out.RepoExternalPlugins[key], e.Name)
			use := external[e.Name]
			if use == nil {
				use = &externalUse{ExternalPlugin: e}
				external[e.Name] = use
			}
			use.add(repos)
		}
	}
	out.RepoExternalPlugins[""] = slices.Sorted(maps.Keys(external))
	out.ExternalPluginHelp = h.askExternal(ctx, external)
	out.AllRepos = slices.Sorted(maps.Keys(all))
	for name, p := range h.plugins {
		repos := enabledIn[name]
		slices.Sort(repos)
		out.PluginHelp[name] = p.Help(cfg, slices.Compact(repos))
	}
	return out
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

// externalUse is an external plugin with the repositories that use it.
type externalUse struct {
	pluginconfig.ExternalPlugin
	repos []orgRepo
}

// orgRepo is how external plugins are told of a repository.
type orgRepo struct{ Org, Repo string }

func (u *externalUse) add(repos []string) {
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		if r := (orgRepo{org, repo}); !slices.Contains(u.repos, r) {
			u.repos = append(u.repos, r)
		}
	}
}

// askExternal asks all external plugins at once what they are. One that fails or
// is late has no entry.
func (h *helper) askExternal(ctx context.Context, uses map[string]*externalUse) map[string]plugins.Help {
	ctx, cancel := context.WithTimeout(ctx, externalHelpLimit)
	defer cancel()
	var mu sync.Mutex
	out := map[string]plugins.Help{}
	var wg sync.WaitGroup
	for name, use := range uses {
		wg.Go(func() {
			help, err := h.ask(ctx, use)
			if err != nil {
				h.log.WarnContext(ctx, "an external plugin does not say what it is", "external-plugin", name, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[name] = help
		})
	}
	wg.Wait()
	return out
}

func (h *helper) ask(ctx context.Context, use *externalUse) (help plugins.Help, err error) {
	where, err := helpURL(use.Endpoint)
	if err != nil {
		return help, err
	}
	question, err := json.Marshal(use.repos)
	if err != nil {
		return help, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(question))
	if err != nil {
		return help, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return help, err
	}
	defer resp.Body.Close() //nolint:errcheck // the answer was read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return help, fmt.Errorf("it answered %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxExternalHelp)).Decode(&help); err != nil {
		return help, fmt.Errorf("its answer is no help: %w", err)
	}
	help.Events = use.Events
	return help, nil
}
