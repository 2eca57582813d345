package deck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
	"prow/internal/storage"
)

const (
	// pageLines and pageBytes bound the part of a log that one page shows.
	pageLines = 1000
	pageBytes = 1 << 20
	// batchLines is how many lines one event carries at most.
	batchLines = 500
	// heartbeat keeps intermediaries from ending a quiet stream.
	heartbeat = 20 * time.Second
)

// logText serves the log of a run as text; with follow=1 it goes on until the
// container ends, also if it has not begun yet, and clients that ask for events get
// lines as HTML.
func (s *server) logText(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	job, build, container := q.Get("job"), q.Get("id"), q.Get("container")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	noStore(w)
	if job == "" || build == "" {
		http.Error(w, "the parameters job and id are needed", http.StatusBadRequest)
		return
	}
	pj := s.index.run(job, build)
	if pj == nil || !s.canSee(pj) || pj.Spec.Agent != v1.KubernetesAgent {
		http.Error(w, "there is no log of such a run", http.StatusNotFound)
		return
	}
	var err error
	switch {
	case q.Get("follow") == "":
		err = s.copyLog(w, r, pj, container)
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		err = s.followLog(w, r, pj, container, &eventSink{w: w})
	default:
		err = s.followLog(w, r, pj, container, &textSink{w: w})
	}
	if err != nil && r.Context().Err() == nil {
		s.log.InfoContext(r.Context(), "a log cannot be read", "prowjob", pj.Name, "error", err)
		w.Header().Del("Content-Type")
		http.Error(w, "there is no log: neither the pod nor storage has one", http.StatusNotFound)
	}
}

// plainText marks a response as text that nobody interprets.
func plainText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Security-Policy", artifactPolicy)
}

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
	name := artifacts.BuildLogFile
	if container != "" && container != pod.TestContainerName {
		name = artifacts.BuildLogName(container)
	}
	out := dir.at(dir.key + "/" + name)
	return &out
}

// sink takes lines of a log that is followed.
type sink interface {
	begin()
	// lines takes lines of which the first has this number, from 0.
	lines(first int64, lines []textLine) error
	// end tells that there are no more.
	end() error
	// beat is called from time to time when nothing happens.
	beat() error
}

type textSink struct{ w http.ResponseWriter }

func (t *textSink) begin() { plainText(t.w) }

func (t *textSink) lines(_ int64, lines []textLine) error {
	for _, line := range lines {
		if _, err := t.w.Write(append(line.text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (t *textSink) end() error  { return nil }
func (t *textSink) beat() error { return nil }

// eventSink sends lines as HTML, numbered from 1.
type eventSink struct {
	w     http.ResponseWriter
	paint painter
}

func (e *eventSink) begin() { e.w.Header().Set("Content-Type", "text/event-stream") }

func (e *eventSink) lines(first int64, lines []textLine) error {
	html := make([]template.HTML, len(lines))
	for i, line := range lines {
		html[i] = e.paint.line(line)
	}
	data, err := json.Marshal(struct {
		First int64           `json:"first"`
		Lines []template.HTML `json:"lines"`
	}{first + 1, html})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.w, "id: %d\ndata: %s\n\n", first+int64(len(lines)), data)
	return err
}

func (e *eventSink) end() error {
	_, err := io.WriteString(e.w, "event: end\ndata: {}\n\n")
	return err
}

func (e *eventSink) beat() error {
	_, err := io.WriteString(e.w, ": still here\n\n")
	return err
}

// followLog sends the log from the line after the parameter from, or after the last
// one that a client got before its connection broke, until the container has ended.
func (s *server) followLog(w http.ResponseWriter, r *http.Request, pj *v1.ProwJob, container string, to sink) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	next, _ := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		next = last
	}
	next = max(next, 0)
	to.begin()
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil {
		return nil //nolint:nilerr // the viewer left
	}
	finish := func() error {
		_ = to.end()
		_ = flush()
		return nil
	}
	if pj = s.awaitPod(ctx, pj.Name, to, flush); pj == nil {
		return nil
	}
	log, release, err := s.live.acquire(containerOf(pj, container))
	if err != nil {
		return nil //nolint:nilerr // the client comes back by itself
	}
	defer release()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		lines, first, changed, done, err := log.from(next, batchLines)
		switch {
		case len(lines) > 0:
			if to.lines(first, lines) != nil || flush() != nil {
				return nil
			}
			next = first + int64(len(lines))
			continue
		case done && err != nil:
			s.followStored(ctx, pj, container, next, to)
			return finish()
		case done:
			return finish()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-beat.C:
			if to.beat() != nil || flush() != nil {
				return nil
			}
			// A container that never starts keeps its log waiting: see whether the run is over.
			if now := s.index.get(pj.Name); now == nil || now.Complete() && !log.hasStarted() {
				return finish()
			}
		}
	}
}

