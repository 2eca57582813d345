//go:build linux

package hostexec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prow/standalone/node/executor"
	"prow/standalone/node/hostexec"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == hostexec.InitCommand {
		if err := hostexec.RunInit(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tempDir is a directory outside /tmp, which containers do not see anyway, that
// the present user owns.
func tempDir(t *testing.T) string {
	t.Helper()
	base := "/var/tmp"
	if victim := os.Getenv("HOSTEXEC_TEST_DIR"); victim != "" {
		base = victim // its starter cleans up behind it
	}
	dir, err := os.MkdirTemp(base, "hostexec-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
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

type host struct {
	*hostexec.Executor
	dir string
}

func newHost(t *testing.T, opts hostexec.Options) host {
	t.Helper()
	dir := tempDir(t)
	e, err := hostexec.New(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return host{e, dir}
}

// shell is a spec that runs a script.
func (h host) shell(t *testing.T, script string, out *buffer) executor.Spec {
	t.Helper()
	scratch, err := os.MkdirTemp(h.dir, "scratch-")
	if err != nil {
		t.Fatal(err)
	}
	return executor.Spec{
		ID: t.Name(), Name: "test", Hostname: "pod-1", Image: "any", Command: []string{"/bin/sh", "-c", script},
		Scratch: scratch, Stdout: out, Stderr: out,
	}
}

func (h host) run(t *testing.T, spec executor.Spec) executor.Exit {
	t.Helper()
	c, err := h.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return c.Wait()
}

func TestWhatAJobSeesOfTheMachine(t *testing.T) {
	const secret = "/usr/share" // stands for a directory that jobs could see
	volume := tempDir(t)
	if err := os.Chmod(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(tempDir(t), "tool")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\necho I am a tool: $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(tool)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, hostexec.Options{Hide: []string{secret}, Env: []string{"FROM_HOST=yes"}, ImageBinaries: map[string]string{"example.com:5000/tool": tool}})
	for _, tc := range []struct {
		name, script string
		change       func(*executor.Spec)
		code         int
		want         []string
	}{
		{name: "it runs as root of its own world", script: "id -u; id -g; hostname", want: []string{"0\n0\npod-1\n"}},
		{name: "it cannot write to the machine", script: "touch /etc/x /usr/x /x /home/x /var/x; echo end", want: []string{"touch: cannot touch '/etc/x': Read-only file system", "'/usr/x': Read-only", "'/x': Read-only", "'/home/x': Read-only", "'/var/x': Read-only", "end"}},
		{name: "it may write to its scratch places", script: "set -e; cd; touch a /tmp/b /var/tmp/c /dev/shm/d /run/e; echo ok $FROM_HOST", want: []string{"ok yes"}},
		{name: "it does not see the state directory", script: "ls -A " + secret + " | wc -l", want: []string{"0\n"}},
		{name: "it does not see homes and sockets", script: "stat -f -c %T /home /run; ls -A /home | wc -l", want: []string{"tmpfs\ntmpfs\n0\n"}},
		{name: "it cannot uncover what is hidden", script: "umount " + secret + " 2>&1; mount -o remount,rw /usr 2>&1; unshare -Urm sh -c 'umount " + secret + "' 2>&1; ls -A " + secret + " | wc -l", want: []string{"0\n"}},
		{name: "it has no power over the machine", script: `n=$(sed -n 's/^CapEff:.//p' /proc/self/status); echo $((0x$n & (1<<21 | 1<<16 | 1<<19 | 1<<12))); sed -n 's/^CapInh:.//p;s/^CapAmb:.//p' /proc/self/status`, want: []string{"0\n0000000000000000\n0000000000000000\n"}},
		{name: "it sees only its own processes", script: "ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm", want: []string{"prow-container\n"}},
		{name: "it cannot change the machine's settings", script: "echo x > /proc/sys/kernel/core_pattern", code: 2, want: []string{"Read-only file system"}},
		{name: "devices work", script: "echo x > /dev/null && head -c 3 /dev/urandom | wc -c && ls /dev/sda /dev/vda 2>&1 | grep -c cannot", want: []string{"3\n2\n"}},
		{name: "a volume appears at a path that does not exist", script: "echo hi > /no/such/place/f && cat /no/such/place/f", change: func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/no/such/place"}}
		}, want: []string{"hi\n"}},
		{name: "a volume appears below a directory of the machine", script: "echo hi > /usr/lib/no/such/f; cat /usr/lib/no/such/f; ls /usr/lib/os-release; touch /usr/lib/y", code: 1, change: func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/usr/lib/no/such"}}
		}, want: []string{"hi\n/usr/lib/os-release\n", "'/usr/lib/y': Read-only"}},
		{name: "a volume below a hidden home appears", script: "touch /home/prow/go/x && ls /home", change: func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/home/prow/go"}}
		}, want: []string{"prow\n"}},
		{name: "inner mounts are placed after outer ones", script: "echo 1 > /data/in/f; ls /data/ro; touch /data/ro/x", code: 1, change: func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/data/ro", ReadOnly: true}, {Source: volume, Target: "/data/in"}, {Source: tempDir(t), Target: "/data"}}
		}, want: []string{"f\n", "Read-only file system"}},
		{name: "the working directory is made in a volume", script: "pwd", change: func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: volume, Target: "/w"}}
			s.WorkingDir = "/w/src/example.com"
		}, want: []string{"/w/src/example.com\n"}},
		{name: "a program stands for an image", change: func(s *executor.Spec) {
			s.Image, s.Command, s.Args = "example.com:5000/tool:v1@sha256:00", nil, []string{"arg"}
		}, want: []string{"I am a tool: arg\n"}},
		{name: "an exit code is passed on", script: "exit 7", code: 7},
		{name: "a death by signal is 128 and the signal", script: "kill -USR1 $$", code: 128 + int(syscall.SIGUSR1)},
		{name: "another user can be chosen", script: "id -u; id -g; touch /tmp/f /w/f; touch /etc/f", code: 1, change: func(s *executor.Spec) {
			u, g := int64(1234), int64(2345)
			s.Security.User, s.Security.Group = &u, &g
			s.Mounts = []executor.Mount{{Source: volume, Target: "/w"}}
		}, want: []string{"1234\n2345\n", "cannot touch '/etc/f'"}},
		{name: "stdin is empty", script: "cat; echo done", want: []string{"done\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out buffer
			spec := h.shell(t, tc.script, &out)
			if tc.change != nil {
				tc.change(&spec)
			}
			exit := h.run(t, spec)
			if exit.Code != tc.code {
				t.Errorf("exit code %d, want %d", exit.Code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q", want)
				}
			}
			if t.Failed() {
				t.Logf("output:\n%s", out.String())
			}
		})
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	h := newHost(t, hostexec.Options{})
	for _, tc := range []struct {
		name   string
		change func(*executor.Spec)
		reason string
		want   string
	}{
		{"a missing command is named", func(s *executor.Spec) { s.Command = []string{"no-such-command"} }, executor.ReasonStart, `exec: "no-such-command": executable file not found in $PATH`},
		{"a missing path is named", func(s *executor.Spec) { s.Command = []string{"/no/such"} }, executor.ReasonStart, `exec: "/no/such": stat /no/such: no such file or directory`},
		{"a file that is no program is named", func(s *executor.Spec) { s.Command = []string{"/etc/passwd"} }, executor.ReasonStart, `permission denied`},
		{"a container without command needs a known image", func(s *executor.Spec) { s.Command, s.Image = nil, "gcr.io/x/y:z" }, executor.ReasonCreate, `"gcr.io/x/y:z"`},
		{"a working directory that cannot be made", func(s *executor.Spec) { s.WorkingDir = "/nowhere/at/all" }, executor.ReasonCreate, `working directory "/nowhere/at/all" does not exist`},
		{"root where root is forbidden", func(s *executor.Spec) { s.Security.NonRoot = true }, executor.ReasonConfig, "runAsNonRoot"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out buffer
			spec := h.shell(t, "true", &out)
			tc.change(&spec)
			_, err := h.Start(t.Context(), spec)
			var start *executor.StartError
			if !errors.As(err, &start) {
				t.Fatalf("got %v, want a StartError; output: %s", err, out.String())
			}
			if start.Reason != tc.reason || !strings.Contains(start.Message, tc.want) {
				t.Fatalf("got %v, want %s with %q", start, tc.reason, tc.want)
			}
		})
	}
}

