package deck

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/lens"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/storage/memory"
)

// testLens shows what it was given, and answers "pin <name>", "range <name> <offset>
// <length>" and everything else by repeating it.
type testLens struct{ about lens.About }

func newTestLens(name string, priority uint) *testLens {
	return &testLens{lens.About{Name: name, Title: "The " + name, Priority: priority, Files: fstest.MapFS{
		"a.js": {Data: []byte("window.testLens = '</script><b>';")}, "b.css": {Data: []byte(".x::after { content: '</style>'; }")}, "sub/c.svg": {Data: []byte("<svg/>")},
	}}}
}

func (l *testLens) About() lens.About { return l.about }

func (l *testLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	if r.Data == "panic" {
		panic("as told")
	}
	if r.Data == "fail" {
		return "", errors.New("a secret of the operator")
	}
	var out strings.Builder
	fmt.Fprintf(&out, "<p>%s data=%s config=%s prefix=%s</p>", l.about.Name, template.HTMLEscapeString(r.Data), template.HTMLEscapeString(string(r.Config)), r.BrowserPrefix)
	for _, a := range r.Artifacts {
		info, err := a.Stat(ctx)
		text, readErr := lens.ReadAll(ctx, a, 0)
		fmt.Fprintf(&out, "<pre>%s %s live=%t size=%d metadata=%v %v: %s %v</pre>", a.Name(), a.Link(), info.Live, info.Size, info.Metadata, err, template.HTMLEscapeString(string(text)), readErr)
	}
	return template.HTML(out.String()), nil
}

func (l *testLens) Callback(ctx context.Context, r *lens.Request) (string, error) {
	words := strings.Fields(r.Data)
	for _, a := range r.Artifacts {
		switch {
		case len(words) == 2 && words[0] == "pin" && words[1] == a.Name():
			return fmt.Sprint(a.SetMetadata(ctx, map[string]string{"focus-start": "7", "focus-end": "20"})), nil
		case len(words) == 4 && words[0] == "range" && words[1] == a.Name():
			var offset, length int64
			fmt.Sscan(words[2], &offset)
			fmt.Sscan(words[3], &length)
			text, err := a.Range(ctx, offset, length)
			return fmt.Sprintf("%q %v", text, err), nil
		}
	}
	return r.Data, nil
}

const lensesConfig = deckMark + `  spyglass:
    size_limit: 1000
    lenses:
    - {required_files: ['^started\.json$'], optional_files: ['\.txt$'], lens: {name: show, config: {a: 1}}}
    - {required_files: ['^started\.json$', '^never$'], lens: {name: show}}
    - {required_files: ['build-log\.txt$'], lens: {name: early}}
    - {required_files: ['^finished\.json$'], lens: {name: show}, remote_config: {title: Renamed, priority: 0, hide_title: true}}
`

func testLenses() []lens.Lens {
	return []lens.Lens{newTestLens("show", 5), newTestLens("early", 1)}
}

// lensURL is the address of a lens.
func lensURL(name, action, source string, index int, artifacts ...string) string {
	raw, _ := json.Marshal(map[string]any{"artifacts": artifacts, "index": index, "src": source})
	return "/spyglass/lens/" + name + "/" + action + "?" + url.Values{"req": {string(raw)}}.Encode()
}

func (s *site) post(path, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(text)}
}

