package deck

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
)

// way is a way to a real API server on which watches can be cut, or be made too old.
type way struct {
	*httptest.Server
	mu      sync.Mutex
	lists   int
	watches []context.CancelFunc
	outdate bool
}

func newWay(t *testing.T, to *rest.Config) *way {
	t.Helper()
	target, err := url.Parse(to.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(to)
	if err != nil {
		t.Fatal(err)
	}
	w := &way{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if strings.HasSuffix(r.URL.Path, "/prowjobs") {
			w.mu.Lock()
			if q.Get("watch") == "" {
				w.lists++
			} else {
				ctx, cancel := context.WithCancel(r.Context())
				w.watches, r = append(w.watches, cancel), r.WithContext(ctx)
				if w.outdate {
					w.outdate = false
					q.Set("resourceVersion", "1")
					r.URL.RawQuery = q.Encode()
				}
			}
			w.mu.Unlock()
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.cut(false); w.Close() })
	return w
}

// cut ends all watches; the next one asks for a version that is too old, if it is to.
func (w *way) cut(outdate bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outdate = outdate
	for _, cancel := range w.watches {
		cancel()
	}
	w.watches = nil
}

func (w *way) listed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lists
}

func (w *way) watched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watches)
}

func numberedJobs(ns string, n int) iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for i := range n {
			pj := &v1.ProwJob{
				TypeMeta:   metav1.TypeMeta{APIVersion: v1.SchemeGroupVersion.String(), Kind: "ProwJob"},
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%05d", i), Namespace: ns},
				Spec:       v1.ProwJobSpec{Type: v1.PeriodicJob, Agent: v1.KubernetesAgent, Job: "nightly"},
				Status:     v1.ProwJobStatus{State: v1.TriggeredState, StartTime: metav1.Unix(1_700_000_000+int64(i), 0), BuildID: fmt.Sprint(i)},
			}
			if !yield(pj) {
				return
			}
		}
	}
}

// until waits for the index to be so.
func until(t *testing.T, x *index, what string, so func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		_, changed := x.watch()
		if so() {
			return
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // what is waited for may be no change of the index
		case <-limit:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func TestTheFeedMissesNothing(t *testing.T) {
	cluster := kubetest.Start(t, "--node")
	ns := cluster.Namespace(t)
	cluster.Load(t, v1.SchemeGroupVersion.WithResource("prowjobs"), numberedJobs(ns, 1100))
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := newWay(t, cluster.Config)
	x := newIndex()
	f, err := newFeeder(&rest.Config{Host: w.URL}, ns, x, slog.New(slog.NewTextHandler(testLog{t, &(&site{}).log}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, synced := make(chan error, 1), make(chan struct{})
	go func() { ended <- f.run(ctx, 30*time.Second, synced) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-synced:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	if x.size() != 1100 || w.listed() != 3 {
		t.Fatalf("%d jobs by %d lists, want 1100 by 3 pages", x.size(), w.listed())
	}
	change := func(name string, change func(*v1.ProwJob)) {
		t.Helper()
		pj := &v1.ProwJob{}
		if err := api.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, pj); err != nil {
			t.Fatal(err)
		}
		change(pj)
		if err := api.Update(ctx, pj); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		t.Helper()
		if err := api.Delete(ctx, &v1.ProwJob{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(name string) v1.ProwJobState {
		if pj := x.get(name); pj != nil {
			return pj.Status.State
		}
		return "none"
	}

	change("n00001", finish)
	remove("n00002")
	until(t, x, "a change and a removal are seen", func() bool { return state("n00001") == v1.FailureState && state("n00002") == "none" })

	// While no watch reaches the server.
	w.cut(false)
	change("n00003", finish)
	remove("n00004")
	until(t, x, "what happened while the watch was cut is seen", func() bool { return state("n00003") == v1.FailureState && state("n00004") == "none" })
	if w.listed() != 3 {
		t.Errorf("a watch that was cut was not resumed: %d lists", w.listed())
	}

	until(t, x, "the watch is back", func() bool { return w.watched() > 0 })
	w.cut(true)
	change("n00005", finish)
	remove("n00006")
	until(t, x, "what happened before a new list is seen", func() bool { return state("n00005") == v1.FailureState && state("n00006") == "none" })
	until(t, x, "the jobs are listed again", func() bool { return w.listed() == 6 })
	change("n00007", finish)
	until(t, x, "the watch goes on after that", func() bool { return state("n00007") == v1.FailureState })
	if x.size() != 1097 {
		t.Errorf("%d jobs are left, want 1097", x.size())
	}
}

func TestTheFirstListIsLimited(t *testing.T) {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/prowjobs") {
			<-r.Context().Done()
		}
	}))
	defer hangs.Close()
	f, err := newFeeder(&rest.Config{Host: hangs.URL}, "ns", newIndex(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = f.run(t.Context(), 100*time.Millisecond, make(chan struct{}))
	if err == nil || !strings.Contains(err.Error(), `namespace "ns" could not be listed within 100ms`) {
		t.Error(err)
	}
}
