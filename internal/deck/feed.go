package deck

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
)

// feed keeps the index as the cluster has it, until ctx ends. It closes synced when
// the index holds everything.
func feed(ctx context.Context, cluster *rest.Config, namespace string, into *index, timeout time.Duration, synced chan<- struct{}) error {
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	jobs, err := cache.New(cluster, cache.Options{
		Scheme: scheme, DefaultNamespaces: map[string]cache.Config{namespace: {}},
		DefaultTransform: cache.TransformStripManagedFields(),
	})
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- jobs.Start(ctx) }()

	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	informer, err := jobs.GetInformer(limited, &v1.ProwJob{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	events, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { setObject(into, o) },
		UpdateFunc: func(_, o any) { setObject(into, o) },
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if pj, ok := o.(*v1.ProwJob); ok {
				into.remove(pj.Name)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	if !toolscache.WaitForCacheSync(limited.Done(), events.HasSynced) {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the ProwJobs of namespace %q could not be listed within %v", namespace, timeout)
	}
	close(synced)
	return <-ended
}

func setObject(into *index, o any) {
	if pj, ok := o.(*v1.ProwJob); ok {
		into.set(pj)
	}
}
