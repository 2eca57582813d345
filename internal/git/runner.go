package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killDelay is how long a cancelled git may take to clean up.
const killDelay = 2 * time.Second

// maxOutput bounds what Output keeps of a command, in bytes.
const maxOutput = 64 << 20

// stderrTail bounds what an Error says of a command's messages, in bytes.
const stderrTail = 4 << 10

// Setting is one value of git's configuration.
type Setting struct{ Key, Value string }

// Runner runs git. The zero value is not usable; see NewRunner.
type Runner struct {
	binary   string
	env      []string
	settings []Setting
}

// Environment variables that git and its transports may see of the caller's:
// how to find programs and hosts, not how to behave.
var passedOn = []string{
	"PATH", "HOME", "TMPDIR", "USER", "LOGNAME",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH_COMMAND",
}

// NewRunner returns a runner. Of environ, which is os.Environ() outside of
// tests, only what git needs to reach the network is passed on.
func NewRunner(environ []string, settings ...Setting) *Runner {
	r := &Runner{
		binary: "git",
		env: []string{
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_TERMINAL_PROMPT=0",
			"GIT_ASKPASS=true", // never ask; an empty answer is a clear refusal
			"LC_ALL=C",
		},
		settings: append([]Setting{
			// A detached gc would outlive the command, and become a zombie where git
			// is the only process of a container.
			{"gc.autoDetach", "false"},
			// "ext::" URLs run commands.
			{"protocol.ext.allow", "never"},
			// The hooks of a template or repository are not ours to run.
			{"core.hooksPath", "/dev/null"},
			{"advice.detachedHead", "false"},
			{"init.defaultBranch", "master"},
		}, settings...),
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passedOn, name) {
			r.env = append(r.env, variable)
		}
	}
	return r
}

// With returns a runner with further settings; of two with one key the later
// wins. They reach git through its environment, so secrets may be among them.
func (r *Runner) With(settings ...Setting) *Runner {
	clone := *r
	clone.settings = slices.Concat(r.settings, settings)
	return &clone
}

// WithEnv returns a runner with further environment variables.
func (r *Runner) WithEnv(env ...string) *Runner {
	clone := *r
	clone.env = slices.Concat(r.env, env)
	return &clone
}

// Env is the whole environment of a command.
func (r *Runner) Env() []string {
	env := slices.Clone(r.env)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(r.settings)))
	for i, s := range r.settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s.Key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s.Value))
	}
	return env
}

// Output runs git in a directory and returns what it wrote to its standard
// output, without the last line break. A failure is an *Error.
func (r *Runner) Output(ctx context.Context, dir string, args ...string) (string, error) {
	stdout := tail{limit: maxOutput}
	if err := r.run(ctx, dir, &stdout, nil, args); err != nil {
		return "", err
	}
	if stdout.cut {
		return "", fmt.Errorf("git %s: more than %d bytes of output", Redact(strings.Join(args, " ")), maxOutput)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// Combined runs git in a directory and writes all of its output to w.
func (r *Runner) Combined(ctx context.Context, dir string, w io.Writer, args ...string) error {
	return r.run(ctx, dir, w, w, args)
}

func (r *Runner) run(ctx context.Context, dir string, stdout, stderr io.Writer, args []string) error {
	messages := &tail{limit: stderrTail}
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir = dir
	cmd.Env = r.Env()
	cmd.Stdout = stdout
	switch stderr {
	case nil:
		cmd.Stderr = messages
	default:
		// One writer for both streams makes os/exec use one pipe, which keeps their order.
		both := io.MultiWriter(stderr, messages)
		cmd.Stdout, cmd.Stderr = both, both
	}
	return r.failure(ctx, args, RunGroup(cmd, killDelay), messages)
}

// failure is the *Error of a command that ended with err; nil without one.
func (r *Runner) failure(ctx context.Context, args []string, err error, messages *tail) error {
	if err == nil {
		return nil
	}
	exitCode := -1
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		exitCode = exit.ExitCode()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &Error{Args: args, ExitCode: exitCode, Stderr: Redact(strings.TrimSpace(messages.String())), Err: err}
}

// RunGroup runs a command made by exec.CommandContext as the leader of its own
// process group. When the context ends the whole group is asked to end, and
// after the delay it is killed.
func RunGroup(cmd *exec.Cmd, delay time.Duration) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cancelled := false
	cmd.Cancel = func() error {
		cancelled = true
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = delay
	err := cmd.Run()
	if cancelled {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what the leader left behind
	}
	return err
}

// Error is a git command that failed.
type Error struct {
	// Args are the arguments of git, as given: they may hold secrets.
	Args []string
	// ExitCode is -1 for a command that did not start or was killed.
	ExitCode int
	// Stderr is the end of the messages, redacted.
	Stderr string
	Err    error
}

// Error names the command without its secrets, and says why it failed.
func (e *Error) Error() string {
	text := fmt.Sprintf("git %s: %v", Redact(strings.Join(e.Args, " ")), e.Err)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

// Unwrap returns the error of the process or of the context.
func (e *Error) Unwrap() error { return e.Err }

// tail keeps the last bytes that are written to it.
type tail struct {
	bytes.Buffer
	limit int
	cut   bool
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > t.limit {
		p, t.cut = p[n-t.limit:], true
	}
	if over := t.Len() + len(p) - t.limit; over > 0 {
		t.Next(over)
		t.cut = true
	}
	t.Buffer.Write(p)
	return n, nil
}

// Pipe runs git in a directory with an input and hands its output to read as it
// comes. An error of read ends the command and is returned.
func (r *Runner) Pipe(ctx context.Context, dir string, input io.Reader, read func(io.Reader) error, args ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	output, stdout := io.Pipe()
	readErr := make(chan error, 1)
	go func() {
		err := read(output)
		if err != nil {
			cancel(err)
		}
		// What is left must not block the command.
		_, _ = io.Copy(io.Discard, output)
		readErr <- err
	}()
	messages := &tail{limit: stderrTail}
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, r.Env(), input, stdout, messages
	err := RunGroup(cmd, killDelay)
	_ = stdout.Close()
	if err := <-readErr; err != nil {
		return err
	}
	return r.failure(ctx, args, err, messages)
}
