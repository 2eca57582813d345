package pod_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
	"prow/internal/pod"
)

// utilities are the binaries with the most bytes that each may have.
var utilities = map[string]int64{"clonerefs": 25 << 20, "initupload": 25 << 20, "entrypoint": 6 << 20, "sidecar": 25 << 20, "gcsupload": 25 << 20}

// machine runs the containers of built pods as processes of this machine.
type machine struct {
	bin, dir, bucket string
	logs, tools, src string
}

func newMachine(t *testing.T, bin string) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{bin: bin, dir: dir, bucket: filepath.Join(dir, "bucket"), logs: filepath.Join(dir, "l"), tools: filepath.Join(dir, "t"), src: filepath.Join(dir, "s")}
	for _, d := range []string{m.bucket, m.logs, m.tools, m.src} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func buildUtilities(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", bin}
	for name := range utilities {
		args = append(args, "prow/cmd/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// local puts the directories of this machine in the place of the mounts.
func (m *machine) local(text string) string {
	return strings.NewReplacer("/logs", m.logs, "/tools", m.tools, "/home/prow/go", m.src, m.bucket, m.bucket).Replace(text)
}

func (m *machine) command(ctx context.Context, c corev1.Container) *exec.Cmd {
	name, args := filepath.Join(m.bin, map[string]string{"place-entrypoint": "entrypoint"}[c.Name]+strings.TrimPrefix(c.Name, "place-entrypoint")), c.Args
	if len(c.Command) > 0 {
		name, args = m.local(c.Command[0]), append(c.Command[1:], c.Args...)
	}
	if c.Name == pod.PlaceEntrypointContainer {
		args = append(args, "--copy-destination="+m.tools+"/entrypoint")
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir}
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+m.local(e.Value))
	}
	cmd.Dir = m.local(c.WorkingDir)
	return cmd
}

// initialize runs the init containers, and returns the name of one that failed.
func (m *machine) initialize(t *testing.T, p *corev1.Pod) (failed, output string) {
	t.Helper()
	for _, c := range p.Spec.InitContainers {
		if out, err := m.command(t.Context(), c).CombinedOutput(); err != nil {
			return c.Name, string(out)
		}
	}
	return "", ""
}

func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(m.bucket, name))
	if err != nil {
		t.Error(err)
	}
	return string(content)
}

func (m *machine) readJSON(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(m.read(t, name)), into); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// repository makes one with a pull request, and returns its path and commits.
func repository(t *testing.T) (dir, base, pull string) {
	t.Helper()
	dir = t.TempDir()
	runner := git.NewRunner(os.Environ(), git.Setting{Key: "user.name", Value: "a"}, git.Setting{Key: "user.email", Value: "b@c"})
	run := func(args ...string) string {
		out, err := runner.Output(t.Context(), dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("init", "-b", "main")
	run("commit", "--allow-empty", "-m", "base")
	run("checkout", "-q", "-b", "change")
	if err := os.WriteFile(filepath.Join(dir, "test.sh"), []byte("echo hello from $PULL_NUMBER; echo result > $ARTIFACTS/result.txt; echo '{\"key\":\"value\"}' > $ARTIFACTS/metadata.json\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run("add", ".")
	run("commit", "-m", "change")
	pull = run("rev-parse", "HEAD")
	run("checkout", "-q", "main")
	run("commit", "--allow-empty", "-m", "moved on")
	base = run("rev-parse", "HEAD")
	return dir, base, pull
}

func job(m *machine, repo, base, pull string, command ...string) *v1.ProwJob {
	no := ""
	return &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "id"},
		Status:     v1.ProwJobStatus{BuildID: "42"},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Job: "unit",
			Refs:    &v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: base, CloneURI: repo, Pulls: []v1.Pull{{Number: 7, SHA: pull}}},
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Image: "any", Command: command}}},
			DecorationConfig: &v1.DecorationConfig{
				UtilityImages:        &v1.UtilityImages{CloneRefs: "a", InitUpload: "b", Entrypoint: "c", Sidecar: "d"},
				GCSConfiguration:     &v1.GCSConfiguration{Bucket: "file://" + m.bucket, PathStrategy: v1.PathStrategyExplicit},
				GCSCredentialsSecret: &no, GracePeriod: &v1.Duration{Duration: 10 * time.Second},
			},
		},
	}
}

