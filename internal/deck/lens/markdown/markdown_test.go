package markdown

import (
	"errors"
	"strings"
	"testing"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "markdown", "Summary", 5, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestLinks(t *testing.T) {
	const attributes = ` target="_blank" rel="noreferrer noopener">`
	for source, want := range map[string]string{
		"- [x] a\n- [ ] b":             "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>\n",
		"[a](https://x)":               `<p><a href="https://x"` + attributes + "a</a></p>\n",
		"[a](mailto:a@b.c)":            `<p><a href="mailto:a@b.c"` + attributes + "a</a></p>\n",
		"[a *b*](ftp://x)":             "<p>a <em>b</em></p>\n",
		"[a](javascript:x)":            "<p>a</p>\n",
		"[a](../x)":                    "<p>a</p>\n",
		"<vbscript:x>":                 "<p>vbscript:x</p>\n",
		"![a](https://x)":              `<p><a href="https://x"` + attributes + "a</a></p>\n",
		"![](https://x)":               `<p><a href="https://x"` + attributes + "picture</a></p>\n",
		"[![a](https://x)](https://y)": `<p><a href="https://y"` + attributes + "a</a></p>\n",
		"a <b>b</b>":                   "<p>a <!-- raw HTML omitted -->b<!-- raw HTML omitted --></p>\n",
	} {
		if got, err := render(newMarkdown(), []byte(source)); got != want || err != nil {
			t.Errorf("%s: got %s, %v", source, got, err)
		}
	}
}

// TestHostileFilesTakeNoTime is about files that make parsers slow or deep.
func TestHostileFilesTakeNoTime(t *testing.T) {
	for name, unit := range map[string]string{
		"quotes": ">", "brackets": "[", "brackets both": "[]", "stars": "*a ", "lists": "- ", "numbers": "1. ", "emphasis": "_a_", "backticks": "`a``", "pipes": "|", "links": "[a](", "pictures": "![", "angles": "<a ", "blanks": "  ",
		"lines of quotes": strings.Repeat(">", 99) + "a\n", "lines of lists": strings.Repeat("- ", 99) + "a\n", "definitions": "[a]: b\n", "entities": "&#", "lines of pipes": "|a|a\n", "tildes": "~", "deeper lists": "\n  - a", "lines of brackets": strings.Repeat("[", 900) + "\n",
	} {
		begin := time.Now()
		_, err := render(newMarkdown(), []byte(strings.Repeat(unit, maxBytes/len(unit))))
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s take %v, %v", name, took, err)
		} else if took > 500*time.Millisecond {
			t.Logf("%s take %v, %v", name, took, err)
		}
	}
	if _, err := render(newMarkdown(), []byte(strings.Repeat("> ", 101)+"x")); !errors.Is(err, errNested) {
		t.Errorf("got %v", err)
	}
	if _, err := render(newMarkdown(), []byte(strings.Repeat("-", 500))); err != nil {
		t.Errorf("a rule: %v", err)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{"[a](b) <c:d> ![e](f)", "| a |\n|---|\n| <b> |", "[x]: javascript:y\n[x]", "```\n<", "- [ ] a", "&#106;avascript:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		run := lenstest.Texts(map[string]string{"a.md": source})
		lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()})
	})
}
