package pluginconfig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

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
	// CheckNames refuses plugins that do not exist; running components never
	// set it.
	CheckNames bool
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
	log := watch.Logger
	if log == nil {
		log = slog.Default()
	}
	return live.New(ctx, live.Source[Configuration](&source{opts: opts, log: log}), watch)
}

// Load reads the plugin configuration once. If anything is wrong the error is
// a config.Errors with every problem found.
func Load(_ context.Context, opts Options) (*Configuration, error) {
	l := &loader{opts: opts, config: &Configuration{}, hash: map[string][sha256.Size]byte{}}
	return l.load()
}

type source struct {
	opts Options
	log  *slog.Logger
	// told is the version whose warnings were logged.
	told string
}

// maxWarnings is how many warnings of one version are logged.
const maxWarnings = 20

func (s *source) Load(ctx context.Context) (*Configuration, error) {
	c, err := Load(ctx, s.opts)
	if err != nil || c.Version() == s.told {
		return c, err
	}
	s.told = c.Version()
	warnings := c.Warnings()
	for _, w := range warnings[:min(len(warnings), maxWarnings)] {
		s.log.WarnContext(ctx, "The plugin configuration has a mistake that is tolerated.", "mistake", w.String())
	}
	if more := len(warnings) - maxWarnings; more > 0 {
		s.log.WarnContext(ctx, "The plugin configuration has more mistakes that are tolerated; checkconfig lists them.", "more", more)
	}
	return c, nil
}

func (s *source) Stamp() string {
	return config.StampOf([]string{s.opts.Path}, s.opts.SupplementalDirs, s.opts.SupplementalSuffix)
}

func (*source) Version(c *Configuration) string { return c.Version() }

type loader struct {
	opts    Options
	config  *Configuration
	decoder yamldec.Decoder
	errs    config.Collector
	// warnings are what does no harm.
	warnings config.Collector
	hash     map[string][sha256.Size]byte
}

func (l *loader) load() (*Configuration, error) {
	c := l.config
	c.index.main = l.opts.Path
	l.read(l.opts.Path, c)
	for _, dir := range l.opts.SupplementalDirs {
		paths, err := config.FilesWithSuffix(dir, l.opts.SupplementalSuffix)
		if err != nil {
			l.errs.Add(config.Problem{File: dir, Message: fmt.Sprintf("the directory of supplemental files cannot be read: %v", err)})
			continue
		}
		for _, path := range paths {
			var shard Configuration
			if l.read(path, &shard) {
				c.mergeShard(&shard, path, l.errs.InFile(path))
			}
		}
	}
	if l.errs.Empty() {
		c.resolve(&rules{report: l.placed(&l.errs), warn: l.placed(&l.warnings)})
	}
	if l.errs.Empty() {
		names := &l.warnings
		if l.opts.CheckNames {
			names = &l.errs
		}
		names.Add(c.CheckNames()...)
	}
	if err := l.errs.Err(); err != nil {
		return nil, err
	}
	errors.As(l.warnings.Err(), &c.index.warnings)
	c.index.version = l.version()
	return c, nil
}

// placed returns a reporter for fields of the merged configuration.
func (l *loader) placed(to *config.Collector) reporter {
	return func(field, format string, args ...any) {
		file, at := l.config.Place(field)
		to.InFile(file)(at, format, args...)
	}
}

// read decodes a file; ok is false if it was not read cleanly.
func (l *loader) read(path string, into *Configuration) (ok bool) {
	data, err := config.ReadFile(path)
	if err != nil {
		l.errs.Add(config.Problem{File: path, Message: fmt.Sprintf("the plugin configuration cannot be read: %v", err)})
		return false
	}
	l.hash[path] = sha256.Sum256(data)
	l.errs.Source(path, data)
	l.warnings.Source(path, data)
	if !l.errs.Decoded(path, l.decoder.Decode(data, into, yamldec.Options{Strict: l.opts.Strict})) {
		return false
	}
	if !l.opts.Strict {
		_, problems := Parse(data, true)
		for _, p := range problems {
			l.warnings.Add(config.Problem{File: path, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Kind: p.Kind})
		}
	}
	for _, of := range into.Plugins {
		if of.legacy {
			l.warnings.InFile(path)("plugins", "the form org: [a, b] is deprecated; use org: {plugins: [a, b]}")
			break
		}
	}
	return true
}

func (l *loader) version() string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(l.hash)) {
		sum := l.hash[path]
		fmt.Fprintf(h, "%s\x00%x", path, sum)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// resolve sets defaults and checks the rules.
func (c *Configuration) resolve(r *rules) {
	if len(c.Plugins) == 0 {
		r.warn("plugins", "no plugin is enabled")
	}
	c.defaultExternalPlugins()
	c.Owners.resolve(r)
	c.resolveSmall(r)
	c.resolveBlockades(r)
	c.BranchCleaner.resolve(r)
	c.Bugzilla.resolve(r)
	c.resolveCherryPicks(r)
	c.Blunderbuss.resolve("blunderbuss", r)
	c.Rifle.resolve("rifle", r)
	c.checkPlugins(r)
	c.checkReviewers(r)
	c.warnOfNames(r)
	c.ConfigUpdater.resolve(r)
	c.Size.check(r)
	c.resolveRequireMatchingLabel(r)
	c.ProjectManager.check(r)
	c.resolveTriggers(r)
	for i := range c.Approve {
		c.Approve[i].setDefaults()
	}
	checkUniqueRepos("approve", c.Approve, func(a *Approve) []string { return a.Repos }, r.report)
	checkUniqueRepos("welcome", c.Welcome, func(w *Welcome) []string { return w.Repos }, r.report)
	checkUniqueRepos("lgtm", c.Lgtm, func(l *Lgtm) []string { return l.Repos }, firstCounts(r.warn))
	c.checkInvalidCommitMsg(r)
	c.resolveMilestones(r)
}

// Parse decodes one file as it was written: without defaults, and without the
// rules. Strict also finds unknown fields.
func Parse(data []byte, strict bool) (*Configuration, []yamldec.Problem) {
	var d yamldec.Decoder
	var c Configuration
	problems := d.Decode(data, &c, yamldec.Options{Strict: strict})
	return &c, problems
}
