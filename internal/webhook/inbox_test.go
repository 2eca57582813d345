package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/store"
)

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func delivery(id string) store.Delivery {
	return store.Delivery{ID: id, Event: "push", Received: time.Now(), Payload: []byte("{}")}
}

type workFunc func(ctx context.Context, attempt Attempt) error

func (f workFunc) Run(ctx context.Context, attempt Attempt) error { return f(ctx, attempt) }

func (workFunc) Room(context.Context, bool) bool { return true }

// running runs an inbox until stop is called. do is the work of every delivery.
func running(t testing.TB, s DeliveryStore, do func(ctx context.Context, id string, attempt Attempt) error) (box *Inbox, stop func()) {
	t.Helper()
	prepare := func(d *store.Delivery) Work {
		if d.Event == "ping" {
			return nil
		}
		id := d.ID
		return workFunc(func(ctx context.Context, attempt Attempt) error { return do(ctx, id, attempt) })
	}
	box, err := NewInbox(t.Context(), s, t.Name(), prepare, time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx, time.Second) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return box, stop
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("waited too long for " + what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func stateOf(t testing.TB, s *store.Store, id string) string {
	d, _, err := s.GetDelivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d.State
}

func take(t testing.TB, box *Inbox, d store.Delivery) {
	t.Helper()
	if err := box.Take(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func TestTheWorkOfADeliveryIsDoneOnceHoweverOftenItIsSent(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	var mu sync.Mutex
	times := map[string]int{}
	box, stop := running(t, s, func(_ context.Context, id string, attempt Attempt) error {
		mu.Lock()
		defer mu.Unlock()
		times[id]++
		if !attempt.First || attempt.Repeated {
			t.Errorf("%s: %+v", id, attempt)
		}
		return nil
	})
	for range 3 {
		for n := range 50 {
			take(t, box, delivery(fmt.Sprint(n)))
		}
	}
	waitFor(t, "the last delivery", func() bool {
		return stateOf(t, s, "49") == store.DeliveryDone && stateOf(t, s, "0") == store.DeliveryDone
	})
	stop()
	for n := range 50 {
		if times[fmt.Sprint(n)] != 1 {
			t.Errorf("delivery %d was worked on %d times", n, times[fmt.Sprint(n)])
		}
	}
}

func TestADeliveryWithoutWorkIsDoneAtOnce(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	box, _ := running(t, s, func(context.Context, string, Attempt) error { t.Error("it had none"); return nil })
	d := delivery("a")
	d.Event = "ping"
	take(t, box, d)
	if got := stateOf(t, s, "a"); got != store.DeliveryDone {
		t.Errorf("it is %s", got)
	}
}

func TestWhatAShutdownCutsOffIsDoneByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := openStore(t, path)
	began := make(chan struct{})
	box, stop := running(t, s, func(ctx context.Context, _ string, _ Attempt) error {
		close(began)
		<-ctx.Done() // work that is slower than the grace
		return ctx.Err()
	})
	take(t, box, delivery("a"))
	<-began
	stop()
	if got := stateOf(t, s, "a"); got != store.DeliveryNew {
		t.Fatalf("after the shutdown it is %s", got)
	}
	again := make(chan Attempt, 1)
	_, _ = running(t, s, func(_ context.Context, _ string, attempt Attempt) error { again <- attempt; return nil })
	if got := <-again; got.First || !got.Repeated {
		t.Errorf("the next process knows %+v", got)
	}
	waitFor(t, "the end", func() bool { return stateOf(t, s, "a") == store.DeliveryDone })
}

func TestADeliveryThatNeverEndsIsPutAside(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	died(t, s, "poison", maxAttempts)
	_, _ = running(t, s, func(context.Context, string, Attempt) error {
		t.Error("it was begun once more")
		return errors.New("boom")
	})
	waitFor(t, "its end", func() bool { return stateOf(t, s, "poison") == store.DeliveryDead })
}

// died makes a delivery that as many processes have begun as died.
func died(t *testing.T, s *store.Store, id string, times int) {
	t.Helper()
	if _, err := s.AddDelivery(t.Context(), delivery(id), store.Owner{}); err != nil {
		t.Fatal(err)
	}
	for n := range times {
		if _, err := s.BeginDelivery(t.Context(), id, store.Owner{ID: fmt.Sprint(n)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeliveriesThatMayKillTheProcessAreWorkedOnOneByOne(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	for n := range 20 {
		died(t, s, fmt.Sprint("suspect", n), suspectAfter)
		died(t, s, fmt.Sprint("fresh", n), suspectAfter-1)
	}
	var suspects, most, fresh atomic.Int64
	gate := make(chan struct{})
	_, _ = running(t, s, func(_ context.Context, id string, _ Attempt) error {
		if id[0] == 'f' {
			if fresh.Add(1) == 20 {
				close(gate) // all of them at once
			}
			<-gate
			return nil
		}
		most.Store(max(most.Load(), suspects.Add(1)))
		defer suspects.Add(-1)
		<-gate
		return nil
	})
	waitFor(t, "all of them", func() bool {
		n, err := s.CountDeliveries(t.Context(), store.DeliveryDone)
		return err == nil && n == 40
	})
	if most.Load() != 1 {
		t.Errorf("%d suspects were worked on at once", most.Load())
	}
}

func TestMoreThanFitsIntoMemoryWaitsInTheStore(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	gate := make(chan struct{})
	var done atomic.Int64
	box, _ := running(t, s, func(context.Context, string, Attempt) error {
		<-gate
		done.Add(1)
		return nil
	})
	const total = maxRunning + 500
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := w; n < total; n += 8 {
				take(t, box, delivery(fmt.Sprint(n)))
			}
		})
	}
	wg.Wait()
	if n := box.count.Load(); n > maxRunning {
		t.Errorf("%d are in memory", n)
	}
	close(gate)
	waitFor(t, "all deliveries", func() bool { return done.Load() == total })
}

func TestLargePayloadsWaitInTheStore(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	gate := make(chan struct{})
	var done atomic.Int64
	box, _ := running(t, s, func(context.Context, string, Attempt) error { <-gate; done.Add(1); return nil })
	payload := make([]byte, maxBody)
	for n := range 5 {
		d := delivery(fmt.Sprint(n))
		d.Payload = payload
		take(t, box, d)
	}
	if got := box.bytes.Load(); got > maxRunningBytes || got == 0 {
		t.Errorf("%d bytes are in memory", got)
	}
	close(gate)
	waitFor(t, "all deliveries", func() bool { return done.Load() == 5 })
}

func TestAPartThatFindsNoRoomIsDoneLater(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	attempts := make(chan Attempt, 10)
	box, _ := running(t, s, func(_ context.Context, _ string, attempt Attempt) error {
		attempts <- attempt
		if attempt.First {
			return fmt.Errorf("a plugin: %w", ErrLater)
		}
		return nil
	})
	take(t, box, delivery("a"))
	waitFor(t, "the end", func() bool { return stateOf(t, s, "a") == store.DeliveryDone })
	if first, second := <-attempts, <-attempts; !first.First || second.First || second.Repeated {
		t.Errorf("%+v, %+v: nothing was cut off", first, second)
	}
}

func TestAStoreThatFailsIsNoAcknowledgement(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	box, stop := running(t, s, func(context.Context, string, Attempt) error { return nil })
	stop()
	_ = s.Close()
	if err := box.Take(context.Background(), delivery("a")); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// What is put off right before a scan is too early for it, and must not wait for the
// next one that comes by itself.
func TestAPartThatIsPutOffBeforeAScanIsDoneSoon(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	box, _ := running(t, s, func(_ context.Context, _ string, attempt Attempt) error {
		if attempt.First {
			return ErrLater
		}
		return nil
	})
	take(t, box, delivery("a"))
	<-time.After(laterPause * 3 / 4)
	take(t, box, delivery("b"))
	waitFor(t, "both", func() bool {
		return stateOf(t, s, "a") == store.DeliveryDone && stateOf(t, s, "b") == store.DeliveryDone
	})
}
