package censor

import "io"

// minBuffer is the least size of a stream's buffer, in bytes.
const minBuffer = 128 << 10

// Reader masks what is read from src. Its buffer holds at least twice the
// longest pattern.
func (m *Masker) Reader(src io.Reader) io.Reader {
	if m.Empty() {
		return src
	}
	return m.reader(src, max(minBuffer, 4*m.longest))
}

func (m *Masker) reader(src io.Reader, size int) *reader {
	return &reader{masker: m, src: src, buf: make([]byte, size)}
}

type reader struct {
	masker *Masker
	src    io.Reader
	buf    []byte
	// The buffer holds masked bytes from pos to cut, and from there to end bytes
	// as they came: in them an occurrence may begin whose end is not known yet.
	pos, cut, end int
	// masked is how many of the bytes from cut on belong to earlier occurrences.
	masked int
	spans  []span
	err    error // of src, io.EOF included
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.pos == r.cut {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.pos:r.cut])
	r.pos += n
	return n, nil
}

// fill gets more masked bytes into the buffer, or returns why there are none.
func (r *reader) fill() error {
	if r.err != nil && r.cut == r.end {
		return r.err
	}
	r.end = copy(r.buf, r.buf[r.cut:r.end])
	r.pos, r.cut = 0, 0
	for r.end < len(r.buf) && r.err == nil {
		var n int
		n, r.err = r.src.Read(r.buf[r.end:])
		r.end += n
	}
	if r.err != nil && r.err != io.EOF {
		return r.err // the rest is not known, and so nothing of it is safe
	}

	r.cut = r.end
	if r.err == nil {
		r.cut -= r.masker.longest - 1
	}
	r.spans = r.masker.find(r.buf[:r.end], r.spans[:0])
	masked := 0
	for _, s := range append(r.spans, span{0, r.masked}) {
		if s.from >= r.cut {
			continue // found again, from the front of the buffer
		}
		fill(r.buf[s.from:min(s.to, r.cut)])
		masked = max(masked, s.to-r.cut)
	}
	r.masked = masked
	if r.cut == 0 && r.err == io.EOF {
		return io.EOF
	}
	return nil
}
