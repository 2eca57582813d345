package coverage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "coverage", "Coverage", 7, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestProfiles(t *testing.T) {
	for name, tc := range map[string]struct{ in, want, err string }{
		"files are sorted":                 {"mode: set\nb.go:1.1,2.2 3 1\na.go:1.1,2.2 2 0\n", "[{a.go 0 2} {b.go 3 3}]", ""},
		"blocks at the same place are one": {"mode: count\na.go:1.1,2.2 3 0\na.go:1.1,2.2 3 5\na.go:1.1,2.3 1 0\n", "[{a.go 3 4}]", ""},
		"and covered if the first one is":  {"mode: set\na.go:1.1,2.2 3 1\na.go:1.1,2.2 3 0\n", "[{a.go 3 3}]", ""},
		"profiles that were put together":  {"mode: set\na.go:1.1,2.2 1 1\nmode: set\n\na.go:3.1,4.2 1 0\n", "[{a.go 1 2}]", ""},
		"names with colons and blanks":     {"mode: set\nc:/a b.go:1.1,2.2 1 1\n", "[{c:/a b.go 1 1}]", ""},
		"no blocks":                        {"mode: set\n", "[]", ""},
		"an empty file":                    {"", "", "there is no mode: at the beginning"},
		"another file":                     {"<html>", "", "there is no mode: at the beginning"},
		"a line that is cut off":           {"mode: set\na.go:1.1,2.2 1", "", "line 2: there is no file, position, number of statements and count"},
		"a position that is none":          {"mode: set\na.go:1,2 1 1", "", "line 2: there is no position"},
		"a number that is none":            {"mode: set\na.go:1.1,2.2 -1 1", "", "line 2: there is no number of statements"},
		"a count that is none":             {"mode: set\na.go:1.1,2.2 1 x", "", "line 2: there is no count"},
	} {
		got, err := parse([]byte(tc.in))
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || tc.err == "" && (err != nil || fmt.Sprint(got) != tc.want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestPercent(t *testing.T) {
	if percent(0, 0) != 100 || percent(999999, 1000000) != 99.9 || percent(1, 3) != 33.3 || percent(5, 5) != 100 {
		t.Errorf("got %v, %v, %v", percent(0, 0), percent(999999, 1000000), percent(1, 3))
	}
}

func TestFilesThatAreChosen(t *testing.T) {
	for name, tc := range map[string]struct {
		files []string
		err   string
	}{
		"a profile":              {[]string{"a.cov"}, ""},
		"a profile and its page": {[]string{"a.cov", "a.html"}, ""},
		"two profiles":           {[]string{"a.cov", "b.cov"}, "there are 2 files"},
		"two pages":              {[]string{"a.html", "b.html"}, "it is no cover profile"},
		"three files":            {[]string{"a.cov", "b.html", "c.html"}, "there are 3 files"},
		"only a page":            {[]string{"a.html"}, "there is no cover profile"},
	} {
		texts := map[string]string{}
		for _, f := range tc.files {
			texts[f] = map[bool]string{true: "mode: set\n", false: "<html>"}[strings.HasSuffix(f, ".cov")]
		}
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: lenstest.Texts(texts).Artifacts()}))
		if tc.err == "" && strings.Contains(body, "problem") || !strings.Contains(body, tc.err) {
			t.Errorf("%s: got %s", name, body)
		}
	}
}

// TestSquarifyFills checks that areas are as asked for, inside, and do not overlap.
func TestSquarifyFills(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		sizes := make([]float64, 1+random.IntN(30))
		sum := 0.0
		for i := range sizes {
			sizes[i] = float64(1 + random.IntN(1000))
			sum += sizes[i]
		}
		slices.SortFunc(sizes, func(a, b float64) int { return int(b - a) })
		in := rect{10, 20, 300, 200}
		rects := squarify(sizes, in)
		if len(rects) != len(sizes) {
			t.Fatalf("%d rectangles for %d sizes", len(rects), len(sizes))
		}
		for i, r := range rects {
			if math.Abs(r.w*r.h-sizes[i]/sum*in.w*in.h) > 0.01 {
				t.Fatalf("area %f for size %f of %f", r.w*r.h, sizes[i], sum)
			}
			if r.x < in.x-0.01 || r.y < in.y-0.01 || r.x+r.w > in.x+in.w+0.01 || r.y+r.h > in.y+in.h+0.01 {
				t.Fatalf("%v is outside of %v", r, in)
			}
			for _, o := range rects[:i] {
				if r.x+0.01 < o.x+o.w && o.x+0.01 < r.x+r.w && r.y+0.01 < o.y+o.h && o.y+0.01 < r.y+r.h {
					t.Fatalf("%v and %v overlap", r, o)
				}
			}
		}
	}
	if got := squarify([]float64{0, 0}, rect{0, 0, 1, 1}); len(got) != 2 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestTree(t *testing.T) {
	if root := tree([]fileCover{{"a", 1, 1}, {"a/b", 2, 2}, {strings.Repeat("/", 500) + "x", 3, 3}}); root.covered != 6 || len(root.children) != 3 {
		t.Errorf("got %+v", root)
	}
	root := tree([]fileCover{{"x.example/a/b/one.go", 1, 2}, {"x.example/a/b/two.go", 3, 6}, {"x.example/a/c/three.go", 0, 1}})
	if root.name != "x.example/a" || root.covered != 4 || root.total != 9 || len(root.children) != 2 || root.children[0].name != "b" || root.children[0].children[0].name != "two.go" {
		t.Errorf("got %+v", root)
	}
}

func FuzzProfile(f *testing.F) {
	for _, seed := range []string{"mode: set\na/b.go:1.1,2.2 3 1\na/c<b>.go:1.1,2.2 3 0\n", "mode: x\n/:1.1,2.2 1 1\n", "mode: set\na//b:0.0,0.0 2147483647 1\na:0.0,0.0 0 0"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		run := lenstest.Texts(map[string]string{"a.cov": string(raw), "a.html": ""})
		lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()})
	})
}
