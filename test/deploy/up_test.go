package deploy

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/local"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
)

// upLimit is the time from the first object to the last component that is ready.
const upLimit = 60 * time.Second

func serveForge(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	base := "http://" + listener.Addr().String()
	forge, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), BaseURL: base, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	server := &http.Server{Handler: forge.Handler()}
	go func() { _ = server.Serve(listener) }()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- forge.Run(ctx) }()
	t.Cleanup(func() {
		_ = server.Close()
		stop()
		<-ended
		_ = forge.Close()
	})
	must(t, forge.Apply(t.Context(), local.Seed{
		Users: []local.User{{Login: "robot", Bot: true}},
		Orgs:  []local.SeedOrg{{Org: local.Org{Login: "my-org"}, Members: map[string]string{"robot": "admin"}}},
		// The placeholder of the starters is a token like any other.
		Tokens: []local.SeedToken{{Login: "robot", Token: "REPLACE-ME"}},
	}))
	return base
}

// A starter is applied to an empty cluster; then its components run with what stands in
// it, under their own accounts, until a ProwJob has its pod.
func TestAStarterComesUp(t *testing.T) {
	cluster := kubetest.StartOwn(t, "--all-apis")
	objects, err := build(filepath.Join(root, "starters/s3"))
	must(t, err)
	admin, err := kubernetes.NewForConfig(cluster.Config)
	must(t, err)
	m := &machine{cluster: cluster, client: admin, objects: objects, forge: serveForge(t), bucket: t.TempDir(), dir: t.TempDir()}

	begun := time.Now()
	apply(t, adminOf(t, cluster), objects)
	if t.Failed() {
		return
	}
	ctx, stop := context.WithTimeout(t.Context(), upLimit)
	defer stop()
	var processes []*process
	for _, d := range deployments(t, objects) {
		processes = append(processes, m.start(t, d))
	}
	for _, p := range processes {
		p.waitReady(ctx, t)
	}
	t.Logf("%d components were ready %.1f s after the first object was applied", len(processes), time.Since(begun).Seconds())

	makesAPod(t, cluster, "hello")
	m.doctor(t)
	var resident, share, own int64
	for _, p := range processes {
		for _, line := range p.problems() {
			t.Errorf("%s: %s", p.name, line)
		}
		r, s, o := p.memory(t)
		t.Logf("%-24s %4d MB resident, %4d MB as its share, %4d MB of its own", p.name, r/1_000_000, s/1_000_000, o/1_000_000)
		resident, share, own = resident+r, share+s, own+o
		if metrics := p.get(ctx, p.metrics, "/metrics"); !strings.Contains(metrics, "prow_version") {
			t.Errorf("%s serves no metrics", p.name)
		}
	}
	t.Logf("%-24s %4d MB resident, %4d MB as their shares, %4d MB of their own", "all", resident/1_000_000, share/1_000_000, own/1_000_000)
	// They are one program: its pages are in memory once on a node, however many run.
	if share > idleMemory {
		t.Errorf("they take %d bytes, more than %d", share, idleMemory)
	}
	m.replace(ctx, t, processes, "prow-controller-manager")
	makesAPod(t, cluster, "after-the-change")
}

// replace runs a component of which the next one starts before the last one ends, as its
// Deployment says, and ends the last one.
func (m *machine) replace(ctx context.Context, t *testing.T, processes []*process, component string) {
	t.Helper()
	for _, d := range deployments(t, m.objects) {
		if d.Name != component {
			continue
		}
		if s := d.Spec.Strategy.RollingUpdate; s == nil || s.MaxUnavailable.IntValue() != 0 || s.MaxSurge.IntValue() != 1 {
			t.Errorf("%s is not replaced by one that is ready: %+v", component, d.Spec.Strategy)
		}
		m.start(t, d).waitReady(ctx, t)
	}
	for _, p := range processes {
		if p.name != component {
			continue
		}
		must(t, p.cmd.Process.Signal(syscall.SIGTERM))
		select {
		case <-p.ended:
		case <-ctx.Done():
			t.Fatalf("%s does not end: %s", component, p.said())
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %d: %s", component, code, p.said())
		}
	}
}

