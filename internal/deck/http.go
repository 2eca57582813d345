package deck

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
)

// pagePolicy is what a page may do: show and run what this program serves as files,
// and nothing that stands in the page itself.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secured sets the headers that keep hostile content from doing harm. Handlers of
// such content replace the policy by a stricter one.
func secured(policy func() string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Other sites are told nothing. This one is, because a form that may not say
		// where it comes from is refused.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// compressAbove is the size from which bodies are compressed, in bytes.
const compressAbove = 1400

// compressed compresses bodies for clients that accept it.
func compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !acceptsGzip(r) || r.Method == http.MethodHead || r.Header.Get("Range") != "" {
			next.ServeHTTP(w, r)
			return
		}
		c := &compressor{ResponseWriter: w}
		defer c.close()
		next.ServeHTTP(c, r)
	})
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

// compressor holds the beginning of a body back until it is known to be long enough.
// A body that is flushed before is sent as it is.
type compressor struct {
	http.ResponseWriter
	code    int
	held    bytes.Buffer
	decided bool
	gz      *gzip.Writer
}

func (c *compressor) WriteHeader(code int) {
	if c.code == 0 {
		c.code = code
	}
}

func (c *compressor) Write(b []byte) (int, error) {
	if c.code == 0 {
		c.code = http.StatusOK
	}
	if !c.decided {
		if c.held.Len()+len(b) < compressAbove {
			return c.held.Write(b)
		}
		c.decide(true)
	}
	if c.gz != nil {
		return c.gz.Write(b)
	}
	return c.ResponseWriter.Write(b)
}

// decide sends the header and what was held back.
func (c *compressor) decide(compress bool) {
	c.decided = true
	h := c.Header()
	if compress && h.Get("Content-Encoding") == "" && c.code != http.StatusPartialContent {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", http.DetectContentType(c.held.Bytes()))
		}
		h.Set("Content-Encoding", "gzip")
		h.Del("Content-Length")
		c.gz = gzip.NewWriter(c.ResponseWriter)
	}
	if c.code == 0 {
		c.code = http.StatusOK
	}
	c.ResponseWriter.WriteHeader(c.code)
	if c.held.Len() == 0 {
		return
	}
	if c.gz != nil {
		_, _ = c.gz.Write(c.held.Bytes()) // the next write tells
	} else {
		_, _ = c.ResponseWriter.Write(c.held.Bytes())
	}
}

// Flush sends what there is.
func (c *compressor) Flush() { _ = c.FlushError() }

// FlushError sends what there is.
func (c *compressor) FlushError() error {
	if !c.decided {
		c.decide(false)
	}
	if c.gz != nil {
		if err := c.gz.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap gives http.ResponseController the connection.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressor) close() {
	if !c.decided {
		c.decide(false)
	}
	if c.gz != nil {
		_ = c.gz.Close() // nobody is left to tell
	}
}
