package deck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// site is a running Deck on a real API server with a node.
type site struct {
	t         testing.TB
	url       string
	jobs      client.Client
	namespace string
	// bucket is the directory of artifacts, config the file of the configuration.
	bucket, config string
	metrics        *prometheus.Registry
	// log, if it is set, gets what is logged, too.
	log atomic.Pointer[lockedLines]
}

// lockedLines keeps what is logged.
type lockedLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const baseConfig = `
prowjob_namespace: %[1]s
pod_namespace: %[1]s
plank:
  default_decoration_config_entries:
  - config:
      timeout: 1h
      grace_period: 10s
      gcs_configuration: {bucket: "file://%[2]s", path_strategy: explicit}
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
deck:
  hidden_repos: [secret-org, o/secret]
%[3]sdisabled_clusters: [build08, build08, build01]
github: {link_url: "http://forge.example"}
`

// start serves with these options; extra is appended to the configuration.
func start(t testing.TB, o Options, extra string) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startAt(t, listener, o, extra)
}

// startAt is start for those who have to know the address before.
func startAt(t testing.TB, listener net.Listener, o Options, extra string) *site {
	t.Helper()
	return startIn(t, listener, t.TempDir(), o, extra)
}

// startIn is startAt with a directory for the bucket and the configuration.
func startIn(t testing.TB, listener net.Listener, dir string, o Options, extra string) *site {
	t.Helper()
	cluster := kubetest.Start(t, "--node")
	s := &site{t: t, namespace: cluster.Namespace(t), bucket: filepath.Join(dir, "bucket"), config: filepath.Join(dir, "config.yaml"), metrics: prometheus.NewRegistry()}
	if err := os.MkdirAll(s.bucket, 0o755); err != nil {
		t.Fatal(err)
	}
	s.configure(extra)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if s.jobs, err = client.New(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	o.Config = config.DefaultOptions()
	o.Config.ConfigPath, o.SyncTimeout, o.Spyglass = s.config, 30*time.Second, true
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.NewWatcher(t.Context(), o.Config, live.Options{Interval: 20 * time.Millisecond}, checkLenses(lensMap(o.lenses())))
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	rt := service.NewRuntime(Name, slog.New(slog.NewTextHandler(testLog{t, &s.log}, &slog.HandlerOptions{Level: slog.LevelDebug})), new(slog.LevelVar), s.metrics, new(secret.Store))
	clusters := kube.Clusters{"": rest.CopyConfig(cluster.Config), "default": rest.CopyConfig(cluster.Config)}
	go func() { ended <- serve(ctx, rt, &o, cfg, clusters, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("deck ended with: %v", err)
		}
	})
	select {
	case <-rt.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("deck did not start: %v", err)
	}
	return s
}

type testLog struct {
	t    testing.TB
	also *atomic.Pointer[lockedLines]
}

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	if also := l.also.Load(); also != nil {
		_, _ = also.Write(b)
	}
	return len(b), nil
}

// deckMark begins what belongs to the section deck in a text that is appended to the
// configuration.
const deckMark = "#deck\n"

// deckWith is a key of the section deck.
func deckWith(text string) string { return deckMark + "  " + text + "\n" }

func configText(namespace, bucket, extra string) string {
	section := ""
	if rest, ok := strings.CutPrefix(extra, deckMark); ok {
		end := 0
		for line := range strings.Lines(rest) {
			if !strings.HasPrefix(line, "  ") {
				break
			}
			end += len(line)
		}
		section, extra = rest[:end], rest[end:]
	}
	return fmt.Sprintf(baseConfig, namespace, bucket, section) + extra
}

func (s *site) configure(extra string) {
	s.t.Helper()
	text := configText(s.namespace, s.bucket, extra)
	// A reader must not see a part of it.
	if err := os.WriteFile(s.config+".new", []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.config+".new", s.config); err != nil {
		s.t.Fatal(err)
	}
}

// job is a ProwJob of repository o/r; change may alter it.
func (s *site) job(name string, change func(*v1.ProwJob)) *v1.ProwJob {
	s.t.Helper()
	pj := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace, Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Job: "unit", Cluster: "default",
			Refs: &v1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: strings.Repeat("b", 40), Pulls: []v1.Pull{{Number: 7, Author: "ann", SHA: strings.Repeat("a", 40), Title: "Fix it"}}},
			DecorationConfig: &v1.DecorationConfig{
				GCSConfiguration: &v1.GCSConfiguration{Bucket: "file://" + s.bucket, PathStrategy: v1.PathStrategyExplicit},
			},
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "img"}}},
		},
		Status: v1.ProwJobStatus{StartTime: metav1.NewTime(time.Now().Truncate(time.Second)), State: v1.TriggeredState},
	}
	if change != nil {
		change(pj)
	}
	if err := s.jobs.Create(s.t.Context(), pj); err != nil {
		s.t.Fatal(err)
	}
	return pj
}

func (s *site) update(pj *v1.ProwJob, change func(*v1.ProwJob)) {
	s.t.Helper()
	change(pj)
	if err := s.jobs.Update(s.t.Context(), pj); err != nil {
		s.t.Fatal(err)
	}
}

// runPod runs a shell script as the pod of a job.
func (s *site) runPod(pj *v1.ProwJob, script string) *corev1.Pod {
	s.t.Helper()
	zero := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: pj.Name, Namespace: s.namespace},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &zero,
			Containers: []corev1.Container{{Name: "test", Image: "img", Command: []string{"/bin/sh", "-c", script}}},
		},
	}
	if err := s.jobs.Create(s.t.Context(), pod); err != nil {
		s.t.Fatal(err)
	}
	return pod
}

// store puts a file into the directory of artifacts.
func (s *site) store(key, content string) {
	s.t.Helper()
	path := filepath.Join(s.bucket, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// dir is where a job stores its files, as a key.
func (s *site) dir(pj *v1.ProwJob) string {
	s.t.Helper()
	dir, err := artifacts.PathForSpec(pj.Spec.DecorationConfig.GCSConfiguration, artifacts.RunOf(pj))
	if err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// view is the address of a run's page.
func (s *site) view(pj *v1.ProwJob) string { return "/view/file" + s.bucket + "/" + s.dir(pj) }

type answer struct {
	*http.Response
	body string
}

func (s *site) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, headers...)
}

func (s *site) do(method, path string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	// The path is sent as it is written, however hostile.
	raw, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+raw, query
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// eventually waits until a page has a text.
func (s *site) eventually(path string, want ...string) answer {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		a := s.get(path)
		missing := ""
		for _, w := range want {
			if !strings.Contains(a.body, w) {
				missing = w
			}
		}
		if missing == "" {
			return a
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s never had %q:\n%.3000s", path, a.Status, missing, a.body)
		}
		select {
		case <-s.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func names(t testing.TB, body string) []string {
	t.Helper()
	var list v1.ProwJobList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out := []string{}
	for _, pj := range list.Items {
		out = append(out, pj.Name)
	}
	return out
}

func contains(t testing.TB, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%.4000s", what, w, text)
		}
	}
}

func lacks(t testing.TB, what, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("%s has %q:\n%.4000s", what, w, text)
		}
	}
}

func numbered(n int) string {
	var b bytes.Buffer
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "line number %d\n", i)
	}
	return b.String()
}
