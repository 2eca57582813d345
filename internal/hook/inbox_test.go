package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"prow/internal/store"
)

func openStore(t *testing.T, path string) *store.Store {
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

// running runs an inbox until stop is called.
func running(t *testing.T, s deliveryStore, handle func(context.Context, store.Delivery) error) (box *inbox, stop func()) {
	t.Helper()
	box = newInbox(s, handle, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.run(ctx, time.Second) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return box, stop
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("waited too long for " + what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func stateOf(t *testing.T, s *store.Store, id string) string {
	d, _, err := s.GetDelivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d.State
}

func TestADeliveryIsHandledOnceHoweverOftenItIsSent(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	var mu sync.Mutex
	times := map[string]int{}
	box, stop := running(t, s, func(_ context.Context, d store.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		times[d.ID]++
		return nil
	})
	for range 3 {
		for n := range 50 {
			if err := box.take(t.Context(), delivery(fmt.Sprint(n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitFor(t, "the last delivery", func() bool {
		return stateOf(t, s, "49") == store.DeliveryDone && stateOf(t, s, "0") == store.DeliveryDone
	})
	stop()
	for n := range 50 {
		if times[fmt.Sprint(n)] != 1 {
			t.Errorf("delivery %d was handled %d times", n, times[fmt.Sprint(n)])
		}
	}
}

func TestWhatAShutdownCutsOffIsHandledByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := openStore(t, path)
	began := make(chan struct{})
	box, stop := running(t, s, func(ctx context.Context, d store.Delivery) error {
		close(began)
		<-ctx.Done() // a handler that is slower than the grace
		return ctx.Err()
	})
	if err := box.take(t.Context(), delivery("a")); err != nil {
		t.Fatal(err)
	}
	<-began
	stop()
	if got := stateOf(t, s, "a"); got != store.DeliveryNew {
		t.Fatalf("after the shutdown it is %s", got)
	}
	handled := make(chan string, 1)
	_, _ = running(t, s, func(_ context.Context, d store.Delivery) error { handled <- d.ID; return nil })
	if got := <-handled; got != "a" {
		t.Error(got)
	}
	waitFor(t, "the end", func() bool { return stateOf(t, s, "a") == store.DeliveryDone })
}

func TestADeliveryThatNeverEndsIsPutAside(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	if _, err := s.AddDelivery(t.Context(), delivery("poison")); err != nil {
		t.Fatal(err)
	}
	for range maxAttempts { // each a process that died in the middle
		if _, err := s.BeginDelivery(t.Context(), "poison"); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = running(t, s, func(context.Context, store.Delivery) error {
		t.Error("it was begun once more")
		return errors.New("boom")
	})
	waitFor(t, "its end", func() bool { return stateOf(t, s, "poison") == store.DeliveryDead })
}

func TestMoreThanTheQueueHoldsWaitsInTheStore(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "db"))
	gate := make(chan struct{})
	var mu sync.Mutex
	handled := 0
	box, _ := running(t, s, func(context.Context, store.Delivery) error {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		handled++
		return nil
	})
	const total = queued + inFlight + 500
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := w; n < total; n += 8 {
				if err := box.take(t.Context(), delivery(fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(gate)
	waitFor(t, "all deliveries", func() bool { mu.Lock(); defer mu.Unlock(); return handled == total })
}
