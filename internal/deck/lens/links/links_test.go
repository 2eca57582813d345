package links

import (
	"fmt"
	"strings"
	"testing"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "links", "Debugging links", 20, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestTitles(t *testing.T) {
	for name, want := range map[string]string{
		"artifacts/node-logs.link.txt": "Node logs", "a.txt": "A", "x/élan.txt": "Élan", ".link.txt": "Link", "--.txt": "Link", "a-b.log": "A b.log",
	} {
		if got := titleOf(name); got != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestWhereLinksLead(t *testing.T) {
	for address, want := range map[string]string{
		"https://x/y": "https://x/y", "http://x": "http://x", "gs://b/k": "https://browse/b/k", "javascript:x": "", "s3://b": "", "//x": "", "": "",
	} {
		if got := lead(address, "https://browse/"); got != want {
			t.Errorf("%s: got %s", address, got)
		}
	}
	if got := lead("gs://b/k", ""); got != "" {
		t.Errorf("without a prefix: got %s", got)
	}
}

func TestMuchIsCut(t *testing.T) {
	big := `{"links":[` + strings.TrimSuffix(strings.Repeat(`{"url":"https://x"},`, 2000), ",") + `]}`
	if _, err := parse("a.json", []byte(big)[:maxBytes]); err == nil || !strings.Contains(err.Error(), "more than 20479 bytes") {
		t.Errorf("got %v", err)
	}
	g, err := parse("a.json", []byte(`{"links":[`+strings.TrimSuffix(strings.Repeat(`{"url":"u"},`, 600), ",")+`]}`))
	if err != nil || len(g.Links) != maxLinks || g.More != 100 {
		t.Errorf("got %d links, %d more, %v", len(g.Links), g.More, err)
	}
	run := map[string]string{}
	for i := range 300 {
		run[fmt.Sprintf("%d.txt", i)] = "https://x"
	}
	all := lenstest.Texts(run)
	body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: all.Artifacts()}))
	if n := strings.Count(body, `class="single"`); n != maxFiles || !strings.Contains(body, "Of 300 files") {
		t.Errorf("%d files are shown", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.json", []byte(`{"title":"t","links":[{"name":"n","url":"https://x"}]}`))
	f.Add("a.txt", []byte("gs://b\""))
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		run := lenstest.Texts(map[string]string{name: string(raw)})
		lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts(), BrowserPrefix: "https://b/"})
	})
}
