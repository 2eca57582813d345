package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"prow/internal/service"
)

func TestTheProgramAnswersToTheNamesOfItsComponents(t *testing.T) {
	root := &cobra.Command{Use: "prow"}
	root.AddCommand(components()...)
	for name, tc := range map[string]struct{ argv, want []string }{
		"as prow":            {[]string{"/usr/bin/prow", "hook", "-dry-run=false"}, []string{"hook", "--dry-run=false"}},
		"as a link":          {[]string{"/app/hook", "-port=1"}, []string{"hook", "--port=1"}},
		"as some other name": {[]string{"/app/prow-linux", "sinker"}, []string{"sinker"}},
	} {
		if got := arguments(root, tc.argv); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for want, err := range map[int]error{0: nil, 1: errors.New("x"), 2: &service.UsageError{Err: errors.New("x")}} {
		if got := exitCode(err); got != want {
			t.Errorf("%v exits with %d", err, got)
		}
	}
}

// Deployments give every component that reads the configuration the same flags.
func TestEveryComponentTakesTheFlagsOfTheConfigurationGroup(t *testing.T) {
	for _, c := range components() {
		if c.Flags().Lookup("config-path") == nil || c.Flags().Lookup("health-port") == nil {
			continue // tools are not deployed
		}
		for _, name := range []string{"job-config-path", "supplemental-prow-config-dir", "supplemental-prow-configs-filename-suffix", "in-repo-config-cache-size", "cache-dir-base", "moonraker-address"} {
			if c.Flags().Lookup(name) == nil {
				t.Errorf("%s does not take --%s", c.Name(), name)
			}
		}
	}
}
