package resultstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	resultstore "google.golang.org/genproto/googleapis/devtools/resultstore/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/util/wait"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
	"prow/internal/report"
	reportstorage "prow/internal/report/storage"
	"prow/internal/storage"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "resultstorereporter"

const (
	// listLimit bounds the reading of files, phaseLimit the calls of each phase.
	listLimit  = 2 * time.Minute
	phaseLimit = 5 * time.Minute
)

// Reporter uploads finished jobs.
type Reporter struct {
	// Upload makes the client, with the first report, and returns the same again.
	Upload  func(ctx context.Context) (resultstore.ResultStoreUploadClient, error)
	Storage *storage.Opener
	Config  func() *config.Config
	// ArtifactsDirOnly names the directory of artifacts instead of its files.
	ArtifactsDirOnly bool
	// FirstDelay is the first delay between attempts; 0 is 100 ms.
	FirstDelay time.Duration
	Log        *slog.Logger
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

func projectOf(job *prowv1.ProwJob) string {
	if d := job.Spec.ProwJobDefault; d != nil && d.ResultStoreConfig != nil {
		return d.ResultStoreConfig.ProjectID
	}
	return ""
}

// ShouldReport takes complete jobs with a project, whose files are on GCS.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	if !job.Spec.Report || projectOf(job) == "" || !job.Complete() {
		return false
	}
	bucket := reportstorage.BucketOf(r.Config(), job)
	return bucket != "" && (strings.HasPrefix(bucket, "gs://") || !strings.Contains(bucket, "://"))
}

// Report uploads the run. What ResultStore refuses for good counts as reported.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	log := prowjob.Logger(r.Log, job)
	where, ok, err := reportstorage.DestinationOf(r.Config(), job)
	if err != nil || !ok {
		return nil, 0, report.UserError(err)
	}
	about, err := r.read(ctx, where, job, log)
	if err != nil {
		return nil, 0, err
	}
	client, err := r.Upload(ctx)
	if err != nil {
		return nil, 0, err
	}
	err = r.upload(ctx, client, about, log)
	switch {
	case isPermanent(err):
		log.WarnContext(ctx, "ResultStore refuses the run", "error", err)
	case err != nil:
		return nil, 0, fmt.Errorf("upload to ResultStore: %w", err)
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

func (r *Reporter) read(ctx context.Context, where reportstorage.Destination, job *prowv1.ProwJob, log *slog.Logger) (*run, error) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	bucket, err := r.Storage.Open(ctx, where.Bucket)
	if err != nil {
		return nil, err
	}
	defer bucket.Close() //nolint:errcheck // it is only read
	return read(ctx, bucket, where, job, r.ArtifactsDirOnly, log)
}

// upload creates the invocation, or goes on with one that an earlier attempt left.
func (r *Reporter) upload(ctx context.Context, client resultstore.ResultStoreUploadClient, about *run, log *slog.Logger) error {
	id := about.job.Name
	name, token, resume := "invocations/"+id, authorizationToken(id), newResumeToken()
	err := r.phase(ctx, func(ctx context.Context) error {
		_, err := client.CreateInvocation(ctx, &resultstore.CreateInvocationRequest{
			InvocationId: id, Invocation: about.invocation(projectOf(about.job)), AuthorizationToken: token, InitialResumeToken: resume,
		})
		return err
	})
	if status.Code(err) == codes.AlreadyExists {
		if err := r.phase(ctx, func(ctx context.Context) error {
			_, err := client.TouchInvocation(ctx, &resultstore.TouchInvocationRequest{Name: name, AuthorizationToken: token})
			return err
		}); err != nil {
			if isPermanent(err) {
				log.InfoContext(ctx, "ResultStore has the whole run already")
				return nil
			}
			return err
		}
		err = r.phase(ctx, func(ctx context.Context) error {
			metadata, err := client.GetInvocationUploadMetadata(ctx, &resultstore.GetInvocationUploadMetadataRequest{
				Name: name + "/uploadMetadata", AuthorizationToken: token,
			})
			resume = metadata.GetResumeToken()
			return err
		})
	}
	if err != nil {
		return err
	}
	next := newResumeToken()
	return r.phase(ctx, func(ctx context.Context) error {
		_, err := client.UploadBatch(ctx, &resultstore.UploadBatchRequest{
			Parent: name, AuthorizationToken: token, ResumeToken: resume, NextResumeToken: next, UploadRequests: about.content(),
		})
		return err
	})
}

// newResumeToken makes a token by which the next batch is told from others.
func newResumeToken() string {
	id := uuid.New()
	return base64.URLEncoding.EncodeToString(id[:])
}

// phase calls until it works, is refused for good, or time is over.
func (r *Reporter) phase(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	backoff := wait.Backoff{Duration: r.FirstDelay, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 30 * time.Second}
	if backoff.Duration == 0 {
		backoff.Duration = 100 * time.Millisecond
	}
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		last = call(ctx)
		if isPermanent(last) {
			return false, last
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// permanent are the answers that another try does not change.
var permanent = []codes.Code{
	codes.AlreadyExists, codes.NotFound, codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented, codes.PermissionDenied,
}

func isPermanent(err error) bool {
	return err != nil && slices.Contains(permanent, status.Code(err))
}
