// Package initupload is the logic of initupload: it tells storage that a run
// has started and how its clones went, and stops the pod if one failed.
package initupload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/pod/upload"
	"prow/internal/storage"
)

// maxRecords bounds the file with the clone records, in bytes.
const maxRecords = 256 << 20

// Run stores the start of a run. An error must keep the test from starting: the
// code is not there, or nobody would see the result.
func Run(ctx context.Context, opts *options.InitUpload, spec *downward.JobSpec, open func(context.Context, string) (storage.Bucket, error), logger *slog.Logger, now time.Time) error {
	files, failures, err := files(opts.Log, spec, now)
	if err != nil {
		return err
	}
	run := upload.New(opts.Upload, spec, open, logger)
	if err := errors.Join(run.Items(ctx), run.Files(ctx, files)); err != nil {
		return fmt.Errorf("storing the start of the run: %w", err)
	}
	if len(failures) > 0 {
		return fmt.Errorf("cloning the code of the job failed: %s", strings.Join(failures, "; "))
	}
	return nil
}

// Tell leaves the reason of an error where Kubernetes reads the last words of a
// container, for the description of the job. The file is made by the kubelet;
// elsewhere there is none.
func Tell(file string, reason error) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(reason.Error(), "\n")
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

// files are what to store, and why clones failed.
func files(log string, spec *downward.JobSpec, now time.Time) (files []upload.File, failures []string, err error) {
	var records []artifacts.CloneRecord
	if log != "" {
		raw, err := readRecords(log)
		if err == nil {
			err = json.Unmarshal(raw, &records)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading the clone records: %w", err)
		}
		var text strings.Builder
		for _, record := range records {
			if record.Failed {
				failures = append(failures, failure(record))
			}
			text.WriteString(Text(record))
		}
		files = append(files,
			upload.Bytes(artifacts.CloneLogFile, []byte(text.String())),
			upload.Bytes(artifacts.CloneRecordsFile, raw))
		if len(failures) > 0 {
			finished, err := json.Marshal(artifacts.Finished{Timestamp: now.Unix(), Result: artifacts.ResultFailure})
			if err != nil {
				return nil, nil, err
			}
			files = append(files,
				upload.Bytes(artifacts.BuildLogFile, []byte(text.String())),
				upload.Bytes(artifacts.FinishedFile, finished))
		}
	}
	started, err := json.Marshal(spec.Started(records, now))
	if err != nil {
		return nil, nil, err
	}
	return append(files, upload.Bytes(artifacts.StartedFile, started)), failures, nil
}

func readRecords(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecords))
}

// failure tells in a sentence why a clone failed.
func failure(record artifacts.CloneRecord) string {
	what := record.Refs.OrgRepoString()
	if record.Refs.Repo == "" {
		what = "environment setup"
	}
	if record.Message == "" {
		return what + ": see the clone log"
	}
	return what + ": " + reason(record)
}

// reason is the message of a record; what has to be told apart at a glance has
// words of its own.
func reason(record artifacts.CloneRecord) string {
	switch record.Reason {
	case artifacts.CloneConflict:
		return "merge conflict: " + record.Message
	case artifacts.CloneUnavailable:
		return "infrastructure: " + record.Message
	}
	return record.Message
}

// Text tells people how a clone went.
func Text(record artifacts.CloneRecord) string {
	var b strings.Builder
	if record.Failed {
		b.WriteString("# FAILED!\n")
	}
	if record.Refs.Repo == "" {
		b.WriteString("# Environment setup\n")
	} else {
		fmt.Fprintf(&b, "# Cloning %s/%s at %s", record.Refs.Org, record.Refs.Repo, record.Refs.BaseRef)
		if record.Refs.BaseSHA != "" {
			fmt.Fprintf(&b, "(%s)", record.Refs.BaseSHA)
		}
		b.WriteString("\n")
	}
	if len(record.Refs.Pulls) > 0 {
		b.WriteString("# Checking out pulls:\n")
		for _, pull := range record.Refs.Pulls {
			fmt.Fprintf(&b, "#\t%d", pull.Number)
			if pull.SHA != "" {
				fmt.Fprintf(&b, " (%s)", pull.SHA)
			}
			b.WriteString("\n")
		}
	}
	if record.Failed && record.Message != "" {
		fmt.Fprintf(&b, "# Reason: %s\n", reason(record))
	}
	for _, command := range record.Commands {
		b.WriteString("$ " + command.Command)
		if command.Duration != 0 {
			fmt.Fprintf(&b, " (runtime: %s)", command.Duration)
		}
		b.WriteString("\n" + command.Output)
		if command.Output != "" && !strings.HasSuffix(command.Output, "\n") {
			b.WriteString("\n")
		}
		if command.Error != "" {
			fmt.Fprintf(&b, "# Error: %s\n", command.Error)
		}
	}
	if record.FinalSHA != "" {
		fmt.Fprintf(&b, "# Final SHA: %s\n", record.FinalSHA)
	}
	if record.Duration != 0 {
		fmt.Fprintf(&b, "# Total runtime: %s\n", record.Duration)
	}
	b.WriteString("\n")
	return b.String()
}
