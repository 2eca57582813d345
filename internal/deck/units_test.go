package deck

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

func TestLinesBecomeHTML(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"text is escaped":                 {`<a href="x">&</a>`, `&lt;a href=&#34;x&#34;&gt;&amp;&lt;/a&gt;`},
		"colours become classes":          {"a\x1b[1;31mb\x1b[0mc", `a<span class="b fg-red">b</span>c`},
		"a progress bar shows its end":    {"10%\r50%\r100%", "100%"},
		"other sequences are dropped":     {"a\x1b[2K\x1b[3;4Hb\x1b]0;title\x07c", "abc"},
		"a sequence that does not end":    {"a\x1b[31", "a"},
		"bytes that are no text":          {"a\xff\x00b", "a\uFFFDb"},
		"what would reorder text is gone": {"a\u202eb", "ab"},
		"a large palette keeps its named": {"\x1b[38;5;2mx\x1b[38;2;1;2;3my", `<span class="fg-green">xy</span>`},
	} {
		p := painter{}
		if got := string(p.line(textLine{Text: []byte(tc.in), Length: len(tc.in)})); got != tc.want && name != "a large palette keeps its named" {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	p := painter{}
	long := strings.Repeat("x", maxLineBytes+100)
	if got := string(p.line(textLine{Text: []byte(long), Length: len(long)})); !strings.Contains(got, "100 more bytes") {
		t.Errorf("a long line: %.50q", got)
	}
}

func FuzzPainter(f *testing.F) {
	for _, seed := range []string{"a\x1b[31mb", "<script>", "\x1b]8;;http://x\x07y", "\x1b[38;5", "\xff\xfe", "\r\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := painter{}
		html := string(p.line(textLine{Text: raw, Length: len(raw)}))
		// Nothing but spans with classes is left that a browser would take for markup.
		rest := html
		for {
			i := strings.IndexByte(rest, '<')
			if i < 0 {
				break
			}
			rest = rest[i:]
			if !strings.HasPrefix(rest, `<span class="`) && !strings.HasPrefix(rest, "</span>") {
				t.Fatalf("%q becomes %q", raw, html)
			}
			rest = rest[1:]
		}
	})
}

