package deck

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"prow/internal/deck/lens"
)

// browserLens is a lens of the browser tests.
type browserLens struct {
	about lens.About
	body  func(r *lens.Request) template.HTML
}

func (l browserLens) About() lens.About { return l.about }

func (l browserLens) Body(_ context.Context, r *lens.Request) (template.HTML, error) {
	return l.body(r), nil
}

func (l browserLens) Callback(_ context.Context, r *lens.Request) (string, error) {
	return "answer to " + r.Data, nil
}

// hostile tries what a lens or an artifact must not be able to do, and writes down what
// came of it.
const hostile = `(async () => {
  const out = {};
  const attempt = async (name, what) => { try { out[name] = String(await what()); } catch (e) { out[name] = 'refused'; } };
  await attempt('dom', () => parent.document.title);
  await attempt('topDom', () => top.document.body.innerHTML);
  await attempt('cookie', () => document.cookie);
  await attempt('storage', () => localStorage.length);
  await attempt('fetch', () => fetch(SITE + '/prowjobs.js').then((r) => r.status));
  await attempt('fetchCors', () => fetch(SITE + '/log?job=a&id=1').then((r) => r.status));
  await attempt('xhr', () => new Promise((ok, no) => { const x = new XMLHttpRequest(); x.onload = () => ok(x.status); x.onerror = no; x.open('POST', SITE + '/abort?prowjob=running'); x.send(); }));
  await attempt('beacon', () => { navigator.sendBeacon(SITE + '/abort?prowjob=running'); return 'sent'; });
  await attempt('script', () => new Promise((ok, no) => { const s = document.createElement('script'); s.onload = () => ok('loaded'); s.onerror = no; s.src = SITE + '/prowjobs.js?var=stolen'; document.body.append(s); setTimeout(no, 2000); }));
  await attempt('image', () => new Promise((ok, no) => { const s = new Image(); s.onload = () => ok('loaded'); s.onerror = no; s.src = FOREIGN + '/leak?image'; }));
  await attempt('top', () => { if (top === self) throw 0; top.location = FOREIGN + '/leak?top'; return 'asked'; });
  await attempt('form', () => { const f = document.createElement('form'); f.method = 'post'; f.action = SITE + '/abort?prowjob=running'; document.body.append(f); f.submit(); return 'asked'; });
  await attempt('popup', () => window.open(FOREIGN + '/leak?popup') ? 'opened' : 'refused');
  const p = document.createElement('p'); p.id = 'result'; p.textContent = JSON.stringify(out); document.body.append(p);
})();`

// TestBrowserSpyglass lets a real browser show lenses, some of them hostile.
func TestBrowserSpyglass(t *testing.T) {
	needBrowser(t)
	leaks := make(chan string, 100)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/leak") {
			leaks <- r.URL.String()
		}
	}))
	defer foreign.Close()
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<!doctype html><html lang="en"><head><title>Remote</title><link rel="stylesheet" href="/static/spyglass/lens.css"><script src="/static/spyglass_lens_bundle.min.js"></script></head><body><p id="remote">waiting</p><script>spyglass.request('hi').then((a) => { document.getElementById('remote').textContent = a.slice(0, 15); spyglass.contentUpdated(); });</script></body></html>`)
	}))
	defer remote.Close()
	site := ""
	script := func() string {
		return strings.NewReplacer("SITE", fmt.Sprintf("%q", site), "FOREIGN", fmt.Sprintf("%q", foreign.URL)).Replace(hostile)
	}
	rows := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `<p id="row-%d"><a href="#row-%d">Row %d</a></p>`, i, i, i)
		}
		return b.String()
	}
	lenses := []lens.Lens{
		browserLens{lens.About{Name: "tall", Title: "Tall", Priority: 1, Files: fstest.MapFS{"tall.js": {Data: []byte(`
document.getElementById('ask').addEventListener('click', async () => { document.getElementById('answer').textContent = await spyglass.request('a question'); });
document.getElementById('replace').addEventListener('click', () => spyglass.updatePage('replaced'));
document.getElementById('page').addEventListener('click', async () => { document.getElementById('answer').textContent = (await spyglass.requestPage('asked')).slice(0, 40); });
document.getElementById('scroll').addEventListener('click', async () => { await spyglass.scrollTo(0, 400); document.getElementById('answer').textContent = 'scrolled'; });
`)}}}, func(r *lens.Request) template.HTML {
			if r.Data != "" {
				return template.HTML("<p id=\"fresh\">shown with " + template.HTMLEscapeString(r.Data) + "</p>")
			}
			return template.HTML(`<button id="ask">Ask</button> <button id="replace">Replace</button> <button id="page">Page</button> <button id="scroll">Scroll</button> <p id="answer">nothing yet</p><p data-linkify>see https://example.com/?x=<span>&lt;img src=x onerror=alert(1)&gt;</span>.</p>` + rows(40))
		}},
		browserLens{lens.About{Name: "breaking", Title: "Breaking", Priority: 2, HideTitle: true}, func(*lens.Request) template.HTML {
			return template.HTML(`<p>hostile output</p><img src=x onerror="document.body.dataset.ran=1"><script>document.body.dataset.ran = 2;</script><script src="` + site + `/prowjobs.js?var=stolen"></script>`)
		}},
		browserLens{lens.About{Name: "raw", Title: "Raw", Priority: 3, Scripts: true}, func(*lens.Request) template.HTML {
			page := template.HTMLEscapeString("<p>in a document of its own</p><script>" + script() + "</script>")
			return template.HTML(`<iframe id="inner" title="the artifact" sandbox="allow-scripts" srcdoc="` + page + `"></iframe><p>around it</p><script>` + script() + `</script>`)
		}},
	}
	s := start(t, Options{Lenses: lenses}, deckMark+`  spyglass:
    lenses:
    - {required_files: [started.json], lens: {name: breaking}}
    - {required_files: [started.json], lens: {name: tall}}
    - {required_files: [started.json], lens: {name: raw}}
    - {required_files: [started.json], lens: {name: far}, remote_config: {endpoint: "`+remote.URL+`", title: Far, priority: 4}}
    - {required_files: [started.json], lens: {name: tall}, remote_config: {title: Tall again, priority: 9}}
`)
	site = s.url
	s.store("logs/j/1/started.json", "{}")
	s.store("logs/j/1/finished.json", `{"timestamp":1,"passed":true}`)
	s.store("logs/j/1/build-log.txt", numbered(50))
	s.store("logs/j/1/artifacts/page.html", "<p>hello</p>")
	src := "file" + s.bucket + "/logs/j/1"
	usual := start(t, Options{}, "")
	browse(t, []string{"DECK_URL=" + s.url, "USUAL=" + usual.url + "/view/" + usual.storeUsual(), "RUN=/view/" + src, "RAW=" + lensURL("raw", "iframe", src, 2), "TALL=" + lensURL("tall", "iframe", src, 1), "ARTIFACT=/artifacts/" + src + "/artifacts/page.html"}, "spyglass.test.js")
	if len(leaks) > 0 {
		t.Errorf("something leaked: %s", <-leaks)
	}
}
