package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"prow/internal/kube/kubetest"
)

// machine runs pods of Deployments as processes: with their arguments, the files that their
// volumes bring, and the token of their service account; only ports, the way to the API
// server and the forge are others.
type machine struct {
	cluster *kubetest.Cluster
	client  *kubernetes.Clientset
	objects []*unstructured.Unstructured
	// forge is the URL of a local forge; bucket replaces the bucket of starters.
	forge, bucket string
	dir           string
}

// process is a container that runs.
type process struct {
	name            string
	cmd             *exec.Cmd
	health, metrics int
	log             string
	ended           chan struct{}
}

// fakeBuckets are those of starters.
var fakeBuckets = []string{"s3://prow-logs", "gs://prow-logs"}

func (m *machine) text(s string) string {
	for _, b := range fakeBuckets {
		s = strings.ReplaceAll(s, b, "file://"+m.bucket)
	}
	return s
}

// files are what a volume of a pod has.
func (m *machine) files(t *testing.T, v corev1.Volume) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range m.objects {
		if o.GetNamespace() != "prow" {
			continue
		}
		switch {
		case v.ConfigMap != nil && o.GetKind() == "ConfigMap" && o.GetName() == v.ConfigMap.Name:
			for key, value := range as[corev1.ConfigMap](t, o).Data {
				out[key] = m.text(value)
			}
		case v.Secret != nil && o.GetKind() == "Secret" && o.GetName() == v.Secret.SecretName:
			for key, value := range as[corev1.Secret](t, o).Data {
				out[key] = string(value)
			}
		}
	}
	if len(out) == 0 && (v.ConfigMap != nil || v.Secret != nil) {
		t.Fatalf("volume %s: there is nothing of that name", v.Name)
	}
	return out
}

func (m *machine) start(t *testing.T, d *appsv1.Deployment) *process {
	t.Helper()
	spec := d.Spec.Template.Spec
	if len(spec.Containers) != 1 {
		t.Fatalf("%s has %d containers", d.Name, len(spec.Containers))
	}
	c := spec.Containers[0]
	dir := filepath.Join(m.dir, d.Name)
	volumes := map[string]corev1.Volume{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = v
	}
	for _, mount := range c.VolumeMounts {
		v, ok := volumes[mount.Name]
		if !ok {
			t.Fatalf("%s mounts %s, which there is not", d.Name, mount.Name)
		}
		must(t, os.MkdirAll(dir+mount.MountPath, 0o755))
		for key, value := range m.files(t, v) {
			must(t, os.WriteFile(filepath.Join(dir+mount.MountPath, key), []byte(value), 0o600))
		}
	}
	args := slices.Clone(c.Args)
	for i, arg := range args {
		arg = m.text(arg)
		flag, path, _ := strings.Cut(arg, "=")
		for _, mount := range c.VolumeMounts {
			if path == mount.MountPath || strings.HasPrefix(path, mount.MountPath+"/") {
				arg = flag + "=" + dir + path
			}
		}
		args[i] = arg
	}
	p := &process{name: d.Name, health: freePort(t), metrics: freePort(t), ended: make(chan struct{})}
	p.log = fmt.Sprintf("%s-%d.log", dir, p.health)
	args = append(args, "--health-port="+strconv.Itoa(p.health), "--metrics-port="+strconv.Itoa(p.metrics))
	usesForge := slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--github-token-path=") })
	if usesForge {
		args = append(args, "--github-endpoint="+m.forge+"/api/v3", "--github-graphql-endpoint="+m.forge+"/api/graphql", "--github-host="+strings.TrimPrefix(m.forge, "http://"))
	}
	for _, port := range c.Ports {
		if port.Name == "http" {
			args = append(args, "--port="+strconv.Itoa(freePort(t)))
		}
	}
	if spec.AutomountServiceAccountToken == nil {
		args = append(args, "--no-in-cluster-config", "--kubeconfig="+m.kubeconfig(t, spec.ServiceAccountName))
	}
	p.cmd = exec.Command(filepath.Join(bin(t), "prow"), args...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(os.Environ(), "TMPDIR="+dir+"/tmp", "HOME=/nonexistent")
	for _, e := range c.Env {
		p.cmd.Env = append(p.cmd.Env, e.Name+"="+strings.ReplaceAll(e.Value, "MB", "MiB"))
	}
	log, err := os.Create(p.log)
	must(t, err)
	defer log.Close() //nolint:errcheck // the process has its own
	p.cmd.Stderr, p.cmd.Stdout = log, log
	must(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// kubeconfig is one with a token of the service account.
func (m *machine) kubeconfig(t *testing.T, account string) string {
	t.Helper()
	token, err := m.client.CoreV1().ServiceAccounts("prow").CreateToken(t.Context(), account, &authv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: m.cluster.Config.Host, CertificateAuthorityData: m.cluster.Config.CAData, CertificateAuthority: m.cluster.Config.CAFile}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["default"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "default"
	path := filepath.Join(m.dir, account+".kubeconfig")
	must(t, clientcmd.WriteToFile(*config, path))
	return path
}

// waitReady waits until the process says that it is.
func (p *process) waitReady(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		if p.get(ctx, p.health, "/healthz/ready") != "" {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s has ended: %s", p.name, p.said())
		case <-ctx.Done():
			t.Fatalf("%s is not ready: %s", p.name, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// get is the answer of a port, empty if it is not 200.
func (p *process) get(ctx context.Context, port int, path string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	body := make([]byte, 0, 1<<16)
	buffer := make([]byte, 1<<16)
	for len(body) < 4<<20 {
		n, err := response.Body.Read(buffer)
		body = append(body, buffer[:n]...)
		if err != nil {
			break
		}
	}
	if response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body) + " "
}

func (p *process) said() string {
	raw, _ := os.ReadFile(p.log)
	return string(raw[max(0, len(raw)-3000):])
}

// problems are the lines of the log that tell of something refused.
func (p *process) problems() (out []string) {
	raw, _ := os.ReadFile(p.log)
	for line := range strings.SplitSeq(string(raw), "\n") {
		var entry struct{ Level string }
		if json.Unmarshal([]byte(line), &entry) == nil && strings.EqualFold(entry.Level, "error") || strings.Contains(line, "orbidden") || strings.Contains(line, "leader election, as it may not") {
			out = append(out, line)
		}
	}
	return out
}

// memory is what the process takes, in bytes: everything that is resident for it, its share
// of that where pages of the program are mapped by others as well, and what is its own.
func (p *process) memory(t *testing.T) (resident, share, own int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	must(t, err)
	for line := range strings.SplitSeq(string(raw), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kb, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "Rss:":
			resident = kb << 10
		case "Pss:":
			share = kb << 10
		case "Anonymous:":
			own = kb << 10
		}
	}
	if resident == 0 {
		t.Fatalf("%s: no memory is told", p.name)
	}
	return resident, share, own
}

// bin is the directory of the programs.
func bin(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PROW_BIN")
	if dir == "" {
		dir = "../../bin"
	}
	abs, err := filepath.Abs(dir)
	must(t, err)
	if _, err := os.Stat(filepath.Join(abs, "prow")); err != nil {
		t.Fatalf("build the programs first (make build), or say with PROW_BIN where they are: %v", err)
	}
	return abs
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // nobody was connected
	return l.Addr().(*net.TCPAddr).Port
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