func TestBuiltPodsRun(t *testing.T) {
	bin := buildUtilities(t)
	repo, base, pull := repository(t)
	const dir = "pr-logs/pull/org_repo/7/unit/42/"

	t.Run("the utilities are small", func(t *testing.T) {
		for name, most := range utilities {
			if info, err := os.Stat(filepath.Join(bin, name)); err != nil || info.Size() > most {
				t.Errorf("%s: %v, more than %d bytes", name, err, most)
			}
		}
	})

	t.Run("a presubmit", func(t *testing.T) {
		m := newMachine(t, bin)
		p, err := pod.Build(job(m, repo, base, pull, "sh", "test.sh"))
		if err != nil {
			t.Fatal(err)
		}
		if failed, out := m.initialize(t, p); failed != "" {
			t.Fatalf("%s failed:\n%s", failed, out)
		}
		var started artifacts.Started
		m.readJSON(t, dir+"started.json", &started)
		for _, c := range p.Spec.Containers {
			if out, err := m.command(t.Context(), c).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c.Name, err, out)
			}
		}
		var finished artifacts.Finished
		m.readJSON(t, dir+"finished.json", &finished)
		var records []artifacts.CloneRecord
		m.readJSON(t, dir+"clone-records.json", &records)
		if len(records) != 2 || started.RepoCommit != records[1].FinalSHA || started.RepoCommit == pull || started.Pull != "7" || started.Repos["org/repo"] != "main:"+base+",7:"+pull {
			t.Errorf("started.json: %+v", started)
		}
		if !finished.Passed || finished.Result != "SUCCESS" || finished.Revision != pull || finished.Metadata["key"] != "value" {
			t.Errorf("finished.json: %+v", finished)
		}
		for name, want := range map[string]string{
			dir + "build-log.txt":                           "hello from 7\n",
			dir + "artifacts/result.txt":                    "result\n",
			"pr-logs/directory/unit/42.txt":                 "file://" + m.bucket + "/pr-logs/pull/org_repo/7/unit/42",
			"pr-logs/directory/unit/latest-build.txt":       "42",
			"pr-logs/pull/org_repo/7/unit/latest-build.txt": "42",
		} {
			if got := m.read(t, name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if log := m.read(t, dir+"clone-log.txt"); !strings.Contains(log, "# Cloning org/repo at main("+base+")") || !strings.Contains(log, "# Final SHA: "+records[1].FinalSHA) {
			t.Errorf("clone log:\n%s", log)
		}
	})

	t.Run("a clone that fails", func(t *testing.T) {
		m := newMachine(t, bin)
		pj := job(m, repo, base, pull, "sh", "test.sh")
		pj.Spec.Refs.BaseRef, pj.Spec.Refs.BaseSHA = "missing", ""
		p, err := pod.Build(pj)
		if err != nil {
			t.Fatal(err)
		}
		if failed, out := m.initialize(t, p); failed != "initupload" {
			t.Fatalf("%q failed:\n%s", failed, out)
		}
		var finished map[string]any
		m.readJSON(t, dir+"finished.json", &finished)
		if finished["passed"] != false || finished["result"] != "FAILURE" {
			t.Errorf("finished.json: %v", finished)
		}
		if log := m.read(t, dir+"build-log.txt"); log != m.read(t, dir+"clone-log.txt") || !strings.Contains(log, "# FAILED!") || !strings.Contains(log, "couldn't find remote ref missing") {
			t.Errorf("log:\n%s", log)
		}
	})

	t.Run("a pod that is told to end", func(t *testing.T) {
		m := newMachine(t, bin)
		p, err := pod.Build(job(m, repo, base, pull, "sh", "-c", `trap "echo caught; exit 3" INT TERM; echo begun; while :; do sleep 0.05; done`))
		if err != nil {
			t.Fatal(err)
		}
		if failed, out := m.initialize(t, p); failed != "" {
			t.Fatalf("%s failed:\n%s", failed, out)
		}
		var running []*exec.Cmd
		for _, c := range p.Spec.Containers {
			cmd := m.command(t.Context(), c)
			stderr, err := os.Create(filepath.Join(m.dir, c.Name+".stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			cmd.Stderr = stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			running = append(running, cmd)
		}
		awaitFile(t, filepath.Join(m.logs, "process-log.txt"), "begun")
		awaitFile(t, filepath.Join(m.dir, "sidecar.stderr"), "Ready for signals.")
		for _, cmd := range running {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
		for i, want := range []int{130, 0} {
			err := running[i].Wait()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Error(err)
			}
			if got := running[i].ProcessState.ExitCode(); got != want {
				t.Errorf("%s exited with %d, want %d", p.Spec.Containers[i].Name, got, want)
			}
		}
		var finished artifacts.Finished
		m.readJSON(t, dir+"finished.json", &finished)
		if finished.Passed || finished.Result != "ABORTED" {
			t.Errorf("finished.json: %+v", finished)
		}
		if log := m.read(t, dir+"build-log.txt"); !strings.Contains(log, "caught") {
			t.Errorf("log: %s", log)
		}
	})
}

func awaitFile(t *testing.T, file, text string) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), text) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s never said %q", file, text)
		}
	}
}
