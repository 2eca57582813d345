package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// maxRedeliveries is how many deliveries of one webhook are asked for in a sweep.
const maxRedeliveries = 200

// sweepForge is what the sweep asks of the forge.
type sweepForge interface {
	ListOrgHooks(ctx context.Context, org string) ([]github.Hook, error)
	ListRepoHooks(ctx context.Context, org, repo string) ([]github.Hook, error)
	ListOrgHookDeliveries(ctx context.Context, org string, hook int64, since time.Time) ([]github.HookDelivery, error)
	ListRepoHookDeliveries(ctx context.Context, org, repo string, hook int64, since time.Time) ([]github.HookDelivery, error)
	ListAppHookDeliveries(ctx context.Context, since time.Time) ([]github.HookDelivery, error)
	RedeliverOrgHook(ctx context.Context, org string, hook, delivery int64) error
	RedeliverRepoHook(ctx context.Context, org, repo string, hook, delivery int64) error
	RedeliverAppHook(ctx context.Context, delivery int64) error
}

// sweeper repairs outages: it asks the forge which deliveries of the last days
// have failed, and has those delivered again that never came.
type sweeper struct {
	forge sweepForge
	// app tells that one webhook, the App's, brings everything.
	app bool
	// path is that of our webhook's URL, by which webhooks of others are told apart.
	path   string
	config func() *pluginconfig.Configuration
	serves func(org, repo string) bool
	has    func(ctx context.Context, ids []string) (map[string]bool, error)
	every  time.Duration
	window time.Duration
	now    func() time.Time
	log    *slog.Logger
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		n, err := s.sweep(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.log.WarnContext(ctx, "not all webhooks could be asked for failed deliveries", "error", err)
		}
		if n > 0 {
			s.log.InfoContext(ctx, "deliveries that never came are delivered again", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweep asks once and returns how many deliveries it had repeated.
func (s *sweeper) sweep(ctx context.Context) (repeated int, err error) {
	since := s.now().Add(-s.window)
	if s.app {
		return s.repair(ctx, "the App", func() ([]github.HookDelivery, error) { return s.forge.ListAppHookDeliveries(ctx, since) },
			func(id int64) error { return s.forge.RedeliverAppHook(ctx, id) })
	}
	var errs []error
	cfg := s.config()
	for _, key := range places(cfg) {
		org, repo, isRepo := strings.Cut(key, "/")
		if !s.serves(org, repo) {
			continue
		}
		hooks, err := s.hooks(ctx, org, repo)
		if err != nil {
			errs = append(errs, fmt.Errorf("list the webhooks of %s: %w", key, err))
			continue
		}
		for _, h := range hooks {
			if !h.Active || !s.ours(h.Config.URL) {
				continue
			}
			n, err := s.repair(ctx, key, func() ([]github.HookDelivery, error) {
				if isRepo {
					return s.forge.ListRepoHookDeliveries(ctx, org, repo, h.ID, since)
				}
				return s.forge.ListOrgHookDeliveries(ctx, org, h.ID, since)
			}, func(id int64) error {
				if isRepo {
					return s.forge.RedeliverRepoHook(ctx, org, repo, h.ID, id)
				}
				return s.forge.RedeliverOrgHook(ctx, org, h.ID, id)
			})
			repeated += n
			errs = append(errs, err)
		}
	}
	return repeated, errors.Join(errs...)
}

// places are the orgs and repositories that have plugins.
func places(cfg *pluginconfig.Configuration) (out []string) {
	for key := range cfg.Plugins {
		out = append(out, key)
	}
	for key := range cfg.ExternalPlugins {
		out = append(out, key)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hooks lists webhooks; one who may not see them is not told of them either.
func (s *sweeper) hooks(ctx context.Context, org, repo string) ([]github.Hook, error) {
	var hooks []github.Hook
	var err error
	if repo != "" {
		hooks, err = s.forge.ListRepoHooks(ctx, org, repo)
	} else {
		hooks, err = s.forge.ListOrgHooks(ctx, org)
	}
	if github.IsNotFound(err) {
		return nil, nil
	}
	return hooks, err
}

func (s *sweeper) ours(hook string) bool {
	u, err := url.Parse(hook)
	return err == nil && u.Path == s.path
}

// repair has the failed deliveries of one webhook repeated.
func (s *sweeper) repair(ctx context.Context, whose string, list func() ([]github.HookDelivery, error), redeliver func(int64) error) (int, error) {
	all, err := list()
	if err != nil {
		return 0, fmt.Errorf("list the deliveries of %s: %w", whose, err)
	}
	missing := missed(all)
	guids := make([]string, len(missing))
	for i, d := range missing {
		guids[i] = d.GUID
	}
	known, err := s.has(ctx, guids)
	if err != nil {
		return 0, err
	}
	repeated := 0
	for _, d := range missing {
		if known[d.GUID] {
			continue
		}
		if repeated == maxRedeliveries {
			s.log.WarnContext(ctx, "more deliveries have failed than are repeated at once; the rest follows", "of", whose)
			break
		}
		if err := redeliver(d.ID); err != nil {
			return repeated, fmt.Errorf("deliver %s of %s again: %w", d.GUID, whose, err)
		}
		repeated++
	}
	return repeated, nil
}

// missed are the deliveries that failed each time, the oldest first. The list is
// the newest first, with one entry for each time. What we refused with 4xx would
// be refused again.
func missed(all []github.HookDelivery) (out []github.HookDelivery) {
	settled := map[string]bool{}
	for _, d := range all {
		if d.StatusCode >= 200 && d.StatusCode < 300 || d.StatusCode >= 400 && d.StatusCode < 500 {
			settled[d.GUID] = true
		}
	}
	for _, d := range all {
		if !settled[d.GUID] && d.GUID != "" {
			settled[d.GUID] = true
			out = append(out, d)
		}
	}
	slices.Reverse(out)
	return out
}
