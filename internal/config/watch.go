package config

import (
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"prow/internal/config/live"
)

// Watcher serves the last good configuration.
type Watcher = live.Watcher[Config]

// Delta is a change of the configuration.
type Delta = live.Delta[Config]

// Check tells what one program cannot do of a configuration that is right otherwise.
type Check func(*Config) error

// NewWatcher loads the configuration, and fails if that fails, or a check; its Run
// keeps the configuration current.
func NewWatcher(ctx context.Context, opts Options, watch live.Options, checks ...Check) (*Watcher, error) {
	return live.New(ctx, live.Source[Config](&checked{NewLoader(opts), checks}), watch)
}

// checked is a loader whose configurations pass the checks of a program.
type checked struct {
	*Loader
	checks []Check
}

// Load reads the configuration and checks it.
func (c *checked) Load(ctx context.Context) (*Config, error) {
	cfg, err := c.Loader.Load(ctx)
	if err != nil {
		return nil, err
	}
	for _, check := range c.checks {
		if err := check(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// Version identifies the content of a configuration.
func (*Loader) Version(c *Config) string { return c.Version() }

// Warnings are the mistakes of a configuration that do no harm, one line each.
func (*Loader) Warnings(c *Config) []string {
	out := make([]string, 0, len(c.Warnings()))
	for _, w := range c.Warnings() {
		out = append(out, w.String())
	}
	return out
}

// LogLevel is the level a configuration asks for.
func (*Loader) LogLevel(c *Config) slog.Level { return c.SlogLevel() }

// Stamp changes when any file of the configuration may have changed, also in
// nested directories and in those of shards.
func (l *Loader) Stamp() string {
	s := newStamper()
	s.file(l.opts.ConfigPath)
	s.file(filepath.Join(filepath.Dir(l.opts.ConfigPath), "VERSION"))
	for _, dir := range l.opts.SupplementalDirs {
		s.tree(dir, func(name string) bool { return strings.HasSuffix(name, l.opts.SupplementalSuffix) })
	}
	if l.opts.JobConfigPath != "" {
		s.tree(l.opts.JobConfigPath, func(name string) bool { return isYAML(name) || filepath.Base(name) == ignoreFileName })
	}
	return s.sum()
}

// StampOf is the stamp of single files and of the files below directories whose
// path ends with a suffix.
func StampOf(files, dirs []string, suffix string) string {
	s := newStamper()
	for _, path := range files {
		s.file(path)
	}
	for _, dir := range dirs {
		s.tree(dir, func(name string) bool { return strings.HasSuffix(name, suffix) })
	}
	return s.sum()
}

type stamper struct{ h hash.Hash64 }

func newStamper() *stamper { return &stamper{fnv.New64a()} }

func (s *stamper) sum() string { return strconv.FormatUint(s.h.Sum64(), 36) }

func (s *stamper) file(path string) {
	info, err := os.Stat(path)
	if err != nil {
		fmt.Fprintf(s.h, "%s\x00%v\x00", path, err)
		return
	}
	fmt.Fprintf(s.h, "%s\x00%v\x00", path, stampOf(info))
}

func (s *stamper) tree(root string, wanted func(path string) bool) {
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		s.file(root)
		return
	}
	// An entry that cannot be read is part of the stamp as well.
	_ = filepath.WalkDir(root+string(filepath.Separator), func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			fmt.Fprintf(s.h, "%s\x00%v\x00", path, err)
		case strings.HasPrefix(e.Name(), "..") && e.IsDir():
			return filepath.SkipDir
		case strings.HasPrefix(e.Name(), ".."):
		case !e.IsDir() && wanted(path):
			s.file(path)
		}
		return nil
	})
}