// Probes 38 and 39, and what a hostile request may try.
func TestRequestsForLenses(t *testing.T) {
	s := start(t, Options{Lenses: testLenses()}, lensesConfig)
	src := "file" + s.bucket + "/logs/j/1"
	s.store("logs/j/1/started.json", "{}")
	s.store("logs/j/1/finished.json", `{"passed":true}`)
	s.store("logs/j/1/build-log.txt", "hello <b>\n")
	s.store("logs/j/2/started.json", "other")
	s.store("logs/hidden/1/started.json", "{}")
	s.store("logs/hidden/1/prowjob.json", `{"spec":{"job":"hidden","hidden":true}}`)
	for sentence, c := range map[string]struct {
		path string
		code int
	}{
		"a lens without a request":                 {"/spyglass/lens/show/iframe", 400},
		"a lens that is not configured":            {"/spyglass/lens/none/iframe?req={}", 404},
		"an action that there is not":              {lensURL("show", "bogus", src, 0), 404},
		"no action":                                {"/spyglass/lens/show?req={}", 404},
		"more than an action":                      {lensURL("show", "iframe/x", src, 0), 404},
		"a request that is no JSON":                {"/spyglass/lens/show/iframe?req={", 400},
		"the index of no lens":                     {lensURL("show", "iframe", src, 9), 400},
		"a negative index":                         {lensURL("show", "iframe", src, -1), 400},
		"the index of another lens":                {lensURL("show", "iframe", src, 2), 400},
		"a run that there is not":                  {lensURL("show", "iframe", "file"+s.bucket+"/logs/j/99", 0), 404},
		"a source that is none":                    {lensURL("show", "iframe", "x", 0), 400},
		"a source outside of the buckets":          {lensURL("show", "iframe", "file/etc/logs/j/1", 0), 400},
		"a source with a way out":                  {lensURL("show", "iframe", "file"+s.bucket+"/logs/j/../../../x/y", 0), 400},
		"a run that is hidden":                     {lensURL("show", "iframe", "file"+s.bucket+"/logs/hidden/1", 0), 404},
		"a file that leads out of the run":         {lensURL("show", "iframe", src, 0, "../2/started.json"), 400},
		"a file that leads out and matches":        {lensURL("show", "iframe", src, 0, "../2/x.txt"), 400},
		"an absolute file":                         {lensURL("show", "iframe", src, 0, "/x.txt"), 400},
		"what the storage keeps for itself":        {lensURL("show", "iframe", src, 0, ".attrs.build-log.txt"), 400},
		"a file that the lens is not for":          {lensURL("show", "iframe", src, 0, "finished.json"), 400},
		"a file that is not there":                 {lensURL("show", "iframe", src, 0, "missing.txt"), 404},
		"asking by GET":                            {lensURL("show", "callback", src, 0), 405},
		"static files of a lens that there is not": {"/spyglass/static/none/a.js", 404},
		"a static file that there is not":          {"/spyglass/static/show/x.js", 404},
		"a static directory":                       {"/spyglass/static/show/sub", 404},
	} {
		if got := s.get(c.path); got.StatusCode != c.code {
			t.Errorf("%s: got %s %q, want %d", sentence, got.Status, got.body, c.code)
		}
	}
	a := s.get(lensURL("show", "iframe", src, 0, "started.json", "build-log.txt"))
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || a.Header.Get("Cache-Control") != "no-store, must-revalidate" {
		t.Fatalf("got %s %v", a.Status, a.Header)
	}
	contains(t, "the frame", a.body, `config={&#34;a&#34;:1}`, "<pre>build-log.txt artifacts/"+src+"/build-log.txt live=false size=10", "hello &lt;b&gt;", `<base href="../../../"`, "globalThis.spyglass", `window.testLens = '<\/script><b>'`, `content: '<\/style>'`)
	policy := a.Header.Get("Content-Security-Policy")
	contains(t, "its policy", policy, "sandbox allow-scripts", "default-src 'none'", "connect-src 'none'", "frame-ancestors 'self'", "script-src 'nonce-")
	lacks(t, "its policy", policy, "allow-same-origin", "unsafe-inline", "script-src 'self'")
	if strings.Contains(s.get(lensURL("show", "iframe", src, 0)).Header.Get("Content-Security-Policy"), policy) {
		t.Error("the nonce is used twice")
	}
	if a := s.get("/spyglass/static/show/sub/c.svg"); a.StatusCode != 200 || a.Header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(a.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("static: %s %v", a.Status, a.Header)
	}
	for sentence, c := range map[string]struct {
		action, data, want string
		code               int
	}{
		"a lens answers":                    {"callback", "what <i>", "what <i>", 200},
		"a lens shows again":                {"rerender", "more", "data=more", 200},
		"a lens that fails tells no secret": {"rerender", "fail", "The lens show failed; the log of this program tells why.\n", 500},
		"a lens that panics does no harm":   {"rerender", "panic", "The lens show failed", 500},
		"too much is refused":               {"callback", strings.Repeat("x", maxLensData+1), "at most", 413},
	} {
		if got := s.post(lensURL("show", c.action, src, 0), c.data); got.StatusCode != c.code || !strings.Contains(got.body, c.want) || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %s %q", sentence, got.Status, got.body)
		}
	}

	page := s.get("/view/" + src).body
	order := []string{`data-lens-index="3"`, `data-lens-index="2"`, `data-lens-index="0"`}
	for i, want := range order {
		if at := strings.Index(page, want); at < 0 || i > 0 && at < strings.Index(page, order[i-1]) {
			t.Errorf("probe 38: %s is at %d:\n%s", want, at, page)
		}
	}
	lacks(t, "probe 38", page, `data-lens-index="1"`)
	contains(t, "the page", page, "<h2>Renamed</h2>", `data-hide-title="true"`, "spyglass/lens/show/iframe?req=", "static/lenses.js")
	contains(t, "its policy", s.get("/view/"+src).Header.Get("Content-Security-Policy"), "frame-src 'self'", "frame-ancestors 'none'")

	// What is configured anew counts at once.
	s.configure(deckMark + "  spyglass: {lenses: [{required_files: [started], lens: {name: early}, remote_config: {title: Fresh}}]}\n")
	s.eventually("/view/"+src, "<h2>Fresh</h2>")
	contains(t, "the new lens", s.get(lensURL("early", "iframe", src, 0)).body, "<p>early")
	// A lens that is nowhere is refused, and the banner says where.
	s.configure(deckMark + "  spyglass: {lenses: [{required_files: [started], lens: {name: nowhere}}]}\n")
	s.eventually("/", "nowhere", "deck.spyglass.lenses[0]")
	contains(t, "the old lens", s.get(lensURL("early", "iframe", src, 0)).body, "<p>early")
}

