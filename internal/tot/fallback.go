package tot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prow/internal/config"
)

const (
	fallbackTries = 10
	fallbackPause = 2 * time.Second
	maxNumberBody = 64
)

// Fallback finds the number of the last build of a job that the store does not know.
type Fallback struct {
	// URL is where the number of a job is; empty if the job has none.
	URL    func(job string) string
	Client *http.Client
	// Pause is the time between two tries.
	Pause time.Duration
}

// templateURL puts the name of a job into a template with one %s.
func templateURL(template string) func(job string) string {
	return func(job string) string { return strings.Replace(template, "%s", job, 1) }
}

// bucketURL is where the utilities of a job leave the number of its last build.
func bucketURL(bucket string, cfg func() *config.Config) func(job string) string {
	bucket = strings.TrimSuffix(bucket, "/")
	return func(job string) string {
		if dir := latestBuildDir(&cfg().JobConfig, job); dir != "" {
			return bucket + "/" + dir + "/latest-build.txt"
		}
		return ""
	}
}

// latestBuildDir is the directory of a job's runs in a bucket; empty if there
// is no such job.
func latestBuildDir(jobs *config.JobConfig, job string) string {
	for _, j := range jobs.AllPresubmits() {
		if j.Name == job {
			return "pr-logs/directory/" + job
		}
	}
	for _, j := range jobs.AllPostsubmits() {
		if j.Name == job {
			return "logs/" + job
		}
	}
	for i := range jobs.Periodics {
		if jobs.Periodics[i].Name == job {
			return "logs/" + job
		}
	}
	return ""
}

// Last is the number of the last build: 0 if there is none, or none that is a
// number. It is an error if that cannot be found out.
func (f *Fallback) Last(ctx context.Context, job string) (int, error) {
	url := f.URL(job)
	if url == "" {
		return 0, nil
	}
	var err error
	for try := range fallbackTries {
		if try > 0 {
			pause := time.NewTimer(f.Pause)
			select {
			case <-ctx.Done():
				pause.Stop()
				return 0, ctx.Err()
			case <-pause.C:
			}
		}
		var n int
		if n, err = f.get(ctx, url); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("last build of %s: %w", job, err)
}

func (f *Fallback) get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return 0, nil
	case http.StatusOK:
	default:
		return 0, errors.New(resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxNumberBody))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		return 0, nil //nolint:nilerr // what is no number counts as none
	}
	return n, nil
}
