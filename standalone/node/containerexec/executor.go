// Package containerexec runs containers from images with podman or docker.
//
// Each container is one attached "run" of the program; its exit code and
// whether memory ran out are asked for afterwards. Containers carry a label
// with the owner's name, by which those are found and removed that a killed
// program left behind. Images for which a program of this machine stands run
// with the host executor instead, on the same volumes.
package containerexec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"prow/standalone/node/executor"
)

// ownerLabel marks the containers of one state directory.
const ownerLabel = "prow.standalone.owner"

const (
	commandTimeout = time.Minute
	outputDelay    = 2 * time.Second
	// Exit code for failures of the program itself.
	codeRuntimeFailed = 125
)

// Host is the executor for images that a program of this machine stands for.
type Host interface {
	executor.Executor
	Plays(image string) bool
}

// Options configure an Executor.
type Options struct {
	// Program is podman or docker or a path to one; empty: the first found.
	Program string
	// Args precede the command in every call, for example --runtime=runc.
	Args []string
	// CreateArgs are added to the command that creates a container, for
	// example --ulimit=nofile=1000:1000 where inherited limits cannot be had.
	CreateArgs []string
	// Owner tells this program's containers from others'; the state directory.
	Owner string
}

// Executor runs containers from images.
type Executor struct {
	host Host
	opts Options
}

// New finds the program and checks that it works.
func New(ctx context.Context, host Host, opts Options) (*Executor, error) {
	if opts.Program == "" {
		for _, name := range []string{"podman", "docker"} {
			if path, err := exec.LookPath(name); err == nil {
				opts.Program = path
				break
			}
		}
		if opts.Program == "" {
			return nil, errors.New("the container executor needs podman or docker, and neither is in PATH")
		}
	}
	e := &Executor{host: host, opts: opts}
	if _, err := e.output(ctx, "ps", "--quiet"); err != nil {
		return nil, fmt.Errorf("the container executor cannot use %s: %w", opts.Program, err)
	}
	return e, nil
}

func (e *Executor) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, e.opts.Program, slices.Concat(e.opts.Args, args)...)
}

// output runs a short command and returns what it prints.
func (e *Executor) output(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := e.command(ctx, args...)
	cmd.WaitDelay = outputDelay
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(e.opts.Program), args[0], err, firstLines(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

func firstLines(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 500 {
		s = s[:500]
	}
	return s
}

// Admit implements executor.Executor.
func (e *Executor) Admit(pod *corev1.Pod) error {
	if pod.Spec.OS != nil && pod.Spec.OS.Name != corev1.Linux {
		return fmt.Errorf("the container executor runs no %s containers", pod.Spec.OS.Name)
	}
	return nil
}

// Cleanup implements executor.Executor: it removes the containers of a program
// that was killed.
func (e *Executor) Cleanup(ctx context.Context) error {
	ids, err := e.output(ctx, "ps", "--all", "--quiet", "--filter", "label="+ownerLabel+"="+e.opts.Owner)
	if err != nil {
		return err
	}
	if ids == "" {
		return nil
	}
	_, err = e.output(ctx, slices.Concat([]string{"rm", "--force"}, strings.Fields(ids))...)
	return err
}

// Start implements executor.Executor.
func (e *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Container, error) {
	if e.host.Plays(spec.Image) {
		return e.host.Start(ctx, spec)
	}
	if err := e.provide(ctx, spec); err != nil {
		return nil, err
	}
	name := containerName(spec.ID)
	if _, err := e.output(ctx, e.createArgs(name, spec)...); err != nil {
		return nil, executor.Failed(executor.ReasonCreate, "%v", err)
	}
	c := &container{e: e, name: name, done: make(chan struct{})}
	// The attached client must not end with ctx: it carries the output.
	c.cmd = e.command(context.Background(), "start", "--attach", name)
	c.cmd.Stdout = spec.Stdout
	c.cmd.Stderr = &stderrFilter{w: spec.Stderr}
	c.cmd.WaitDelay = outputDelay
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start container: %w", err), c.remove())
	}
	go func() {
		defer close(c.done)
		c.err = c.cmd.Wait()
	}()
	return c, c.awaitStart(ctx, spec)
}

// provide pulls the image as the policy says.
func (e *Executor) provide(ctx context.Context, spec executor.Spec) error {
	if spec.PullPolicy != corev1.PullAlways {
		if _, err := e.output(ctx, "image", "inspect", "--format", "{{.Id}}", spec.Image); err == nil {
			return nil
		}
		if spec.PullPolicy == corev1.PullNever {
			return &executor.StartError{Reason: executor.ReasonImageNotHere, Retry: true, Message: fmt.Sprintf("Container image %q is not present with pull policy of Never", spec.Image)}
		}
	}
	if _, err := e.output(ctx, "pull", "--quiet", spec.Image); err != nil {
		return &executor.StartError{Reason: executor.ReasonImagePull, Retry: true, Message: err.Error()}
	}
	return nil
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)

func containerName(id string) string { return "prow-" + notInNames.ReplaceAllString(id, "-") }

// createArgs describes the container to the program.
func (e *Executor) createArgs(name string, spec executor.Spec) []string {
	args := slices.Concat([]string{"create", "--name", name, "--network", "host",
		"--label", ownerLabel + "=" + e.opts.Owner,
		"--label", "prow.standalone.pod=" + spec.Namespace + "/" + spec.Pod,
	}, e.opts.CreateArgs)
	for _, v := range spec.Env {
		args = append(args, "--env", v)
	}
	for _, m := range spec.Mounts {
		mount := "type=bind,source=" + m.Source + ",target=" + m.Target
		if m.ReadOnly {
			mount += ",readonly"
		}
		args = append(args, "--mount", mount)
	}
	if spec.WorkingDir != "" {
		args = append(args, "--workdir", spec.WorkingDir)
	}
	if u := user(spec.Security); u != "" {
		args = append(args, "--user", u)
	}
	for _, g := range spec.Security.SupplementalGroups {
		args = append(args, "--group-add", strconv.FormatInt(g, 10))
	}
	if spec.Security.NoNewPrivileges {
		args = append(args, "--security-opt", "no-new-privileges")
	}
	rest := spec.Args
	if len(spec.Command) > 0 {
		// Only the first word can be the entry point on the command line.
		args = append(args, "--entrypoint", spec.Command[0])
		rest = slices.Concat(spec.Command[1:], spec.Args)
	}
	return slices.Concat(args, []string{spec.Image}, rest)
}

func user(s executor.Security) string {
	if s.User == nil && s.Group == nil {
		return ""
	}
	u := "0"
	if s.User != nil {
		u = strconv.FormatInt(*s.User, 10)
	}
	if s.Group != nil {
		u += ":" + strconv.FormatInt(*s.Group, 10)
	}
	return u
}

// container is one container of the program.
type container struct {
	e    *Executor
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of the attached client, valid once done is closed

}

// state is the part of "inspect" that matters.
type state struct {
	Status    string
	Running   bool
	ExitCode  int
	OOMKilled bool
	Error     string
	StartedAt time.Time
}

func (c *container) inspect(ctx context.Context) (state, error) {
	var s state
	raw, err := c.e.output(ctx, "container", "inspect", "--format", "{{json .State}}", c.name)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		return s, fmt.Errorf("inspect container: %w", err)
	}
	return s, nil
}

