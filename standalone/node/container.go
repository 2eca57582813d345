package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prow/standalone/node/executor"
	"prow/standalone/node/logfile"
)

const (
	// Bounds of a kubelet for what a container can say at its end.
	maxTerminationMessage = 4096
	maxFallbackBytes      = 2048
	maxFallbackLines      = 80

	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
	startTimeout = 2 * time.Minute
)

// container is the life of one container of a pod: one run, or several where
// the restart policy asks for them.
type container struct {
	r       *runner
	spec    *corev1.Container
	volumes *volumes
	initial bool // an init container that is no sidecar

	// sidecarEnd ends a sidecar after the containers have.
	sidecarEnd context.CancelFunc
	sidecarRun chan struct{}

	mu     sync.Mutex
	status corev1.ContainerStatus
	live   *logfile.Log
}

func newContainer(r *runner, spec *corev1.Container, waiting string) *container {
	return &container{r: r, spec: spec, status: corev1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, Started: new(bool),
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waiting}},
	}}
}

func (c *container) snapshot() corev1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.status.DeepCopy()
}

// set changes the status and tells the API.
func (c *container) set(change func(*corev1.ContainerStatus)) {
	c.mu.Lock()
	change(&c.status)
	c.mu.Unlock()
	c.r.changed()
}

// runUntilSuccess is an init container.
func (c *container) runUntilSuccess() error {
	policy := c.r.pod.Spec.RestartPolicy
	if policy == corev1.RestartPolicyAlways {
		policy = corev1.RestartPolicyOnFailure
	}
	code, err := c.runs(c.r.end, policy)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("init container %q failed", c.spec.Name)
	}
	return nil
}

// runToTheEnd is a container beside others.
func (c *container) runToTheEnd() {
	// What went wrong is in the status.
	_, _ = c.runs(c.r.end, c.r.pod.Spec.RestartPolicy)
}

// startSidecar starts an init container that runs on beside the others, and
// returns once it has started for the first time.
func (c *container) startSidecar() error {
	ctx, cancel := context.WithCancel(context.Background())
	c.sidecarEnd, c.sidecarRun = cancel, make(chan struct{})
	go func() {
		defer close(c.sidecarRun)
		_, _ = c.runs(ctx, corev1.RestartPolicyAlways)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := c.snapshot(); s.Started != nil && *s.Started {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.r.end.Done():
			return context.Cause(c.r.end)
		}
	}
}

func (c *container) stopSidecar(pod *corev1.Pod) {
	// The containers have ended of themselves: the pod's grace begins now.
	if c.r.end.Err() == nil {
		c.r.mu.Lock()
		c.r.killAt = time.Now().Add(podGrace(pod))
		c.r.mu.Unlock()
	}
	c.sidecarEnd()
	<-c.sidecarRun
}

// runs runs the container again and again as the policy says, until end.
func (c *container) runs(end context.Context, policy corev1.RestartPolicy) (int, error) {
	backoff := firstBackoff
	for restart := 0; ; restart++ {
		code, err := c.once(end, restart)
		if err != nil {
			return code, err
		}
		if end.Err() != nil || policy == corev1.RestartPolicyNever || (policy == corev1.RestartPolicyOnFailure && code == 0) {
			return code, context.Cause(end)
		}
		c.set(func(s *corev1.ContainerStatus) {
			s.LastTerminationState, s.RestartCount = s.State, s.RestartCount+1
			s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
				Reason: reasonCrashLoop, Message: fmt.Sprintf("back-off %s restarting container %q", backoff, c.spec.Name),
			}}
		})
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-end.Done():
			timer.Stop()
			return code, context.Cause(end)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once runs the container once and returns its exit code. The error is set only
