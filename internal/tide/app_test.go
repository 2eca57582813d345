package tide

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

// appConfig has one query for an org where the app is installed, another such org,
// and one where it is not.
const appConfig = `
prowjob_namespace: default
tide:
  blocker_label: stop
  queries:
  - orgs: [acme, beta, gamma]
    labels: [lgtm]
`

// becomeApp creates the orgs of appConfig, and makes both controllers act as an
// app that is installed in acme and beta. Repositories are private, so that only
// the installation of an org sees them.
func (w *world) becomeApp() (key string) {
	w.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	key = filepath.Join(w.t.TempDir(), "key.pem")
	if err := os.WriteFile(key, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	seed := local.Seed{
		Repos: []local.SeedRepo{
			{Repo: local.Repo{Owner: "acme", Name: "app", Private: true}, Collaborators: map[string]string{"dev": "write"}},
		},
		Apps: []local.App{{
			ID: 77, Slug: "robo", Owner: "acme", KeyFile: key,
			Permissions:   map[string]string{"contents": "write", "pull_requests": "write", "issues": "write", "statuses": "write", "checks": "read", "metadata": "read"},
			Installations: []local.Installation{{Account: "acme"}, {Account: "beta"}},
		}},
	}
	for _, org := range []string{"beta", "gamma"} {
		seed.Orgs = append(seed.Orgs, local.SeedOrg{Org: local.Org{Login: org}, Members: map[string]string{"boss": "admin", "dev": "member", "robot": "admin"}})
		seed.Repos = append(seed.Repos, local.SeedRepo{Repo: local.Repo{Owner: org, Name: "app", Private: true}, Collaborators: map[string]string{"dev": "write"}})
	}
	if err := w.forge.Apply(w.t.Context(), seed); err != nil {
		w.t.Fatal(err)
	}
	client, err := github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), Logger: quiet,
		App:   github.NewAppAuth("77", func() (*rsa.PrivateKey, error) { return private, nil }, nil),
		Retry: github.RetryPolicy{MaxRetries: 1, Max404Retries: -1},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.provider.Forge, w.provider.PerOrg = client, client.UsesAppAuth()
	w.provider.Mergeability = NewMergeability(client, w.now)
	w.status.Forge, w.status.PerOrg, w.status.Mergeability = client, client.UsesAppAuth(), w.provider.Mergeability
	w.configure(appConfig, "{}")
	return key
}

// searches are the texts of the searches that were made, with what authenticated them.
type searches struct {
	mu   sync.Mutex
	seen map[string]string
	fail string
}

// answer refuses the searches of an org, and notes all.
func (s *searches) answer(r *http.Request, body string) (int, string) {
	if r.URL.Path != "/api/graphql" {
		return 0, ""
	}
	var q struct{ Variables struct{ Query string } }
	_ = json.Unmarshal([]byte(body), &q)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[q.Variables.Query] = r.Header.Get("Authorization")
	if s.fail != "" && strings.Contains(q.Variables.Query, s.fail) {
		return http.StatusBadRequest, refusal("broken")
	}
	return 0, ""
}

// of are the searches that contain all parts, and what authenticated them.
func (s *searches) of(parts ...string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for text, token := range s.seen {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) }) {
			out[text] = token
		}
	}
	return out
}

func TestProbe06AnAppSearchesEachOrgByItself(t *testing.T) {
	w := newWorld(t)
	number, head := w.pull("one", "lgtm")
	w.becomeApp()
	log := &searches{seen: map[string]string{}}
	w.proxy.interpose(log.answer)
	// gamma has no installation: only its searches fail.
	err := w.sync.Sync(t.Context(), w.cfg)
	if err == nil || !strings.Contains(err.Error(), "robo is not installed in the organization gamma") || strings.Contains(err.Error(), "acme") || strings.Contains(err.Error(), "beta") {
		t.Errorf("the round tells: %v", err)
	}
	if !w.merged(number) {
		t.Fatalf("a pull request of acme is not merged: %+v", w.sync.Pools())
	}
	acme, beta := log.of("is:pr", `org:"acme"`), log.of("is:pr", `org:"beta"`)
	if len(acme) != 1 || len(beta) != 1 || len(log.of("is:pr")) != 2 {
		t.Fatalf("one search for each org with an installation: %q", log.seen)
	}
	tokens := map[string]bool{}
	for _, found := range []map[string]string{acme, beta, log.of("is:issue", `org:"acme"`), log.of("is:issue", `org:"beta"`)} {
		for text, token := range found {
			if tokens[token] = true; token == "" || strings.Count(text, "org:") != 1 {
				t.Errorf("%q is authenticated by %q", text, token)
			}
		}
	}
	if len(tokens) != 2 {
		t.Errorf("each org has its own token: %d", len(tokens))
	}
	w.expectStatus(head, "success: ")
	for org, want := range map[string]float64{"acme": 0, "beta": 0, "gamma": 1} {
		if got := w.queryResults(org, "error"); got != want {
			t.Errorf("%s: %v failed searches, want %v", org, got, want)
		}
	}
}

