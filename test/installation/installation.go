// Package installation runs the standalone program for stories and benchmarks,
// and acts on it as its people would.
package installation

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-github/v75/github"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
)

const (
	// waitLimit bounds how long a story waits for anything.
	waitLimit = 90 * time.Second
	look      = 100 * time.Millisecond
	// upLimit bounds a start on a machine that is busy with other tests.
	upLimit = 90 * time.Second
)

// Installation is an installation in a directory of its own.
type Installation struct {
	// Bin is the directory of the programs.
	Bin string
	// Dir is the state directory, Repo the git repository on the forge.
	Dir, Repo string
	// Jobs reads ProwJobs and pods once it is up.
	Jobs client.Client

	ports   map[string]int
	flags   []string
	process *exec.Cmd
	output  *bytes.Buffer
	// external are programs beside the installation.
	external []*exec.Cmd
}

// Org and Name are the repository's on the forge, Bot is who administrates it.
const (
	Org  = "local"
	Name = "app"
	Bot  = "prow-bot"
)

// parts are what listens on a port of its own.
var parts = []string{"deck", "forge", "hook", "tide", "metrics"}

// Prepare picks ports and, where Repo holds files, makes a git repository of them.
func (w *Installation) Prepare() error {
	w.ports = map[string]int{}
	for _, p := range append(slices.Clone(parts), Externals...) {
		l, err := listen()
		if err != nil {
			return err
		}
		// It stays open until all are picked, or two parts might get the same.
		defer l.Close() //nolint:errcheck // nobody was connected
		w.ports[p] = l.Addr().(*net.TCPAddr).Port
	}
	if _, err := os.Stat(w.Repo); err != nil {
		return nil
	}
	for _, args := range [][]string{{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"}, {"commit", "--quiet", "--message", "The first commit"}} {
		if out, err := w.Git("alice", w.Repo, args...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// listen finds a port that is free, and that the kernel gives to no connection of
// others meanwhile: it takes those from a range above.
func listen() (l net.Listener, err error) {
	for range 100 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// URL is the address of a part, or of an external plugin.
func (w *Installation) URL(part string) string {
	return fmt.Sprintf("http://localhost:%d", w.ports[part])
}

// Restart starts it again with the flags of the last start.
func (w *Installation) Restart() error { return w.Up(w.flags...) }

// PID is the process's.
func (w *Installation) PID() int { return w.process.Process.Pid }

// Up starts the installation and waits until it is ready.
func (w *Installation) Up(flags ...string) error {
	args := append([]string{"up", "--dir", w.Dir, "--repo", w.Repo, "--repo-name", Name}, flags...)
	for _, p := range parts {
		args = append(args, fmt.Sprintf("--%s-port=%d", p, w.ports[p]))
	}
	w.flags = flags
	w.output = &bytes.Buffer{}
	w.process = exec.Command(filepath.Join(w.Bin, "prow-standalone"), args...)
	out, err := w.process.StdoutPipe()
	if err != nil {
		return err
	}
	w.process.Stderr = w.output
	// The installation ends with the test, however that ends.
	w.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.process.Start(); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() {
		var said []byte
		buf, told := make([]byte, 4096), false
		for {
			n, err := out.Read(buf)
			if !told {
				// What it says may come in pieces.
				said = append(said, buf[:n]...)
				if bytes.Contains(said, []byte("Prow is up")) {
					told = true
					ready <- nil
				}
			}
			if err != nil {
				if !told {
					ready <- fmt.Errorf("it ended before it was ready: %s", said)
				}
				return
			}
		}
	}()
	select {
	case err = <-ready:
	case <-time.After(upLimit):
		err = errors.New("it is not ready in time")
	}
	if err != nil {
		if stacks := w.process.Process.Signal(syscall.SIGQUIT); stacks == nil {
			time.Sleep(time.Second) // it tells where it hangs
		}
		w.Kill()
		return fmt.Errorf("start the installation: %w: %s", err, w.output)
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(w.Dir, "kube", "kubeconfig"))
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	w.Jobs, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// Kill ends it the hard way.
func (w *Installation) Kill() {
	if w.process != nil && w.process.Process != nil {
		_ = w.process.Process.Kill()
		_ = w.process.Wait()
		w.process = nil
	}
}

// Stop asks it to end and waits.
func (w *Installation) Stop() error {
	p := w.process
	w.process = nil
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(upLimit):
		_ = p.Process.Kill()
		return errors.New("the installation does not stop")
	}
}

// Close ends it if it still runs, and the programs beside it.
func (w *Installation) Close() {
	for _, cmd := range w.external {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if w.process != nil {
		w.Kill()
	}
}

// Git runs git as somebody; the forge knows them by their token.
func (w *Installation) Git(login, dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME="+login, "GIT_AUTHOR_EMAIL="+login+"@example.com", "GIT_COMMITTER_NAME="+login, "GIT_COMMITTER_EMAIL="+login+"@example.com")
	if token, err := w.Token(login); err == nil {
		cmd.Env = append(cmd.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader",
			"GIT_CONFIG_VALUE_0=Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(login+":"+token)))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Token is the secret by which the forge knows somebody.
func (w *Installation) Token(login string) (string, error) {
	name := "token-" + login
	if login == Bot {
		name = "bot-token"
	}
	raw, err := os.ReadFile(filepath.Join(w.Dir, "secrets", name))
	return strings.TrimSpace(string(raw)), err
}

// Forge calls the forge as somebody.
func (w *Installation) Forge(login string) (*github.Client, error) {
	token, err := w.Token(login)
	if err != nil {
		return nil, err
	}
	base := fmt.Sprintf("http://localhost:%d/api/v3/", w.ports["forge"])
	return github.NewClient(nil).WithAuthToken(token).WithEnterpriseURLs(base, base)
}

// Until looks again and again.
func Until(what string, ok func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		done, err := ok(ctx)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited too long for %s: %w", what, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// ProwJobs lists the ProwJobs of a job, oldest first.
func (w *Installation) ProwJobs(ctx context.Context, job string) ([]prowv1.ProwJob, error) {
	var list, out prowv1.ProwJobList
	if err := w.Jobs.List(ctx, &list); err != nil {
		return nil, err
	}
	for _, j := range list.Items {
		if j.Spec.Job == job {
			out.Items = append(out.Items, j)
		}
	}
	return out.Items, nil
}
