package kubetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// envBinary names a ready-made program, for runs that may not build one.
const envBinary = "PROW_STANDALONE_BIN"

// binary returns the path of the standalone program: the one named by the
// environment, else bin/prow-standalone of this checkout, which is built if it
// does not belong to the present sources. A file lock lets only one of the test
// binaries that start together build.
func binary() (string, error) {
	if bin := os.Getenv(envBinary); bin != "" {
		if _, err := exec.LookPath(bin); err != nil {
			return "", fmt.Errorf("%s: %w", envBinary, err)
		}
		return filepath.Abs(bin)
	}
	root, err := repoRoot()
	if err != nil {
		return "", err
	}
	binDir := filepath.Join(root, "bin")
	bin, stamp := filepath.Join(binDir, "prow-standalone"), filepath.Join(binDir, ".prow-standalone.sources")
	want, err := sourcesHash(root)
	if err != nil {
		return "", fmt.Errorf("hash sources: %w", err)
	}
	if current(bin, stamp, want) {
		return bin, nil
	}
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return "", fmt.Errorf("make directory for the program: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(binDir, ".prow-standalone.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", fmt.Errorf("open build lock: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("wait for build lock: %w", err)
	}
	if current(bin, stamp, want) { // another test binary was faster
		return bin, nil
	}
	return bin, build(root, bin, stamp, want)
}

func current(bin, stamp, want string) bool {
	if _, err := os.Stat(bin); err != nil {
		return false
	}
	got, err := os.ReadFile(stamp)
	return err == nil && string(got) == want
}

// build replaces the program by renaming, so that one that runs is not
// disturbed.
func build(root, bin, stamp, want string) error {
	fmt.Fprintln(os.Stderr, "kubetest: building prow-standalone; the first time takes minutes")
	next := bin + ".new"
	cmd := exec.Command("go", "build", "-C", filepath.Join(root, "standalone"), "-o", next, "./cmd/prow-standalone")
	// The test may run with flags that make no sense for another module.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build prow-standalone: %w\n%s", err, out)
	}
	if err := os.Rename(next, bin); err != nil {
		return fmt.Errorf("build prow-standalone: %w", err)
	}
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// repoRoot finds the checkout above the package under test.
func repoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "standalone", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find checkout: no directory above has standalone/go.mod; set " + envBinary)
		}
		dir = parent
	}
}

// sourcesHash covers what the control plane and the node are made of. The
// components linked into the same program are not part of it: tests of those
// run them themselves.
func sourcesHash(root string) (string, error) {
	h := sha256.New()
	for _, top := range []string{"standalone", "api", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%s %d\n", rel, len(raw))
			h.Write(raw)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
