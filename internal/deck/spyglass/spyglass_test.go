package spyglass

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"testing"
	texttemplate "text/template"

	"google.golang.org/protobuf/encoding/protowire"

	"prow/internal/deck/lens"
)

type named lens.About

func (n named) About() lens.About { return lens.About(n) }
func (named) Body(context.Context, *lens.Request) (template.HTML, error) {
	return "", nil
}

func TestResolve(t *testing.T) {
	builtin := map[string]lens.Lens{"junit": named{Name: "junit", Title: "JUnit", Priority: 5}}
	one, hide := uint(1), true
	for sentence, c := range map[string]struct {
		choice    Choice
		want      Entry
		remote    bool
		wantError string
	}{
		"a built-in lens has its own title and place":              {choice: Choice{Name: "junit"}, want: Entry{Title: "JUnit", Priority: 5}},
		"the configuration renames and moves a built-in lens":      {choice: Choice{Name: "junit", Title: "Tests", Priority: &one, HideTitle: &hide}, want: Entry{Title: "Tests", Priority: 1, HideTitle: true}},
		"the old loopback address means the built-in lens":         {choice: Choice{Name: "junit", Endpoint: "http://127.0.0.1:1234/dynamic/junit"}, want: Entry{Title: "JUnit", Priority: 5}},
		"an address that only begins like the loopback is its own": {choice: Choice{Name: "junit", Endpoint: "http://127.0.0.1:12345/x"}, want: Entry{Title: "JUnit", Priority: 5}, remote: true},
		"a lens elsewhere is called by its name":                   {choice: Choice{Name: "mine", Endpoint: "https://lens.example/x"}, want: Entry{Title: "mine"}, remote: true},
		"a lens that is nowhere is an error that names it":         {choice: Choice{Name: "mine"}, wantError: `the lens "mine" has neither a remote_config.endpoint nor is it built in`},
		"an endpoint that is no URL is an error":                   {choice: Choice{Name: "mine", Endpoint: "ftp://x"}, wantError: `not an http or https URL`},
		"a name that changes the address is an error":              {choice: Choice{Name: "../x", Endpoint: "http://x"}, wantError: "cannot be a part of an address"},
	} {
		got, err := Resolve(3, c.choice, builtin)
		if c.wantError != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantError) {
				t.Errorf("%s: got %v", sentence, err)
			}
			continue
		}
		if err != nil || got.Index != 3 || got.Title != c.want.Title || got.Priority != c.want.Priority || got.HideTitle != c.want.HideTitle || (got.Endpoint != "") != c.remote || (got.Lens == nil) != c.remote {
			t.Errorf("%s: got %+v, %v", sentence, got, err)
		}
	}
}

func entry(index int, name string, priority uint, required ...string) Entry {
	e := Entry{Index: index, Name: name, Priority: priority}
	for _, r := range required {
		e.Required = append(e.Required, regexp.MustCompile(r))
	}
	return e
}

