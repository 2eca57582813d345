package buildlog

import (
	"bytes"
	"context"

	"prow/internal/deck/lens"
)

// edgeBytes is how much is read of a long group of which a few lines are asked for.
const edgeBytes = 1 << 20

// edge shows the first or the last lines of a long group of hidden ones, of which it
// reads no more than edgeBytes. It is not done if that is not enough, or if it does not
// know how many lines there are.
func edge(ctx context.Context, a lens.Artifact, q question, c *config, r *renderer) (done bool, err error) {
	if q.Length <= edgeBytes || q.EndLine <= q.StartLine || (q.Top > 0) == (q.Bottom > 0) || q.Around > 0 || q.Top+q.Bottom >= q.EndLine-q.StartLine-fewest {
		return false, nil
	}
	info, err := a.Stat(ctx)
	if err != nil || info.Compressed {
		return false, err
	}
	r.focus = pinned(info.Metadata)
	from := q.Offset
	if q.Bottom > 0 {
		from = q.Offset + q.Length - edgeBytes
	}
	text, err := a.Range(ctx, from, edgeBytes)
	if err != nil {
		return false, err
	}
	if q.Top > 0 {
		at := skipLines(text, q.Top)
		if at == len(text) {
			return false, nil
		}
		r.pattern = c.pattern
		r.content(&content{raw: text[:at-1], offset: from, first: q.StartLine}, []part{{span{0, q.Top}, true}})
		r.hidden(span{q.StartLine + q.Top, q.EndLine}, from+int64(at), q.Length-int64(at))
		return true, nil
	}
	at := len(text)
	for range q.Bottom {
		if at = bytes.LastIndexByte(text[:at], '\n'); at < 0 {
			return false, nil
		}
	}
	r.pattern = c.pattern
	r.hidden(span{q.StartLine, q.EndLine - q.Bottom}, q.Offset, from+int64(at)-q.Offset)
	r.content(&content{raw: text[at+1:], offset: from + int64(at) + 1, first: q.EndLine - q.Bottom}, []part{{span{0, q.Bottom}, true}})
	return true, nil
}
