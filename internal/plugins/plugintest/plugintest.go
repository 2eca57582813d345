// Package plugintest runs a plugin against a real forge on real git repositories.
//
// A World is a forge with a small cast, a repository with an OWNERS file, and one
// plugin that gets the webhooks of the forge. What people do is done through the
// forge's API; afterwards the plugin has handled all that this caused, its own
// doings included, so that a test just looks at the outcome.
//
//	org o, whose members are boss (owner), alice, bob and bot
//	eve, who is nobody
//	o/r, where alice approves and bob reviews
package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Org and Repo are where everything happens.
const (
	Org  = "o"
	Repo = "r"
)

// patience bounds the wait for webhooks; only a broken test waits that long.
const patience = time.Minute

// Options say what a World has.
type Options struct {
	// Plugin gets the events.
	Plugin *plugins.Plugin
	// Deliver, if set, gets the deliveries in the place of a plugin.
	Deliver func(id, kind string, payload []byte)
	// Config, Jobs and Plugins are the content of config.yaml, of a file with
	// jobs, and of plugins.yaml, which need not enable the plugin.
	Config, Jobs, Plugins string
	// Files are the files of the repository. Default: an OWNERS file.
	Files map[string]string
	// Transport, if set, carries the plugin's requests, so that it can count or break them.
	Transport func(http.RoundTripper) http.RoundTripper
	// ProwJobs, if set, wraps the client for ProwJobs.
	ProwJobs func(client.Client) client.Client
}

// World is a running forge with one plugin.
type World struct {
	tb     testing.TB
	opts   Options
	forge  *local.Forge
	addr   string
	bot    *github.Client
	cache  *git.Cache
	inRepo *config.InRepo
	owners *owners.Cache
	clone  string
	// pusher pushes instead of boss.
	pusher string

	// Config and Plugins are the configurations.
	Config  *config.Config
	Plugins *pluginconfig.Configuration
	// ProwJobs holds what the plugin creates.
	ProwJobs client.Client
	// ConfigMapSize is the metric of that name.
	ConfigMapSize *prometheus.GaugeVec

	mu     sync.Mutex
	queue  []delivery
	news   chan struct{}
	marks  int
	first  string
	errs   []error
	events []string
	last   map[string]delivery
}

type delivery struct {
	id, kind string
	payload  []byte
	// handled is when it was handled first.
	handled time.Time
}

// New starts a World that ends with the test.
func New(tb testing.TB, opts Options) *World {
	tb.Helper()
	if opts.Files == nil {
		opts.Files = map[string]string{"OWNERS": "approvers: [alice]\nreviewers: [bob]\n"}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	w := &World{tb: tb, opts: opts, addr: listener.Addr().String(), news: make(chan struct{}, 1), last: map[string]delivery{}}
	w.openForge(listener)
	w.configure()
	w.connect()
	w.clone = filepath.Join(tb.TempDir(), "clone")
	w.run(".", "clone", "--quiet", w.cloneURL(), w.clone)
	w.first = w.Push("main", opts.Files)
	w.Settle()
	return w
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Address is the host and port of the forge.
func (w *World) Address() string { return w.addr }

// Token is that of a person.
func Token(login string) string { return token(login) }

func token(login string) string { return "token-of-" + login }

func (w *World) openForge(listener net.Listener) {
	hooks, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.tb, err)
	receiver := &http.Server{Handler: http.HandlerFunc(w.receive), ReadHeaderTimeout: patience}
	go func() { _ = receiver.Serve(hooks) }()
	w.forge, err = local.Open(context.Background(), local.Options{Dir: w.tb.TempDir(), BaseURL: "http://" + w.addr, AnonymousRead: true})
	must(w.tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.forge.Serve(ctx, listener) })
	running.Go(func() { _ = w.forge.Run(ctx) })
	w.tb.Cleanup(func() {
		cancel()
		running.Wait()
		_ = receiver.Close()
		if err := w.forge.Close(); err != nil {
			w.tb.Error(err)
		}
	})
	seed := local.Seed{
		Users: []local.User{{Login: "boss"}, {Login: "alice"}, {Login: "bob"}, {Login: "eve"}, {Login: "bot"}},
		Orgs: []local.SeedOrg{{
			Org:     local.Org{Login: Org},
			Members: map[string]string{"boss": "admin", "bot": "admin", "alice": "member", "bob": "member"},
			Teams:   []local.Team{{Name: "Sticky Ones", Members: []string{"alice"}}},
		}},
		Repos: []local.SeedRepo{{Repo: local.Repo{Owner: Org, Name: Repo}}},
		Hooks: []local.Hook{{Owner: Org, URL: "http://" + hooks.Addr().String()}},
	}
	for _, u := range seed.Users {
		seed.Tokens = append(seed.Tokens, local.SeedToken{Login: u.Login, Token: token(u.Login)})
	}
	must(w.tb, w.forge.Apply(w.tb.Context(), seed))
}

