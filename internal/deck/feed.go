package deck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
)

const (
	// listPage is how many ProwJobs are listed at once.
	listPage = 500
	// watchFor is how long one watch lasts; the server ends it then.
	watchFor = 10 * time.Minute
	// watchSilence is how much longer a connection is believed that says nothing.
	watchSilence = 30 * time.Second
	// retryFirst and retryMost are the waits after failures.
	retryFirst, retryMost = 200 * time.Millisecond, 10 * time.Second
)

// feeder keeps the index as the cluster has it. It lists by pages and watches from there;
// where the watch breaks it goes on, and where that is impossible it lists again, and
// removes from the index what it did not meet. An event that is missed, doubled or late
// does no harm.
//
// It keeps no objects itself, as caches of libraries do: of finished runs only entries stay
// in memory, and of the others packed bodies.
type feeder struct {
	client    client.WithWatch
	namespace string
	into      *index
	log       *slog.Logger
}

func newFeeder(cluster *rest.Config, namespace string, into *index, log *slog.Logger) (*feeder, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("watch ProwJobs: %w", err)
	}
	return &feeder{client: c, namespace: namespace, into: into, log: log}, nil
}

// run feeds until ctx ends. It closes synced when the index holds everything, and fails if
// that takes longer than a timeout.
func (f *feeder) run(ctx context.Context, timeout time.Duration, synced chan<- struct{}) error {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the ProwJobs of namespace %q could not be listed within %v", f.namespace, timeout))
	defer cancel()
	version, err := f.listUntilDone(limited)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(synced)
	for wait := retryFirst; ctx.Err() == nil; {
		begun := time.Now()
		var err error
		if version, err = f.watch(ctx, version); err == nil {
			wait = retryFirst
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			f.log.InfoContext(ctx, "the watch of ProwJobs is too far behind; they are listed again", "error", err)
			if version, err = f.listUntilDone(ctx); err != nil {
				return nil // only the end stops it
			}
			continue
		}
		f.log.InfoContext(ctx, "the watch of ProwJobs ended and is resumed", "error", err)
		if time.Since(begun) > retryMost { // it worked for a while
			wait = retryFirst
		}
		wait = pause(ctx, wait)
	}
	return nil
}

// pause waits, and returns how long to wait the next time.
func pause(ctx context.Context, wait time.Duration) time.Duration {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return min(2*wait, retryMost)
}

// listUntilDone lists until that succeeds or ctx ends.
func (f *feeder) listUntilDone(ctx context.Context) (version string, err error) {
	for wait := retryFirst; ; wait = pause(ctx, wait) {
		if version, err = f.list(ctx); err == nil {
			return version, nil
		}
		if ctx.Err() != nil {
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				return "", fmt.Errorf("%w: %w", cause, err)
			}
			return "", err
		}
		f.log.WarnContext(ctx, "ProwJobs cannot be listed; it will be tried again", "error", err)
	}
}

// list puts everything that the cluster has into the index, and removes the rest.
func (f *feeder) list(ctx context.Context) (version string, err error) {
	f.into.begin()
	for token := ""; ; {
		page := &v1.ProwJobList{}
		if err := f.client.List(ctx, page, client.InNamespace(f.namespace), client.Limit(listPage), client.Continue(token)); err != nil {
			return "", fmt.Errorf("list ProwJobs: %w", err)
		}
		for i := range page.Items {
			f.put(ctx, &page.Items[i])
		}
		if token = page.Continue; token == "" {
			f.into.sweep()
			return page.ResourceVersion, nil
		}
	}
}

func (f *feeder) put(ctx context.Context, pj *v1.ProwJob) {
	e := entryOf(pj)
	if f.into.known(e) {
		return
	}
	body, err := packBody(pj)
	if err != nil {
		f.log.WarnContext(ctx, "a ProwJob cannot be kept", "prowjob", pj.Name, "error", err)
		return
	}
	f.into.put(e, body)
}

// watch follows changes from a version until the server ends that, and returns the version
// from which to go on.
func (f *feeder) watch(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, watchFor+watchSilence)
	defer cancel()
	seconds := int64(watchFor.Seconds())
	events, err := f.client.Watch(ctx, &v1.ProwJobList{}, client.InNamespace(f.namespace), &client.ListOptions{
		Raw: &metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds},
	})
	if err != nil {
		return version, fmt.Errorf("watch ProwJobs: %w", err)
	}
	defer events.Stop()
	begun := time.Now()
	some := false
	for event := range events.ResultChan() {
		if event.Type == watch.Error {
			return version, fmt.Errorf("watch ProwJobs: %w", apierrors.FromObject(event.Object))
		}
		pj, ok := event.Object.(*v1.ProwJob)
		if !ok {
			return version, fmt.Errorf("watch ProwJobs: got %T", event.Object)
		}
		switch event.Type {
		case watch.Added, watch.Modified:
			f.put(ctx, pj)
		case watch.Deleted:
			f.deleted(ctx, pj)
		}
		version, some = pj.ResourceVersion, true
	}
	if !some && time.Since(begun) < time.Second {
		return version, errors.New("watch ProwJobs: it ended at once")
	}
	return version, nil
}

// deleted notes the last state of a ProwJob, too: it may have ended in the moment before.
func (f *feeder) deleted(ctx context.Context, pj *v1.ProwJob) {
	if pj.Complete() {
		if old := f.into.named(pj.Name); old == nil || !old.complete() {
			f.put(ctx, pj)
		}
	}
	f.into.remove(pj.Name)
}
