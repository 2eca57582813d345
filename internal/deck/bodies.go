package deck

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/store"
)

const (
	// maxUnpacked is how many ProwJobs are kept unpacked, the last ones that were asked for.
	maxUnpacked = 256
	// bodyTimeout bounds the reading of a body.
	bodyTimeout = 10 * time.Second
)

// bodies reads what entries do not say.
type bodies struct {
	// store is nil where there is none.
	store *store.Store
	// fetch reads a ProwJob from the cluster, which helps where somebody has emptied the
	// store. It may be nil.
	fetch func(ctx context.Context, name string) (*v1.ProwJob, error)
	log   *slog.Logger

	// recent are whole ProwJobs, recentHeads those without their pods.
	recent, recentHeads recentJobs
}

// get finds a ProwJob by name; nil if there is none, or if it cannot be read.
func (x *index) get(name string) *v1.ProwJob { return x.object(x.named(name)) }

// run finds a ProwJob by the name and the build of its run, as get does.
func (x *index) run(job, build string) *v1.ProwJob { return x.object(x.entryOfRun(job, build)) }

func (x *index) object(e *entry) *v1.ProwJob {
	if e == nil {
		return nil
	}
	// Those who ask have no context, and share what is read.
	ctx, cancel := context.WithTimeout(context.Background(), bodyTimeout)
	defer cancel()
	return x.objects(ctx, []*entry{e})[0]
}

// objects reads ProwJobs, in the order of their entries; nil are those that cannot be read.
func (x *index) objects(ctx context.Context, entries []*entry) []*v1.ProwJob {
	return x.read(ctx, entries, &x.recent, false)
}

// heads reads ProwJobs as objects does, but without their pods, which is a fraction of the
// work. They are to be shown only, never to be run.
func (x *index) heads(ctx context.Context, entries []*entry) []*v1.ProwJob {
	return x.read(ctx, entries, &x.recentHeads, true)
}

func (x *index) read(ctx context.Context, entries []*entry, recent *recentJobs, headOnly bool) []*v1.ProwJob {
	out := make([]*v1.ProwJob, len(entries))
	var missing []*entry
	var at []int
	for i, e := range entries {
		if out[i] = recent.get(e); out[i] == nil {
			missing, at = append(missing, e), append(at, i)
		}
	}
	if len(missing) == 0 {
		return out
	}
	for i, body := range x.packed(ctx, missing) {
		if body == nil {
			continue
		}
		pj, err := unpackBody(body, headOnly)
		if err != nil {
			x.warn(ctx, "a run in the store cannot be understood", "prowjob", missing[i].name, "error", err)
			continue
		}
		recent.put(missing[i], pj)
		out[at[i]] = pj
	}
	return out
}

// packed reads bodies as they are kept, in the order of their entries; nil are those that
// cannot be read.
func (x *index) packed(ctx context.Context, entries []*entry) [][]byte {
	out := make([][]byte, len(entries))
	var names []string
	x.mu.RLock()
	for i, e := range entries {
		if out[i] = x.held[e.name]; out[i] == nil {
			names = append(names, e.name)
		}
	}
	x.mu.RUnlock()
	if len(names) == 0 {
		return out
	}
	stored := map[string][]byte{}
	if x.store != nil {
		var err error
		if stored, err = x.store.RunBodies(ctx, names); err != nil {
			x.warn(ctx, "runs cannot be read", "error", err)
			return out
		}
	}
	for i, e := range entries {
		if out[i] == nil {
			out[i] = stored[e.name]
		}
		if out[i] == nil {
			out[i] = x.fetched(ctx, e)
		}
	}
	return out
}

// fetched reads a body that should be in the store, but is not.
func (x *index) fetched(ctx context.Context, e *entry) []byte {
	x.mu.RLock()
	_, here := x.cluster[e.name]
	x.mu.RUnlock()
	if !here {
		x.drop(e) // another process has pruned it
		return nil
	}
	if x.fetch == nil {
		return nil
	}
	pj, err := x.fetch(ctx, e.name)
	if err == nil {
		var body []byte
		if body, err = packBody(pj); err == nil {
			return body
		}
	}
	x.warn(ctx, "a ProwJob cannot be read", "prowjob", e.name, "error", err)
	return nil
}

func (x *index) warn(ctx context.Context, text string, args ...any) {
	if x.log != nil {
		x.log.WarnContext(ctx, text, args...)
	}
}

// recentJobs keeps the ProwJobs that were asked for last.
type recentJobs struct {
	mu    sync.Mutex
	order list.List // of recentJob, the last used first
	by    map[*entry]*list.Element
}

type recentJob struct {
	entry *entry
	pj    *v1.ProwJob
}

func (r *recentJobs) get(e *entry) *v1.ProwJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.by[e]
	if found == nil {
		return nil
	}
	r.order.MoveToFront(found)
	return found.Value.(recentJob).pj
}

func (r *recentJobs) put(e *entry, pj *v1.ProwJob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[e] != nil {
		return
	}
	if r.by == nil {
		r.by = map[*entry]*list.Element{}
	}
	r.by[e] = r.order.PushFront(recentJob{e, pj})
	for r.order.Len() > maxUnpacked {
		last := r.order.Back()
		r.order.Remove(last)
		delete(r.by, last.Value.(recentJob).entry)
	}
}
