package lens_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/buildlog"
	"prow/internal/deck/lens/coverage"
	"prow/internal/deck/lens/html"
	"prow/internal/deck/lens/junit"
	"prow/internal/deck/lens/lenstest"
	"prow/internal/deck/lens/links"
	"prow/internal/deck/lens/markdown"
	"prow/internal/deck/lens/metadata"
	"prow/internal/deck/lens/podinfo"
	"prow/internal/deck/lens/restcoverage"
)

func all() []lens.Lens {
	return []lens.Lens{metadata.New(), restcoverage.New(), html.New(), junit.New(), markdown.New(), coverage.New(), buildlog.New(), podinfo.New(), links.New()}
}

// gallery serves every fixture of every lens as a document of its own, under the
// policy of frames, and lets its script ask the lens.
type gallery struct {
	t    testing.TB
	mu   sync.Mutex
	runs map[string]*lenstest.Run
	big  map[string]string
}

func (g *gallery) find(name, fixture string) (lens.Lens, *lens.Request) {
	for _, l := range all() {
		if l.About().Name != name {
			continue
		}
		run, request := lenstest.Load(g.t, filepath.Join(name, "testdata", fixture))
		if text, ok := g.big[name+"/"+fixture]; ok {
			run, request = lenstest.Texts(map[string]string{map[string]string{"junit": "artifacts/junit.xml", "buildlog": "build-log.txt"}[name]: text}), &lens.Request{Now: lenstest.Now}
			request.Artifacts = run.Artifacts()
		}
		// What is pinned stays so while the site lives.
		g.mu.Lock()
		defer g.mu.Unlock()
		if kept := g.runs[name+"/"+fixture]; kept != nil {
			request.Artifacts = kept.Artifacts()
		} else {
			g.runs[name+"/"+fixture] = run
		}
		return l, request
	}
	return nil, nil
}

// library stands for that of the page around a frame.
const library = `globalThis.spyglass = {
  ask: async (action, data) => { const r = await fetch(action + location.pathname, { method: 'POST', body: data }); return r.text(); },
  request: (data) => spyglass.ask('/callback', data),
  requestPage: (data) => spyglass.ask('/rerender', data),
  updatePage: async (data) => { document.getElementById('lens').innerHTML = await spyglass.requestPage(data); },
  contentUpdated() { spyglass.updates = (spyglass.updates ?? 0) + 1; },
  updateHash(hash) { spyglass.hash = hash; },
  makeFragmentLink: (fragment) => '#' + fragment,
  scrollTo: async (x, y) => { spyglass.scrolled = [x, y]; },
};`

func (g *gallery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 2 {
		http.NotFound(w, r)
		return
	}
	l, request := g.find(parts[len(parts)-2], parts[len(parts)-1])
	if l == nil {
		http.NotFound(w, r)
		return
	}
	data, _ := io.ReadAll(r.Body)
	request.Data = string(data)
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if parts[0] == "callback" {
		answer, err := l.(lens.Caller).Callback(ctx, request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, answer)
		return
	}
	body, err := l.Body(ctx, request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if parts[0] == "rerender" {
		_, _ = io.WriteString(w, string(body))
		return
	}
	about := l.About()
	policy, nonce := "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; style-src 'nonce-n'; script-src 'nonce-n'; img-src 'self' data:", ` nonce="n"`
	if about.Scripts {
		policy, nonce = "default-src 'none'; connect-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:", ""
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>%s</title><meta name="viewport" content="width=device-width, initial-scale=1">`, about.Title)
	names, _ := fs.Glob(about.Files, "*.css")
	for _, name := range names {
		text, _ := fs.ReadFile(about.Files, name)
		fmt.Fprintf(w, "<style%s>%s</style>", nonce, text)
	}
	fmt.Fprintf(w, `</head><body><main id="lens">%s</main><script%s>%s</script>`, body, nonce, library)
	names, _ = fs.Glob(about.Files, "*.js")
	for _, name := range names {
		text, _ := fs.ReadFile(about.Files, name)
		fmt.Fprintf(w, "<script%s>%s</script>", nonce, text)
	}
}

// TestBrowser shows all fixtures in a real browser, and uses the scripts of lenses. It
// needs node, chromium and what `npm ci` installs in test/browser. BROWSER_TESTS is a
// pattern that chooses some of the tests.
func TestBrowser(t *testing.T) {
	if os.Getenv("PROW_TEST_BROWSER") == "" {
		t.Skip("NOT TESTED IN A BROWSER: that takes minutes; run `make test-browser`")
	}
	dir, err := filepath.Abs("../../../test/browser")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "playwright-core")); err != nil {
		t.Skip("NOT TESTED IN A BROWSER: run `make test-browser`, which installs playwright-core")
	}
	var tests, lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&tests, `<testcase classname="example.com/storage" name="TestVolumes/mounts_and_reads_%d" time="%d"/>`, i, i%7)
		fmt.Fprintf(&lines, "line %d of a long log\n", i+1)
	}
	g := &gallery{t: t, runs: map[string]*lenstest.Run{}, big: map[string]string{"junit/large": `<testsuite name="e2e">` + tests.String() + `</testsuite>`, "buildlog/large": lines.String()}}
	site := httptest.NewServer(g)
	defer site.Close()
	var fixtures []string
	for _, l := range all() {
		entries, err := os.ReadDir(filepath.Join(l.About().Name, "testdata"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "fuzz" {
				fixtures = append(fixtures, l.About().Name+"/"+e.Name())
			}
		}
	}
	shots := os.Getenv("SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	args := []string{"--test", "--test-concurrency=1"}
	if pattern := os.Getenv("BROWSER_TESTS"); pattern != "" {
		args = append(args, "--test-name-pattern="+pattern)
	}
	cmd := exec.CommandContext(t.Context(), "node", append(args, filepath.Join(dir, "lenses.test.js"))...)
	cmd.Env = append(os.Environ(), "LENSES_URL="+site.URL, "FIXTURES="+strings.Join(fixtures, " "), "SCREENSHOTS="+shots)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
}

func TestLensesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range all() {
		if seen[l.About().Name] {
			t.Errorf("%s is there twice", l.About().Name)
		}
		seen[l.About().Name] = true
	}
	if len(seen) != 9 {
		t.Errorf("there are %d lenses", len(seen))
	}
}
