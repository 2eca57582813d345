package main

import (
	"context"

	"github.com/spf13/cobra"

	"prow/standalone/up"
)

func upCommand() *cobra.Command {
	var o up.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run all of Prow on this machine until interrupted",
		Long: `Starts a Kubernetes API, a node that runs jobs on this machine, a forge that holds
a git repository, and every component of Prow, all in this process and only on
loopback. Everything is kept in --dir; remove it to start afresh.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			return up.Run(cmd.Context(), &o, func(_ context.Context, u *up.Up) error {
				u.Welcome(cmd.OutOrStdout())
				return nil
			})
		},
	}
	o.Bind(cmd.Flags())
	return cmd
}
