package tide

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/storage/providers"
	"prow/internal/tide/simulate"
)

// Name of the component.
const Name = "tide"

// Options of the component.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
	GitHub     github.Flags
	// Credentials open the places of history and status where they are in a bucket.
	Credentials providers.Credentials

	Port         int
	Address      string
	DryRun       bool
	RunOnce      bool
	SyncTokens   int
	StatusTokens int
	MaxRecords   int
	HistoryURI   string
	StatusURI    string
	Provider     string
	CacheDir     string
	// CookieFile is a cookie file of git: by it Gerrit and git know who calls.
	CookieFile string
	// GerritMaxQPS and GerritMaxBurst limit requests to Gerrit.
	GerritMaxQPS, GerritMaxBurst int
	// MoonrakerAddress is http://host:port of the service that reads the jobs of
	// repositories; it counts on Gerrit.
	MoonrakerAddress string
	// CacheBound is how many bytes git mirrors may take; 0 is no bound.
	CacheBound     int64
	InRepoCache    int
	ListingTimeout time.Duration

	// Listener is where a host that runs several components wants the pools served;
	// it goes before Port.
	Listener net.Listener
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.NoThrottle = true // it has limits of its own
	o.GitHub.Bind(fs)
	fs.IntVar(&o.Port, "port", 8888, "Port of pools and history.")
	fs.StringVar(&o.Address, "bind-address", "", "Address to listen on; empty is all.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Decide, and change nothing on GitHub or Gerrit, in the cluster and in storage.")
	fs.BoolVar(&o.RunOnce, "run-once", false, "Make one round and end.")
	fs.IntVar(&o.SyncTokens, "sync-hourly-tokens", 800, "Requests an hour that the sync controller may make to GitHub; 0 is no limit.")
	fs.IntVar(&o.StatusTokens, "status-hourly-tokens", 400, "Requests an hour that the status controller may make to GitHub; 0 is no limit.")
	fs.IntVar(&o.MaxRecords, "max-records-per-pool", 1000, "Records of history that are kept of each pool.")
	o.Credentials.Bind(fs)
	fs.StringVar(&o.HistoryURI, "history-uri", "", "Where the history is kept: a path or the URL of an object. Empty: in memory.")
	fs.StringVar(&o.StatusURI, "status-path", "", "Where the status controller keeps what it has seen: a path or the URL of an object. Empty: nowhere.")
	fs.StringVar(&o.Provider, "provider", "", "Where the changes are: github or gerrit. Empty is what the configuration has queries for.")
	fs.StringVar(&o.CookieFile, "cookiefile", "", "Cookie file of git, by which Gerrit knows who calls. Git uses it for clones, on GitHub instead of the token. Empty: anonymous on Gerrit.")
	fs.IntVar(&o.GerritMaxQPS, "gerrit-max-qps", 0, "Requests per second to Gerrit; 0 is no limit.")
	fs.IntVar(&o.GerritMaxBurst, "gerrit-max-burst", 0, "Requests to Gerrit at once, with --gerrit-max-qps.")
	fs.StringVar(&o.MoonrakerAddress, "moonraker-address", "", "On Gerrit: http://host:port of the service that reads the jobs of repositories for others. Empty: they are read here.")
	fs.StringVar(&o.CacheDir, "cache-dir-base", "", "Directory of git mirrors. Empty: a temporary one.")
	fs.Int64Var(&o.CacheBound, "git-cache-size", 0, "Bytes that git mirrors may take; those of repositories not used for longest go first. 0: they all stay.")
	fs.IntVar(&o.InRepoCache, "in-repo-config-cache-size", config.DefaultInRepoCacheSize, "Revisions of repositories whose jobs are remembered.")
	fs.DurationVar(&o.ListingTimeout, "timeout-listing-prowjobs", 30*time.Second, "How long the first listing of ProwJobs may take.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	source := inrepo.Options{CacheSize: o.InRepoCache, MoonrakerAddress: o.MoonrakerAddress}
	errs := []error{o.Kubernetes.Validate(), o.Config.Validate(), source.Validate()}
	switch o.Provider {
	case "", onGitHub, onGerrit:
	default:
		errs = append(errs, fmt.Errorf("--provider=%s: expected github or gerrit", o.Provider))
	}
	if o.Provider != onGerrit {
		errs = append(errs, o.GitHub.Validate())
	}
	if o.GerritMaxQPS < 0 || o.GerritMaxBurst < 0 {
		errs = append(errs, errors.New("--gerrit-max-qps and --gerrit-max-burst must not be negative"))
	}
	if o.CookieFile != "" {
		if _, err := os.Stat(o.CookieFile); err != nil {
			errs = append(errs, fmt.Errorf("--cookiefile: %w", err))
		}
	}
	if o.Port < 0 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d is not a port", o.Port))
	}
	if o.MaxRecords < 1 {
		errs = append(errs, fmt.Errorf("--max-records-per-pool=%d: expected at least 1", o.MaxRecords))
	}
	if o.SyncTokens < 0 || o.StatusTokens < 0 {
		errs = append(errs, errors.New("--sync-hourly-tokens and --status-hourly-tokens must not be negative"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	cmd := service.Command(Name, "Merge pull requests", "Finds pull requests on GitHub, or changes on Gerrit, that are ready, tests them against the current base, and merges them.", &Options{}, Run)
	cmd.AddCommand(simulate.Command())
	return cmd
}
