package build

import (
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"prow/tools/images/internal/oci"
	"prow/tools/images/internal/spec"
)

// repository is the root of this repository.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func TestTheListAndTheLockAreValid(t *testing.T) {
	root := repository(t)
	s, err := spec.Load(filepath.Join(root, SpecFile))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := spec.LoadLock(filepath.Join(root, LockFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range s.Architectures {
		if len(lock.Of(arch)) == 0 {
			t.Errorf("no package is locked for %s", arch)
		}
	}
	for _, p := range lock.Packages {
		if len(p.SHA256) != 64 || len(p.URLs) < 2 {
			t.Errorf("the package %s for %s lacks a checksum or the address of its snapshot", p.Name, p.Architecture)
		}
	}
}

// The image of entrypoint is made in two clones in different places; make
// images-reproducible does so with all.
func TestTheSameCommitMakesTheSameDigestsWhereverItLies(t *testing.T) {
	root := repository(t)
	var digests []map[string]string
	for _, name := range []string{"here", "somewhere/else"} {
		dir := filepath.Join(t.TempDir(), name)
		run(t, ".", "git", "clone", "--quiet", root, dir)
		// What is under test may not be committed yet.
		for _, file := range []string{SpecFile, LockFile} {
			content, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b := &Builder{Root: dir, Cache: t.TempDir(), Client: http.DefaultClient, Logger: slog.New(slog.DiscardHandler)}
		built, source, err := b.Build(t.Context(), []string{"entrypoint"})
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "images")
		if err := oci.Write(out, source, built); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, sums(t, out))
	}
	if len(digests[0]) < 10 {
		t.Fatalf("only %d files were written", len(digests[0]))
	}
	for file, sum := range digests[0] {
		if other := digests[1][file]; other != sum {
			t.Errorf("%s is %s in one place and %q in the other", file, sum, other)
		}
	}
}
