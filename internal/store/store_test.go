package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var received = time.UnixMilli(1_750_000_000_000)

func TestADeliveryIsTakenOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	d := Delivery{ID: "a", Event: "push", Received: received, Payload: []byte("{}")}
	for i, want := range []bool{true, false} {
		if added, err := s.AddDelivery(t.Context(), d); err != nil || added != want {
			t.Errorf("time %d: added %v, error %v", i+1, added, err)
		}
	}
}

func TestTheLifeOfADelivery(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	for i := range 3 {
		d := Delivery{ID: fmt.Sprint("d", i), Event: "push", Received: received.Add(time.Duration(i) * time.Minute), Payload: []byte(fmt.Sprint(i))}
		if _, err := s.AddDelivery(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := func(id string, want bool) {
		t.Helper()
		if begun, err := s.BeginDelivery(ctx, id); begun != want || err != nil {
			t.Fatalf("%s begun %v, %v", id, begun, err)
		}
	}
	begin("d0", true)
	must(s.AddOutcome(ctx, "d0", Outcome{Handler: "lgtm/comment", Finished: received, Error: "boom"}))
	begin("d1", true)
	must(s.EndDelivery(ctx, "d1", DeliveryDone))
	begin("d1", false)
	must(s.Close())

	s = open(t, path)
	left, err := s.NewDeliveries(ctx, Delivery{}, 10)
	must(err)
	if len(left) != 2 || left[0].ID != "d0" || left[0].Attempts != 1 || left[1].ID != "d2" || string(left[1].Payload) != "2" || !left[1].Received.Equal(received.Add(2*time.Minute)) {
		t.Errorf("after a restart there are %+v", left)
	}
	outcomes, err := s.Outcomes(ctx, "d0")
	must(err)
	if o := outcomes["lgtm/comment"]; o.Error != "boom" || !o.Finished.Equal(received) {
		t.Errorf("outcome %+v", o)
	}
	if n, err := s.PruneDeliveries(ctx, received.Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("pruned %d, %v: only what is done may go", n, err)
	}
	if _, found, _ := s.GetDelivery(ctx, "d0"); !found {
		t.Error("a new delivery was pruned")
	}
}

func TestAFileOfANewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	if _, err := s.db.Exec("PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := Open(t.Context(), path); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestAClosedStoreRefusesWrites(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	_ = s.Close()
	if _, err := s.BeginDelivery(t.Context(), "x"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestKilledWriter is the process that TestNothingAcknowledgedIsLostByAKill kills.
func TestKilledWriter(t *testing.T) {
	path := os.Getenv("PROW_TEST_KILLED_WRITER")
	if path == "" {
		t.Skip("runs only as a child of TestNothingAcknowledgedIsLostByAKill")
	}
	s := open(t, path)
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				if _, err := s.AddDelivery(context.Background(), Delivery{ID: id, Event: "push", Received: received, Payload: []byte("{}")}); err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintln(os.Stdout, "acknowledged", id)
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.v")
	cmd.Env = append(os.Environ(), "PROW_TEST_KILLED_WRITER="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	for strings.Count(seen.String(), "acknowledged") < 200 {
		n, err := out.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %s", err, &seen)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	s := open(t, path)
	lines := strings.Split(seen.String(), "\n")
	for _, line := range lines[:len(lines)-1] { // the last one may be cut
		if id, ok := strings.CutPrefix(line, "acknowledged "); ok {
			if _, found, err := s.GetDelivery(t.Context(), id); err != nil || !found {
				t.Errorf("delivery %s was acknowledged and is lost (%v)", id, err)
			}
		}
	}
}

func BenchmarkAddDelivery(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "store.db"))
	payload := []byte(strings.Repeat("x", 10_000))
	var n sync.Mutex
	next := 0
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n.Lock()
			next++
			id := fmt.Sprint(next)
			n.Unlock()
			if _, err := s.AddDelivery(context.Background(), Delivery{ID: id, Event: "issue_comment", Received: received, Payload: payload}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
