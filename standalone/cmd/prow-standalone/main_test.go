package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"prow/internal/kube/kubetest"
)

const timeout = 90 * time.Second // generous: the machine may be busy

// program is a started standalone program.
type program struct {
	cmd        *exec.Cmd
	kubeconfig string
	server     string
	stderr     *lockedBuffer
	done       chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// user runs the program as nobody if not 0.
func command(t *testing.T, uid int, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(kubetest.Binary(t), append([]string{"controlplane", "--print-ready"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	}
	return cmd
}

func startAs(t *testing.T, uid int, args ...string) *program {
	t.Helper()
	p := &program{cmd: command(t, uid, args...), stderr: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdout)
		first, _ := r.ReadString('\n')
		line <- first
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	select {
	case first := <-line:
		var ready struct{ Kubeconfig, Server string }
		if err := json.Unmarshal([]byte(first), &ready); err != nil {
			t.Fatalf("not ready: %q: %s", first, p.stderr.String())
		}
		p.kubeconfig, p.server = ready.Kubeconfig, ready.Server
	case <-time.After(timeout):
		t.Fatalf("not ready in time: %s", p.stderr.String())
	}
	return p
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	return startAs(t, os.Geteuid(), args...)
}

// fails runs the program expecting it to end at once, and returns its message.
func fails(t *testing.T, uid int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := command(t, uid, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Fatalf("the program did not fail: %v: %s", err, stderr.String())
	}
	return stderr.String()
}

func (p *program) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if sig != syscall.SIGKILL && err != nil {
			t.Fatalf("ended with %v: %s", err, p.stderr.String())
		}
	case <-time.After(timeout):
		t.Fatalf("still there after %s", sig)
	}
}

func (p *program) client(t *testing.T) kubernetes.Interface {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func until(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 30*time.Millisecond, timeout, true, func(ctx context.Context) (bool, error) { return ok(ctx), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// sleepers counts the machine's processes that sleep for so long.
func sleepers(seconds string) int {
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil && bytes.Equal(raw, []byte("sleep\x00"+seconds+"\x00")) {
			n++
		}
	}
	return n
}

func sleepPod(name, seconds string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{Name: "main", Image: "any", Command: []string{"/bin/sh", "-c",
			"setsid -f sleep " + seconds + "; sleep " + seconds + " & echo up; wait"}}},
	}}
}

func stateDir(t *testing.T) string { return filepath.Join(t.TempDir(), "state") }

func TestStateIsKeptAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	p := start(t, "--dir", dir, "--namespace", "test-pods")
	if _, err := p.client(t).CoreV1().ConfigMaps("test-pods").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"", "pki", "etcd", "sockets"} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%q: %v, %v", f, st.Mode(), err)
		}
	}
	for _, f := range []string{"kubeconfig", "pki/ca.key", "pki/admin.key", "pki/service-accounts.key"} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", f, st.Mode(), err)
		}
	}
	before := p.client(t) // with the credentials of the first start
	p.end(t, syscall.SIGKILL)
	p = start(t, "--dir", dir)
	if _, err := before.CoreV1().ConfigMaps("test-pods").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("after a kill: %v", err)
	}
	p.end(t, syscall.SIGTERM)
	p = start(t, "--dir", dir)
	if _, err := before.CoreV1().ConfigMaps("test-pods").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("after an orderly stop: %v", err)
	}
	p.end(t, syscall.SIGINT)
}

func TestADirectoryThatCannotBeUsedIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		setUp func(t *testing.T, dir string)
		uid   int
		want  string
	}{
		{"it was made by a newer program", func(t *testing.T, dir string) { write(t, dir+"/format", "99\n") }, os.Geteuid(), "made by a newer version of this program (format 99"},
		{"its format cannot be read", func(t *testing.T, dir string) { write(t, dir+"/format", "x\n") }, os.Geteuid(), `"x" is not a format version`},
		{"it holds something else", func(t *testing.T, dir string) { write(t, dir+"/thesis.txt", "") }, os.Geteuid(), "neither empty nor made by this program (found thesis.txt)"},
		{"it is a file", func(t *testing.T, dir string) { write(t, dir, "") }, os.Geteuid(), "not a directory"},
		{"it belongs to somebody else", func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("needs root to play somebody else")
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for d := dir; strings.Count(d, "/") > 1; d = filepath.Dir(d) {
				if err := os.Chmod(d, 0o755); err != nil && d != "/tmp" {
					t.Fatal(err)
				}
				if filepath.Dir(d) == os.TempDir() {
					break
				}
			}
		}, 65534, "belongs to user 0"},
		{"its key is damaged", func(t *testing.T, dir string) {
			write(t, dir+"/format", "1\n")
			write(t, dir+"/pki/ca.key", "x")
			write(t, dir+"/pki/ca.crt", "x")
		}, os.Geteuid(), "load certificate authority"},
		{"its store is damaged", func(t *testing.T, dir string) {
			write(t, dir+"/format", "1\n")
			write(t, dir+"/etcd/member/snap/db", strings.Repeat("x", 4096*4))
		}, os.Geteuid(), "start etcd: failed to open database"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			tc.setUp(t, dir)
			if msg := fails(t, tc.uid, "--dir", dir); !strings.Contains(msg, tc.want) || strings.Contains(msg, "goroutine") {
				t.Errorf("message %q, want %q", msg, tc.want)
			}
		})
	}
}

