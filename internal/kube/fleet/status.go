package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Status tells how a cluster is doing, in the words of the cluster status file.
type Status string

// The states of clusters.
const (
	// NoManager: no client was built yet; the cluster never answered.
	NoManager Status = "No-Manager"
	// MissingPermissions: an access review was denied.
	MissingPermissions Status = "MissingPermissions"
	// Error: an access review cannot be made.
	Error Status = "Error"
	// Reachable: all is well.
	Reachable Status = "Reachable"
)

// errDenied marks an access review that was denied.
var errDenied = errors.New("access is denied")

// review asks a cluster whether these verbs on pods are allowed.
func review(ctx context.Context, c client.Client, namespace string, verbs []string) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	errs := make([]error, len(verbs))
	var group sync.WaitGroup
	for i, verb := range verbs {
		group.Go(func() {
			ask := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "pods"},
			}}
			if err := c.Create(ctx, ask); err != nil {
				errs[i] = fmt.Errorf("ask whether this program may %s pods in %s: %w", verb, namespace, err)
			} else if !ask.Status.Allowed {
				errs[i] = fmt.Errorf("%s pods in %s: %w", verb, namespace, errDenied)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func statusOf(err error, everUp bool) Status {
	switch {
	case err == nil:
		return Reachable
	case errors.Is(err, errDenied):
		return MissingPermissions
	case everUp:
		return Error
	}
	return NoManager
}

// Pauses between two reviews.
const (
	reviewHealthy = time.Minute
	reviewFailing = 5 * time.Second
	// requestLimit bounds each request to a build cluster.
	requestLimit = 20 * time.Second
)
