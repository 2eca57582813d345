package pluginconfig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/config/yamldec"
)

// DefaultSuffix ends the paths of supplemental files.
const DefaultSuffix = "_pluginconfig.yaml"

// Options say where the plugin configuration is.
type Options struct {
	// Path is the main file, plugins.yaml.
	Path string
	// SupplementalDirs are searched for supplemental files.
	SupplementalDirs []string
	// SupplementalSuffix ends the paths of supplemental files.
	SupplementalSuffix string
	// Strict refuses unknown fields; running components never set it.
	Strict bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	if o.SupplementalSuffix == "" {
		o.SupplementalSuffix = DefaultSuffix
	}
	fs.StringVar(&o.Path, "plugin-config", o.Path, "Path of the plugin configuration file.")
	fs.StringArrayVar(&o.SupplementalDirs, "supplemental-plugin-config-dir", o.SupplementalDirs,
		"Directory that is searched for supplemental plugin configuration files. May be repeated.")
	fs.StringVar(&o.SupplementalSuffix, "supplemental-plugin-configs-filename-suffix", o.SupplementalSuffix,
		"What the paths of supplemental files end with.")
}

// Watcher serves the last good plugin configuration.
type Watcher = live.Watcher[Configuration]

// NewWatcher loads the plugin configuration, and fails if that fails; its Run
// keeps it current.
func NewWatcher(ctx context.Context, opts Options, watch live.Options) (*Watcher, error) {
	if watch.Name == "" {
		watch.Name = "plugin configuration"
	}
	return live.New(ctx, live.Source[Configuration](&source{opts: opts}), watch)
}

// Load reads the plugin configuration once. If anything is wrong the error is
// a config.Errors with every problem found.
func Load(_ context.Context, opts Options) (*Configuration, error) {
	l := &loader{opts: opts, config: &Configuration{}, hash: map[string][sha256.Size]byte{}}
	return l.load()
}

type source struct{ opts Options }

func (s *source) Load(ctx context.Context) (*Configuration, error) { return Load(ctx, s.opts) }

func (s *source) Stamp() string {
	return config.StampOf([]string{s.opts.Path}, s.opts.SupplementalDirs, s.opts.SupplementalSuffix)
}

func (*source) Version(c *Configuration) string { return c.Version() }

type loader struct {
	opts    Options
	config  *Configuration
	decoder yamldec.Decoder
	errs    config.Collector
	hash    map[string][sha256.Size]byte
}

func (l *loader) load() (*Configuration, error) {
	c := l.config
	if data, ok := l.read(l.opts.Path, c, l.opts.Strict); ok {
		if len(c.Plugins) > 0 && hasLegacyForm(data) {
			c.index.warnings = append(c.index.warnings, "plugins: the form org: [a, b] is deprecated; use org: {plugins: [a, b]}")
		}
	}
	for _, dir := range l.opts.SupplementalDirs {
		paths, err := config.FilesWithSuffix(dir, l.opts.SupplementalSuffix)
		if err != nil {
			l.errs.Add(config.Problem{File: dir, Message: fmt.Sprintf("the directory of supplemental files cannot be read: %v", err)})
			continue
		}
		for _, path := range paths {
			var shard Configuration
			if _, ok := l.read(path, &shard, l.opts.Strict); ok {
				c.mergeShard(&shard, l.errs.InFile(path))
			}
		}
	}
	if l.errs.Empty() {
		c.resolve(l.errs.InFile(l.opts.Path))
	}
	if err := l.errs.Err(); err != nil {
		return nil, err
	}
	c.index.version = l.version()
	return c, nil
}

// read decodes a file; ok is false if it was not read cleanly.
func (l *loader) read(path string, into *Configuration, strict bool) (data []byte, ok bool) {
	data, err := config.ReadFile(path)
	if err != nil {
		l.errs.Add(config.Problem{File: path, Message: fmt.Sprintf("the plugin configuration cannot be read: %v", err)})
		return nil, false
	}
	l.hash[path] = sha256.Sum256(data)
	l.errs.Source(path, data)
	return data, l.errs.Decoded(path, l.decoder.Decode(data, into, yamldec.Options{Strict: strict}))
}

