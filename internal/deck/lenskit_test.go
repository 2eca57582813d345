package deck

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLensKit(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"started.json": "{}", "sub/a.txt": "hello <b>"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	k := LensKit{Dir: dir, Lens: "show", Config: `{"x":1}`, Files: []string{`\.txt$`}, SizeLimit: 100}
	handler, err := k.Handler(log, testLenses())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	_, page := ask(http.MethodGet, "/", "")
	contains(t, "the page", page, `data-lens-index="0"`, "2 files", "static/lenses.js")
	code, shown := ask(http.MethodGet, lensURL("show", "iframe", kitSource, 0), "")
	contains(t, "the frame", shown, "sub/a.txt artifacts/"+kitSource+"/sub/a.txt", "hello &lt;b&gt;", `config={&#34;x&#34;:1}`)
	lacks(t, "the frame", shown, "started.json")
	if code != 200 {
		t.Errorf("got %d", code)
	}
	for path, want := range map[string]int{
		"/artifacts/" + kitSource + "/sub/a.txt": 200, "/artifacts/" + kitSource + "/../../x": 404, "/static/lenses.js": 200, "/static/deck.css": 200, "/nope": 404,
		lensURL("show", "iframe", "file/etc/logs/j/1", 0): 404, lensURL("show", "iframe", kitSource, 0, "../x.txt"): 400,
	} {
		if code, _ := ask(http.MethodGet, path, ""); code != want {
			t.Errorf("%s: got %d, want %d", path, code, want)
		}
	}
	if _, got := ask(http.MethodPost, lensURL("show", "callback", kitSource, 0), "pin sub/a.txt"); got != "<nil>" {
		t.Errorf("pinning: %q", got)
	}
	for _, bad := range []LensKit{{Dir: dir, Lens: "none"}, {Dir: "/none", Lens: "show"}, {Dir: dir, Lens: "show", Config: "{"}, {Dir: dir, Lens: "show", Files: []string{"("}}, {Dir: dir, Lens: "x", Endpoint: "ftp://x"}} {
		if _, err := bad.Handler(log, testLenses()); err == nil {
			t.Errorf("%+v must be refused", bad)
		}
	}
}