// opener knows buckets of gs in memory, and the directories of others.
func opener(gs storage.Provider) *storage.Opener {
	return storage.NewOpener(map[string]storage.Provider{"gs": gs, "file": filestore.Provider})
}

func putAll(t *testing.T, b storage.Bucket, all map[string]string) {
	t.Helper()
	for key, content := range all {
		if err := b.Put(t.Context(), key, strings.NewReader(content), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Probes 35 and 36.
func TestSourcesOfRuns(t *testing.T) {
	var opened atomic.Int64
	b := &memory.Bucket{}
	gs := func(_ context.Context, l storage.Location) (storage.Bucket, error) {
		if l.Bucket != "b" {
			opened.Add(1)
		}
		return b, nil
	}
	putAll(t, b, map[string]string{
		"logs/j/1.txt": "gs://b/real/j/1\n", "real/j/1/started.json": "{}", "real/j/1/build-log.txt": "x\n", "real/j/1/artifacts/deep/started.json": "nested",
		"logs/j/2.txt": strings.Repeat("x", 5000), "logs/j/2/started.json": "{}",
		"logs/j/3.txt": "gs://evil/logs/j/1", "logs/j/4.txt": "gs://b/secret/x/y", "secret/x/y.json": "{}", "logs/j/5/started.json": "{}",
	})
	s := start(t, Options{Storage: opener(gs), Lenses: testLenses()}, deckMark+`  skip_storage_path_validation: false
  additional_allowed_buckets: [b]
  spyglass:
    bucket_aliases: {alias: b}
    lenses: [{required_files: [started.json], lens: {name: show}}]
`)
	page := s.get("/view/gcs/b/logs/j/1/")
	contains(t, "probe 35", page.body, "gs%2Fb%2Freal%2Fj%2F1%22", "artifacts/gs/b/real/j/1/started.json")
	contains(t, "a run by an alias", s.get("/view/gs/alias/logs/j/5").body, "artifacts/gs/b/logs/j/5/started.json")
	for path, code := range map[string]int{
		"/view/gs/b/logs/j/2": 502, "/view/gs/b/logs/j/3": 403, "/view/gs/b/logs/j/4": 403, "/view/gs/b/real/j/1": 200, "/view/gs/b/secret/x": 403, "/view/gs/evil/logs/j/1": 403,
		"/view/gs/b": 400, "/view/gs/b/j": 400, "/view/s3/b/logs/j/1": 500, "/view/gs/b/logs/j/none": 404, "/view/prowjob/j": 400, "/view/prowjob/j/1": 404,
		"/artifacts/gs/b/real/j/1/artifacts/deep/started.json": 200, "/artifacts/gs/b/secret/x/y.json": 403, "/view/gs/b/real/j/1/artifacts/deep": 302,
		lensURL("show", "iframe", "gs/evil/logs/j/1", 0):  400,
		lensURL("show", "iframe", "gs/alias/logs/j/5", 0): 200,
		lensURL("show", "iframe", "gs/b/secret/x", 0):     400,
		lensURL("show", "iframe", "prowjob/none/1", 0):    404,
		lensURL("show", "iframe", "gcs/b/real/j/1", 0):    200,
		lensURL("show", "iframe", "gs/b/logs/j/1", 0):     404,
	} {
		if got := s.get(path); got.StatusCode != code {
			t.Errorf("%s: got %s %.200q, want %d", path, got.Status, got.body, code)
		}
	}
	if n := opened.Load(); n > 0 {
		t.Errorf("probe 36: a bucket that is not listed was opened %d times", n)
	}
}

// Probe 37, and what artifacts do.
func TestArtifactsOfLenses(t *testing.T) {
	s := start(t, Options{Lenses: testLenses()}, lensesConfig)
	pj := s.job("p", func(pj *v1.ProwJob) {
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID = v1.PendingState, "p", "1001"
		pj.Spec.PodSpec.Containers = []corev1.Container{{Name: "a", Image: "i"}, {Name: "b", Image: "i"}}
	})
	zero := int64(0)
	shell := func(text string) []string { return []string{"/bin/sh", "-c", "echo " + text + "; sleep 60"} }
	if err := s.jobs.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: s.namespace}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &zero,
		Containers: []corev1.Container{{Name: "a", Image: "i", Command: shell("of-a")}, {Name: "b", Image: "i", Command: shell("of-b")}},
	}}); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{"prowjob/unit/1001", "file" + s.bucket + "/" + s.dir(pj)} {
		a := s.eventually(lensURL("early", "iframe", src, 2), "of-a", "of-b")
		contains(t, "probe 37", a.body, "<pre>a-build-log.txt log?container=a&id=1001&job=unit live=true size=5", "<pre>b-build-log.txt")
		contains(t, "probe 37", s.get("/view/"+src).body, `data-lens-name="early"`, "?container=a")
	}
	if got := s.get(lensURL("early", "iframe", "prowjob/unit/1001", 2, "c-build-log.txt")); got.StatusCode != 404 {
		t.Errorf("a container that there is not: %s", got.Status)
	}

	src := "file" + s.bucket + "/logs/j/1"
	s.store("logs/j/1/started.json", "{}")
	s.store("logs/j/1/a.txt", "0123456789")
	s.store("logs/j/1/big.txt", strings.Repeat("x", 2000))
	bucket, err := filestore.Open(s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	packed := func(name, text string) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		if err := bucket.Put(t.Context(), "logs/j/1/"+name, &b, storage.PutOptions{ContentType: "text/plain", ContentEncoding: "gzip"}); err != nil {
			t.Fatal(err)
		}
	}
	packed("packed.txt", "abcdefghij")
	packed("bomb.txt", strings.Repeat("x", 100000))
	for data, want := range map[string]string{
		"range a.txt 0 3": `"012" <nil>`, "range a.txt 7 3": `"789" <nil>`, "range a.txt 8 100": `"89" <nil>`, "range a.txt 10 5": `"" <nil>`,
		"range a.txt 11 1": "nothing so far in", "range a.txt -1 1": "nothing so far in", "range a.txt 0 1001": "larger than this site reads",
		"range big.txt 1500 100": strings.Repeat("x", 100), "range big.txt 0 1500": "larger than this site reads",
		"range packed.txt 0 4": `"abcd" <nil>`, "range packed.txt 1 4": "only be read from its beginning", fmt.Sprint("range packed.txt 0 ", lens.AllText): `"abcdefghij" <nil>`,
		fmt.Sprint("range bomb.txt 0 ", lens.AllText): "larger than this site reads", "range bomb.txt 0 10": `"xxxxxxxxxx" <nil>`,
		"pin a.txt": "you may not do that",
	} {
		if got := s.post(lensURL("show", "callback", src, 0), data); !strings.Contains(got.body, want) {
			t.Errorf("%s: got %q, want %q", data, got.body, want)
		}
	}
	// Probe 42: what is too large hides nothing else.
	contains(t, "probe 42", s.get(lensURL("show", "iframe", src, 0)).body, "larger than this site reads", "0123456789")
	for data, want := range map[string]string{"range a-build-log.txt 1 2": `"f-" <nil>`, "range a-build-log.txt 50 1": "nothing so far in", "pin a-build-log.txt": "cannot do that"} {
		if got := s.post(lensURL("early", "callback", "prowjob/unit/1001", 2), data); !strings.Contains(got.body, want) {
			t.Errorf("%s: got %q, want %q", data, got.body, want)
		}
	}
}