func (l *loader) version() string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(l.hash)) {
		sum := l.hash[path]
		fmt.Fprintf(h, "%s\x00%x", path, sum)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hasLegacyForm tells whether plugins of a file is a map of lists.
func hasLegacyForm(data []byte) bool {
	var d yamldec.Decoder
	var file struct {
		Plugins map[string]json.RawMessage `json:"plugins"`
	}
	d.Decode(data, &file, yamldec.Options{})
	for _, raw := range file.Plugins {
		return strings.HasPrefix(string(raw), "[")
	}
	return false
}

// Warnings are mistakes that do no harm.
func (c *Configuration) Warnings() []string { return c.index.warnings }

// resolve sets defaults and checks the rules.
func (c *Configuration) resolve(report reporter) {
	if len(c.Plugins) == 0 {
		c.index.warnings = append(c.index.warnings, "plugins: no plugin is enabled")
	}
	c.defaultExternalPlugins()
	c.Owners.resolve(report)
	c.Blunderbuss.resolve(report)
	c.resolveSmall(report)
	c.checkPlugins(report)
	for i := range c.Approve {
		c.Approve[i].setDefaults()
	}
	for i := range c.Triggers {
		if c.Triggers[i].TrustedOrg != "" {
			c.index.warnings = append(c.index.warnings, fmt.Sprintf("triggers[%d].trusted_org is deprecated", i))
		}
	}
	checkUniqueRepos("approve", c.Approve, func(a *Approve) []string { return a.Repos }, report)
	checkUniqueRepos("welcome", c.Welcome, func(w *Welcome) []string { return w.Repos }, report)
}

// mergeShard adds a supplemental file. It may hold plugins, external_plugins,
// approve, lgtm, triggers, welcome and label.restricted_labels only.
func (c *Configuration) mergeShard(shard *Configuration, report reporter) {
	if extra := shard.unshardable(); len(extra) > 0 {
		report("", "found %s; a supplemental file may only set plugins, external_plugins, approve, lgtm, triggers, welcome, bugzilla and label.restricted_labels",
			strings.Join(extra, ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(shard.Plugins)) {
		if _, dup := c.Plugins[key]; dup {
			report("plugins."+key, "%s is set in another file as well", key)
			continue
		}
		if c.Plugins == nil {
			c.Plugins = Plugins{}
		}
		c.Plugins[key] = shard.Plugins[key]
	}
	for _, key := range slices.Sorted(maps.Keys(shard.ExternalPlugins)) {
		if _, dup := c.ExternalPlugins[key]; dup {
			report("external_plugins."+key, "%s is set in another file as well", key)
			continue
		}
		if c.ExternalPlugins == nil {
			c.ExternalPlugins = map[string][]ExternalPlugin{}
		}
		c.ExternalPlugins[key] = shard.ExternalPlugins[key]
	}
	c.Approve = append(c.Approve, shard.Approve...)
	c.Lgtm = append(c.Lgtm, shard.Lgtm...)
	c.Triggers = append(c.Triggers, shard.Triggers...)
	c.Welcome = append(c.Welcome, shard.Welcome...)
	for _, key := range slices.Sorted(maps.Keys(shard.Label.RestrictedLabels)) {
		for _, label := range shard.Label.RestrictedLabels[key] {
			if slices.ContainsFunc(c.Label.RestrictedLabels[key], func(have RestrictedLabel) bool { return have.Label == label.Label }) {
				report("label.restricted_labels."+key, "the label %s is set in another file as well", label.Label)
				continue
			}
			if c.Label.RestrictedLabels == nil {
				c.Label.RestrictedLabels = map[string][]RestrictedLabel{}
			}
			c.Label.RestrictedLabels[key] = append(c.Label.RestrictedLabels[key], label)
		}
	}
}

// unshardable returns the fields a supplemental file sets although it must not.
func (c Configuration) unshardable() []string {
	c.Plugins, c.ExternalPlugins, c.Approve, c.Lgtm, c.Triggers, c.Welcome = nil, nil, nil, nil, nil, nil
	c.Label.RestrictedLabels = nil
	return config.FieldsSet(c, Configuration{})
}
