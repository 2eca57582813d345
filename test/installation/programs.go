package installation

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"prow/internal/kube/kubetest"
)

// Programs is the directory of the programs under test: that of PROW_BIN, else
// bin/ of the repository, where those that are missing are built.
func Programs(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("PROW_BIN"); dir != "" {
		return dir
	}
	dir := filepath.Dir(kubetest.Binary(t))
	for _, utility := range []string{"prow", "clonerefs", "initupload", "entrypoint", "sidecar"} {
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
