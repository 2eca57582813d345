package eventserver

import (
	"context"
	"encoding/json"
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

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
)

// recorder is a plugin that records what it is told, and panics where it is asked to.
type recorder struct {
	mu   sync.Mutex
	said []string
	hold chan struct{}
}

func (r *recorder) plugin() *plugins.Plugin {
	return &plugins.Plugin{
		Name: "recorder", Description: "It records.",
		Config: func(_ *pluginconfig.Configuration, repos []string) map[string]string {
			return map[string]string{"": "for " + strings.Join(repos, ",")}
		},
		Handlers: plugins.Handlers{IssueComment: func(_ context.Context, a *plugins.Agent, e *github.IssueCommentEvent) error {
			if e.Comment.Body == "panic" {
				panic("boom")
			}
			if r.hold != nil {
				<-r.hold
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.said = append(r.said, a.Delivery+":"+e.Comment.Body)
			return nil
		}},
	}
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, ",")
}

// start runs the server until stop is called.
func start(t *testing.T, r *recorder, dir string) (url string, stop func()) {
	t.Helper()
	forge := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(forge.Close)
	gh, err := github.NewClient(github.ClientOptions{Endpoints: []string{forge.URL}, UserAgent: "x/v1"})
	if err != nil {
		t.Fatal(err)
	}
	hmac := filepath.Join(dir, "hmac")
	if err := os.WriteFile(hmac, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	s := &Server{
		Plugin: r.plugin(), GitHub: gh, Agent: func() *plugins.Agent { return &plugins.Agent{} },
		Flags: &Flags{Port: port, Address: "127.0.0.1", HMACFile: hmac, Store: filepath.Join(dir, "store.db")},
	}
	rt := service.NewRuntime("recorder", slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, rt) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	<-rt.Ready()
	return fmt.Sprintf("http://127.0.0.1:%d", port), stop
}

func ask(t *testing.T, method, url, body string, headers map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func deliver(t *testing.T, url, id, comment, key string) int {
	t.Helper()
	body := fmt.Sprintf(`{"action":"created","repository":{"full_name":"o/r","name":"r","owner":{"login":"o"}},"issue":{"number":1},"comment":{"body":%q}}`, comment)
	code, _ := ask(t, http.MethodPost, url+"/", body, map[string]string{
		"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": id, "X-Hub-Signature-256": webhook.Sign([]byte(body), key), "Content-Type": "application/json",
	})
	return code
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited too long for " + what)
		}
	}
}

func TestProbe22_Help(t *testing.T) {
	url, _ := start(t, &recorder{}, t.TempDir())
	if code, _ := ask(t, http.MethodGet, url+"/help", "", nil); code != 405 {
		t.Errorf("GET: %d", code)
	}
	if code, _ := ask(t, http.MethodPost, url+"/help", "x", nil); code != 500 {
		t.Errorf("no JSON: %d", code)
	}
	for question, config := range map[string]string{"[]": "for ", `[{"Org":"o","Repo":"r"},{"Org":"p","Repo":"q"}]`: "for o/r,p/q", "null": "for "} {
		code, answer := ask(t, http.MethodPost, url+"/help", question, nil)
		var help plugins.Help
		if err := json.Unmarshal([]byte(answer), &help); err != nil || code != 200 || help.Description != "It records." || help.Config[""] != config || strings.Join(help.Events, ",") != "issue_comment" {
			t.Errorf("%s: %d %s", question, code, answer)
		}
	}
}

func TestDeliveriesAreCheckedAndHandledOnce(t *testing.T) {
	r := &recorder{}
	url, _ := start(t, r, t.TempDir())
	if code := deliver(t, url, "1", "hi", "wrong"); code != 403 {
		t.Errorf("a wrong signature: %d", code)
	}
	for _, id := range []string{"1", "1", "2"} {
		if code := deliver(t, url, id, "hi", "abc"); code != 200 {
			t.Errorf("%s: %d", id, code)
		}
	}
	if code := deliver(t, url, "3", "panic", "abc"); code != 200 {
		t.Errorf("%d", code)
	}
	if code := deliver(t, url, "4", "after", "abc"); code != 200 {
		t.Errorf("%d", code)
	}
	until(t, "all of them", func() bool { return strings.Count(r.all(), ":") == 3 })
}

func TestWhatIsAcceptedIsHandledBeforeTheEnd(t *testing.T) {
	dir := t.TempDir()
	r := &recorder{hold: make(chan struct{})}
	url, stop := start(t, r, dir)
	deliver(t, url, "1", "hi", "abc")
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-ended:
		t.Fatal("it ended before its handler")
	case <-time.After(50 * time.Millisecond):
	}
	close(r.hold)
	<-ended
	s, err := store.Open(t.Context(), filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d, _, err := s.GetDelivery(t.Context(), "1"); err != nil || d.State != store.DeliveryDone || r.all() != "1:hi" {
		t.Errorf("%+v, %v, handled %s", d, err, r.all())
	}
}