// makesAPod makes a ProwJob and waits for what prow-controller-manager makes of it.
func makesAPod(t *testing.T, cluster *kubetest.Cluster, called string) {
	t.Helper()
	scheme, err := kube.NewScheme()
	must(t, err)
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	must(t, err)
	job := &prowv1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: called, Namespace: "prow", Labels: map[string]string{prowv1.CreatedByProwLabel: "true"}},
		Spec: prowv1.ProwJobSpec{
			Type: prowv1.PeriodicJob, Job: "hello", Agent: prowv1.KubernetesAgent, Cluster: "default", Namespace: "test-pods",
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "busybox"}}},
		},
		Status: prowv1.ProwJobStatus{State: prowv1.TriggeredState, StartTime: metav1.Now()},
	}
	must(t, c.Create(t.Context(), job))
	ctx, stop := context.WithTimeout(t.Context(), upLimit)
	defer stop()
	for {
		var pod corev1.Pod
		err := c.Get(ctx, client.ObjectKey{Namespace: "test-pods", Name: called}, &pod)
		if err == nil {
			if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
				t.Error("the token of an account is mounted into the pod of a job")
			}
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the job has no pod: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// doctor expects that it finds nothing bad in rights, cluster, storage and GitHub.
func (m *machine) doctor(t *testing.T) {
	t.Helper()
	etc := filepath.Join(m.dir, "hook", "etc")
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin(t), "prow"), "doctor", "--output=json", "--no-in-cluster-config", "--kubeconfig="+m.cluster.KubeconfigPath,
		"--config-path="+etc+"/config/config.yaml", "--job-config-path="+etc+"/job-config", "--plugin-config="+etc+"/plugins/plugins.yaml",
		"--github-token-path="+etc+"/github/token", "--github-endpoint="+m.forge+"/api/v3", "--github-graphql-endpoint="+m.forge+"/api/graphql").Output()
	var report struct {
		Healthy bool `json:"healthy"`
	}
	if decode := json.Unmarshal(out, &report); decode != nil {
		t.Fatalf("prow doctor: %v, %v: %s", err, decode, out)
	}
	if !report.Healthy || !strings.Contains(string(out), "prow-controller-manager may do what it does") {
		t.Errorf("prow doctor: %s", out)
	}
}

// Flags of components that no starter has are judged as well: what is unknown or malformed
// ends with 2 before anything is read.
func TestEveryFlagIsKnown(t *testing.T) {
	known := map[string]string{}
	for what, objects := range variants(t) {
		for _, d := range deployments(t, objects) {
			c := d.Spec.Template.Spec.Containers[0]
			if c.Image != "prow:latest" {
				continue
			}
			component := c.Args[0]
			if component != d.Name {
				t.Errorf("%s: %s runs %s", what, d.Name, component)
			}
			if known[component] == "" {
				out, err := exec.CommandContext(t.Context(), filepath.Join(bin(t), "prow"), component, "--help").CombinedOutput()
				must(t, err)
				known[component] = string(out)
			}
			for _, arg := range c.Args[1:] {
				flag, _, _ := strings.Cut(arg, "=")
				if !strings.Contains(known[component], " "+flag+" ") {
					t.Errorf("%s: %s has no flag %s", what, component, flag)
				}
			}
		}
	}
	if len(known) < 10 {
		t.Errorf("only %d components were looked at", len(known))
	}
}

// checkconfig judges what the starters bring as it judges every change of it.
func TestStartersPassCheckconfig(t *testing.T) {
	for _, starter := range starters {
		dir := t.TempDir()
		for _, file := range []string{"config.yaml", "plugins.yaml", "jobs.yaml"} {
			raw, err := os.ReadFile(filepath.Join(root, starter, file))
			must(t, err)
			text := string(raw)
			for _, b := range fakeBuckets {
				text = strings.ReplaceAll(text, b, "file://"+dir)
			}
			must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin(t), "prow"), "checkconfig", "--strict", "--config-path="+dir+"/config.yaml", "--job-config-path="+dir+"/jobs.yaml", "--plugin-config="+dir+"/plugins.yaml").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", starter, err, out)
		}
	}
}
