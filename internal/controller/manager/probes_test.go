package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(kubetest.Run(m))
}

// far is a build cluster that does what the test says: the API server behind a
// gate.
type far struct {
	*httptest.Server
	// mode is "open", "failing" or "hanging".
	mode atomic.Value
}

func newFar(t *testing.T, to *rest.Config, mode string) *far {
	t.Helper()
	target, err := url.Parse(to.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(to)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	f := &far{}
	f.mode.Store(mode)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch f.mode.Load() {
		case "failing":
			http.Error(w, "out of order", http.StatusBadGateway)
		case "hanging":
			// A body that is not read hides that the client left.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	// Close would wait for the watches.
	t.Cleanup(func() { _ = f.Config.Close() })
	return f
}

// installation is a prow-controller-manager with files of its own.
type installation struct {
	t       *testing.T
	ns      string
	client  client.Client
	options *Options
	files   string
	rt      *service.Runtime
	reg     *prometheus.Registry
	base    *clientcmdapi.Config
}

func newInstallation(t *testing.T, configuration string) *installation {
	t.Helper()
	return newInstallationOn(t, kubetest.Start(t), configuration)
}

func newInstallationOn(t *testing.T, cluster *kubetest.Cluster, configuration string) *installation {
	t.Helper()
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	in := &installation{t: t, ns: cluster.Namespace(t), files: t.TempDir()}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if in.client, err = client.New(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if in.base, err = clientcmd.LoadFromFile(cluster.KubeconfigPath); err != nil {
		t.Fatal(err)
	}
	in.write("config.yaml", fmt.Sprintf("prowjob_namespace: %s\npod_namespace: %s\n%s", in.ns, in.ns, configuration))
	in.kubeconfig(nil)
	cfg := config.DefaultOptions()
	cfg.ConfigPath = filepath.Join(in.files, "config.yaml")
	in.options = &Options{
		Config: cfg, Kubernetes: kube.Flags{Kubeconfig: filepath.Join(in.files, "kubeconfig")}, Controllers: []string{plankController},
		kubeconfigPolling: 100 * time.Millisecond,
	}
	return in
}

func (in *installation) write(name, content string) {
	in.t.Helper()
	path := filepath.Join(in.files, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		in.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		in.t.Fatal(err)
	}
}

// kubeconfig writes the file: the service cluster, and build clusters by alias.
func (in *installation) kubeconfig(build map[string]string) {
	in.t.Helper()
	c := in.base.DeepCopy()
	for alias, host := range build {
		c.Clusters[alias] = &clientcmdapi.Cluster{Server: host}
		c.Contexts[alias] = &clientcmdapi.Context{Cluster: alias}
	}
	raw, err := clientcmd.Write(*c)
	if err != nil {
		in.t.Fatal(err)
	}
	in.write("kubeconfig", string(raw))
}

// start runs the program; the returned function ends it and tells how it ended.
func (in *installation) start() (stop func() error) {
	in.t.Helper()
	in.reg = prometheus.NewRegistry()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(in.t.Output(), nil))
	}
	in.rt = service.NewRuntime(Name, log, new(slog.LevelVar), in.reg, new(secret.Store))
	ctx, cancel := context.WithCancel(in.t.Context())
	done := make(chan struct{})
	var err error
	rt := in.rt
	go func() {
		defer close(done)
		err = Run(ctx, rt, in.options)
	}()
	stop = func() error {
		cancel()
		<-done
		return err
	}
	in.t.Cleanup(func() { _ = stop() })
	return stop
}

// startUntilItEnds runs the program until it ends by itself.
func (in *installation) startUntilItEnds() <-chan error {
	in.reg = prometheus.NewRegistry()
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), in.reg, new(secret.Store))
	in.rt = rt
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(in.t.Context())
	in.t.Cleanup(cancel)
	go func() { ended <- Run(ctx, rt, in.options) }()
	return ended
}

func (in *installation) job(cluster string, tweak ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	in.t.Helper()
	j := prowjob.New(prowv1.ProwJobSpec{
		Type: prowv1.PeriodicJob, Job: "unit", Agent: prowv1.KubernetesAgent, Cluster: cluster,
		PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image", Command: []string{"true"}}}},
	}, nil, nil, prowjob.InNamespace(in.ns))
	for _, f := range tweak {
		f(j)
	}
	if err := in.client.Create(in.t.Context(), j); err != nil {
		in.t.Fatal(err)
	}
	return j
}

func (in *installation) until(what string, ok func() bool) {
	in.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			in.t.Fatalf("waited too long for %s", what)
		}
	}
}