// running counts processes of the machine whose command line has the marker.
func running(t *testing.T, marker string) int {
	t.Helper()
	n := 0
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil && bytes.Contains(raw, []byte(marker)) && !bytes.Contains(raw, []byte("/bin/sh")) {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("timed out: %s", what)
		}
	}
}

func TestProcessesThatForkAwayDieWithTheirContainer(t *testing.T) {
	h := newHost(t, hostexec.Options{})
	marker := fmt.Sprintf("77%07d", os.Getpid())
	var out buffer
	exit := h.run(t, h.shell(t, "setsid -f sleep "+marker+"; (setsid sleep "+marker+" >/dev/null 2>&1 &) ; exit 3", &out))
	if exit.Code != 3 {
		t.Errorf("exit code %d, want 3: %s", exit.Code, out.String())
	}
	if n := running(t, marker); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

func TestTheInitReapsOrphans(t *testing.T) {
	h := newHost(t, hostexec.Options{})
	var out buffer
	h.run(t, h.shell(t, `for i in 1 2 3 4 5; do sh -c 'sleep 0.1 & exit 0'; done; sleep 0.5; grep -l "^State:.Z" /proc/[0-9]*/status | wc -l`, &out))
	if strings.TrimSpace(out.String()) != "0" {
		t.Errorf("zombies: %s", out.String())
	}
}

func TestTerminateReachesTheMainProcessAndKillEverything(t *testing.T) {
	h := newHost(t, hostexec.Options{})
	marker := fmt.Sprintf("78%07d", os.Getpid())
	var out buffer
	c, err := h.Start(t.Context(), h.shell(t, `trap 'echo got TERM' TERM; sleep `+marker+` & echo up; while :; do wait; done`, &out))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job runs", func() bool { return strings.Contains(out.String(), "up") })
	if err := c.Terminate(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the signal arrives", func() bool { return strings.Contains(out.String(), "got TERM") })
	if n := running(t, marker); n != 1 {
		t.Fatalf("%d children run after SIGTERM, want 1", n)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if exit := c.Wait(); exit.Code != 137 || exit.OOMKilled {
		t.Errorf("exit %+v, want code 137", exit)
	}
	if n := running(t, marker); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if err := c.Terminate(); err != nil {
		t.Errorf("terminating an ended container: %v", err)
	}
}

func TestSymbolicLinksInAVolumeLeadNowhereElse(t *testing.T) {
	h := newHost(t, hostexec.Options{})
	volume, victim := tempDir(t), tempDir(t)
	if err := os.Symlink(victim, filepath.Join(volume, "link")); err != nil {
		t.Fatal(err)
	}
	var out buffer
	spec := h.shell(t, "echo started", &out)
	spec.Mounts = []executor.Mount{{Source: volume, Target: "/v"}, {Source: tempDir(t), Target: "/v/link/sub"}}
	if c, err := h.Start(t.Context(), spec); err == nil {
		c.Wait()
	}
	if entries, _ := os.ReadDir(victim); len(entries) != 0 {
		t.Errorf("a directory was made on the machine: %v", entries)
	}
}

func TestNothingSurvivesTheProgramNotEvenItsKill(t *testing.T) {
	marker := fmt.Sprintf("79%07d", os.Getpid())
	if os.Getenv("HOSTEXEC_TEST_VICTIM") != "" {
		h := newHost(t, hostexec.Options{})
		var out buffer
		c, err := h.Start(context.Background(), h.shell(t, "setsid -f sleep "+os.Getenv("HOSTEXEC_TEST_VICTIM")+"; exec sleep "+os.Getenv("HOSTEXEC_TEST_VICTIM"), &out))
		if err != nil {
			t.Fatal(err)
		}
		c.Wait()
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNothingSurvivesTheProgramNotEvenItsKill$")
	cmd.Env = append(os.Environ(), "HOSTEXEC_TEST_VICTIM="+marker, "HOSTEXEC_TEST_DIR="+tempDir(t))
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the jobs run", func() bool { return running(t, marker) == 2 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the jobs are gone", func() bool { return running(t, marker) == 0 })
}

func TestAllOfThisAlsoWorksWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		return // this is the run without root
	}
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// The test binary lies where only root may look.
	bin := filepath.Join(dir, "test")
	raw, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(bin, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.v", "-test.count=1")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("this machine does not let user")) {
		t.Skipf("user namespaces are not allowed here:\n%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// inNamespace runs a test of this binary as root of a user namespace of its own
// in which no further one can be made.
func inNamespace(t *testing.T, run string, prefix ...string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`
	args := append([]string{"-Ur", "sh", "-c", script, "sh"}, prefix...)
	cmd := exec.Command("unshare", append(args, exe, "-test.v", "-test.run=^"+run+"$")...)
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("unshare:")) {
		t.Skipf("user namespaces are not allowed here: %s", out)
	}
	return string(out), err
}

func TestRootDoesWithoutUserNamespaces(t *testing.T) {
	if out, err := inNamespace(t, "TestProcessesThatForkAwayDieWithTheirContainer"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAMachineThatAllowsNoNamespacesIsNamed(t *testing.T) {
	out, err := inNamespace(t, "TestProcessesThatForkAwayDieWithTheirContainer", "setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
	if err == nil || !strings.Contains(out, "this machine does not let user") || !strings.Contains(out, "user.max_user_namespaces") {
		t.Errorf("%v\n%s", err, out)
	}
}
