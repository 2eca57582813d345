package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/cli"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/pod/upload"
	"prow/internal/pod/wrapper"
	"prow/internal/storage"
)

const (
	// maxMetadata bounds a metadata file, in bytes.
	maxMetadata = 10 << 20
	// maxErrorText bounds what finished.json says of one error, in bytes.
	maxErrorText = 4 << 10
	// errorsKey is the key of the metadata under which errors are told.
	errorsKey = "sidecar-errors"
	// profileInterval is how often a heap profile is written where asked for.
	profileInterval = 30 * time.Second
)

// Sidecar stores the output of one pod.
type Sidecar struct {
	opts   *options.Sidecar
	spec   *downward.JobSpec
	open   func(context.Context, string) (storage.Bucket, error)
	logger *slog.Logger
	log    *os.File
	guard  *guard
	now    func() time.Time
}

// Run does the work of sidecar and returns its exit code. The options are valid.
// The signals are those that ask it to end. Messages go to stderr, and with the
// output to storage.
func Run(ctx context.Context, opts *options.Sidecar, environ func(string) (string, bool), open func(context.Context, string) (storage.Bucket, error), signals <-chan os.Signal, stderr io.Writer, now func() time.Time) int {
	log, err := os.CreateTemp("", "sidecar-logs*.txt")
	if err != nil {
		cli.NewLogger(stderr, "sidecar", slog.LevelDebug).Error("The log file cannot be made.", "error", err.Error())
		return cli.ExitBadOptions
	}
	defer os.Remove(log.Name())
	logger := cli.NewLogger(io.MultiWriter(stderr, log), "sidecar", slog.LevelDebug)
	spec, err := downward.FromEnv(environ)
	if err != nil {
		logger.Error("The job is not known, so nothing can be stored.", "error", err.Error())
		return 0
	}
	guard, err := newGuard(opts.CensoringOptions)
	if err != nil {
		logger.Error("The censoring options are invalid.", "error", err.Error())
		return cli.ExitBadOptions
	}
	s := &Sidecar{opts: opts, spec: spec, open: open, logger: logger, log: log, guard: guard, now: now}
	if opts.WriteMemoryProfile {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go s.profile(ctx)
	}
	failures := s.run(ctx, signals)
	if failures > 0 && opts.EntryError {
		return 1
	}
	return 0
}

// run returns how many entries failed.
func (s *Sidecar) run(ctx context.Context, signals <-chan os.Signal) int {
	if err := s.guard.load(); err != nil {
		// They are read again before anything is stored.
		s.logger.Warn("The secrets cannot be read yet.", "error", err.Error())
	}
	early, cancel := context.WithCancel(ctx)
	interrupted := make(chan struct{})
	go func() {
		defer close(interrupted)
		select {
		case signal := <-signals:
			s.onSignal(early, signal)
		case <-early.Done():
		}
	}()
	results := await(ctx, s.opts.Entries, s.logger)
	// An early upload must not end after the final one and undo it.
	cancel()
	<-interrupted
	verdict := judge(results)
	for i, r := range results {
		if r.err != nil {
			s.logger.Error("The result of an entry is not known.", "entry", s.opts.Entries[i].String(i), "error", r.err.Error())
		}
	}
	s.store(ctx, verdict)
	return verdict.failures
}

func (s *Sidecar) onSignal(ctx context.Context, signal os.Signal) {
	if s.opts.IgnoreInterrupts {
		s.logger.Warn("Received a signal and went on waiting for the processes.", "signal", signal.String())
		return
	}
	s.logger.Error("Received a signal; storing what there is.", "signal", signal.String())
	s.store(ctx, verdict{aborted: true})
}

// store puts everything into storage. Errors are logged, and told by
// finished.json as far as it can.
func (s *Sidecar) store(ctx context.Context, v verdict) {
	problems := map[string]any{}
	censorErr := s.guard.load()
	if censorErr != nil {
		s.logger.Error("The secrets cannot be read. Logs and artifacts are withheld, since they cannot be censored.", "error", censorErr.Error())
		problems["censoring"] = text(censorErr)
	}
	metadata := s.metadata(problems)

	opts := *s.opts.GCSOptions
	if censorErr != nil {
		opts.Items, metadata = nil, nil
	}
	run := upload.New(&opts, s.spec, s.open, s.logger)
	run.Censor = s.guard
	if err := run.Items(ctx); err != nil {
		s.logger.Error("Not everything could be stored.", "error", s.guard.Name(err.Error()))
		problems["upload"] = s.guard.Name(text(err))
	}
	files := s.logs(censorErr)
	finished, err := s.finished(v, metadata, problems)
	if err != nil {
		s.logger.Error("The result cannot be written.", "error", err.Error())
		return
	}
	files = append(files, upload.Bytes(artifacts.FinishedFile, finished))
	if err := run.Files(ctx, files); err != nil {
		s.logger.Error("The logs or the result could not be stored.", "error", s.guard.Name(err.Error()))
	}
}

