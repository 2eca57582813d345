package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/pod/downward"
	"prow/internal/prowjob"
	"prow/internal/report"
	"prow/internal/storage"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "gcsreporter"

const (
	// reportLimit bounds one report.
	reportLimit = 20 * time.Second
	// maxRead bounds what is read of one file in storage.
	maxRead = 10 << 20
)

// Reporter writes files about runs.
type Reporter struct {
	Storage *storage.Opener
	Config  func() *config.Config
	Log     *slog.Logger
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

// ShouldReport takes every run, for a run has a directory once it has a build id.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	return job.Status.BuildID != ""
}

// Report writes the files. What one of them fails at does not keep the others.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	where, ok, err := DestinationOf(r.Config(), job)
	if err != nil {
		return nil, 0, report.UserError(err)
	}
	if !ok {
		prowjob.Logger(r.Log, job).InfoContext(ctx, "no storage is configured for the job")
		return []*prowv1.ProwJob{job}, 0, nil
	}
	bucket, err := r.Storage.Open(ctx, where.Bucket)
	if err != nil {
		return nil, 0, err
	}
	defer bucket.Close() //nolint:errcheck // every Put has told how it went
	errs := []error{started(ctx, bucket, where.Dir, job)}
	if job.Complete() {
		errs = append(errs, finished(ctx, bucket, where.Dir, job))
	}
	errs = append(errs, WriteJSON(ctx, bucket, path.Join(where.Dir, artifacts.ProwJobFile), job, false))
	if err := errors.Join(errs...); err != nil {
		return nil, 0, err
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

// started writes started.json unless the utilities have.
func started(ctx context.Context, bucket storage.Bucket, dir string, job *prowv1.ProwJob) error {
	key := path.Join(dir, artifacts.StartedFile)
	var have artifacts.Started
	exists, err := readJSON(ctx, bucket, key, &have)
	if exists && err != nil {
		return nil // whoever wrote that, it was not this reporter
	}
	if err != nil {
		return err
	}
	spec := downward.NewJobSpec(job.Spec, job.Status.BuildID, job.Name)
	if exists && (have.Metadata[artifacts.UploaderKey] != artifacts.UploaderCrier || have.RepoCommit != "" && have.RepoCommit != spec.Revision()) {
		return nil
	}
	var records []artifacts.CloneRecord
	if _, err := readJSON(ctx, bucket, path.Join(dir, artifacts.CloneRecordsFile), &records); err != nil {
		records = nil // the commit that was asked for will do
	}
	file := spec.Started(records, job.Status.StartTime.Time)
	file.Metadata = artifacts.Metadata{artifacts.UploaderKey: artifacts.UploaderCrier}
	return WriteJSON(ctx, bucket, key, file, !exists)
}

// finished writes finished.json unless there is one.
func finished(ctx context.Context, bucket storage.Bucket, dir string, job *prowv1.ProwJob) error {
	file := artifacts.Finished{
		Timestamp: job.Status.CompletionTime.Unix(), Passed: job.Status.State == prowv1.SuccessState,
		Metadata: artifacts.Metadata{artifacts.UploaderKey: artifacts.UploaderCrier}, Result: string(job.Status.State),
	}
	return WriteJSON(ctx, bucket, path.Join(dir, artifacts.FinishedFile), file, true)
}

// readJSON reads a file; exists is false where there is none.
func readJSON(ctx context.Context, bucket storage.Bucket, key string, into any) (exists bool, err error) {
	content, err := storage.ReadAll(ctx, bucket, key, maxRead)
	if errors.Is(err, storage.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return true, fmt.Errorf("read %s: %w", key, err)
	}
	return true, nil
}

// WriteJSON stores a value as JSON indented with one tab. With ifNotExist an
// object that is there already stays, which is success.
func WriteJSON(ctx context.Context, bucket storage.Bucket, key string, value any, ifNotExist bool) error {
	content, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	err = bucket.Put(ctx, key, bytes.NewReader(content), storage.PutOptions{ContentType: "application/json", IfNotExist: ifNotExist})
	if err != nil && !(ifNotExist && errors.Is(err, storage.ErrExist)) {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
