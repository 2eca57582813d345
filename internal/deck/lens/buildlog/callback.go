package buildlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

// question is what the browser asks for.
type question struct {
	Artifact string `json:"artifact"`
	// Offset and Length choose bytes; 0 and -1 are all. Lines are numbered from
	// StartLine+1 on.
	Offset    int64 `json:"offset"`
	Length    int64 `json:"length"`
	StartLine int   `json:"startLine"`
	// EndLine is the last of these lines, where the asker knows it. Then a few lines of
	// many are shown without reading all of them.
	EndLine int `json:"endLine"`
	// Top and Bottom show only so many lines of them, at the beginning and at the end.
	Top    int `json:"top"`
	Bottom int `json:"bottom"`
	// Around shows only what is near the line with this number, and up to AroundEnd.
	Around    int `json:"around"`
	AroundEnd int `json:"aroundEnd"`
	// SaveEnd pins the lines from StartLine to it, or unpins where both are 0.
	SaveEnd *int `json:"saveEnd"`
	Analyze bool `json:"analyze"`
}

// near is how many lines are shown beside one that is linked.
const near = 20

// Callback answers the browser. What cannot be done is said in the answer.
func (l *buildLog) Callback(ctx context.Context, r *lens.Request) (string, error) {
	var q question
	if err := json.Unmarshal([]byte(r.Data), &q); err != nil {
		return "The request is no JSON of this lens: " + err.Error(), nil
	}
	var a lens.Artifact
	for _, candidate := range r.Artifacts {
		if candidate.Name() == q.Artifact {
			a = candidate
		}
	}
	if a == nil {
		return fmt.Sprintf("There is no artifact %q here.", q.Artifact), nil
	}
	c, _ := parseConfig(r.Config)
	switch {
	case q.Analyze:
		out, err := json.Marshal(l.analysis(ctx, a, c))
		return string(out), err
	case q.SaveEnd != nil:
		return pin(ctx, a, q.StartLine, *q.SaveEnd), nil
	}
	html, err := lines(ctx, a, c, q)
	if err != nil {
		return look.Problem(a, err), nil // lines are markup, everything else is a text
	}
	return html, nil
}

// pin keeps the lines, from 1, with the log; the answer is empty, or says why not.
func pin(ctx context.Context, a lens.Artifact, start, end int) string {
	set := map[string]string{focusStart: "", focusEnd: ""}
	switch {
	case start == 0 && end == 0:
	case start <= 0 || end <= 0:
		return "Lines are numbered from 1 on."
	default:
		set[focusStart], set[focusEnd] = strconv.Itoa(min(start, end)), strconv.Itoa(max(start, end))
	}
	if err := a.SetMetadata(ctx, set); err != nil {
		return look.Problem(a, err)
	}
	return ""
}

var errQuestion = errors.New("such a part cannot be asked for")

// lines shows a part of a log.
func lines(ctx context.Context, a lens.Artifact, c *config, q question) (string, error) {
	if q.Offset < 0 || q.Length < -1 || q.StartLine < 0 || q.Top < 0 || q.Bottom < 0 {
		return "", fmt.Errorf("%w: offset %d, length %d, startLine %d, top %d, bottom %d", errQuestion, q.Offset, q.Length, q.StartLine, q.Top, q.Bottom)
	}
	r := &renderer{artifact: a.Name(), maxMarked: c.HighlightLineMax}
	if done, err := edge(ctx, a, q, c, r); done || err != nil {
		return r.out.String(), err
	}
	text, atEnd, err := read(ctx, a, q.Offset, q.Length)
	if err != nil {
		return "", err
	}
	if atEnd {
		text = bytes.TrimSuffix(text, []byte{'\n'})
	}
	if len(text) <= largeLog {
		r.pattern = c.pattern
	}
	if info, err := a.Stat(ctx); err == nil {
		r.focus = pinned(info.Metadata)
	}
	part := &content{raw: text, offset: q.Offset, first: q.StartLine}
	total := part.lines()
	var matter []span
	if q.Top > 0 {
		matter = append(matter, span{0, q.Top})
	}
	if q.Bottom > 0 {
		matter = append(matter, span{total - q.Bottom, total})
	}
	if q.Around > 0 {
		n := q.Around - 1 - q.StartLine
		matter = append(matter, span{n - near, max(n+1, min(q.AroundEnd-q.StartLine, n+maxMatches)) + near})
	}
	if matter == nil {
		matter = []span{{0, total}}
	}
	r.content(part, arrange(total, matter))
	return r.out.String(), nil
}

// read reads a part of a log, and tells whether it reaches the end. Of a compressed one
// everything before it is read, too.
func read(ctx context.Context, a lens.Artifact, offset, length int64) (text []byte, atEnd bool, err error) {
	info, err := a.Stat(ctx)
	if err != nil {
		return nil, false, err
	}
	if info.Compressed {
		want := int64(lens.AllText)
		if length >= 0 && offset < lens.AllText-length-1 {
			want = offset + length + 1 // one byte more tells whether that is the end
		}
		text, err = a.Range(ctx, 0, want)
		if errors.Is(err, lens.ErrTooLarge) && want != lens.AllText {
			text, err = a.Range(ctx, 0, want-1)
		}
		if err != nil {
			return nil, false, err
		}
		if offset > int64(len(text)) {
			return nil, false, fmt.Errorf("%w %s: it has %d bytes", lens.ErrRange, a.Name(), len(text))
		}
		if text = text[offset:]; length >= 0 && int64(len(text)) > length {
			return text[:length], false, nil
		}
		return text, true, nil
	}
	if length < 0 {
		length = max(info.Size-offset, 0)
	}
	text, err = a.Range(ctx, offset, length)
	return text, offset+length >= info.Size, err
}
