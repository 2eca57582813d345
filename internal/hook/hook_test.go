package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
)

// program is hook as a process has it, with a forge that only knows who the bot is.
type program struct {
	t        *testing.T
	opts     *Options
	plugins  map[string]*plugins.Plugin
	dir, url string
	forge    *httptest.Server
	registry *prometheus.Registry
	log      *syncBuffer
	stop     func() error

	mu    sync.Mutex
	calls []string
}

// syncBuffer is a buffer that may be written to from several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// prepareProgram writes the files of a program that start starts.
func prepareProgram(t *testing.T, pluginsYAML, hmac string, all ...*plugins.Plugin) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), plugins: map[string]*plugins.Plugin{}}
	for _, each := range all {
		p.plugins[each.Name] = each
	}
	p.forge = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.calls = append(p.calls, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
		switch {
		case r.URL.Path == "/orgs/o/repos":
			_, _ = io.WriteString(w, `[{"name":"r1","full_name":"o/r1"},{"name":"r2","full_name":"o/r2"}]`)
		case strings.HasSuffix(r.URL.Path, "/labels") && r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `[]`)
		case strings.HasSuffix(r.URL.Path, "/labels"):
			_, _ = io.WriteString(w, `[{"name":"x"}]`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.forge.Close)
	kubeconfig := `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], users: [{name: c, user: {}}], contexts: [{name: c, context: {cluster: c, user: c}}]}`
	for name, content := range map[string]string{"config.yaml": "{}", "plugins.yaml": pluginsYAML, "hmac": hmac, "admin": "administrator", "kubeconfig": kubeconfig, "token": "t0ken"} {
		p.write(name, content)
	}
	p.opts = optionsIn(p.dir, p.forge.URL)
	return p
}

// optionsIn are the options of a program whose files are in a directory.
func optionsIn(dir, forge string) *Options {
	path := func(name string) string { return filepath.Join(dir, name) }
	o := &Options{
		Config: config.DefaultOptions(), Plugins: pluginconfig.Options{Path: path("plugins.yaml")}, WebhookPath: "/hook", Address: "127.0.0.1", HMACFile: path("hmac"),
		AdminTokenFile: path("admin"), Store: path("hook.db"), CacheDir: path("cache"), GracePeriod: 10 * time.Second, SweepWindow: time.Hour,
	}
	o.Config.ConfigPath = path("config.yaml")
	o.Kubernetes.Kubeconfig = path("kubeconfig")
	o.GitHub = github.Flags{Host: "github.com", Endpoints: []string{forge}, GraphQLEndpoint: forge + "/graphql", TokenPath: path("token"), MaxRetries: 1, RequestTimeout: 10 * time.Second}
	return o
}

func (p *program) path(name string) string { return filepath.Join(p.dir, name) }

func (p *program) write(name, content string) {
	p.t.Helper()
	// As a mounted ConfigMap changes: at once, with another time.
	if err := os.WriteFile(p.path(name+".new"), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.path(name+".new"), p.path(name)); err != nil {
		p.t.Fatal(err)
	}
}

