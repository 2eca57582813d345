package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// hooksForge has a webhook of ours and one of somebody else in each place.
type hooksForge struct {
	deliveries []github.HookDelivery
	since      time.Time
	repeated   []string
	fails      string
}

func (f *hooksForge) hooks(place string) ([]github.Hook, error) {
	if place == f.fails {
		return nil, errors.New("502")
	}
	return []github.Hook{
		{ID: 1, Active: true, Config: github.HookConfig{URL: "https://prow.example/hook"}},
		{ID: 2, Active: true, Config: github.HookConfig{URL: "https://other.example/in"}},
		{ID: 3, Config: github.HookConfig{URL: "https://prow.example/hook"}},
	}, nil
}

func (f *hooksForge) ListOrgHooks(_ context.Context, org string) ([]github.Hook, error) {
	return f.hooks(org)
}

func (f *hooksForge) ListRepoHooks(_ context.Context, org, repo string) ([]github.Hook, error) {
	return f.hooks(org + "/" + repo)
}

func (f *hooksForge) ListOrgHookDeliveries(_ context.Context, _ string, _ int64, since time.Time) ([]github.HookDelivery, error) {
	f.since = since
	return f.deliveries, nil
}

func (f *hooksForge) ListRepoHookDeliveries(ctx context.Context, org, _ string, hook int64, since time.Time) ([]github.HookDelivery, error) {
	return f.ListOrgHookDeliveries(ctx, org, hook, since)
}

func (f *hooksForge) ListAppHookDeliveries(_ context.Context, since time.Time) ([]github.HookDelivery, error) {
	f.since = since
	return f.deliveries, nil
}

func (f *hooksForge) RedeliverOrgHook(_ context.Context, org string, hook, delivery int64) error {
	f.repeated = append(f.repeated, fmt.Sprintf("%s hook %d delivery %d", org, hook, delivery))
	return nil
}

func (f *hooksForge) RedeliverRepoHook(ctx context.Context, org, repo string, hook, delivery int64) error {
	return f.RedeliverOrgHook(ctx, org+"/"+repo, hook, delivery)
}

func (f *hooksForge) RedeliverAppHook(ctx context.Context, delivery int64) error {
	return f.RedeliverOrgHook(ctx, "app", 0, delivery)
}

func sweeperOf(t *testing.T, f *hooksForge, app bool) *sweeper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(path, []byte("plugins: {o: {plugins: [hold]}, p/q: {plugins: [hold]}, disabled: {plugins: [hold]}}\nexternal_plugins: {x/y: [{name: e}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return &sweeper{
		forge: f, app: app, path: "/hook", config: func() *pluginconfig.Configuration { return cfg }, serves: func(org, _ string) bool { return org != "disabled" },
		has: func(_ context.Context, ids []string) (map[string]bool, error) {
			return map[string]bool{"came": slices.Contains(ids, "came")}, nil
		},
		window: time.Hour, now: func() time.Time { return time.Unix(10_000, 0) }, log: slog.New(slog.DiscardHandler),
	}
}

var outage = []github.HookDelivery{
	{ID: 5, GUID: "lost", StatusCode: 0}, {ID: 4, GUID: "came", StatusCode: 502}, {ID: 3, GUID: "older", StatusCode: 503}, {ID: 2, GUID: "fine", StatusCode: 200},
}

func TestASweepRepairsAnOutage(t *testing.T) {
	f := &hooksForge{deliveries: outage}
	n, err := sweeperOf(t, f, false).sweep(t.Context())
	want := []string{"o hook 1 delivery 3", "o hook 1 delivery 5", "p/q hook 1 delivery 3", "p/q hook 1 delivery 5", "x/y hook 1 delivery 3", "x/y hook 1 delivery 5"}
	if err != nil || n != 6 || !slices.Equal(f.repeated, want) {
		t.Errorf("%d, %v: %q", n, err, f.repeated)
	}
	if !f.since.Equal(time.Unix(10_000, 0).Add(-time.Hour)) {
		t.Errorf("since %s", f.since)
	}
}

func TestASweepOfAnApp(t *testing.T) {
	f := &hooksForge{deliveries: outage}
	if n, err := sweeperOf(t, f, true).sweep(t.Context()); err != nil || n != 2 || f.repeated[0] != "app hook 0 delivery 3" {
		t.Errorf("%d, %v: %q", n, err, f.repeated)
	}
}

func TestASweepGoesOnWhereOnePlaceFails(t *testing.T) {
	f := &hooksForge{deliveries: outage, fails: "o"}
	if n, err := sweeperOf(t, f, false).sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "o: 502") || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestASweepIsBounded(t *testing.T) {
	f := &hooksForge{}
	for n := range 3 * maxRedeliveries {
		f.deliveries = append(f.deliveries, github.HookDelivery{ID: int64(n), GUID: fmt.Sprint(n), StatusCode: 502})
	}
	if n, err := sweeperOf(t, f, true).sweep(t.Context()); err != nil || n != maxRedeliveries {
		t.Errorf("%d, %v", n, err)
	}
}
