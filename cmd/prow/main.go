// Command prow is every component of Prow that talks to a cluster or a forge.
//
// It is run as `prow COMPONENT`, and answers to a component's own name: a link
// called hook behaves as `prow hook`. The pod utilities are programs of their own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // cron jobs name time zones, and images may have none

	"github.com/spf13/cobra"

	"prow/internal/admission"
	"prow/internal/checkconfig"
	"prow/internal/configtool"
	"prow/internal/controller/horologium"
	"prow/internal/controller/manager"
	"prow/internal/controller/sinker"
	"prow/internal/controller/statusreconciler"
	"prow/internal/deck"
	"prow/internal/doctor"
	"prow/internal/explainpr"
	"prow/internal/exporter"
	external "prow/internal/externalplugins/all"
	"prow/internal/forge/local"
	"prow/internal/ghproxy"
	"prow/internal/gitmirror"
	"prow/internal/hook"
	"prow/internal/mkpj"
	"prow/internal/mkpod"
	"prow/internal/plugins/all"
	"prow/internal/report/crier"
	"prow/internal/service"
	"prow/internal/tide"
	"prow/internal/tot"
	"prow/internal/webhookserver"
)

// components is the table: one line for each, and the external plugins.
func components() []*cobra.Command {
	table := []*cobra.Command{
		admission.Command(),
		checkconfig.Command(),
		configtool.Command(),
		crier.Command(),
		deck.Command(),
		doctor.Command(),
		ghproxy.Command(),
		gitmirror.Command(),
		explainpr.Command(all.Plugins(), external.Plugins()),
		exporter.Command(),
		hook.Command(all.Plugins()),
		horologium.Command(),
		local.Command(),
		manager.Command(),
		mkpj.Command(),
		mkpod.Command(),
		sinker.Command(),
		statusreconciler.Command(),
		tide.Command(),
		tot.Command(),
		tot.FallbackCheckCommand(),
		webhookserver.Command(),
	}
	for _, p := range external.Programs() {
		table = append(table, p.Command)
	}
	return table
}

func main() {
	root := &cobra.Command{
		Use: "prow", Short: "Kubernetes-based CI/CD", Version: service.Version(), SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &service.UsageError{Err: err} })
	root.AddCommand(components()...)
	root.SetArgs(arguments(root, os.Args))
	os.Exit(exitCode(root.ExecuteContext(context.Background())))
}

// arguments puts the component's name first where the program was called by it.
func arguments(root *cobra.Command, argv []string) []string {
	args := service.NormalizeArgs(argv[1:])
	name := filepath.Base(argv[0])
	for _, c := range root.Commands() {
		if c.Name() == name {
			return append([]string{name}, args...)
		}
	}
	return args
}

// exitCode reports an error: 2 for a bad command line, 1 for everything else.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "prow:", err)
	var usage *service.UsageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}