// start starts the program and waits until it serves.
func (p *program) start() {
	p.t.Helper()
	p.opts.Port = freePort(p.t)
	if err := p.opts.Validate(); err != nil {
		p.t.Fatal(err)
	}
	p.url = fmt.Sprintf("http://127.0.0.1:%d", p.opts.Port)
	p.registry, p.log = prometheus.NewRegistry(), &syncBuffer{}
	secrets := new(secret.Store)
	rt := service.NewRuntime(Name, slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})), new(slog.LevelVar), p.registry, secrets)
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { _ = secrets.Run(ctx, rt.Log) }()
	go func() { done <- Run(ctx, rt, p.opts, p.plugins) }()
	p.stop = sync.OnceValue(func() error { cancel(); return <-done })
	p.t.Cleanup(func() { _ = p.stop() })
	select {
	case <-rt.Ready():
	case err := <-done:
		p.t.Fatalf("it did not start: %v", err)
	case <-time.After(20 * time.Second):
		p.t.Fatal("it does not get ready")
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// trySend sends a comment and tells whether it was accepted.
func trySend(url, id, body string) bool {
	req, err := http.NewRequest(http.MethodPost, url+"/hook", strings.NewReader(body))
	if err != nil {
		return false
	}
	for key, value := range map[string]string{"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": id, "X-Hub-Signature-256": webhook.Sign([]byte(body), "abc"), "Content-Type": "application/json"} {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// send posts a signed delivery and returns the status code.
func (p *program) send(event, id, body, key string, headers ...string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/hook", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", webhook.Sign([]byte(body), key))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (p *program) want(code, got int) {
	p.t.Helper()
	if code != got {
		p.t.Errorf("status %d, want %d", got, code)
	}
}

// admin asks as an administrator.
func (p *program) admin(method, path string) (int, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer administrator")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func (p *program) list(query string) (out DeliveryList) {
	p.t.Helper()
	code, body := p.admin(http.MethodGet, DeliveriesPath+query)
	if err := json.Unmarshal(body, &out); err != nil || code != http.StatusOK {
		p.t.Fatalf("%d: %s", code, body)
	}
	return out
}

// done waits until a delivery has ended and returns it.
func (p *program) done(id string) (d Delivery) {
	p.t.Helper()
	p.until("the end of "+id, func() bool {
		code, body := p.admin(http.MethodGet, DeliveriesPath+"/"+id)
		d = Delivery{}
		return code == http.StatusOK && json.Unmarshal(body, &d) == nil && d.State != store.DeliveryNew
	})
	return d
}

func (p *program) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited too long for %s; log:\n%s", what, p.log)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// metric is the sum of the samples of a metric whose labels hold these values.
func (p *program) metric(name string, values ...string) (sum float64) {
	p.t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	samples:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(values); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == values[i] && l.GetValue() == values[i+1]
				}
				if !found {
					continue samples
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// says is a plugin that records what it handles.
type says struct {
	mu   sync.Mutex
	said []string
}

func (s *says) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, what)
}

func (s *says) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, ",")
}

func (s *says) plugin(name string) *plugins.Plugin {
	return &plugins.Plugin{Name: name, Description: "It records.", Handlers: plugins.Handlers{
		Comment: func(_ context.Context, _ *plugins.Agent, e *github.CommentEvent) error {
			s.add(string(e.Action) + ":" + e.Repo.Name)
			return nil
		},
		Push: func(context.Context, *plugins.Agent, *github.PushEvent) error { s.add("push"); return nil },
	}}
}

func repo(org, name string) string {
	return fmt.Sprintf(`"repository":{"full_name":"%s/%s","name":%q,"owner":{"login":%q}}`, org, name, name, org)
}

func commentIn(org, name, body string) string {
	return fmt.Sprintf(`{"action":"created",%s,"issue":{"number":7,"state":"open","pull_request":{}},"comment":{"id":1,"body":%q,"user":{"login":"u","id":5}}}`, repo(org, name), body)
}

func TestProbe01to04and08_Answers(t *testing.T) {
	p := prepareProgram(t, "{}", "abc")
	p.start()
	resp, err := http.Get(p.url + "/hook")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.want(405, resp.StatusCode)
	p.want(400, p.send("", "1", "{}", "abc"))
	p.want(400, p.send("ping", "", "{}", "abc"))
	p.want(403, p.send("ping", "1", "{}", "abc", "X-Hub-Signature-256", "", "X-Hub-Signature", "sha1=00"))
	p.want(400, p.send("ping", "1", "{}", "wrong", "Content-Type", "text/plain"))
	const vector = "sha256=19092633e5aa9a849dfcc9d2df4e76db2df1fcba7f38915f2c7833bd8a510f2f"
	p.want(200, p.send("ping", "1", "{}", "", "X-Hub-Signature-256", vector))
	p.want(403, p.send("ping", "2", "{}", "", "X-Hub-Signature-256", strings.Replace(vector, "1909", "1908", 1)))
	p.want(403, p.send("ping", "2", "{}", "", "X-Hub-Signature-256", strings.Replace(vector, "sha256", "sha1", 1)))
	if got := p.metric("prow_webhook_response_codes", "response_code", "403"); got != 3 {
		t.Errorf("%v answers 403 are counted", got)
	}
	if got := p.metric("prow_webhook_counter"); got != 1 || p.metric("prow_webhook_counter", "event_type", "ping") != 1 {
		t.Errorf("%v deliveries are counted", got)
	}
}

