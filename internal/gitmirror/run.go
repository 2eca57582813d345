// Package gitmirror keeps bare mirrors of repositories in a directory, from which
// clones on the same node take what they need.
//
// Each round brings every mirror up to date, a few at a time. A repository that
// cannot be fetched costs its own mirror only, which then is old: clones fetch the
// rest. A process that is killed leaves nothing that the next one cannot mend.
package gitmirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/service"
	"prow/internal/wiring"
)

// Name is that of the program.
const Name = "git-mirror"

// Options are the settings.
type Options struct {
	Config config.Options
	GitHub github.Flags
	// Dir is where the mirrors are.
	Dir string
	// Repos are further repositories, as org/repo or as an address.
	Repos []string
	// Interval is the pause between rounds.
	Interval time.Duration
	// Parallel is how many mirrors are updated at once.
	Parallel int
	RunOnce  bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.BindOptional(fs)
	o.GitHub.Bind(fs)
	fs.StringVar(&o.Dir, "dir", "", "Directory for the mirrors, each at <host>/<org>/<repo>.git.")
	fs.StringArrayVar(&o.Repos, "repo", nil, "Repository to mirror, as org/repo or as an address; may be repeated.")
	fs.DurationVar(&o.Interval, "interval", 5*time.Minute, "Pause between two rounds, give or take a tenth.")
	fs.IntVar(&o.Parallel, "parallel", 2, "How many mirrors are updated at once.")
	fs.BoolVar(&o.RunOnce, "run-once", false, "Make one round and end.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.GitHub.Validate()}
	if !filepath.IsAbs(o.Dir) {
		errs = append(errs, fmt.Errorf("--dir=%s: an absolute path is required", o.Dir))
	}
	if o.Config.ConfigPath == "" && len(o.Repos) == 0 {
		errs = append(errs, errors.New("nothing is to be mirrored: give --repo or --config-path"))
	}
	for _, repo := range o.Repos {
		if _, ok := git.MirrorPlace(addressOf(o.GitHub.Host, repo, "")); !ok || !strings.Contains(repo, "/") {
			errs = append(errs, fmt.Errorf("--repo=%s: neither org/repo nor an address", repo))
		}
	}
	if o.Interval <= 0 {
		errs = append(errs, fmt.Errorf("--interval=%s must be positive", o.Interval))
	}
	if o.Parallel <= 0 {
		errs = append(errs, fmt.Errorf("--parallel=%d must be positive", o.Parallel))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Keep mirrors of repositories on a node", "Keeps bare mirrors of repositories in a directory of a node, from which clones of jobs take what they need (git_mirror_volume).", &Options{}, Run)
}

// Run makes rounds until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	release, err := own(o.Dir)
	if err != nil {
		return err
	}
	defer release()
	if err := removeUnfinished(o.Dir); err != nil {
		return fmt.Errorf("%s: %w", o.Dir, err)
	}
	fromGitHub, err := o.GitHub.GitRemotes(rt.Secrets)
	if err != nil {
		return err
	}
	m := &mirrors{
		host: o.GitHub.Host, repos: o.Repos, parallel: o.Parallel, fromGitHub: fromGitHub, log: rt.Log,
		updates: service.Register(rt.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prow_git_mirror_updates_total", Help: "Updates of mirrors, by result.",
		}, []string{"result"})),
	}
	group, ctx := errgroup.WithContext(ctx)
	if o.Config.ConfigPath != "" {
		cfg, err := wiring.Config(ctx, rt, o.Config)
		if err != nil {
			return err
		}
		m.config = cfg.Get
		if !o.RunOnce {
			group.Go(func() error { return cfg.Run(ctx) })
		}
	}
	rt.SetReady()
	if o.RunOnce {
		return m.round(ctx, o.Dir)
	}
	group.Go(func() error {
		for {
			if err := m.round(ctx, o.Dir); err != nil && ctx.Err() == nil {
				rt.Log.ErrorContext(ctx, "not every mirror is up to date", "error", err)
			}
			// All nodes start at about the same time; they need not ask together for ever.
			pause := o.Interval + time.Duration((rand.Float64()-0.5)*float64(o.Interval)/5)
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
		}
	})
	return group.Wait()
}

// own makes sure that no other process updates the mirrors. The lock ends with
// the process, however that ends.
func own(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another process updates these mirrors: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// removeUnfinished removes the mirrors that a process before this one was making.
func removeUnfinished(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir():
			return err
		case strings.HasSuffix(path, ".git"):
			return fs.SkipDir
		case strings.HasPrefix(entry.Name(), ".new-"):
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
}

// mirrors is what a round needs.
type mirrors struct {
	host       string
	repos      []string
	parallel   int
	config     func() *config.Config // nil without one
	fromGitHub git.Remotes
	log        *slog.Logger
	updates    *prometheus.CounterVec
}

// round updates every mirror once. Its error is about all that failed.
func (m *mirrors) round(ctx context.Context, dir string) error {
	var cfg *config.Config
	if m.config != nil {
		cfg = m.config()
	}
	addresses := targets(m.host, m.repos, cfg)
	cache, err := git.NewCache(dir, dir, func(ctx context.Context, org, repo string) (git.Remote, error) {
		return m.remote(ctx, addresses[org+"/"+repo+".git"])
	}, git.NewRunner(os.Environ(),
		git.Setting{Key: "http.lowSpeedLimit", Value: "1"}, git.Setting{Key: "http.lowSpeedTime", Value: "300"},
		git.Setting{Key: "repack.writeBitmaps", Value: "false"},
	))
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(m.parallel)
	failures := make(chan error, len(addresses))
	begin := time.Now()
	for place := range addresses {
		group.Go(func() error {
			err := cache.Update(ctx, path.Dir(place), strings.TrimSuffix(path.Base(place), ".git"))
			result := "success"
			if err != nil {
				result = "failure"
				failures <- err
			}
			m.updates.WithLabelValues(result).Inc()
			return nil
		})
	}
	_ = group.Wait()
	close(failures)
	var errs []error
	for err := range failures {
		errs = append(errs, err)
	}
	m.log.InfoContext(ctx, "updated the mirrors", "mirrors", len(addresses), "failed", len(errs), "duration", time.Since(begin).String())
	return errors.Join(errs...)
}

// remote is where an address is fetched from, and how. Only the forge gets its token.
func (m *mirrors) remote(ctx context.Context, address string) (git.Remote, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return git.Remote{URL: address}, nil // as ssh has it
	}
	org, repo := path.Split(strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/"))
	if strings.EqualFold(u.Host, m.host) && org != "" && !strings.Contains(strings.Trim(org, "/"), "/") {
		return m.fromGitHub(ctx, strings.Trim(org, "/"), repo)
	}
	remote := git.Remote{}
	if password, has := u.User.Password(); has {
		user := u.User.Username()
		u.User = nil
		remote.Settings = git.BasicAuth(u.String(), user, password)
	}
	remote.URL = u.String()
	return remote, nil
}
