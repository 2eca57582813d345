package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/store"
	"prow/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// installation is one that doctor examines: a real API server, a local forge, what
// receives webhooks, and a directory as bucket.
type installation struct {
	t         *testing.T
	o         *Options
	dir       string
	namespace string
	client    *kubernetes.Clientset
	forge     *local.Forge
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func serveForge(t *testing.T) (*local.Forge, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	forge, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), BaseURL: base, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
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
	return forge, base
}

// install makes an installation in which all is well.
func install(t *testing.T) *installation {
	t.Helper()
	cluster := kubetest.Start(t)
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, dir: t.TempDir(), namespace: cluster.Namespace(t), client: client}
	file := func(name, text string) string { return write(t, filepath.Join(in.dir, name), text) }
	if err := os.Mkdir(filepath.Join(in.dir, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	hmac := file("hmac", "a secret of webhooks\n")
	keys, err := webhook.ParseKeys([]byte("a secret of webhooks\n"))
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(http.StripPrefix("/hook", webhook.NewAcceptor(func() webhook.Keys { return keys }, func(context.Context, store.Delivery) error { return nil }, time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())))
	t.Cleanup(hook.Close)

	forge, base := serveForge(t)
	in.forge = forge
	in.seed(local.Seed{
		Users:  []local.User{{Login: "robot", Bot: true}, {Login: "ann"}},
		Orgs:   []local.SeedOrg{{Org: local.Org{Login: "o"}, Members: map[string]string{"robot": "admin", "ann": "member"}}},
		Repos:  []local.SeedRepo{{Repo: local.Repo{Owner: "o", Name: "r"}}},
		Tokens: []local.SeedToken{{Login: "robot", Token: "token-of-robot"}, {Login: "robot", Token: "weak-token", Scopes: "gist"}},
		Hooks:  []local.Hook{{Owner: "o", URL: hook.URL + "/hook", Secret: "a secret of webhooks"}},
	})
	in.o = &Options{
		Config:     config.DefaultOptions(),
		Kubernetes: kube.Flags{Kubeconfig: cluster.KubeconfigPath, NoInClusterConfig: true},
		GitHub:     github.Flags{Endpoints: []string{base + "/api/v3"}, GraphQLEndpoint: base + "/api/graphql", TokenPath: file("token", "token-of-robot\n")},
		HookURL:    hook.URL + "/hook", HMACFile: hmac,
		Components: []string{"horologium", "tide"}, Timeout: 20 * time.Second, Output: outputText,
	}
	in.o.Config.ConfigPath = file("config.yaml", fmt.Sprintf(`
prowjob_namespace: %[1]s
pod_namespace: %[1]s
plank:
  default_decoration_config_entries:
  - config:
      gcs_configuration: {bucket: "file://%[2]s/bucket", path_strategy: explicit}
      utility_images: {clonerefs: c, initupload: i, entrypoint: e, sidecar: s}
presubmits:
  o/r: [{name: unit, agent: kubernetes, always_run: true, spec: {containers: [{image: x}]}}]
`, in.namespace, in.dir))
	for _, name := range in.o.Components {
		in.account(name, rights[name])
	}
	return in
}

func (in *installation) seed(s local.Seed) {
	in.t.Helper()
	if err := in.forge.Apply(in.t.Context(), s); err != nil {
		in.t.Fatal(err)
	}
}

// account gives a component a service account with rights.
func (in *installation) account(name string, list []Right) {
	in.t.Helper()
	ctx := in.t.Context()
	meta := metav1.ObjectMeta{Name: name, Namespace: in.namespace}
	role := &rbac.Role{ObjectMeta: meta}
	for _, r := range list {
		role.Rules = append(role.Rules, rbac.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: r.Verbs})
	}
	_, err := in.client.CoreV1().ServiceAccounts(in.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err == nil {
		_, err = in.client.RbacV1().Roles(in.namespace).Create(ctx, role, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = in.client.RbacV1().RoleBindings(in.namespace).Create(ctx, &rbac.RoleBinding{
			ObjectMeta: meta, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: name},
			Subjects: []rbac.Subject{{Kind: "ServiceAccount", Name: name, Namespace: in.namespace}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) examine() (*Report, string) {
	in.t.Helper()
	if err := in.o.Validate(); err != nil {
		in.t.Fatal(err)
	}
	report := Examine(in.t.Context(), in.o, slog.New(slog.DiscardHandler))
	var text bytes.Buffer
	if err := report.writeText(&text); err != nil {
		in.t.Fatal(err)
	}
	return report, text.String()
}

func TestAllIsWell(t *testing.T) {
	in := install(t)
	report, text := in.examine()
	if !report.Healthy || report.count(Warning) != 0 {
		t.Fatalf("\n%s", text)
	}
	for _, want := range []string{
		"The cluster knows ProwJobs, with all fields", "horologium may do what it does", "tide may do what it does", "default takes pods", "/bucket is written and read", "The token is that of robot", "The token has the scopes",
		"robot is a member of o", "is reached, and refuses what is not signed", "hook takes what is signed with", "o sends its webhooks there", "agrees with that of the service cluster", "agrees with that of GitHub", "All is well",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told:\n%s", want, text)
		}
	}
	left, err := filepath.Glob(filepath.Join(in.dir, "bucket", "prow-doctor", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the bucket: %q %v", left, err)
	}
	var out bytes.Buffer
	in.o.Output = outputJSON
	if err := Run(t.Context(), in.o, &out, &out); err != nil {
		t.Fatal(err)
	}
	var decoded Report
	if err := json.Unmarshal(out.Bytes(), &decoded); err != nil || !decoded.Healthy || len(decoded.Results) != len(examinations) {
		t.Errorf("%v %s", err, out.String())
	}
}

func TestWhatIsIllIsToldWithWhatToMend(t *testing.T) {
	in := install(t)
	in.account("crier", []Right{jobs("get", "list", "watch"), lease()})
	answers := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(code)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	good := *in.o
	for name, tt := range map[string]struct {
		ill  func(o *Options)
		want []string
	}{
		"a configuration that does not load": {
			func(o *Options) {
				o.Config.ConfigPath = write(t, filepath.Join(in.dir, "broken.yaml"), "prowjob_namespace: [x]\n")
			},
			[]string{"BAD   The main configuration does not load", "broken.yaml:1", "prow checkconfig", "-     The configuration, which names the buckets"},
		},
		"a cluster that is not there": {
			func(o *Options) {
				o.Kubernetes.Kubeconfig = write(t, filepath.Join(in.dir, "kubeconfig"), "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: a, user: {}}]\n")
			},
			[]string{"BAD   http://127.0.0.1:1 does not answer", "BAD   a (http://127.0.0.1:1) does not answer", "disabled_clusters takes a cluster out"},
		},
		"a namespace that is missing": {
			func(o *Options) {
				text, _ := os.ReadFile(good.Config.ConfigPath)
				o.Config.ConfigPath = write(t, filepath.Join(in.dir, "ns.yaml"), strings.ReplaceAll(string(text), "pod_namespace: ", "pod_namespace: missing-"))
			},
			[]string{"BAD   default: Namespace missing-", "kubectl create namespace missing-"},
		},
		"a component without a right": {
			func(o *Options) { o.Components = []string{"crier", "deck"} },
			[]string{"BAD   crier may not patch prowjobs in " + in.namespace, "BAD   crier may not get, patch pods", "Apply the roles", "-     deck: there is no service account"},
		},
		"a bucket that is missing": {
			func(o *Options) {
				text, _ := os.ReadFile(good.Config.ConfigPath)
				o.Config.ConfigPath = write(t, filepath.Join(in.dir, "bucket.yaml"), strings.ReplaceAll(string(text), "/bucket\"", "/config.yaml\""))
			},
			[]string{"BAD   file://" + in.dir + "/config.yaml cannot be"},
		},
		"a token that was revoked": {
			func(o *Options) { o.GitHub.TokenPath = write(t, filepath.Join(in.dir, "revoked"), "revoked") },
			[]string{"BAD   GitHub does not take the token of", "Make a new token"},
		},
		"a token without scopes": {
			func(o *Options) { o.GitHub.TokenPath = write(t, filepath.Join(in.dir, "weak"), "weak-token") },
			[]string{"BAD   The token has the scopes gist; it lacks repo (or public_repo, where no repository is private) and read:org"},
		},
		"a forge that is not there": {
			func(o *Options) { o.GitHub.Endpoints = []string{"http://127.0.0.1:1"} },
			[]string{"BAD   GitHub does not answer", "Look whether http://127.0.0.1:1 is reached"},
		},
		"nobody at the address of webhooks": {
			func(o *Options) { o.HookURL = "http://127.0.0.1:1/hook" },
			[]string{"BAD   http://127.0.0.1:1/hook does not answer", "GitHub must reach it from the internet"},
		},
		"another page at the address of webhooks": {
			func(o *Options) { o.HookURL = answers(http.StatusNotFound) + "/hook" },
			[]string{"/hook answers 404", "Look at the path"},
		},
		"something that takes everything": {
			func(o *Options) { o.HookURL = answers(http.StatusOK) + "/hook" },
			[]string{"takes a webhook with a wrong signature", "o sends no webhooks to"},
		},
		"a redirect": {
			func(o *Options) { o.HookURL = answers(http.StatusMovedPermanently) + "/hook" },
			[]string{"answers 301 and leads elsewhere"},
		},
		"another secret": {
			func(o *Options) { o.HMACFile = write(t, filepath.Join(in.dir, "other"), "another") },
			[]string{"refuses what is signed with " + in.dir + "/other", "hook has another secret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tt.ill(&o)
			in := &installation{t: t, o: &o}
			report, text := in.examine()
			if report.Healthy {
				t.Errorf("it is said to be healthy")
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not told:\n%s", want, text)
				}
			}
			var out bytes.Buffer
			if err := Run(t.Context(), &o, &out, &out); err == nil {
				t.Error("the exit status is 0")
			}
		})
	}
}

func TestAnOlderDefinitionOfProwJobsIsTold(t *testing.T) {
	object := func(fields ...string) map[string]any {
		properties := map[string]any{}
		for _, f := range fields {
			properties[f] = map[string]any{"type": "string"}
		}
		return map[string]any{"properties": properties}
	}
	want, have := object("a", "b"), object("a")
	want["properties"].(map[string]any)["c"] = map[string]any{"items": object("x", "y")}
	have["properties"].(map[string]any)["c"] = map[string]any{"items": object("y")}
	if got := strings.Join(missingFields("spec", have, want), " "); got != "spec.b spec.c[].x" {
		t.Errorf("missing: %s", got)
	}
	have["x-kubernetes-preserve-unknown-fields"] = true
	if got := missingFields("spec", have, want); len(got) > 0 {
		t.Errorf("nothing is dropped, but told are %q", got)
	}
}

func TestClocks(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	for apart, want := range map[time.Duration]Level{
		0: Good, -600 * time.Millisecond: Good, 2 * time.Second: Good, -2 * time.Second: Good, 10 * time.Second: Warning, -10 * time.Second: Warning, time.Minute: Bad, -time.Hour: Bad,
	} {
		if got := judgeClock("GitHub", now, now.Add(100*time.Millisecond), now.Add(apart)); got.Level != want {
			t.Errorf("%v apart: %v", apart, got)
		}
	}
}

func TestAnAppWithoutPermissions(t *testing.T) {
	in := install(t)
	permissions := map[string]string{}
	for name, level := range wantedPermissions {
		permissions[name] = level
	}
	permissions["contents"] = "read"
	delete(permissions, "members")
	key := filepath.Join(in.dir, "app.pem")
	in.seed(local.Seed{
		Orgs: []local.SeedOrg{{Org: local.Org{Login: "elsewhere"}}},
		Apps: []local.App{{ID: 7, Slug: "prow-app", Owner: "o", KeyFile: key, Permissions: permissions, Events: []string{"push"}, Installations: []local.Installation{{Account: "o"}}}},
	})
	text, err := os.ReadFile(in.o.Config.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	write(t, in.o.Config.ConfigPath, string(text)+"tide: {queries: [{orgs: [elsewhere]}]}\n")
	in.o.GitHub.TokenPath, in.o.GitHub.AppID, in.o.GitHub.AppKeyPath = "", "7", key
	_, told := in.examine()
	for _, want := range []string{"The App is prow-app", "The App lacks permissions: contents: write, members: read", "The App gets no webhooks of check_run, issue_comment", "prow-app is not installed in elsewhere"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told:\n%s", want, told)
		}
	}
	in.o.GitHub.AppID = "8"
	if _, told := in.examine(); !strings.Contains(told, "GitHub does not take the App 8") {
		t.Errorf("an id that does not belong to the key:\n%s", told)
	}
}
