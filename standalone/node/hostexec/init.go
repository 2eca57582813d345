//go:build linux

package hostexec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"prow/standalone/node/executor"
)

// keptCapabilities are those a container's root usually has.
var keptCapabilities = map[int]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FSETID: true, unix.CAP_FOWNER: true,
	unix.CAP_MKNOD: true, unix.CAP_NET_RAW: true, unix.CAP_SETGID: true, unix.CAP_SETUID: true,
	unix.CAP_SETFCAP: true, unix.CAP_SETPCAP: true, unix.CAP_NET_BIND_SERVICE: true,
	unix.CAP_SYS_CHROOT: true, unix.CAP_KILL: true, unix.CAP_AUDIT_WRITE: true,
}

// RunInit is the life of a container's process 1. It is called by the hidden
// subcommand InitCommand in a process that Executor started, and by nobody
// else. When it returns, the process must end.
func RunInit() error {
	// Capabilities, ambient ones and no_new_privs belong to a thread; the job
	// must be started by the thread that has given them up.
	runtime.LockOSThread()
	conn := os.NewFile(connFD, "connection")
	unix.CloseOnExec(connFD)
	var spec initSpec
	dec := json.NewDecoder(conn)
	if err := dec.Decode(&spec); err != nil {
		return fmt.Errorf("container init: this command is internal: %w", err)
	}
	// A name for people who look at the machine's processes.
	_ = os.WriteFile("/proc/self/comm", []byte("prow-container"), 0)
	tell := func(ev initEvent) error { return json.NewEncoder(conn).Encode(ev) }
	cmd, err := prepare(spec)
	if err == nil && spec.Probe {
		return tell(initEvent{Started: true})
	}
	if err == nil {
		err = cmd.Start()
		if err != nil {
			err = executor.Failed(executor.ReasonStart, "cannot run %q: %v", spec.Argv[0], unwrapPath(err))
		}
	}
	if err != nil {
		failed := &initFailed{Reason: executor.ReasonCreate, Message: err.Error()}
		var start *executor.StartError
		if errors.As(err, &start) {
			failed.Reason, failed.Message = start.Reason, start.Message
		}
		return tell(initEvent{Failed: failed})
	}
	if err := tell(initEvent{Started: true}); err != nil {
		return err
	}
	go obey(dec, cmd.Process)
	status, err := reap(cmd.Process.Pid)
	if err != nil {
		return err
	}
	return tell(initEvent{Exited: exited(status)})
}

// prepare builds the file system and describes the job's process.
func prepare(spec initSpec) (*exec.Cmd, error) {
	// Should memory run out, jobs go before the control plane. Raising the
	// score is always allowed where the file is; failure changes no result.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	// The job must not look into the init: it has more power here.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("protect init: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return nil, fmt.Errorf("set host name: %w", err)
	}
	if err := buildRoot(spec); err != nil {
		return nil, err
	}
	if err := enterWorkingDir(spec); err != nil {
		return nil, err
	}
	if spec.Probe {
		return nil, nil
	}
	path, err := lookPath(spec.Argv[0], spec.Env)
	if err != nil {
		return nil, err
	}
	if err := dropPrivileges(spec); err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path, Args: spec.Argv, Env: spec.Env,
		Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
			Credential: &syscall.Credential{
				Uid: spec.UID, Gid: spec.GID, Groups: spec.Groups, NoSetGroups: spec.NoSetGroups,
			},
		},
	}, nil
}

func dropPrivileges(spec initSpec) error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if keptCapabilities[c] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	// The bounding set does not limit what is inherited, and a job that is
	// root would get all of that.
	if err := clearInheritable(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	if spec.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("forbid new privileges: %w", err)
		}
	}
	return nil
}

func clearInheritable() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return fmt.Errorf("drop inheritable capabilities: %w", err)
	}
	return nil
}

// enterWorkingDir makes the directory if it can, as container runtimes do.
func enterWorkingDir(spec initSpec) error {
	dir := spec.WorkingDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		made, err := mkdirs(dir)
		if errors.Is(err, unix.EROFS) {
			return executor.Failed(executor.ReasonCreate, "working directory %q does not exist, and it is in no writable volume where it could be made", dir)
		}
		if err != nil {
			return executor.Failed(executor.ReasonCreate, "make working directory: %v", err)
		}
		for _, d := range made {
			if err := os.Chown(d, int(spec.UID), int(spec.GID)); err != nil {
				return executor.Failed(executor.ReasonCreate, "make working directory: %v", err)
			}
		}
	}
	if err := os.Chdir(dir); err != nil {
		return executor.Failed(executor.ReasonCreate, "enter working directory: %v", err)
	}
	return nil
}

// mkdirs is os.MkdirAll that tells which directories it has made.
func mkdirs(path string) (made []string, err error) {
	var missing []string
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || p == "/" {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, p)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		// Another container of the pod may make the same directory now.
		if err := os.Mkdir(missing[i], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
		made = append(made, missing[i])
	}
	return made, nil
}

// lookPath finds the command as a shell would, with the container's PATH in the
// container's file system, and says what is wrong in the words of runtimes.
func lookPath(file string, env []string) (string, error) {
	failed := func(cause error) error {
		return executor.Failed(executor.ReasonStart, "exec: %q: %v", file, cause)
	}
	if strings.Contains(file, "/") {
		if err := executable(file); err != nil {
			return "", failed(fmt.Errorf("stat %s: %w", file, err))
		}
		return file, nil
	}
	var path string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v // the last one counts
		}
	}
	var found error
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		p := filepath.Join(dir, file)
		err := executable(p)
		if err == nil {
			if !filepath.IsAbs(p) {
				p = "./" + p
			}
			return p, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			found = err
		}
	}
	if found != nil {
		return "", failed(found)
	}
	return "", failed(errors.New("executable file not found in $PATH"))
}

func executable(path string) error {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return unwrapPath(err)
	case st.IsDir():
		return unix.EISDIR
	case st.Mode()&0o111 == 0:
		return unix.EACCES
	}
	return nil
}

// unwrapPath leaves the cause: the path is in the message already.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// obey passes signals on until the program closes the connection or is gone,
// which ends the container.
func obey(dec *json.Decoder, job *os.Process) {
	for {
		var c initCommand
		if err := dec.Decode(&c); err != nil {
			// Killing the job makes the init end, and that kills the rest.
			_ = job.Kill()
			return
		}
		_ = job.Signal(syscall.Signal(c.Signal)) // it may have ended already
	}
}

// reap collects every child, as process 1 must, until the job has ended.
func reap(job int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait for processes: %w", err)
		}
		if pid == job && (status.Exited() || status.Signaled()) {
			return status, nil
		}
	}
}

func exited(status unix.WaitStatus) *initExited {
	if status.Signaled() {
		return &initExited{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}
	}
	return &initExited{Code: status.ExitStatus()}
}