func (g *liveLog) hasStarted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// awaitPod waits until a run has a pod. It returns nil if that never happens.
func (s *server) awaitPod(ctx context.Context, name string, to sink, flush func() error) *v1.ProwJob {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		_, changed := s.index.watch()
		pj := s.index.get(name)
		switch {
		case pj == nil:
			return nil
		case pj.Status.PodName != "" && (pj.Status.State == v1.PendingState || pj.Complete()):
			return pj
		case pj.Complete():
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-beat.C:
			if to.beat() != nil || flush() != nil {
				return nil
			}
		}
	}
}

// followStored sends the rest of a log from storage, where the pod is gone.
func (s *server) followStored(ctx context.Context, pj *v1.ProwJob, container string, next int64, to sink) {
	where := s.storedLogPlace(pj, container)
	if where == nil {
		return
	}
	bucket, err := s.open(ctx, *where)
	if err != nil {
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	log, err := s.lines.open(ctx, bucket, *where)
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		lines, err := log.read(ctx, next, batchLines, pageBytes)
		if err != nil || len(lines) == 0 || to.lines(next, lines) != nil {
			return
		}
		next += int64(len(lines))
	}
}

// logPart is a part of a log on a page.
type logPart struct {
	Lines []logLine
	// Container is "" for the test.
	Container string
	// Total is how many lines there are so far; First and Last are those shown, from 1.
	Total, First, Last int64
	// Live tells that more will come.
	Live bool
	// Problem tells why nothing is shown.
	Problem string
	// Earlier and Later are the first lines of the neighbouring parts; 0 is none.
	Earlier, Later int64
	// FollowURL and RawURL are relative to the root.
	FollowURL, RawURL string
	paint             painter
}

type logLine struct {
	Number int64
	HTML   template.HTML
}

func (p *logPart) add(first int64, lines []textLine) {
	for i, line := range lines {
		p.Lines = append(p.Lines, logLine{first + int64(i) + 1, p.paint.line(line)})
	}
	if len(p.Lines) > 0 {
		p.First, p.Last = p.Lines[0].Number, p.Lines[len(p.Lines)-1].Number
	}
}

// storedPart reads a part from storage: from the line from on, from 1, or the end of
// the log if from is 0.
func (s *server) storedPart(ctx context.Context, where place, from int64) (logPart, error) {
	bucket, err := s.open(ctx, where)
	if err != nil {
		return logPart{}, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	log, err := s.lines.open(ctx, bucket, where)
	if err != nil {
		return logPart{}, err
	}
	out := logPart{Total: log.lines.total}
	start := from - 1
	if from <= 0 || from > out.Total {
		start = max(0, out.Total-pageLines)
	}
	lines, err := log.read(ctx, start, pageLines, pageBytes)
	if err != nil {
		return logPart{}, err
	}
	out.add(start, lines)
	if out.First > 1 {
		out.Earlier = max(1, out.First-pageLines)
	}
	if out.Last > 0 && out.Last < out.Total {
		out.Later = out.Last + 1
	}
	return out, nil
}

// livePart reads the end of the log of a container that may still run.
func (s *server) livePart(ctx context.Context, id containerID) (logPart, error) {
	log, release, err := s.live.acquire(id)
	if err != nil {
		return logPart{}, err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	done, err := log.settle(limited, 150*time.Millisecond)
	if err != nil {
		return logPart{}, err
	}
	out := logPart{Live: !done}
	end := log.end()
	lines, first, _, _, _ := log.from(max(0, end-pageLines), pageLines)
	out.add(first, lines)
	out.Total = max(end, out.Last)
	return out, nil
}

// part finds the log of a run wherever it is.
func (s *server) part(ctx context.Context, r run, container string, from int64) logPart {
	var out logPart
	err := errNoLog
	var stored *place
	if r.place != nil {
		name := artifacts.BuildLogFile
		if container != "" {
			name = artifacts.BuildLogName(container)
		}
		p := r.place.at(r.place.key + "/" + name)
		stored = &p
	}
	if stored != nil && (r.pj == nil || r.pj.Complete()) {
		out, err = s.storedPart(ctx, *stored, from)
	}
	if err != nil && r.pj != nil && r.pj.Status.PodName != "" && r.pj.Spec.Agent == v1.KubernetesAgent {
		out, err = s.livePart(ctx, containerOf(r.pj, container))
		if err != nil && stored != nil {
			out, err = s.storedPart(ctx, *stored, from)
		}
	}
	out.Container = container
	switch {
	case err == nil:
	case r.pj != nil && !r.pj.Complete():
		out.Live = true
		s.log.DebugContext(ctx, "a log cannot be shown yet", "job", r.job, "build", r.build, "error", err)
	case errors.Is(err, errNoLog), errors.Is(err, fs.ErrNotExist), apierrors.IsNotFound(err):
		out.Problem = "This run has left no log."
	default:
		out.Problem = "The log cannot be read at the moment; the log of this program tells why."
		s.log.WarnContext(ctx, "a log cannot be shown", "job", r.job, "build", r.build, "error", err)
	}
	return out
}
