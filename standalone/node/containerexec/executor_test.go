package containerexec_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"prow/standalone/node/containerexec"
	"prow/standalone/node/executor"
)

const (
	image     = "localhost/prow-standalone-test:latest"
	hostImage = "example.com/played-by-the-host"
)

// host stands in where no container may be made of an image.
type host struct{ started *[]string }

func (h host) Admit(*corev1.Pod) error       { return nil }
func (h host) Cleanup(context.Context) error { return nil }
func (h host) Plays(image string) bool       { return image == hostImage }
func (h host) Start(_ context.Context, spec executor.Spec) (executor.Container, error) {
	*h.started = append(*h.started, spec.Image)
	return nil, nil
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newExecutor needs a program that can run containers here; where there is
// none, the test is skipped with what it said.
func newExecutor(t *testing.T) (*containerexec.Executor, *[]string) {
	t.Helper()
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Skip("SKIPPED: podman is not installed, containers from images are not tested")
	}
	var args []string
	if _, err := exec.LookPath("runc"); err == nil {
		args = append(args, "--runtime=runc")
	}
	buildImage(t, podman)
	var started []string
	e, err := containerexec.New(t.Context(), host{&started}, containerexec.Options{
		Program: podman, Args: args, Owner: t.TempDir(),
		CreateArgs: []string{"--ulimit=nproc=1000:1000", "--ulimit=nofile=1000:1000"},
	})
	if err != nil {
		t.Skipf("SKIPPED: podman does not work here: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Cleanup(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e, &started
}

// buildImage makes the test image from nothing but a static program.
func buildImage(t *testing.T, podman string) {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "job"), "./testdata/job")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tar := filepath.Join(dir, "image.tar")
	for _, cmd := range []*exec.Cmd{
		exec.Command("tar", "-C", dir, "-cf", tar, "job"),
		exec.Command(podman, "import", "--change", `ENTRYPOINT ["/job"]`, tar, image),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd.Args, err, out)
		}
	}
}

func spec(t *testing.T, out *buffer) executor.Spec {
	return executor.Spec{
		ID: strings.ReplaceAll(t.Name(), "/", "-"), Namespace: "ns", Pod: "pod", Name: "main", Image: image,
		PullPolicy: corev1.PullNever, Stdout: out, Stderr: out,
	}
}

func TestContainersFromImages(t *testing.T) {
	e, started := newExecutor(t)
	volume := t.TempDir()
	for _, tc := range []struct {
		name   string
		change func(*executor.Spec)
		code   int
		out    string
	}{
		{"the image's entry point runs", func(*executor.Spec) {}, 0, "entry point  / 0\n"},
		{"args go to the entry point", func(s *executor.Spec) { s.Args = []string{"say", "a b", "c"}; s.Env = []string{"GREETING=hello"} }, 0, "a b c hello / 0\n"},
		{"a command replaces it", func(s *executor.Spec) { s.Command = []string{"/job", "exit"}; s.Args = []string{"7"} }, 7, ""},
		{"identity and working directory", func(s *executor.Spec) {
			u := int64(1234)
			s.Security.User = &u
			s.WorkingDir = "/w"
			s.Mounts = []executor.Mount{{Source: volume, Target: "/w"}}
			s.Args = []string{"say", "me"}
		}, 0, "me  /w 1234\n"},
		{"a volume can be written", func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/data"}}
			s.Args = []string{"write", "/data/f"}
		}, 0, ""},
		{"a read-only one cannot", func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/data", ReadOnly: true}}
			s.Args = []string{"write", "/data/f"}
		}, 1, "open /data/f: read-only file system\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out buffer
			s := spec(t, &out)
			tc.change(&s)
			c, err := e.Start(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if exit := c.Wait(); exit.Code != tc.code || out.String() != tc.out {
				t.Errorf("exit %+v, output %q", exit, out.String())
			}
		})
	}
	if raw, err := os.ReadFile(filepath.Join(volume, "f")); err != nil || string(raw) != "from the container\n" {
		t.Errorf("volume: %q, %v", raw, err)
	}

	t.Run("an image that the host plays is no container", func(t *testing.T) {
		var out buffer
		s := spec(t, &out)
		s.Image = hostImage
		if _, err := e.Start(t.Context(), s); err != nil || len(*started) != 1 {
			t.Errorf("%v, host started %v", err, *started)
		}
	})
	for _, tc := range []struct {
		name   string
		change func(*executor.Spec)
		reason string
		want   string
	}{
		{"a missing command is named", func(s *executor.Spec) { s.Command = []string{"no-such-thing"} }, executor.ReasonStart, `"no-such-thing"`},
		{"an image that may not be pulled is named", func(s *executor.Spec) { s.Image = "localhost/none:x" }, executor.ReasonImageNotHere, `"localhost/none:x" is not present`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out buffer
			s := spec(t, &out)
			tc.change(&s)
			_, err := e.Start(t.Context(), s)
			var start *executor.StartError
			if !errors.As(err, &start) || start.Reason != tc.reason || !strings.Contains(start.Message, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("TERM arrives, KILL ends", func(t *testing.T) {
		var out buffer
		s := spec(t, &out)
		s.Args = []string{"wait", "stubborn"}
		c, err := e.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return strings.Contains(out.String(), "up") })
		if err := c.Terminate(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return strings.Contains(out.String(), "got TERM") })
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if exit := c.Wait(); exit.Code != 137 {
			t.Errorf("exit %+v", exit)
		}
	})
	t.Run("what a killed program left is removed", func(t *testing.T) {
		var out buffer
		s := spec(t, &out)
		s.Args = []string{"wait"}
		c, err := e.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Cleanup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exit := c.Wait(); exit.Code == 0 {
			t.Errorf("exit %+v", exit)
		}
	})
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("timed out")
		}
	}
}
