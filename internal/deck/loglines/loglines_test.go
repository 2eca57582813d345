package loglines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func openText(text []byte, opened *[]int64) Open {
	return func(_ context.Context, offset int64) (io.ReadCloser, error) {
		if opened != nil {
			*opened = append(*opened, offset)
		}
		return io.NopCloser(bytes.NewReader(text[min(offset, int64(len(text))):])), nil
	}
}

func build(t testing.TB, text []byte) *Log {
	t.Helper()
	log := &Log{Open: openText(text, nil), Index: &Index{}, Size: int64(len(text))}
	if err := log.Index.Build(t.Context(), log.Open); err != nil {
		t.Fatal(err)
	}
	return log
}

// naive are the lines of a text, without any art.
func naive(text []byte) [][]byte {
	if len(text) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})
}

// rugged is a text with short lines, none, long ones and very long ones.
func rugged(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	letters := make([]byte, 3<<20)
	for i := range letters {
		letters[i] = byte('a' + r.Uint32()%26)
	}
	var out []byte
	for len(out) < size {
		n := r.IntN(200)
		switch r.IntN(300) {
		case 0:
			n = r.IntN(1 << 20)
		case 1:
			n = r.IntN(40_000)
		case 2:
			n = markEvery*r.IntN(4) - len(out)%markEvery
		}
		n = min(max(n, 0), 1<<20)
		at := r.IntN(2 << 20)
		out = append(append(out, letters[at:at+n]...), '\n')
	}
	if seed%2 == 0 {
		out = append(out, "no end"...)
	}
	return out
}

func TestAnyLineOfARuggedLogIsReadExactly(t *testing.T) {
	for seed := range uint64(4) {
		text := rugged(seed, 8<<20)
		want := naive(text)
		log := build(t, text)
		now, _ := log.Index.Progress()
		if now.Lines != int64(len(want)) || !now.Complete || now.Bytes != int64(len(text)) {
			t.Fatalf("seed %d: %+v, want %d lines", seed, now, len(want))
		}
		for range 100 {
			from := rand.IntN(len(want))
			got, err := log.Read(t.Context(), int64(from), 3, 1<<20)
			if err != nil || len(got) == 0 {
				t.Fatalf("seed %d, line %d: %v, %v", seed, from, got, err)
			}
			for i, line := range got {
				w := want[from+i]
				if line.Length != len(w) || !bytes.Equal(line.Text, w[:min(len(w), Kept)]) {
					t.Fatalf("seed %d, line %d: %d bytes %.60q, want %d bytes %.60q", seed, from+i, line.Length, line.Text, len(w), w)
				}
			}
		}
		tail, err := log.Tail(t.Context(), 50, 1<<20)
		if err != nil || len(tail) == 0 || len(tail) > 50 {
			t.Fatalf("seed %d: a tail of %d lines, %v", seed, len(tail), err)
		}
		for i, line := range tail {
			if w := want[len(want)-len(tail)+i]; !bytes.Equal(line.Text, w[:min(len(w), Kept)]) {
				t.Fatalf("seed %d: the tail has %.60q, want %.60q", seed, line.Text, w)
			}
		}
	}
}

func TestAHugeLineIsNotReadToItsEndTwice(t *testing.T) {
	huge := bytes.Repeat([]byte("x"), 40<<20)
	text := slices.Concat([]byte("first\n"), huge, []byte("\nafter it\n"), huge)
	var opened []int64
	log := &Log{Open: openText(text, &opened), Index: &Index{}, Size: int64(len(text))}
	if err := log.Index.Build(t.Context(), log.Open); err != nil {
		t.Fatal(err)
	}
	read := int64(0)
	open := log.Open
	log.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		r, err := open(ctx, offset)
		return struct {
			io.Reader
			io.Closer
		}{counting{r, &read}, r}, err
	}
	got, err := log.Read(t.Context(), 0, 10, 1<<20)
	if err != nil || len(got) != 4 {
		t.Fatalf("%d lines, %v", len(got), err)
	}
	for i, want := range []int{5, len(huge), 8, len(huge)} {
		if got[i].Length != want {
			t.Errorf("line %d has %d bytes, want %d", i, got[i].Length, want)
		}
	}
	if read > 4<<20 {
		t.Errorf("%d bytes were read to show four lines", read)
	}
	tail, err := log.Tail(t.Context(), 10, 1<<20)
	if err != nil || len(tail) != 1 || len(tail[0].Text) != Kept {
		t.Errorf("the tail: %d lines, %v", len(tail), err)
	}
}

type counting struct {
	io.Reader
	n *int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += int64(n)
	return n, err
}

