package deck

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/spyglass"
)

const (
	// maxLensData bounds what the browser's part of a lens may send, in bytes.
	maxLensData = 1 << 20
	// lensTimeout bounds how long a lens may take.
	lensTimeout = time.Minute
	// lensesAtOnce is how many lenses read files at the same time.
	lensesAtOnce = 16
	// lensPath is below which lenses answer.
	lensPath = "spyglass/lens/"
)

// lensRun is a run as lenses see it.
type lensRun struct {
	source string
	// names lists the files, in order.
	names func(ctx context.Context) []string
	// check tells what is wrong with a name; open finds the file that has it.
	check         func(name string) error
	open          func(ctx context.Context, name string) (lens.Artifact, error)
	browserPrefix string
}

// frames answers for lenses: those of this program, and those of endpoints.
type frames struct {
	log     *slog.Logger
	now     func() time.Time
	entries func() []spyglass.Entry
	// run finds the run that a request is about.
	run   func(w http.ResponseWriter, r *http.Request, source string) (*lensRun, error)
	slots chan struct{}
	// client asks the endpoints of lenses.
	client *http.Client

	mu sync.Mutex
	// shells are what stands around the content of a lens, by name.
	shells map[string]*lensShell
}

func newFrames(log *slog.Logger, now func() time.Time, entries func() []spyglass.Entry, run func(http.ResponseWriter, *http.Request, string) (*lensRun, error)) *frames {
	return &frames{log: log, now: now, entries: entries, run: run, slots: make(chan struct{}, lensesAtOnce), client: remoteClient(), shells: map[string]*lensShell{}}
}

func (f *frames) routes(mux *http.ServeMux) {
	mux.HandleFunc("/spyglass/lens/{path...}", f.lens)
	mux.HandleFunc("/spyglass/static/{name}/{file...}", f.static)
	mux.HandleFunc("/static/spyglass_lens_bundle.min.js", func(w http.ResponseWriter, r *http.Request) {
		forFrames(w)
		serveEmbedded(w, "static/spyglass/lens.js", "text/javascript; charset=utf-8")
	})
	mux.HandleFunc("/static/spyglass/lens.css", func(w http.ResponseWriter, r *http.Request) {
		forFrames(w)
		serveEmbedded(w, "static/spyglass/lens.css", "text/css; charset=utf-8")
	})
}

func serveEmbedded(w http.ResponseWriter, name, kind string) {
	body, err := files.ReadFile(name)
	if err != nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body) // a viewer who left is no error
}

// forFrames lets frames, whose origin is their own, load a file.
func forFrames(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// known tells whether a lens of this name is configured.
func known(entries []spyglass.Entry, name string) bool {
	return slices.ContainsFunc(entries, func(e spyglass.Entry) bool { return e.Name == name })
}

// lens answers /spyglass/lens/<name>/<action>?req=...
func (f *frames) lens(w http.ResponseWriter, r *http.Request) {
	name, action, _ := strings.Cut(r.PathValue("path"), "/")
	entries := f.entries()
	noStore(w)
	if !known(entries, name) {
		http.Error(w, "no lens of this name is configured", http.StatusNotFound)
		return
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch action {
	case spyglass.Initial:
		if !get {
			refuseMethod(w, "GET, HEAD")
			return
		}
	case spyglass.Rerender, spyglass.Callback:
		// A form of another site must not ask, which only POST is checked for.
		if r.Method != http.MethodPost {
			refuseMethod(w, http.MethodPost)
			return
		}
	default:
		http.Error(w, "a lens knows iframe, rerender and callback", http.StatusNotFound)
		return
	}
	asked, err := spyglass.ParseRequest(r.URL.Query().Get("req"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	entry, err := asked.Choose(entries, name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLensData))
	if err != nil {
		http.Error(w, fmt.Sprintf("a lens takes at most %d bytes", maxLensData), http.StatusRequestEntityTooLarge)
		return
	}
	if action == spyglass.Initial {
		data = nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), lensTimeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		http.Error(w, "too many lenses are at work; try again in a moment", http.StatusServiceUnavailable)
		return
	}
	f.answer(w, r.WithContext(ctx), entry, action, asked, string(data))
}

func refuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, "only "+allowed, http.StatusMethodNotAllowed)
}

