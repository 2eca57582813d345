package resultstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"path"
	"strings"

	resultstore "google.golang.org/genproto/googleapis/devtools/resultstore/v2"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
	reportstorage "prow/internal/report/storage"
	"prow/internal/storage"
)

const (
	// maxFiles bounds the files of one invocation.
	maxFiles = 10000
	// maxRead bounds started.json and finished.json.
	maxRead = 1 << 20
	// invocationLog is the name under which ResultStore shows the log.
	invocationLog = "build.log"
)

// read gathers the files of a run. What cannot be read is left out: the verdict is
// worth more than its decoration.
func read(ctx context.Context, bucket storage.Bucket, where reportstorage.Destination, job *prowv1.ProwJob, dirOnly bool, log *slog.Logger) (*run, error) {
	r := &run{job: job}
	readFile := func(name string, into any) bool {
		content, err := storage.ReadAll(ctx, bucket, path.Join(where.Dir, name), maxRead)
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil && !errors.Is(err, storage.ErrNotExist) {
			log.WarnContext(ctx, "a file of the run cannot be read", "name", name, "error", err)
		}
		return err == nil
	}
	var started artifacts.Started
	if readFile(artifacts.StartedFile, &started) {
		r.started = &started
	}
	var finished artifacts.Finished
	if readFile(artifacts.FinishedFile, &finished) {
		r.finished = &finished
	}
	files := &fileList{root: strings.TrimSuffix(gsURL(where.Bucket), "/") + "/" + where.Dir + "/", prefix: where.Dir + "/"}
	if err := files.list(ctx, bucket, where.Dir+"/", "/"); err != nil {
		return nil, err
	}
	files.addMissing(artifacts.ProwJobFile, job)
	files.addMissing(artifacts.FinishedFile, artifacts.Finished{
		Timestamp: job.Status.CompletionTime.Unix(), Passed: job.Status.State == prowv1.SuccessState,
		Metadata: artifacts.Metadata{artifacts.UploaderKey: artifacts.UploaderCrier}, Result: string(job.Status.State),
	})
	if dirOnly {
		files.add(artifacts.ArtifactsDir+"/", -1)
	} else if err := files.list(ctx, bucket, path.Join(where.Dir, artifacts.ArtifactsDir)+"/", ""); err != nil {
		return nil, err
	}
	r.files = files.out
	return r, nil
}

// gsURL is a bucket as a URL: one without a scheme is in GCS.
func gsURL(bucket string) string {
	if strings.Contains(bucket, "://") {
		return bucket
	}
	return "gs://" + bucket
}

// fileList collects files by their path below the directory of the run.
type fileList struct {
	// root and prefix are the directory, as a URL and as a key.
	root, prefix string
	out          []*resultstore.File
	seen         map[string]bool
}

func (l *fileList) list(ctx context.Context, bucket storage.Bucket, prefix, delimiter string) error {
	opts := storage.ListOptions{Prefix: prefix, Delimiter: delimiter}
	for len(l.out) < maxFiles {
		page, err := bucket.List(ctx, opts)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, item := range page.Items {
			if !item.IsDir && len(l.out) < maxFiles {
				l.add(strings.TrimPrefix(item.Key, l.prefix), item.Size)
			}
		}
		if page.Next == "" {
			return nil
		}
		opts.Token = page.Next
	}
	return nil
}

// add takes a file; a negative size is unknown. ResultStore knows the log of an
// invocation as build.log, so another file of that name has no place.
func (l *fileList) add(name string, size int64) {
	uid := name
	switch name {
	case artifacts.BuildLogFile:
		uid = invocationLog
	case invocationLog:
		return
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	if l.seen[uid] {
		return
	}
	l.seen[uid] = true
	file := &resultstore.File{Uid: uid, Uri: l.root + name, ContentType: contentType(name)}
	if size >= 0 {
		file.Length = wrapperspb.Int64(size)
	}
	l.out = append(l.out, file)
}

// addMissing takes a file that another reporter is about to write.
func (l *fileList) addMissing(name string, value any) {
	if content, err := json.MarshalIndent(value, "", "\t"); err == nil {
		l.add(name, int64(len(content)))
	}
}

// contentType is by the extension, without parameters.
func contentType(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".log", ".txt":
		return "text/plain"
	default:
		kind, _, _ := strings.Cut(mime.TypeByExtension(ext), ";")
		return kind
	}
}
