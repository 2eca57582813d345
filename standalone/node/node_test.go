package node_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"prow/internal/kube/kubetest"
)

const (
	allowedHostPath = "/var/tmp/prow-node-test"
	logBytes        = 4 << 20
	timeout         = 90 * time.Second // generous: the machine may be busy
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// cluster is a control plane with a node, and a namespace of the test's own.
type cluster struct {
	*kubetest.Cluster
	kubernetes.Interface
	ns string
}

func start(t *testing.T) cluster {
	t.Helper()
	c := kubetest.Start(t, "--node", "--allow-host-path="+allowedHostPath, fmt.Sprintf("--log-bytes=%d", logBytes), "--image-binary=example.com/echo=/bin/echo")
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster{c, client, c.Namespace(t)}
}

// shell is a container that runs a script.
func shell(name, script string) corev1.Container {
	return corev1.Container{Name: name, Image: "any", Command: []string{"/bin/sh", "-c", script}, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}
}

func podOf(name string, containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: containers}}
}

func (c cluster) create(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	got, err := c.CoreV1().Pods(c.ns).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// until waits for a state of the pod.
func (c cluster) until(t *testing.T, name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var last *corev1.Pod
	err := wait.PollUntilContextTimeout(t.Context(), 30*time.Millisecond, timeout, true, func(ctx context.Context) (bool, error) {
		pod, err := c.CoreV1().Pods(c.ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		last = pod
		return ok(pod), nil
	})
	if err != nil {
		t.Fatalf("pod %s: %s: %v\nstatus: %+v", name, what, err, last.Status)
	}
	return last
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func (c cluster) runToEnd(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	c.create(t, pod)
	return c.until(t, pod.Name, "ends", finished)
}

func (c cluster) gone(t *testing.T, name string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 30*time.Millisecond, timeout, true, func(ctx context.Context) (bool, error) {
		_, err := c.CoreV1().Pods(c.ns).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		t.Fatalf("pod %s is not removed: %v", name, err)
	}
}

// kubectl runs the real one.
func (c cluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", c.KubeconfigPath, "-n", c.ns}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c cluster) logs(t *testing.T, pod, container string) string {
	t.Helper()
	return c.kubectl(t, "logs", pod, "-c", container)
}

func terminated(t *testing.T, statuses []corev1.ContainerStatus, name string) *corev1.ContainerStateTerminated {
	t.Helper()
	for _, s := range statuses {
		if s.Name == name {
			if s.State.Terminated == nil {
				t.Fatalf("container %s is not terminated: %+v", name, s.State)
			}
			return s.State.Terminated
		}
	}
	t.Fatalf("no container %s", name)
	return nil
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

func ptr[T any](v T) *T { return &v }

func TestInitContainersRunInOrderAndContainersSideBySide(t *testing.T) {
	t.Parallel()
	c := start(t)
	data := corev1.VolumeMount{Name: "data", MountPath: "/data"}
	with := func(ct corev1.Container) corev1.Container { ct.VolumeMounts = []corev1.VolumeMount{data}; return ct }
	pod := podOf("order",
		// Each waits for the other: they can only end if both run.
		with(shell("a", "cat /data/order; touch /data/a; until [ -e /data/b ]; do sleep 0.05; done")),
		with(shell("b", "touch /data/b; until [ -e /data/a ]; do sleep 0.05; done")))
	pod.Spec.InitContainers = []corev1.Container{with(shell("one", "sleep 0.3; echo one >> /data/order")), with(shell("two", "echo two >> /data/order"))}
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	got := c.runToEnd(t, pod)
	if got.Status.Phase != corev1.PodSucceeded {
		t.Fatalf("phase %s: %+v", got.Status.Phase, got.Status)
	}
	if out := c.logs(t, "order", "a"); out != "one\ntwo\n" {
		t.Errorf("order %q", out)
	}
	for _, s := range append(got.Status.InitContainerStatuses, got.Status.ContainerStatuses...) {
		if s.State.Terminated == nil || s.State.Terminated.Reason != "Completed" || s.State.Terminated.FinishedAt.IsZero() {
			t.Errorf("container %s: %+v", s.Name, s.State)
		}
	}
	if got.Status.StartTime == nil || condition(got, corev1.PodScheduled).Status != corev1.ConditionTrue || condition(got, corev1.PodReady).Reason != "PodCompleted" {
		t.Errorf("status %+v", got.Status)
	}
	if got.Spec.NodeName != "standalone" {
		t.Errorf("node %q", got.Spec.NodeName)
	}
}

func TestAFailedInitContainerFailsThePodAndNothingElseRuns(t *testing.T) {
	t.Parallel()
	c := start(t)
	pod := podOf("initfails", shell("main", "echo never"))
	pod.Spec.InitContainers = []corev1.Container{shell("bad", "echo broken; exit 4"), shell("next", "true")}
	got := c.runToEnd(t, pod)
	if st := terminated(t, got.Status.InitContainerStatuses, "bad"); got.Status.Phase != corev1.PodFailed || st.ExitCode != 4 || st.Reason != "Error" || st.Message != "broken\n" {
		t.Errorf("phase %s, %+v", got.Status.Phase, st)
	}
	if w := got.Status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "PodInitializing" {
		t.Errorf("main: %+v", got.Status.ContainerStatuses[0].State)
	}
	if condition(got, corev1.PodInitialized).Reason != "ContainersNotInitialized" {
		t.Errorf("conditions %+v", got.Status.Conditions)
	}
}

func TestEveryKindOfVolume(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx := t.Context()
	for _, err := range []error{
		errOf(c.CoreV1().Secrets(c.ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"k1": []byte("v1"), "k2": []byte("v2")}}, metav1.CreateOptions{})),
		errOf(c.CoreV1().ConfigMaps(c.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm"}, Data: map[string]string{"a": "text"}, BinaryData: map[string][]byte{"b": {0, 1, 2}}}, metav1.CreateOptions{})),
		errOf(c.CoreV1().ServiceAccounts(c.ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})),
		os.MkdirAll(allowedHostPath, 0o755),
		os.WriteFile(filepath.Join(allowedHostPath, "f"), []byte("from the host\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(allowedHostPath) })
	script := `set -e
echo secret: $(cat /s/k1 /s/k2) $(stat -c %a /s/k1); if touch /s/x 2>/dev/null; then echo secret is writable; fi
echo items: $(ls /si) $(cat /si/dir/renamed) $(stat -c %a /si/dir/renamed)
echo configmap: $(cat /cm/a) $(od -An -tx1 /cm/b)
echo optional: $(ls /opt-missing | wc -l)
echo projected: $(ls /p | tr '\n' ' ') $(cat /p/from-secret /p/from-cm /p/labels) $(stat -c %a /p/from-secret)
echo token: $(wc -c < /p/token | awk '{print ($1 > 100)}')
echo downward: $(cat /d/name) $(cat /d/ns) $(cat /d/cpu)
echo empty: $(stat -c %a /e); echo x > /e/x; echo y > /sub/y; cat /e/sub/dir/y
cat /h/f; if touch /hro/x 2>/dev/null; then echo read-only host path is writable; fi; echo new > /h/new
cat /file`
	ct := shell("main", script)
	mount := func(name, path string, more ...func(*corev1.VolumeMount)) {
		m := corev1.VolumeMount{Name: name, MountPath: path}
		for _, f := range more {
			f(&m)
		}
		ct.VolumeMounts = append(ct.VolumeMounts, m)
	}
	mount("s", "/s")
	mount("si", "/si")
	mount("cm", "/cm")
	mount("missing", "/opt-missing")
	mount("p", "/p")
	mount("d", "/d")
	mount("e", "/e")
	mount("e", "/sub", func(m *corev1.VolumeMount) { m.SubPathExpr = "sub/$(DIR)" })
	mount("h", "/h")
	mount("h", "/hro", func(m *corev1.VolumeMount) { m.ReadOnly = true })
	mount("cm", "/file", func(m *corev1.VolumeMount) { m.SubPath = "a" })
	ct.Env = []corev1.EnvVar{{Name: "DIR", Value: "dir"}}
	ct.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
	pod := podOf("volumes", ct)
	pod.Spec.ServiceAccountName = "default"
	pod.Labels = map[string]string{"l": "v"}
	field := func(path string) *corev1.ObjectFieldSelector { return &corev1.ObjectFieldSelector{FieldPath: path} }
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", DefaultMode: ptr(int32(0o400))}}},
		{Name: "si", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", Items: []corev1.KeyToPath{{Key: "k1", Path: "./dir/renamed", Mode: ptr(int32(0o640))}}}}},
		{Name: "cm", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}},
		{Name: "missing", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "nope"}, Optional: ptr(true)}}},
		{Name: "p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: ptr(int32(0o600)), Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Items: []corev1.KeyToPath{{Key: "k2", Path: "from-secret"}}}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Items: []corev1.KeyToPath{{Key: "a", Path: "from-cm"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: field("metadata.labels")}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}}}},
		{Name: "d", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "name", FieldRef: field("metadata.name")}, {Path: "ns", FieldRef: field("metadata.namespace")},
			{Path: "cpu", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: "limits.cpu", Divisor: resource.MustParse("1m")}},
		}}}},
		{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: allowedHostPath}}},
	}
	got := c.runToEnd(t, pod)
	want := `secret: v1v2 400
items: dir v1 640
configmap: text 00 01 02
optional: 0
projected: from-cm from-secret labels token v2textl="v" 600
token: 1
downward: volumes ` + c.ns + ` 1500
empty: 777
y
from the host
text`
	if out := c.logs(t, "volumes", "main"); strings.TrimSpace(out) != want || got.Status.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s, output:\n%s\nwant:\n%s", got.Status.Phase, out, want)
	}
	if raw, err := os.ReadFile(filepath.Join(allowedHostPath, "new")); err != nil || string(raw) != "new\n" {
		t.Errorf("host path: %q, %v", raw, err)
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestEnvironmentAndExpansion(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx := t.Context()
	for _, err := range []error{
		errOf(c.CoreV1().Secrets(c.ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"K": []byte("secret")}}, metav1.CreateOptions{})),
		errOf(c.CoreV1().ConfigMaps(c.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm"}, Data: map[string]string{"C": "map"}}, metav1.CreateOptions{})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ref := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	ct := corev1.Container{
		Name: "main", Image: "any",
		Command: []string{"/bin/sh", "-c", `echo "$0|$1|$2|$3"; echo "$A|$B|$C2|$TWICE|$NAME|$LABEL|$IP|$CPU|$PRE_C|$PRE_K|$SK|$MISSING|$LATE"`},
		Args:    []string{"$(A)", "$$(A)", "$(UNDEFINED)", "x$(B)y"},
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "PRE_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}},
			{Prefix: "PRE_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: ptr(true)}},
		},
		Env: []corev1.EnvVar{
			{Name: "A", Value: "a"}, {Name: "B", Value: "<$(A)>"}, {Name: "C2", Value: "$$(A)$(PRE_C)"},
			{Name: "LATE", Value: "$(TWICE)"}, {Name: "TWICE", Value: "first"}, {Name: "TWICE", Value: "second"},
			{Name: "NAME", ValueFrom: ref("metadata.name")}, {Name: "LABEL", ValueFrom: ref("metadata.labels['l']")}, {Name: "IP", ValueFrom: ref("status.podIP")},
			{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "requests.memory"}}},
			{Name: "SK", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "K"}}},
			{Name: "MISSING", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "no", Optional: ptr(true)}}},
		},
	}
	ct.Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
	pod := podOf("env", ct)
	pod.Labels = map[string]string{"l": "v"}
	c.runToEnd(t, pod)
	want := "a|$(A)|$(UNDEFINED)|x<a>y\na|<a>|$(A)map|second|env|v|127.0.0.1|67108864|map|secret|secret||$(TWICE)\n"
	if out := c.logs(t, "env", "main"); out != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
}

