package hook

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"prow/internal/store"
)

const (
	// inFlight bounds how many deliveries are handled at once.
	inFlight = 128
	// queued bounds how many accepted deliveries wait in memory; more wait in the store.
	queued = 1024
	// maxAttempts is how often the handling of a delivery is begun: one that kills
	// the process each time must not do so for ever.
	maxAttempts = 5
	// keep is how long deliveries that ended are remembered, so that a delivery
	// sent again by the forge is known.
	keep = 7 * 24 * time.Hour
	// pruneEvery is how often older ones are forgotten.
	pruneEvery = time.Hour
	// rescanEvery is how often the store is asked for deliveries that could not be
	// begun, because the disk was full, say.
	rescanEvery = time.Minute
)

// deliveryStore is what the inbox needs of the store.
type deliveryStore interface {
	AddDelivery(ctx context.Context, d store.Delivery) (added bool, err error)
	NewDeliveries(ctx context.Context, after store.Delivery, limit int) ([]store.Delivery, error)
	BeginDelivery(ctx context.Context, id string) (begun bool, err error)
	EndDelivery(ctx context.Context, id, state string) error
	PruneDeliveries(ctx context.Context, before time.Time) (int64, error)
}

// inbox holds accepted deliveries until their handlers have ended.
type inbox struct {
	store deliveryStore
	// handle runs the handlers of a delivery that have not ended yet. It returns
	// an error only where that is unknown, so that the delivery is kept.
	handle func(ctx context.Context, d store.Delivery) error
	now    func() time.Time
	log    *slog.Logger

	queue  chan store.Delivery
	rescan chan struct{}

	mu sync.Mutex
	// known are the deliveries that wait in the queue or are being handled.
	known map[string]bool
}

func newInbox(s deliveryStore, handle func(context.Context, store.Delivery) error, now func() time.Time, log *slog.Logger) *inbox {
	return &inbox{store: s, handle: handle, now: now, log: log, queue: make(chan store.Delivery, queued), rescan: make(chan struct{}, 1), known: map[string]bool{}}
}

// take writes a delivery down and queues it. One that is known is not taken again.
func (i *inbox) take(ctx context.Context, d store.Delivery) error {
	added, err := i.store.AddDelivery(ctx, d)
	if err != nil || !added {
		return err
	}
	if !i.claim(d.ID) {
		return nil
	}
	select {
	case i.queue <- d:
	default:
		i.release(d.ID)
		i.askRescan()
	}
	return nil
}

func (i *inbox) askRescan() {
	select {
	case i.rescan <- struct{}{}:
	default:
	}
}

func (i *inbox) claim(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known[id] {
		return false
	}
	i.known[id] = true
	return true
}

func (i *inbox) release(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.known, id)
}

// run handles deliveries until ctx ends, then waits for those begun, whose
// handlers see a context that ends only after grace.
func (i *inbox) run(ctx context.Context, grace time.Duration) error {
	handlerCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var begun sync.WaitGroup
	slots := make(chan struct{}, inFlight)
	begin := func(d store.Delivery) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			i.release(d.ID) // it stays in the store for the next process
			return
		}
		begun.Go(func() {
			defer func() { <-slots }()
			i.one(handlerCtx, d)
		})
	}
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	again := time.NewTicker(rescanEvery)
	defer again.Stop()
	i.askRescan()
loop:
	for {
		select {
		case <-ctx.Done():
			break loop
		case d := <-i.queue:
			begin(d)
		case <-i.rescan:
			i.scan(ctx, begin)
		case <-again.C:
			i.scan(ctx, begin)
		case <-prune.C:
			if _, err := i.store.PruneDeliveries(ctx, i.now().Add(-keep)); err != nil {
				i.log.ErrorContext(ctx, "old deliveries stay", "error", err)
			}
		}
	}
	stop := time.AfterFunc(grace, cancel)
	defer stop.Stop()
	begun.Wait()
	return nil
}

// scan begins what the store holds and nobody has begun: what an earlier process
// left, and what did not fit into the queue.
func (i *inbox) scan(ctx context.Context, begin func(store.Delivery)) {
	for after := (store.Delivery{}); ctx.Err() == nil; {
		batch, err := i.store.NewDeliveries(ctx, after, queued)
		if err != nil {
			i.log.ErrorContext(ctx, "the store cannot be read, deliveries wait", "error", err)
			return
		}
		for _, d := range batch {
			if i.claim(d.ID) {
				begin(d)
			}
		}
		if len(batch) < queued {
			return
		}
		after = batch[len(batch)-1]
	}
}

func (i *inbox) one(ctx context.Context, d store.Delivery) {
	defer i.release(d.ID)
	log := i.log.With("event-type", d.Event, "event-GUID", d.ID)
	if d.Attempts >= maxAttempts {
		log.ErrorContext(ctx, "a delivery was begun too often without an end and is put aside", "attempts", d.Attempts)
		i.end(ctx, log, d.ID, store.DeliveryDead)
		return
	}
	begun, err := i.store.BeginDelivery(ctx, d.ID)
	if err != nil {
		log.ErrorContext(ctx, "a delivery waits for the next start", "error", err)
		return
	}
	if !begun {
		return // it has ended since it was read from the store
	}
	if err := i.handle(ctx, d); err != nil {
		log.ErrorContext(ctx, "a delivery waits for the next start", "error", err)
		return
	}
	i.end(ctx, log, d.ID, store.DeliveryDone)
}

func (i *inbox) end(ctx context.Context, log *slog.Logger, id, state string) {
	if err := i.store.EndDelivery(ctx, id, state); err != nil {
		log.ErrorContext(ctx, "the end of a delivery was not recorded", "error", fmt.Errorf("as %s: %w", state, err))
	}
}
