package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"prow/internal/storage"
)

// RunFaults tests what a client of a server does when the server fails. The client
// must not really wait between attempts, and give stalled requests up soon.
func RunFaults(t *testing.T, open func(t *testing.T) (storage.Bucket, *Faulty)) {
	// Two full chunks and a part of a third.
	big := make([]byte, 12<<20)
	for i := range big {
		big[i] = byte(i * 7 >> 3)
	}
	small := []byte("hello")
	writes := func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost }
	reads := func(r *http.Request) bool { return r.Method == http.MethodGet }
	check := func(t *testing.T, b storage.Bucket, f *Faulty, content []byte, faults int) {
		t.Helper()
		if err := b.Put(t.Context(), "x", bytes.NewReader(content), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if f.Faults() != faults {
			t.Errorf("met %d faults, want %d", f.Faults(), faults)
		}
		f.Fail(nil)
		got, err := storage.ReadAll(t.Context(), b, "x", 64<<20)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %d bytes, want %d: %v", len(got), len(content), err)
		}
	}
	for sentence, fault := range map[string]Fault{
		"a write that is refused with 429 is repeated": {Status: http.StatusTooManyRequests, RetryAfter: 1},
		"a write that is refused with 500 is repeated": {Status: http.StatusInternalServerError},
		"a write that is refused with 503 is repeated": {Status: http.StatusServiceUnavailable},
		"a write that breaks is repeated":              {ResetAfter: 100},
		"a write that hangs is repeated":               {Hang: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			b, f := open(t)
			f.FailTimes(2, writes, fault)
			check(t, b, f, small, 2)
		})
	}
	t.Run("a large object survives a fault of every request", func(t *testing.T) {
		for _, fault := range []Fault{{Status: http.StatusServiceUnavailable}, {ResetAfter: 1 << 20}, {LoseAnswer: true}} {
			b, f := open(t)
			seen, faults := map[string]bool{}, 0
			f.Fail(func(r *http.Request) *Fault {
				id := r.Method + r.URL.String() + r.Header.Get("Content-Range")
				if !writes(r) || seen[id] {
					return nil
				}
				seen[id] = true
				faults++
				return &fault
			})
			if err := b.Put(t.Context(), "x", bytes.NewReader(big), storage.PutOptions{}); err != nil {
				t.Fatalf("%+v: %v", fault, err)
			}
			if faults < 3 {
				t.Errorf("%+v: met only %d faults", fault, faults)
			}
			f.Fail(nil)
			if got, err := storage.ReadAll(t.Context(), b, "x", 64<<20); err != nil || !bytes.Equal(got, big) {
				t.Errorf("%+v: got %d bytes, want %d: %v", fault, len(got), len(big), err)
			}
		}
	})
	t.Run("objects that end where a piece of the upload ends are whole", func(t *testing.T) {
		b, f := open(t)
		for _, size := range []int{minPart - 1, minPart, minPart + 1, 2 * minPart} {
			check(t, b, f, big[:size], 0)
		}
	})
	t.Run("a write that is always refused is an error in the end", func(t *testing.T) {
		b, f := open(t)
		f.Fail(func(r *http.Request) *Fault { return &Fault{Status: http.StatusServiceUnavailable} })
		err := b.Put(t.Context(), "x", bytes.NewReader(small), storage.PutOptions{})
		if err == nil || f.Faults() > 8 {
			t.Errorf("after %d attempts: %v", f.Faults(), err)
		}
	})
	t.Run("a write that is forbidden is not repeated", func(t *testing.T) {
		b, f := open(t)
		f.Fail(func(r *http.Request) *Fault { return &Fault{Status: http.StatusForbidden} })
		if err := b.Put(t.Context(), "x", bytes.NewReader(small), storage.PutOptions{}); err == nil || f.Faults() != 1 {
			t.Errorf("after %d attempts: %v", f.Faults(), err)
		}
	})
	t.Run("a large object that cannot be completed leaves nothing behind", func(t *testing.T) {
		b, f := open(t)
		pieces := 0
		f.Fail(func(r *http.Request) *Fault {
			if r.ContentLength > 1<<20 {
				if pieces++; pieces > 1 {
					return &Fault{Status: http.StatusForbidden}
				}
			}
			return nil
		})
		if err := b.Put(t.Context(), "x", bytes.NewReader(big), storage.PutOptions{}); err == nil {
			t.Error("it must be an error")
		}
		f.Fail(nil)
		if _, err := b.Stat(t.Context(), "x"); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a read that breaks goes on where it was", func(t *testing.T) {
		b, f := open(t)
		if err := b.Put(t.Context(), "x", bytes.NewReader(big), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		f.FailTimes(3, reads, Fault{CutAnswer: 3 << 20})
		got, err := storage.ReadAll(t.Context(), b, "x", 64<<20)
		if err != nil || !bytes.Equal(got, big) || f.Faults() != 3 {
			t.Errorf("got %d bytes, want %d, after %d faults: %v", len(got), len(big), f.Faults(), err)
		}
		f.FailOnce(reads, Fault{CutAnswer: 1 << 20})
		r, err := b.Get(t.Context(), "x", 1<<20, 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, big[1<<20:5<<20]) {
			t.Errorf("a part: got %d bytes: %v", len(got), err)
		}
	})
	t.Run("a read never mixes two versions of an object", func(t *testing.T) {
		b, f := open(t)
		if err := b.Put(t.Context(), "x", bytes.NewReader(big), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		f.FailOnce(reads, Fault{CutAnswer: 1 << 20})
		r, err := b.Get(t.Context(), "x", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f.Fail(nil)
		other := bytes.Repeat([]byte("o"), len(big))
		if err := b.Put(t.Context(), "x", bytes.NewReader(other), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err == nil && !bytes.Equal(got, big) {
			t.Error("the object is mixed of two")
		}
	})
	t.Run("the end of the context ends a hanging request at once", func(t *testing.T) {
		b, f := open(t)
		f.Fail(func(*http.Request) *Fault { return &Fault{Hang: true} })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := b.Put(ctx, "x", bytes.NewReader(small), storage.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := b.List(ctx, storage.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
