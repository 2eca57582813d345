// Command gcsupload stores files where the output of a run belongs; see package upload.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"prow/internal/pod/cli"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/pod/upload"
)

func main() { os.Exit(run()) }

func run() int {
	logger := cli.NewLogger(os.Stderr, "gcsupload", slog.LevelInfo)
	var opts options.Upload
	code, err := cli.Load(options.UploadEnv, os.LookupEnv, os.Args, &opts, opts.Bind, opts.SetItems)
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
	if err := upload.New(&opts, spec, upload.Opener(&opts), logger).Items(ctx); err != nil {
		logger.Error("Not everything could be stored.", "error", err.Error())
		return 1
	}
	return 0
}
