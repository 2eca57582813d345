package ghproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkRevalidated is the rate of answers that GitHub has confirmed. The
// upstream takes 1 ms for each. Askers, proxy and upstream share the machine,
// so askers are as small as can be: connections that are written to and read.
func BenchmarkRevalidated(b *testing.B) {
	p := benchProxy(b)
	const connections = 128
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	var group sync.WaitGroup
	for c := range connections {
		group.Go(func() {
			asker := dial(b, p)
			defer asker.close()
			for i := c; i < b.N; i += connections {
				asker.ask(b, c)
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "answers/s")
}

// BenchmarkLatency is the time of an answer at 5,000 a second.
func BenchmarkLatency(b *testing.B) {
	p := benchProxy(b)
	const connections, rate = 100, 5000
	var mu sync.Mutex
	var all []time.Duration
	var warm sync.WaitGroup
	warm.Add(connections)
	var group sync.WaitGroup
	for c := range connections {
		group.Go(func() {
			asker := dial(b, p)
			defer asker.close()
			asker.ask(b, c) // what is not stored yet is another question
			warm.Done()
			warm.Wait()
			var own []time.Duration
			// Each connection has its share of the rate, and its own offset.
			each := time.Second * connections / rate
			due := time.Now().Add(each * time.Duration(c) / connections)
			for i := c; i < b.N; i += connections {
				time.Sleep(time.Until(due))
				asker.ask(b, c)
				own = append(own, time.Since(due)) // waiting for the connection counts
				due = due.Add(each)
			}
			mu.Lock()
			all = append(all, own...)
			mu.Unlock()
		})
	}
	group.Wait()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
}

// BenchmarkMemoryBound fills the cache with many times what it may hold.
func BenchmarkMemoryBound(b *testing.B) {
	body := strings.Repeat("x", 20_000)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"`+r.URL.Path+`"`)
		_, _ = io.WriteString(w, body)
	}))
	defer upstream.Close()
	p := start(b, upstream.URL, "--cache-memory-sizeMB=50")
	asker := dial(b, p)
	defer asker.close()
	for i := range b.N {
		asker.ask(b, i)
	}
	b.StopTimer()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
}

func benchProxy(b *testing.B) *testProxy {
	b.Helper()
	body := strings.Repeat("x", 2000)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		w.Header()["Etag"] = []string{`"x"`}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	b.Cleanup(upstream.Close)
	return start(b, upstream.URL, "--concurrency=1000")
}

// connection is a small asker.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func dial(b *testing.B, p *testProxy) *connection {
	conn, err := net.Dial("tcp", p.Listener.Addr().String())
	if err != nil {
		b.Error(err)
		return nil
	}
	return &connection{conn, bufio.NewReaderSize(conn, 32<<10)}
}

func (c *connection) close() { _ = c.Close() }

func (c *connection) ask(b *testing.B, i int) {
	if _, err := fmt.Fprintf(c, "GET /repos/o/r/pulls/%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token\r\nUser-Agent: hook/v1\r\n\r\n", i); err != nil {
		b.Error(err)
		return
	}
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			b.Error(err)
			return
		}
		if len(line) <= 2 {
			break
		}
		if n, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			_, _ = fmt.Sscan(n, &length)
		}
	}
	if _, err := c.r.Discard(length); err != nil {
		b.Error(err)
	}
}
