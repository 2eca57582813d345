package webhookserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

var quick = template{hosts: []string{"prowjob-admission-webhook.default.svc", "127.0.0.1"}, expiry: year, quick: true}

func TestACertificateIsReplacedWhenItDoesNotServe(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	good, err := issue(quick, now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := issue(quick, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		bundle Bundle
		hosts  []string
		after  time.Duration
		want   error
	}{
		"a good one serves":             {*good, quick.hosts, 0, nil},
		"one that expires in ten weeks": {*good, quick.hosts, year - 70*24*time.Hour, nil},
		"one that expires in a month":   {*good, quick.hosts, year - 30*24*time.Hour, errExpires},
		"an expired one":                {*good, quick.hosts, year + time.Hour, errExpires},
		"another name":                  {*good, []string{"other.svc"}, 0, errNames},
		"another authority":             {Bundle{good.Cert, good.Key, other.CA}, quick.hosts, 0, errIncomplete},
		"another key":                   {Bundle{good.Cert, other.Key, good.CA}, quick.hosts, 0, errIncomplete},
		"no authority":                  {Bundle{good.Cert, good.Key, nil}, quick.hosts, 0, errIncomplete},
		"half a file":                   {Bundle{good.Cert[:100], good.Key, good.CA}, quick.hosts, 0, errIncomplete},
	} {
		want := quick
		want.hosts = tc.hosts
		if _, err := want.check(&tc.bundle, now.Add(tc.after)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestTheKeyIsForTheServerAlone(t *testing.T) {
	dir := directory(filepath.Join(t.TempDir(), "ca"))
	if b, err := dir.load(t.Context()); b != nil || err != nil {
		t.Fatalf("an empty directory: %v, %v", b, err)
	}
	want, err := issue(quick, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.load(t.Context())
	if err != nil || !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Cert, want.Cert) || !bytes.Equal(got.CA, want.CA) {
		t.Errorf("got %v, %v", got, err)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "privKeyFile.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(string(dir), name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestSecretManager(t *testing.T) {
	var mu sync.Mutex
	versions, exists := []string(nil), false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch r.Method + " " + r.URL.RequestURI() {
		case "GET /v1/projects/p/secrets/s/versions/latest:access":
			if len(versions) == 0 {
				w.WriteHeader(404)
				return
			}
			_, _ = io.WriteString(w, `{"name":"x","payload":{"data":"`+versions[len(versions)-1]+`"}}`)
		case "POST /v1/projects/p/secrets?secretId=s":
			if exists {
				w.WriteHeader(409)
				return
			}
			exists = true
			_, _ = io.WriteString(w, "{}")
		case "POST /v1/projects/p/secrets/s:addVersion":
			var in struct{ Payload struct{ Data string } }
			if err := json.Unmarshal(body, &in); err != nil || !exists {
				w.WriteHeader(400)
				return
			}
			versions = append(versions, in.Payload.Data)
			_, _ = io.WriteString(w, "{}")
		default:
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	s := &secretManager{client: server.Client(), base: server.URL, project: "p", secret: "s"}
	if b, err := s.load(t.Context()); b != nil || err != nil {
		t.Fatalf("no secret: %v, %v", b, err)
	}
	for _, key := range []string{"one", "two"} {
		if err := s.save(t.Context(), &Bundle{Cert: []byte("cert"), Key: []byte(key), CA: []byte("ca")}); err != nil {
			t.Fatal(err)
		}
		if b, err := s.load(t.Context()); err != nil || string(b.Key) != key || string(b.CA) != "ca" || string(b.Cert) != "cert" {
			t.Fatalf("got %v, %v", b, err)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(versions[1])
	if err != nil || string(raw) != `{"caBundle.pem":"ca","certFile.pem":"cert","privKeyFile.pem":"two"}` {
		t.Errorf("the secret is %s, %v", raw, err)
	}
	s.project = "other"
	if _, err := s.load(t.Context()); err == nil || strings.Contains(err.Error(), "two") {
		t.Errorf("a failure: %v", err)
	}
}

func TestRefuse(t *testing.T) {
	clusters := map[string]string{"default": "Reachable", "gpu": "Unreachable"}
	for name, tc := range map[string]struct {
		agent    prowv1.ProwJobAgent
		cluster  string
		clusters map[string]string
		refused  bool
	}{
		"a known cluster":                  {"kubernetes", "gpu", clusters, false},
		"the default cluster":              {"kubernetes", "", clusters, false},
		"an unknown cluster":               {"kubernetes", "nosuch", clusters, true},
		"nothing is known of clusters":     {"kubernetes", "nosuch", nil, false},
		"jenkins with a cluster":           {"jenkins", "gpu", clusters, true},
		"jenkins":                          {"jenkins", "", clusters, false},
		"tekton is for its own controller": {"tekton-pipeline", "nosuch", clusters, false},
	} {
		job := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Agent: tc.agent, Cluster: tc.cluster}}
		if got := refuse(job, tc.clusters); (got != "") != tc.refused {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func load(t *testing.T, text string) (*config.Config, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, path
}

const decoration = `
plank:
  default_decoration_config_entries:
  - config:
      timeout: 1h
      grace_period: 10s
      gcs_configuration: {bucket: gs://all, path_strategy: explicit}
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
  - repo: o/r
    config: {timeout: 2h}
`

func TestMutateFillsInWhatTheJobLeavesOpen(t *testing.T) {
	cfg, _ := load(t, decoration)
	j := &Judge{Config: func() *config.Config { return cfg }}
	own := &prowv1.DecorationConfig{GracePeriod: &prowv1.Duration{Duration: time.Minute}}
	for name, tc := range map[string]struct {
		spec    prowv1.ProwJobSpec
		timeout time.Duration
		grace   time.Duration
	}{
		"a job of a repository":           {prowv1.ProwJobSpec{Refs: &prowv1.Refs{Org: "o", Repo: "r"}}, 2 * time.Hour, 10 * time.Second},
		"a periodic with extra refs":      {prowv1.ProwJobSpec{ExtraRefs: []prowv1.Refs{{Org: "o", Repo: "r"}}, DecorationConfig: own}, 2 * time.Hour, time.Minute},
		"a job of no repository":          {prowv1.ProwJobSpec{}, time.Hour, 10 * time.Second},
		"the job's own values win":        {prowv1.ProwJobSpec{DecorationConfig: own}, time.Hour, time.Minute},
		"a repository without an entry":   {prowv1.ProwJobSpec{Refs: &prowv1.Refs{Org: "o", Repo: "other"}}, time.Hour, 10 * time.Second},
		"refs of something without a org": {prowv1.ProwJobSpec{Refs: &prowv1.Refs{}}, time.Hour, 10 * time.Second},
	} {
		raw, err := json.Marshal(&prowv1.ProwJob{Spec: tc.spec})
		if err != nil {
			t.Fatal(err)
		}
		got, err := j.Mutate(nil, &admissionv1.AdmissionRequest{Operation: "CREATE", Object: runtime.RawExtension{Raw: raw}})
		if err != nil || !got.Allowed {
			t.Fatalf("%s: %v %v", name, got, err)
		}
		var patch []struct {
			Op, Path string
			Value    prowv1.DecorationConfig
		}
		if err := json.Unmarshal(got.Patch, &patch); err != nil || len(patch) != 1 || patch[0].Path != "/spec/decoration_config" {
			t.Fatalf("%s: %s %v", name, got.Patch, err)
		}
		if v := patch[0].Value; v.Timeout.Duration != tc.timeout || v.GracePeriod.Duration != tc.grace || v.GCSConfiguration.Bucket != "gs://all" {
			t.Errorf("%s: %s", name, got.Patch)
		}
	}
	if got, err := j.Mutate(nil, &admissionv1.AdmissionRequest{Operation: "UPDATE"}); err != nil || !got.Allowed || got.Patch != nil {
		t.Errorf("an update: %v %v", got, err)
	}
}

// program runs the server until stop is called. In a real cluster the API
// server reaches it as a service; here it reaches it by address.
func program(t *testing.T, o Options, kubeconfig string) (stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Local, o.Kubernetes = &Local{Listener: listener}, kube.Flags{Kubeconfig: kubeconfig, NoInClusterConfig: true}
	ctx, cancel := context.WithCancel(t.Context())
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	done := make(chan error, 1)
	go func() { done <- Run(ctx, rt, &o) }()
	select {
	case <-rt.Ready():
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Probe 36: a restart with a stored certificate leaves the CA bundle unchanged
// and webhook calls verified; a ProwJob with an unknown cluster is denied.
func TestProbe36TheAPIServerCallsTheWebhooks(t *testing.T) {
	cluster := kubetest.Start(t)
	ns, dir := cluster.Namespace(t), t.TempDir()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "status.json"), []byte(`{"default":"Reachable"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Config: config.DefaultOptions(), Directory: filepath.Join(dir, "ca"), ExpiryYears: 30, DNS: []string{"x"}, Minutes: 1}
	_, o.Config.ConfigPath = load(t, decoration+"  build_cluster_status_file: file://"+dir+"/status.json\n")

	// A dry run serves and changes nothing.
	proxy := cluster.Proxy(t)
	dry := o
	dry.DryRun = true
	program(t, dry, proxy.KubeconfigPath)()
	if got := proxy.Mutations(); len(got) > 0 {
		t.Errorf("a dry run sent %q", got)
	}
	if _, err := os.Stat(o.Directory); err == nil {
		t.Error("a dry run kept a certificate")
	}

	make := func(name, cluster string, labels map[string]string) (*prowv1.ProwJob, error) {
		j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
			Spec: prowv1.ProwJobSpec{Type: prowv1.PeriodicJob, Job: "unit", Agent: prowv1.KubernetesAgent, Cluster: cluster}}
		j.Status = prowv1.ProwJobStatus{State: prowv1.TriggeredState, StartTime: metav1.Now()}
		return j, c.Create(t.Context(), j)
	}
	// The API server reads webhooks a moment after they are registered.
	denied := func(when string) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			j, err := make("denied", "nosuch", nil)
			if apierrors.IsForbidden(err) && strings.Contains(err.Error(), `there is no build cluster "nosuch"`) {
				return
			}
			if err == nil {
				if err = c.Delete(t.Context(), j); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case <-deadline:
				t.Fatalf("%s: an unknown cluster is accepted: %v", when, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	bundle := func() []byte {
		t.Helper()
		var v admissionregistration.ValidatingWebhookConfiguration
		var m admissionregistration.MutatingWebhookConfiguration
		if err := errors.Join(c.Get(t.Context(), client.ObjectKey{Name: validatingName}, &v), c.Get(t.Context(), client.ObjectKey{Name: mutatingName}, &m)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Webhooks[0].ClientConfig.CABundle, m.Webhooks[0].ClientConfig.CABundle) {
			t.Error("the webhooks trust different authorities")
		}
		return v.Webhooks[0].ClientConfig.CABundle
	}
	stop := program(t, o, cluster.KubeconfigPath)
	denied("first start")
	before := bundle()
	stop()
	defer program(t, o, cluster.KubeconfigPath)()
	if len(before) == 0 || !bytes.Equal(before, bundle()) {
		t.Error("a restart changed the authority")
	}
	denied("after a restart")

	j, err := make("good", "", map[string]string{"admission-webhook": "enabled", "default-me": "enabled"})
	if err != nil {
		t.Fatal(err)
	}
	if d := j.Spec.DecorationConfig; d == nil || d.Timeout == nil || d.Timeout.Duration != time.Hour {
		t.Errorf("defaults are not filled in: %+v", d)
	}
	old := j.DeepCopy()
	j.Spec.MaxConcurrency = 5
	if err := c.Patch(t.Context(), j, client.MergeFrom(old)); !apierrors.IsForbidden(err) {
		t.Errorf("a change of the specification: %v", err)
	}
	j = old.DeepCopy()
	j.Status.State = prowv1.PendingState
	if err := c.Patch(t.Context(), j, client.MergeFrom(old)); err != nil {
		t.Errorf("a change of the status: %v", err)
	}
	if err := c.Delete(t.Context(), j); err != nil {
		t.Errorf("deletion: %v", err)
	}
}

func TestTheServiceIsRegisteredAsInstallationsKnowIt(t *testing.T) {
	v, m := registration{}.validating([]byte("ca")), registration{}.mutating([]byte("ca"))
	for _, got := range []struct {
		config    admissionregistration.WebhookClientConfig
		path      string
		selector  *metav1.LabelSelector
		selectors int
	}{
		{v.Webhooks[0].ClientConfig, "/validate", v.Webhooks[0].ObjectSelector, 1},
		{m.Webhooks[0].ClientConfig, "/mutate", m.Webhooks[0].ObjectSelector, 2},
	} {
		s := got.config.Service
		if s == nil || s.Namespace != "default" || s.Name != "prowjob-admission-webhook" || *s.Path != got.path || got.config.URL != nil || len(got.selector.MatchLabels) != got.selectors {
			t.Errorf("got %+v", got)
		}
	}
}

func TestTheFirstNameSaysWhichServiceIsCalled(t *testing.T) {
	for host, want := range map[string]string{
		"webhook.prow.svc": "prow/webhook", "webhook.prow.svc.cluster.local": "prow/webhook",
		"prow.example.com": "default/prowjob-admission-webhook", "webhook": "default/prowjob-admission-webhook", "": "default/prowjob-admission-webhook",
	} {
		r := registration{service: serviceOf(strings.Fields(host))}
		config := r.clientConfig("/validate", []byte("ca"))
		if got := config.Service.Namespace + "/" + config.Service.Name; got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
		// One that was registered elsewhere before is corrected, and then left alone.
		config.Service.Namespace = "elsewhere"
		if !r.correct(&config, []byte("ca")) || config.Service.Namespace+"/"+config.Service.Name != want || r.correct(&config, []byte("ca")) {
			t.Errorf("%s: corrected to %+v", host, config.Service)
		}
	}
}

func TestOptions(t *testing.T) {
	good := Options{Config: config.Options{ConfigPath: "x"}, Directory: "d", DNS: []string{"n"}, Minutes: 1}
	for name, tc := range map[string]struct {
		edit func(*Options)
		want string
	}{
		"good":                 {func(*Options) {}, ""},
		"a negative expiry":    {func(o *Options) { o.ExpiryYears = -1 }, "--expiry-years"},
		"both places":          {func(o *Options) { o.ProjectID, o.SecretID = "p", "s" }, "--project-id"},
		"no place":             {func(o *Options) { o.Directory = "" }, "--project-id"},
		"a project":            {func(o *Options) { o.Directory, o.ProjectID, o.SecretID = "", "p", "s" }, ""},
		"a project, no secret": {func(o *Options) { o.Directory, o.ProjectID = "", "p" }, "--secret-id"},
	} {
		o := good
		tc.edit(&o)
		if err := o.Validate(); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
