package jobview

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	prowv1 "prow/api/prowjobs/v1"
)

// View follows the ProwJobs of a namespace. Its answers lag behind the API
// server by as much as a watch does.
type View struct {
	informer cache.SharedIndexInformer
}

// Option changes what a view keeps.
type Option func(*options)

type options struct{ transform cache.TransformFunc }

// WithMetadata keeps labels, annotations, agent, refs and the time of pending.
func WithMetadata() Option { return func(o *options) { o.transform = trimToMetadata } }

// New makes a view of the ProwJobs in a namespace that match a label selector;
// an empty one matches all. Run fills it.
func New(config *rest.Config, namespace, selector string, opts ...Option) (*View, error) {
	o := options{transform: trim}
	for _, opt := range opts {
		opt(&o)
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = "/apis", &prowv1.SchemeGroupVersion, codecs()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client for ProwJobs: %w", err)
	}
	watch := cache.NewFilteredListWatchFromClient(client, "prowjobs", namespace, func(o *metav1.ListOptions) { o.LabelSelector = selector })
	informer := cache.NewSharedIndexInformer(watch, &Job{}, 0, cache.Indexers{})
	if err := informer.SetTransform(o.transform); err != nil {
		return nil, fmt.Errorf("view of ProwJobs: %w", err)
	}
	return &View{informer: informer}, nil
}

// Run keeps the view current until ctx ends. It must be called once.
func (v *View) Run(ctx context.Context) error {
	v.informer.RunWithContext(ctx)
	return nil
}

// ErrNotSynced tells that the ProwJobs could not be listed in time.
var ErrNotSynced = errors.New("the ProwJobs were not listed in time")

// WaitForSync waits until the view has all ProwJobs that there were when it
// began. It returns ErrNotSynced after limit, and nil if ctx ends before.
func (v *View) WaitForSync(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !cache.WaitForCacheSync(limited.Done(), v.informer.HasSynced) && ctx.Err() == nil {
		return fmt.Errorf("%w (%s)", ErrNotSynced, limit)
	}
	return nil
}

// Jobs are all jobs, in no order.
func (v *View) Jobs() []*Job {
	objects := v.informer.GetStore().List()
	jobs := make([]*Job, len(objects))
	for i, o := range objects {
		jobs[i] = o.(*Job) //nolint:errcheck // the view holds nothing else
	}
	return jobs
}

// OnUpdate has f called, one call at a time, with every change of a job that
// the view has already. It must be called before Run.
func (v *View) OnUpdate(f func(before, after *Job)) error {
	_, err := v.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
		b, okB := before.(*Job)
		if a, okA := after.(*Job); okA && okB {
			f(b, a)
		}
	}})
	if err != nil {
		return fmt.Errorf("follow changes of ProwJobs: %w", err)
	}
	return nil
}
