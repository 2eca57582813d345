package crier

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/report/kubernetes"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(kubetest.Run(m))
}

// flaky takes statuses, when it is not out of order.
type flaky struct {
	mu       sync.Mutex
	out      bool
	requests int
	// taken are the states by context, in the order in which they came.
	taken map[string][]string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	switch {
	case f.out && f.requests%2 == 0:
		http.Error(w, `{"message":"Forbidden"}`, http.StatusForbidden)
	case f.out:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/statuses/"):
		var s struct{ State, Context string }
		_ = json.NewDecoder(r.Body).Decode(&s)
		f.taken[s.Context] = append(f.taken[s.Context], s.State)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("{}"))
	default:
		http.NotFound(w, r)
	}
}

func (f *flaky) set(out bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out = out
}

func (f *flaky) states(context string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.taken[context], ",")
}

func (f *flaky) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// world is a real API server, a forge and a namespace with jobs.
type world struct {
	t       testing.TB
	cluster *kubetest.Cluster
	ns      string
	jobs    client.Client
	forge   *flaky
	options Options
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, cluster: kubetest.Start(t), forge: &flaky{taken: map[string][]string{}}}
	w.ns = w.cluster.Namespace(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.jobs, err = client.New(w.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.forge)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("prowjob_namespace: "+w.ns+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	w.options.Bind(fs)
	args := []string{
		"--config-path=" + path, "--kubeconfig=" + w.cluster.KubeconfigPath, "--no-in-cluster-config", "--github-workers=4",
		"--github-endpoint=" + server.URL, "--github-client.initial-delay=5ms", "--github-client.max-retries=2",
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := w.options.Validate(); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs a replica and returns what ends it.
func (w *world) start(change ...func(*Options)) (stop func()) {
	w.t.Helper()
	o := w.options
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	done := make(chan error, 1)
	go func() { done <- Run(ctx, rt, &o) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("crier ended with %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *world) job(name string, state prowv1.ProwJobState) *prowv1.ProwJob {
	w.t.Helper()
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ns}, Spec: prowv1.ProwJobSpec{
		Type: prowv1.PostsubmitJob, Job: name, Context: name, Report: true, Agent: prowv1.KubernetesAgent, Refs: &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: "0123456789012345678901234567890123456789"},
	}, Status: prowv1.ProwJobStatus{State: state, StartTime: metav1.Now()}}
	if err := w.jobs.Create(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *world) becomes(j *prowv1.ProwJob, state prowv1.ProwJobState) {
	w.t.Helper()
	before := j.DeepCopy()
	done := metav1.Now()
	j.Status.State, j.Status.CompletionTime = state, &done
	if err := w.jobs.Patch(w.t.Context(), j, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) until(what string, met func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(90 * time.Second)
	for !met() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("not within the limit: %s", what)
		}
	}
}

func (w *world) recorded(j *prowv1.ProwJob) prowv1.ProwJobState {
	var now prowv1.ProwJob
	if err := w.jobs.Get(context.Background(), client.ObjectKeyFromObject(j), &now); err != nil {
		return ""
	}
	return now.Status.PrevReportStates[prowv1.GitHubReporterName]
}

// TestAnOutageAndTwoReplicas: every report arrives once the forge heals, in order
// and none twice, and one replica takes over from another.
func TestAnOutageAndTwoReplicas(t *testing.T) {
	w := newWorld(t)
	w.forge.set(true)
	replicas := []func(){w.start(), w.start()}
	var jobs []*prowv1.ProwJob
	for i := range 30 {
		jobs = append(jobs, w.job(fmt.Sprintf("job-%d", i), prowv1.PendingState))
	}
	w.until("an outage that is noticed", func() bool { return w.forge.asked() > 150 })
	for i, j := range jobs {
		if i%2 == 0 {
			w.becomes(j, prowv1.SuccessState)
		}
	}
	w.until("more of it", func() bool { return w.forge.asked() > 300 })
	w.forge.set(false)
	want := func(i int) prowv1.ProwJobState {
		if i%2 == 0 {
			return prowv1.SuccessState
		}
		return prowv1.PendingState
	}
	for i, j := range jobs {
		w.until(j.Name+" recorded", func() bool { return w.recorded(j) == want(i) })
		if got := w.forge.states(j.Name); got != string(want(i)) {
			t.Errorf("%s was told %s, want %s once", j.Name, got, want(i))
		}
	}
	replicas[0]()
	last := w.job("last", prowv1.PendingState)
	w.until("the other replica reports", func() bool { return w.recorded(last) == prowv1.PendingState })
	w.becomes(last, prowv1.SuccessState)
	w.until("and goes on", func() bool { return w.recorded(last) == prowv1.SuccessState })
	if got := w.forge.states("last"); got != "pending,success" {
		t.Errorf("told %s", got)
	}
	before := w.forge.asked()
	replicas[1]()
	restarted := w.start()
	extra := w.job("extra", prowv1.PendingState)
	w.until("a report after the restart", func() bool { return w.recorded(extra) == prowv1.PendingState })
	restarted()
	// Before its first report crier looks whether one that died has told it; this
	// forge does not know such questions, so it is asked twice.
	if n := w.forge.asked() - before; n > 3 {
		t.Errorf("%d requests after the restart, want those about the new job only", n)
	}
}

// A crier that dies at any of its records, or whose record is written without an
// answer, leaves it to the next one to tell the rest. Only a state whose record was
// cut off may be told again.
func TestACrierThatDiesAtAnyRecordTellsTheRestOnce(t *testing.T) {
	const count = 6
	for n := range 6 {
		w := newWorld(t)
		proxy := w.cluster.Proxy(t)
		w.options.Kubernetes.Kubeconfig, w.options.NoLeaderElection = proxy.KubeconfigPath, true
		w.options.GitHubWorkers = 1
		var jobs []*prowv1.ProwJob
		for i := range count {
			jobs = append(jobs, w.job(fmt.Sprintf("job-%d", i), prowv1.PendingState))
		}
		cut := proxy.CutAfter(n/2*2, n%2 == 1)
		stop := w.start()
		<-cut
		stop()
		proxy.Heal()
		w.start()
		twice := 0
		for _, j := range jobs {
			w.until(j.Name+" recorded", func() bool { return w.recorded(j) == prowv1.PendingState })
			switch got := w.forge.states(j.Name); got {
			case "pending":
			case "pending,pending":
				twice++
			default:
				t.Errorf("death %d: %s was told %q", n, j.Name, got)
			}
		}
		if twice > 1 || n%2 == 1 && twice > 0 {
			t.Errorf("death %d: %d jobs were told twice", n, twice)
		}
	}
}

func TestDryRunTellsAndRecordsNothing(t *testing.T) {
	w := newWorld(t)
	j := w.job("a", prowv1.PendingState)
	stop := w.start(func(o *Options) { o.DryRun = true })
	real := w.start(func(o *Options) { o.Enablement.DisabledOrgs = []string{"o"} })
	other := w.job("b", prowv1.PendingState)
	other.Spec.Refs.Org = "another"
	if err := w.jobs.Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	w.until("a report of the replica that is no dry run", func() bool { return w.recorded(other) == prowv1.PendingState })
	stop()
	real()
	if w.recorded(j) != "" || w.forge.states("a") != "" || w.forge.states("b") != "pending" {
		t.Errorf("recorded %q, told %q and %q", w.recorded(j), w.forge.states("a"), w.forge.states("b"))
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no workers":       {nil, "no reporter is enabled"},
		"negative workers": {[]string{"--gerrit-workers=-1", "--github-workers=1"}, "--gerrit-workers must not be negative"},
		"storage only":     {[]string{"--blob-storage-workers=1"}, ""},
		"a bad endpoint does not matter without GitHub": {[]string{"--blob-storage-workers=1", "--github-endpoint=:"}, ""},
		"a bad endpoint with GitHub":                    {[]string{"--github-workers=1", "--github-endpoint=:"}, "--github-endpoint"},
		"Slack without tokens":                          {[]string{"--slack-workers=1"}, "--slack-token-file"},
		"Slack with a further token":                    {[]string{"--slack-workers=1", "--additional-slack-token-files=host=/x"}, ""},
		"a Slack token without a host":                  {[]string{"--slack-workers=1", "--additional-slack-token-files=/x"}, "host=path"},
		"two Slack tokens for a host":                   {[]string{"--slack-workers=1", "--additional-slack-token-files=h=/x", "--additional-slack-token-files=h=/y"}, "two token files"},
		"a fraction above one":                          {[]string{"--kubernetes-blob-storage-workers=1", "--kubernetes-report-fraction=1.1"}, "between 0 and 1"},
		"a cookie file that is missing":                 {[]string{"--gerrit-workers=1", "--cookiefile=" + dir + "/none"}, "--cookiefile"},
		"a cookie file without Gerrit":                  {[]string{"--pubsub-workers=1", "--cookiefile=" + dir + "/none"}, ""},
		"flags that never did anything":                 {[]string{"--resultstore-workers=1", "--gerrit-projects=x=y", "--num-workers=3"}, ""},
		"a repository that is none":                     {[]string{"--github-workers=1", "--github-enabled-repo=o"}, "org/repo"},
		"an org that is enabled and disabled":           {[]string{"--github-workers=1", "--github-enabled-org=o", "--github-disabled-org=o"}, "both name o"},
	} {
		t.Run(name, func(t *testing.T) {
			var o Options
			fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
			fs.SetOutput(new(strings.Builder))
			o.Bind(fs)
			if err := fs.Parse(append([]string{"--config-path=" + path}, tc.args...)); err != nil {
				t.Fatal(err)
			}
			err := o.Validate()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSlackNeedsConfiguration(t *testing.T) {
	w := newWorld(t)
	o := w.options
	o.SlackWorkers, o.SlackTokenFile = 1, filepath.Join(t.TempDir(), "token")
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	if err := Run(t.Context(), rt, &o); err == nil || !strings.Contains(err.Error(), "slack_reporter_configs") {
		t.Errorf("got %v", err)
	}
}

// kubeconfig lets the program have a file of its own, which write fills: with the
// service cluster, reached as host if that is not empty, and a build cluster.
func (w *world) kubeconfig() (write func(host, build string)) {
	w.t.Helper()
	base, err := clientcmd.LoadFromFile(w.cluster.KubeconfigPath)
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	w.options.Kubernetes.Kubeconfig, w.options.kubeconfigPolling = path, 50*time.Millisecond
	write = func(host, build string) {
		w.t.Helper()
		c := base.DeepCopy()
		for _, cluster := range c.Clusters {
			if host != "" {
				cluster.Server = strings.Replace(cluster.Server, "127.0.0.1", host, 1)
			}
			if build != "" {
				c.Contexts[build] = c.Contexts[c.CurrentContext]
			}
		}
		if err := clientcmd.WriteToFile(*c, path); err != nil {
			w.t.Fatal(err)
		}
	}
	write("", "")
	return write
}

func TestBuildClustersFollowTheFiles(t *testing.T) {
	w := newWorld(t)
	write := w.kubeconfig()
	raw := fmt.Sprintf("prowjob_namespace: %[1]s\npod_namespace: %[1]s\nplank: {default_decoration_config_entries: [{config: {gcs_configuration: {bucket: 'file://%[2]s', path_strategy: explicit}}}]}\n", w.ns, t.TempDir())
	if err := os.WriteFile(w.options.Config.ConfigPath, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(func(o *Options) { o.GitHubWorkers, o.KubernetesBlobStorageWorkers = 0, 2 })
	told := func(j *prowv1.ProwJob) bool {
		var now prowv1.ProwJob
		return w.jobs.Get(context.Background(), client.ObjectKeyFromObject(j), &now) == nil && now.Status.PrevReportStates[kubernetes.Name] != ""
	}
	ended := func(name, cluster string) *prowv1.ProwJob {
		j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ns}, Spec: prowv1.ProwJobSpec{
			Type: prowv1.PeriodicJob, Job: name, Agent: prowv1.KubernetesAgent, Cluster: cluster,
		}}
		now := metav1.Now()
		j.Status = prowv1.ProwJobStatus{State: prowv1.SuccessState, StartTime: now, PendingTime: &now, CompletionTime: &now, BuildID: "1", PodName: name}
		if err := w.jobs.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	here, there := ended("here", ""), ended("there", "late")
	w.until("the job of the cluster that is known is told", func() bool { return told(here) })
	if told(there) {
		t.Fatal("a job of a cluster that nobody knows counts as told")
	}
	write("", "late")
	w.until("the job of the cluster that came is told", func() bool { return told(there) })
}

func TestAnotherServiceClusterEndsTheProgram(t *testing.T) {
	w := newWorld(t)
	write := w.kubeconfig()
	ended := make(chan error, 1)
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	go func() { ended <- Run(t.Context(), rt, &w.options) }()
	<-rt.Ready()
	write("localhost", "")
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestItEndsThoughTheAPIServerNeverAnswers: a lost lead or a signal must end the
// program before its cache is full, too.
func TestItEndsThoughTheAPIServerNeverAnswers(t *testing.T) {
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/prowjobs"):
			select {
			case asked <- struct{}{}:
			default:
			}
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		case r.URL.Path == "/api":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"APIVersions","versions":[]}`))
		case r.URL.Path == "/apis":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"prow.k8s.io","versions":[{"groupVersion":"prow.k8s.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"prow.k8s.io/v1","version":"v1"}}]}`))
		case r.URL.Path == "/apis/prow.k8s.io/v1":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"prow.k8s.io/v1","resources":[{"name":"prowjobs","singularName":"prowjob","namespaced":true,"kind":"ProwJob","verbs":["get","list","watch","patch"]}]}`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubeconfig := write("kubeconfig", `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"`+server.URL+`"}}],"contexts":[{"name":"c","context":{"cluster":"c"}}]}`)
	var o Options
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse([]string{"--config-path=" + write("config.yaml", ""), "--kubeconfig=" + kubeconfig, "--no-in-cluster-config", "--blob-storage-workers=1"}); err != nil {
		t.Fatal(err)
	}
	o.NoLeaderElection = true
	w := &world{t: t, options: o}
	stop := w.start()
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Fatal("the API server is not asked")
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}
