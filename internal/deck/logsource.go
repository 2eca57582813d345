package deck

import (
	"context"
	"errors"
	"io"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/loglines"
)

// logSource is the log of a container of a run, wherever it is at the moment.
type logSource struct {
	run       run
	container string
}

// sourceOf finds the run whose log is asked for, by what follows /view/ in its address.
func (s *server) sourceOf(ctx context.Context, src string) (run, error) {
	found, rest, err := s.findRun(ctx, src, false)
	if err == nil && rest != "" {
		err = errNoLog
	}
	return found, err
}

// source is the other way round; "" is a run without a build, which has no log.
func (r run) source() string {
	switch {
	case r.place != nil:
		return r.place.path()
	case r.pj != nil && r.build != "":
		return "prowjob/" + r.job + "/" + r.build
	}
	return ""
}

// stored is where the log is in storage, once the run is over; nil if nowhere.
func (l logSource) stored() *place {
	if l.run.place == nil {
		return nil
	}
	out := logIn(*l.run.place, l.container)
	return &out
}

func (l logSource) over() bool { return l.run.pj == nil || l.run.pj.Complete() }

// pod is the container; nil where there is none.
func (l logSource) pod() *containerID {
	if pj := l.run.pj; pj != nil && pj.Status.PodName != "" && pj.Spec.Agent == v1.KubernetesAgent {
		id := containerOf(pj, l.container)
		return &id
	}
	return nil
}

func (l logSource) external() bool {
	return l.run.pj != nil && l.run.pj.Spec.Agent != v1.KubernetesAgent
}

// logStream reads a log from a line on.
type logStream struct {
	io.Reader
	close []io.Closer
	// size is that of the whole in bytes, where it is known.
	size int64
	// focus are the lines that somebody chose, from 1.
	focusFrom, focusTo int64
}

// Close closes the stream.
func (l *logStream) Close() {
	for i := len(l.close) - 1; i >= 0; i-- {
		_ = l.close[i].Close() // only read
	}
}

// stream opens a log at a line, from 0. Where it is not in storage, or its lines are
// not counted, everything before is read.
func (s *server) stream(ctx context.Context, l logSource, line int64) (*logStream, error) {
	var errs []error
	if where := l.stored(); where != nil && l.over() {
		out, err := s.storedStream(ctx, *where, line)
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
	}
	var r io.ReadCloser
	err := errNoLog
	if id := l.pod(); id != nil {
		r, err = s.pods.stream(ctx, *id, false)
	} else if l.external() {
		r, err = s.externalStream(ctx, l.run.pj)
	}
	if err == nil {
		if r, err = loglines.Skip(r, line); err == nil {
			return &logStream{Reader: r, close: []io.Closer{r}}, nil
		}
	}
	errs = append(errs, err)
	if where := l.stored(); where != nil && !l.over() {
		out, err := s.storedStream(ctx, *where, line)
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (s *server) storedStream(ctx context.Context, where place, line int64) (*logStream, error) {
	bucket, err := s.open(ctx, where)
	if err != nil {
		return nil, err
	}
	log, err := s.lines.of(ctx, bucket, where)
	if err != nil {
		return nil, errors.Join(err, bucket.Close())
	}
	r, err := log.From(ctx, line)
	if errors.Is(err, loglines.ErrNotCounted) {
		if r, err = log.Open(ctx, 0); err == nil {
			r, err = loglines.Skip(r, line)
		}
	}
	if err != nil {
		return nil, errors.Join(err, bucket.Close())
	}
	out := &logStream{Reader: r, close: []io.Closer{bucket, r}, size: max(0, log.Size)}
	out.focusFrom, out.focusTo = focusOf(log.object.Metadata)
	return out, nil
}
