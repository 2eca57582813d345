package config

import (
	"errors"

	"github.com/spf13/pflag"
)

// DefaultShardSuffix ends the names of shards of the main configuration.
const DefaultShardSuffix = "_prowconfig.yaml"

// Options say where the configuration is.
type Options struct {
	// ConfigPath is the main file.
	ConfigPath string
	// JobConfigPath is a file or a directory tree of jobs; empty is none.
	JobConfigPath string
	// SupplementalDirs are searched for shards of the main configuration.
	SupplementalDirs []string
	// SupplementalSuffix ends the paths of shards; empty matches every file.
	SupplementalSuffix string
	// Strict refuses unknown fields; running components never set it.
	Strict bool
	// Checks are rules of the caller. They see the resolved configuration,
	// which they may not change, and return the problems they find.
	Checks []func(*Config) []Problem

	optional bool
}

// DefaultOptions are the values of the flags that are not given.
func DefaultOptions() Options { return Options{SupplementalSuffix: DefaultShardSuffix} }

// Bind registers the flags every component that reads the configuration has.
func (o *Options) Bind(fs *pflag.FlagSet) {
	if o.SupplementalSuffix == "" {
		o.SupplementalSuffix = DefaultShardSuffix
	}
	fs.StringVar(&o.ConfigPath, "config-path", o.ConfigPath, "Path of the main configuration file.")
	fs.StringVar(&o.JobConfigPath, "job-config-path", o.JobConfigPath, "Path of a file or a directory tree with jobs.")
	fs.StringArrayVar(&o.SupplementalDirs, "supplemental-prow-config-dir", o.SupplementalDirs,
		"Directory that is searched for shards of the main configuration. May be repeated.")
	fs.StringVar(&o.SupplementalSuffix, "supplemental-prow-configs-filename-suffix", o.SupplementalSuffix,
		"What the paths of shards end with.")
	fs.StringVar(&o.SupplementalSuffix, "supplemental-prow-configs-filename", o.SupplementalSuffix, "The older name of the suffix.")
	if f := fs.Lookup("supplemental-prow-configs-filename"); f != nil {
		f.Deprecated = "use --supplemental-prow-configs-filename-suffix"
	}
}

// BindOptional is Bind for tools that also work without configuration.
func (o *Options) BindOptional(fs *pflag.FlagSet) {
	o.Bind(fs)
	o.optional = true
}

// Validate tells what is missing.
func (o *Options) Validate() error {
	switch {
	case o.ConfigPath != "":
		return nil
	case !o.optional:
		return errors.New("--config-path is required")
	case o.JobConfigPath != "":
		return errors.New("--job-config-path is given without --config-path")
	}
	return nil
}
