package deck

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
	"prow/internal/storage"
)

const (
	// writePatience is how long a client may take for what is sent to it at a time.
	writePatience = 30 * time.Second
	// retryAfter is when a client should come back that was turned away, in seconds.
	retryAfter = "10"
)

// logText serves the log of a run as text; with follow=1 it goes on until the
// container ends, also if it has not begun yet, and clients that ask for events get
// lines as HTML.
func (s *server) logText(w http.ResponseWriter, r *http.Request) {
	w = s.patient(w)
	q := r.URL.Query()
	job, build, container := q.Get("job"), q.Get("id"), q.Get("container")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	noStore(w)
	if job == "" || build == "" {
		http.Error(w, "the parameters job and id are needed", http.StatusBadRequest)
		return
	}
	pj := s.index.run(job, build)
	if pj == nil || !s.canSee(pj) {
		http.Error(w, "there is no log of such a run", http.StatusNotFound)
		return
	}
	var err error
	switch {
	case pj.Spec.Agent != v1.KubernetesAgent:
		err = s.copyExternalLog(w, r, pj)
	case q.Get("follow") == "":
		err = s.copyLog(w, r, pj, container)
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		err = s.followLog(w, r, pj, container, &eventSink{w: w})
	default:
		err = s.followLog(w, r, pj, container, &textSink{w: w})
	}
	switch {
	case err == nil, r.Context().Err() != nil:
	case errors.Is(err, errBusy):
		busy(w, err)
	default:
		s.log.InfoContext(r.Context(), "a log cannot be read", "prowjob", pj.Name, "error", err)
		w.Header().Del("Content-Type")
		http.Error(w, "there is no log: neither the pod nor storage has one", http.StatusNotFound)
	}
}

// busy turns a client away for a while.
func busy(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// plainText marks a response as text that nobody interprets.
func plainText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Security-Policy", artifactPolicy)
}

// patientWriter ends a response whose client takes nothing any more, for it would
// hold a stream of somebody else's open.
type patientWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (s *server) patient(w http.ResponseWriter) http.ResponseWriter {
	return &patientWriter{w, http.NewResponseController(w), s.patience}
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// FlushError sends what there is.
func (p *patientWriter) FlushError() error {
	p.extend()
	return p.control.Flush()
}

// extend begins the time anew. Where the connection has no deadlines there is none.
func (p *patientWriter) extend() { _ = p.control.SetWriteDeadline(time.Now().Add(p.patience)) }

// Unwrap gives http.ResponseController the connection.
func (p *patientWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// copyLog copies the log of the pod, or the one in storage.
func (s *server) copyLog(w http.ResponseWriter, r *http.Request, pj *v1.ProwJob, container string) error {
	stream, err := s.pods.stream(r.Context(), containerOf(pj, container), false)
	if err != nil {
		stored := s.storedLogPlace(pj, container)
		if stored == nil {
			return errors.Join(errNoLog, err)
		}
		bucket, openErr := s.open(r.Context(), *stored)
		if openErr != nil {
			return openErr
		}
		defer bucket.Close() //nolint:errcheck // only read
		if _, statErr := storage.StatLog(r.Context(), bucket, stored.key); statErr != nil {
			return errors.Join(errNoLog, err)
		}
		s.serveObject(w, r, *stored)
		return nil
	}
	defer stream.Close() //nolint:errcheck // only read
	plainText(w)
	_, _ = io.Copy(w, stream) // a viewer who left is no error
	return nil
}

// storedLogPlace is where the log of a container is stored; nil if nowhere.
func (s *server) storedLogPlace(pj *v1.ProwJob, container string) *place {
	dir, err := s.placeOf(pj)
	if err != nil {
		return nil
	}
	out := logIn(*dir, container)
	return &out
}

// logIn is the log of a container in the directory of a run.
func logIn(dir place, container string) place {
	name := artifacts.BuildLogFile
	if container != "" && container != pod.TestContainerName {
		name = artifacts.BuildLogName(container)
	}
	return dir.at(dir.key + "/" + name)
}

// followLog sends the log from the line after the parameter from, or after the last
// one that a client got before its connection broke, until the container has ended.
// An error says that nothing was sent.
func (s *server) followLog(w http.ResponseWriter, r *http.Request, pj *v1.ProwJob, container string, to sink) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	leave, err := s.live.watch()
	if err != nil {
		return err
	}
	defer leave()
	f := follower{s: s, to: to, flush: http.NewResponseController(w).Flush, next: followFrom(r)}
	var log *liveLog
	if hasPod(pj) {
		// Who cannot be served is told before anything is sent.
		var release func()
		if log, release, err = s.live.acquire(containerOf(pj, container)); err != nil {
			return err
		}
		defer release()
	}
	to.begin()
	if f.flush() != nil {
		return nil
	}
	if log == nil {
		if pj = f.awaitPod(ctx, pj.Name); pj == nil {
			return nil
		}
		var release func()
		if log, release, err = s.live.acquire(containerOf(pj, container)); err != nil {
			return nil //nolint:nilerr // the client comes back by itself
		}
		defer release()
	}
	f.follow(ctx, pj, container, log)
	return nil
}

// followFrom is the number of the first line that a client wants, from 0.
func followFrom(r *http.Request) int64 {
	next, _ := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		next = last
	}
	return max(next, 0)
}

// hasPod tells whether a run has a pod, or has had one.
func hasPod(pj *v1.ProwJob) bool {
	return pj.Status.PodName != "" && (pj.Status.State == v1.PendingState || pj.Complete())
}
