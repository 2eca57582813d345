package mkpj

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gogithub "github.com/google/go-github/v75/github"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/forge/local"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

const configuration = `
prowjob_namespace: %s
presubmits:
  org/repo:
  - {name: unit, labels: {team: a}, annotations: {note: b}, path_alias: k8s.io/repo, always_run: true, spec: {containers: [{image: i}]}}
  - {name: variants, branches: [^release-], context: on-release, spec: {containers: [{image: i}]}}
  - {name: variants, branches: [^main$], context: on-main, spec: {containers: [{image: i}]}}
  - {name: both, context: of-the-presubmit, spec: {containers: [{image: i}]}}
  other/repo:
  - {name: shared, context: other, spec: {containers: [{image: i}]}}
  third/repo:
  - {name: shared, context: third, spec: {containers: [{image: i}]}}
  just-an-org:
  - {name: everywhere, spec: {containers: [{image: i}]}}
postsubmits:
  org/repo:
  - {name: push, spec: {containers: [{image: i}]}}
  - {name: both, spec: {containers: [{image: i}]}}
periodics:
- {name: nightly, interval: 1h, labels: {a: b}, extra_refs: [{org: org, repo: repo, base_ref: main}], spec: {containers: [{image: i}]}}
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// code is a forge over HTTP with org/repo, whose main branch has a commit, and
// a pull request of dev; it counts requests for API resources.
type code struct {
	endpoint   string
	number     int
	main, head string

	mu       sync.Mutex
	requests []string
}

func (c *code) asked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := strings.Join(c.requests, " ")
	c.requests = nil
	return out
}

func newCode(t *testing.T) *code {
	t.Helper()
	c := &code{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	forge, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), BaseURL: base, AnonymousRead: true})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, found := strings.CutPrefix(r.URL.Path, "/api/v3/"); found {
			c.mu.Lock()
			c.requests = append(c.requests, r.Method+" "+path)
			c.mu.Unlock()
		}
		forge.Handler().ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); _ = forge.Run(ctx) }()
	t.Cleanup(func() {
		_ = server.Close()
		cancel()
		<-ran
		if err := forge.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := forge.Apply(t.Context(), local.Seed{
		Users: []local.User{{Login: "dev"}}, Orgs: []local.SeedOrg{{Org: local.Org{Login: "org"}, Members: map[string]string{"dev": "admin"}}},
		Repos: []local.SeedRepo{{Repo: local.Repo{Owner: "org", Name: "repo"}}}, Tokens: []local.SeedToken{{Login: "dev", Token: "token-of-dev"}},
	}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "clone")
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "--quiet", strings.Replace(base, "http://", "http://dev:token-of-dev@", 1)+"/org/repo", dir)
	git("-C", dir, "checkout", "--quiet", "-b", "change")
	git("-C", dir, "-c", "user.name=dev", "-c", "user.email=d@e", "commit", "--quiet", "--allow-empty", "-m", "change")
	git("-C", dir, "push", "--quiet", "origin", "change")
	c.main, c.head = git("-C", dir, "rev-parse", "origin/main"), git("-C", dir, "rev-parse", "change")
	c.endpoint = base + "/api/v3"
	as, err := gogithub.NewClient(nil).WithAuthToken("token-of-dev").WithEnterpriseURLs(c.endpoint, c.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pr, _, err := as.PullRequests.Create(t.Context(), "org", "repo", &gogithub.NewPullRequest{Title: gogithub.Ptr("Title"), Head: gogithub.Ptr("change"), Base: gogithub.Ptr("main")})
	if err != nil {
		t.Fatal(err)
	}
	c.number = pr.GetNumber()
	c.asked()
	return c
}

// mkpj runs the program with flags and the lines of a person.
func mkpj(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var o Options
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	err = Run(t.Context(), &o, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errOut})
	return out.String(), errOut.String(), err
}

func TestMkpj(t *testing.T) {
	host := newCode(t)
	path := writeConfig(t, fmt.Sprintf(configuration, "jobs"))
	number := strconv.Itoa(host.number)
	pull := v1.Pull{Number: host.number, Author: "dev", SHA: host.head, HeadRef: "change"}
	refs := func(change func(*v1.Refs)) *v1.Refs {
		r := &v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: host.main}
		if change != nil {
			change(r)
		}
		return r
	}
	withPull := func(r *v1.Refs) { r.PathAlias, r.Pulls = "k8s.io/repo", []v1.Pull{pull} }
	for sentence, c := range map[string]struct {
		stdin string
		args  []string
		// want is the spec in part.
		typ     v1.ProwJobType
		context string
		refs    *v1.Refs
		// asked are the requests to the forge, prompt the questions to the person.
		asked, prompt string
	}{
		"a presubmit is completed by one look at its pull request": {
			args: []string{"--job=unit", "--pull-number=" + number},
			typ:  v1.PresubmitJob, context: "unit", refs: refs(withPull), asked: "GET repos/org/repo/pulls/" + number,
		},
		"a number that is not given is asked for": {
			stdin: number + "\n", args: []string{"--job=unit"},
			typ: v1.PresubmitJob, context: "unit", refs: refs(withPull), asked: "GET repos/org/repo/pulls/" + number, prompt: "PR Number: ",
		},
		"an answer needs no end of line": {
			stdin: number, args: []string{"--job=unit"},
			typ: v1.PresubmitJob, context: "unit", refs: refs(withPull), asked: "GET repos/org/repo/pulls/" + number, prompt: "PR Number: ",
		},
		"with all six values given nobody is asked": {
			args: []string{"--job=unit", "--pull-number=9", "--pull-sha=s", "--pull-author=a", "--pull-head-ref=h", "--base-ref=b", "--base-sha=bs"},
			typ:  v1.PresubmitJob, context: "unit",
			refs: &v1.Refs{Org: "org", Repo: "repo", BaseRef: "b", BaseSHA: "bs", PathAlias: "k8s.io/repo", Pulls: []v1.Pull{{Number: 9, Author: "a", SHA: "s", HeadRef: "h"}}},
		},
		"what is given stays, what is missing comes from the pull request": {
			args: []string{"--job=unit", "--pull-number=" + number, "--pull-author=me", "--base-ref=release"},
			typ:  v1.PresubmitJob, context: "unit", asked: "GET repos/org/repo/pulls/" + number,
			refs: refs(func(r *v1.Refs) { withPull(r); r.BaseRef = "release"; r.Pulls[0].Author = "me" }),
		},
		"probe 31: a postsubmit with base and commit asks nobody": {
			args: []string{"--job=push", "--base-ref=main", "--base-sha=abc"},
			typ:  v1.PostsubmitJob, context: "push", refs: &v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "abc"},
		},
		"a postsubmit asks for the head of its branch, once": {
			args: []string{"--job=push", "--base-ref=main"},
			typ:  v1.PostsubmitJob, context: "push", refs: refs(nil), asked: "GET repos/org/repo/git/refs/heads/main",
		},
		"a postsubmit without anything asks for the branch": {
			stdin: "main\n", args: []string{"--job=push"},
			typ: v1.PostsubmitJob, context: "push", refs: refs(nil), asked: "GET repos/org/repo/git/refs/heads/main", prompt: "Base ref (such as main): ",
		},
		"a postsubmit of a known pull request takes its base": {
			args: []string{"--job=push", "--pull-number=" + number},
			typ:  v1.PostsubmitJob, context: "push", refs: refs(nil), asked: "GET repos/org/repo/pulls/" + number,
		},
		"a periodic has no refs": {args: []string{"--job=nightly"}, typ: v1.PeriodicJob},
		"presubmits go before postsubmits": {
			args: []string{"--job=both", "--pull-number=" + number}, typ: v1.PresubmitJob, context: "of-the-presubmit",
			refs: refs(func(r *v1.Refs) { r.Pulls = []v1.Pull{pull} }), asked: "GET repos/org/repo/pulls/" + number,
		},
		"of several variants the one for the branch is taken": {
			args: []string{"--job=variants", "--pull-number=" + number}, typ: v1.PresubmitJob, context: "on-main",
			refs: refs(func(r *v1.Refs) { r.Pulls = []v1.Pull{pull} }), asked: "GET repos/org/repo/pulls/" + number,
		},
		"of several repositories the first is taken, with a warning": {
			args: []string{"--job=shared", "--pull-number=1", "--pull-sha=s", "--pull-author=a", "--base-ref=b", "--base-sha=bs"}, typ: v1.PresubmitJob, context: "other",
			refs: &v1.Refs{Org: "other", Repo: "repo", BaseRef: "b", BaseSHA: "bs", Pulls: []v1.Pull{{Number: 1, Author: "a", SHA: "s"}}}, prompt: "--repo chooses",
		},
		"--repo chooses": {
			args: []string{"--job=shared", "--repo=third/repo", "--pull-number=1", "--pull-sha=s", "--pull-author=a", "--base-ref=b", "--base-sha=bs"}, typ: v1.PresubmitJob, context: "third",
			refs: &v1.Refs{Org: "third", Repo: "repo", BaseRef: "b", BaseSHA: "bs", Pulls: []v1.Pull{{Number: 1, Author: "a", SHA: "s"}}},
		},
		"another host is linked, since the clone would go to github.com": {
			args: []string{"--job=push", "--base-ref=main", "--base-sha=abc", "--github-host=ghe.example"},
			typ:  v1.PostsubmitJob, context: "push", refs: &v1.Refs{Org: "org", Repo: "repo", RepoLink: "https://ghe.example/org/repo", BaseRef: "main", BaseSHA: "abc"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			host.asked()
			stdout, stderr, err := mkpj(t, c.stdin, append([]string{"--config-path=" + path, "--github-endpoint=" + host.endpoint}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			var pj v1.ProwJob
			if err := yaml.UnmarshalStrict([]byte(stdout), &pj); err != nil {
				t.Fatalf("standard output is not one ProwJob: %v\n%s", err, stdout)
			}
			if pj.Kind != "ProwJob" || pj.APIVersion != "prow.k8s.io/v1" || pj.Name == "" || pj.Status.State != v1.TriggeredState || pj.Status.StartTime.IsZero() || pj.Namespace != "" {
				t.Errorf("object: %+v", pj)
			}
			if pj.Spec.Type != c.typ || pj.Spec.Context != c.context {
				t.Errorf("a %s with context %q, want a %s with %q", pj.Spec.Type, pj.Spec.Context, c.typ, c.context)
			}
			if diff := cmp.Diff(c.refs, pj.Spec.Refs); diff != "" {
				t.Errorf("refs (-want +got):\n%s", diff)
			}
			if got := host.asked(); got != c.asked {
				t.Errorf("the forge was asked %q, want %q", got, c.asked)
			}
			if c.prompt == "" && stderr != "" || !strings.Contains(stderr, c.prompt) {
				t.Errorf("standard error: %q, want %q", stderr, c.prompt)
			}
			if _, has := pj.Labels[v1.IsOptionalLabel]; has || (pj.Spec.Job == "unit") != (pj.Labels["team"] == "a" && pj.Annotations["note"] == "b") {
				t.Errorf("labels and annotations are those of the job only: %v, %v", pj.Labels, pj.Annotations)
			}
		})
	}
}

func TestMkpjErrors(t *testing.T) {
	host := newCode(t)
	path := writeConfig(t, fmt.Sprintf(configuration, "jobs"))
	for sentence, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no job":                                 {"", nil, "--job is required"},
		"probe 31: an unknown job is named":      {"", []string{"--job=missing"}, `is named "missing"`},
		"an unknown job of a repository":         {"", []string{"--job=unit", "--repo=other/repo"}, `of other/repo is named "unit"`},
		"a job of an org is left out":            {"", []string{"--job=everywhere"}, `is named "everywhere"`},
		"nobody to answer is an error":           {"", []string{"--job=unit"}, "--pull-number is not given, and standard input has ended"},
		"nobody to name a branch is an error":    {"", []string{"--job=push"}, "--base-ref is not given, and standard input has ended"},
		"an empty answer is an error":            {"\n", []string{"--job=unit"}, "the answer is empty"},
		"an answer that is no number":            {"seven\n", []string{"--job=unit"}, `"seven" is not the number`},
		"a pull request that does not exist":     {"", []string{"--job=unit", "--pull-number=4711"}, "pull request 4711 of org/repo"},
		"a branch that does not exist":           {"", []string{"--job=push", "--base-ref=missing"}, "--base-sha"},
		"a negative number":                      {"", []string{"--job=unit", "--pull-number=-1"}, "--pull-number=-1"},
		"a repository that is none":              {"", []string{"--job=unit", "--repo=x"}, "--repo=x"},
		"a kubeconfig is checked for triggering": {"", []string{"--job=nightly", "--trigger-job", "--kubeconfig=/does/not/exist"}, "--kubeconfig"},
	} {
		t.Run(sentence, func(t *testing.T) {
			stdout, _, err := mkpj(t, c.stdin, append([]string{"--config-path=" + path, "--github-endpoint=" + host.endpoint, "--github-client.max-404-retries=1", "--github-client.initial-delay=1ms"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if stdout != "" {
				t.Errorf("standard output: %s", stdout)
			}
		})
	}
	if _, _, err := mkpj(t, "", "--config-path="+path, "--job=nightly", "--kubeconfig=/does/not/exist"); err != nil {
		t.Errorf("without --trigger-job the kubeconfig does not matter: %v", err)
	}
}

func TestTheStateHonoursTheScheduler(t *testing.T) {
	path := writeConfig(t, fmt.Sprintf(configuration, "jobs")+"scheduler: {enabled: true}\n")
	stdout, _, err := mkpj(t, "", "--config-path="+path, "--job=nightly")
	if err != nil || !strings.Contains(stdout, "state: scheduling") {
		t.Errorf("%v\n%s", err, stdout)
	}
}

// finisher plays the controllers: it ends the first ProwJob of a namespace.
func finisher(t *testing.T, cluster *kubetest.Cluster, namespace string, end func(context.Context, client.Client, *v1.ProwJob) error) (wait func()) {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var list v1.ProwJobList
			if err := c.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
				done <- err
				return
			}
			if len(list.Items) > 0 {
				done <- end(t.Context(), c, &list.Items[0])
				return
			}
			select {
			case <-ticker.C:
			case <-t.Context().Done():
				done <- t.Context().Err()
				return
			}
		}
	}()
	return func() {
		t.Helper()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func to(state v1.ProwJobState, complete bool) func(context.Context, client.Client, *v1.ProwJob) error {
	return func(ctx context.Context, c client.Client, pj *v1.ProwJob) error {
		before := pj.DeepCopy()
		pj.Status.State, pj.Status.Description = state, "the end"
		if complete {
			now := metav1.Now()
			pj.Status.CompletionTime = &now
		}
		return c.Patch(ctx, pj, client.MergeFrom(before))
	}
}

func TestTriggerJob(t *testing.T) {
	cluster := kubetest.Start(t)
	for sentence, c := range map[string]struct {
		end  func(context.Context, client.Client, *v1.ProwJob) error
		args []string
		want string
		// out is in standard output.
		out string
	}{
		"a job that succeeds":                      {to(v1.SuccessState, true), []string{"--fail-with-job"}, "", "state: success"},
		"a job that fails":                         {to(v1.FailureState, true), nil, "", "state: failure"},
		"a job that fails, with --fail-with-job":   {to(v1.FailureState, true), []string{"--fail-with-job"}, "job nightly ended in state failure", "state: failure"},
		"an aborted job ends before it is stopped": {to(v1.AbortedState, false), []string{"--fail-with-job"}, "ended in state aborted", "state: aborted"},
		"a job that is deleted":                    {func(ctx context.Context, c client.Client, pj *v1.ProwJob) error { return c.Delete(ctx, pj) }, nil, "deleted before it ended", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			wait := finisher(t, cluster, namespace, c.end)
			path := writeConfig(t, fmt.Sprintf(configuration, namespace))
			stdout, _, err := mkpj(t, "", append([]string{"--config-path=" + path, "--job=nightly", "--trigger-job", "--kubeconfig=" + cluster.KubeconfigPath, "--no-in-cluster-config"}, c.args...)...)
			wait()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if !strings.Contains(stdout, c.out) || strings.Contains(stdout, "pod_spec") {
				t.Errorf("standard output is the status alone: %s", stdout)
			}
		})
	}
}

// brokenWatches ends the first watches as soon as they begin.
type brokenWatches struct {
	next http.RoundTripper

	used chan struct{} // closed when all of them have ended

	mu   sync.Mutex
	left int
}

func (b *brokenWatches) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	resp, err := b.next.RoundTrip(r)
	if err == nil && r.URL.Query().Get("watch") != "" && b.left > 0 {
		if b.left--; b.left == 0 {
			close(b.used)
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(strings.NewReader(""))
	}
	return resp, err
}

func TestAWatchThatEndsIsTakenUpAgain(t *testing.T) {
	cluster := kubetest.Start(t)
	namespace := cluster.Namespace(t)
	config, broken := rest.CopyConfig(cluster.Config), &brokenWatches{left: 2, used: make(chan struct{})}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { broken.next = next; return broken })
	pj := &v1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: v1.ProwJobSpec{Type: v1.PeriodicJob, Job: "j"}, Status: v1.ProwJobStatus{State: v1.TriggeredState}}
	wait := finisher(t, cluster, namespace, func(ctx context.Context, c client.Client, pj *v1.ProwJob) error {
		select {
		case <-broken.used:
		case <-ctx.Done():
		}
		return to(v1.SuccessState, true)(ctx, c, pj)
	})
	status, err := runJob(t.Context(), config, namespace, pj, discard())
	wait()
	if err != nil || status.State != v1.SuccessState {
		t.Errorf("%+v, %v", status, err)
	}
}

func TestAnInterruptLeavesTheJobAlone(t *testing.T) {
	cluster := kubetest.Start(t)
	namespace := cluster.Namespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	wait := finisher(t, cluster, namespace, func(context.Context, client.Client, *v1.ProwJob) error { cancel(); return nil })
	pj := &v1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: v1.ProwJobSpec{Type: v1.PeriodicJob, Job: "j"}, Status: v1.ProwJobStatus{State: v1.TriggeredState}}
	_, err := runJob(ctx, cluster.Config, namespace, pj, discard())
	wait()
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "which goes on") {
		t.Errorf("got %v", err)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
