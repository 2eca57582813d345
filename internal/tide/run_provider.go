package tide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/forge/gerrit"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/secret"
	"prow/internal/service"
)

// Names of providers, as --provider has them.
const (
	onGitHub = "github"
	onGerrit = "gerrit"
)

// chooseProvider says where the changes are: where the flag says, or what the
// configuration has queries for. Where it has both, somebody has to say it.
func chooseProvider(flag string, tide *config.Tide) (string, error) {
	changes := tide.Gerrit != nil && len(tide.Gerrit.Queries) > 0
	switch {
	case flag != "":
		return flag, nil
	case changes && len(tide.Queries) > 0:
		return "", errors.New("tide.queries and tide.gerrit.queries are both set: choose one by --provider")
	case changes:
		return onGerrit, nil
	}
	return onGitHub, nil
}

// surroundings are what both providers are built in.
type surroundings struct {
	rt      *service.Runtime
	config  func() *config.Config
	jobs    client.Client
	inRepo  *config.InRepo
	metrics *Metrics
	board   *Board
}

func (s *surroundings) log(controller string) *slog.Logger {
	return s.rt.Log.With("controller", controller)
}

// onGitHub builds the provider for GitHub, and the status controller.
func (o *Options) onGitHub(s *surroundings) (Provider, *Statuses, error) {
	o.GitHub.Measure(s.rt.Metrics)
	merging := func(c *github.ClientOptions) { c.Priority = github.PriorityMerging }
	syncForge, err := o.GitHub.Client(s.rt.Agent(), o.DryRun, s.rt.Secrets, s.log("sync"), throttled(o.SyncTokens, 3*perRound(o.SyncTokens, s.config())), merging)
	if err != nil {
		return nil, nil, err
	}
	statusForge, err := o.GitHub.Client(s.rt.Agent(), o.DryRun, s.rt.Secrets, s.log("status-update"), throttled(o.StatusTokens, o.StatusTokens/2))
	if err != nil {
		return nil, nil, err
	}
	mergeability := NewMergeability(syncForge, time.Now)
	provider := &GitHubProvider{
		Forge: syncForge, Mergeability: mergeability, Metrics: s.metrics, PerOrg: syncForge.UsesAppAuth(), Now: time.Now, Sleep: sleep, Log: s.log("sync"),
	}
	statuses := &Statuses{
		Forge: statusForge, Jobs: s.jobs, InRepo: s.inRepo, Mergeability: mergeability, Board: s.board, Metrics: s.metrics,
		Config: s.config, PerOrg: statusForge.UsesAppAuth(), Now: time.Now, After: time.After, Log: s.log("status-update"),
	}
	return provider, statuses, nil
}

// perRound is how many of the requests of an hour a round may make.
func perRound(perHour int, cfg *config.Config) int {
	return int(float64(perHour) * cfg.Tide.SyncPeriod.Hours())
}

// throttled limits the requests of a client. After a restart the status controller
// may have many statuses to write, so it may use half of its hour at once.
func throttled(perHour, burst int) func(*github.ClientOptions) {
	return func(o *github.ClientOptions) {
		o.Throttle, o.OrgThrottles = github.Rate{PerHour: perHour, Burst: burst}, nil
	}
}

// onGerrit builds the provider for Gerrit, which has no statuses to control.
func (o *Options) onGerrit(s *surroundings) (Provider, error) {
	options := gerrit.Options{
		Component: Name, QPS: o.GerritMaxQPS, Burst: o.GerritMaxBurst, ReadOnly: o.DryRun,
		Instances: func() []string {
			var all []string
			if g := s.config().Tide.Gerrit; g != nil {
				for _, entry := range g.Queries {
					all = append(all, entry.Org)
				}
			}
			return all
		},
	}
	if o.CookieFile != "" {
		file, err := s.rt.Secrets.File(o.CookieFile, func(content []byte) error {
			s.rt.Secrets.Add(gerrit.CookieFromFile(string(content)))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("--cookiefile: %w", err)
		}
		options.Cookie = func() secret.Value { return secret.New(gerrit.CookieFromFile(file().Reveal())) }
	}
	return &GerritProvider{Forge: gerrit.NewClient(options), Jobs: s.jobs, Metrics: s.metrics, Log: s.log("sync")}, nil
}

// remotes tells where repositories are cloned from. With a cookie file that is
// what git presents, and only to the repository that is asked for.
func (o *Options) remotes(rt *service.Runtime, provider string) (git.Remotes, error) {
	var remotes git.Remotes
	if provider == onGerrit {
		remotes = func(_ context.Context, org, repo string) (git.Remote, error) {
			return git.Remote{URL: gerrit.CloneURI(org, repo)}, nil
		}
	} else {
		flags := o.GitHub
		if o.CookieFile != "" {
			flags.TokenPath, flags.AppID, flags.AppKeyPath = "", "", ""
		}
		var err error
		if remotes, err = flags.GitRemotes(rt.Secrets); err != nil {
			return nil, err
		}
	}
	if o.CookieFile == "" {
		return remotes, nil
	}
	return func(ctx context.Context, org, repo string) (git.Remote, error) {
		remote, err := remotes(ctx, org, repo)
		remote.Settings = append(remote.Settings, git.Setting{Key: "http." + remote.URL + ".cookieFile", Value: o.CookieFile})
		return remote, err
	}, nil
}

// openInRepo finds the jobs of repositories in mirrors, or on Gerrit by the service
// that is named.
func (o *Options) openInRepo(ctx context.Context, rt *service.Runtime, provider string, mirrors *git.Cache, timeout func() time.Duration) (*config.InRepo, error) {
	source := inrepo.Options{CacheSize: o.InRepoCache, MoonrakerAddress: o.MoonrakerAddress}
	if provider != onGerrit && source.MoonrakerAddress != "" {
		rt.Log.Warn("--moonraker-address counts on Gerrit only; jobs of repositories are read here")
		source.MoonrakerAddress = ""
	}
	trees := func() (config.TreeOpener, error) {
		return inrepo.Trees{Cache: mirrors, Metrics: inrepo.NewMetrics(rt.Metrics)}, nil
	}
	return source.Open(ctx, trees, config.InRepoOptions{Registerer: rt.Metrics}, inrepo.MoonrakerOptions{UserAgent: rt.Agent(), Timeout: timeout})
}
