package tot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/service"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "tot"

const (
	defaultTemplate = "https://storage.googleapis.com/kubernetes-jenkins/logs/%s/latest-build.txt"
	shutdownGrace   = 5 * time.Second
	requestTimeout  = 10 * time.Second
)

// Options of the component.
type Options struct {
	Config              config.Options
	Port                int
	Storage             string
	Fallback            bool
	FallbackURLTemplate string
	FallbackBucket      string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.BindOptional(fs)
	fs.IntVar(&o.Port, "port", 8888, "Port of /vend/.")
	fs.StringVar(&o.Storage, "storage", "tot.json", "File with the last number of each job.")
	fs.BoolVar(&o.Fallback, "fallback", false, "Go on from the last build in storage for jobs that the file does not know.")
	fs.StringVar(&o.FallbackURLTemplate, "fallback-url-template", defaultTemplate, "Where the number of the last build is, without --config-path; %s is the job.")
	fs.StringVar(&o.FallbackBucket, "fallback-bucket", "", "URL of the bucket with the numbers of the last builds, with --config-path.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate()}
	if o.Port < 1 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d is not a port", o.Port))
	}
	if o.Storage == "" {
		errs = append(errs, errors.New("--storage is required"))
	}
	if o.Fallback && o.Config.ConfigPath == "" && !strings.Contains(o.FallbackURLTemplate, "%s") {
		errs = append(errs, errors.New("--fallback-url-template has no %s for the job"))
	}
	if o.Fallback && o.Config.ConfigPath != "" && o.FallbackBucket == "" {
		errs = append(errs, errors.New("--fallback with --config-path needs --fallback-bucket"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Count builds", "Hands out build numbers: GET /vend/JOB is the next one.", &Options{}, Run)
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	store, err := OpenStore(o.Storage)
	if err != nil {
		return err
	}
	server := &Server{Store: store, Log: rt.Log}
	group, ctx := errgroup.WithContext(ctx)
	url := templateURL(o.FallbackURLTemplate)
	if o.Config.ConfigPath != "" {
		cfg, err := wiring.Config(ctx, rt, o.Config)
		if err != nil {
			return err
		}
		group.Go(func() error { return cfg.Run(ctx) })
		url = bucketURL(o.FallbackBucket, cfg.Get)
	}
	if o.Fallback {
		server.Fallback = &Fallback{URL: url, Client: &http.Client{Timeout: requestTimeout}, Pause: fallbackPause}
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(o.Port))
	if err != nil {
		return fmt.Errorf("--port: %w", err)
	}
	handler := service.NewHTTPMetrics(rt.Metrics, Name, service.HTTPBuckets{}).Measure(server.Handler())
	rt.SetReady()
	group.Go(func() error { return service.Serve(ctx, listener, handler, shutdownGrace) })
	return group.Wait()
}