func TestADirectoryInUseNamesTheProcess(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	p := start(t, "--dir", dir)
	if msg, want := fails(t, os.Geteuid(), "--dir", dir), "is in use by process "+strconv.Itoa(p.cmd.Process.Pid); !strings.Contains(msg, want) {
		t.Errorf("message %q, want %q", msg, want)
	}
	p.end(t, syscall.SIGTERM)
}

func TestATakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if msg, want := fails(t, os.Geteuid(), "--dir", stateDir(t), "--port", strconv.Itoa(port)), fmt.Sprintf("port %d of 127.0.0.1, wanted for the API server, is taken", port); !strings.Contains(msg, want) {
		t.Errorf("message %q, want %q", msg, want)
	}
}

// lostAndPending is the story of a program that ends while pods run, and comes
// back.
func lostAndPending(t *testing.T, uid int, sig syscall.Signal, seconds string) {
	dir := stateDir(t)
	if uid != os.Geteuid() {
		parent, err := os.MkdirTemp("/var/tmp", "standalone-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(parent) })
		if err := os.Chown(parent, uid, uid); err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(parent, "state")
	}
	p := startAs(t, uid, "--dir", dir, "--node")
	pods := p.client(t).CoreV1().Pods("default")
	if _, err := pods.Create(t.Context(), sleepPod("runs", seconds), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waits := sleepPod("waits", seconds)
	waits.Spec.Containers[0].Command = []string{"/bin/true"}
	waits.Spec.Volumes = []corev1.Volume{{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "later"}}}}
	if _, err := pods.Create(t.Context(), waits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the pod runs", func(ctx context.Context) bool {
		pod, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		if err == nil && (pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded) {
			t.Fatalf("pod ended: %+v", pod.Status)
		}
		return err == nil && pod.Status.Phase == corev1.PodRunning && sleepers(seconds) == 2
	})
	until(t, "the other pod waits", func(ctx context.Context) bool {
		pod, err := pods.Get(ctx, "waits", metav1.GetOptions{})
		return err == nil && pod.Status.StartTime != nil
	})
	going := sleepPod("going", seconds)
	going.Spec.Containers[0].Command = []string{"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"}
	if _, err := pods.Create(t.Context(), going, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the pod to delete runs", func(ctx context.Context) bool {
		pod, err := pods.Get(ctx, "going", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	})
	hour := int64(3600)
	if err := pods.Delete(t.Context(), "going", metav1.DeleteOptions{GracePeriodSeconds: &hour}); err != nil {
		t.Fatal(err)
	}
	p.end(t, sig)
	until(t, "nothing is left running", func(context.Context) bool { return sleepers(seconds) == 0 })
	if raw, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(raw), dir) {
		t.Errorf("mounts are left: %v", err)
	}

	p = startAs(t, uid, "--dir", dir, "--node")
	client := p.client(t)
	pods = client.CoreV1().Pods("default")
	if _, err := client.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the pod that ran is lost", func(ctx context.Context) bool {
		pod, err := pods.Get(ctx, "runs", metav1.GetOptions{})
		if err != nil || pod.Status.Phase != corev1.PodFailed {
			return false
		}
		st := pod.Status.ContainerStatuses[0].State.Terminated
		if pod.Status.Reason != "NodeLost" || st == nil || st.Reason != "ContainerStatusUnknown" || st.ExitCode != 137 || st.Message == "" {
			t.Fatalf("status %+v", pod.Status)
		}
		return true
	})
	until(t, "the pod that was being deleted is gone", func(ctx context.Context) bool {
		_, err := pods.Get(ctx, "going", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	until(t, "the pod that waited runs", func(ctx context.Context) bool {
		pod, err := pods.Get(ctx, "waits", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodSucceeded
	})
	if n := sleepers(seconds); n != 0 {
		t.Errorf("%d processes of the lost pod run again", n)
	}
	if out, err := exec.Command("kubectl", "--kubeconfig", p.kubeconfig, "logs", "runs").CombinedOutput(); err != nil || string(out) != "up\n" {
		t.Errorf("log of the lost pod: %q, %v", out, err)
	}
	p.end(t, syscall.SIGTERM)
}

func TestAfterAKillNothingRunsAndPodsAreLostOrGoOn(t *testing.T) {
	t.Parallel()
	lostAndPending(t, os.Geteuid(), syscall.SIGKILL, fmt.Sprintf("81%07d", os.Getpid()))
}

func TestAfterAnOrderlyStopNothingRunsAndPodsAreLostOrGoOn(t *testing.T) {
	t.Parallel()
	lostAndPending(t, os.Geteuid(), syscall.SIGTERM, fmt.Sprintf("82%07d", os.Getpid()))
}

func TestAllOfThisAlsoWorksWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("already without root")
	}
	if out, err := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Ur", "true").CombinedOutput(); err != nil {
		t.Skipf("user namespaces are not allowed for ordinary users here: %s", out)
	}
	lostAndPending(t, 65534, syscall.SIGKILL, fmt.Sprintf("83%07d", os.Getpid()))
}
