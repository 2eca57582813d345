package html

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T) {
	lenstest.About(t, New(), "html", "HTML", 3, true)
	if !New().About().Scripts {
		t.Error("pages of jobs have scripts")
	}
}

func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestHeads(t *testing.T) {
	for name, tc := range map[string]struct {
		in, title, description, after string
	}{
		"a title and a description":          {`<!doctype html><title> a <!-- b -->&amp;  c</title><meta name="Description" content="d">`, "a <!-- b -->& c", "d", "<!doctype html>"},
		"nothing":                            {"", "", "", ""},
		"no head":                            {"<p>x", "", "", ""},
		"a comment before the doctype":       {"<!-- c --><!doctype html><p>", "", "", "<!-- c --><!doctype html>"},
		"a doctype that comes too late":      {"<p><!doctype html>", "", "", ""},
		"a title in the body does not count": {"<body><title>x</title>", "", "", ""},
		"nor that of a drawing":              {"<svg><title>x</title></svg>", "", "", ""},
		"the first title counts":             {"<title>a</title><title>b</title>", "a", "", ""},
		"a title in a script is none":        {"<script>'<title>x</title>'</script><title>y</title>", "y", "", ""},
		"a long title":                       {"<title>" + strings.Repeat("ä", 400) + "</title>", strings.Repeat("ä", 150) + "…", "", ""},
	} {
		h := parseHead([]byte(tc.in))
		if h.title != tc.title || h.description != tc.description || tc.in[:h.scriptAt] != tc.after {
			t.Errorf("%s: got %q, %q, %q", name, h.title, h.description, tc.in[:h.scriptAt])
		}
	}
}

func FuzzHTML(f *testing.F) {
	for _, seed := range []string{"<!doctype html><title>x</title>", `"><script>`, "<title>", "<meta name=description content", "\x00\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		run := lenstest.Texts(map[string]string{"a.html": string(raw)})
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()}))
		root, err := html.Parse(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		frames := 0
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && n.Data == "iframe" {
				frames++
				for _, a := range n.Attr {
					if a.Key == "srcdoc" && !strings.Contains(a.Val, meter) {
						t.Fatalf("the document is %q", a.Val)
					}
				}
			}
		}
		if frames != 1 {
			t.Fatalf("%d frames: %s", frames, body)
		}
	})
}