func TestProbe05and06_Secrets(t *testing.T) {
	const shared = `{"*": [{value: k1}], "o": [{value: k2}], "o/r": [{value: k3},{value: k4}]}`
	p := prepareProgram(t, "{}", shared)
	p.start()
	n := 0
	try := func(code int, body, key string) {
		t.Helper()
		n++
		p.want(code, p.send("push", fmt.Sprint(n), body, key))
	}
	r, x, q := "{"+repo("o", "r")+"}", "{"+repo("o", "x")+"}", "{"+repo("p", "q")+"}"
	try(200, r, "k3")
	try(200, r, "k4")
	try(403, r, "k2")
	try(403, r, "k1")
	try(200, x, "k2")
	try(403, x, "k1")
	try(200, q, "k1")
	try(200, `{"organization":{"login":"o"}}`, "k2")
	try(403, `{"organization":{"login":"o"},"repository":{"name":"q","owner":{"login":"p"}}}`, "k2")
	p.write("hmac", strings.Replace(shared, `"*": [{value: k1}], `, "", 1))
	p.until("the new secrets", func() bool { n++; return p.send("push", fmt.Sprint(n), q, "k1") == 403 })
}

func TestProbe07_ANewSecretIsFollowed(t *testing.T) {
	p := prepareProgram(t, "{}", "abc")
	p.start()
	p.want(200, p.send("ping", "1", "{}", "abc"))
	p.write("hmac", "new")
	begun := time.Now()
	p.until("the new secret", func() bool { return p.send("ping", "2", "{}", "new") == 200 })
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	p.want(403, p.send("ping", "3", "{}", "abc"))
	p.write("hmac", "{org: [{value: s}, {value: }]}")
	p.until("the complaint", func() bool { return strings.Contains(p.log.String(), "secret") })
	p.want(200, p.send("ping", "4", "{}", "new"))
}

func TestProbe09and10and12_WhoHandlesWhat(t *testing.T) {
	for name, yaml := range map[string]string{
		"as objects": "plugins: {o: {plugins: [says], excluded_repos: [r2]}}",
		"as lists":   "plugins: {o: [says]}",
	} {
		t.Run(name, func(t *testing.T) {
			var s says
			p := prepareProgram(t, yaml, "abc", s.plugin("says"))
			p.start()
			p.want(200, p.send("issue_comment", "1", commentIn("o", "r1", "hi"), "abc"))
			p.done("1")
			p.want(200, p.send("issue_comment", "2", commentIn("o", "r2", "hi"), "abc"))
			p.done("2")
			want := "created:r1"
			if name == "as lists" {
				want += ",created:r2"
			}
			if got := s.all(); got != want {
				t.Errorf("handled %s, want %s", got, want)
			}
			if name == "as lists" {
				return
			}
			p.write("plugins.yaml", yaml[:len(yaml)-1]+", o/r2: {plugins: [says]}}")
			n := 10
			p.until("the new configuration", func() bool {
				n++
				p.send("issue_comment", fmt.Sprint(n), commentIn("o", "r2", "hi"), "abc")
				p.done(fmt.Sprint(n))
				return strings.Contains(s.all(), "created:r2")
			})
			pull := `"pull_request":{"number":7,"state":"open","body":"hi","user":{"login":"u"},"base":{"repo":{"full_name":"o/r1","name":"r1","owner":{"login":"o"}}}}`
			s.said = nil
			for i, event := range []struct{ kind, body string }{
				{"pull_request", `{"action":"opened",` + repo("o", "r1") + `,"number":7,` + pull + `}`},
				{"pull_request_review", `{"action":"submitted",` + repo("o", "r1") + `,"review":{"body":"hi"},` + pull + `}`},
				{"pull_request_review_comment", `{"action":"created",` + repo("o", "r1") + `,"comment":{"body":"hi"},` + pull + `}`},
				{"issue_comment", strings.Replace(commentIn("o", "r1", "hi"), `"created"`, `"edited"`, 1)},
			} {
				id := fmt.Sprint("e", i)
				p.want(200, p.send(event.kind, id, event.body, "abc"))
				p.done(id)
			}
			if got := s.all(); got != "created:r1,created:r1,created:r1,edited:r1" {
				t.Errorf("texts became %s", got)
			}
		})
	}
}

