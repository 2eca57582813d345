//go:build linux

package hostexec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"prow/standalone/node/executor"
)

// outputDelay is how long output is still read after a container's processes
// are gone. Only a descriptor handed to another container keeps it open.
const outputDelay = 2 * time.Second

// hiddenDirs appear empty in every container: other people's files, keys, and
// the sockets by which the machine can be governed.
var hiddenDirs = []string{"/home", "/root", "/run"}

// hiddenFiles hold secrets of the machine that root could read.
var hiddenFiles = []string{"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"}

// Options configure an Executor.
type Options struct {
	// Env are NAME=value entries given to every container that does not set
	// the name itself.
	Env []string
	// Hide are directories that must look empty to jobs: the program's state.
	Hide []string
	// Expose are files and directories visible read-only although they are
	// below a hidden directory, for example a tool chain in somebody's home.
	Expose []string
	// ImageBinaries name a program of this machine that plays the entry point
	// of an image. The key is an image reference without tag and digest.
	ImageBinaries map[string]string
}

// Executor runs containers on the machine's own file system.
type Executor struct {
	opts    Options
	home    string
	spawner *spawner
	// userNamespace tells whether containers get one; without root there is no
	// other way.
	userNamespace bool
}

// New checks that this machine lets the program make containers; the error says
// what is missing. dir is a private directory for the check. Close ends the
// executor.
func New(ctx context.Context, dir string, opts Options) (*Executor, error) {
	u, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("find home directory: %w", err)
	}
	e := &Executor{opts: opts, home: u.HomeDir, spawner: newSpawner(), userNamespace: true}
	err = e.probe(ctx, dir)
	if err != nil && os.Geteuid() == 0 {
		// Root can do without, where the machine allows no user namespaces.
		e.userNamespace = false
		if e.probe(ctx, dir) == nil {
			return e, nil
		}
	}
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("this machine does not let user %s run jobs in namespaces: %w; needed are Linux 5.12 or newer and, unless root, user namespaces (see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)", u.Username, err)
	}
	return e, nil
}

// Close ends the executor and every container it still runs.
func (e *Executor) Close() { e.spawner.close() }

// probe builds a container's file system once.
func (e *Executor) probe(ctx context.Context, dir string) error {
	scratch, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return fmt.Errorf("make directory for probe: %w", err)
	}
	defer os.RemoveAll(scratch)
	var stderr bytes.Buffer
	c, err := e.start(ctx, executor.Spec{Hostname: "probe", Scratch: scratch, WorkingDir: "/", Stdout: io.Discard, Stderr: &stderr}, true)
	if err != nil {
		if stderr.Len() > 0 {
			err = fmt.Errorf("%w (%s)", err, strings.TrimSpace(stderr.String()))
		}
		return err
	}
	c.Wait()
	return nil
}

// Admit implements executor.Executor.
func (e *Executor) Admit(pod *corev1.Pod) error {
	if pod.Spec.OS != nil && pod.Spec.OS.Name != corev1.Linux {
		return fmt.Errorf("the host executor runs no %s containers", pod.Spec.OS.Name)
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged {
			return fmt.Errorf("container %q is privileged, which the host executor does not allow", c.Name)
		}
	}
	return nil
}

// Cleanup implements executor.Executor: the kernel has done it already.
func (e *Executor) Cleanup(context.Context) error { return nil }

// Plays tells whether a program of this machine stands for the image.
func (e *Executor) Plays(image string) bool {
	_, ok := e.opts.ImageBinaries[repository(image)]
	return ok
}

// repository is an image reference without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// Start implements executor.Executor.
func (e *Executor) Start(ctx context.Context, spec executor.Spec) (executor.Container, error) {
	return e.start(ctx, spec, false)
}

func (e *Executor) start(ctx context.Context, spec executor.Spec, probe bool) (*container, error) {
	init, err := e.initSpec(spec, probe)
	if err != nil {
		return nil, err
	}
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connect to container: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", InitCommand)
	cmd.Args[0] = "prow-container"
	cmd.Env = []string{"GOMAXPROCS=2", "GOGC=20"}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = spec.Stdout, spec.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.WaitDelay = outputDelay
	cmd.SysProcAttr = e.sysProcAttr(init)

	c := &container{cmd: cmd, conn: conn, oomKills: oomKills(), done: make(chan struct{})}
	if err := e.spawner.start(cmd); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start container: %w", err)
	}
	go c.wait()
	if err := c.handshake(ctx, init); err != nil {
		return nil, errors.Join(err, c.abandon())
	}
	return c, nil
}

