package eventserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
)

const (
	// handlers is how many deliveries are handled at once.
	handlers = 32
	// handlerLimit is how long the handlers of a delivery may take.
	handlerLimit = 15 * time.Minute
	// serverGrace is how long answers may take at shutdown.
	serverGrace = 5 * time.Second
	// workGrace is how long the handlers may take then.
	workGrace = 50 * time.Second
	// maxQuestion bounds the repositories about which help is asked, in bytes.
	maxQuestion = 16 << 20
)

// Flags is the flag group of external plugins.
type Flags struct {
	Port     int
	Address  string
	HMACFile string
	Store    string
	DryRun   bool
	LogLevel string
}

// Bind registers the flags for a program with a name.
func (f *Flags) Bind(fs *pflag.FlagSet, name string) {
	fs.IntVar(&f.Port, "port", 8888, "Port of webhooks and help.")
	fs.StringVar(&f.Address, "bind-address", "", "Address to listen on; empty is all.")
	fs.StringVar(&f.HMACFile, "hmac-secret-file", "/etc/webhook/hmac", "File with the secrets that sign deliveries.")
	fs.StringVar(&f.Store, "store", name+".db", "Where deliveries are kept until they are handled: an SQLite file of this process, or a PostgreSQL database (postgres://...) that replicas share.")
	fs.BoolVar(&f.DryRun, "dry-run", true, "Change nothing on GitHub.")
	fs.StringVar(&f.LogLevel, "log-level", "info", "Level of the log: debug, info, warn or error.")
}

// Validate checks the flags.
func (f *Flags) Validate() error {
	if f.Port < 0 || f.Port > 65535 {
		return fmt.Errorf("--port=%d is not a port", f.Port)
	}
	if _, err := service.ParseLevel(f.LogLevel); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	return nil
}

// Server is an external plugin with its surroundings.
type Server struct {
	Plugin *plugins.Plugin
	Flags  *Flags
	// Agent makes what the handlers get for a delivery. Fields that are about the
	// delivery are filled in.
	Agent func() *plugins.Agent
	// GitHub is the client of the program.
	GitHub *github.Client
	// Config is the current configuration; nil where the plugin reads none.
	Config func() *config.Config
	// PluginConfig is the current configuration of plugins; nil where the plugin reads none.
	PluginConfig func() *pluginconfig.Configuration
	// Background runs beside the server until its context ends; may be nil.
	Background func(ctx context.Context) error
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context, rt *service.Runtime) error {
	level, err := service.ParseLevel(s.Flags.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	rt.Level.Set(level)
	keys, err := webhook.FollowKeys(rt.Secrets, s.Flags.HMACFile)
	if err != nil {
		return fmt.Errorf("--hmac-secret-file: %w", err)
	}
	db, err := store.Open(ctx, s.Flags.Store)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // every write was committed before it was relied on
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Flags.Address, strconv.Itoa(s.Flags.Port)))
	if err != nil {
		return fmt.Errorf("--port: %w", err)
	}
	d := &dispatcher{server: s, slots: make(chan struct{}, handlers), log: rt.Log}
	box, err := webhook.NewInbox(ctx, db, s.Plugin.Name+"-"+rand.Text(), d.prepare, time.Now, rt.Log, rt.Metrics)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/", webhook.NewAcceptor(keys, box.Take, time.Now, rt.Log, rt.Metrics))
	mux.HandleFunc("/help", s.help)

	handler := service.NewHTTPMetrics(rt.Metrics, rt.Name, service.HTTPBuckets{}).Measure(mux)

	// The inbox stops after the server, so that what is accepted last is handled too.
	group, groupCtx := errgroup.WithContext(ctx)
	boxCtx, stopBox := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBox()
	group.Go(func() error {
		defer stopBox()
		return service.Serve(groupCtx, listener, handler, serverGrace)
	})
	group.Go(func() error { return box.Run(boxCtx, workGrace) })
	if s.Background != nil {
		group.Go(func() error { return s.Background(groupCtx) })
	}
	rt.SetReady()
	rt.Log.InfoContext(ctx, "receiving webhooks", "address", listener.Addr().String())
	return group.Wait()
}

// help answers what the plugin is, for the repositories that enable it.
func (s *Server) help(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "405 Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var asked []struct{ Org, Repo string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&asked); err != nil {
		http.Error(w, "500 Internal Server Error: the question is no list of repositories: "+err.Error(), http.StatusInternalServerError)
		return
	}
	repos := make([]string, 0, len(asked))
	for _, a := range asked {
		repos = append(repos, a.Org+"/"+a.Repo)
	}
	cfg := &pluginconfig.Configuration{}
	if s.PluginConfig != nil {
		cfg = s.PluginConfig()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Plugin.Help(cfg, repos)) // the client is gone
}

// dispatcher runs the handlers of the plugin.
type dispatcher struct {
	server *Server
	slots  chan struct{}
	log    *slog.Logger
}

// work is what the plugin does for one delivery.
type work struct {
	dispatcher *dispatcher
	id         string
	bound      []plugins.Bound
	log        *slog.Logger
}

func (d *dispatcher) prepare(delivery *store.Delivery) webhook.Work {
	log := d.log.With("event-type", delivery.Event, "event-GUID", delivery.ID)
	payload, err := github.ParseEvent(delivery.Event, delivery.ID, delivery.Payload)
	if err != nil {
		log.Error("a delivery cannot be read and is dropped", "error", err)
		return nil
	}
	if payload == nil {
		return nil
	}
	e := plugins.Describe(delivery.Event, payload)
	var cfg *config.Config
	if d.server.Config != nil {
		cfg = d.server.Config()
	}
	bound := d.server.Plugin.Bind(cfg, e)
	if len(bound) == 0 {
		return nil
	}
	return &work{d, delivery.ID, bound, log.With(e.Fields...)}
}

// Room is always there: the handlers wait in memory, of which there are few.
func (w *work) Room(context.Context, bool) bool { return true }

// Run runs the handlers one after the other. What one returns is logged: like a
// handler of hook it is not run again for that.
func (w *work) Run(ctx context.Context, attempt webhook.Attempt) error {
	select {
	case w.dispatcher.slots <- struct{}{}:
		defer func() { <-w.dispatcher.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, handlerLimit)
	defer cancel()
	for _, b := range w.bound {
		err := plugins.Protect(func() error { return b.Run(limited, w.agent(attempt)) })
		if err != nil && ctx.Err() != nil {
			return err // cut off by the shutdown: it is run again
		}
		if err != nil {
			w.log.ErrorContext(ctx, "handler failed", "handler", b.Kind, "error", err)
		}
	}
	return nil
}

func (w *work) agent(attempt webhook.Attempt) *plugins.Agent {
	s := w.dispatcher.server
	a := s.Agent()
	a.GitHub = s.GitHub
	if attempt.Repeated {
		a.GitHub = s.GitHub.Repeating(attempt.Received)
	}
	if s.Config != nil {
		a.Config = s.Config()
	}
	if s.PluginConfig != nil {
		a.Plugins = s.PluginConfig()
	}
	a.Delivery, a.Repeated, a.Log = w.id, attempt.Repeated, w.log
	if a.Now == nil {
		a.Now = time.Now
	}
	return a
}
