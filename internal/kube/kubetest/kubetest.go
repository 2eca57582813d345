// Package kubetest gives tests a real Kubernetes API: etcd and kube-apiserver
// with ProwJobs installed, as the standalone program links them.
//
// One control plane is started per test binary, when the first test asks for
// it, and shared by all its tests; isolation comes from a fresh namespace per
// test. It is told to end with its standard input, so it ends with the test
// binary however that ends.
//
//	func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }
//
//	func TestX(t *testing.T) {
//		cluster := kubetest.Start(t)
//		ns := cluster.Namespace(t)
//		...
//	}
package kubetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	readyTimeout = 2 * time.Minute // generous: many test binaries may start at once
	stopTimeout  = 20 * time.Second
)

// Cluster is a running control plane.
type Cluster struct {
	// Config has the administrator's rights and no limit on requests. Copy it
	// before changing it.
	Config *rest.Config
	// KubeconfigPath is the same as a file, for programs such as kubectl.
	KubeconfigPath string
	// Dir is the state directory, removed at the end.
	Dir string

	stdin   io.Closer
	process *os.Process
	flags   []string
	done    chan struct{}
}

// shared holds the clusters of this test binary by their flags. A test binary
// is the scope that tests can share something in, hence the package state.
var shared struct {
	sync.Mutex
	clusters map[string]*Cluster
}

// Start returns the control plane of this test binary, starting it at the first
// call. Flags are those of "prow-standalone controlplane", such as "--node";
// calls with equal flags share a control plane. The test fails if there is none
// to be had: a missing control plane must not look like success.
func Start(t testing.TB, flags ...string) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	key := strings.Join(flags, "\x00")
	if c := shared.clusters[key]; c != nil {
		select {
		case <-c.done:
			t.Fatalf("the control plane of this test binary has ended; its log was in %s", c.Dir)
		default:
			return c
		}
	}
	c, err := start(flags)
	if err != nil {
		t.Fatalf("start control plane for tests: %v", err)
	}
	if shared.clusters == nil {
		shared.clusters = map[string]*Cluster{}
	}
	shared.clusters[key] = c
	return c
}

// StartOwn starts a control plane that only this test uses, and that ends with it.
// The test may kill and restart it.
func StartOwn(t testing.TB, flags ...string) *Cluster {
	t.Helper()
	c, err := start(flags)
	if err != nil {
		t.Fatalf("start a control plane for this test: %v", err)
	}
	t.Cleanup(c.stop)
	return c
}

// Kill ends the control plane at once, as a crash would: whatever it had answered
// is on disk, and nothing else need be. It is for those of StartOwn.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	if err := c.process.Kill(); err != nil {
		t.Fatalf("kill the control plane: %v", err)
	}
	<-c.done
}

// Restart starts a control plane that was killed, with the data and the address
// that it had.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if err := c.launch(); err != nil {
		t.Fatalf("restart the control plane: %v", err)
	}
}

// Binary returns the standalone program, for tests that start it themselves.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatalf("find the standalone program: %v", err)
	}
	return bin
}

// Run runs the tests and then ends the control planes they started. It is for
// TestMain; without it the control planes end a moment after the test binary.
func Run(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	for _, c := range shared.clusters {
		c.stop()
	}
	shared.clusters = nil
	return code
}

// Namespace makes a fresh namespace for a test. It is never deleted: nothing
// would clean it out, and it ends with the control plane.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatalf("client for a new namespace: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	ns, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	return ns.Name
}

func start(flags []string) (*Cluster, error) {
	parent, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	c := &Cluster{Dir: filepath.Join(parent, "state"), flags: flags}
	if err := c.launch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(parent))
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.KubeconfigPath); err != nil {
		c.stop()
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	c.Config.QPS, c.Config.Burst = -1, -1
	return c, nil
}

// launch runs the program on the state directory until it is ready.
func (c *Cluster) launch() error {
	bin, err := binary()
	if err != nil {
		return err
	}
	cmd := exec.Command(bin, append([]string{"controlplane", "--dir", c.Dir, "--print-ready", "--until-stdin-closes", "--remove-dir"}, c.flags...)...)
	if os.Getenv("GOGC") == "" {
		// The program saves memory at the expense of time, which tests have less of.
		cmd.Env = append(os.Environ(), "GOGC=100")
	}
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", bin, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", bin, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", bin, err)
	}
	done := make(chan struct{})
	c.stdin, c.process, c.done = stdin, cmd.Process, done

	line := make(chan []byte, 1)
	go func() {
		defer close(done)
		r := bufio.NewReader(stdout)
		first, err := r.ReadBytes('\n')
		if err == nil {
			line <- first
		}
		// Read on, so that the program never blocks on its output.
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait()
	}()
	var ready struct {
		Kubeconfig string `json:"kubeconfig"`
	}
	select {
	case raw := <-line:
		if err := json.Unmarshal(raw, &ready); err != nil {
			c.end()
			return fmt.Errorf("%s printed %q: %w", bin, raw, err)
		}
	case <-done:
		return fmt.Errorf("%s ended before it was ready: %s", bin, strings.TrimSpace(stderr.String()))
	case <-time.After(readyTimeout):
		log, _ := os.ReadFile(filepath.Join(c.Dir, "controlplane.log"))
		c.end()
		return fmt.Errorf("%s not ready after %s: %s\n%s", bin, readyTimeout, stderr.String(), log)
	}
	c.KubeconfigPath = ready.Kubeconfig
	return nil
}

// stop ends the program and removes what it kept.
func (c *Cluster) stop() {
	c.end()
	_ = os.RemoveAll(filepath.Dir(c.Dir))
}

// end tells the program to end and waits for it.
func (c *Cluster) end() {
	_ = c.stdin.Close()
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
	}
}

// lockedBuffer keeps the first part of what the program complains about.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxStderr = 64 << 10

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := maxStderr - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