// Who may pin lines for everybody, the core's half of probe 41.
func TestMetadataByVisitors(t *testing.T) {
	g := startGuarded(t, func(o *Options) { o.Lenses = testLenses() }, deckMark+`  default_rerun_auth_configs: [{repo: "*", rerun_auth_configs: {github_users: [alice]}}]
  spyglass: {lenses: [{required_files: [started.json], optional_files: [txt], lens: {name: show}}]}
`, "")
	for _, build := range []string{"1", "2"} {
		g.store("logs/j/"+build+"/started.json", "{}")
		g.store("logs/j/"+build+"/build-log.txt", "x\n")
	}
	g.store("logs/j/1/prowjob.json", `{"spec":{"job":"j","type":"periodic","rerun_auth_config":{"allow_anyone":true}}}`)
	path := func(build string) string { return lensURL("show", "callback", "file"+g.bucket+"/logs/j/"+build, 0) }
	pin := func(v *visitor, build string) string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path(build), strings.NewReader("pin build-log.txt"))
		req.Header.Set("Origin", g.url)
		resp, err := v.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	stranger, alice := g.signIn("stranger"), g.signIn("alice")
	for sentence, c := range map[string]struct {
		who   *visitor
		build string
		want  string
	}{
		"a visitor who is not signed in may not, whatever the run says": {g.visitor(), "1", lens.ErrNotAllowed.Error()},
		"somebody who may not rerun may not":                            {stranger, "1", lens.ErrNotAllowed.Error()},
		"nobody may where it is not known who may rerun":                {alice, "2", lens.ErrNotAllowed.Error()},
	} {
		if got := pin(c.who, c.build); got != c.want {
			t.Errorf("%s: got %q", sentence, got)
		}
	}
	if got := pin(alice, "1"); got != "<nil>" {
		t.Errorf("who may rerun may: got %q", got)
	}
	contains(t, "what was pinned", g.get(lensURL("show", "iframe", "file"+g.bucket+"/logs/j/1", 0)).body, "metadata=map[focus-end:20 focus-start:7]")
	// Another site cannot make the browser of alice do it.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path("1"), strings.NewReader("pin build-log.txt"))
	req.Header.Set("Origin", "https://evil.example")
	if resp, err := alice.http.Do(req); err != nil || resp.StatusCode != 403 {
		t.Errorf("another site: %v, %v", resp, err)
	}
}

