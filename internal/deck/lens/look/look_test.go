package look

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"
)

func TestFilesAreThoseOfTheLensAndOfAll(t *testing.T) {
	all := Files(fstest.MapFS{"static/x.css": {Data: []byte("x")}, "static/00-look.css": {Data: []byte("mine")}})
	if got, err := fs.Glob(all, "*.css"); err != nil || len(got) != 2 || got[0] != "00-look.css" || got[1] != "x.css" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := fs.ReadFile(all, "00-look.css"); err != nil || string(got) != "mine" {
		t.Errorf("the first one counts: got %q, %v", got, err)
	}
	if _, err := fs.ReadFile(all, "../look.go"); err == nil {
		t.Error("a name leads out")
	}
}

func TestConfig(t *testing.T) {
	type config struct{ Number int }
	for name, tc := range map[string]struct {
		raw, problem string
		number       int
	}{
		"none keeps the defaults":         {"", "", 7},
		"null keeps the defaults":         {"null", "", 7},
		"a field counts":                  {`{"number":8}`, "", 8},
		"the rest counts after a mistake": {`{"nmber":1,"number":8}`, `The configuration of this lens has a mistake: unknown field "nmber".`, 8},
		"a wrong type":                    {`{"number":"x"}`, `The configuration of this lens has a mistake: cannot unmarshal string into Go struct field config.Number of type int.`, 7},
	} {
		c := config{Number: 7}
		if got := Config([]byte(tc.raw), &c); got != tc.problem || c.Number != tc.number {
			t.Errorf("%s: got %q and %d", name, got, c.Number)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Size(0): "0 B", Size(1234): "1.2 kB", Size(99_960): "100 kB", Size(999_800): "1.0 MB", Size(5e12): "5.0 TB",
		Count(1, "line"): "1 line", Count(12345678, "line"): "12,345,678 lines", Count(999, "line"): "999 lines",
		Took(61*time.Second + 600*time.Millisecond): "1m2s",
		string(Time(time.Unix(0, 0))):               `<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00:00 UTC</time>`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestIsWeb(t *testing.T) {
	for text, want := range map[string]bool{
		"https://a.example/b?c#d": true, "http://a": true, "ftp://a": false, "https://": false, "https://a b": false, "https://a\"b": false,
		"javascript:x": false, " https://a": false, "https://a<b": false, "https://[::1": false,
	} {
		if IsWeb(text) != want {
			t.Errorf("%s: got %t", text, !want)
		}
	}
}
