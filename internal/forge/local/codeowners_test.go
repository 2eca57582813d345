package local

import (
	"strings"
	"testing"
)

func TestTheLastPatternDecidesWhoOwnsAFile(t *testing.T) {
	rules := parseCodeOwners([]byte(`# who owns what
*            @everybody
*.js         @js  # of all scripts
/build/logs/ @logs
docs/*       docs@example.com
apps/        @apps
/apps/github
/scripts     @scripts @other
**/deep      @deep
a/**/z       @az
/with\ space @space
/root/*.txt  @txt
![           @broken
x[ab]        @broken
\#hash       @broken
inner/       @inner
/top/**      @below
q?z          @one
`))
	for file, want := range map[string]string{
		"some/where/file.rb":  "@everybody",
		"lib/a.js":            "@js",
		"build/logs/1/2":      "@logs",
		"x/build/logs/1":      "@everybody",
		"docs/a.md":           "docs@example.com",
		"docs/b/c.md":         "@everybody",
		"x/docs/a.md":         "@everybody",
		"apps/main/index.js":  "@apps",
		"x/apps/y/z":          "@apps",
		"apps/github/x":       "",
		"apps/github":         "",
		"scripts/a/b":         "@scripts @other",
		"x/y/deep/f":          "@deep",
		"deep":                "@deep",
		"a/z":                 "@az",
		"a/b/c/z":             "@az",
		"a/b/c/y":             "@everybody",
		"with space/x":        "@space",
		"root/a.txt":          "@txt",
		"root/b/a.txt":        "@everybody",
		"xa":                  "@everybody",
		"#hash":               "@everybody",
		"inner":               "@everybody",
		"inner/inner/inner":   "@inner",
		"top/a/b":             "@below",
		"top":                 "@everybody",
		"m/qaz":               "@one",
		"a/b/a/b/deep/x/deep": "@deep",
	} {
		if got := strings.Join(ownersOf(rules, file), " "); got != want {
			t.Errorf("%s is owned by %q, want %q", file, got, want)
		}
	}
	if got := ownersOf(parseCodeOwners([]byte("/a @a\n")), "b"); got != nil {
		t.Errorf("a file nobody owns is owned by %q", got)
	}
}

func FuzzCodeOwners(f *testing.F) {
	f.Add([]byte("* @a\n/x/**/y/ @b/c # d\n"), "x/z/y/w")
	f.Add([]byte(`\ \`), "")
	f.Fuzz(func(_ *testing.T, text []byte, file string) {
		ownersOf(parseCodeOwners(text), file)
	})
}
