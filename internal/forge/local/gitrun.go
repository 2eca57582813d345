package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// gitTimeout bounds one local git command; network transfers have their own limit.
	gitTimeout = 2 * time.Minute
	// gitMaxOutput bounds what one command may hand back in memory.
	gitMaxOutput = 64 << 20
	gitErrTail   = 4 << 10
)

// errGitOutput is returned when a command produced more than its limit.
var errGitOutput = errors.New("git output exceeds the limit")

// gitConfig is the only configuration git reads here. safe.directory must live
// in a file because git drops configuration given through the environment when
// it starts upload-pack for a local source that belongs to another user.
const gitConfig = `[user]
	name = Forge
	email = noreply@forge.invalid
[core]
	hooksPath = /dev/null
	attributesFile = /dev/null
	excludesFile = /dev/null
	quotePath = false
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
	fsckObjects = true
	advertiseAtomic = true
	advertisePushOptions = false
	maxInputSize = 2147483648
	hideRefs = refs/pull
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[protocol]
	version = 2
[safe]
	directory = *
[merge]
	renames = true
[diff]
	renames = true
`

// gitRunner runs the system git with nothing of the caller's environment.
type gitRunner struct {
	bin string
	env []string
}

func newGitRunner(dir string) (*gitRunner, error) {
	bin, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("looking for git: %w", err)
	}
	config := filepath.Join(dir, "gitconfig")
	if err := os.WriteFile(config, []byte(gitConfig), 0o600); err != nil {
		return nil, fmt.Errorf("writing git configuration: %w", err)
	}
	return &gitRunner{bin: bin, env: []string{
		"PATH=" + filepath.Dir(bin) + ":/usr/local/bin:/usr/bin:/bin",
		"HOME=" + dir,
		"LC_ALL=C",
		"TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + config,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=file",
		"GIT_NO_REPLACE_OBJECTS=1",
	}}, nil
}

// gitError is a git command that ended with a failure.
type gitError struct {
	Args   []string
	Code   int // exit code, -1 when killed
	Stderr string
	Err    error
}

func (e *gitError) Error() string {
	msg := strings.TrimSpace(e.Stderr)
	if msg == "" {
		msg = e.Err.Error()
	}
	return fmt.Sprintf("git %s: %s", e.Args[0], msg)
}

func (e *gitError) Unwrap() error { return e.Err }

// exitCode returns the exit code behind err, or -1.
func exitCode(err error) int {
	var ge *gitError
	if errors.As(err, &ge) {
		return ge.Code
	}
	return -1
}

// command prepares git in its own process group, so that a cancelled context
// ends helpers (index-pack, pack-objects) too.
func (g *gitRunner) command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.bin, args...)
	cmd.Dir = dir
	cmd.Env = append(append([]string{}, g.env...), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// input is what a command may get besides its arguments.
type input struct {
	env   []string
	stdin io.Reader
	max   int // bytes of output, 0 means gitMaxOutput
}

// run executes git in dir and returns its standard output.
func (g *gitRunner) run(ctx context.Context, dir string, in input, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := g.command(ctx, dir, in.env, args...)
	limit := in.max
	if limit == 0 {
		limit = gitMaxOutput
	}
	stdout := &limitedBuffer{limit: limit, stop: cancel}
	stderr := &tailBuffer{limit: gitErrTail}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in.stdin, stdout, stderr
	err := cmd.Run()
	switch {
	case stdout.over:
		return nil, fmt.Errorf("git %s: %w", args[0], errGitOutput)
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", args[0], ctx.Err())
	case err != nil:
		code := -1
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			code = ee.ExitCode()
		}
		return stdout.Bytes(), &gitError{Args: args, Code: code, Stderr: stderr.String(), Err: err}
	}
	return stdout.Bytes(), nil
}

// limitedBuffer keeps up to limit bytes and stops the command beyond that.
type limitedBuffer struct {
	bytes.Buffer
	limit int
	over  bool
	stop  func()
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		b.over = true
		b.stop()
		return 0, errGitOutput
	}
	return b.Buffer.Write(p)
}

// tailBuffer keeps the last limit bytes.
type tailBuffer struct {
	buf   []byte
	limit int
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	if len(b.buf) > b.limit {
		b.buf = append(b.buf[:0], b.buf[len(b.buf)-b.limit:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string { return string(b.buf) }
