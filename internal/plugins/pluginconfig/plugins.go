package pluginconfig

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Plugins maps an org or "org/repo" to the plugins it uses.
type Plugins map[string]OrgPlugins

// OrgPlugins are the plugins of an org or of a repository.
type OrgPlugins struct {
	// ExcludedRepos are repositories of the org, without its name, that do not
	// use its plugins.
	ExcludedRepos []string `json:"excluded_repos,omitempty"`
	// Plugins are names of plugins.
	Plugins []string `json:"plugins,omitempty"`

	// legacy tells that the older form was used.
	legacy bool
}

// UnmarshalJSON also reads the older form, in which every value of the map is
// a list of names; both forms in one file are a mistake.
func (p *Plugins) UnmarshalJSON(b []byte) error {
	var legacy map[string][]string
	if err := json.Unmarshal(b, &legacy); err == nil {
		*p = make(Plugins, len(legacy))
		for key, names := range legacy {
			(*p)[key] = OrgPlugins{Plugins: names, legacy: true}
		}
		return nil
	}
	var current map[string]OrgPlugins
	if err := json.Unmarshal(b, &current); err != nil {
		var values map[string]json.RawMessage
		if json.Unmarshal(b, &values) == nil {
			for _, key := range sortedKeys(values) {
				if raw := values[key]; len(raw) > 0 && raw[0] == '[' {
					return fmt.Errorf("%s: found a list of plugins among maps, expected {plugins: [...]} everywhere", key)
				}
			}
		}
		return err
	}
	*p = current
	return nil
}

// ExternalPlugin is a service that gets events.
type ExternalPlugin struct {
	// Name names the service.
	Name string `json:"name"`
	// Endpoint is its URL. Default: http:// and the name, which is a service
	// of the same namespace.
	Endpoint string `json:"endpoint,omitempty"`
	// Events are the types of GitHub events it gets; empty is all.
	Events []string `json:"events,omitempty"`
}

// Wants tells whether the service gets events of a type.
func (e *ExternalPlugin) Wants(event string) bool {
	return len(e.Events) == 0 || slices.Contains(e.Events, event)
}

// EnabledPlugins returns the plugins of a repository: those of its org unless
// the org excludes it, then its own. Without a repository it returns those of
// the org.
func (c *Configuration) EnabledPlugins(org, repo string) []string {
	var out []string
	if of := c.Plugins[org]; repo == "" || !slices.Contains(of.ExcludedRepos, repo) {
		out = append(out, of.Plugins...)
	}
	if repo != "" {
		out = append(out, c.Plugins[org+"/"+repo].Plugins...)
	}
	return out
}

// Enabled tells whether a repository uses a plugin.
func (c *Configuration) Enabled(plugin, org, repo string) bool {
	return slices.Contains(c.EnabledPlugins(org, repo), plugin)
}

// EnabledFor returns where a plugin is used: orgs, their exceptions
// ("org/repo", by org), and repositories, each in lexical order. A repository
// that lists a plugin of its own is no exception.
func (c *Configuration) EnabledFor(plugin string) (orgs, repos []string, excluded map[string][]string) {
	excluded = map[string][]string{}
	for _, key := range sortedKeys(c.Plugins) {
		of := c.Plugins[key]
		if !slices.Contains(of.Plugins, plugin) {
			continue
		}
		if strings.Contains(key, "/") {
			repos = append(repos, key)
			continue
		}
		orgs = append(orgs, key)
		for _, repo := range of.ExcludedRepos {
			full := key + "/" + repo
			if !slices.Contains(c.Plugins[full].Plugins, plugin) {
				excluded[key] = append(excluded[key], full)
			}
		}
	}
	return orgs, repos, excluded
}

// EnabledExternalPlugins returns the services that get the events of a
// repository: those of its org, then its own.
func (c *Configuration) EnabledExternalPlugins(org, repo string) []ExternalPlugin {
	out := slices.Clone(c.ExternalPlugins[org])
	if repo != "" {
		out = append(out, c.ExternalPlugins[org+"/"+repo]...)
	}
	return out
}

func (c *Configuration) defaultExternalPlugins() {
	for key, list := range c.ExternalPlugins {
		for i := range list {
			if list[i].Endpoint == "" {
				list[i].Endpoint = "http://" + list[i].Name
			}
		}
		c.ExternalPlugins[key] = list
	}
}

// warn tells of entries that do not do what they seem to.
func (o OrgPlugins) warn(field string, isRepo bool, r *rules) {
	if len(o.Plugins) == 0 {
		r.warn(field, "no plugin is enabled here")
	}
	for i, name := range o.Plugins {
		if slices.Contains(o.Plugins[:i], name) {
			r.warn(field, "the plugin %s stands twice", name)
		}
	}
	if isRepo && len(o.ExcludedRepos) > 0 {
		r.warn(field+".excluded_repos", "of no effect: only an org has repositories to leave out")
		return
	}
	for i, repo := range o.ExcludedRepos {
		if strings.Contains(repo, "/") {
			r.warn(element(field+".excluded_repos", i), "found %q, which leaves nothing out, expected the name of a repository without its org", repo)
		}
	}
}

// checkPlugins refuses plugins that a repository would use twice.
func (c *Configuration) checkPlugins(r *rules) {
	for _, key := range sortedKeys(c.Plugins) {
		org, repo, isRepo := strings.Cut(key, "/")
		c.Plugins[key].warn("plugins."+key, isRepo, r)
		ofOrg := c.Plugins[org]
		if !isRepo || slices.Contains(ofOrg.ExcludedRepos, repo) {
			continue
		}
		if both := overlap(ofOrg.Plugins, c.Plugins[key].Plugins); len(both) > 0 {
			r.report("plugins."+key, "found %q, which the org %s uses already", both, org)
		}
	}
	for _, key := range sortedKeys(c.ExternalPlugins) {
		for i, p := range c.ExternalPlugins[key] {
			if p.Name == "" {
				r.report(fmt.Sprintf("external_plugins.%s[%d].name", key, i), "missing, expected a name")
			}
		}
		org, _, isRepo := strings.Cut(key, "/")
		if !isRepo {
			continue
		}
		if both := overlap(names(c.ExternalPlugins[org]), names(c.ExternalPlugins[key])); len(both) > 0 {
			r.report("external_plugins."+key, "found %q, which the org %s uses already", both, org)
		}
	}
}

func names(list []ExternalPlugin) []string {
	var out []string
	for i := range list {
		out = append(out, list[i].Name)
	}
	return out
}

func overlap(a, b []string) []string {
	var out []string
	for _, s := range b {
		if slices.Contains(a, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
