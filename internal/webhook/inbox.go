package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
	"prow/internal/store"
)

const (
	// maxRunning and maxRunningBytes bound the deliveries whose work is held in
	// memory, by their number and the size of their payloads; more wait in the store.
	maxRunning      = 1024
	maxRunningBytes = 64 << 20
	// maxAttempts is how often the work of a delivery is begun: one that kills the
	// process each time must not do so for ever.
	maxAttempts = 5
	// suspectAfter is after how many attempts that never ended a delivery is worked
	// on alone, so that one that kills the process takes no others with it.
	suspectAfter = 2
	// Keep is how long deliveries that ended are remembered, so that a delivery
	// sent again by the forge is known.
	Keep = 7 * 24 * time.Hour
	// pruneEvery is how often older ones are forgotten.
	pruneEvery = time.Hour
	// rescanEvery is how often the store is asked for deliveries that nobody works
	// on: what a dead replica left, or could not be begun because the disk was full.
	rescanEvery = time.Minute
	// laterPause is how long work waits for which there was no room.
	laterPause = 2 * time.Second
	// ownFor is how long a delivery belongs to the process that works on it, which
	// says every extendEvery that it lives.
	ownFor      = time.Minute
	extendEvery = 15 * time.Second
	// page is how many deliveries are read from the store at once.
	page = 256
)

// ErrLater is returned by work of which a part found no room; the rest is done.
var ErrLater = errors.New("no room for a part of the work")

// Work is what is to be done for a delivery.
type Work interface {
	// Run does it, and returns an error only where it is unknown whether all has
	// ended, so that the delivery is kept; ErrLater where it has to be run again.
	Run(ctx context.Context, attempt Attempt) error
	// Room tells whether there is room for a part of the work that has not ended, so
	// that it is worth to be begun. first: nothing of it has ended.
	Room(ctx context.Context, first bool) bool
}

// Attempt says what is known of earlier attempts at the work of a delivery.
type Attempt struct {
	// First: nothing of the work has ended before.
	First bool
	// Repeated: a process may have died in the middle of the work, after it had
	// effects that it did not record.
	Repeated bool
	// Received is when the delivery came.
	Received time.Time
}

// DeliveryStore is what an inbox needs of the store.
type DeliveryStore interface {
	AddDelivery(ctx context.Context, d store.Delivery, owner store.Owner) (added bool, err error)
	FreeDeliveries(ctx context.Context, now time.Time, after store.Delivery, limit int) ([]store.Delivery, error)
	BeginDelivery(ctx context.Context, id string, owner store.Owner, now time.Time) (begun bool, err error)
	ExtendOwner(ctx context.Context, owner store.Owner) error
	ReleaseDelivery(ctx context.Context, id, owner string, until time.Time) error
	AbandonDelivery(ctx context.Context, id, owner string) error
	ForgetOwners(ctx context.Context) error
	EndDelivery(ctx context.Context, id, state string) error
	PruneDeliveries(ctx context.Context, before time.Time) (int64, error)
	CountDeliveries(ctx context.Context, state string) (int, error)
	Shared() bool
}

// Inbox holds accepted deliveries until their work has ended.
type Inbox struct {
	store DeliveryStore
	// prepare reads a delivery, notes in it what lists show, and finds its work; nil
	// where there is none.
	prepare func(d *store.Delivery) Work
	now     func() time.Time
	log     *slog.Logger
	metrics inboxMetrics
	// owner is this process.
	owner string

	rescan chan struct{}
	// asked tells that a later scan is due, and asks counts who asked for one.
	asked    atomic.Bool
	asks     atomic.Int64
	suspects chan item
	// work ends only after the grace of a shutdown.
	work    context.Context
	endWork context.CancelFunc
	running sync.WaitGroup
	count   atomic.Int64
	bytes   atomic.Int64

	mu sync.Mutex
	// known are the deliveries that are worked on.
	known map[string]bool
	// closed: no more work is begun.
	closed bool
}

// item is a delivery with its work.
type item struct {
	id, event string
	size      int64
	attempt   Attempt
	work      Work
}

type inboxMetrics struct {
	running, bytes prometheus.Gauge
	states         *prometheus.GaugeVec
}