func (in *installation) untilJob(j *prowv1.ProwJob, ok func(prowv1.ProwJobStatus) bool) prowv1.ProwJobStatus {
	in.t.Helper()
	var got prowv1.ProwJob
	for deadline := time.Now().Add(60 * time.Second); ; <-time.After(20 * time.Millisecond) {
		if err := in.client.Get(in.t.Context(), client.ObjectKeyFromObject(j), &got); err != nil {
			in.t.Fatal(err)
		}
		if ok(got.Status) {
			return got.Status
		}
		if time.Now().After(deadline) {
			in.t.Fatalf("waited too long; the job is %+v", got.Status)
		}
	}
}

func state(s prowv1.ProwJobState) func(prowv1.ProwJobStatus) bool {
	return func(st prowv1.ProwJobStatus) bool { return st.State == s }
}

func reason(r prowv1.Reason) func(prowv1.ProwJobStatus) bool {
	return func(st prowv1.ProwJobStatus) bool { return st.Reason == r }
}

func (in *installation) failures(alias string) float64 {
	in.t.Helper()
	families, err := in.reg.Gather()
	if err != nil {
		in.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "kubernetes_failed_client_creations" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == alias {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestProbe13AnUnreachableClusterIsServedOnceItHealsAndDisturbsNobody(t *testing.T) {
	in := newInstallation(t, "")
	f := newFar(t, kubetest.Start(t).Config, "failing")
	in.kubeconfig(map[string]string{"far": f.URL})
	stop := in.start()
	waits := in.job("far")
	in.untilJob(in.job(""), state(prowv1.PendingState))
	in.untilJob(waits, reason(prowv1.ReasonWaitingForCluster))
	in.until("the metric", func() bool { return in.failures("far") > 0 })
	f.mode.Store("open")
	if st := in.untilJob(waits, state(prowv1.PendingState)); st.Reason != "" {
		t.Errorf("the reason stays: %+v", st)
	}
	// It hangs in the middle of everything.
	f.mode.Store("hanging")
	stuck := in.job("far")
	for range 15 {
		in.job("far")
	}
	begun := time.Now()
	in.untilJob(in.job(""), state(prowv1.PendingState))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a cluster that hangs slows another: %s", took)
	}
	f.mode.Store("open")
	f.CloseClientConnections()
	in.untilJob(stuck, state(prowv1.PendingState))
	if err := stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestProbe14KubeconfigFilesAreFollowedWithoutARestart(t *testing.T) {
	in := newInstallation(t, "")
	f := newFar(t, kubetest.Start(t).Config, "open")
	stop := in.start()
	in.untilJob(in.job("late"), reason(prowv1.ReasonUnknownCluster))

	in.write("kubeconfig", "contexts: [this is no kubeconfig")
	in.until("the metric", func() bool { return in.failures("") > 0 })
	in.untilJob(in.job(""), state(prowv1.PendingState))

	in.kubeconfig(map[string]string{"late": f.URL})
	in.until("the cluster", func() bool {
		j := in.job("late")
		st := in.untilJob(j, func(st prowv1.ProwJobStatus) bool { return st.State != prowv1.TriggeredState || st.Reason != "" })
		return st.State == prowv1.PendingState || st.Reason == prowv1.ReasonWaitingForCluster
	})
	in.untilJob(in.job("late"), state(prowv1.PendingState))

	in.kubeconfig(nil)
	in.until("the cluster to leave", func() bool {
		st := in.untilJob(in.job("late"), func(st prowv1.ProwJobStatus) bool { return st.State != prowv1.TriggeredState || st.Reason != "" })
		return st.Reason == prowv1.ReasonWaitingForCluster
	})
	select {
	case <-in.rt.Ready():
	default:
		t.Error("it is not ready")
	}
	if err := stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestProbe14TheProcessEndsWhenTheServiceClusterIsReachedInAnotherWay(t *testing.T) {
	in := newInstallation(t, "")
	in.options.NoLeaderElection = true
	ended := in.startUntilItEnds()
	<-in.rt.Ready()
	if err := os.Chmod(filepath.Join(in.files, "kubeconfig"), 0o640); err != nil {
		t.Fatal(err)
	}
	in.untilJob(in.job(""), state(prowv1.PendingState))
	select {
	case err := <-ended:
		t.Fatalf("a change of permissions ended it: %v", err)
	default:
	}
	for _, c := range in.base.Clusters {
		c.Server = strings.Replace(c.Server, "127.0.0.1", "localhost", 1)
	}
	in.kubeconfig(nil)
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestProbe15TheClusterStatusFileTellsOfEveryContext(t *testing.T) {
	out := t.TempDir()
	in := newInstallation(t, "plank:\n  build_cluster_status_file: file://"+out+"/status/clusters.json\n")
	f := newFar(t, kubetest.Start(t).Config, "failing")
	in.kubeconfig(map[string]string{"far": f.URL})
	in.start()
	var got map[string]string
	in.until("the file", func() bool {
		raw, err := os.ReadFile(filepath.Join(out, "status", "clusters.json"))
		if err != nil {
			return false
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		return true
	})
	if got["far"] != "No-Manager" || got[""] != "Reachable" || got["default"] != "Reachable" || len(got) != len(in.base.Contexts)+3 {
		t.Errorf("the file tells %v", got)
	}
}

func TestProbe16TheSchedulerChoosesClusters(t *testing.T) {
	asked := atomic.Int32{}
	answer := atomic.Int32{}
	answer.Store(http.StatusOK)
	scheduling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == `{"job":"unit"}` && r.Header.Get("Content-Type") == "application/json" && r.Method == http.MethodPost {
			asked.Add(1)
		}
		w.WriteHeader(int(answer.Load()))
		_, _ = io.WriteString(w, `{"cluster":"chosen"}`)
	}))
	defer scheduling.Close()
	scheduled := func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState }
	run := func(configuration string) *installation {
		in := newInstallation(t, "scheduler:\n  enabled: true\n"+configuration)
		in.options.Controllers = []string{schedulerController}
		in.start()
		return in
	}
	cluster := func(in *installation, j *prowv1.ProwJob) string {
		in.untilJob(j, state(prowv1.TriggeredState))
		var got prowv1.ProwJob
		if err := in.client.Get(t.Context(), client.ObjectKeyFromObject(j), &got); err != nil {
			t.Fatal(err)
		}
		return got.Spec.Cluster
	}

	in := run("  failover:\n    mappings: {a: b}\n")
	if got := cluster(in, in.job("a", scheduled)); got != "b" {
		t.Errorf("failover chose %q", got)
	}
	if got := cluster(in, in.job("c", scheduled)); got != "c" {
		t.Errorf("failover chose %q for a cluster that is not in the table", got)
	}
	in = run("  external:\n    url: " + scheduling.URL + "\n    cache: {entry_timeout_interval: 1h, cleanup_interval: 1h}\n")
	for range 2 {
		if got := cluster(in, in.job("a", scheduled)); got != "chosen" {
			t.Errorf("the service chose %q", got)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
	answer.Store(http.StatusInternalServerError)
	// Without times nothing is kept, and nothing breaks.
	in = run("  external:\n    url: " + scheduling.URL + "\n")
	if got := cluster(in, in.job("a", scheduled)); got != "a" {
		t.Errorf("a service that fails chose %q", got)
	}
	in = run("")
	if got := cluster(in, in.job("a", scheduled)); got != "a" {
		t.Errorf("without a strategy the cluster is %q", got)
	}
}

func TestProbe39ReadinessAndAGracefulEndThatGivesTheLeaseBack(t *testing.T) {
	in := newInstallation(t, "")
	health := func() int {
		w := httptest.NewRecorder()
		service.HealthHandler(in.rt.Ready()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz/ready", nil))
		return w.Code
	}
	stop := in.start()
	in.until("readiness", func() bool { return health() == http.StatusOK })
	in.untilJob(in.job(""), state(prowv1.PendingState))
	holder := func() string {
		var lease coordinationv1.Lease
		if err := in.client.Get(t.Context(), types.NamespacedName{Namespace: in.ns, Name: leaseName}, &lease); err != nil {
			t.Fatal(err)
		}
		if lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	if holder() == "" {
		t.Error("nobody leads")
	}
	begun := time.Now()
	if err := stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	if holder() != "" {
		t.Error("the lease is not given back")
	}
	// The next one leads at once.
	begun = time.Now()
	in.start()
	in.untilJob(in.job(""), state(prowv1.PendingState))
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("the next leader needed %s", took)
	}
}

func TestADryRunWritesNeitherALeaseNorAStatusFile(t *testing.T) {
	out := t.TempDir()
	in := newInstallation(t, "plank:\n  build_cluster_status_file: file://"+out+"/status/clusters.json\n")
	in.options.DryRun, in.options.Controllers = true, []string{plankController, schedulerController}
	jobs := []*prowv1.ProwJob{in.job(""), in.job("nosuch"), in.job("", func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState })}
	stop := in.start()
	<-in.rt.Ready()
	<-time.After(statusSoon + time.Second)
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, j := range jobs {
		var got prowv1.ProwJob
		if err := in.client.Get(t.Context(), client.ObjectKeyFromObject(j), &got); err != nil || got.ResourceVersion != j.ResourceVersion {
			t.Errorf("a job was changed: %v", err)
		}
	}
	var leases coordinationv1.LeaseList
	if err := in.client.List(t.Context(), &leases, client.InNamespace(in.ns)); err != nil || len(leases.Items) > 0 {
		t.Errorf("leases: %v, %v", leases.Items, err)
	}
	if entries, _ := os.ReadDir(out); len(entries) > 0 {
		t.Errorf("files: %v", entries)
	}
}