func TestProbe13and14_Enablement(t *testing.T) {
	var s says
	got := make(chan struct{}, 10)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got <- struct{}{} }))
	defer other.Close()
	p := prepareProgram(t, "plugins: {o: {plugins: [says]}}\nexternal_plugins: {o: [{name: x, endpoint: "+other.URL+"}]}", "abc", s.plugin("says"))
	p.opts.Enablement.DisabledRepos = []string{"o/r1"}
	p.start()
	p.want(200, p.send("issue_comment", "1", commentIn("o", "r1", "hi"), "abc"))
	if d := p.done("1"); len(d.Outcomes) != 0 || s.all() != "" || len(got) != 0 {
		t.Errorf("a repository that is disabled is served: %+v", d)
	}
	for _, bad := range []github.EnablementFlags{{EnabledOrgs: []string{"o"}, DisabledOrgs: []string{"o"}}, {EnabledRepos: []string{"o"}}} {
		p.opts.Enablement = bad
		if err := p.opts.Validate(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// outside is an external plugin that records what it gets.
type outside struct {
	*httptest.Server
	mu   sync.Mutex
	got  []*http.Request
	body []string
	code int
}

func newOutside(t *testing.T) *outside {
	o := &outside{code: 200}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.got, o.body = append(o.got, r), append(o.body, string(body))
		w.WriteHeader(o.code)
		_, _ = io.WriteString(w, "my answer")
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *outside) count() int { o.mu.Lock(); defer o.mu.Unlock(); return len(o.got) }

func TestProbe15_ExternalPluginsGetTheDelivery(t *testing.T) {
	some, every := newOutside(t), newOutside(t)
	p := prepareProgram(t, "external_plugins:\n  o/r1:\n  - {name: some, endpoint: "+some.URL+"/in, events: [issue_comment]}\n  - {name: every, endpoint: "+every.URL+"}\n", "abc")
	p.start()
	body := commentIn("o", "r1", "hi")
	p.want(200, p.send("issue_comment", "guid", body, "abc", "X-Forwarded-For", "1.2.3.4"))
	p.done("guid")
	p.want(200, p.send("push", "2", "{"+repo("o", "r1")+"}", "abc"))
	p.want(200, p.send("workflow_run", "3", "{"+repo("o", "r1")+"}", "abc"))
	p.done("2")
	p.done("3")
	if some.count() != 1 || every.count() != 3 {
		t.Fatalf("they got %d and %d", some.count(), every.count())
	}
	r := some.got[0]
	for header, want := range map[string]string{
		"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": "guid", "X-Hub-Signature-256": webhook.Sign([]byte(body), "abc"),
		"Content-Type": "application/json", "User-Agent": "ProwHook", "X-Forwarded-For": "",
	} {
		if got := r.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if some.body[0] != body || r.URL.Path != "/in" || r.Method != http.MethodPost {
		t.Errorf("%s %s: %s", r.Method, r.URL, some.body[0])
	}
}

func TestProbe16_ExternalPluginsThatFail(t *testing.T) {
	angry := newOutside(t)
	angry.code = 500
	refusing := httptest.NewServer(nil)
	refusing.Close()
	p := prepareProgram(t, "external_plugins: {o: [{name: angry, endpoint: "+angry.URL+"}, {name: refusing, endpoint: "+refusing.URL+"}]}", "abc")
	p.start()
	begun := time.Now()
	p.want(200, p.send("push", "1", "{"+repo("o", "r")+"}", "abc"))
	d := p.done("1")
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("pauses of 100, 200, 400 and 800 ms took %s", took)
	}
	if angry.count() != 1 {
		t.Errorf("the one that answers is called %d times", angry.count())
	}
	if got := p.metric("prow_external_plugin_duration_seconds", "plugin", "refusing", "code", "error"); got != 5 {
		t.Errorf("the one that does not answer is called %v times", got)
	}
	errs := map[string]string{}
	for _, o := range d.Outcomes {
		errs[o.Handler] = o.Error
	}
	if !strings.Contains(errs["external:angry"], "500 Internal Server Error: my answer") || !strings.Contains(errs["external:refusing"], "refused") {
		t.Errorf("outcomes %v", errs)
	}
	if !strings.Contains(p.log.String(), `"external-plugin":"angry"`) {
		t.Error("it is not logged")
	}
}

func TestProbe17_TheEndpointOfAnExternalPluginIsItsName(t *testing.T) {
	p := prepareProgram(t, "external_plugins: {o: [{name: foo}]}", "abc")
	cfg, err := pluginconfig.Load(t.Context(), p.opts.Plugins)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.EnabledExternalPlugins("o", "r")[0].Endpoint; got != "http://foo" {
		t.Error(got)
	}
}

func TestProbe18and19_PanicsAndMetrics(t *testing.T) {
	var s says
	panics := &plugins.Plugin{Name: "panics", Handlers: plugins.Handlers{Comment: func(context.Context, *plugins.Agent, *github.CommentEvent) error { panic("boom") }}}
	p := prepareProgram(t, "plugins: {o: {plugins: [panics, says]}}", "abc", panics, s.plugin("says"))
	p.start()
	for _, id := range []string{"1", "2"} {
		p.want(200, p.send("issue_comment", id, commentIn("o", "r", "hi"), "abc"))
		d := p.done(id)
		if len(d.Outcomes) != 2 {
			t.Errorf("outcomes %+v", d.Outcomes)
		}
	}
	if got := p.metric("prow_plugin_handle_errors", "plugin", "panics"); got != 2 {
		t.Errorf("%v errors are counted", got)
	}
	if s.all() != "created:r,created:r" {
		t.Errorf("the other handled %s", s.all())
	}
	p.want(200, p.send("push", "3", "{"+repo("o", "r")+"}", "abc"))
	p.done("3")
	for _, labels := range [][]string{{"event_type", "comment", "action", "created"}, {"event_type", "push", "action", "none"}} {
		if p.metric("prow_plugin_handle_duration_seconds", append(labels, "plugin", "says", "took_action", "false")...) == 0 {
			t.Errorf("no handler is counted with %v", labels)
		}
	}
	if !strings.Contains(p.log.String(), "hook_test.go") {
		t.Error("the stack of the panic is not logged")
	}
}

func TestProbe20_PluginHelp(t *testing.T) {
	var s says
	hold := s.plugin("hold")
	hold.Commands = []plugins.Command{{Usage: "/hold"}}
	p := prepareProgram(t, "plugins: {o: {plugins: [hold]}}", "abc", hold)
	p.start()
	resp, err := http.Post(p.url+"/plugin-help", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.want(405, resp.StatusCode)
	resp, err = http.Get(p.url + "/plugin-help")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var help map[string]json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&help); err != nil || len(help) != 5 || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v: %v, %v", err, help, resp.Header)
	}
	for key, want := range map[string]string{"AllRepos": `["o/r1","o/r2"]`, "RepoPlugins": `"":["hold"]`, "PluginHelp": `"Usage":"/hold"`} {
		if !strings.Contains(string(help[key]), want) {
			t.Errorf("%s is %s", key, help[key])
		}
	}
}

func TestProbe21_HelpOfExternalPlugins(t *testing.T) {
	var asked string
	quick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.Path + " " + string(body)
		_, _ = io.WriteString(w, `{"Description":"quick","Events":["x"]}`)
	}))
	defer quick.Close()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	p := prepareProgram(t, "external_plugins: {o: [{name: quick, endpoint: "+quick.URL+"/q, events: [push]}, {name: hangs, endpoint: "+hangs.URL+"}]}", "abc")
	p.start()
	begun := time.Now()
	resp, err := http.Get(p.url + "/plugin-help")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var help Help
	if err := json.NewDecoder(resp.Body).Decode(&help); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if got := help.ExternalPluginHelp; len(got) != 1 || got["quick"].Description != "quick" || strings.Join(got["quick"].Events, ",") != "push" {
		t.Errorf("help %+v", got)
	}
	if asked != `POST /q/help [{"Org":"o","Repo":"r1"},{"Org":"o","Repo":"r2"}]` {
		t.Errorf("asked %s", asked)
	}
}

