package inrepo

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"prow/internal/config"
)

// Options say where a component gets in-repo configuration from.
type Options struct {
	// CacheSize is how many revisions are remembered.
	CacheSize int
	// CacheDir is where mirrors of repositories are kept; empty is a temporary
	// directory.
	CacheDir string
	// MoonrakerAddress is http://host:port of the service that replaces mirrors
	// and cache; empty is none.
	MoonrakerAddress string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.IntVar(&o.CacheSize, "in-repo-config-cache-size", config.DefaultInRepoCacheSize, "Revisions of repositories whose jobs are remembered.")
	fs.StringVar(&o.CacheDir, "cache-dir-base", "", "Directory of git mirrors. Empty: a temporary one.")
	fs.StringVar(&o.MoonrakerAddress, "moonraker-address", "", "http://host:port of the service that reads the jobs of repositories for others; it replaces mirrors and cache.")
}

// Validate tells what is wrong with the flags.
func (o *Options) Validate() error {
	if o.CacheSize < 0 {
		return errors.New("--in-repo-config-cache-size must not be negative")
	}
	if o.MoonrakerAddress != "" {
		if _, err := parseMoonraker(o.MoonrakerAddress); err != nil {
			return fmt.Errorf("--moonraker-address: %w", err)
		}
	}
	return nil
}

// Open returns what finds jobs: by the service where one is named, which must
// answer within 15 seconds, else from trees, which is asked for only then.
func (o *Options) Open(ctx context.Context, trees func() (config.TreeOpener, error), opts config.InRepoOptions, service MoonrakerOptions) (*config.InRepo, error) {
	if o.MoonrakerAddress != "" {
		client, err := NewMoonraker(ctx, o.MoonrakerAddress, service)
		if err != nil {
			return nil, err
		}
		return config.NewRemoteInRepo(client), nil
	}
	opener, err := trees()
	if err != nil {
		return nil, err
	}
	opts.CacheSize = o.CacheSize
	return config.NewInRepo(opener, opts), nil
}