func TestAnIndexGoesOnWhereItWasLeftOff(t *testing.T) {
	text := rugged(3, 4<<20)
	var opened []int64
	log := &Log{Index: &Index{}, Size: int64(len(text))}
	broken := errors.New("broken")
	log.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		opened = append(opened, offset)
		rest := text[offset:]
		r := io.Reader(bytes.NewReader(rest))
		if len(rest) > 1<<20 {
			r = io.MultiReader(bytes.NewReader(rest[:1<<20+17]), failing{broken})
		}
		return io.NopCloser(r), nil
	}
	for range 10 {
		err := log.Index.Build(t.Context(), log.Open)
		now, _ := log.Index.Progress()
		if err == nil {
			break
		}
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if _, err := log.Read(t.Context(), now.Lines+1, 1, 1<<20); !errors.Is(err, ErrNotCounted) {
			t.Fatalf("a line that was not counted: %v", err)
		}
		if _, err := log.Read(t.Context(), now.Lines-1, 1, 1<<20); err != nil {
			t.Fatalf("a line that was counted: %v", err)
		}
	}
	if now, _ := log.Index.Progress(); !now.Complete || now.Lines != int64(len(naive(text))) {
		t.Errorf("%+v", now)
	}
	if !slices.IsSorted(opened) || len(opened) < 4 {
		t.Errorf("read from %v", opened)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTheEndOfALogThatIsOnlyReadFromItsBeginning(t *testing.T) {
	text := []byte(strings.Repeat("some words on a line\n", 400_000) + "the last")
	log := &Log{Open: openText(text, nil), Index: &Index{KeepTail: 300 << 10}, Size: -1}
	if _, err := log.Tail(t.Context(), 10, 1<<20); !errors.Is(err, ErrNotCounted) {
		t.Errorf("before it was read: %v", err)
	}
	if err := log.Index.Build(t.Context(), log.Open); err != nil {
		t.Fatal(err)
	}
	want := naive(text)
	tail, err := log.Tail(t.Context(), 100, 1<<20)
	if err != nil || len(tail) != 100 || !bytes.Equal(tail[len(tail)-1].Text, want[len(want)-1]) {
		t.Errorf("%d lines, %v", len(tail), err)
	}
	if m := log.Index.Memory(); m > 700<<10 {
		t.Errorf("the index costs %d bytes", m)
	}
}

func searchAll(t testing.TB, text []byte, q Query, limit int) ([]Hit, Searched) {
	t.Helper()
	m, err := q.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var hits []Hit
	s, err := Search(t.Context(), bytes.NewReader(text), 0, m, limit, func(h Hit) error { hits = append(hits, h); return nil }, func(Searched) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return hits, s
}

func TestSearchFindsWhatALineByLineLookFinds(t *testing.T) {
	for name, q := range map[string]Query{
		"a text":                     {Text: "abc", Case: true},
		"a text in any case":         {Text: "AbC"},
		"an expression":              {Text: `x.?y[a-f]+z`, Regexp: true, Case: true},
		"without a fixed text":       {Text: `[xyz]{5}`, Regexp: true, Case: true},
		"alternatives":               {Text: `qqq|abcd|(zz|yy)x`, Regexp: true},
		"the end of a line":          {Text: `ab$`, Regexp: true},
		"the beginning of a line":    {Text: `^ab`, Regexp: true},
		"letters with further forms": {Text: `ks`, Regexp: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2) {
				text := rugged(seed, 3<<20)
				hits, s := searchAll(t, text, q, 1<<30)
				var want []int64
				for i, line := range naive(text) {
					var ok bool
					switch {
					case q.Regexp && q.Case:
						ok = regexp.MustCompile(q.Text).Match(line[:min(len(line), maxMatched)])
					case q.Regexp:
						ok = regexp.MustCompile("(?i)" + q.Text).Match(line[:min(len(line), maxMatched)])
					case q.Case:
						ok = bytes.Contains(line, []byte(q.Text))
					default:
						ok = bytes.Contains(bytes.ToLower(line), bytes.ToLower([]byte(q.Text)))
					}
					if ok {
						want = append(want, int64(i))
					}
				}
				var got []int64
				for _, h := range hits {
					got = append(got, h.Line)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d: %d hits %.20v, want %d %.20v", seed, len(got), got, len(want), want)
				}
				if !s.Complete || s.Lines != int64(len(naive(text))) || s.Bytes != int64(len(text)) {
					t.Errorf("seed %d: %+v", seed, s)
				}
			}
		})
	}
}

