package jobview_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"prow/internal/jobview"
)

// BenchmarkSync fills a view with 50,000 finished ProwJobs of 3 KB from a
// server that streams them as the API server does, and tells how much memory
// the view then holds (heap-MB) and the most that the process had (rss-MB).
func BenchmarkSync(b *testing.B) {
	const jobs = 50_000
	spec := `"spec":{"type":"periodic","agent":"kubernetes","job":"periodic-%d","pod_spec":{"containers":[{"name":"test","image":"i","args":["` +
		strings.Repeat(`--flag=value","`, 150) + `--last"]}]}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := range jobs {
			fmt.Fprintf(w, `{"type":"ADDED","object":{"apiVersion":"prow.k8s.io/v1","kind":"ProwJob","metadata":{"name":"7d3c0b0e-8c5c-4a57-9d0f-%012d","namespace":"ns",`+
				`"uid":"0a1b2c3d-8c5c-4a57-9d0f-%012d","resourceVersion":"%d","labels":{"prow.k8s.io/job":"periodic-%d","prow.k8s.io/type":"periodic","created-by-prow":"true"},`+
				`"annotations":{"prow.k8s.io/job":"periodic-%d"}},`+spec+`,"status":{"state":"success","startTime":"2026-01-02T03:04:05Z","completionTime":"2026-01-02T04:04:05Z",`+
				`"prev_report_states":{"gcsreporter":"success","github-reporter":"success"}}}}`+"\n", i, i, i+1, i%4000, i%4000, i%4000)
		}
		_, _ = io.WriteString(w, `{"type":"BOOKMARK","object":{"apiVersion":"prow.k8s.io/v1","kind":"ProwJob","metadata":{"resourceVersion":"60000","annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n")
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		<-r.Context().Done()
	}))
	defer server.CloseClientConnections()
	for range b.N {
		ctx, cancel := context.WithCancel(b.Context())
		view, err := jobview.New(&rest.Config{Host: server.URL}, "ns", "")
		if err != nil {
			b.Fatal(err)
		}
		go func() { _ = view.Run(ctx) }()
		if err := view.WaitForSync(ctx, 2*time.Minute); err != nil {
			b.Fatal(err)
		}
		if n := len(view.Jobs()); n != jobs {
			b.Fatalf("%d jobs", n)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(usage.Maxrss)/1024, "rss-MB")
		runtime.KeepAlive(view)
		cancel()
	}
}
