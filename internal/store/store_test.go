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
	if _, err := s.BeginDelivery(t.Context(), "x", Owner{ID: "o"}, received); !errors.Is(err, ErrClosed) {
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
				if _, err := s.AddDelivery(context.Background(), Delivery{ID: id, Event: "push", Received: received, Payload: []byte("{}")}, Owner{}); err != nil {
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
			if _, err := s.AddDelivery(context.Background(), Delivery{ID: id, Event: "issue_comment", Received: received, Payload: payload}, Owner{ID: "hook", Until: received}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
