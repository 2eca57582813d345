package deck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"prow/internal/deck/spyglass"
)

const (
	// remoteTimeout bounds an answer of a lens elsewhere.
	remoteTimeout = 30 * time.Second
	// maxRemote bounds what it may answer, in bytes.
	maxRemote = 32 << 20
)

// remoteClient follows no redirects: an endpoint answers itself or not at all.
func remoteClient() *http.Client {
	return &http.Client{Timeout: remoteTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// passedOn are the headers of a visitor that an endpoint gets. Cookies and everything by
// which a proxy says who the visitor is are not among them.
var passedOn = [...]string{"Accept", "Accept-Language", "User-Agent"}

// remote asks the endpoint of a lens, and passes on what it answers.
func (f *frames) remote(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, action string, question spyglass.Question) {
	body, err := json.Marshal(question)
	if err != nil {
		f.failed(w, r, entry, err)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	answer, err := f.ask(r.Context(), method, entry.Endpoint, r.Header, body)
	if err != nil {
		f.log.WarnContext(r.Context(), "a lens elsewhere does not answer", "lens", entry.Name, "endpoint", entry.Endpoint, "error", err)
		f.problem(w, r, entry, http.StatusBadGateway, "The lens "+entry.Name+" does not answer as it should: "+plain(err)+".")
		return
	}
	switch action {
	case spyglass.Callback:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Security-Policy", artifactPolicy)
	default:
		frameHeaders(w, frameSandbox+frameRules+remoteRules)
	}
	_, _ = w.Write(answer) // a viewer who left is no error
}

// errStatus tells that an endpoint answered with an error.
type errStatus int

func (e errStatus) Error() string {
	return fmt.Sprintf("its answer is %d %s", int(e), http.StatusText(int(e)))
}

var errRemoteSize = fmt.Errorf("its answer is longer than %d bytes", maxRemote)

// plain is the part of an error that visitors may know.
func plain(err error) string {
	var status errStatus
	switch {
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, errRemoteSize):
		return errRemoteSize.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it takes too long"
	}
	var u *url.Error
	if errors.As(err, &u) && u.Timeout() {
		return "it takes too long"
	}
	return "it cannot be reached"
}

func (f *frames) ask(ctx context.Context, method, endpoint string, header http.Header, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, name := range passedOn {
		if value := header.Get(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, errStatus(resp.StatusCode)
	}
	out, err := io.ReadAll(io.LimitReader(resp.Body, maxRemote+1))
	if err != nil {
		return nil, err
	}
	if len(out) > maxRemote {
		return nil, errRemoteSize
	}
	return out, nil
}

// remoteStatic serves a file of a lens elsewhere, so that its frames load nothing from
// other hosts.
func (f *frames) remoteStatic(w http.ResponseWriter, r *http.Request, entry *spyglass.Entry, file string) {
	if !spyglass.IsWeb(entry.StaticRoot) {
		http.NotFound(w, r)
		return
	}
	body, err := f.ask(r.Context(), http.MethodGet, strings.TrimSuffix(entry.StaticRoot, "/")+"/"+escapePath(file), r.Header, nil)
	var status errStatus
	switch {
	case errors.As(err, &status) && status == http.StatusNotFound:
		http.NotFound(w, r)
		return
	case err != nil:
		f.log.WarnContext(r.Context(), "a file of a lens elsewhere cannot be had", "lens", entry.Name, "file", file, "error", err)
		http.Error(w, "The file cannot be had: "+plain(err)+".", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", staticType(file))
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body)
}