func TestHowContainersEnd(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, tc := range []struct {
		name     string
		change   func(*corev1.Pod)
		code     int32
		reason   string
		message  string
		phase    corev1.PodPhase
		podCause string
	}{
		{name: "success", change: func(p *corev1.Pod) { p.Spec.Containers[0] = shell("main", "echo fine") }, reason: "Completed", phase: corev1.PodSucceeded},
		{name: "failure", change: func(p *corev1.Pod) { p.Spec.Containers[0] = shell("main", "echo bad; exit 9") }, code: 9, reason: "Error", message: "bad\n", phase: corev1.PodFailed},
		{name: "signal", change: func(p *corev1.Pod) { p.Spec.Containers[0] = shell("main", "kill -KILL $$$$") }, code: 137, reason: "Error", phase: corev1.PodFailed},
		{name: "missing-command", change: func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"no-such-thing"} }, code: 128, reason: "StartError", message: `exec: "no-such-thing": executable file not found in $PATH`, phase: corev1.PodFailed},
		{name: "unknown-image", change: func(p *corev1.Pod) { p.Spec.Containers[0].Command = nil; p.Spec.Containers[0].Image = "gcr.io/a/b:c" }, code: 128, reason: "CreateContainerError", message: `entry point of image "gcr.io/a/b:c"`, phase: corev1.PodFailed},
		{name: "known-image", change: func(p *corev1.Pod) {
			p.Spec.Containers[0].Command, p.Spec.Containers[0].Args = nil, []string{"hi"}
			p.Spec.Containers[0].Image = "example.com/echo:v20260101-abc"
		}, reason: "Completed", phase: corev1.PodSucceeded},
		{name: "message-file", change: func(p *corev1.Pod) {
			p.Spec.Containers[0] = shell("main", "echo log; echo from the file > /dev/termination-log; exit 1")
		}, code: 1, reason: "Error", message: "from the file\n", phase: corev1.PodFailed},
		{name: "message-path", change: func(p *corev1.Pod) {
			p.Spec.Containers[0] = shell("main", "echo own path > /my/message")
			p.Spec.Containers[0].TerminationMessagePath = "/my/message"
		}, reason: "Completed", message: "own path\n", phase: corev1.PodSucceeded},
		{name: "deadline", change: func(p *corev1.Pod) {
			p.Spec.Containers[0] = shell("main", "exec sleep 600")
			p.Spec.ActiveDeadlineSeconds = ptr(int64(1))
		}, code: 143, reason: "Error", phase: corev1.PodFailed, podCause: "DeadlineExceeded"},
		{name: "working-dir", change: func(p *corev1.Pod) {
			p.Spec.Containers[0] = shell("main", "pwd | grep -x /nowhere")
			p.Spec.Containers[0].WorkingDir = "/nowhere"
		}, code: 128, reason: "CreateContainerError", message: `working directory "/nowhere" does not exist`, phase: corev1.PodFailed},
		{name: "user", change: func(p *corev1.Pod) {
			p.Spec.Containers[0] = shell("main", `test "$(id -u):$(id -g)" = 1000:2000`)
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr(int64(1000)), RunAsGroup: ptr(int64(2000))}
		}, reason: "Completed", phase: corev1.PodSucceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pod := podOf(tc.name, shell("main", "true"))
			tc.change(pod)
			got := c.runToEnd(t, pod)
			st := terminated(t, got.Status.ContainerStatuses, "main")
			if st.ExitCode != tc.code || st.Reason != tc.reason || !strings.Contains(st.Message, tc.message) || got.Status.Phase != tc.phase || got.Status.Reason != tc.podCause {
				t.Errorf("got %+v, phase %s, reason %q", st, got.Status.Phase, got.Status.Reason)
			}
			if tc.message == "" && st.Message != "" {
				t.Errorf("message %q", st.Message)
			}
		})
	}
}