// awaitStart waits until the main process runs or has run.
func (c *container) awaitStart(ctx context.Context, spec executor.Spec) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := c.inspect(ctx)
		if err == nil && (s.Running || s.Status == "exited") && !s.StartedAt.IsZero() && s.StartedAt.Year() > 1 {
			return nil
		}
		select {
		case <-c.done:
			if s, err := c.inspect(ctx); err == nil && s.Status == "exited" && s.StartedAt.Year() > 1 {
				return nil
			}
			return errors.Join(c.startFailure(spec), c.remove())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start container: %w", context.Cause(ctx)), c.Kill(), c.remove())
		case <-tick.C:
		}
	}
}

// startFailure says why the main process did not start.
func (c *container) startFailure(spec executor.Spec) error {
	command := spec.Image
	if len(spec.Command) > 0 {
		command = spec.Command[0]
	}
	cause := firstLines(c.cmd.Stderr.(*stderrFilter).head.String())
	var exit *exec.ExitError
	if errors.As(c.err, &exit) && exit.ExitCode() == codeRuntimeFailed && !strings.Contains(cause, "exec") {
		return executor.Failed(executor.ReasonCreate, "%s", cause)
	}
	return executor.Failed(executor.ReasonStart, "exec: %q: %s", command, cause)
}

// Wait implements executor.Container.
func (c *container) Wait() executor.Exit {
	<-c.done
	ctx := context.Background()
	s, err := c.inspect(ctx)
	for err == nil && s.Running {
		// The client has gone, killed perhaps, but not the container.
		if _, err = c.e.output(ctx, "wait", c.name); err == nil {
			s, err = c.inspect(ctx)
		}
	}
	exit := executor.Exit{Code: s.ExitCode, OOMKilled: s.OOMKilled, Message: s.Error}
	if err != nil {
		exit = executor.Exit{Code: 137, Message: err.Error()}
	}
	if err := c.remove(); err != nil && exit.Message == "" && exit.Code != 0 {
		exit.Message = err.Error()
	}
	return exit
}

func (c *container) remove() error {
	_, err := c.e.output(context.Background(), "rm", "--force", c.name)
	return err
}

// Terminate implements executor.Container.
func (c *container) Terminate() error { return c.signal("TERM") }

// Kill implements executor.Container.
func (c *container) Kill() error { return c.signal("KILL") }

func (c *container) signal(name string) error {
	_, err := c.e.output(context.Background(), "kill", "--signal", name, c.name)
	select {
	case <-c.done:
		return nil // it had ended
	default:
	}
	if err != nil {
		if s, ierr := c.inspect(context.Background()); ierr == nil && !s.Running {
			return nil
		}
	}
	return err
}

// stderrFilter passes output on and keeps its beginning for messages.
type stderrFilter struct {
	w    interface{ Write([]byte) (int, error) }
	head bytes.Buffer
}

func (f *stderrFilter) Write(p []byte) (int, error) {
	if room := 4096 - f.head.Len(); room > 0 {
		f.head.Write(p[:min(room, len(p))])
	}
	return f.w.Write(p)
}