func (s *Sidecar) finished(v verdict, metadata, problems map[string]any) ([]byte, error) {
	finished := artifacts.Finished{
		Timestamp: s.now().Unix(),
		Passed:    v.passed,
		Metadata:  metadata,
		Result:    artifacts.ResultFailure,
		Revision:  s.spec.Revision(),
	}
	switch {
	case v.passed:
		finished.Result = artifacts.ResultSuccess
	case v.aborted:
		finished.Result = artifacts.ResultAborted
	}
	if len(problems) > 0 {
		if finished.Metadata == nil {
			finished.Metadata = artifacts.Metadata{}
		}
		finished.Metadata[errorsKey] = problems
	}
	return json.Marshal(finished)
}

// logs are the logs of the entries and the own one.
func (s *Sidecar) logs(censorErr error) []upload.File {
	var files []upload.File
	for i := range s.opts.Entries {
		entry := &s.opts.Entries[i]
		name := artifacts.BuildLogName("")
		if len(s.opts.Entries) > 1 {
			name = artifacts.BuildLogName(entry.ContainerName)
		}
		if censorErr != nil {
			files = append(files, upload.Bytes(name, []byte("The log is withheld: its secrets could not be removed, since they could not be read.\n")))
			continue
		}
		files = append(files, upload.File{Name: name, Open: func() (io.ReadCloser, error) { return s.buildLog(entry) }})
	}
	// What is logged from here on reaches the standard error only.
	_ = s.log.Close()
	if own, err := os.ReadFile(s.log.Name()); err == nil && censorErr == nil {
		files = append(files, upload.Bytes(artifacts.SidecarLogFile, []byte(s.guard.Name(string(own)))))
	}
	return files
}

func (s *Sidecar) buildLog(entry *wrapper.Options) (io.ReadCloser, error) {
	f, err := upload.OpenFile(entry.ProcessLog)
	if err != nil {
		s.logger.Error("A process log cannot be opened.", "path", entry.ProcessLog, "error", err.Error())
		return io.NopCloser(strings.NewReader(fmt.Sprintf("Could not open the log of the process: %v\n", err))), nil
	}
	censored, err := s.guard.content(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return readCloser{censored, func() error { return errors.Join(censored.Close(), f.Close()) }}, nil
}

type readCloser struct {
	io.Reader
	close func() error
}

func (r readCloser) Close() error { return r.close() }

// metadata joins what the entries left, later ones winning, censored.
func (s *Sidecar) metadata(problems map[string]any) map[string]any {
	joined := map[string]any{}
	for i := range s.opts.Entries {
		entry := &s.opts.Entries[i]
		if entry.MetadataFile == "" {
			continue
		}
		metadata, err := readMetadata(entry.MetadataFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.logger.Error("Metadata cannot be read.", "path", entry.MetadataFile, "error", err.Error())
			problems[s.guard.Name(entry.String(i))] = s.guard.Name(text(err))
			continue
		}
		maps.Copy(joined, metadata)
	}
	censored, _ := s.guard.value(joined).(map[string]any)
	if len(censored) == 0 {
		return nil
	}
	return censored
}

func readMetadata(file string) (map[string]any, error) {
	f, err := upload.OpenFile(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxMetadata {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, maxMetadata)
	}
	var metadata map[string]any
	if err := json.Unmarshal(content, &metadata); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return metadata, nil
}

func text(err error) string {
	s := err.Error()
	return s[:min(len(s), maxErrorText)]
}

// profile writes heap profiles into a temporary directory.
func (s *Sidecar) profile(ctx context.Context) {
	dir, err := os.MkdirTemp("", "heap-profiles-*")
	if err != nil {
		s.logger.Warn("No directory for heap profiles.", "error", err.Error())
		return
	}
	ticker := time.NewTicker(profileInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("heap-%d.pprof", n)))
		if err != nil {
			s.logger.Warn("A heap profile cannot be made.", "error", err.Error())
			continue
		}
		if err := errors.Join(pprof.WriteHeapProfile(f), f.Close()); err != nil {
			s.logger.Warn("A heap profile cannot be written.", "error", err.Error())
		}
	}
}