// if it was not run because of end.
func (c *container) once(end context.Context, restart int) (int, error) {
	run, err := c.start(end, restart)
	if err != nil {
		return c.failedToStart(end, err)
	}
	started := metav1.Now()
	c.set(func(s *corev1.ContainerStatus) {
		yes := true
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}
		s.Ready, s.Started = true, &yes
		s.ContainerID = "prow://" + run.id
		s.ImageID = c.spec.Image
	})
	exit := run.wait(end, c.r)
	state := &corev1.ContainerStateTerminated{
		ExitCode: int32(exit.Code), Reason: reasonCompleted,
		StartedAt: started, FinishedAt: metav1.Now(), ContainerID: "prow://" + run.id,
		Message: run.message(c.spec, exit),
	}
	switch {
	case exit.OOMKilled:
		state.Reason = reasonOOMKilled
	case exit.Code != 0:
		state.Reason = reasonError
	}
	c.set(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: state}
		// An init container that has done its work counts as ready.
		s.Ready, s.Started = c.initial && exit.Code == 0, new(bool)
	})
	return exit.Code, nil
}

// failedToStart records a container that cannot be started for good.
func (c *container) failedToStart(end context.Context, err error) (int, error) {
	if end.Err() != nil {
		return 0, context.Cause(end)
	}
	start := asStartError(err)
	now := metav1.Now()
	c.set(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: executor.ExitCodeStartFailed, Reason: start.Reason, Message: start.Message, StartedAt: now, FinishedAt: now,
		}}
	})
	c.r.p.recorder.Eventf(c.r.pod, corev1.EventTypeWarning, "Failed", "Error: %s", start.Message)
	c.r.log.Info("Container cannot be started", "container", c.spec.Name, "reason", start.Reason, "error", start.Message)
	return executor.ExitCodeStartFailed, nil
}

func asStartError(err error) *executor.StartError {
	var start *executor.StartError
	if errors.As(err, &start) {
		return start
	}
	return executor.Failed(executor.ReasonCreate, "%v", err)
}

// start starts a run, trying again while the cause may pass.
func (c *container) start(end context.Context, restart int) (*containerRun, error) {
	for {
		run, err := c.tryStart(end, restart)
		if err == nil {
			return run, nil
		}
		start := asStartError(err)
		if !start.Retry {
			return nil, err
		}
		c.set(func(s *corev1.ContainerStatus) {
			s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: start.Reason, Message: start.Message}}
		})
		timer := time.NewTimer(retryDelay)
		select {
		case <-timer.C:
		case <-end.Done():
			timer.Stop()
			return nil, context.Cause(end)
		}
	}
}

// containerRun is one started run.
type containerRun struct {
	executor.Container
	id          string
	log         *logfile.Log
	streams     []io.Closer
	messageFile string
	scratch     string
	c           *container
}

func (c *container) logDir(restart int) string {
	return filepath.Join(c.r.containerDir(c.spec.Name), "log", strconv.Itoa(restart))
}

func (c *container) tryStart(end context.Context, restart int) (*containerRun, error) {
	ctx, cancel := context.WithTimeoutCause(end, startTimeout, fmt.Errorf("not started after %s", startTimeout))
	defer cancel()
	env, err := c.environment(ctx)
	if err != nil {
		return nil, err
	}
	mounts, err := c.volumes.mounts(c.spec, env.lookup)
	if err != nil {
		return nil, err
	}
	dir := c.r.containerDir(c.spec.Name)
	run := &containerRun{c: c, id: fmt.Sprintf("%s-%s-%d", c.r.pod.UID, c.spec.Name, restart), messageFile: filepath.Join(dir, "termination-log"), scratch: filepath.Join(dir, "scratch")}
	if err := os.MkdirAll(run.scratch, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of container: %w", err)
	}
	if err := writeMode(run.messageFile, nil, 0o666); err != nil {
		return nil, fmt.Errorf("make file for termination message: %w", err)
	}
	if path := c.spec.TerminationMessagePath; path != "" {
		mounts = append(mounts, executor.Mount{Source: run.messageFile, Target: path})
	}
	if run.log, err = logfile.Create(c.logDir(restart), c.r.p.opts.LogBytes, time.Now); err != nil {
		return nil, err
	}
	stdout, stderr := run.log.Stream("stdout"), run.log.Stream("stderr")
	run.streams = []io.Closer{stdout, stderr}
	expanded := func(list []string) []string {
		var out []string
		for _, s := range list {
			out = append(out, env.expand(s))
		}
		return out
	}
	run.Container, err = c.r.p.opts.Executor.Start(ctx, executor.Spec{
		ID: run.id, Namespace: c.r.pod.Namespace, Pod: c.r.pod.Name, Name: c.spec.Name,
		Hostname: hostname(c.r.pod),
		Image:    c.spec.Image, PullPolicy: c.spec.ImagePullPolicy,
		Command: expanded(c.spec.Command), Args: expanded(c.spec.Args),
		Env: env.list, WorkingDir: c.spec.WorkingDir, Mounts: mounts, Scratch: run.scratch,
		Security: security(c.r.pod, c.spec),
		Stdout:   stdout, Stderr: stderr,
	})
	if err != nil {
		err = errors.Join(err, run.close())
		return nil, err
	}
	c.mu.Lock()
	c.live = run.log
	c.mu.Unlock()
	return run, nil
}

