// Package stories tells the whole system as its users would: every file
// NAME.txtar is a story that is played against a real installation of its own,
// with a real API server, a node that runs jobs, git and the local forge.
//
// A story is a testscript. Beside testscript's own commands it has those of
// commands.go. It begins with the files of a repository below repo/.
package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"prow/internal/kube/kubetest"
)

func TestStories(t *testing.T) {
	bin := programs(t)
	testscript.Run(t, testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			w := &world{bin: bin, dir: filepath.Join(env.WorkDir, "state"), repo: filepath.Join(env.WorkDir, "repo"), t: env.T()}
			env.Values[worldKey{}] = w
			env.Defer(w.close)
			return w.prepare(env)
		},
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// programs is the directory of the programs under test: that of PROW_BIN, else
// bin/ of the repository, where those that are missing are built.
func programs(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PROW_BIN"); dir != "" {
		return dir
	}
	dir := filepath.Dir(kubetest.Binary(t))
	for _, utility := range []string{"clonerefs", "initupload", "entrypoint", "sidecar"} {
		if _, err := os.Stat(filepath.Join(dir, utility)); err == nil {
			continue
		}
		build := exec.Command("go", "build", "-o", dir+"/", "prow/cmd/"+utility)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", utility, err, out)
		}
	}
	return dir
}