// NewInbox is an inbox of a process with a name of its own, which must be Run. It
// takes over what dead processes have left in the store.
func NewInbox(ctx context.Context, s DeliveryStore, owner string, prepare func(*store.Delivery) Work, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) (*Inbox, error) {
	if !s.Shared() {
		// Nobody else works on this store: its owners are dead.
		if err := s.ForgetOwners(ctx); err != nil {
			return nil, fmt.Errorf("take over the deliveries in the store: %w", err)
		}
	}
	i := &Inbox{
		store: s, owner: owner, prepare: prepare, now: now, log: log, rescan: make(chan struct{}, 1), suspects: make(chan item, page), known: map[string]bool{},
		metrics: inboxMetrics{
			running: service.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "prow_webhook_running", Help: "Number of deliveries whose work is in memory."})),
			bytes:   service.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "prow_webhook_running_bytes", Help: "Size of the payloads of these deliveries."})),
			states:  service.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prow_webhook_deliveries", Help: "Number of deliveries in the store that wait (new) or are put aside (dead), counted every minute."}, []string{"state"})),
		},
	}
	i.work, i.endWork = context.WithCancel(context.WithoutCancel(ctx))
	return i, nil
}

func (i *Inbox) ownerNow() store.Owner { return store.Owner{ID: i.owner, Until: i.now().Add(ownFor)} }

// Take writes a delivery down and begins its work. One that is known is not taken
// again. When Take returns without an error, the work will be done.
func (i *Inbox) Take(ctx context.Context, d store.Delivery) error {
	work := i.prepare(&d)
	if work == nil {
		d.State = store.DeliveryDone
	}
	added, err := i.store.AddDelivery(ctx, d, i.ownerNow())
	if err != nil || !added || work == nil {
		return err
	}
	it := item{d.ID, d.Event, int64(len(d.Payload)), Attempt{First: true, Received: d.Received}, work}
	if i.enter(it) {
		i.start(it)
		return nil
	}
	if err := i.store.ReleaseDelivery(ctx, d.ID, i.owner, time.Time{}); err != nil {
		i.log.WarnContext(ctx, "a delivery is taken up late", "event-GUID", d.ID, "error", err)
	}
	i.askRescan()
	return nil
}

// enter makes room for a delivery, if there is some and nobody works on it.
func (i *Inbox) enter(it item) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.known[it.id] || len(i.known) >= maxRunning || len(i.known) > 0 && i.bytes.Load()+it.size > maxRunningBytes {
		return false
	}
	i.known[it.id] = true
	i.metrics.running.Set(float64(i.count.Add(1)))
	i.metrics.bytes.Set(float64(i.bytes.Add(it.size)))
	i.running.Add(1)
	return true
}

func (i *Inbox) leave(it item) {
	i.mu.Lock()
	delete(i.known, it.id)
	i.metrics.running.Set(float64(i.count.Add(-1)))
	i.metrics.bytes.Set(float64(i.bytes.Add(-it.size)))
	i.mu.Unlock()
	i.running.Done()
}

func (i *Inbox) start(it item) { go i.one(it) }

func (i *Inbox) askRescan() {
	select {
	case i.rescan <- struct{}{}:
	default:
	}
}

// askLater asks for a scan after a while. All who ask meanwhile share it, and get
// another one if theirs was asked for too late to be of use to them.
func (i *Inbox) askLater() {
	i.asks.Add(1)
	if i.asked.CompareAndSwap(false, true) {
		i.scanLater()
	}
}

func (i *Inbox) scanLater() {
	seen := i.asks.Load()
	time.AfterFunc(laterPause+laterPause/4, func() {
		i.askRescan()
		if i.asks.Load() != seen {
			i.scanLater()
			return
		}
		i.asked.Store(false)
		if i.asks.Load() != seen && i.asked.CompareAndSwap(false, true) {
			i.scanLater() // somebody asked right before
		}
	})
}

// Run takes up what is in the store and keeps it in order until ctx ends, then
// waits for the work that was begun, which sees the end only after grace.
func (i *Inbox) Run(ctx context.Context, grace time.Duration) error {
	defer i.endWork()
	var extending, alone sync.WaitGroup
	extending.Go(func() { i.extend(ctx) })
	alone.Go(func() { i.workOnSuspects(ctx) })
	i.loop(ctx)
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	stop := time.AfterFunc(grace, i.endWork)
	defer stop.Stop()
	alone.Wait()
	for len(i.suspects) > 0 {
		i.leave(<-i.suspects) // they stay in the store for the next process
	}
	i.running.Wait()
	extending.Wait()
	return nil
}

func (i *Inbox) loop(ctx context.Context) {
	prune, again := time.NewTicker(pruneEvery), time.NewTicker(rescanEvery)
	defer prune.Stop()
	defer again.Stop()
	i.askRescan()
	for {
		select {
		case <-ctx.Done():
			return
		case <-i.rescan:
			i.scan(ctx)
		case <-again.C:
			i.scan(ctx)
			i.measure(ctx)
		case <-prune.C:
			if _, err := i.store.PruneDeliveries(ctx, i.now().Add(-Keep)); err != nil {
				i.log.ErrorContext(ctx, "old deliveries stay", "error", err)
			}
		}
	}
}

