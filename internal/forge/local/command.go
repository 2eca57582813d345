package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// Command is the component "local-forge".
func Command() *cobra.Command {
	o := Options{AnonymousRead: true}
	cmd := &cobra.Command{
		Use:   "local-forge",
		Short: "Serve a GitHub-compatible forge from a directory on this machine",
		Long: "Serve git, GitHub's REST and GraphQL APIs, webhooks and pages from bare repositories and a database in one directory.\n" +
			"With --sign-in the pages let every visitor act as any seeded account, so keep it on the loopback interface.\n\n" +
			"With --admin-token-file the forge can be steered below /_admin/, for tests of clients:\n" + adminHelp() +
			"docs/local-forge.md describes the rules for faults and the form of seeds.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			o.Logger = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)).With("component", "local-forge")
			return Run(ctx, o)
		},
	}
	o.Bind(cmd.Flags())
	return cmd
}

// Bind registers the flags of a forge.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&o.Dir, "dir", o.Dir, "Directory that holds all state. Created when missing.")
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:8888", "Address to serve on.")
	fs.StringVar(&o.BaseURL, "base-url", o.BaseURL, "Address that clients use, without a path. Default: http:// and the listen address.")
	fs.StringSliceVar(&o.Hosts, "host", o.Hosts, "Further host name under which requests are accepted. Repeatable.")
	fs.StringVar(&o.HookURL, "hook-url", o.HookURL, "URL that receives all events of all seeded organisations.")
	fs.StringVar(&o.HMACSecretFile, "hmac-secret-file", o.HMACSecretFile, "File with the secret that signs webhooks to --hook-url.")
	fs.StringVar(&o.SeedFile, "seed", o.SeedFile, "YAML file with users, organisations, repositories, tokens and hooks, applied at every start.")
	fs.BoolVar(&o.AnonymousRead, "anonymous-read", o.AnonymousRead, "Let requests without a token read public repositories.")
	fs.BoolVar(&o.SignIn, "sign-in", o.SignIn, "Let visitors of the pages act as any account, without a password. Only for loopback addresses.")
	fs.IntVar(&o.RateLimit, "rate-limit", o.RateLimit, "REST requests per hour and identity; 0 for no limit.")
	fs.IntVar(&o.Limits.Search, "search-limit", o.Limits.Search, "Searches per minute and identity; 0 for no limit.")
	fs.IntVar(&o.Limits.GraphQL, "graphql-limit", o.Limits.GraphQL, "GraphQL requests per hour and identity; 0 for no limit.")
	fs.IntVar(&o.Limits.Concurrent, "concurrent-limit", o.Limits.Concurrent, "Requests of one identity under way at the same time; 0 for no limit.")
	fs.IntVar(&o.Limits.Content, "content-limit", o.Limits.Content, "Requests that change something, per minute and identity; 0 for no limit.")
	fs.StringVar(&o.AdminTokenFile, "admin-token-file", o.AdminTokenFile, "File with the token that opens /_admin/, by which faults are injected and the forge is seeded. Without it /_admin/ does not exist.")
	fs.StringVar(&o.TLSCertFile, "tls-cert-file", o.TLSCertFile, "Certificate (PEM) to serve HTTPS with. Written, with a self-signed one, when both files are missing.")
	fs.StringVar(&o.UnixSocket, "unix-socket", o.UnixSocket, "Path of a socket to serve plain HTTP on as well, for clients that reach their host through one (gh: http_unix_socket).")
	fs.StringVar(&o.TLSKeyFile, "tls-key-file", o.TLSKeyFile, "Private key (PEM) of the certificate.")
}

// Validate checks what can be checked without doing anything.
func (o *Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("--dir must be set"))
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		errs = append(errs, fmt.Errorf("--listen=%s: want host:port: %w", o.Listen, err))
	} else if ip := net.ParseIP(host); o.SignIn && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		errs = append(errs, fmt.Errorf("--sign-in lets anybody act as any account and needs a loopback address, not --listen=%s", o.Listen))
	}
	if o.HookURL != "" {
		if u, err := url.Parse(o.HookURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("--hook-url=%s: want an absolute http(s) URL", o.HookURL))
		}
	}
	for name, n := range map[string]int{
		"rate-limit": o.RateLimit, "search-limit": o.Limits.Search, "graphql-limit": o.Limits.GraphQL,
		"concurrent-limit": o.Limits.Concurrent, "content-limit": o.Limits.Content,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("--%s=%d: want 0 or more", name, n))
		}
	}
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file and --tls-key-file must be set together"))
	}
	return errors.Join(errs...)
}

// Run serves a forge until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	seed := Seed{}
	if o.SeedFile != "" {
		if seed, err = ReadSeed(o.SeedFile); err != nil {
			return err
		}
	}
	if o.HookURL != "" {
		secret := ""
		if o.HMACSecretFile != "" {
			raw, err := os.ReadFile(o.HMACSecretFile)
			if err != nil {
				return fmt.Errorf("reading webhook secret: %w", err)
			}
			secret = strings.TrimSpace(string(raw))
		}
		for _, org := range seed.Orgs {
			seed.Hooks = append(seed.Hooks, Hook{Owner: org.Login, URL: o.HookURL, Secret: secret})
		}
	}
	if o.AdminTokenFile != "" {
		raw, err := os.ReadFile(o.AdminTokenFile)
		if err != nil {
			return fmt.Errorf("reading admin token: %w", err)
		}
		if o.AdminToken = strings.TrimSpace(string(raw)); o.AdminToken == "" {
			return fmt.Errorf("reading admin token: %s is empty", o.AdminTokenFile)
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	scheme := "http://"
	if o.TLSCertFile != "" {
		cert, err := certificate(o.TLSCertFile, o.TLSKeyFile, append([]string{"localhost", "127.0.0.1"}, o.Hosts...))
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		scheme, ln = "https://", tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	}
	if o.BaseURL == "" {
		o.BaseURL = scheme + ln.Addr().String()
	}
	f, err := Open(ctx, o)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Apply(ctx, seed); err != nil {
		return errors.Join(err, ln.Close())
	}
	listeners := []net.Listener{ln}
	if o.UnixSocket != "" {
		if err := os.Remove(o.UnixSocket); err != nil && !errors.Is(err, os.ErrNotExist) { // of a killed predecessor
			return errors.Join(fmt.Errorf("listening on %s: %w", o.UnixSocket, err), ln.Close())
		}
		socket, err := new(net.ListenConfig).Listen(ctx, "unix", o.UnixSocket)
		if err != nil {
			return errors.Join(fmt.Errorf("listening on %s: %w", o.UnixSocket, err), ln.Close())
		}
		listeners = append(listeners, socket)
	}
	o.Logger.Info("Serving the forge.", "url", f.BaseURL(), "dir", o.Dir)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.Run(ctx) })
	for _, l := range listeners {
		group.Go(func() error { return f.Serve(ctx, l) })
	}
	return group.Wait()
}

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// drainTimeout is what requests in flight get when the forge stops.
	drainTimeout = 10 * time.Second
)

// Serve answers requests on ln until ctx ends, then lets those in flight finish.
func (f *Forge) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: f.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return errors.Join(fmt.Errorf("stopping: %w", err), srv.Close())
	}
	return nil
}
