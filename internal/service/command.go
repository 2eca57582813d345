package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"prow/internal/secret"
)

// Options are the settings of a component.
type Options interface {
	// Bind registers the flags of the component with their defaults.
	Bind(*pflag.FlagSet)
	// Validate completes and checks the settings; it reports all problems at once.
	Validate() error
}

// Run runs a component until ctx ends or it fails. It returns nil after a
// shutdown that finished what it had accepted.
type Run[O Options] func(ctx context.Context, rt *Runtime, o O) error

// UsageError marks a bad command line; programs exit with 2 for it.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Command makes the program of a component.
func Command[O Options](name, short, long string, options O, run Run[O]) *cobra.Command {
	var instruments Instrumentation
	cmd := &cobra.Command{
		Use:           name,
		Short:         short,
		Long:          long,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(options.Validate(), instruments.Validate()); err != nil {
				return fmt.Errorf("bad options: %w", err)
			}
			return Host(cmd.Context(), name, &instruments, func(ctx context.Context, rt *Runtime) error {
				return run(ctx, rt, options)
			})
		},
	}
	options.Bind(cmd.Flags())
	instruments.Bind(cmd.Flags())
	acceptUnused(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	return cmd
}

// frugalGCPercent is how much garbage a frugal component lets lie, in percent of
// what is alive. The runtime's own default is 100.
const frugalGCPercent = 30

// Frugal is for components that hold much for long and make little garbage, as
// controllers with a cache of all ProwJobs do: they collect it earlier, which
// saves a quarter of their memory for a few percent of a processor. A setting of
// the user's (GOGC) stays.
func Frugal(cmd *cobra.Command) *cobra.Command {
	cmd.PreRun = func(*cobra.Command, []string) {
		const usual = 100
		if set := debug.SetGCPercent(frugalGCPercent); set != usual {
			debug.SetGCPercent(set)
		}
	}
	return cmd
}

// shutdownLimit is how long a component may take to finish what it accepted, if it
// does not ask for more; see Runtime.ShutdownTakes.
const shutdownLimit = time.Minute

// acceptUnused takes the flags of the groups for configuration and GitHub that a
// component has no use for: deployments give all components the same ones.
func acceptUnused(fs *pflag.FlagSet) {
	if fs.Lookup("config-path") == nil {
		return
	}
	for _, name := range []string{"in-repo-config-cache-size", "cache-dir-base", "moonraker-address"} {
		accept(fs, name, "the component reads no in-repo configuration")
	}
	if fs.Lookup("github-token-path") != nil {
		accept(fs, "git-signing-key-path", "the component makes no commits")
	}
}

// accept registers a hidden flag, unless the component has it.
func accept(fs *pflag.FlagSet, name, why string) {
	if fs.Lookup(name) != nil {
		return
	}
	fs.String(name, "", "Accepted, and of no effect here: "+why+".")
	// The flag exists.
	_ = fs.MarkHidden(name)
}

// Host runs one component as a program: with a log on standard error, health,
// metrics and pprof, until a signal arrives or the component ends. Only the
// first signal is caught: a second one kills.
func Host(ctx context.Context, name string, instruments *Instrumentation, run func(context.Context, *Runtime) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	level := new(slog.LevelVar)
	secrets := new(secret.Store)
	log := NewLogger(os.Stderr, level, secrets)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versionMetric(Version()))
	rt := NewRuntime(name, log, level, registry, secrets)
	// Kubernetes' libraries write where everything else does.
	ctrllog.SetLogger(logr.FromSlogHandler(rt.Log.Handler()))
	klog.SetSlogLogger(rt.Log)

	// The instruments outlive the component, so that its shutdown can be watched.
	served, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	group, groupCtx := errgroup.WithContext(served)
	if err := instruments.start(groupCtx, group, rt, union{registry, ctrlmetrics.Registry}); err != nil {
		stopServing()
		return errors.Join(err, group.Wait())
	}
	group.Go(func() error { return secrets.Run(groupCtx, rt.Log) })
	err := finish(ctx, rt, shutdownLimit, run)
	stopServing()
	return errors.Join(err, group.Wait())
}

// finish runs run, and waits for it no longer than limit after ctx has ended:
// what hangs then is left behind, which must be as harmless as a kill.
func finish(ctx context.Context, rt *Runtime, limit time.Duration, run func(context.Context, *Runtime) error) error {
	done := make(chan error, 1)
	go func() {
		err := run(ctx, rt)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was told to end, and did
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	limit = max(limit, time.Duration(rt.shutdown.Load()))
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		rt.Log.Warn("ends although not everything is finished", "waited", limit.String())
		return nil
	}
}

// NormalizeArgs gives long flags with a single dash their second one, because
// existing deployments write -flag as well as --flag.
func NormalizeArgs(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			return append(out[:i], args[i:]...)
		}
		if strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && len(a) > 2 && a[2] != '=' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}