// configure loads the configurations as a component does.
func (w *World) configure() {
	dir := w.tb.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(w.tb, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	opts := config.DefaultOptions()
	opts.ConfigPath = write("config.yaml", w.opts.Config)
	opts.JobConfigPath = write("jobs.yaml", w.opts.Jobs)
	var err error
	w.Config, err = config.Load(w.tb.Context(), opts)
	must(w.tb, err)
	w.Plugins, err = pluginconfig.Load(w.tb.Context(), pluginconfig.Options{Path: write("plugins.yaml", w.opts.Plugins)})
	must(w.tb, err)
}

func (w *World) connect() {
	transport := http.DefaultTransport
	if w.opts.Transport != nil {
		transport = w.opts.Transport(transport)
	}
	var err error
	w.bot, err = github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), UserAgent: "hook/v1", Transport: transport,
		Token: func() (string, error) { return token("bot"), nil },
		Retry: github.RetryPolicy{MaxRetries: 1, InitialDelay: time.Millisecond, Sleep: briefly},
	})
	must(w.tb, err)
	dir := w.tb.TempDir()
	runner := git.NewRunner(os.Environ(), git.Setting{Key: "user.name", Value: "prow"}, git.Setting{Key: "user.email", Value: "prow@localhost"})
	w.cache, err = git.NewCache(filepath.Join(dir, "mirrors"), filepath.Join(dir, "work"), func(_ context.Context, org, repo string) (git.Remote, error) {
		address := "http://" + w.addr + "/" + org + "/" + repo
		return git.Remote{URL: address, Settings: git.BasicAuth(address, "bot", token("bot"))}, nil
	}, runner)
	must(w.tb, err)
	w.inRepo = config.NewInRepo(inrepo.Trees{Cache: w.cache}, config.InRepoOptions{})
	w.owners = owners.NewCache(func(ctx context.Context, org, repo, commit string, read func(owners.Tree) error) error {
		return w.cache.Files(ctx, org, repo, commit, func(m *git.Mirror) error { return read(m) })
	})
	scheme, err := kube.NewScheme()
	must(w.tb, err)
	w.ProwJobs = fake.NewClientBuilder().WithScheme(scheme).Build()
	w.ConfigMapSize = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prow_configmap_size_bytes"}, []string{"name", "namespace"})
}

// receive takes a webhook.
func (w *World) receive(_ http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, delivery{id: r.Header.Get("X-GitHub-Delivery"), kind: r.Header.Get("X-GitHub-Event"), payload: payload})
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Settle lets the plugin handle everything that has happened, and what that
// causes, until nothing happens any more.
func (w *World) Settle() {
	w.tb.Helper()
	for range 20 {
		if w.handleUntil(w.mark()) == 0 {
			return
		}
	}
	w.tb.Fatalf("the plugin answers its own doings without an end; the last events are %q", w.events[max(0, len(w.events)-20):])
}

// mark sets a status that tells apart what has happened before it: webhooks
// come in order.
func (w *World) mark() string {
	w.tb.Helper()
	w.marks++
	mark := fmt.Sprintf("mark-%d", w.marks)
	if w.first == "" {
		w.first = w.Head("main")
	}
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, w.first, &gogithub.RepoStatus{State: gogithub.Ptr("success"), Context: &mark})
	must(w.tb, err)
	return mark
}