func TestProbe06AFailedOrgLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	number, _ := w.pull("one", "lgtm")
	w.becomeApp()
	log := &searches{seen: map[string]string{}, fail: `org:"beta"`}
	w.proxy.interpose(log.answer)
	err := w.sync.Sync(t.Context(), w.cfg)
	if err == nil || !strings.Contains(err.Error(), `org:\"beta\"`) {
		t.Errorf("the round tells: %v", err)
	}
	if !w.merged(number) {
		t.Errorf("a pull request of acme is not merged: %+v", w.sync.Pools())
	}
	if bad, good := w.queryResults("beta", "error"), w.queryResults("acme", "success"); bad != 1 || good != 1 {
		t.Errorf("%v failed searches of beta, %v successful ones of acme", bad, good)
	}
}

func TestPullRequestsOfAnOrgWhoseBlockersAreUnknownAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	number, _ := w.pull("one", "lgtm")
	w.becomeApp()
	log := &searches{seen: map[string]string{}, fail: `is:issue state:open label:"stop" org:"acme"`}
	w.proxy.interpose(log.answer)
	_ = w.sync.Sync(t.Context(), w.cfg) // gamma fails anyway
	if w.merged(number) || len(w.sync.Pools()) != 0 {
		t.Errorf("merged: %+v", w.sync.Pools())
	}
	log.mu.Lock()
	log.fail = ""
	log.mu.Unlock()
	_ = w.sync.Sync(t.Context(), w.cfg)
	if !w.merged(number) {
		t.Errorf("not merged: %+v", w.sync.Pools())
	}
}

func TestStatusesOfAnAppAreSearchedByOrg(t *testing.T) {
	w := newWorld(t)
	_, head := w.pull("one")
	w.becomeApp()
	log := &searches{seen: map[string]string{}, fail: `org:"beta"`}
	w.proxy.interpose(log.answer)
	_ = w.sync.Sync(t.Context(), w.cfg) // gamma fails anyway
	w.status.Sync(t.Context(), w.cfg)
	w.expectStatus(head, "pending: Not mergeable: it needs the label lgtm.")
	if got := len(log.of("sort:updated-asc", `org:"acme"`)); got != 1 {
		t.Errorf("%d searches for statuses of acme: %q", got, log.seen)
	}
	if w.status.windows["acme"].LatestPR.IsZero() || !w.status.windows["beta"].LatestPR.IsZero() {
		t.Errorf("each org has a window of its own: %+v", w.status.windows)
	}
}

func TestOneRoundAsAnAppEnds(t *testing.T) {
	cluster := kubetest.Start(t)
	w := newWorld(t)
	number, _ := w.pull("one", "lgtm")
	key := w.becomeApp()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(appConfig, "prowjob_namespace: default", "prowjob_namespace: "+cluster.Namespace(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(strings.TrimSuffix(w.forge.APIURL(), "/api/v3"), "http://")
	o := Options{
		Config:     config.Options{ConfigPath: path},
		Kubernetes: kube.Flags{Kubeconfig: cluster.KubeconfigPath, NoInClusterConfig: true},
		GitHub: github.Flags{
			Host: host, Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), AppID: "77", AppKeyPath: key, MaxRetries: 1, Max404Retries: -1,
		},
		MaxRecords: 10, ListingTimeout: time.Minute, RunOnce: true,
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	rt := service.NewRuntime(Name, quiet, new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// One round is made, and then it ends.
	if err := Run(ctx, rt, &o); err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	if !w.merged(number) {
		t.Error("the round does not merge")
	}
}

// queryResults counts the searches of an org that had a result.
func (w *world) queryResults(org, result string) float64 {
	w.t.Helper()
	return gathered(w.t, w.reg, "tidequeryresults", org, result)
}

// gathered is the sum of a counter over all that have labels of these values.
func gathered(t *testing.T, reg *prometheus.Registry, name string, values ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(have, v) }) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
