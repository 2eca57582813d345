// Command prow-standalone runs Prow on one machine: a Kubernetes control plane
// and a node inside one process.
//
// The main is a table of subcommands and nothing else; each lives in a file of
// its own here or in a package.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// commands is the table.
var commands = []func() *cobra.Command{
	upCommand,
	demoCommand,
	controlplaneCommand,
	containerInitCommand,
}

func main() {
	tuneStart()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "prow-standalone",
		Short:         "Prow on one machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, command := range commands {
		root.AddCommand(command())
	}
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "prow-standalone:", err)
		os.Exit(1)
	}
}
