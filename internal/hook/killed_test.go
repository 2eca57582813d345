package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/secret"
	"prow/internal/service"
)

// commenter answers each comment with one of its own that names it.
func commenter() *plugins.Plugin {
	return &plugins.Plugin{Name: "commenter", Handlers: plugins.Handlers{Comment: func(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
		return a.GitHub.CreateComment(ctx, e.Repo.Owner.Login, e.Repo.Name, e.Number, "answer to "+e.Body)
	}}}
}

// TestHookThatIsKilled is the process that TestAKillLosesNothingAndRepeatsNothing kills.
func TestHookThatIsKilled(t *testing.T) {
	dir := os.Getenv("PROW_TEST_HOOK_DIR")
	if dir == "" {
		t.Skip("runs only as a child of TestAKillLosesNothingAndRepeatsNothing")
	}
	o := optionsIn(dir, os.Getenv("PROW_TEST_HOOK_FORGE"))
	var err error
	if o.Port, err = strconv.Atoi(os.Getenv("PROW_TEST_HOOK_PORT")); err != nil {
		t.Fatal(err)
	}
	p := commenter()
	rt := service.NewRuntime(Name, slog.New(slog.NewTextHandler(os.Stderr, nil)), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	if err := Run(t.Context(), rt, o, map[string]*plugins.Plugin{p.Name: p}); err != nil {
		t.Fatal(err)
	}
}

// forgeWithComments keeps comments, and takes its time: a kill often comes between
// a comment and its record.
type forgeWithComments struct {
	mu       sync.Mutex
	comments map[string][]map[string]any
}

func (f *forgeWithComments) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/user" {
		_, _ = fmt.Fprint(w, `{"login":"bot","id":1}`)
		return
	}
	if r.Method == http.MethodPost {
		var in struct{ Body string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		f.mu.Lock()
		f.comments[r.URL.Path] = append(f.comments[r.URL.Path], map[string]any{"id": len(f.comments) + 1, "body": in.Body, "user": map[string]any{"login": "bot", "id": 1}, "created_at": time.Now().UTC().Format(time.RFC3339)})
		f.mu.Unlock()
		<-time.After(20 * time.Millisecond)
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"id":1}`)
		return
	}
	f.mu.Lock()
	all, _ := json.Marshal(append([]map[string]any{}, f.comments[r.URL.Path]...))
	f.mu.Unlock()
	_, _ = w.Write(all)
}

// answers counts the comments by text.
func (f *forgeWithComments) answers() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for _, list := range f.comments {
		for _, c := range list {
			out[fmt.Sprint(c["body"])]++
		}
	}
	return out
}

func TestAKillLosesNothingAndRepeatsNothing(t *testing.T) {
	forge := &forgeWithComments{comments: map[string][]map[string]any{}}
	server := httptest.NewServer(forge)
	defer server.Close()
	p := prepareProgram(t, "plugins: {o: {plugins: [commenter]}}", "abc")
	port := strconv.Itoa(freePort(t))
	p.url = "http://127.0.0.1:" + port
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHookThatIsKilled$")
		cmd.Env = append(os.Environ(), "PROW_TEST_HOOK_DIR="+p.dir, "PROW_TEST_HOOK_FORGE="+server.URL, "PROW_TEST_HOOK_PORT="+port)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		p.log = &syncBuffer{}
		p.until("hook to listen", func() bool {
			resp, err := http.Get(p.url)
			if err == nil {
				_ = resp.Body.Close()
			}
			return err == nil
		})
		return cmd
	}
	const each, kills = 150, 3
	var accepted sync.Map
	total := 0
	for round := range kills {
		cmd := start()
		var senders sync.WaitGroup
		for w := range 8 {
			senders.Go(func() {
				for n := w; n < each; n += 8 {
					id := fmt.Sprintf("%d-%d", round, n)
					body := strings.Replace(commentIn("o", "r", "text "+id), `"number":7`, fmt.Sprintf(`"number":%d`, n+1), 1)
					if trySend(p.url, id, body) {
						accepted.Store("answer to text "+id, true)
					}
				}
			})
		}
		p.until("some answers", func() bool { return len(forge.answers()) > total+each/3 })
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		senders.Wait()
		total = len(forge.answers())
	}
	cmd := start()
	want := 0
	accepted.Range(func(any, any) bool { want++; return true })
	p.until("all work to end", func() bool { return len(forge.answers()) >= want && p.list("").Waiting == 0 })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	answers := forge.answers()
	accepted.Range(func(text, _ any) bool {
		if answers[text.(string)] == 0 {
			t.Errorf("%s was accepted and is lost", text)
		}
		return true
	})
	for text, n := range answers {
		if n > 1 {
			t.Errorf("%q was written %d times", text, n)
		}
	}
	t.Logf("%d deliveries were accepted in %d lives, %d were answered", want, kills+1, len(answers))
}
