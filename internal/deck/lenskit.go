package deck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"prow/internal/deck/lens"
	"prow/internal/deck/spyglass"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

// LensKit shows one lens on the files of a directory, for those who write lenses: in the
// same frame and with the same messages as on the page of a run.
type LensKit struct {
	// Dir is the directory of the run.
	Dir string
	// Lens names it; Endpoint is where it is served, empty for a built-in one.
	Lens, Endpoint, StaticRoot string
	// Config is the lens's part of the configuration, as JSON.
	Config string
	// Files are regular expressions of the files to show. Default: all.
	Files []string
	// SizeLimit bounds a reading, in bytes.
	SizeLimit int64
	Address   string
}

// LensKitCommand is the program lens-kit.
func LensKitCommand() *cobra.Command {
	k := &LensKit{}
	cmd := &cobra.Command{
		Use: "lens-kit", Short: "Show a lens on the files of a directory, for those who write lenses", Args: cobra.NoArgs,
		Long: "Serves a page with one lens, in the same frame and with the same messages as on the page of a run. The run is a directory of files. See docs/lenses.md.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, err := net.Listen("tcp", k.Address)
			if err != nil {
				return &service.UsageError{Err: fmt.Errorf("--address: %w", err)}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", listener.Addr())
			return k.Serve(cmd.Context(), listener, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)), builtinLenses())
		},
	}
	f := cmd.Flags()
	f.StringVar(&k.Dir, "dir", "", "Directory with the files of a run.")
	f.StringVar(&k.Lens, "lens", "", "Name of the lens.")
	f.StringVar(&k.Endpoint, "endpoint", "", "URL that serves the lens. Empty: it is built in.")
	f.StringVar(&k.StaticRoot, "static-root", "", "URL below which the lens has its static files.")
	f.StringVar(&k.Config, "lens-config", "", "Configuration of the lens, as JSON.")
	f.StringArrayVar(&k.Files, "file", nil, "Regular expression of files to show. May be repeated. Default: all.")
	f.Int64Var(&k.SizeLimit, "size-limit", 100_000_000, "How much of a file the lens may read at once, in bytes.")
	f.StringVar(&k.Address, "address", "127.0.0.1:8090", "Address to listen on.")
	return cmd
}

// kitSource is the only run of the kit.
const kitSource = "file/kit/logs/lens-kit/1"

// Handler is what the kit serves.
func (k *LensKit) Handler(log *slog.Logger, builtin []lens.Lens) (http.Handler, error) {
	if info, err := os.Stat(k.Dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--dir: %q is not a directory", k.Dir)
	}
	if k.Config != "" && !json.Valid([]byte(k.Config)) {
		return nil, errors.New("--lens-config is not JSON")
	}
	choice := spyglass.Choice{Name: k.Lens, Endpoint: k.Endpoint, StaticRoot: k.StaticRoot}
	if k.Config != "" {
		choice.Config = json.RawMessage(k.Config)
	}
	entry, err := spyglass.Resolve(0, choice, lensMap(builtin))
	if err != nil {
		return nil, fmt.Errorf("--lens: %w", err)
	}
	if len(k.Files) == 0 {
		k.Files = []string{""}
	}
	for _, text := range k.Files {
		r, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		entry.Required = append(entry.Required, r)
	}
	entries := []spyglass.Entry{entry}
	f := newFrames(log, time.Now, func() []spyglass.Entry { return entries }, func(_ http.ResponseWriter, r *http.Request, source string) (*lensRun, error) {
		if source != kitSource {
			return nil, errNoLog
		}
		return k.run(r), nil
	})
	mux := http.NewServeMux()
	f.routes(mux)
	mux.HandleFunc("/static/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		serveEmbedded(w, "static/"+name, staticType(name))
	})
	mux.HandleFunc("GET /artifacts/"+kitSource+"/{name...}", k.file)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { k.page(w, r, &entry) })
	origins := http.NewCrossOriginProtection()
	return secured(func() string { return pagePolicy }, origins.Handler(mux)), nil
}

func (k *LensKit) names() []string {
	var out []string
	_ = filepath.WalkDir(k.Dir, func(path string, d fs.DirEntry, err error) error { // what cannot be read is not there
		if rel, relErr := filepath.Rel(k.Dir, path); err == nil && relErr == nil && d.Type().IsRegular() && checkName(filepath.ToSlash(rel)) == nil && len(out) < maxFiles {
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	return out
}

func (k *LensKit) run(r *http.Request) *lensRun {
	return &lensRun{
		source: kitSource, check: checkName,
		names: func(context.Context) []string { return k.names() },
		open: func(ctx context.Context, name string) (lens.Artifact, error) {
			o := &object{
				name: name, key: name, link: "artifacts/" + kitSource + "/" + escapePath(name), limit: k.SizeLimit,
				open: func(context.Context) (storage.Bucket, error) { return filestore.Open(k.Dir) },
				may: func(context.Context) error {
					if r.Method != http.MethodPost {
						return lens.ErrNotAllowed
					}
					return nil
				},
			}
			return o, o.find(ctx)
		},
	}
}

// file serves a file of the directory as text.
func (k *LensKit) file(w http.ResponseWriter, r *http.Request) {
	bucket, err := filestore.Open(k.Dir)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	body, err := storage.ReadAll(r.Context(), bucket, r.PathValue("name"), k.SizeLimit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	plainText(w)
	_, _ = w.Write(body)
}

var kitTemplate = template.Must(template.New("kit").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Entry.Title}}</title><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="static/deck.css"><script type="module" src="static/lenses.js"></script></head>
<body><main id="main"><h1>{{.Entry.Name}} <span class="build">{{.Dir}}</span></h1>
<p class="muted">{{len .Names}} files{{if not .Files}}; none is for this lens{{end}}</p>
<div data-lenses>{{if .Files}}<section class="card" data-lens-index="0" data-lens-name="{{.Entry.Name}}" data-lens-version="{{.Version}}" data-hide-title="{{.Entry.HideTitle}}"><h2>{{.Entry.Title}}</h2> <a href="{{.Link}}">Show {{.Entry.Title}}</a></section>{{end}}</div>
</main></body></html>
`))

// page is the page around the lens.
func (k *LensKit) page(w http.ResponseWriter, _ *http.Request, entry *spyglass.Entry) {
	names := k.names()
	asked := spyglass.Request{Source: kitSource}
	var out bytes.Buffer
	err := kitTemplate.Execute(&out, map[string]any{
		"Entry": entry, "Dir": k.Dir, "Names": names, "Files": entry.Files(names), "Version": strconv.FormatInt(time.Now().UnixNano(), 36),
		"Link": lensPath + url.PathEscape(entry.Name) + "/iframe?" + url.Values{"req": {asked.String()}}.Encode(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy+"; frame-src 'self'")
	noStore(w)
	_, _ = w.Write(out.Bytes())
}

// Serve serves until ctx ends.
func (k *LensKit) Serve(ctx context.Context, listener net.Listener, log *slog.Logger, builtin []lens.Lens) error {
	defer listener.Close() //nolint:errcheck // closed by the server in the regular case
	handler, err := k.Handler(log, builtin)
	if err != nil {
		return &service.UsageError{Err: err}
	}
	return service.Serve(ctx, listener, handler, shutdownGrace)
}