// hostname is the pod's name as far as a host name can hold it.
func hostname(pod *corev1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}

// security merges the pod's and the container's settings; the container's win.
func security(pod *corev1.Pod, c *corev1.Container) executor.Security {
	var out executor.Security
	if p := pod.Spec.SecurityContext; p != nil {
		out.User, out.Group = p.RunAsUser, p.RunAsGroup
		out.NonRoot = p.RunAsNonRoot != nil && *p.RunAsNonRoot
		out.SupplementalGroups = append(out.SupplementalGroups, p.SupplementalGroups...)
		if p.FSGroup != nil {
			out.SupplementalGroups = append(out.SupplementalGroups, *p.FSGroup)
		}
	}
	if s := c.SecurityContext; s != nil {
		if s.RunAsUser != nil {
			out.User = s.RunAsUser
		}
		if s.RunAsGroup != nil {
			out.Group = s.RunAsGroup
		}
		if s.RunAsNonRoot != nil {
			out.NonRoot = *s.RunAsNonRoot
		}
		out.NoNewPrivileges = s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation
	}
	return out
}

// wait waits for the end of the run, and brings it about when end comes:
// SIGTERM, then SIGKILL after the grace.
func (run *containerRun) wait(end context.Context, r *runner) executor.Exit {
	stopped := make(chan struct{})
	killer := make(chan struct{})
	go func() {
		defer close(killer)
		select {
		case <-stopped:
			return
		case <-end.Done():
		}
		if err := run.Terminate(); err != nil {
			r.log.Warn("Container cannot be told to end", "container", run.c.spec.Name, "error", err)
		}
		r.untilKill(stopped)
		select {
		case <-stopped:
			return
		default:
		}
		if err := run.Kill(); err != nil {
			r.log.Warn("Container cannot be killed", "container", run.c.spec.Name, "error", err)
		}
	}()
	exit := run.Wait()
	close(stopped)
	<-killer
	if err := run.close(); err != nil {
		r.log.Warn("Output of container is incomplete", "container", run.c.spec.Name, "error", err)
	}
	return exit
}

// close ends the log and removes the scratch directory.
func (run *containerRun) close() error {
	var errs []error
	for _, s := range run.streams {
		errs = append(errs, s.Close())
	}
	errs = append(errs, run.log.Close(), removeAll(run.scratch))
	return errors.Join(errs...)
}

// message is what the container has to say at its end.
func (run *containerRun) message(spec *corev1.Container, exit executor.Exit) string {
	if f, err := os.Open(run.messageFile); err == nil {
		defer f.Close()
		raw, _ := io.ReadAll(io.LimitReader(f, maxTerminationMessage))
		if len(raw) > 0 {
			return strings.ToValidUTF8(string(raw), "\uFFFD")
		}
	}
	if exit.Message != "" {
		return exit.Message
	}
	if exit.Code == 0 || spec.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		return ""
	}
	var out bytes.Buffer
	if err := logfile.Read(context.Background(), run.log.Dir(), nil, &out, logfile.ReadOptions{Tail: maxFallbackLines, Limit: -1}); err != nil {
		return fmt.Sprintf("the end of the log cannot be read: %v", err)
	}
	tail := out.Bytes()
	if len(tail) > maxFallbackBytes {
		tail = tail[len(tail)-maxFallbackBytes:]
	}
	return strings.ToValidUTF8(string(tail), "\uFFFD")
}
