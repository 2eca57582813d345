package local

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// transferTimeout bounds one clone, fetch or push.
	transferTimeout = 30 * time.Minute
	// maxNegotiation bounds what a fetching client may send.
	maxNegotiation = 32 << 20
	// maxPush bounds a pushed pack, before git's own limit.
	maxPush = 2 << 30
	// maxTransfers bounds git processes that serve clients at the same time.
	maxTransfers = 64
)

// gitPath splits a request of git's smart HTTP protocol into repository and service path.
func gitPath(p string) (owner, name, service string, ok bool) {
	for _, s := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"} {
		if rest, found := strings.CutSuffix(p, s); found {
			owner, name, ok = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
			name = strings.TrimSuffix(name, ".git")
			return owner, name, s, ok && validLogin(owner) && validRepoName(name)
		}
	}
	return "", "", "", false
}

// serveGit answers clone, fetch and push.
func (f *Forge) serveGit(w http.ResponseWriter, r *http.Request, owner, name, service string) {
	viewer, err := f.viewerOf(r.Context(), r)
	if err != nil {
		gitDenied(w, "Bad credentials")
		return
	}
	push := service == "/git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	rd := f.read(r.Context())
	rp, err := rd.repo(owner, name)
	if errors.Is(err, errNotFound) {
		rp, err = rd.formerly(owner, name)
	}
	perm := permNone
	if err == nil {
		perm, err = rd.permission(rp, viewer)
	}
	switch {
	case errors.Is(err, errNotFound), err == nil && perm < permRead:
		if viewer == nil { // it may be there for somebody else: let the client log in
			gitDenied(w, "Repository not found.")
		} else {
			http.Error(w, "Repository not found.", http.StatusNotFound)
		}
		return
	case err != nil:
		f.log.Error("Serving git failed.", "repo", owner+"/"+name, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	case push && viewer == nil:
		gitDenied(w, "Authentication required to push.")
		return
	case viewer != nil && viewer.grant != nil && !viewer.grant.allows("contents", map[bool]string{true: "write", false: "read"}[push]) && (push || rp.Private):
		http.Error(w, "Resource not accessible by integration", http.StatusForbidden)
		return
	case push && perm < permWrite:
		http.Error(w, fmt.Sprintf("Permission to %s denied to %s.", rp.fullName(), viewer.Login), http.StatusForbidden)
		return
	case push && rp.Archived:
		http.Error(w, "This repository was archived so it is read-only.", http.StatusForbidden)
		return
	}
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	select {
	case f.transfers <- struct{}{}:
		defer func() { <-f.transfers }()
	case <-r.Context().Done():
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), transferTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	switch {
	case service == "/info/refs" && r.Method == http.MethodGet:
		f.advertise(w, r, rp)
	case service == "/git-upload-pack" && r.Method == http.MethodPost:
		f.rpc(w, r, rp, nil, "upload-pack", maxNegotiation)
	case service == "/git-receive-pack" && r.Method == http.MethodPost:
		f.receive(w, r, rp, viewer)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

func gitDenied(w http.ResponseWriter, msg string) {
	w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
	http.Error(w, msg, http.StatusUnauthorized)
}

// advertise lists the refs of a repository.
func (f *Forge) advertise(w http.ResponseWriter, r *http.Request, rp *repo) {
	service := r.URL.Query().Get("service")
	verb, ok := strings.CutPrefix(service, "git-")
	if !ok || verb != "upload-pack" && verb != "receive-pack" {
		http.Error(w, "only the smart protocol is served", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	if !strings.Contains(r.Header.Get("Git-Protocol"), "version=2") || verb == "receive-pack" {
		line := "# service=" + service + "\n"
		fmt.Fprintf(w, "%04x%s0000", len(line)+4, line)
	}
	f.stream(w, r, rp, nil, nil, verb, "--stateless-rpc", "--http-backend-info-refs")
}

// gitProtocol passes on the protocol version a client asks for.
func gitProtocol(r *http.Request) []string {
	p := r.Header.Get("Git-Protocol")
	if p == "" || len(p) > 100 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789=:") != "" {
		return nil
	}
	return []string{"GIT_PROTOCOL=" + p}
}

// rpc runs one round of a service over the request body.
// pusher is who pushes, nil for reading.
func (f *Forge) rpc(w http.ResponseWriter, r *http.Request, rp *repo, pusher *account, verb string, limit int64) {
	if r.Header.Get("Content-Type") != "application/x-git-"+verb+"-request" {
		http.Error(w, "unexpected content type", http.StatusUnsupportedMediaType)
		return
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, limit)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "request body is not gzip", http.StatusBadRequest)
			return
		}
		defer z.Close()
		body = io.LimitReader(z, limit) // against a bomb
	}
	var args, env []string
	if pusher != nil {
		rest, config, vars, remove, err := f.guard(r.Context(), rp, pusher, body)
		if err != nil {
			f.log.Debug("Reading the commands of a push failed.", "repo", rp.fullName(), "error", err)
			http.Error(w, "the push cannot be read", http.StatusBadRequest)
			return
		}
		defer remove()
		body, args, env = rest, config, vars
	}
	w.Header().Set("Content-Type", "application/x-git-"+verb+"-result")
	f.stream(w, r, rp, body, env, append(args, verb, "--stateless-rpc")...)
}

// receive takes a push. The pusher is noted before refs move, and the answer
// ends only after the consequences are stored: what a client was told to have
// pushed has its events.
func (f *Forge) receive(w http.ResponseWriter, r *http.Request, rp *repo, viewer *account) {
	err := f.write(r.Context(), func(t *txn) error {
		_, err := t.exec("UPDATE repos SET pusher_id = ? WHERE id = ?", viewer.ID, rp.ID)
		return err
	})
	if err != nil {
		f.log.Error("Noting the pusher failed.", "repo", rp.fullName(), "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	f.rpc(w, r, rp, viewer, "receive-pack", maxPush)
	if err := f.syncRefs(r.Context(), rp.ID, viewer); err != nil {
		f.log.Error("Recording a push failed; it is tried again at the next one and at the next start.", "repo", rp.fullName(), "error", err)
		panic(http.ErrAbortHandler) // the client must not believe in success
	}
}

// stream runs a git service and copies its output to the client as it comes.
func (f *Forge) stream(w http.ResponseWriter, r *http.Request, rp *repo, body io.Reader, env []string, args ...string) {
	cmd := f.git.command(r.Context(), f.repoDir(rp.ID), append(gitProtocol(r), env...), append(args, ".")...)
	stderr := &tailBuffer{limit: gitErrTail}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = body, flushWriter{w, http.NewResponseController(w)}, stderr
	if err := cmd.Run(); err != nil && r.Context().Err() == nil {
		// Clients that stop early make upload-pack fail; this is not an error of the forge.
		f.log.Debug("Git service ended with an error.", "repo", rp.fullName(), "service", args[0], "error", err, "stderr", stderr.String())
	}
}

// flushWriter shows progress at once.
type flushWriter struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}
