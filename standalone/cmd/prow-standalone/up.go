package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"prow/standalone/demo"
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
				tuneIdle()
				return nil
			})
		},
	}
	o.Bind(cmd.Flags())
	return cmd
}

// errPlayed ends the installation after the demonstration.
var errPlayed = errors.New("the story has been played")

func demoCommand() *cobra.Command {
	var o up.Options
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Do what up does and play a story: from a pull request to its merge",
		Long: `Starts everything as up does, then plays a story against it with git and the
forge's API: a branch with a mistake is pushed, a pull request opened, its
presubmit fails, the mistake is mended, the change is reviewed and approved, tide
merges it and a postsubmit runs. Prints the timeline; ends with 0 if all happened.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			err := up.Run(cmd.Context(), &o, func(ctx context.Context, u *up.Up) error {
				u.Welcome(cmd.OutOrStdout())
				if err := demo.Play(ctx, u, cmd.OutOrStdout()); err != nil || keep {
					return err
				}
				return errPlayed
			})
			if errors.Is(err, errPlayed) {
				return nil
			}
			return err
		},
	}
	o.Bind(cmd.Flags())
	cmd.Flags().BoolVar(&keep, "keep", false, "Go on running after the story.")
	return cmd
}