func TestAPodWaitsForAMissingSecretAndGoesOnWhenItComes(t *testing.T) {
	t.Parallel()
	c := start(t)
	ct := shell("main", `echo "$K"`)
	ct.Env = []corev1.EnvVar{{Name: "K", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, Key: "k"}}}}
	c.create(t, podOf("waits", ct))
	got := c.until(t, "waits", "waits", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CreateContainerConfigError"
	})
	if w := got.Status.ContainerStatuses[0].State.Waiting; w.Message != `variable K: secret "late" not found` || got.Status.Phase != corev1.PodPending || got.Status.StartTime == nil {
		t.Errorf("%+v, phase %s", w, got.Status.Phase)
	}
	if _, err := c.CoreV1().Secrets(c.ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "late"}, StringData: map[string]string{"k": "here"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.until(t, "waits", "ends", finished)
	if out := c.logs(t, "waits", "main"); out != "here\n" {
		t.Errorf("output %q", out)
	}
}

func TestPodsThatCannotRunHereSayWhyTheyAreUnscheduled(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, tc := range []struct {
		name   string
		change func(*corev1.Pod)
		want   string
	}{
		{"selector", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }, "node selector or affinity"},
		{"architecture", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelArchStable: "s390x"} }, "node selector or affinity"},
		{"hostpath", func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}}}
		}, "host path /etc is not allowed"},
		{"hostpath-dots", func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: allowedHostPath + "x"}}}}
		}, "is not allowed"},
		{"claim", func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "c", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}}}
		}, "of a kind this node does not provide"},
		{"privileged", func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr(true)}
		}, "privileged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			pod := podOf(tc.name, shell("main", "true"))
			tc.change(pod)
			c.create(t, pod)
			got := c.until(t, tc.name, "is unschedulable", func(p *corev1.Pod) bool { return condition(p, corev1.PodScheduled).Reason == "Unschedulable" })
			if msg := condition(got, corev1.PodScheduled).Message; !strings.Contains(msg, tc.want) || got.Status.StartTime != nil || got.Status.Phase != corev1.PodPending {
				t.Errorf("message %q, status %+v", msg, got.Status)
			}
		})
	}
}