func TestProbe23_TheOldHealthCheck(t *testing.T) {
	p := prepareProgram(t, "{}", "abc")
	p.start()
	resp, err := http.Get(p.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(body) != 0 {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func TestProbe24_AShutdownFinishesWhatWasBegun(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	slow := &plugins.Plugin{Name: "slow", Handlers: plugins.Handlers{Comment: func(context.Context, *plugins.Agent, *github.CommentEvent) error {
		close(began)
		<-release
		return nil
	}}}
	p := prepareProgram(t, "plugins: {o: {plugins: [slow]}}", "abc", slow)
	p.start()
	p.want(200, p.send("issue_comment", "1", commentIn("o", "r", "hi"), "abc"))
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	p.until("the port to close", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("it ended before its handler: %v", err)
	default:
	}
	close(release)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	s, err := store.Open(t.Context(), p.path("hook.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d, _, err := s.GetDelivery(t.Context(), "1"); err != nil || d.State != store.DeliveryDone {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestProbe25_ABadPluginConfigurationChangesNothing(t *testing.T) {
	var s says
	p := prepareProgram(t, "plugins: {o: {plugins: [says]}}", "abc", s.plugin("says"))
	p.start()
	p.write("plugins.yaml", "plugins: {o: {plugins: [says, says2]}, o/r: {plugins: [says]}}")
	p.until("the complaint", func() bool { return strings.Contains(p.log.String(), `"level":"ERROR"`) })
	p.want(200, p.send("issue_comment", "1", commentIn("o", "r", "hi"), "abc"))
	p.done("1")
	if s.all() != "created:r" {
		t.Errorf("handled %s", s.all())
	}
	p.write("plugins.yaml", "plugins: {other: {plugins: [says]}}")
	n := 10
	p.until("the new configuration", func() bool {
		n++
		p.send("issue_comment", fmt.Sprint(n), commentIn("o", "r", "hi"), "abc")
		return len(p.done(fmt.Sprint(n)).Outcomes) == 0
	})
}

func TestAdministratorsSeeAndReplayDeliveries(t *testing.T) {
	var fails sync.Map
	fails.Store("fails", true)
	var s says
	flaky := &plugins.Plugin{Name: "flaky", Handlers: plugins.Handlers{Comment: func(_ context.Context, a *plugins.Agent, _ *github.CommentEvent) error {
		_, yes := fails.Load("fails")
		if a.Repeated == yes {
			t.Error("what is replayed, and only that, may have been done in part before")
		}
		if yes {
			return errors.New("the forge is down")
		}
		return nil
	}}}
	p := prepareProgram(t, "plugins: {o: {plugins: [flaky, says]}}", "abc", flaky, s.plugin("says"))
	p.start()
	for _, header := range []string{"", "Bearer wrong", "administrator"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+DeliveriesPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		p.want(401, resp.StatusCode)
	}
	for n := range 3 {
		p.want(200, p.send("issue_comment", fmt.Sprint(n), commentIn("o", "r", "hi"), "abc"))
		p.done(fmt.Sprint(n))
	}
	p.want(200, p.send("ping", "p", `{"organization":{"login":"o2"}}`, "abc"))
	if got := p.list("?limit=2"); len(got.Deliveries) != 2 || got.Next == "" || len(p.list("?before="+got.Next).Deliveries) != 2 {
		t.Errorf("pages %+v", got)
	}
	if got := p.list("?failed=true&repo=o").Deliveries; len(got) != 3 || got[0].Outcomes[0].Error != "the forge is down" || got[0].Action != "created" || got[0].Payload != nil {
		t.Errorf("failed are %+v", got)
	}
	for _, bad := range []string{"?limit=x", "?state=odd", "?before=1"} {
		if code, _ := p.admin(http.MethodGet, DeliveriesPath+bad); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
	fails.Delete("fails")
	code, _ := p.admin(http.MethodPost, DeliveriesPath+"/1/replay")
	p.want(202, code)
	if d := p.done("1"); len(d.Outcomes) != 2 || d.Outcomes[0].Error+d.Outcomes[1].Error != "" || len(d.Payload) == 0 {
		t.Errorf("replayed: %+v", d)
	}
	if s.all() != "created:r,created:r,created:r" {
		t.Errorf("what went well was repeated: %s", s.all())
	}
	code, _ = p.admin(http.MethodPost, DeliveriesPath+"/nosuch/replay")
	p.want(404, code)
}

func TestTheSameDeliveryIsHandledOnce(t *testing.T) {
	var s says
	p := prepareProgram(t, "plugins: {o: {plugins: [says]}}", "abc", s.plugin("says"))
	p.start()
	for range 3 {
		p.want(200, p.send("issue_comment", "1", commentIn("o", "r", "hi"), "abc"))
	}
	p.done("1")
	if s.all() != "created:r" {
		t.Errorf("handled %s", s.all())
	}
}

func TestASlowPluginDelaysNoOther(t *testing.T) {
	release := make(chan struct{})
	slow := &plugins.Plugin{Name: "slow", Handlers: plugins.Handlers{Comment: func(ctx context.Context, _ *plugins.Agent, _ *github.CommentEvent) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}}}
	var s says
	p := prepareProgram(t, "plugins: {o: {plugins: [slow, says]}}", "abc", slow, s.plugin("says"))
	p.start()
	const many = laneWidth + laneLength + 200
	for n := range many {
		body := strings.Replace(commentIn("o", "r", "hi"), `"number":7`, fmt.Sprintf(`"number":%d`, n+1), 1)
		p.want(200, p.send("issue_comment", fmt.Sprint(n), body, "abc"))
	}
	p.until("the quick plugin to handle all of them", func() bool { return strings.Count(s.all(), "created") == many })
	if got := p.metric("prow_plugin_handlers_running", "plugin", "slow"); got != laneWidth {
		t.Errorf("%v slow handlers run", got)
	}
	close(release)
	p.until("the slow plugin to catch up", func() bool { return p.list("").Waiting == 0 })
	if got := strings.Count(s.all(), "created"); got != many {
		t.Errorf("the quick one handled %d of %d", got, many)
	}
	if got := len(p.list("?failed=true").Deliveries); got != 0 {
		t.Errorf("%d failed", got)
	}
}
