package kubernetes

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube/kubetest"
	"prow/internal/storage/providers"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// world is a real API server with a namespace for pods, and storage in a directory.
type world struct {
	t      *testing.T
	dir    string
	ns     string
	client kubernetes.Interface
	api    ctrlclient.Client
	r      *Reporter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cluster := kubetest.Start(t)
	w := &world{t: t, dir: t.TempDir(), ns: cluster.Namespace(t)}
	var err error
	if w.client, err = kubernetes.NewForConfig(cluster.Config); err != nil {
		t.Fatal(err)
	}
	if w.api, err = ctrlclient.New(cluster.Config, ctrlclient.Options{}); err != nil {
		t.Fatal(err)
	}
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	yaml := "pod_namespace: " + w.ns + "\nplank: {default_decoration_config_entries: [{config: {gcs_configuration: {bucket: 'file://" + w.dir + "', path_strategy: explicit}}}]}"
	if err := os.WriteFile(opts.ConfigPath, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	w.r = &Reporter{
		Cluster: func(alias string) (ctrlclient.Client, error) {
			if alias != "default" {
				return nil, fmt.Errorf("there is no build cluster %q", alias)
			}
			return w.api, nil
		},
		Storage: providers.New(providers.Credentials{}), Config: func() *config.Config { return cfg }, Fraction: 1, Log: slog.New(slog.DiscardHandler),
	}
	return w
}

func job(name string, state prowv1.ProwJobState, complete bool) *prowv1.ProwJob {
	pending := metav1.Now()
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: prowv1.ProwJobSpec{Type: prowv1.PeriodicJob, Job: "unit", Agent: prowv1.KubernetesAgent}}
	j.Status = prowv1.ProwJobStatus{State: state, BuildID: "17", PodName: name, PendingTime: &pending}
	if complete {
		j.Status.CompletionTime = &pending
	}
	return j
}

func (w *world) pod(name, build string) *corev1.Pod {
	w.t.Helper()
	pod, err := w.client.CoreV1().Pods(w.ns).Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{prowv1.BuildIDLabel: build}, Finalizers: []string{"example.com/other"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "x"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

func (w *world) finalized(name string) bool {
	w.t.Helper()
	pod, err := w.client.CoreV1().Pods(w.ns).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.Contains(pod.Finalizers, "example.com/other") {
		w.t.Error("the finalizer of somebody else is gone")
	}
	return slices.Contains(pod.Finalizers, Finalizer)
}

func (w *world) report(j *prowv1.ProwJob) (reported int, again time.Duration) {
	w.t.Helper()
	done, again, err := w.r.Report(w.t.Context(), j)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(done), again
}

func (w *world) info() (info PodInfo, ok bool) {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, "logs/unit/17/podinfo.json"))
	if err != nil {
		return info, false
	}
	if err := json.Unmarshal(content, &info); err != nil || !strings.Contains(string(content), "{\n\t\"pod\": {") {
		w.t.Fatalf("podinfo.json: %v: %s", err, content)
	}
	return info, true
}

func TestProbe32TheFinalizerKeepsAPodUntilItIsStored(t *testing.T) {
	w := newWorld(t)
	pod := w.pod("a", "17")
	for range 2 {
		if n, again := w.report(job("a", prowv1.PendingState, false)); n != 1 || again != 0 {
			t.Errorf("%d reported, again in %s", n, again)
		}
	}
	if !w.finalized("a") {
		t.Fatal("a running pod has no finalizer")
	}
	for i, uid := range []string{string(pod.UID), "other"} {
		_, err := w.client.CoreV1().Events(w.ns).Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprint("event-", i)},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "a", Namespace: w.ns, UID: pod.UID + "", FieldPath: uid}, Reason: uid,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := w.report(job("a", prowv1.SuccessState, true)); n != 1 {
		t.Error("not reported")
	}
	info, ok := w.info()
	if !ok || info.Pod == nil || info.Pod.Name != "a" || len(info.Events) != 2 || info.Node != nil {
		t.Errorf("podinfo.json: %+v", info)
	}
	if w.finalized("a") {
		t.Error("the finalizer stays")
	}
}

func TestProbe32AnAbortedJobWaitsForItsEnd(t *testing.T) {
	w := newWorld(t)
	w.pod("a", "17")
	w.report(job("a", prowv1.PendingState, false))
	if err := w.client.CoreV1().Pods(w.ns).Delete(t.Context(), "a", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	if n, again := w.report(job("a", prowv1.AbortedState, false)); n != 0 || again != 10*time.Second {
		t.Errorf("%d reported, again in %s", n, again)
	}
	if n, again := w.report(job("a", prowv1.AbortedState, true)); n != 1 || again != 0 {
		t.Errorf("%d reported, again in %s", n, again)
	}
	if _, ok := w.info(); !ok || w.finalized("a") {
		t.Error("the pod is kept, or was not stored")
	}
}

func TestAPodThatIsBeingDeletedGetsNoFinalizer(t *testing.T) {
	w := newWorld(t)
	pod := w.pod("a", "17")
	if err := w.client.CoreV1().Pods(w.ns).Delete(t.Context(), "a", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	if n, _ := w.report(job("a", prowv1.PendingState, false)); n != 1 || w.finalized("a") {
		t.Errorf("%d reported", n)
	}
	// The same where the pod looked alive a moment before.
	if err := addFinalizer(t.Context(), w.api, pod); err != nil && !apierrors.IsConflict(err) {
		t.Errorf("got %v", err)
	}
}

func TestAPodThatVanishedIsNoError(t *testing.T) {
	w := newWorld(t)
	if n, again := w.report(job("a", prowv1.PendingState, false)); n != 0 || again == 0 {
		t.Errorf("a job that runs: %d reported, again in %s", n, again)
	}
	if n, _ := w.report(job("a", prowv1.FailureState, true)); n != 1 {
		t.Error("a job that has ended is not reported")
	}
	w.pod("b", "another-build")
	if n, _ := w.report(job("b", prowv1.FailureState, true)); n != 1 {
		t.Error("a job whose pod belongs to another run is not reported")
	}
	if _, ok := w.info(); ok {
		t.Error("podinfo.json without a pod")
	}
}

func TestWhichJobsAreTaken(t *testing.T) {
	r := &Reporter{Fraction: 1}
	if !r.ShouldReport(t.Context(), job("a", prowv1.PendingState, false)) {
		t.Error("a job with a pod is not taken")
	}
	for name, change := range map[string]func(*prowv1.ProwJob){
		"another agent": func(j *prowv1.ProwJob) { j.Spec.Agent = prowv1.JenkinsAgent },
		"no pod yet":    func(j *prowv1.ProwJob) { j.Status.PendingTime = nil },
		"no build id":   func(j *prowv1.ProwJob) { j.Status.BuildID = "" },
	} {
		j := job("a", prowv1.PendingState, false)
		change(j)
		if r.ShouldReport(t.Context(), j) {
			t.Errorf("%s: taken", name)
		}
	}
	taken := 0
	for i := range 2000 {
		if sampled(fmt.Sprint("job-", i), 0.25) {
			taken++
		}
	}
	if taken < 400 || taken > 600 || sampled("x", 0) {
		t.Errorf("%d of 2000 are taken, want about 500", taken)
	}
}

func TestAClusterThatIsNotKnownIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	j := job("a", prowv1.PendingState, false)
	j.Spec.Cluster = "nowhere"
	if _, _, err := w.r.Report(t.Context(), j); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}