// answer finds the files that are asked for and lets the lens answer.
func (f *frames) answer(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, action string, asked spyglass.Request, data string) {
	found, err := f.run(w, r, asked.Source)
	switch {
	case errors.Is(err, errSource), errors.Is(err, errRefused):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case errors.Is(err, errNoLog), errors.Is(err, fs.ErrNotExist):
		http.Error(w, "there is no such run", http.StatusNotFound)
		return
	case err != nil:
		f.log.ErrorContext(r.Context(), "a run cannot be found for a lens", "lens", entry.Name, "source", asked.Source, "error", err)
		http.Error(w, "The run cannot be found at the moment; the log of this program tells why.", http.StatusInternalServerError)
		return
	}
	names, err := asked.Names(entry, found.check)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if asked.Artifacts == nil {
		names = entry.Files(found.names(r.Context()))
	}
	if entry.Endpoint != "" {
		f.remote(w, r, entry, action, spyglass.Question{
			Action: spyglass.ActionOf(action), Data: data, Config: entry.Config, ResourceRoot: "/spyglass/static/" + entry.Name + "/",
			Artifacts: names, Source: found.source, Index: entry.Index,
		})
		return
	}
	request := &lens.Request{Config: entry.Config, Data: data, BrowserPrefix: found.browserPrefix, Now: f.now()}
	var logs []lens.Artifact
	for _, name := range names {
		a, err := found.open(r.Context(), name)
		if err != nil {
			continue // it is gone, or cannot be had
		}
		if _, live := a.(*podLog); live {
			logs = append(logs, a)
		} else {
			request.Artifacts = append(request.Artifacts, a)
		}
	}
	request.Artifacts = append(request.Artifacts, logs...)
	if len(request.Artifacts) == 0 {
		http.Error(w, "none of the files that this lens shows is there", http.StatusNotFound)
		return
	}
	f.local(w, r, entry, action, request)
}

// local lets a lens of this program answer.
func (f *frames) local(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, action string, request *lens.Request) {
	about := entry.Lens.About()
	if action == spyglass.Callback {
		caller, ok := entry.Lens.(lens.Caller)
		if !ok {
			http.Error(w, "this lens answers nothing", http.StatusNotFound)
			return
		}
		text, err := kept(func() (string, error) { return caller.Callback(r.Context(), request) })
		if err != nil {
			f.failed(w, r, entry, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Security-Policy", artifactPolicy)
		_, _ = io.WriteString(w, text) // a viewer who left is no error
		return
	}
	body, err := kept(func() (template.HTML, error) { return entry.Lens.Body(r.Context(), request) })
	if err != nil {
		f.failed(w, r, entry, err)
		return
	}
	if action == spyglass.Rerender {
		framePolicy(w, "", about.Scripts)
		_, _ = io.WriteString(w, string(body))
		return
	}
	shell, err := f.shell(&about)
	if err != nil {
		f.failed(w, r, entry, err)
		return
	}
	var out bytes.Buffer
	nonce := rand.Text()
	view := shellView{lensShell: shell, Title: entry.Title, Body: body, Nonce: nonce}
	if err := shellTemplate.Execute(&out, view); err != nil {
		f.failed(w, r, entry, err)
		return
	}
	framePolicy(w, nonce, about.Scripts)
	_, _ = w.Write(out.Bytes())
}

// kept turns a panic of a lens, which reads what anybody wrote, into an error.
func kept[T any](do func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the lens broke: %v", p)
		}
	}()
	return do()
}

// failed tells in the frame that a lens could not answer.
func (f *frames) failed(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, err error) {
	if r.Context().Err() == nil || !errors.Is(err, context.Canceled) {
		f.log.ErrorContext(r.Context(), "a lens failed", "lens", entry.Name, "index", entry.Index, "error", err)
	}
	f.problem(w, r, entry, http.StatusInternalServerError, "The lens "+entry.Name+" failed; the log of this program tells why.")
}

// problem answers with a text, as a frame where one is asked for.
func (f *frames) problem(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, code int, text string) {
	if r.Method == http.MethodPost {
		http.Error(w, text, code)
		return
	}
	shell, err := f.shell(&lens.About{})
	if err != nil {
		http.Error(w, text, code)
		return
	}
	var out bytes.Buffer
	nonce := rand.Text()
	body := template.HTML(`<p class="problem">` + template.HTMLEscapeString(text) + `</p>`) //nolint:gosec // escaped
	if err := shellTemplate.Execute(&out, shellView{lensShell: shell, Title: entry.Title, Body: body, Nonce: nonce}); err != nil {
		http.Error(w, text, code)
		return
	}
	framePolicy(w, nonce, false)
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes())
}

// static serves the files of a lens.
func (f *frames) static(w http.ResponseWriter, r *http.Request) {
	name, file := r.PathValue("name"), r.PathValue("file")
	entries := f.entries()
	i := slices.IndexFunc(entries, func(e spyglass.Entry) bool { return e.Name == name })
	if i < 0 || !fs.ValidPath(file) || file == "." {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, "GET, HEAD")
		return
	}
	forFrames(w)
	w.Header().Set("Content-Security-Policy", artifactPolicy)
	if entries[i].Endpoint != "" {
		f.remoteStatic(w, r, &entries[i], file)
		return
	}
	from := entries[i].Lens.About().Files
	if from == nil {
		http.NotFound(w, r)
		return
	}
	body, err := fs.ReadFile(from, file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", staticType(file))
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body)
}

// staticType is the type of a file by its name, not as the tables of the machine have it.
func staticType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map":
		return "application/json"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); strings.HasPrefix(kind, "image/") || strings.HasPrefix(kind, "font/") {
		return kind
	}
	return "text/plain; charset=utf-8"
}
