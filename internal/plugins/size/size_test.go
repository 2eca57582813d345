package size

import (
	"strings"
	"testing"

	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestLabels(t *testing.T) {
	for lines, want := range map[int]string{
		0: "size/XS", 9: "size/XS", 10: "size/S", 29: "size/S", 30: "size/M", 99: "size/M", 100: "size/L", 499: "size/L", 500: "size/XL", 999: "size/XL", 1000: "size/XXL",
	} {
		if got := labelFor(lines, pluginconfig.Size{}.WithDefaults()); got != want {
			t.Errorf("%d lines: got %s, want %s", lines, got, want)
		}
	}
}

func TestGeneratedFiles(t *testing.T) {
	const all = "# comment\n\npath-prefix gen/\r\nprefix vendor/\nfile-name zz.go\nfile-prefix auto_\npath a/b.go\npaths-from-repo list\n"
	r, err := parseGenerated(all)
	if err != nil || len(r.pathsFrom) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	r.addPaths("# these\nlisted/x\r\n\n")
	for name, want := range map[string]bool{
		"gen/x": true, "gen": false, "a/gen/x": false, "vendor/x": true, "a/zz.go": true, "zz.go": true, "zz.go/x": false, "a/auto_x": true, "autox": false,
		"a/b.go": true, "b.go": false, "c/a/b.go": false, "listed/x": true, "listed/y": false, "# these": false,
	} {
		if got := r.matches(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	for name, text := range map[string]string{
		"line 1: found 1 words":          "path\n",
		"line 2: found 3 words":          "\npath a b",
		`found the key "paths"`:          "paths a",
		"more than 20 keys":              strings.Repeat("paths-from-repo x\n", 21),
		"line 3: found the key \"kind\"": "path a\n#\nkind b",
	} {
		if _, err := parseGenerated(text); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

func TestAttributes(t *testing.T) {
	for name, tc := range map[string]struct {
		text, yes, no string
	}{
		"a name in any directory":           {"*.pb.go linguist-generated=true", "x.pb.go a/b/x.pb.go", "x.go pb.go"},
		"a path is from the root":           {"a/*.go text linguist-generated=true", "a/x.go", "b/a/x.go a/b/x.go"},
		"a leading slash is the root":       {"/x linguist-generated=true", "x", "a/x"},
		"two stars cross directories":       {"a/** linguist-generated=true", "a/b/c a/b", "b/a/b a"},
		"two stars in the middle":           {"a/**/z linguist-generated=true", "a/z a/b/c/z", "z a/bz"},
		"two stars at the beginning":        {"**/gen/x linguist-generated=true", "gen/x a/b/gen/x", "agen/x"},
		"classes":                           {"[a-c]x[!0-9] linguist-generated=true", "axy d/bxz", "ax1 dxy ax/"},
		"a question mark is one character":  {"a?c linguist-generated=true", "abc", "ac a/c"},
		"dots are dots":                     {"a.b linguist-generated=true", "a.b", "axb"},
		"the last line counts":              {"*.go linguist-generated=true\nkeep.go linguist-generated=false\n", "x.go", "keep.go a/keep.go"},
		"taking back":                       {"*.go linguist-generated=true\nkeep.go -linguist-generated", "x.go", "keep.go"},
		"without a value nothing is said":   {"*.go linguist-generated", "", "x.go"},
		"negative patterns match nothing":   {"!x linguist-generated=true\n*.go linguist-generated=true", "a.go", "x"},
		"directories match nothing":         {"gen/ linguist-generated=true", "", "gen/x gen"},
		"comments":                          {"# x linguist-generated=true", "", "x #"},
		"lines of the web":                  {"x linguist-generated=true\r\ny linguist-generated=true\r\n", "x y", "z"},
		"a class that does not end":         {"[x linguist-generated=true", "[x", "x"},
		"an escaped star is a star":         {`a\*b linguist-generated=true`, "a*b", "axb"},
		"a class that cannot be is nothing": {"[z-a] linguist-generated=true", "", "z"},
	} {
		a := parseAttributes(tc.text)
		for _, file := range strings.Fields(tc.yes) {
			if !a.generated(file) {
				t.Errorf("%s: %s is not generated", name, file)
			}
		}
		for _, file := range strings.Fields(tc.no) {
			if a.generated(file) {
				t.Errorf("%s: %s is generated", name, file)
			}
		}
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add("*.go linguist-generated=true", "a/x.go")
	f.Add("[!a-\\]x**/?\\ linguist-generated=true\r\n![ -linguist-generated", "b")
	f.Add("\xff[] linguist-generated=true", "\xff")
	f.Fuzz(func(_ *testing.T, text, name string) {
		parseAttributes(text).generated(name)
		if r, err := parseGenerated(text); err == nil {
			r.matches(name)
		}
	})
}

func lines(n int) string { return strings.Repeat("line\n", n) }

func TestProbe30_Sizes(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Files: map[string]string{
		".gitattributes": "*.pb.go linguist-generated=true\n", ".generated_files": "paths-from-repo list\n", "list": "out/x\n",
	}})
	w.Push("change", map[string]string{"x": lines(29), "a/b.pb.go": lines(500), "out/x": lines(500)})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, "size/S")
	w.AddLabel("boss", n, "size/L")
	w.AddLabel("boss", n, "sizes")
	w.Push("change", map[string]string{"y": "line\n"})
	w.WantLabels(n, "size/M,sizes")
	w.HandleAgain("pull_request/synchronize")
	w.WantLabels(n, "size/M,sizes")
	w.Push("change", map[string]string{"y": lines(971)})
	w.WantLabels(n, "size/XXL,sizes")
	w.WantComments(n)
}
