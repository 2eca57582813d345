// Package stories tells the whole system as its users would: every file
// NAME.txtar is a story that is played against a real installation of its own,
// with a real API server, a node that runs jobs, git and the local forge.
//
// A story is a testscript. Beside testscript's own commands it has those of
// commands_test.go and people_test.go. It begins with the files of a repository
// below repo/; files below state/config/ are the configuration.
package stories

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"prow/test/installation"
)

func TestStories(t *testing.T) {
	bin := installation.Programs(t)
	testscript.Run(t, testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			in := &installation.Installation{Bin: bin, Dir: filepath.Join(env.WorkDir, "state"), Repo: filepath.Join(env.WorkDir, "repo")}
			env.Values[installationKey{}] = in
			env.Defer(in.Close)
			if err := in.Prepare(); err != nil {
				return err
			}
			for _, part := range append([]string{"deck", "forge", "hook", "tide", "metrics"}, installation.Externals...) {
				env.Setenv(strings.ToUpper(strings.ReplaceAll(part, "-", "")), in.URL(part))
			}
			env.Setenv("STATE", in.Dir)
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
