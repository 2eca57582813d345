package ansi

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSpans(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want []Span
		cut  int
	}{
		"plain text is one span":            {"a <b>", []Span{{"a <b>", ""}}, 0},
		"colours split it":                  {"a\x1b[1;31mb\x1b[0mc", []Span{{"a", ""}, {"b", "b fg-red"}, {"c", ""}}, 0},
		"what was overwritten still paints": {"\x1b[32mold\rnew", []Span{{"new", "fg-green"}}, 0},
		"what is above the limit is cut":    {strings.Repeat("x", 120), []Span{{strings.Repeat("x", 100), ""}}, 20},
	} {
		p := Painter{}
		got, cut := p.Spans([]byte(tc.in), 100)
		if !reflect.DeepEqual(got, tc.want) || cut != tc.cut {
			t.Errorf("%s: got %q and %d, want %q and %d", name, got, cut, tc.want, tc.cut)
		}
	}
}

func FuzzSpans(f *testing.F) {
	for _, seed := range []string{"a\x1b[31mb", "\x1b]8;;http://x\x07y", "\x1b[38;5", "\xff\xfe", "\r\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := Painter{}
		spans, _ := p.Spans(raw, 64)
		for _, s := range spans {
			if s.Text == "" || !utf8.ValidString(s.Text) || strings.ContainsAny(s.Text, "\x1b\n\r\u202e") || strings.ContainsAny(s.Classes, `"<>`) {
				t.Fatalf("%q gives %q", raw, spans)
			}
		}
	})
}
