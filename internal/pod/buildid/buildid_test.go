package buildid

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestSnowflakeLayout(t *testing.T) {
	now := time.UnixMilli(1288834974657 + 5)
	s, err := NewSnowflake(DefaultNode, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for sequence := range 3 {
		got, _ := s.BuildID(t.Context(), "job")
		if want := strconv.Itoa(5<<22 | 1<<12 | sequence); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSnowflakesGrowWhateverTheClockDoes(t *testing.T) {
	now := time.UnixMilli(1700000000000)
	s, _ := NewSnowflake(1023, func() time.Time { return now })
	var last int64
	for i := range 10000 { // more than one millisecond has room for
		if i == 5000 {
			now = now.Add(-time.Hour)
		}
		id, _ := s.BuildID(t.Context(), "job")
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n <= last {
			t.Fatalf("id %d is %s after %d: %v", i, id, last, err)
		}
		last = n
	}
}

func TestNodeOutOfRange(t *testing.T) {
	for _, node := range []int{-1, 1024} {
		if _, err := NewSnowflake(node, time.Now); err == nil {
			t.Errorf("node %d must be refused", node)
		}
	}
}

func TestTot(t *testing.T) {
	var paths []string
	failures := 3
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if len(paths) <= failures {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("42"))
	}))
	defer server.Close()
	tot, err := NewTot(server.URL+"/base/", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	tot.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	id, err := tot.BuildID(t.Context(), "my-job")
	if err != nil || id != "42" || paths[0] != "/base/vend/my-job" {
		t.Errorf("got %q, %v from %s", id, err, paths)
	}
	if want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}; !slices.Equal(waits, want) {
		t.Errorf("waits: got %v, want %v", waits, want)
	}

	paths, waits, failures = nil, nil, 100
	if id, err := tot.BuildID(t.Context(), "my-job"); err == nil || len(paths) != 10 || waits[8] != 25600*time.Millisecond {
		t.Errorf("a server that stays down: got %q, %v after %d attempts, waits %v", id, err, len(paths), waits)
	}
}

func TestTotURLMustParse(t *testing.T) {
	if _, err := NewTot("http://[::1", http.DefaultClient); err == nil {
		t.Error("must be an error")
	}
}
