// Package buildlog is the lens that shows logs: the lines that matter with what stands
// around them, and groups of the other ones, which the browser asks for.
//
// A log may have lines that somebody pinned, which its metadata keeps for everybody.
// Logs above largeLog are not searched; of them only what is shown is kept in memory.
package buildlog

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed buildlog.html
var page string

const (
	// largeLog is the size above which a log is not searched, in bytes.
	largeLog = 10 << 20
	// maxMatches is how many lines that matter are shown at first.
	maxMatches = 1000
	// highlighterTimeout bounds a question to the highlighter.
	highlighterTimeout = 10 * time.Second
)

// Metadata of a log that keeps which lines were pinned, from 1, both inclusive.
const (
	focusStart = "focus-start"
	focusEnd   = "focus-end"
)

type buildLog struct {
	page   *template.Template
	client *http.Client
}

// New is the lens.
func New() lens.Lens {
	return &buildLog{look.Template("buildlog", page), &http.Client{
		Timeout:       highlighterTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (l *buildLog) About() lens.About {
	return lens.About{Name: "buildlog", Title: "Build Log", Priority: 10, Files: look.Files(static)}
}

type view struct {
	Problems []string
	Logs     []logView
}

type logView struct {
	Name, Link, Size string
	Lines            string
	Problem, Warning string
	Raw, Live        bool
	Pinned           bool
	// Pinnable and Analyzable tell what can be done.
	Pinnable, Analyzable bool
	HTML                 template.HTML
}

func (l *buildLog) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	c, problems := parseConfig(r.Config)
	v := view{Problems: problems}
	for _, a := range r.Artifacts {
		v.Logs = append(v.Logs, l.show(ctx, a, c))
	}
	return look.Execute(l.page, "page", v)
}

// show shows a log, or says why it cannot.
func (l *buildLog) show(ctx context.Context, a lens.Artifact, c *config) logView {
	v := logView{Name: a.Name(), Link: a.Link(), Raw: !c.HideRawLog}
	info, err := a.Stat(ctx)
	if err != nil {
		v.Problem = look.Problem(a, err)
		return v
	}
	v.Size, v.Live, v.Pinnable = look.Size(info.Size), info.Live, !info.Live
	v.Analyzable = c.Highlighter != nil && analyzable(info.URL)
	focus := pinned(info.Metadata)
	v.Pinned = focus.to > 0
	if !v.Pinned && v.Analyzable && c.Highlighter.Auto {
		if found := l.analyze(ctx, info.URL, c.Highlighter); found.Error == "" {
			focus = span{found.Min - 1, found.Max}
		} else {
			v.Warning = "The highlighter found nothing: " + found.Error
		}
	}
	out := &renderer{artifact: a.Name(), focus: focus, maxMarked: c.HighlightLineMax}
	var total int
	if info.Size > largeLog && !info.Compressed {
		v.Warning = largeWarning
		total, err = showLarge(ctx, a, info.Size, pieceBytes, focus, out)
	} else {
		var raw []byte
		if raw, err = lens.ReadAll(ctx, a, 0); err == nil {
			if len(raw) > largeLog {
				v.Warning = largeWarning
			} else {
				out.pattern = c.pattern
			}
			var left int
			if total, left, err = showAll(ctx, raw, focus, out); left > 0 {
				v.Warning = fmt.Sprintf("Only the first %s that matter are shown; %d more are hidden.", look.Count(maxMatches, "line"), left)
			}
		}
	}
	if err != nil {
		v.Problem = look.Problem(a, err)
		return v
	}
	v.Lines = look.Count(total, "line")
	if total == 0 {
		v.Lines = "empty"
	}
	v.HTML = template.HTML(out.out.String()) //nolint:gosec // the renderer escapes
	return v
}

const largeWarning = "This log is larger than 10 MiB, so it was not searched for lines that matter."

// pinned reads which lines were pinned; empty if none were.
func pinned(metadata map[string]string) span {
	from, err1 := strconv.Atoi(metadata[focusStart])
	to, err2 := strconv.Atoi(metadata[focusEnd])
	if err1 != nil || err2 != nil || from <= 0 || to <= 0 {
		return span{}
	}
	return span{min(from, to) - 1, max(from, to)}
}

// showAll shows a log that is in memory, and tells how many lines it has, and how many
// of those that matter are not shown.
func showAll(ctx context.Context, raw []byte, focus span, r *renderer) (total, left int, err error) {
	if len(raw) == 0 {
		return 0, 0, nil
	}
	c := &content{raw: bytes.TrimSuffix(raw, []byte{'\n'})}
	total = c.lines()
	matter, left := []span{}, 0
	if focus.to > 0 {
		matter = append(matter, span{focus.from - around, focus.to + around})
	} else if r.pattern != nil {
		if matter, left, err = r.search(ctx, c.raw); err != nil {
			return 0, 0, err
		}
	}
	if len(matter) == 0 || focus.from >= total {
		matter = append(matter, span{total - atEnd, total})
	}
	r.content(c, arrange(total, matter))
	return total, left, nil
}

// search finds the lines in which the pattern marks something.
func (r *renderer) search(ctx context.Context, raw []byte) (matter []span, left int, err error) {
	probe := renderer{pattern: r.pattern, maxMarked: r.maxMarked}
	for n, rest := 0, raw; ; n++ {
		var line []byte
		more := bytes.IndexByte(rest, '\n') >= 0
		line, rest = cutLine(rest)
		if len(line) <= maxLine && probe.matches(line) {
			if len(matter) < maxMatches {
				matter = append(matter, span{n - around, n + 1 + around})
			} else {
				left++
			}
		}
		if n%1000 == 0 && ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if !more {
			return matter, left, nil
		}
	}
}

func (r *renderer) matches(line []byte) bool {
	if bytes.IndexByte(line, 0x1b) < 0 && bytes.IndexByte(line, '\r') < 0 {
		return len(line) <= r.maxMarked && (r.pattern.String() != defaultPattern || may(line)) && r.pattern.Match(line)
	}
	text, cut := r.plain(line)
	return cut == 0 && len(text) <= r.maxMarked && r.pattern.MatchString(text)
}

// showLarge shows a log piece by piece: its focus, or its end.
func showLarge(ctx context.Context, a lens.Artifact, size, piece int64, focus span, r *renderer) (total int, err error) {
	// Of what is larger than the site reads at once nothing is shown. Nothing is read here.
	if _, err := a.Range(ctx, size, size); err != nil && !errors.Is(err, lens.ErrRange) {
		return 0, err
	}
	wanted := span{focus.from - around, focus.to + around}
	if wanted.from < fewest {
		wanted.from = 0
	}
	index, err := indexLines(ctx, a, size, piece, wanted)
	if err != nil {
		return 0, err
	}
	if focus.to == 0 || focus.from >= index.total {
		wanted = span{index.total - len(index.ends), index.total}
		index.from, index.to = index.ends[0], index.end
	}
	wanted = wanted.within(index.total)
	raw, err := a.Range(ctx, index.from, min(index.to-index.from, maxShownBytes))
	if err != nil {
		return 0, err
	}
	if i := bytes.LastIndexByte(raw, '\n'); int64(len(raw)) < index.to-index.from && i >= 0 {
		raw = raw[:i] // whole lines only
	}
	hidden := func(s span, from, to int64) {
		if s.from < s.to {
			r.hidden(s, from, max(to-from, 0))
		}
	}
	hidden(span{0, wanted.from}, 0, index.from-1)
	c := &content{raw: raw, offset: index.from, first: wanted.from}
	shown := min(c.lines(), wanted.to-wanted.from)
	r.content(c, []part{{span{0, shown}, true}})
	hidden(span{wanted.from + shown, index.total}, index.from+int64(len(raw))+1, index.end)
	return index.total, nil
}