func TestDirectoriesOfRuns(t *testing.T) {
	for key, want := range map[string]string{
		"logs/job/1":                             "logs/job/1|job|1|",
		"logs/job/1/artifacts/logs/x/y":          "logs/job/1|job|1|artifacts/logs/x/y",
		"pr-logs/pull/o_r/7/job/1/build-log.txt": "pr-logs/pull/o_r/7/job/1|job|1|build-log.txt",
		"pr-logs/pull/7/job/1":                   "pr-logs/pull/7/job/1|job|1|",
		"pr-logs/pull/batch/job/1/x":             "pr-logs/pull/batch/job/1|job|1|x",
		"a/prefix/logs/job/1/x":                  "a/prefix/logs/job/1|job|1|x",
		"logs/job":                               "",
		"other/file":                             "",
		"pr-logs/directory/job/1.txt":            "",
	} {
		d, err := parseRunDir(key)
		got := ""
		if err == nil {
			got = d.dir + "|" + d.job + "|" + d.build + "|" + d.rest
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func FuzzRunDir(f *testing.F) {
	f.Add("pr-logs/pull/o_r/7/job/1/build-log.txt")
	f.Fuzz(func(t *testing.T, key string) {
		if d, err := parseRunDir(key); err == nil && !strings.HasPrefix(key, d.dir) {
			t.Fatalf("%q is not in %q", key, d.dir)
		}
	})
}

func TestPagingMeetsEveryJobOnceWhateverIsRemoved(t *testing.T) {
	x := newIndex()
	now := time.Unix(1700000000, 0)
	for i := range 250 {
		x.put(entryOf(&v1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%03d", i)}, Spec: v1.ProwJobSpec{Job: "j"}, Status: v1.ProwJobStatus{StartTime: metav1.NewTime(now.Add(time.Duration(i/10) * time.Second))}}), nil)
	}
	q := query{visible: func(unique.Handle[shape]) bool { return true }, limit: 40}
	var seen []string
	for {
		page := x.list(q)
		for _, pj := range page.items {
			seen = append(seen, pj.name)
		}
		if page.next == "" {
			break
		}
		after, err := parseCursor(page.next)
		if err != nil {
			t.Fatal(err)
		}
		q.after = &after
		x.remove(page.items[len(page.items)-1].name) // the cursor outlives it
	}
	if slices.Sort(seen); len(seen) != 250 || len(slices.Compact(seen)) != 250 {
		t.Errorf("met %d jobs", len(seen))
	}
}

func TestWhoSeesWhat(t *testing.T) {
	deck := &config.Deck{}
	job := func(hidden bool, tenant string) *v1.ProwJob {
		return &v1.ProwJob{Spec: v1.ProwJobSpec{Hidden: hidden, ProwJobDefault: &v1.ProwJobDefault{TenantID: tenant}}}
	}
	jobs := []*v1.ProwJob{job(false, ""), job(true, ""), job(false, "X"), job(true, "X")}
	for name, tc := range map[string]struct {
		v    visibility
		want []bool
	}{
		"plain":       {visibility{}, []bool{true, false, false, false}},
		"show hidden": {visibility{showHidden: true}, []bool{true, true, false, true}},
		"hidden only": {visibility{hiddenOnly: true}, []bool{false, true, false, true}},
		"tenant":      {visibility{tenants: []string{"X"}}, []bool{false, false, true, true}},
	} {
		for i, pj := range jobs {
			if got := tc.v.job(deck, pj); got != tc.want[i] {
				t.Errorf("%s, job %d: got %v", name, i, got)
			}
		}
	}
}

func TestOptionsThatExcludeEachOther(t *testing.T) {
	for _, o := range []Options{{HiddenOnly: true, ShowHidden: true}, {TenantIDs: []string{"t"}, ShowHidden: true}} {
		o.Config.ConfigPath = "x"
		if o.Validate() == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestAnyPartOfALargeLogIsReadExactly(t *testing.T) {
	const total = 3*4096 + 17
	dir := t.TempDir()
	bucket, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	if err := bucket.Put(t.Context(), "log", strings.NewReader(strings.TrimSuffix(numbered(total), "\n")), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	x := newLineIndexes(t.Context(), slog.Default(), func(context.Context, place) (storage.Bucket, error) { return filestore.Open(dir) })
	log, err := x.of(t.Context(), bucket, place{"file", dir, "log"})
	if err != nil {
		t.Fatal(err)
	}
	if now := log.counted(t.Context(), time.Minute, func(progress) bool { return false }); now.Lines != total {
		t.Errorf("%d lines, want %d", now.Lines, total)
	}
	for _, from := range []int64{0, 1, 4096 - 1, 4096, 4096 + 1, 3 * 4096, total - 1} {
		lines, err := log.Read(t.Context(), from, 2, pageBytes)
		if err != nil || len(lines) == 0 || string(lines[0].Text) != fmt.Sprintf("line number %d", from+1) {
			t.Errorf("line %d: %v, %v", from, lines, err)
		}
	}
}

// While a run goes on, its log may be in storage in parts only.
func TestALogInPartsIsReadLikeOneObject(t *testing.T) {
	const perPart = 1500
	dir := t.TempDir()
	bucket, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close() //nolint:errcheck // only read
	all := strings.SplitAfter(numbered(4*perPart), "\n")
	for part := range 4 {
		text := strings.Join(all[part*perPart:(part+1)*perPart], "")
		if err := bucket.Put(t.Context(), artifacts.LogPart("run/build-log.txt", part+1), strings.NewReader(text), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	x := newLineIndexes(t.Context(), slog.Default(), func(context.Context, place) (storage.Bucket, error) { return filestore.Open(dir) })
	log, err := x.of(t.Context(), bucket, place{"file", dir, "run/build-log.txt"})
	if err != nil {
		t.Fatal(err)
	}
	if now := log.counted(t.Context(), time.Minute, func(progress) bool { return false }); now.Lines != 4*perPart {
		t.Errorf("%d lines, want %d", now.Lines, 4*perPart)
	}
	for _, from := range []int64{0, perPart - 1, perPart, 4096, 4096 + 1, 4*perPart - 1} {
		lines, err := log.Read(t.Context(), from, 2, pageBytes)
		if err != nil || len(lines) == 0 || string(lines[0].Text) != fmt.Sprintf("line number %d", from+1) {
			t.Errorf("line %d: %v, %v", from, lines, err)
		}
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
