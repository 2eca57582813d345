// Command clonerefs brings the code of a job to the disk; see package clone.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"prow/internal/pod/cli"
	"prow/internal/pod/clone"
	"prow/internal/pod/options"
)

func main() { os.Exit(run()) }

func run() int {
	logger := cli.NewLogger(os.Stderr, "clonerefs", slog.LevelInfo)
	var opts options.Clone
	var flags clone.Flags
	code, err := cli.Load(options.CloneEnv, os.LookupEnv, os.Args, &opts, flags.Bind, func(args []string) error {
		if err := cli.NoArgs(args); err != nil {
			return err
		}
		var err error
		opts, err = flags.Options()
		return err
	})
	if err == nil {
		code, err = cli.ExitBadOptions, clone.Validate(&opts, logger)
	}
	if err != nil {
		logger.Error("The options are invalid.", "error", err.Error())
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := clone.New(&opts, os.Environ(), logger).Run(ctx); err != nil {
		logger.Error("Cloning failed.", "error", err.Error())
		return 1
	}
	return 0
}