func TestHitsHaveTheLinesAroundThem(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	hits, s := searchAll(t, []byte(b.String()), Query{Text: "7"}, 5000)
	if len(hits) != 5000 || s.Complete || s.Lines != hits[4999].Line+1 {
		t.Fatalf("%d hits, %+v", len(hits), s)
	}
	hits, _ = searchAll(t, []byte(b.String()), Query{Text: "7"}, 1<<30)
	for _, h := range hits {
		want := func(from, to int64) (out []string) {
			for i := max(from, 0); i < min(to, 200_000); i++ {
				out = append(out, fmt.Sprintf("line %d", i))
			}
			return out
		}
		if !slices.Equal(h.Before, want(h.Line-2, h.Line)) || !slices.Equal(h.After, want(h.Line+1, h.Line+3)) || h.Text[h.From:h.To] != "7" {
			t.Fatalf("%+v", h)
		}
	}
}

func TestHostileLogsAreSearched(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	for name, tc := range map[string]struct {
		text string
		q    Query
		want []int64
	}{
		"nothing":                                    {"", Query{Text: "a"}, nil},
		"colours within a word":                      {"a\nb\x1b[31mFA\x1b[0mIL\n", Query{Text: "FAIL"}, []int64{1}},
		"a title is no text":                         {"\x1b]0;needle\x07\n\x1b]8;;javascript:needle\x1b\\x\n", Query{Text: "needle"}, nil},
		"a title without an end":                     {"\x1b]0;need\nneedle\n", Query{Text: "needle"}, []int64{1}},
		"a line of megabytes, once":                  {"a\n" + long + "needle" + long + "needle" + long + "\nneedle\n", Query{Text: "needle"}, []int64{1, 2}},
		"over the end of what is read":               {strings.Repeat("x", searchBuffer-3) + "needle", Query{Text: "needle"}, []int64{0}},
		"no line is begun in the middle of one":      {long + "needle\nneedle", Query{Text: "^needle", Regexp: true}, []int64{1}},
		"no UTF-8":                                   {"\xff\xfe\x00needle\n", Query{Text: "needle"}, []int64{0}},
		"only the beginnings of escape sequences":    {strings.Repeat("\x1b]", 1<<20) + "\nneedle", Query{Text: "needle"}, []int64{1}},
		"an expression sees the beginning of a line": {strings.Repeat("x", maxMatched) + "needle\n", Query{Text: "needle$", Regexp: true}, nil},
	} {
		hits, s := searchAll(t, []byte(tc.text), tc.q, 100)
		var got []int64
		for _, h := range hits {
			got = append(got, h.Line)
			if len(h.Text) > 3*hitText {
				t.Errorf("%s: a hit of %d bytes", name, len(h.Text))
			}
		}
		if !slices.Equal(got, tc.want) || !s.Complete {
			t.Errorf("%s: hits %v, want %v, %+v", name, got, tc.want, s)
		}
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	for _, q := range []Query{{}, {Text: strings.Repeat("x", MaxQuery+1)}, {Text: "a\nb"}, {Text: "(", Regexp: true}, {Text: "a{2,9999}", Regexp: true}, {Text: `(?=x)`, Regexp: true}, {Text: "a)|(b", Regexp: true}, {Text: "(" + strings.Repeat("ab", 300) + "){500}", Regexp: true}, {Text: "\xff"}} {
		if _, err := q.Compile(); err == nil {
			t.Errorf("%.40q is accepted", q.Text)
		}
	}
}

func TestASearchEndsWithItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m, err := Query{Text: "nowhere"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Search(ctx, endless{}, 0, m, 10, func(Hit) error { return nil }, func(now Searched) error {
		if now.Bytes > 3<<20 {
			cancel()
		}
		return nil
	})
	if err != nil || s.Complete || s.Lines == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = "0123456\n"[i%8]
	}
	return len(b) / 8 * 8, nil
}

func parts(f Folded) (out []string) {
	for _, p := range f.Parts {
		if p.Lines == nil {
			out = append(out, fmt.Sprintf("hidden %d-%d", p.First+1, p.First+p.Count))
			continue
		}
		marked := ""
		for i, m := range p.Marked {
			if m {
				marked += fmt.Sprintf(" %d", p.First+int64(i)+1)
			}
		}
		out = append(out, fmt.Sprintf("shown %d-%d marked%s", p.First+1, p.First+p.Count, marked))
	}
	return out
}

