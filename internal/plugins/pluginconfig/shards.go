package pluginconfig

import (
	"slices"
	"strings"

	"prow/internal/config"
)

// shardMerge adds a supplemental file to a configuration and remembers where
// its parts came from.
type shardMerge struct {
	into   *Configuration
	file   string
	report reporter
}

// from notes that a field of the merged configuration was written in a field
// of the file.
func (s *shardMerge) from(merged, field string) {
	if s.into.index.origins == nil {
		s.into.index.origins = map[string]origin{}
	}
	s.into.index.origins[merged] = origin{s.file, field}
}

// mergeShard adds a supplemental file. It may hold plugins, external_plugins,
// approve, lgtm, triggers, welcome, bugzilla and label.restricted_labels only.
// Lists are appended; a key must not stand in two files.
func (c *Configuration) mergeShard(shard *Configuration, file string, report reporter) {
	if extra := shard.unshardable(); len(extra) > 0 {
		report("", "found %s; a supplemental file may only set plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla and label.restricted_labels",
			strings.Join(extra, ", "))
	}
	s := &shardMerge{into: c, file: file, report: report}
	mergeKeys((*map[string]OrgPlugins)(&c.Plugins), shard.Plugins, "plugins", s)
	mergeKeys(&c.ExternalPlugins, shard.ExternalPlugins, "external_plugins", s)
	appendList(&c.Approve, shard.Approve, "approve", s)
	appendList(&c.Lgtm, shard.Lgtm, "lgtm", s)
	appendList(&c.Triggers, shard.Triggers, "triggers", s)
	appendList(&c.Welcome, shard.Welcome, "welcome", s)
	c.Bugzilla.mergeShard(&shard.Bugzilla, s)
	c.Label.mergeShard(&shard.Label, s)
}

func (l *Label) mergeShard(shard *Label, s *shardMerge) {
	for _, key := range sortedKeys(shard.RestrictedLabels) {
		field := "label.restricted_labels." + key
		for i, label := range shard.RestrictedLabels[key] {
			have := l.RestrictedLabels[key]
			if slices.ContainsFunc(have, func(h RestrictedLabel) bool { return h.Label == label.Label }) {
				s.report(element(field, i)+".label", "the label %s is set in another file as well", label.Label)
				continue
			}
			if l.RestrictedLabels == nil {
				l.RestrictedLabels = map[string][]RestrictedLabel{}
			}
			s.from(element(field, len(have)), element(field, i))
			l.RestrictedLabels[key] = append(have, label)
		}
	}
}

func mergeKeys[T any](into *map[string]T, from map[string]T, field string, s *shardMerge) {
	for _, key := range sortedKeys(from) {
		if _, dup := (*into)[key]; dup {
			s.report(field+"."+key, "%s is set in another file as well", key)
			continue
		}
		if *into == nil {
			*into = map[string]T{}
		}
		(*into)[key] = from[key]
		s.from(field+"."+key, field+"."+key)
	}
}

func appendList[T any](into *[]T, from []T, field string, s *shardMerge) {
	for i := range from {
		s.from(element(field, len(*into)+i), element(field, i))
	}
	*into = append(*into, from...)
}

// unshardable returns the fields a supplemental file sets although it must not.
func (c Configuration) unshardable() []string {
	return config.FieldsSet(c.withoutShardable(), Configuration{})
}

func (c Configuration) withoutShardable() Configuration {
	c.Plugins, c.ExternalPlugins, c.Approve, c.Lgtm, c.Triggers, c.Welcome = nil, nil, nil, nil, nil, nil
	c.Bugzilla = Bugzilla{}
	c.Label.RestrictedLabels = nil
	return c
}

// Scope is what a file says something about.
type Scope struct {
	// Global tells that it says something about everything.
	Global bool
	// Orgs and Repos ("org/repo") are what else it names, in lexical order.
	Orgs, Repos []string
}

// Scope returns what a file, as it was read, says something about.
func (c *Configuration) Scope() Scope {
	out := Scope{Global: len(c.unshardable()) > 0 || len(c.Bugzilla.Default) > 0}
	add := func(keys ...string) {
		for _, key := range keys {
			if strings.Contains(key, "/") {
				out.Repos = append(out.Repos, key)
			} else {
				out.Orgs = append(out.Orgs, key)
			}
		}
	}
	add(sortedKeys(c.Plugins)...)
	add(sortedKeys(c.ExternalPlugins)...)
	for org, options := range c.Bugzilla.Orgs {
		if len(options.Default) > 0 {
			add(org)
		}
		for repo := range options.Repos {
			add(org + "/" + repo)
		}
	}
	for key := range c.Label.RestrictedLabels {
		if key == "*" {
			out.Global = true
		} else {
			add(key)
		}
	}
	for i := range c.Approve {
		add(c.Approve[i].Repos...)
	}
	for i := range c.Lgtm {
		add(c.Lgtm[i].Repos...)
	}
	for i := range c.Triggers {
		add(c.Triggers[i].Repos...)
	}
	for i := range c.Welcome {
		add(c.Welcome[i].Repos...)
	}
	for _, list := range []*[]string{&out.Orgs, &out.Repos} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out
}
