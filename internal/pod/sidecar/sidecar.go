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
	// wait replaces the wait before another attempt where it is not nil.
	wait func(context.Context, time.Duration) error
	// chunks is nil where no parts of logs are stored.
	chunks *chunker
}

// Run does the work of sidecar and returns its exit code. The options are valid.
// The signals are those that ask it to end. Messages go to stderr, and with the
// output to storage.
func Run(ctx context.Context, opts *options.Sidecar, environ func(string) (string, bool), open func(context.Context, string) (storage.Bucket, error), signals <-chan os.Signal, stderr io.Writer, now func() time.Time) int {
	return run(ctx, &Sidecar{opts: opts, open: open, now: now}, environ, signals, stderr)
}

// run makes the rest of a Sidecar, and runs it.
func run(ctx context.Context, s *Sidecar, environ func(string) (string, bool), signals <-chan os.Signal, stderr io.Writer) int {
	log, err := os.CreateTemp("", "sidecar-logs*.txt")
	if err != nil {
		cli.NewLogger(stderr, "sidecar", slog.LevelDebug).Error("The log file cannot be made.", "error", err.Error())
		return cli.ExitBadOptions
	}
	defer os.Remove(log.Name())
	logger := cli.NewLogger(io.MultiWriter(stderr, log), "sidecar", slog.LevelDebug)
	s.log, s.logger = log, logger
	s.spec, err = downward.FromEnv(environ)
	if err != nil {
		logger.Error("The job is not known, so nothing can be stored.", "error", err.Error())
		return 0
	}
	s.guard, err = newGuard(s.opts.CensoringOptions)
	if err != nil {
		logger.Error("The censoring options are invalid.", "error", err.Error())
		return cli.ExitBadOptions
	}
	if s.opts.WriteMemoryProfile {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go s.profile(ctx)
	}
	failures, err := s.run(ctx, signals)
	if err != nil {
		// This is the last line, which Kubernetes keeps as the reason of the exit.
		logger.Error("The output of the run is not stored completely; see upload-manifest.json beside finished.json.", "error", s.guard.Name(text(err)))
		return exitLost
	}
	if failures > 0 && s.opts.EntryError {
		return 1
	}
	return 0
}

// exitLost says that output of the run is not in storage.
const exitLost = 1

// run returns how many entries failed, and an error if not all output was stored.
func (s *Sidecar) run(ctx context.Context, signals <-chan os.Signal) (failures int, err error) {
	if err := s.guard.load(); err != nil {
		// They are read again before anything is stored.
		s.logger.Warn("The secrets cannot be read yet.", "error", err.Error())
	}
	s.chunks = s.startChunks(ctx)
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
	return verdict.failures, s.store(ctx, verdict, false)
}

func (s *Sidecar) onSignal(ctx context.Context, signal os.Signal) {
	if s.opts.IgnoreInterrupts {
		s.logger.Warn("Received a signal and went on waiting for the processes.", "signal", signal.String())
		return
	}
	s.logger.Error("Received a signal; storing what there is.", "signal", signal.String())
	// What could not be stored now is tried again in the end.
	_ = s.store(ctx, verdict{aborted: true}, true)
}

// store puts everything into storage: the items, then the logs, and in the end what
// tells how that went, the manifest and finished.json. Where the pod may be killed
// at any moment, the logs and a first finished.json go before the items, which may be
// large. The error is about what is not stored.
func (s *Sidecar) store(ctx context.Context, v verdict, hurry bool) error {
	s.chunks.stop()
	var lost []error
	problems := map[string]any{}
	censorErr := s.guard.load()
	if censorErr != nil {
		s.logger.Error("The secrets cannot be read. Logs and artifacts are withheld, since they cannot be censored.", "error", censorErr.Error())
		problems["censoring"] = text(censorErr)
		lost = append(lost, fmt.Errorf("logs and artifacts are withheld: %w", censorErr))
	}
	metadata := s.metadata(problems)

	opts := *s.opts.GCSOptions
	if censorErr != nil {
		opts.Items, metadata = nil, nil
	}
	run := upload.New(&opts, s.spec, s.open, s.logger)
	run.Censor = s.guard
	if s.wait != nil {
		run.Wait = s.wait
	}
	storeLogs := func() {
		if err := run.Files(ctx, s.logs(censorErr)); err != nil {
			s.logger.Error("Not all logs could be stored.", "error", s.guard.Name(text(err)))
			lost = append(lost, err)
		}
	}
	if hurry {
		storeLogs()
		_ = s.last(ctx, run, artifacts.FinishedFile, s.finished(v, metadata, problems)) // and again below
	}
	if err := run.Items(ctx); err != nil {
		s.logger.Error("Not all artifacts could be stored.", "error", s.guard.Name(text(err)))
		lost = append(lost, err)
	}
	if !hurry {
		storeLogs()
	}
	manifest := run.Manifest()
	manifest.Timestamp = s.now().Unix()
	if err := errors.Join(lost...); err != nil {
		if censorErr == nil {
			problems["upload"] = s.guard.Name(text(fmt.Errorf("%d of %d files are not stored, see %s: %w",
				manifest.Failed, manifest.Failed+manifest.Stored, artifacts.UploadManifestFile, err)))
		}
	}
	if err := s.last(ctx, run, artifacts.UploadManifestFile, manifest); err != nil {
		lost = append(lost, err)
	}
	if err := s.last(ctx, run, artifacts.FinishedFile, s.finished(v, metadata, problems)); err != nil {
		lost = append(lost, err)
	}
	s.dropChunks(ctx, run, manifest)
	return errors.Join(lost...)
}

// last stores one of the files that tell how it went.
func (s *Sidecar) last(ctx context.Context, run *upload.Run, name string, value any) error {
	content, err := json.Marshal(value)
	if err == nil {
		err = run.Last(ctx, upload.Bytes(name, content))
	}
	if err != nil {
		s.logger.Error("What tells of the run could not be stored.", "file", name, "error", s.guard.Name(text(err)))
	}
	return err
}

// dropChunks deletes the parts of the logs that are stored as a whole.
func (s *Sidecar) dropChunks(ctx context.Context, run *upload.Run, manifest artifacts.UploadManifest) {
	var names []string
	for _, f := range manifest.Files {
		if f.State == artifacts.UploadStored {
			names = append(names, s.chunks.names(f.Name)...)
		}
	}
	if err := run.Delete(ctx, names); err != nil {
		// Readers prefer the log, so the parts do no harm.
		s.logger.Warn("Not all parts of the logs could be deleted.", "error", s.guard.Name(text(err)))
	}
}

func (s *Sidecar) finished(v verdict, metadata, problems map[string]any) artifacts.Finished {
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
	return finished
}

// logName is the name of the log of an entry.
func (s *Sidecar) logName(entry int) string {
	if len(s.opts.Entries) > 1 {
		return artifacts.BuildLogName(s.opts.Entries[entry].ContainerName)
	}
	return artifacts.BuildLogName("")
}

// logs are the logs of the entries and the own one.
func (s *Sidecar) logs(censorErr error) []upload.File {
	var files []upload.File
	for i := range s.opts.Entries {
		entry := &s.opts.Entries[i]
		name := s.logName(i)
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
