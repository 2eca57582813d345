package statusdesc

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

func TestDescription(t *testing.T) {
	for name, tc := range map[string]struct{ text, sha string }{
		"a short text":            {"Job succeeded.", sha},
		"no text":                 {"", sha},
		"a text that just fits":   {strings.Repeat("x", 91), sha},
		"a long text":             {strings.Repeat("long ", 60), sha},
		"a long text of umlauts":  {strings.Repeat("ä", 200), sha},
		"no base commit":          {"Job succeeded.", ""},
		"a long text without one": {strings.Repeat("y", 300), ""},
	} {
		got := Description(tc.text, tc.sha)
		if len(got) > 140 || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, valid %v: %q", name, len(got), utf8.ValidString(got), got)
		}
		if BaseSHA(got) != tc.sha {
			t.Errorf("%s: the base commit is read as %q from %q", name, BaseSHA(got), got)
		}
		if len(tc.text) <= 91 && !strings.HasPrefix(got, tc.text) {
			t.Errorf("%s: the text is cut: %q", name, got)
		}
	}
	if got := BaseSHA("done Basesha:" + sha); got != sha {
		t.Errorf("the older spelling is read as %q", got)
	}
	for _, bad := range []string{"x BaseSHA:short", "x BaseSHA:" + sha + " BaseSHA:" + sha, "x"} {
		if got := BaseSHA(bad); got != "" {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func FuzzBaseSHA(f *testing.F) {
	f.Add("done BaseSHA:"+sha, sha)
	f.Add(" BaseSHA: Basesha:", "")
	f.Fuzz(func(t *testing.T, text, base string) {
		if got := BaseSHA(text); got != "" && len(got) != shaLen {
			t.Errorf("%q gives %q", text, got)
		}
		// What people write before the base commit must not hide or forge it.
		if len(base) == shaLen && !strings.Contains(text+base, "SHA:") && !strings.Contains(text+base, "sha:") {
			if got := BaseSHA(Description(text, base)); got != base {
				t.Errorf("%q with %q is read as %q", text, base, got)
			}
		}
	})
}
