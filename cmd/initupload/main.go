// Command initupload tells storage that a run has started; see package initupload.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"prow/internal/pod/cli"
	"prow/internal/pod/downward"
	"prow/internal/pod/initupload"
	"prow/internal/pod/options"
	"prow/internal/pod/upload"
)

func main() { os.Exit(run()) }

func run() int {
	logger := cli.NewLogger(os.Stderr, "initupload", slog.LevelInfo)
	opts := options.InitUpload{Upload: &options.Upload{}}
	code, err := cli.Load(options.InitUploadEnv, os.LookupEnv, os.Args, &opts, func(fs *flag.FlagSet) {
		opts.Bind(fs)
		fs.StringVar(&opts.Log, "clone-log", "", "file with the records of clonerefs")
	}, opts.SetItems)
	if err == nil {
		code, err = cli.ExitBadOptions, opts.Validate()
	}
	if err != nil {
		logger.Error("The options are invalid.", "error", err.Error())
		return code
	}
	spec, err := downward.FromEnv(os.LookupEnv)
	if err != nil {
		logger.Error("The job is not known.", "error", err.Error())
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := initupload.Run(ctx, &opts, spec, upload.Opener(opts.Upload), logger, time.Now()); err != nil {
		logger.Error("The test must not start.", "error", err.Error())
		if err := initupload.Tell("/dev/termination-log", err); err != nil {
			logger.Warn("The reason cannot be told to Kubernetes.", "error", err.Error())
		}
		return 1
	}
	return 0
}
