package checkconfig

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"prow/internal/service"
	"prow/internal/storage/providers"
)

// Command makes the program.
func Command() *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use:   "checkconfig",
		Short: "Judge configuration before it is merged",
		Long: `Load the configuration as the other components would, and look for mistakes that they would tolerate.

What does not load, and what is wrong in the jobs of --prow-yaml-repo-name, is an error. Everything else is a warning, which
has a name in brackets; with --strict warnings fail as well. The checks are:

` + table(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return fmt.Errorf("bad options: %w", err)
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return Run(ctx, Env{
				Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr(), Storage: providers.New(o.Storage),
			}, o)
		},
	}
	o.Bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &service.UsageError{Err: err} })
	return cmd
}

// table lists the checks.
func table() string {
	var b strings.Builder
	for _, c := range checks {
		kind := ""
		if c.set != byDefault {
			kind = " (" + string(c.set) + ")"
		}
		fmt.Fprintf(&b, "  %s%s\n        %s\n", c.name, kind, c.finds)
	}
	return b.String()
}
