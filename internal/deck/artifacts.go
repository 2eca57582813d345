package deck

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"prow/internal/storage"
)

// artifactPolicy keeps what jobs wrote in an origin of its own, without scripts.
const artifactPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; frame-ancestors 'none'"

// artifact serves a file of a run.
func (s *server) artifact(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	found, rest, err := s.resolve(r.Context(), strings.TrimPrefix(r.URL.Path, "/artifacts/"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/") {
		s.directory(w, r, found, rest)
		return
	}
	if rest == "" {
		s.fail(w, r, errNoLog)
		return
	}
	s.serveObject(s.patient(w), r, found.place.at(found.place.key+"/"+rest))
}

func (s *server) serveObject(w http.ResponseWriter, r *http.Request, p place) {
	bucket, err := s.open(r.Context(), p)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	// A log may be there in parts only, until its run ends.
	object, err := storage.StatLog(r.Context(), bucket, p.key)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	kind, inline := safeType(p.key, object.ContentType)
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", artifactPolicy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	if !inline {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(p.key)}))
	}
	if object.ContentEncoding == "gzip" {
		s.serveInflated(w, r, bucket, p.key)
		return
	}
	content := &objectReader{ctx: r.Context(), object: object}
	defer content.close()
	http.ServeContent(w, r, "", object.ModTime, content)
}

// serveInflated serves an object that is stored compressed. Its size is not known, so
// no ranges of it can be asked for.
func (s *server) serveInflated(w http.ResponseWriter, r *http.Request, bucket storage.Bucket, key string) {
	raw, err := bucket.Get(r.Context(), key, 0, -1)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer raw.Close() //nolint:errcheck // only read
	text, err := gzip.NewReader(raw)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	_, _ = io.Copy(w, io.LimitReader(text, maxInflated))
}

// safeType is the type under which a file is served: what browsers show as text or
// pictures, and HTML, which the policy disarms; anything else is for saving.
func safeType(name, declared string) (kind string, inline bool) {
	base, _, err := mime.ParseMediaType(declared)
	if err != nil {
		base = "application/octet-stream"
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".log", ".txt", ".md", ".yaml", ".yml", ".json", ".xml", ".go", ".sh", ".out", ".err", ".toml", ".ini", ".conf", ".diff", ".patch", ".csv":
		return "text/plain; charset=utf-8", true
	}
	switch base {
	case "text/html":
		return "text/html; charset=utf-8", true
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/svg+xml":
		return base, true
	case "application/json", "application/xml", "application/yaml", "application/x-yaml":
		return "text/plain; charset=utf-8", true
	}
	if strings.HasPrefix(base, "text/") {
		return "text/plain; charset=utf-8", true
	}
	return "application/octet-stream", false
}

// objectReader reads an object from wherever it is asked to.
type objectReader struct {
	ctx    context.Context //nolint:containedctx // of the request that reads
	object *storage.Log
	offset int64
	open   io.ReadCloser
}

func (o *objectReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.object.Size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning")
	}
	if offset != o.offset {
		o.close()
		o.offset = offset
	}
	return offset, nil
}

func (o *objectReader) Read(b []byte) (int, error) {
	if o.open == nil {
		r, err := o.object.Reader(o.ctx, o.offset)
		if err != nil {
			return 0, err
		}
		o.open = r
	}
	n, err := o.open.Read(b)
	o.offset += int64(n)
	return n, err
}

func (o *objectReader) close() {
	if o.open != nil {
		_ = o.open.Close() // only read
		o.open = nil
	}
}

// escapePath escapes every element of a path.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// rootOf leads from the address of a request to the root of the site, which may stand
// below a path of somebody else's.
func rootOf(r *http.Request) string {
	depth := strings.Count(r.URL.EscapedPath(), "/") - 1
	if depth <= 0 {
		return "./"
	}
	return strings.Repeat("../", depth)
}
