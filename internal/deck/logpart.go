package deck

import (
	"context"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"prow/internal/deck/loglines"
)

const (
	// countMoment is how long a page waits for lines being counted.
	countMoment = 150 * time.Millisecond
	// podMoment is how long a page waits for a part of a log that is read from its
	// beginning.
	podMoment = 5 * time.Second
)

// logPart is a part of a log on a page.
type logPart struct {
	Lines []logLine
	// Container is "" for the test.
	Container string
	// Total is how many lines there are so far; First and Last are those shown, from 1.
	// They are 0 while the lines are being counted.
	Total, First, Last int64
	// Live tells that more will come.
	Live bool
	// Counting tells that the lines are being counted; Percent how far that is.
	Counting bool
	Percent  int
	// Wanted is a line that was asked for and has not been reached.
	Wanted int64
	// Problem tells why nothing is shown.
	Problem string
	// Earlier and Later are the first lines of the neighbouring parts; 0 is none.
	Earlier, Later int64
	paint          painter
}

type logLine struct {
	// Number begins at 1. Where it is 0, Back counts from the end, which is 1.
	Number, Back int64
	HTML         template.HTML
	// Marked is a line that was asked for, High one that is worth seeing.
	Marked, High bool
}

// add adds lines of which the first has the number first, from 0.
func (p *logPart) add(first int64, lines []textLine) {
	for i, line := range lines {
		p.Lines = append(p.Lines, logLine{Number: first + int64(i) + 1, HTML: p.paint.line(line)})
	}
	p.span()
}

func (p *logPart) addLive(first int64, lines []liveLine) {
	for i, line := range lines {
		p.Lines = append(p.Lines, logLine{Number: first + int64(i) + 1, HTML: line.html})
	}
	p.span()
}

// addEnd adds the last lines of a log whose lines were not counted.
func (p *logPart) addEnd(lines []textLine) {
	for i, line := range lines {
		p.Lines = append(p.Lines, logLine{Back: int64(len(lines) - i), HTML: p.paint.line(line)})
	}
}

func (p *logPart) span() {
	if len(p.Lines) > 0 {
		p.First, p.Last = p.Lines[0].Number, p.Lines[len(p.Lines)-1].Number
	}
}

func (p *logPart) neighbours() {
	if p.First > 1 {
		p.Earlier = max(1, p.First-pageLines)
	}
	if p.Last > 0 && (p.Last < p.Total || p.Counting) {
		p.Later = p.Last + 1
	}
}

// storedPart reads a part from storage: from the line from on, from 1, or the end of
// the log if from is 0. It does not wait for the lines of a large log to be counted:
// then the end is shown without numbers, or the beginning of one that is compressed.
func (s *server) storedPart(ctx context.Context, where place, from int64, limit int) (logPart, error) {
	bucket, err := s.open(ctx, where)
	if err != nil {
		return logPart{}, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	log, err := s.lines.of(ctx, bucket, where)
	if err != nil {
		return logPart{}, err
	}
	now := log.counted(ctx, countMoment, func(p progress) bool { return from > 0 && p.Lines >= from })
	out := logPart{Total: now.Lines, Counting: !now.Complete, Percent: log.percent(now)}
	if from > 0 && now.Lines >= from {
		lines, err := log.Read(ctx, from-1, limit, pageBytes)
		if err != nil {
			return logPart{}, err
		}
		out.add(from-1, lines)
		out.neighbours()
		return out, nil
	}
	if !now.Complete {
		out.Total, out.Wanted = 0, from
	}
	lines, err := log.Tail(ctx, limit, pageBytes)
	switch {
	case errors.Is(err, loglines.ErrNotCounted):
		if lines, err = log.Read(ctx, 0, limit, pageBytes); err == nil {
			out.add(0, lines)
		}
	case err == nil && now.Complete:
		out.add(now.Lines-int64(len(lines)), lines)
	case err == nil:
		out.addEnd(lines)
	}
	out.neighbours()
	return out, err
}

// livePart reads a part of the log of a container that may still run, or its end if
// from is 0.
func (s *server) livePart(ctx context.Context, id containerID, from int64, limit int) (logPart, error) {
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
	out := logPart{Live: !done, Total: log.end()}
	if from > 0 && from <= out.Total {
		lines, ok := log.part(from-1, limit)
		if !ok {
			// It is not kept any more: read on from the beginning.
			stream, err := s.pods.stream(ctx, id, false)
			if err != nil {
				return logPart{}, err
			}
			defer stream.Close() //nolint:errcheck // only read
			return s.streamPart(ctx, stream, out, from, limit)
		}
		out.addLive(from-1, lines)
	} else {
		lines, first := log.last(limit)
		out.addLive(first, lines)
	}
	out.Total = max(out.Total, out.Last)
	out.neighbours()
	if out.Live && out.Last >= out.Total {
		out.Later = 0
	}
	return out, nil
}

// streamPart reads a part of a log that is read from its beginning.
func (s *server) streamPart(ctx context.Context, r io.ReadCloser, out logPart, from int64, limit int) (logPart, error) {
	ctx, cancel := context.WithTimeout(ctx, podMoment)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = r.Close() })()
	lines := loglines.NewReader(r)
	// Without a line, the last ones are kept.
	var kept []textLine
	var n int64
	size := 0
	for ; ; n++ {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if ctx.Err() != nil && from > 0 {
				out.Problem = "Reading as far as this line takes too long; the raw log has it."
				return out, nil
			}
			return logPart{}, err
		}
		if from > 0 && n+1 < from {
			continue
		}
		kept, size = append(kept, line), size+len(line.Text)
		if from > 0 && (len(kept) == limit || size >= pageBytes) {
			n++
			out.Later = n + 1
			break
		}
		for from == 0 && (len(kept) > limit || size > pageBytes) && len(kept) > 1 {
			size -= len(kept[0].Text)
			kept[0] = textLine{}
			kept = kept[1:]
		}
	}
	out.Total = max(out.Total, n)
	out.add(n-int64(len(kept)), kept)
	if out.First > 1 {
		out.Earlier = max(1, out.First-pageLines)
	}
	return out, nil
}

// part finds the log of a run wherever it is, and reads up to limit lines of it.
func (s *server) part(ctx context.Context, l logSource, from int64, limit int) logPart {
	var out logPart
	err := errNoLog
	stored := l.stored()
	if stored != nil && l.over() {
		out, err = s.storedPart(ctx, *stored, from, limit)
	}
	if err != nil && l.external() {
		var stream io.ReadCloser
		if stream, err = s.externalStream(ctx, l.run.pj); err == nil {
			out, err = s.streamPart(ctx, stream, logPart{}, from, limit)
			_ = stream.Close() // only read
		}
	}
	if id := l.pod(); err != nil && id != nil {
		out, err = s.livePart(ctx, *id, from, limit)
		if err != nil && stored != nil {
			out, err = s.storedPart(ctx, *stored, from, limit)
		}
	}
	r := l.run
	out.Container = l.container
	switch {
	case err == nil:
	case errors.Is(err, errBusy):
		out.Problem = "Too many logs are being followed at the moment; try again later."
	case r.pj != nil && !r.pj.Complete() && !l.external():
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
