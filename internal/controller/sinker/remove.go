package sinker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// removing removes objects of one cluster, a few at a time.
type removing struct {
	client client.Client
	dryRun bool
	log    *slog.Logger
	group  errgroup.Group

	mu     sync.Mutex
	result *result
	errs   []error
}

func newRemoval(s *Sinker, c client.Client, log *slog.Logger, r *result) *removing {
	out := &removing{client: c, dryRun: s.DryRun, log: log, result: r}
	out.group.SetLimit(removers)
	return out
}

// start removes an object; it waits while many are being removed.
func (r *removing) start(ctx context.Context, o client.Object, reason string, fields ...any) {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*")
	log := r.log.With("name", o.GetName(), "kind", kind, "reason", reason).With(fields...)
	if r.dryRun {
		log.InfoContext(ctx, "dry-run: not removed")
		return
	}
	r.group.Go(func() error {
		// What has the name by now may be another object.
		uid := o.GetUID()
		err := r.client.Delete(ctx, o, client.Preconditions{UID: &uid})
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err == nil:
			r.result.removed[reason]++
			log.InfoContext(ctx, "removed")
		case apierrors.IsNotFound(err):
			r.result.failed[string(apierrors.ReasonForError(err))]++
			log.InfoContext(ctx, "was removed by somebody else")
		default:
			r.result.failed[string(apierrors.ReasonForError(err))]++
			r.errs = append(r.errs, fmt.Errorf("remove %s %s: %w", kind, o.GetName(), err))
		}
		return nil
	})
}

// wait waits for all removals and returns what failed.
func (r *removing) wait() error {
	_ = r.group.Wait() // its functions return nil
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}
