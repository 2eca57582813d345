package webhookserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/oauth2/google"
	"golang.org/x/sync/errgroup"

	"prow/internal/admission"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/storage/providers"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "webhook-server"

const (
	port          = ":8008"
	shutdownGrace = 5 * time.Second
	// lookInterval is how often certificate and registration are looked at.
	lookInterval = time.Minute
	year         = 365 * 24 * time.Hour
)

// Options of the component.
type Options struct {
	Config      config.Options
	Kubernetes  kube.Flags
	Credentials providers.Credentials
	ProjectID   string
	SecretID    string
	Directory   string
	ExpiryYears int
	DNS         []string
	Minutes     int
	DryRun      bool

	// Local is for a host that runs the API server as well.
	Local *Local
}

// Local lets the API server of this machine reach the webhooks by address. All
// ProwJobs pass through, and their specifications may not change.
type Local struct {
	Listener net.Listener
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.Credentials.Bind(fs)
	fs.StringVar(&o.ProjectID, "project-id", "", "Google Cloud project in whose Secret Manager the certificate is kept.")
	fs.StringVar(&o.SecretID, "secret-id", "", "Name of the secret with the certificate.")
	fs.StringVar(&o.Directory, "filesys-path", "./prowjob-webhook-ca-cert", "Directory in which the certificate is kept.")
	fs.IntVar(&o.ExpiryYears, "expiry-years", 30, "Years that a certificate is valid.")
	fs.StringArrayVar(&o.DNS, "dns", []string{"prowjob-admission-webhook.default.svc"}, "DNS name of the server, repeatable. The first one, NAME.NAMESPACE.svc, says which service the API server calls.")
	fs.IntVar(&o.Minutes, "time", 1, "Minutes between two looks at the states of the build clusters.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Serve, but keep no certificate and register nothing.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate()}
	if o.ExpiryYears < 0 {
		errs = append(errs, fmt.Errorf("--expiry-years=%d is negative", o.ExpiryYears))
	}
	if o.Minutes < 1 {
		errs = append(errs, fmt.Errorf("--time=%d is not positive", o.Minutes))
	}
	if (o.ProjectID == "") == (o.Directory == "") {
		errs = append(errs, errors.New("give either --project-id or --filesys-path, and clear the other (--filesys-path=)"))
	}
	if o.ProjectID != "" && o.SecretID == "" {
		errs = append(errs, errors.New("--project-id needs --secret-id"))
	}
	if len(o.DNS) == 0 {
		errs = append(errs, errors.New("--dns is required"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Judge and complete ProwJobs as they are made",
		"Serves admission webhooks at https://:8008: /validate refuses clusters that nobody knows, /mutate fills in decoration defaults.", &Options{}, Run)
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	base, err := wiring.Start(ctx, rt, o.Config, o.Kubernetes)
	if err != nil {
		return err
	}
	s := &steward{
		keeper: directory(o.Directory), template: template{hosts: o.DNS, expiry: time.Duration(max(o.ExpiryYears, 1)) * year},
		register: registration{service: serviceOf(o.DNS)}, dryRun: o.DryRun, now: time.Now, log: rt.Log,
	}
	if s.client, err = base.Client(); err != nil {
		return err
	}
	if o.ProjectID != "" {
		authorized, err := google.DefaultClient(ctx, "https://www.googleapis.com/auth/cloud-platform")
		if err != nil {
			return fmt.Errorf("credentials for Secret Manager: %w", err)
		}
		s.keeper = &secretManager{client: authorized, base: secretManagerURL, project: o.ProjectID, secret: o.SecretID}
	}
	plain, err := o.listen()
	if err != nil {
		return err
	}
	if o.Local != nil {
		s.template.hosts, s.template.quick = []string{"127.0.0.1"}, true
		s.register = registration{url: "https://" + plain.Addr().String(), everything: true}
	}
	if err := s.certify(ctx); err != nil {
		return errors.Join(err, plain.Close())
	}
	clusters := &clusterStates{config: base.Config.Get, storage: providers.New(o.Credentials)}
	if err := clusters.read(ctx); err != nil {
		rt.Log.WarnContext(ctx, "the build clusters are not known yet: jobs for any are accepted", "error", err)
	}
	judge := &Judge{Config: base.Config.Get, Clusters: clusters.get, Immutable: o.Local != nil}
	mux := http.NewServeMux()
	mux.Handle("/validate", admission.Handler(judge.Validate, rt.Log))
	mux.Handle("/mutate", admission.Handler(judge.Mutate, rt.Log))
	handler := service.NewHTTPMetrics(rt.Metrics, Name, service.HTTPBuckets{}).Measure(mux)
	rt.CheckReady(func() error { return nil })
	return base.Run(ctx, func(ctx context.Context) error {
		var group errgroup.Group
		serving, stop := context.WithCancel(ctx)
		defer stop()
		group.Go(func() error {
			defer stop() // nothing is worth doing without the server
			listener := tls.NewListener(plain, &tls.Config{GetCertificate: s.certificate, MinVersion: tls.VersionTLS12})
			return service.Serve(serving, listener, handler, shutdownGrace)
		})
		group.Go(func() error {
			every(serving, lookInterval, func() {
				if err := s.look(serving); err != nil && serving.Err() == nil {
					rt.Log.ErrorContext(serving, "the webhooks are not as they should be", "error", err)
					return
				}
				rt.SetReady()
			})
			return nil
		})
		group.Go(func() error {
			every(serving, time.Duration(cmp.Or(o.Minutes, 1))*time.Minute, func() {
				if err := clusters.read(serving); err != nil && serving.Err() == nil {
					rt.Log.WarnContext(serving, "keeps what is known of the build clusters", "error", err)
				}
			})
			return nil
		})
		return group.Wait()
	})
}

func (o *Options) listen() (net.Listener, error) {
	if o.Local != nil {
		return o.Local.Listener, nil
	}
	l, err := net.Listen("tcp", port)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// every calls f now and then at every interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