// Probe 38.
func TestMatch(t *testing.T) {
	names := []string{"artifacts/junit_1.xml", "build-log.txt", "finished.json", "started.json"}
	needsBoth := entry(0, "both", 1, `^started\.json$`, `^nothing$`)
	optional := entry(1, "z", 5, `^started\.json$`)
	optional.Optional = []*regexp.Regexp{regexp.MustCompile("finished"), regexp.MustCompile("missing")}
	entries := []Entry{needsBoth, optional, entry(2, "log", 10, "build-log"), entry(3, "a", 5, "junit"), entry(4, "log", 10, "xml"), entry(5, "first", 0, "log")}
	var got []string
	for _, c := range Match(entries, names) {
		got = append(got, fmt.Sprint(c.Index, c.Name, c.Artifacts))
	}
	want := []string{"5 first [build-log.txt]", "3 a [artifacts/junit_1.xml]", "1 z [finished.json started.json]", "2 log [build-log.txt]", "4 log [artifacts/junit_1.xml]"}
	for i := range want {
		want[i] = strings.Replace(want[i], " ", "", 1)
		want[i] = strings.Replace(want[i], "first [", "first[", 1)
	}
	clean := func(all []string) string { return strings.ReplaceAll(strings.Join(all, "|"), " ", "") }
	if clean(got) != clean(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRequest(t *testing.T) {
	entries := []Entry{entry(0, "a", 0, `\.txt$`), entry(1, "b", 0, "x")}
	check := func(name string) error {
		if strings.Contains(name, "..") {
			return fmt.Errorf("%q leads out", name)
		}
		return nil
	}
	for sentence, c := range map[string]struct {
		text, lens string
		want       []string
		wantError  string
	}{
		"files are sorted and each is there once":            {`{"index":0,"src":"s","artifacts":["b.txt","a.txt","b.txt"]}`, "a", []string{"a.txt", "b.txt"}, ""},
		"an index beyond the configuration is refused":       {`{"index":2,"src":"s"}`, "a", nil, "there is no lens number 2"},
		"a negative index is refused":                        {`{"index":-1,"src":"s"}`, "a", nil, "there is no lens number -1"},
		"the index of another lens is refused":               {`{"index":1,"src":"s"}`, "a", nil, `is "b", not "a"`},
		"a name that leads out is refused":                   {`{"index":0,"artifacts":["../x.txt"]}`, "a", nil, "leads out"},
		"a file that the lens is not for is refused":         {`{"index":0,"artifacts":["secret.json"]}`, "a", nil, `is not configured for "secret.json"`},
		"what is no JSON is refused":                         {`{`, "a", nil, "not as expected"},
		"nothing is refused":                                 {``, "a", nil, "is needed"},
		"an index that is too large for a number is refused": {`{"index":99999999999999999999}`, "a", nil, "not as expected"},
	} {
		r, err := ParseRequest(c.text)
		var e *Entry
		if err == nil {
			e, err = r.Choose(entries, c.lens)
		}
		var got []string
		if err == nil {
			got, err = r.Names(e, check)
		}
		if c.wantError != "" && (err == nil || !strings.Contains(err.Error(), c.wantError)) || c.wantError == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%s: got %v, %v", sentence, got, err)
		}
	}
}

func TestSource(t *testing.T) {
	for text, want := range map[string]Source{
		"gs/b/logs/j/1/":    {Path: "gs/b/logs/j/1"},
		"gcs/b/logs/j/1":    {Path: "gs/b/logs/j/1"},
		"s3/b/j/1":          {Path: "s3/b/j/1"},
		"prowjob/j/1":       {Job: "j", Build: "1"},
		"file/dir/logs/j/1": {Path: "file/dir/logs/j/1"},
	} {
		if got, err := ParseSource(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "gs", "gs/b", "gs/b/1", "prowjob/j", "prowjob/j/1/2", "prowjob//1", "gs/b/j/1\n", "/b/j/1", "gs/b/j/\xff"} {
		if got, err := ParseSource(text); err == nil {
			t.Errorf("%q must be refused, got %+v", text, got)
		}
	}
}

func TestParseAlias(t *testing.T) {
	for _, c := range []struct{ provider, content, want string }{
		{"gs", "gs://b/real/j/1\n", "gs/b/real/j/1"},
		{"s3", "gs://b/real/j/1", "s3/b/real/j/1"},
		{"file", "file:///dir/logs/j/1/", "file/dir/logs/j/1"},
	} {
		if got, err := ParseAlias(c.provider, c.content); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v", c.content, got, err)
		}
	}
	for _, c := range []struct{ provider, content string }{
		{"gs", strings.Repeat("x", 5000)}, {"gs", "some text"}, {"gs", ""}, {"gs", "file:///etc/a/b"}, {"file", "gs://b/real/j/1"}, {"gs", "gs://b"}, {"gs", "gs://user@b/x/j/1"}, {"gs", "gs://b/x/j/1?y"}, {"gs", "gs://b/%zz/1/2"},
	} {
		if got, err := ParseAlias(c.provider, c.content); err == nil {
			t.Errorf("%.40q must be refused, got %q", c.content, got)
		}
	}
}

func TestExtraLinks(t *testing.T) {
	got, err := ExtraLinks([]byte(`{"metadata":{"links":{"b":{"url":"https://b.example/x","description":"d"},"a":{"url":"http://a.example"},"":{"url":"http://x.example"},"none":{},"bad":3,"evil":{"url":"javascript:alert(1)"},"data":{"url":"data:text/html,x"}}}}`))
	if err != nil || fmt.Sprint(got) != "[{a http://a.example } {b https://b.example/x d}]" {
		t.Errorf("got %v, %v", got, err)
	}
	many := map[string]any{}
	for i := range 500 {
		many[fmt.Sprint(i)] = map[string]string{"url": "http://x.example"}
	}
	raw, _ := json.Marshal(map[string]any{"metadata": map[string]any{"links": many}})
	if got, err := ExtraLinks(raw); err != nil || len(got) != maxLinks {
		t.Errorf("got %d links, %v", len(got), err)
	}
	if _, err := ExtraLinks([]byte("{")); err == nil {
		t.Error("a broken file must be an error")
	}
}

func TestPullLink(t *testing.T) {
	for text, want := range map[string]string{
		"/pr-history?org={{.Org}}&repo={{.Repo}}&pr={{.Number}}": "pr-history?org=o&repo=r&pr=7",
		"https://x.example/{{.Org}}/{{.Number}}":                 "https://x.example/o/7",
	} {
		if got, err := PullLink(texttemplate.Must(texttemplate.New("x").Parse(text)), "o", "r", 7); err != nil || got != want {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"{{.Unknown}}", "javascript:alert(1)", "//evil.example/x", "x"} {
		if got, err := PullLink(texttemplate.Must(texttemplate.New("x").Parse(text)), "o", "r", 7); err == nil {
			t.Errorf("%s must be refused, got %q", text, got)
		}
	}
}

func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func dashboard(name string, tabs ...[]byte) []byte {
	var out []byte
	for _, tab := range tabs {
		out = append(out, field(fieldTabs, tab)...)
	}
	return field(fieldDashboards, append(out, field(fieldName, []byte(name))...))
}

func tabOf(name, group, options string) []byte {
	out := append(field(fieldTabName, []byte(name)), field(fieldTestGroup, []byte(group))...)
	out = protowire.AppendVarint(protowire.AppendTag(out, 3, protowire.VarintType), 7) // a field that is not read
	if options != "" {
		out = append(out, field(fieldOptions, []byte(options))...)
	}
	return out
}

func TestDashboards(t *testing.T) {
	config := slices.Concat(
		field(1, []byte("a test group")),
		dashboard("small", tabOf("one", "job", "")),
		dashboard("large with options", tabOf("x", "job", "width=10"), tabOf("y", "other", ""), tabOf("z", "z", "")),
		dashboard("large", tabOf("the tab", "job", ""), tabOf("y", "y", "")),
	)
	d, err := ParseDashboards(config)
	if err != nil {
		t.Fatal(err)
	}
	for job, want := range map[string]string{"job": "https://testgrid.example/large#the%20tab", "other": "https://testgrid.example/large%20with%20options#y", "missing": ""} {
		if got := d.Link("https://testgrid.example", job); got != want {
			t.Errorf("%s: got %q, want %q", job, got, want)
		}
	}
	if got := (*Dashboards)(nil).Link("https://x", "job"); got != "" {
		t.Errorf("without a configuration: %q", got)
	}
	for _, bad := range [][]byte{{0xff}, config[:len(config)-1], []byte("\x12\xff\xff\xff\xff\x0f")} {
		if _, err := ParseDashboards(bad); err == nil {
			t.Errorf("%q must be an error", bad)
		}
	}
}

func FuzzSource(f *testing.F) {
	for _, seed := range []string{"gs/b/logs/j/1/", "gcs/b/j/1", "prowjob/j/1", "file/../../etc/x", "s3//a/b/c", "\x00/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseSource(text)
		if err == nil && (got.Path == "") == (got.Job == "") {
			t.Errorf("%q names %+v", text, got)
		}
		if err == nil && got.Path != "" {
			if again, err := ParseSource(got.Path); err != nil && !strings.HasSuffix(got.Path, "/") || err == nil && again.Path != strings.TrimSuffix(got.Path, "/") {
				t.Errorf("%q is %+v, which is %+v, %v", text, got, again, err)
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{`{"artifacts":["a"],"index":0,"src":"gs/b/j/1"}`, `{"index":1e3}`, `[]`, `{"artifacts":[null]}`, `{"src":"\u0000"}`} {
		f.Add(seed)
	}
	entries := []Entry{entry(0, "a", 0, "a")}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRequest(text)
		if err != nil {
			return
		}
		e, err := r.Choose(entries, "a")
		if err != nil {
			return
		}
		names, err := r.Names(e, func(string) error { return nil })
		if err == nil && slices.ContainsFunc(names, func(n string) bool { return !e.Matches(n) }) {
			t.Errorf("%q reaches %q", text, names)
		}
	})
}

func FuzzAlias(f *testing.F) {
	f.Add("gs", "gs://b/real/j/1")
	f.Add("file", "file:///x/../../j/1")
	f.Add("s3", "://")
	f.Fuzz(func(t *testing.T, provider, content string) {
		if got, err := ParseAlias(provider, content); err == nil {
			if _, err := ParseSource(got); err != nil {
				t.Errorf("%q leads to %q: %v", content, got, err)
			}
		}
	})
}

func FuzzExtraLinks(f *testing.F) {
	f.Add([]byte(`{"metadata":{"links":{"a":{"url":"http://x"}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		links, _ := ExtraLinks(raw)
		for _, l := range links {
			if !strings.HasPrefix(strings.ToLower(l.URL), "http") {
				t.Errorf("%q is a link", l.URL)
			}
		}
	})
}

func FuzzDashboards(f *testing.F) {
	f.Add(dashboard("d", tabOf("t", "job", "x")))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		if d, err := ParseDashboards(raw); err == nil {
			d.Link("https://x.example", "job")
		}
	})
}

// The choice among the most files that a page chooses among.
func BenchmarkMatch(b *testing.B) {
	var names []string
	for i := range 20_000 {
		names = append(names, fmt.Sprintf("artifacts/dir-%02d/file-%d.txt", i%50, i))
	}
	slices.Sort(names)
	var entries []Entry
	for i, r := range []string{`^artifacts(/.*/|/)junit.*\.xml$`, `^.*build-log\.txt$`, `^artifacts/[^/]*\.html$`, `artifacts/.*\.link\.txt`, `^(?:started|finished)\.json$`, `file-1`, `^podinfo\.json$`, `^artifacts/filtered\.cov$`, `(?i:summary)\.md$`} {
		entries = append(entries, entry(i, "lens", 0, r))
	}
	for b.Loop() {
		Match(entries, names)
	}
}
