package service

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestWhatIsServedIsMeasuredByRoute(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewHTTPMetrics(registry, "web-hook", HTTPBuckets{Seconds: []float64{1, 4}, Bytes: []float64{4}})
	clock := time.Unix(0, 0)
	m.now = func() time.Time { clock = clock.Add(2 * time.Second); return clock }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /vend/{job...}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("12345")) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	handler := m.Measure(mux)
	for _, path := range []string{"/vend/a/b", "/vend/c", "/broken", "/nothing/here"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("User-Agent", "cu\xffrl/8.1 (x)")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := `# HELP web_hook_error_rate Number of requests that were answered with an error of the server, by its name.
# TYPE web_hook_error_rate counter
web_hook_error_rate{error="Service Unavailable"} 1
# HELP web_hook_http_request_duration_seconds Seconds that requests took.
# TYPE web_hook_http_request_duration_seconds histogram
`
	for _, series := range []struct {
		path, status string
		n            int
	}{{"/broken", "503", 1}, {"/vend/:job", "200", 2}, {"unmatched", "404", 1}} {
		labels := fmt.Sprintf(`method="GET",path=%q,status=%q,user_agent="curl"`, series.path, series.status)
		want += fmt.Sprintf("web_hook_http_request_duration_seconds_bucket{%[1]s,le=\"1\"} 0\nweb_hook_http_request_duration_seconds_bucket{%[1]s,le=\"4\"} %[2]d\n"+
			"web_hook_http_request_duration_seconds_bucket{%[1]s,le=\"+Inf\"} %[2]d\nweb_hook_http_request_duration_seconds_sum{%[1]s} %[3]d\nweb_hook_http_request_duration_seconds_count{%[1]s} %[2]d\n",
			labels, series.n, 2*series.n)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "web_hook_error_rate", "web_hook_http_request_duration_seconds"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "web_hook_http_response_size_bytes"); err != nil || n != 3 {
		t.Errorf("%d series of sizes, %v", n, err)
	}
}

func TestTheUsualBuckets(t *testing.T) {
	registry := prometheus.NewRegistry()
	mux := http.NewServeMux()
	NewHTTPMetrics(registry, "x", HTTPBuckets{}).Measure(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string][]float64{}
	for _, f := range families {
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			ends[f.GetName()] = append(ends[f.GetName()], b.GetUpperBound())
		}
	}
	if s := ends["x_http_request_duration_seconds"]; len(s) != 16 || s[0] != 0.0001 || s[1] != 1.0/8192 || s[15] != 2 {
		t.Errorf("seconds %v", s)
	}
	if s := ends["x_http_response_size_bytes"]; len(s) != 9 || s[0] != 256 || s[8] != 65536 {
		t.Errorf("bytes %v", s)
	}
}

func TestRouteLabels(t *testing.T) {
	for _, tc := range []struct{ pattern, path, want string }{
		{"", "/x", "unmatched"},
		{"/", "/", "/"},
		{"/", "/x", "unmatched"},
		{"GET /{$}", "/", "/"},
		{"GET example.org/a/{b}/c/{d...}", "/a/1/c/2/3", "/a/:b/c/:d"},
		{"/static/", "/static/x", "/static/"},
	} {
		if got := routeLabel(tc.pattern, tc.path); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.pattern, got, tc.want)
		}
	}
}

func TestAgentsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewHTTPMetrics(registry, "x", HTTPBuckets{})
	handler := m.Measure(http.NewServeMux())
	for i := range 10 * maxAgents {
		r := httptest.NewRequest(fmt.Sprint("METHOD", i), "/", nil)
		r.Header.Set("User-Agent", fmt.Sprintf("agent-%d%s/1", i, strings.Repeat("x", i)))
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n, err := testutil.GatherAndCount(registry, "x_http_request_duration_seconds"); err != nil || n != maxAgents+1 {
		t.Errorf("%d series, %v", n, err)
	}
}

func TestTheResponseKeepsWhatItCanDo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	registry := prometheus.NewRegistry()
	handler := NewHTTPMetrics(registry, "x", HTTPBuckets{}).Measure(mux)
	w := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	if !w.Flushed {
		t.Error("a response cannot be flushed")
	}
	if n, _ := testutil.GatherAndCount(registry, "x_http_request_duration_seconds"); n != 1 {
		t.Error("a handler that panics is not measured")
	}
}