func TestBoringPartsAreHidden(t *testing.T) {
	words := func(n int, failed ...int) string {
		var b strings.Builder
		for i := 1; i <= n; i++ {
			if slices.Contains(failed, i) {
				b.WriteString("--- FAIL: it\n")
			} else {
				b.WriteString("word\n")
			}
		}
		return b.String()
	}
	plain, err := HighlightOf(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	focus := plain
	focus.From, focus.To = 7, 20
	for name, tc := range map[string]struct {
		text string
		h    Highlight
		want []string
	}{
		"nothing is highlighted":             {words(100), plain, []string{"hidden 1-100"}},
		"a short log":                        {words(4), plain, []string{"shown 1-4 marked"}},
		"five lines around":                  {words(100, 50), plain, []string{"hidden 1-44", "shown 45-55 marked 50", "hidden 56-100"}},
		"fewer than five are not hidden":     {words(100, 10, 25, 96), plain, []string{"shown 1-30 marked 10 25", "hidden 31-90", "shown 91-100 marked 96"}},
		"five are hidden":                    {words(27, 11, 27), plain, []string{"hidden 1-5", "shown 6-16 marked 11", "hidden 17-21", "shown 22-27 marked 27"}},
		"probe 41: chosen lines":             {words(100, 50), focus, []string{"shown 1-25 marked 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "hidden 26-100"}},
		"a line that is too long is passed":  {strings.Repeat("x", 10_001) + "FAIL\n" + words(9), plain, []string{"hidden 1-10"}},
		"what klog says at an error's level": {words(9) + "\x1b[31mE0102 03:04:05.678] x\n", plain, []string{"shown 1-10 marked 10"}},
	} {
		got, err := Fold(t.Context(), strings.NewReader(tc.text), tc.h, 1000)
		if err != nil || !slices.Equal(parts(got), tc.want) || !got.Complete {
			t.Errorf("%s: %q, want %q, %v", name, parts(got), tc.want, err)
		}
	}
	cut, err := Fold(t.Context(), strings.NewReader(words(1000, 10, 300, 600)), plain, 30)
	if err != nil || cut.Complete || cut.Lines >= 605+5 {
		t.Errorf("a fold that shows enough: %v, %v", parts(cut), err)
	}
	if h, err := HighlightOf([]string{"("}, 0); err == nil || h.Match.String() != DefaultHighlight {
		t.Errorf("a broken expression: %v, %v", h.Match, err)
	}
	if h, err := HighlightOf([]string{"one", "two"}, 0); err != nil || h.Match.String() != "one|two" {
		t.Errorf("two expressions: %v, %v", h.Match, err)
	}
}

// FuzzLines: whatever a log is, its parts are those of the whole.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a", "a\nb\n", "\n\n\n", "\x00\xff\n\x1b[31m\r\n", strings.Repeat("x", 70_000) + "\ny"} {
		f.Add([]byte(seed), uint16(0), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, from uint16, times uint8) {
		text = bytes.Repeat(text, int(times%8)+1)
		want := naive(text)
		log := build(t, text)
		if now, _ := log.Index.Progress(); now.Lines != int64(len(want)) {
			t.Fatalf("%d lines, want %d", now.Lines, len(want))
		}
		got, err := log.Read(t.Context(), int64(from), 5, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range got {
			if w := want[int(from)+i]; line.Length != len(w) || !bytes.Equal(line.Text, w[:min(len(w), Kept)]) {
				t.Fatalf("line %d is %.40q, want %.40q", int(from)+i, line.Text, w)
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte("a\x1b[31mb\nc\x1b]8;;x\x07d\n"), "b", false)
	f.Add([]byte("\x1b]\x1b]\x1b\\"), "^$", true)
	f.Add([]byte("TIMEOUT after 3s\n"), "(?:time|out).*[0-9]", true)
	f.Fuzz(func(t *testing.T, text []byte, query string, re bool) {
		q := Query{Text: query, Regexp: re}
		m, err := q.Compile()
		if err != nil {
			return
		}
		var got, want []int64
		_, err = Search(t.Context(), bytes.NewReader(text), 0, m, 1<<30, func(h Hit) error {
			got = append(got, h.Line)
			if h.From < 0 || h.To > len(h.Text) || h.From > h.To {
				t.Fatalf("%+v", h)
			}
			return nil
		}, func(Searched) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range naive(text) {
			if _, _, ok := m.find(StripEscapes(nil, line)); ok {
				want = append(want, int64(i))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: lines %v, want %v", query, text, got, want)
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	var text bytes.Buffer
	for i := 0; text.Len() < 64<<20; i++ {
		fmt.Fprintf(&text, "2026-01-02T03:04:05.678Z INFO step %d of the test, everything is as it should be\n", i)
	}
	for name, q := range map[string]Query{
		"text":          {Text: "no such thing", Case: true},
		"anycase":       {Text: "no such thing"},
		"expression":    {Text: `such\s+(thing|stuff) \d+`, Regexp: true},
		"nothing-fixed": {Text: `[A-Z]{7}`, Regexp: true, Case: true},
		"highlight":     {Text: DefaultHighlight, Regexp: true, Case: true},
	} {
		m, err := q.Compile()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				_, err := Search(b.Context(), bytes.NewReader(text.Bytes()), 0, m, 1000, func(Hit) error { return nil }, func(Searched) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
