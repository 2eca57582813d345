package mkpj

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
)

// pauseBetweenWatches keeps a cluster that ends every watch from being asked without a break.
const pauseBetweenWatches = time.Second

// runJob creates the ProwJob and returns its status at the end.
func runJob(ctx context.Context, cluster *rest.Config, namespace string, pj *v1.ProwJob, log *slog.Logger) (*v1.ProwJobStatus, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	pj.Namespace = namespace
	// An interrupt must not leave open whether the job exists.
	if err := c.Create(context.WithoutCancel(ctx), pj); err != nil {
		return nil, fmt.Errorf("create ProwJob %s/%s: %w", namespace, pj.Name, err)
	}
	log.Info("Waiting for the ProwJob to end.", "namespace", namespace, "name", pj.Name)
	for {
		status, err := awaitEnd(ctx, c, pj)
		switch {
		case status != nil:
			return status, nil
		case errors.Is(err, errDeleted) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return nil, err
		case err != nil && ctx.Err() == nil:
			log.Warn("Looking at the ProwJob again.", "name", pj.Name, "error", err.Error())
		}
		timer := time.NewTimer(pauseBetweenWatches)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("waiting for ProwJob %s/%s, which goes on: %w", namespace, pj.Name, context.Cause(ctx))
		}
	}
}

// errDeleted says that nothing is left to wait for.
var errDeleted = errors.New("it was deleted before it ended")

// awaitEnd looks at the job and then watches it. It returns nothing when the
// watch ends before the job does.
func awaitEnd(ctx context.Context, c client.WithWatch, pj *v1.ProwJob) (*v1.ProwJobStatus, error) {
	var list v1.ProwJobList
	only := []client.ListOption{client.InNamespace(pj.Namespace), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", pj.Name)}}
	if err := c.List(ctx, &list, only...); err != nil {
		return nil, fmt.Errorf("look at ProwJob %s/%s: %w", pj.Namespace, pj.Name, err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("ProwJob %s/%s: %w", pj.Namespace, pj.Name, errDeleted)
	}
	if ended(&list.Items[0]) {
		return &list.Items[0].Status, nil
	}
	from := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}}
	watcher, err := c.Watch(ctx, &list, append(only, from)...)
	if err != nil {
		return nil, fmt.Errorf("watch ProwJob %s/%s: %w", pj.Namespace, pj.Name, err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		switch current, ok := event.Object.(*v1.ProwJob); {
		case event.Type == watch.Deleted:
			return nil, fmt.Errorf("ProwJob %s/%s: %w", pj.Namespace, pj.Name, errDeleted)
		case ok && ended(current):
			return &current.Status, nil
		}
	}
	return nil, nil
}

// ended tells whether the job has come to one of the states that say how it went.
func ended(pj *v1.ProwJob) bool {
	switch pj.Status.State {
	case v1.SuccessState, v1.FailureState, v1.AbortedState, v1.ErrorState:
		return true
	}
	return false
}
