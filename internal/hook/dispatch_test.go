package hook

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/store"
)

// newDispatcher has plugins that are all enabled for org.
func newDispatcher(t *testing.T, s outcomeStore, all ...*plugins.Plugin) *dispatcher {
	t.Helper()
	var names []string
	byName := map[string]*plugins.Plugin{}
	for _, p := range all {
		byName[p.Name] = p
		names = append(names, p.Name)
	}
	path := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(path, []byte("plugins: {org: {plugins: ["+strings.Join(names, ", ")+"], excluded_repos: [quiet]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	gh, err := github.NewClient(github.ClientOptions{UserAgent: "hook/v1"})
	if err != nil {
		t.Fatal(err)
	}
	return &dispatcher{
		plugins: byName, store: s, pluginConfig: func() *pluginconfig.Configuration { return cfg }, now: time.Now, log: slog.New(slog.DiscardHandler),
		metrics: newDispatchMetrics(prometheus.NewRegistry()),
		newAgent: func(_ *pluginconfig.Configuration, delivery, plugin string, log *slog.Logger) *plugins.Agent {
			return &plugins.Agent{GitHub: gh.For(plugin), Delivery: delivery, Log: log}
		},
	}
}

const commented = `{"action":"created","repository":{"owner":{"login":"org"},"name":"repo"},"issue":{"number":1,"state":"open","pull_request":{}},"comment":{"body":"/hi there\n/hi you\nsay /hi","user":{"login":"u"}}}`

func comment(id string) store.Delivery {
	return store.Delivery{ID: id, Event: "issue_comment", Received: time.Now(), Payload: []byte(commented)}
}

func TestAPluginThatPanicsOrIsSlowHarmsNoOther(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	quick := make(chan struct{})
	d := newDispatcher(t, s,
		&plugins.Plugin{Name: "a-panic", Handlers: plugins.Handlers{Comment: func(context.Context, *plugins.Agent, *github.CommentEvent) error { panic("boom") }}},
		&plugins.Plugin{Name: "b-slow", Handlers: plugins.Handlers{IssueComment: func(context.Context, *plugins.Agent, *github.IssueCommentEvent) error { <-quick; return nil }}},
		&plugins.Plugin{Name: "c-quick", Handlers: plugins.Handlers{Comment: func(context.Context, *plugins.Agent, *github.CommentEvent) error { close(quick); return nil }}},
		&plugins.Plugin{Name: "d-fails", Handlers: plugins.Handlers{Comment: func(context.Context, *plugins.Agent, *github.CommentEvent) error { return errors.New("no") }}},
	)
	if _, err := s.AddDelivery(t.Context(), comment("1")); err != nil {
		t.Fatal(err)
	}
	if err := d.handle(t.Context(), comment("1")); err != nil {
		t.Fatal(err)
	}
	outcomes, err := s.Outcomes(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	for handler, want := range map[string]string{"a-panic/comment": "panic: boom", "b-slow/issue_comment": "", "c-quick/comment": "", "d-fails/comment": "no"} {
		if got, ok := outcomes[handler]; !ok || !strings.HasPrefix(got.Error, want) || want == "" && got.Error != "" {
			t.Errorf("%s: %+v", handler, got)
		}
	}
}

func TestADeliveryTakenUpAgainRunsOnlyWhatHasNotEnded(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	var mu sync.Mutex
	ran := map[string]int{}
	plugin := func(name string, cutOff bool) *plugins.Plugin {
		return &plugins.Plugin{Name: name, Handlers: plugins.Handlers{Comment: func(ctx context.Context, _ *plugins.Agent, _ *github.CommentEvent) error {
			mu.Lock()
			defer mu.Unlock()
			ran[name]++
			if cutOff && ran[name] == 1 {
				return ctx.Err()
			}
			return nil
		}}}
	}
	if _, err := s.AddDelivery(t.Context(), comment("1")); err != nil {
		t.Fatal(err)
	}
	d := newDispatcher(t, s, plugin("cut-off", true))
	dying, cancel := context.WithCancel(t.Context())
	cancel()
	d.store = undying{s}
	if err := d.handle(dying, comment("1")); err == nil {
		t.Error("a handler that a shutdown cut off counts as ended")
	}
	d = newDispatcher(t, s, plugin("ended", false))
	if err := d.handle(t.Context(), comment("1")); err != nil {
		t.Fatal(err)
	}
	d = newDispatcher(t, s, plugin("cut-off", true), plugin("ended", false))
	if err := d.handle(t.Context(), comment("1")); err != nil {
		t.Fatal(err)
	}
	if ran["cut-off"] != 2 || ran["ended"] != 1 {
		t.Errorf("ran %v", ran)
	}
}

// undying is a store that answers although the process ends.
type undying struct{ *store.Store }

func (u undying) Outcomes(ctx context.Context, id string) (map[string]store.Outcome, error) {
	return u.Store.Outcomes(context.WithoutCancel(ctx), id)
}

func TestCommands(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	var got [][]string
	hi := func(scope plugins.Scope) *plugins.Plugin {
		return &plugins.Plugin{Name: "greeter", Commands: []plugins.Command{{
			Usage: "/hi NAME", Match: regexp.MustCompile(`(?m)^/hi (\w+)\s*$`), Scope: scope,
			Run: func(_ context.Context, a *plugins.Agent, _ *github.CommentEvent, uses [][]string) error {
				for _, u := range uses {
					got = append(got, []string{a.Delivery, u[1]})
				}
				return nil
			},
		}}}
	}
	for n, tc := range []struct {
		scope   plugins.Scope
		payload string
		want    [][]string
	}{
		{plugins.OpenPullRequests, commented, [][]string{{"0", "there"}, {"0", "you"}}},
		{plugins.Issues, commented, nil},
		{plugins.OpenPullRequests, strings.Replace(commented, `"state":"open"`, `"state":"closed"`, 1), nil},
		{plugins.PullRequests, strings.Replace(commented, `"created"`, `"edited"`, 1), nil},
		{plugins.Everywhere, strings.Replace(commented, `"name":"repo"`, `"name":"quiet"`, 1), nil},
		{plugins.Everywhere, `{"action":`, nil},
	} {
		got = nil
		d := newDispatcher(t, s, hi(tc.scope))
		delivery := comment(string(rune('0' + n)))
		delivery.Payload = []byte(tc.payload)
		if _, err := s.AddDelivery(t.Context(), delivery); err != nil {
			t.Fatal(err)
		}
		if err := d.handle(t.Context(), delivery); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, tc.want, slices.Equal) {
			t.Errorf("case %d: got %v, want %v", n, got, tc.want)
		}
	}
}
