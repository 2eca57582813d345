package entry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"prow/internal/pod/cli"
	"prow/internal/pod/wrapper"
)

const (
	// drainDelay is how long the output may stay open after the process has ended,
	// by descendants that left its group.
	drainDelay = 2 * time.Second
	// markerPoll is how often the marker of the previous process is looked for.
	markerPoll = 100 * time.Millisecond
)

// Run runs the process of the options and returns the code for entrypoint to
// exit with. Output goes to stdout and to the process log. The signals are those
// that ask entrypoint to end.
func Run(opts *Options, stdout io.Writer, signals <-chan os.Signal) int {
	out := &tee{writers: []io.Writer{stdout}}
	defer out.close()
	logger := cli.NewLogger(out, "entrypoint", slog.LevelInfo)

	marker, err := newMarker(opts.MarkerFile, opts.ContainerName)
	if err != nil {
		logger.Error("Could not prepare the marker file.", "error", err.Error())
		return wrapper.CodeInternalError
	}
	defer marker.remove()
	code, err := execute(opts, out, logger, signals)
	if err != nil {
		logger.Error("The process did not end by itself.", "error", err.Error())
	}
	if err := marker.write(code); err != nil {
		logger.Error("Could not write the marker file.", "error", err.Error())
		return wrapper.CodeInternalError
	}
	if opts.AlwaysZero {
		return 0
	}
	return code
}

// execute returns the code for the marker, and why the process did not end by itself.
func execute(opts *Options, out *tee, logger *slog.Logger, signals <-chan os.Signal) (int, error) {
	if opts.ArtifactDir != "" {
		if err := os.MkdirAll(opts.ArtifactDir, 0o777); err != nil {
			return wrapper.CodeInternalError, fmt.Errorf("could not make the directory for artifacts: %w", err)
		}
	}
	processLog, err := os.Create(opts.ProcessLog)
	if err != nil {
		return wrapper.CodeInternalError, fmt.Errorf("could not make the process log: %w", err)
	}
	out.addFile(processLog)

	if opts.PreviousMarker != "" {
		previous, err := awaitMarker(opts.PreviousMarker, signals)
		if err != nil {
			return wrapper.CodeInternalError, fmt.Errorf("waiting for the previous process: %w", err)
		}
		if previous != 0 {
			logger.Info("The process is skipped because the previous one failed.", "code", previous)
			return wrapper.CodePreviousFailed, nil
		}
	}

	cmd := exec.Command(opts.Args[0], opts.Args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out // the same writer twice shares one pipe, which keeps the order
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = drainDelay
	if err := cmd.Start(); err != nil {
		return wrapper.CodeInternalError, fmt.Errorf("could not start the process: %w", err)
	}
	return supervise(opts, cmd, logger, signals)
}

// supervise waits for the process, its time-out or a signal.
func supervise(opts *Options, cmd *exec.Cmd, logger *slog.Logger, signals <-chan os.Signal) (int, error) {
	group := -cmd.Process.Pid
	done := make(chan int, 1)
	go func() {
		// The state is awaited before the output, so that descendants of the process
		// that hold the output open are ended rather than waited for.
		if ended, _ := waitNoReap(cmd.Process.Pid); ended {
			_ = syscall.Kill(group, syscall.SIGKILL)
		}
		_ = cmd.Wait()
		done <- cmd.ProcessState.ExitCode()
	}()

	timeout := time.NewTimer(cmp.Or(opts.Timeout, DefaultTimeout))
	defer timeout.Stop()
	code, err := 0, error(nil)
	select {
	case code := <-done:
		return code, nil
	case <-timeout.C:
		code = wrapper.CodeInternalError
		err = fmt.Errorf("process timed out: %w", context.DeadlineExceeded)
		logger.Error(fmt.Sprintf("Process did not finish before %s timeout", cmp.Or(opts.Timeout, DefaultTimeout)))
		_ = syscall.Kill(group, syscall.SIGINT)
	case s := <-signals:
		code = wrapper.CodeAborted
		err = fmt.Errorf("process was aborted by a signal: %s", s)
		logger.Error(fmt.Sprintf("Entrypoint received interrupt: %s", s))
		_ = syscall.Kill(group, syscall.SIGINT)
		if number, ok := s.(syscall.Signal); ok {
			_ = syscall.Kill(group, number)
		}
	}

	grace := time.NewTimer(cmp.Or(opts.GracePeriod, DefaultGracePeriod))
	defer grace.Stop()
	own := -1
	select {
	case own = <-done:
	case <-grace.C:
		logger.Error(fmt.Sprintf("Process did not exit before %s grace period", cmp.Or(opts.GracePeriod, DefaultGracePeriod)))
		_ = syscall.Kill(group, syscall.SIGKILL)
		// A process that even this does not end, such as one in a hung file system,
		// is not waited for. For any other the rest of its output arrives.
		drained := time.NewTimer(drainDelay)
		defer drained.Stop()
		select {
		case <-done:
		case <-drained.C:
		}
	}
	if opts.PropagateErrorCode {
		code = own
	}
	return code, err
}

// awaitMarker waits until another entrypoint has written its marker.
func awaitMarker(file string, signals <-chan os.Signal) (int, error) {
	ticker := time.NewTicker(markerPoll)
	defer ticker.Stop()
	for {
		content, err := os.ReadFile(file)
		if err == nil {
			return strconv.Atoi(strings.TrimSpace(string(content)))
		}
		if !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		select {
		case <-ticker.C:
		case s := <-signals:
			return 0, fmt.Errorf("aborted by a signal: %s", s)
		}
	}
}
