// Command sidecar stores the output of a pod; see package sidecar.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"prow/internal/pod/cli"
	"prow/internal/pod/options"
	"prow/internal/pod/sidecar"
	"prow/internal/pod/upload"
)

func main() { os.Exit(run()) }

// gcPercent lets sidecar collect garbage early: most of its memory are the buffers of
// uploads, which stay, and as much again for garbage would be a waste in every pod.
const gcPercent = 30

func run() int {
	debug.SetGCPercent(gcPercent)
	logger := cli.NewLogger(os.Stderr, "sidecar", slog.LevelDebug)
	// First of all: a pod may be told to end as soon as it has begun, and then the log is still stored.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	logger.Debug("Ready for signals.")
	opts := options.Sidecar{}
	code, err := cli.Load(options.SidecarEnv, os.LookupEnv, os.Args, &opts, func(fs *flag.FlagSet) {
		opts.GCSOptions = &options.Upload{}
		opts.GCSOptions.Bind(fs)
	}, func(args []string) error { return opts.GCSOptions.SetItems(args) })
	if err == nil {
		code, err = cli.ExitBadOptions, errors.Join(opts.Normalize(), opts.Validate())
	}
	if err != nil {
		logger.Error("The options are invalid.", "error", err.Error())
		return code
	}
	return sidecar.Run(context.Background(), &opts, os.LookupEnv, upload.Opener(opts.GCSOptions), signals, os.Stderr, time.Now)
}
