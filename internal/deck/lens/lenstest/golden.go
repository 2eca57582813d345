package lenstest

import (
	"encoding/json"
	"errors"
	"flag"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prow/internal/deck/lens"
)

// Now is when requests of tests are made.
var Now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

var update = flag.Bool("update", false, "write the golden pages of lenses")

// setup is the file request.json of a fixture; all of it may be left out.
type setup struct {
	Config        json.RawMessage              `json:"config"`
	Data          string                       `json:"data"`
	BrowserPrefix string                       `json:"browserPrefix"`
	Limit         int64                        `json:"limit"`
	Metadata      map[string]map[string]string `json:"metadata"`
	Links         map[string]string            `json:"links"`
	Compressed    []string                     `json:"compressed"`
	Live          []string                     `json:"live"`
}

// Load reads a fixture: a directory with artifacts below "files", and a request.json.
func Load(t testing.TB, dir string) (*Run, *lens.Request) {
	t.Helper()
	var s setup
	raw, err := os.ReadFile(filepath.Join(dir, "request.json"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	files := map[string]*File{}
	root := os.DirFS(filepath.Join(dir, "files"))
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		files[name] = &File{Text: string(text), Metadata: s.Metadata[name], Link: s.Links[name]}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, name := range s.Compressed {
		files[name].Compressed = true
	}
	for _, name := range s.Live {
		files[name].Live = true
	}
	run := NewRun(files)
	run.Limit = s.Limit
	return run, &lens.Request{Artifacts: run.Artifacts(), Config: s.Config, Data: s.Data, BrowserPrefix: s.BrowserPrefix, Now: Now}
}

// Golden shows every fixture in testdata and compares with its golden.html, which
// -update writes. No page may have anything of a job that runs.
func Golden(t *testing.T, l lens.Lens) {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil || len(entries) == 0 {
		t.Fatal("there are no fixtures in testdata", err)
	}
	for _, entry := range entries {
		if entry.Name() == "fuzz" || !entry.IsDir() {
			continue
		}
		dir := filepath.Join("testdata", entry.Name())
		t.Run(entry.Name(), func(t *testing.T) {
			_, request := Load(t, dir)
			body := Show(t, l, request)
			golden := filepath.Join(dir, "golden.html")
			if *update {
				if err := os.WriteFile(golden, []byte(body), 0o644); err != nil { //nolint:gosec // no secret
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != string(want) {
				t.Errorf("the page is not %s; with -update it becomes\n%s", golden, difference(string(want), string(body)))
			}
		})
	}
}

// Show makes the body of a request, which must be safe.
func Show(t testing.TB, l lens.Lens, r *lens.Request) template.HTML {
	t.Helper()
	if r.Now.IsZero() {
		r.Now = Now
	}
	body, err := l.Body(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if problems := Unsafe(string(body)); len(problems) > 0 {
		t.Errorf("the page is not safe:\n%s\n%s", strings.Join(problems, "\n"), body)
	}
	return body
}

// difference shows the first line that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "want " + w[i] + "\ngot  " + g[i]
		}
	}
	return "one is longer than the other"
}

// About checks the description of a lens against what is published about it.
func About(t *testing.T, l lens.Lens, name, title string, priority uint, hideTitle bool) {
	t.Helper()
	a := l.About()
	if a.Name != name || a.Title != title || a.Priority != priority || a.HideTitle != hideTitle {
		t.Errorf("got %q, %q, %d, %t", a.Name, a.Title, a.Priority, a.HideTitle)
	}
	for _, pattern := range []string{"00-look.css", "00-look.js"} {
		if found, err := fs.Glob(a.Files, pattern); err != nil || len(found) != 1 {
			t.Errorf("%s: found %v, %v", pattern, found, err)
		}
	}
}