func TestDeletionGivesGraceThenKills(t *testing.T) {
	t.Parallel()
	c := start(t)
	up := func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }
	c.create(t, podOf("polite", shell("main", `trap 'echo bye; exit 0' TERM; echo up; sleep 600 & wait`)))
	c.create(t, podOf("stubborn", shell("main", `trap '' TERM; echo up; while :; do sleep 1; done`)))
	c.until(t, "polite", "runs", up)
	c.until(t, "stubborn", "runs", up)
	c.until(t, "polite", "has set its trap", func(*corev1.Pod) bool { return c.logs(t, "polite", "main") == "up\n" })
	began := time.Now()
	if err := c.CoreV1().Pods(c.ns).Delete(t.Context(), "polite", metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(300))}); err != nil {
		t.Fatal(err)
	}
	c.gone(t, "polite")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a container that ended at once was waited for: %s", took)
	}
	if err := c.CoreV1().Pods(c.ns).Delete(t.Context(), "stubborn", metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(1))}); err != nil {
		t.Fatal(err)
	}
	c.gone(t, "stubborn")
}

func TestAFinalizerKeepsADeletedPodWithItsResultAndOthersMetadataStays(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.create(t, podOf("held", shell("main", `trap 'exit 5' TERM; echo up; sleep 600 & wait`)))
	c.until(t, "held", "runs", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	c.until(t, "held", "has set its trap", func(*corev1.Pod) bool { return c.logs(t, "held", "main") == "up\n" })
	// As a reporter does while the pod runs: the node must not undo it.
	if _, err := c.CoreV1().Pods(c.ns).Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/report"],"annotations":{"who":"reporter"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.CoreV1().Pods(c.ns).Delete(t.Context(), "held", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got := c.until(t, "held", "ends", finished)
	if st := terminated(t, got.Status.ContainerStatuses, "main"); st.ExitCode != 5 || got.Annotations["who"] != "reporter" || len(got.Finalizers) != 1 || got.DeletionTimestamp == nil {
		t.Errorf("%+v, metadata %+v", st, got.ObjectMeta)
	}
	if out := c.logs(t, "held", "main"); out != "up\n" {
		t.Errorf("log %q", out)
	}
	if _, err := c.CoreV1().Pods(c.ns).Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.gone(t, "held")
}

func TestAPodMadeAnewUnderTheSameNameIsAnotherPod(t *testing.T) {
	t.Parallel()
	c := start(t)
	marker := "first"
	c.create(t, podOf("same", shell("main", `trap '' TERM; echo `+marker+`; sleep 600`)))
	first := c.until(t, "same", "runs", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	if err := c.CoreV1().Pods(c.ns).Delete(t.Context(), "same", metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}); err != nil {
		t.Fatal(err)
	}
	c.create(t, podOf("same", shell("main", `trap '' TERM; echo `+marker+`; sleep 600`)))
	second := c.until(t, "same", "runs", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	if first.UID == second.UID {
		t.Fatal("the pod is the same")
	}
	for _, dir := range []struct {
		uid  types.UID
		want bool
	}{{first.UID, false}, {second.UID, true}} {
		path := filepath.Join(c.Dir, "node", "pods", string(dir.uid))
		err := wait.PollUntilContextTimeout(t.Context(), 30*time.Millisecond, timeout, true, func(context.Context) (bool, error) {
			_, err := os.Stat(path)
			return (err == nil) == dir.want, nil
		})
		if err != nil {
			t.Errorf("files of pod %s: want %v: %v", dir.uid, dir.want, err)
		}
	}
}

func TestKubectlLogsFollowsUntilTheEnd(t *testing.T) {
	t.Parallel()
	c := start(t)
	ct := shell("main", `echo one; echo two; until [ -e /gate/open ]; do sleep 0.05; done; echo three; printf 'no newline'`)
	ct.VolumeMounts = []corev1.VolumeMount{{Name: "gate", MountPath: "/gate"}}
	gate := shell("gate", `until [ -e /gate/knock ]; do sleep 0.05; done; touch /gate/open`)
	gate.VolumeMounts = ct.VolumeMounts
	pod := podOf("follow", ct, gate)
	pod.Spec.Volumes = []corev1.Volume{{Name: "gate", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	created := c.create(t, pod)
	c.until(t, "follow", "runs", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })

	cmd := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", c.KubeconfigPath, "-n", c.ns, "logs", "-f", "follow", "-c", "main")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 1024)
	for seen.Len() < len("one\ntwo\n") {
		n, err := stdout.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %q: %s", err, seen.String(), stderr.String())
		}
	}
	// Only now may the job go on: what was seen was seen while it ran.
	knock := filepath.Join(c.Dir, "node", "pods", string(created.UID), "volumes", "gate", "knock")
	if err := os.WriteFile(knock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := stdout.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if seen.String() != "one\ntwo\nthree\nno newline\n" {
		t.Errorf("followed %q", seen.String())
	}
	if out := c.kubectl(t, "logs", "follow", "-c", "main", "--tail=2"); out != "three\nno newline\n" {
		t.Errorf("tail: %q", out)
	}
	if out := c.kubectl(t, "logs", "follow", "-c", "main", "--limit-bytes=5"); out != "one\nt" {
		t.Errorf("limit: %q", out)
	}
	if out := c.kubectl(t, "logs", "follow", "-c", "main", "--timestamps", "--tail=1"); !strings.HasPrefix(out, time.Now().UTC().Format("2006-")) {
		t.Errorf("timestamps: %q", out)
	}
}

func TestOneGigabyteOfOutputDoesNotFillTheDisk(t *testing.T) {
	t.Parallel()
	c := start(t)
	pod := c.runToEnd(t, podOf("loud", shell("main", `yes "this job has a lot to say and says it again and again" | head -c 1000000000; echo; echo the end`)))
	dir := filepath.Join(c.Dir, "node", "pods", string(pod.UID))
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	if err != nil || size > 2*logBytes {
		t.Errorf("%d bytes on disk, %v", size, err)
	}
	if out := c.kubectl(t, "logs", "loud", "--tail=1"); out != "the end\n" {
		t.Errorf("the newest output is %q", out)
	}
}

func TestTheStateDirectoryIsHiddenFromJobs(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runToEnd(t, podOf("spy", shell("main", fmt.Sprintf("cat %s %s/pki/ca.key 2>&1; cat /proc/1/environ /proc/1/root/etc/hostname 2>&1 | head -2; ls /run; find / -name ca.key -not -path '/proc/*' 2>/dev/null; true", c.KubeconfigPath, c.Dir))))
	out := c.logs(t, "spy", "main")
	if strings.Contains(out, "BEGIN") || strings.Contains(out, "client-key-data") || strings.Count(out, "No such file") != 2 || strings.Contains(out, "\n/") {
		t.Errorf("output:\n%s", out)
	}
}

func TestRestartPolicyAndSidecars(t *testing.T) {
	t.Parallel()
	c := start(t)
	ct := shell("main", `test -e /d/second && { until [ -e /d/side ]; do sleep 0.05; done; exit 0; }; touch /d/second; exit 1`)
	side := shell("side", `trap 'echo side ends; exit 0' TERM; touch /d/side; sleep 600 & wait`)
	always := corev1.ContainerRestartPolicyAlways
	side.RestartPolicy = &always
	pod := podOf("again", ct)
	pod.Spec.InitContainers = []corev1.Container{side}
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	pod.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	for _, l := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		l[0].VolumeMounts = []corev1.VolumeMount{{Name: "d", MountPath: "/d"}}
	}
	got := c.runToEnd(t, pod)
	if got.Status.Phase != corev1.PodSucceeded || got.Status.ContainerStatuses[0].RestartCount != 1 || terminated(t, got.Status.InitContainerStatuses, "side").ExitCode != 0 {
		t.Errorf("%+v", got.Status)
	}
	if out := c.logs(t, "again", "side"); out != "side ends\n" {
		t.Errorf("side-car: %q", out)
	}
}