// Probe 40.
func TestLensesOfEndpoints(t *testing.T) {
	type asked struct {
		Method string
		Header http.Header
		Body   map[string]any
	}
	got := make(chan asked, 10)
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/files/x.js" {
			fmt.Fprint(w, "// of the lens")
			return
		}
		a := asked{Method: r.Method, Header: r.Header}
		_ = json.NewDecoder(r.Body).Decode(&a.Body)
		got <- a
		switch a.Body["data"] {
		case "redirect":
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		case "fail":
			http.Error(w, "no", http.StatusTeapot)
		case "huge":
			_, _ = w.Write(make([]byte, maxRemote+1))
		default:
			w.Header().Set("Set-Cookie", "evil=1")
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!doctype html><p>from elsewhere: %v", a.Body["data"])
		}
	}))
	defer remote.Close()
	s := start(t, Options{Lenses: testLenses()}, deckMark+`  spyglass:
    lenses:
    - {required_files: [started.json], lens: {name: show}}
    - {required_files: [started.json], lens: {name: far, config: {x: [1]}}, remote_config: {endpoint: "`+remote.URL+`/lens", static_root: "`+remote.URL+`/files", title: Far away, priority: 2}}
    - {required_files: [started.json], lens: {name: gone}, remote_config: {endpoint: "http://127.0.0.1:1/", title: Gone}}
`)
	s.store("logs/j/1/started.json", "{}")
	src := "file" + s.bucket + "/logs/j/1"
	a := s.get(lensURL("far", "iframe", src, 1), "Cookie", "session=secret", "Authorization", "Bearer secret", "X-Forwarded-Access-Token", "secret", "Accept-Language", "de")
	if a.StatusCode != 200 || a.body != "<!doctype html><p>from elsewhere: <nil>" || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("got %s %v %q", a.Status, a.Header, a.body)
	}
	contains(t, "its policy", a.Header.Get("Content-Security-Policy"), "sandbox allow-scripts", "connect-src 'none'")
	lacks(t, "its policy", a.Header.Get("Content-Security-Policy"), "allow-same-origin")
	question := <-got
	want := map[string]any{"action": "initial", "resourceRoot": "/spyglass/static/far/", "artifacts": []any{"started.json"}, "ArtifactSource": src, "index": 1.0, "config": map[string]any{"x": []any{1.0}}}
	if fmt.Sprint(question.Body) != fmt.Sprint(want) || question.Method != http.MethodGet || question.Header.Get("Accept-Language") != "de" {
		t.Errorf("probe 40: got %s %v, want %v", question.Method, question.Body, want)
	}
	if text := fmt.Sprint(question.Header); strings.Contains(text, "secret") {
		t.Errorf("the endpoint learns %s", text)
	}
	for data, c := range map[string]struct {
		code int
		want string
	}{"hello": {200, "from elsewhere: hello"}, "redirect": {502, "its answer is 302 Found"}, "fail": {502, "its answer is 418"}, "huge": {502, "its answer is longer than"}} {
		if a := s.post(lensURL("far", "callback", src, 1), data); a.StatusCode != c.code || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: got %s %.200q", data, a.Status, a.body)
		}
		if question := <-got; question.Body["action"] != "callback" || question.Body["data"] != data || question.Method != http.MethodPost {
			t.Errorf("got %v", question)
		}
	}
	if a := s.get(lensURL("gone", "iframe", src, 2)); a.StatusCode != 502 || !strings.Contains(a.body, "it cannot be reached") || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("an endpoint that is gone: %s %s", a.Status, a.body)
	}
	if a := s.get("/spyglass/static/far/x.js"); a.body != "// of the lens" || a.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("static: %s %v", a.Status, a.Header)
	}
	if a := s.get("/spyglass/static/gone/x.js"); a.StatusCode != 404 {
		t.Errorf("static files of a lens that has none: %s", a.Status)
	}
	contains(t, "the page", s.get("/view/"+src).body, "<h2>Far away</h2>", "<h2>Gone</h2>")
	for path, part := range map[string]string{"/static/spyglass_lens_bundle.min.js": "globalThis.spyglass", "/static/spyglass/lens.css": "--text"} {
		if a := s.get(path); a.StatusCode != 200 || !strings.Contains(a.body, part) || a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

func TestLinksOfRuns(t *testing.T) {
	grid := filepath.Join(t.TempDir(), "config")
	tab := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("tab"))
	tab = protowire.AppendBytes(protowire.AppendTag(tab, 2, protowire.BytesType), []byte("j"))
	board := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), tab)
	board = protowire.AppendBytes(protowire.AppendTag(board, 2, protowire.BytesType), []byte("board"))
	if err := os.WriteFile(grid, protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), board), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Lenses: testLenses()}, deckMark+`  spyglass:
    announcement: 'See <a href="https://help.example/">help</a> about {{.ArtifactPath}}.'
    testgrid_config: `+grid+`
    testgrid_root: https://testgrid.example/
    gcs_browser_prefixes: {o/r: "https://browser.example/of-r"}
    gcs_browser_prefixes_by_bucket: {"*": "https://browser.example/all/"}
    pr_history_link_template: 'https://prs.example/{{.Org}}/{{.Repo}}/{{.Number}}'
`)
	s.store("logs/j/1/started.json", `{"metadata":{"links":{"Dashboard":{"url":"https://dash.example/x","description":"of <it>"},"Evil":{"url":"javascript:alert(1)"}}}}`)
	pj := s.job("p", func(pj *v1.ProwJob) { pj.Status.BuildID = "1001" })
	page := s.eventually("/view/file"+s.bucket+"/logs/j/1", "https://testgrid.example/board#tab")
	dir := strings.Trim(s.bucket, "/")
	contains(t, "the page", page.body, `See <a href="https://help.example/">help</a> about `+dir+`/logs/j/1.`, `href="https://browser.example/all/`+dir+`/logs/j/1/"`, `href="https://dash.example/x"`, "of &lt;it&gt;", "job-history/", "<title>j #1")
	lacks(t, "the page", page.body, "alert(1)")
	contains(t, "the page of a pull request's run", s.eventually("/run/p", "prowjob?prowjob=p").body, "https://prs.example/o/r/7", "https://browser.example/of-r/"+dir+"/"+s.dir(pj)+"/")
	for text, want := range map[string]string{"announcement: '{{.Secret}}'": "deck.spyglass.announcement", "pr_history_link_template: '/x{{.Nope}}'": "deck.spyglass.pr_history_link_template"} {
		s.configure(deckMark + "  spyglass:\n    " + text + "\n")
		s.eventually("/", want)
	}
}