func (e *Executor) initSpec(spec executor.Spec, probe bool) (initSpec, error) {
	scratch, err := e.scratchMounts(spec)
	if err != nil {
		return initSpec{}, err
	}
	argv, image, err := e.argv(spec)
	if err != nil && !probe {
		return initSpec{}, err
	}
	init := initSpec{
		Hostname:        spec.Hostname,
		NewRoot:         filepath.Join(spec.Scratch, "root"),
		Argv:            argv,
		Env:             e.env(spec),
		WorkingDir:      spec.WorkingDir,
		Mounts:          slices.Concat(scratch, e.exposed(), image, spec.Mounts),
		Hide:            e.hidden(),
		HideFiles:       hiddenFiles,
		NoNewPrivileges: spec.Security.NoNewPrivileges,
		Probe:           probe,
	}
	if init.WorkingDir == "" {
		init.WorkingDir = "/"
	}
	return init, e.identity(spec.Security, &init)
}

// argv is the command line, and a mount that brings the program if it stands
// for an image.
func (e *Executor) argv(spec executor.Spec) ([]string, []executor.Mount, error) {
	if len(spec.Command) > 0 {
		return slices.Concat(spec.Command, spec.Args), nil, nil
	}
	binary, ok := e.opts.ImageBinaries[repository(spec.Image)]
	if !ok {
		return nil, nil, executor.Failed(executor.ReasonCreate, "container has no command, and the host executor runs no images: it cannot know the entry point of image %q; set a command", spec.Image)
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, nil, executor.Failed(executor.ReasonCreate, "program for image %q: %v", spec.Image, err)
	}
	inside := "/image/" + filepath.Base(binary)
	return slices.Concat([]string{inside}, spec.Args), []executor.Mount{{Source: binary, Target: inside, ReadOnly: true}}, nil
}

// env adds what the container's own environment lacks.
func (e *Executor) env(spec executor.Spec) []string {
	defaults := slices.Concat([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOSTNAME=" + spec.Hostname,
		"HOME=" + e.home,
	}, e.opts.Env)
	return slices.Concat(defaults, spec.Env) // the last of equal names counts
}

// scratchMounts makes the private directories of a container, except where a
// volume takes the place.
func (e *Executor) scratchMounts(spec executor.Spec) ([]executor.Mount, error) {
	if err := os.MkdirAll(filepath.Join(spec.Scratch, "root"), 0o755); err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	var out []executor.Mount
	for name, target := range map[string]string{"tmp": "/tmp", "vartmp": "/var/tmp", "home": e.home} {
		if slices.ContainsFunc(spec.Mounts, func(m executor.Mount) bool { return filepath.Clean(m.Target) == target }) || target == "/" {
			continue
		}
		dir := filepath.Join(spec.Scratch, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make scratch directory: %w", err)
		}
		// Sticky and open to all, whatever the umask: the job may be any user.
		if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
			return nil, fmt.Errorf("make scratch directory: %w", err)
		}
		out = append(out, executor.Mount{Source: dir, Target: target})
	}
	return out, nil
}

func (e *Executor) exposed() []executor.Mount {
	var out []executor.Mount
	paths := slices.Clone(e.opts.Expose)
	// The resolver's file is often a link into /run, which is hidden.
	if p, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && !strings.HasPrefix(p, "/etc/") {
		paths = append(paths, p)
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			out = append(out, executor.Mount{Source: p, Target: p, ReadOnly: true})
		}
	}
	return out
}

func (e *Executor) hidden() []string {
	out := slices.Clone(hiddenDirs)
	if e.home != "/" {
		out = append(out, e.home)
	}
	out = append(out, e.opts.Hide...)
	slices.Sort(out)
	return slices.Compact(out)
}

// identity decides as whom the job runs.
func (e *Executor) identity(sec executor.Security, init *initSpec) error {
	id := func(v *int64) (uint32, error) {
		if v == nil {
			return 0, nil
		}
		if *v < 0 || *v > 1<<32-2 {
			return 0, executor.Failed(executor.ReasonCreate, "user or group id %d is out of range", *v)
		}
		return uint32(*v), nil
	}
	var err error
	if init.UID, err = id(sec.User); err != nil {
		return err
	}
	if init.GID, err = id(sec.Group); err != nil {
		return err
	}
	if sec.NonRoot && init.UID == 0 {
		return executor.Failed(executor.ReasonConfig, "container has runAsNonRoot, but it would run as root: set runAsUser")
	}
	init.NoSetGroups = !setgroupsAllowed()
	init.SingleUser = os.Geteuid() != 0
	if init.SingleUser {
		init.NoSetGroups = true
		// The one user of the namespace takes the wanted number; there is none
		// for supplementary groups.
		return nil
	}
	for _, g := range sec.SupplementalGroups {
		gid, err := id(&g)
		if err != nil {
			return err
		}
		init.Groups = append(init.Groups, gid)
	}
	return nil
}