// handleUntil handles deliveries until the mark, and tells how many there were.
func (w *World) handleUntil(mark string) (handled int) {
	w.tb.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for i, d := range queue {
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"`+mark+`"`) {
				w.mu.Lock()
				w.queue = append(slices.Clone(queue[i+1:]), w.queue...)
				w.mu.Unlock()
				return handled
			}
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"mark-`) {
				continue
			}
			handled++
			w.Handle(d.id, d.kind, d.payload)
		}
		select {
		case <-w.news:
		case <-deadline:
			w.tb.Fatalf("the forge did not tell of %s", mark)
		}
	}
}

// Handle gives a delivery to the plugin, as hook would.
func (w *World) Handle(id, kind string, payload []byte) {
	w.tb.Helper()
	w.handle(delivery{id: id, kind: kind, payload: payload})
}

func (w *World) handle(d delivery) {
	w.tb.Helper()
	id, kind, payload := d.id, d.kind, d.payload
	if w.opts.Deliver != nil {
		w.opts.Deliver(id, kind, payload)
		return
	}
	event, err := github.ParseEvent(kind, id, payload)
	must(w.tb, err)
	if event == nil {
		return
	}
	var peek struct {
		Action string
		Sender struct{ Login string }
	}
	_ = json.Unmarshal(payload, &peek) // only for messages
	w.events = append(w.events, kind+"/"+peek.Action)
	if peek.Sender.Login != "bot" {
		seen := d
		if seen.handled.IsZero() {
			seen.handled = time.Now()
		}
		w.last[kind], w.last[kind+"/"+peek.Action] = seen, seen
	}
	ctx, agent := w.tb.Context(), w.Agent(id)
	if !d.handled.IsZero() {
		agent.Repeated, agent.GitHub = true, agent.GitHub.Repeating(d.handled)
		agent.Owners.Forge = agent.GitHub
	}
	for _, b := range w.opts.Plugin.Bind(w.Config, plugins.Describe(kind, event)) {
		w.note(b.Run(ctx, agent))
	}
}

// note keeps an error of the plugin. Unless the test asks for it, it fails.
func (w *World) note(err error) {
	if err != nil {
		if len(w.errs) == 0 {
			w.tb.Cleanup(func() {
				if len(w.errs) > 0 {
					w.tb.Errorf("the plugin failed: %v", errors.Join(w.errs...))
				}
			})
		}
		w.errs = append(w.errs, err)
	}
}

// Errors are those of the plugin since the last call.
func (w *World) Errors() error {
	err := errors.Join(w.errs...)
	w.errs = nil
	return err
}

// Agent is what the plugin gets for a delivery.
func (w *World) Agent(delivery string) *plugins.Agent {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.tb.Output(), nil))
	}
	mine := w.bot.For(w.opts.Plugin.Name)
	jobs := w.ProwJobs
	if w.opts.ProwJobs != nil {
		jobs = w.opts.ProwJobs(jobs)
	}
	return &plugins.Agent{
		GitHub: mine, ProwJobs: jobs, InRepo: w.inRepo, Config: w.Config, Plugins: w.Plugins, Git: w.cache, Cluster: func(string) (client.Client, error) { return jobs, nil }, ConfigMapSize: w.ConfigMapSize, Delivery: delivery, Now: time.Now, Log: log,
		Owners: &owners.Client{Cache: w.owners, Forge: mine, Settings: plugins.OwnersSettings(w.Config, w.Plugins), Log: log},
	}
}

// HandleAgain gives the last delivery of a kind, or of a kind and an action
// ("pull_request/opened"), to the plugin once more, as after a crash in the middle
// of it. What the bot itself caused does not count.
func (w *World) HandleAgain(kind string) {
	w.tb.Helper()
	d, ok := w.last[kind]
	if !ok {
		w.tb.Fatalf("there was no delivery of kind %s", kind)
	}
	w.handle(d)
	w.Settle()
}

// briefly stands for waits of the plugin's client: the forge here is quick.
func briefly(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