// A run with many files stays usable.
func TestManyArtifacts(t *testing.T) {
	b := &memory.Bucket{}
	all := map[string]string{"logs/j/1/started.json": "{}", "logs/j/1/build-log.txt": "x\n", "logs/j/10/started.json": "{}"}
	for i := range 5000 {
		all[fmt.Sprintf("logs/j/1/artifacts/dir-%d/file-%d.txt", i%50, i)] = "x"
	}
	for i := range 700 {
		all[fmt.Sprintf("logs/j/1/flat/%04d", i)] = "x"
	}
	putAll(t, b, all)
	s := start(t, Options{Storage: opener(func(context.Context, storage.Location) (storage.Bucket, error) { return b, nil }), Lenses: testLenses()}, deckMark+`  spyglass: {lenses: [{required_files: ['file-4\d*.txt$'], lens: {name: show}}]}
`)
	begun := time.Now()
	page := s.get("/view/gs/b/logs/j/1")
	t.Logf("the page took %s and has %d bytes", time.Since(begun), len(page.body))
	contains(t, "the page", page.body, "5702 files", `href="../../../../../artifacts/gs/b/logs/j/1/artifacts/"`, "5000 files", `data-lens-name="show"`)
	if len(page.body) > 100_000 {
		t.Errorf("the page has %d bytes", len(page.body))
	}
	contains(t, "a directory", s.get("/artifacts/gs/b/logs/j/1/artifacts/").body, "dir-49/", `artifacts/gs/b/logs/j/1/"`)
	flat := s.get("/artifacts/gs/b/logs/j/1/flat/").body
	contains(t, "a part of a directory", flat, "0499", "?page=")
	lacks(t, "a part of a directory", flat, "0500")
	next, _, _ := strings.Cut(flat[strings.Index(flat, "?page="):], `"`)
	contains(t, "the rest of it", s.get("/artifacts/gs/b/logs/j/1/flat/"+next).body, "0500", "0699")
	contains(t, "all files", s.get("/artifacts/gs/b/logs/j/1/").body, "started.json", "flat/")
	for _, path := range []string{"/artifacts/gs/b/logs/j/1/none/", "/artifacts/gs/b/logs/j/99/", "/artifacts/gs/b/logs/j/1"} {
		if got := s.get(path); got.StatusCode != 404 {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

// flaky fails some of its listings.
type flaky struct {
	storage.Bucket
	fail atomic.Int64
}

func (f *flaky) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if f.fail.Add(-1) >= 0 {
		return storage.Page{}, errors.New("for a moment")
	}
	return f.Bucket.List(ctx, o)
}

func TestListingIsTriedAgain(t *testing.T) {
	b := &flaky{Bucket: &memory.Bucket{}}
	putAll(t, b, map[string]string{"logs/j/1/started.json": "{}"})
	s := start(t, Options{Storage: opener(func(context.Context, storage.Location) (storage.Bucket, error) { return b, nil })}, "")
	b.fail.Store(5)
	if got := s.get("/view/gs/b/logs/j/1"); got.StatusCode != 200 {
		t.Errorf("got %s", got.Status)
	}
}

// storeUsual stores a run with files for every lens, and returns its source.
func (s *site) storeUsual() string {
	s.t.Helper()
	const dir = "logs/usual/1"
	for name, content := range map[string]string{
		"started.json": `{"timestamp":1700000000}`, "finished.json": `{"timestamp":1700000100,"passed":false,"result":"FAILURE"}`, "build-log.txt": "one\nERROR: two\n" + numbered(60),
		"artifacts/junit_1.xml": `<testsuite name="s"><testcase name="t"><failure>bad</failure></testcase><testcase name="u"/></testsuite>`, "artifacts/a.html": "<title>Hi</title><p>hello</p><script>document.body.append('from a script')</script>", "artifacts/summary.md": "# Sum\n\nSome *text* and a [link](https://example.com/).",
		"artifacts/filtered.cov": "mode: set\na/b.go:1.1,2.2 1 1\na/c.go:1.1,2.2 3 0\n", "artifacts/x.link.txt": "https://example.com/x", "podinfo.json": `{"pod":{"metadata":{"name":"p"},"spec":{"nodeName":"n","containers":[{"name":"test","image":"i"}]},"status":{"phase":"Failed"}}}`, "artifacts/rest_coverage.json": `{"uniqueHits":1,"expectedUniqueHits":2,"percent":50,"endpoints":{}}`,
	} {
		s.store(dir+"/"+name, content)
	}
	return "file" + s.bucket + "/" + dir
}

// Every lens of this program shows itself in a frame, with the files that it is used for
// where nothing is configured.
func TestBuiltinLenses(t *testing.T) {
	s := start(t, Options{}, "")
	src := s.storeUsual()
	page := s.get("/view/" + src).body
	for i, f := range usualFiles() {
		name := f.Lens.Name
		a := s.get(lensURL(name, "iframe", src, i))
		if a.StatusCode != 200 || !strings.Contains(a.body, `<main id="lens">`) {
			t.Errorf("%s: %s %.300s", name, a.Status, a.body)
		}
		if native := name == metadataLens || name == buildLogLens; strings.Contains(page, fmt.Sprintf("data-lens-index=%q", fmt.Sprint(i))) == native {
			t.Errorf("%s: it is a card and a part of the page, or neither", name)
		}
	}
	contains(t, "the page", page, `data-log-lens="6"`)
}

// Whatever is asked for, a place is in a bucket of the configuration, and nothing in its
// name leads elsewhere.
func FuzzPlace(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "config.yaml")
	text := configText("default", dir, deckWith("skip_storage_path_validation: false\n  additional_allowed_buckets: [b]\n  spyglass: {bucket_aliases: {short: b}}"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
	o := config.DefaultOptions()
	o.ConfigPath = path
	cfg, err := config.NewLoader(o).Load(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"gs/b/logs/j/1", "gcs/short/x", "file" + dir + "/logs/j/1", "file/etc/passwd", "gs/b/../evil/x", "gs//b/x", "file" + dir + "/../x", "s3/b/.attrs.x", "gs/b/a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(cfg, text)
		if err != nil {
			return
		}
		if p.bucket != "b" && (p.provider != "file" || p.bucket != dir) {
			t.Errorf("%q is in %q", text, p.bucket)
		}
		for element := range strings.SplitSeq(p.key, "/") {
			if element == "" || element == "." || element == ".." {
				t.Errorf("%q is %q", text, p.key)
			}
		}
		if again, err := parsePlace(cfg, p.path()); err != nil || again != p {
			t.Errorf("%q is %+v, which is %+v, %v", text, p, again, err)
		}
	})
}