// sysProcAttr describes the namespaces.
func (e *Executor) sysProcAttr(init initSpec) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if !e.userNamespace {
		return attr
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	if init.SingleUser {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: int(init.UID), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: int(init.GID), HostID: os.Getegid(), Size: 1}}
		// Only root keeps its capabilities when a program is started, and the
		// one user need not be called root.
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_KILL}
		return attr
	}
	attr.UidMappings, attr.GidMappings = sameIDs("/proc/self/uid_map"), sameIDs("/proc/self/gid_map")
	attr.GidMappingsEnableSetgroups = setgroupsAllowed()
	attr.Credential = &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: !attr.GidMappingsEnableSetgroups}
	return attr
}

// setgroupsAllowed is false for root of a namespace that somebody without root
// has made.
func setgroupsAllowed() bool {
	raw, err := os.ReadFile("/proc/self/setgroups")
	return err != nil || strings.TrimSpace(string(raw)) != "deny"
}

// sameIDs maps every id that exists here to itself.
func sameIDs(path string) []syscall.SysProcIDMap {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []syscall.SysProcIDMap
	for line := range strings.Lines(string(raw)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err == nil {
			out = append(out, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
		}
	}
	return out
}

// container is a running init.
type container struct {
	cmd      *exec.Cmd
	conn     *os.File
	oomKills uint64
	killed   atomic.Bool

	exited *initExited // set by follow
	done   chan struct{}

	followed chan struct{}
}

// handshake tells the init what to do and waits until the job runs.
func (c *container) handshake(ctx context.Context, spec initSpec) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Kill() })
	defer stop()
	if err := json.NewEncoder(c.conn).Encode(spec); err != nil {
		return fmt.Errorf("set up container: %w", err)
	}
	dec := json.NewDecoder(c.conn)
	var ev initEvent
	if err := dec.Decode(&ev); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("set up container: %w", context.Cause(ctx))
		}
		return fmt.Errorf("set up container: the container's init ended: %w", err)
	}
	if ev.Failed != nil {
		return executor.Failed(ev.Failed.Reason, "%s", ev.Failed.Message)
	}
	c.followed = make(chan struct{})
	go func() {
		defer close(c.followed)
		var ev initEvent
		if dec.Decode(&ev) == nil {
			c.exited = ev.Exited
		}
	}()
	return nil
}

// abandon ends a container that did not get to its job.
func (c *container) abandon() error {
	err := c.Kill()
	<-c.done
	return errors.Join(err, c.conn.Close())
}

// wait reaps the init; the kernel lets it go only when every process of its
// namespace is gone.
func (c *container) wait() {
	defer close(c.done)
	_ = c.cmd.Wait() // the connection tells how the job ended
}

// Wait implements executor.Container.
func (c *container) Wait() executor.Exit {
	<-c.done
	<-c.followed
	c.conn.Close()
	exit := executor.Exit{Code: 128 + int(unix.SIGKILL)}
	switch {
	case c.exited != nil:
		exit.Code = c.exited.Code
	case !c.killed.Load():
		exit.Message = "the container was killed from outside"
	}
	// The kernel does not tell a parent why a process was killed; a count of
	// its kills that rose meanwhile is the best that can be known.
	byKill := c.exited == nil || c.exited.Signal == int(unix.SIGKILL)
	if byKill && !c.killed.Load() && oomKills() > c.oomKills {
		exit.OOMKilled = true
		exit.Message = ""
	}
	return exit
}

// Terminate implements executor.Container. As in a real container the signal
// goes to the main process; what it leaves behind dies with it.
func (c *container) Terminate() error {
	err := json.NewEncoder(c.conn).Encode(initCommand{Signal: int(unix.SIGTERM)})
	if errors.Is(err, unix.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil // it has ended
	}
	return err
}

// Kill implements executor.Container: with its process 1 the whole namespace dies.
func (c *container) Kill() error {
	c.killed.Store(true)
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill container: %w", err)
	}
	return nil
}

// oomKills is the machine's count of processes killed for want of memory.
func oomKills() uint64 {
	raw, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
			return n
		}
	}
	return 0
}

// socketPair returns a connection of which one end is for a child.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "container"), os.NewFile(uintptr(fds[1]), "init"), nil
}