func (i *Inbox) measure(ctx context.Context) {
	for _, state := range []string{store.DeliveryNew, store.DeliveryDead} {
		if n, err := i.store.CountDeliveries(ctx, state); err == nil {
			i.metrics.states.WithLabelValues(state).Set(float64(n))
		}
	}
}

// extend keeps what is worked on from being taken up by others, until all of it has ended.
func (i *Inbox) extend(ctx context.Context) {
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	for {
		select {
		case <-i.work.Done():
			return
		case <-tick.C:
		case <-ctx.Done():
			// The shutdown: nobody needs to know longer than the work takes.
			done := make(chan struct{})
			go func() { i.running.Wait(); close(done) }()
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
		if err := i.store.ExtendOwner(i.work, i.ownerNow()); err != nil && i.work.Err() == nil {
			i.log.ErrorContext(ctx, "deliveries that are worked on may be taken up by a replica", "error", err)
		}
	}
}

// scan begins what the store holds and nobody works on, while there is room.
func (i *Inbox) scan(ctx context.Context) {
	for after := (store.Delivery{}); ctx.Err() == nil; {
		batch, err := i.store.FreeDeliveries(ctx, i.now(), after, page)
		if err != nil {
			if ctx.Err() == nil {
				i.log.ErrorContext(ctx, "the store cannot be read, deliveries wait", "error", err)
			}
			return
		}
		for _, d := range batch {
			if !i.takeUp(ctx, d) {
				i.askLater()
				return
			}
		}
		if len(batch) < page {
			return
		}
		after = batch[len(batch)-1]
	}
}

// takeUp begins the work of a delivery from the store; false where there is no room.
func (i *Inbox) takeUp(ctx context.Context, d store.Delivery) (room bool) {
	log := i.log.With("event-type", d.Event, "event-GUID", d.ID)
	if d.Attempts >= maxAttempts {
		log.ErrorContext(ctx, "the work of a delivery was begun too often without an end; the delivery is put aside", "attempts", d.Attempts)
		i.end(ctx, log, d.ID, store.DeliveryDead)
		return true
	}
	work := i.prepare(&d)
	if work == nil {
		i.end(ctx, log, d.ID, store.DeliveryDone)
		return true
	}
	if !work.Room(ctx, false) {
		i.askLater()
		return true // but there may be for others
	}
	it := item{d.ID, d.Event, int64(len(d.Payload)), Attempt{Repeated: d.Attempts > 0, Received: d.Received}, work}
	if !i.enter(it) {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.known[it.id] // it is worked on already: go on with the next
	}
	if d.Attempts >= suspectAfter {
		select {
		case i.suspects <- it:
			return true
		default:
			i.leave(it)
			return false
		}
	}
	if i.begin(ctx, it) {
		i.start(it)
	} else {
		i.leave(it)
	}
	return true
}

// workOnSuspects works on deliveries one by one that were there when a process died.
func (i *Inbox) workOnSuspects(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-i.suspects:
			if i.begin(ctx, it) {
				i.one(it)
			} else {
				i.leave(it)
			}
		}
	}
}

func (i *Inbox) begin(ctx context.Context, it item) bool {
	begun, err := i.store.BeginDelivery(ctx, it.id, i.ownerNow(), i.now())
	if err != nil {
		i.log.ErrorContext(ctx, "a delivery waits", "event-type", it.event, "event-GUID", it.id, "error", err)
	}
	return begun // else it has ended, or a replica works on it
}

// one does the work of a delivery.
func (i *Inbox) one(it item) {
	defer i.leave(it)
	ctx := i.work
	log := i.log.With("event-type", it.event, "event-GUID", it.id)
	err := it.work.Run(ctx, it.attempt)
	// What follows is written down although the process ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), extendEvery)
	defer cancel()
	switch {
	case err == nil:
		i.end(ctx, log, it.id, store.DeliveryDone)
	case errors.Is(err, ErrLater):
		if err := i.store.ReleaseDelivery(ctx, it.id, i.owner, i.now().Add(laterPause)); err != nil {
			log.WarnContext(ctx, "a delivery is taken up late", "error", err)
		}
		i.askLater()
	default:
		log.ErrorContext(ctx, "the work of a delivery has not ended and is taken up again later", "error", err)
		if err := i.store.AbandonDelivery(ctx, it.id, i.owner); err != nil {
			log.WarnContext(ctx, "a delivery is taken up late", "error", err)
		}
	}
}

func (i *Inbox) end(ctx context.Context, log *slog.Logger, id, state string) {
	if err := i.store.EndDelivery(ctx, id, state); err != nil {
		log.ErrorContext(ctx, "the end of a delivery was not recorded", "error", fmt.Errorf("as %s: %w", state, err))
	}
}

// Rescan makes the inbox look into the store now, because somebody changed it.
func (i *Inbox) Rescan() { i.askRescan() }
