package local

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

// browser is a visitor with cookies.
type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar}}
}

func (b *browser) do(req *http.Request) (*http.Response, string) {
	b.w.t.Helper()
	resp, err := b.c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var sb strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		sb.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return resp, sb.String()
}

func (b *browser) get(path string) (*http.Response, string) {
	b.w.t.Helper()
	req, err := http.NewRequestWithContext(b.w.t.Context(), "GET", "http://"+b.w.addr+path, nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.do(req)
}

func (b *browser) post(path, origin string, form url.Values) (*http.Response, string) {
	b.w.t.Helper()
	req, err := http.NewRequestWithContext(b.w.t.Context(), "POST", "http://"+b.w.addr+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", origin)
	return b.do(req)
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.clone("writer", "acme/app")
	head := c.branch("feature/page", "page.go", "package page\n")
	robot := w.as("robot")
	n := w.pull("writer", "acme/app", "feature/page", "main", `<script>alert("title")</script>`).GetNumber()
	if _, _, err := robot.Issues.AddLabelsToIssue(ctx, "acme", "app", n, []string{"lgtm"}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []github.RepoStatus{
		{Context: github.Ptr("tide"), State: github.Ptr("pending"), Description: github.Ptr("Not mergeable. Needs approved label.")},
		{Context: github.Ptr("pull-unit"), State: github.Ptr("failure"), Description: github.Ptr("Job failed."), TargetURL: github.Ptr("http://127.0.0.1:1/view/1")},
	} {
		if _, _, err := robot.Repositories.CreateStatus(ctx, "acme", "app", head, &s); err != nil {
			t.Fatal(err)
		}
	}
	hostile := "<img src=x onerror=alert(1)>\n\n[click](javascript:alert(2)) <b onclick=x>bold</b>\n\n```\n</code><script>alert(3)</script>\n```\n"
	if _, _, err := w.as("stranger").Issues.CreateComment(ctx, "acme", "app", n, &github.IssueComment{Body: &hostile}); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	for path, want := range map[string][]string{
		"/":                                   {"acme/app", "&lt;script&gt;alert(&#34;title&#34;)", "Not mergeable. Needs approved label."},
		"/acme":                               {"acme/app"},
		"/acme/app":                           {"git clone http://" + w.addr + "/acme/app.git", "README.md", "feature/page"},
		"/acme/app/pulls":                     {`href="/acme/app/pull/1"`},
		"/acme/app/pull/1":                    {"Tide: Not mergeable. Needs approved label.", "No conflicts with main.", "Failing: pull-unit.", `href="http://127.0.0.1:1/view/1"`, "wants to merge 1 commit", "added the label", "&#43;package page", "Pick someone"},
		"/acme/app/commit/" + head:            {"Change page.go", "pull-unit"},
		"/acme/app/blob/feature/page/page.go": {"package page"},
		"/acme/app/tree/main":                 {"README.md"},
		"/acme/app/raw/main/README.md":        {"# app"},
		"/acme/app/pull/1.diff":               {"diff --git a/page.go b/page.go"},
		"/static/style.css":                   {"prefers-color-scheme"},
	} {
		resp, body := b.get(path)
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		for _, s := range want {
			if !strings.Contains(body, s) {
				t.Errorf("%s lacks %q", path, s)
			}
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			if bad := regexp.MustCompile(`(?i)<script|<[^>]*\son[a-z]+=|javascript:|<img|style=`).FindString(body); bad != "" {
				t.Errorf("%s contains %q", path, bad)
			}
			for _, u := range regexp.MustCompile(`(?:src|href|action)="(https?://[^"]*)"`).FindAllStringSubmatch(body, -1) {
				if !strings.HasPrefix(u[1], "http://127.0.0.1") {
					t.Errorf("%s leads to %s", path, u[1])
				}
			}
			if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
	}
	for path, want := range map[string]int{"/acme/safe": 404, "/nobody": 404, "/acme/app/pull/9": 404, "/acme/app/commit/--help": 404, "/acme/app/blob/main/../../x": 404, "/acme/app/pull/1/comment": 404} {
		if resp, _ := b.get(path); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestCommentFromPage(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.branch("page", "page.txt", "x\n")
	w.pull("writer", "acme/app", "page", "main", "From a page")
	b := w.browser()
	own := "http://" + w.addr
	if resp, _ := b.post("/acme/app/pull/1/comment", own, url.Values{"body": {"x"}}); resp.StatusCode != 401 {
		t.Errorf("an anonymous comment got %d", resp.StatusCode)
	}
	if resp, _ := b.post("/login", "http://evil.example", url.Values{"user": {"dev"}}); resp.StatusCode != 403 {
		t.Errorf("a form of another site got %d", resp.StatusCode)
	}
	for _, back := range []string{"//evil.example/", "///evil.example/", "http://evil.example/", `/\evil.example`, "evil"} {
		b.c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if resp, _ := b.post("/login", own, url.Values{"user": {"dev"}, "back": {back}}); resp.Header.Get("Location") != "/" {
			t.Errorf("back to %q leads to %q", back, resp.Header.Get("Location"))
		}
	}
	resp, _ := b.post("/acme/app/pull/1/comment", own, url.Values{"body": {"/lgtm\r\n"}})
	if resp.StatusCode != 303 || !strings.HasPrefix(resp.Header.Get("Location"), "/acme/app/pull/1#issuecomment-") {
		t.Errorf("comment: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	p := w.hook.wait("issue_comment/created", 0).payload(t)
	if cm := p["comment"].(map[string]any); cm["body"] != "/lgtm\r\n" || cm["user"].(map[string]any)["login"] != "dev" {
		t.Errorf("comment event: %v", cm)
	}
	if resp, body := b.post("/acme/app/pull/1/comment", own, url.Values{"body": {" "}}); resp.StatusCode != 422 || !strings.Contains(body, `role="alert"`) {
		t.Errorf("an empty comment got %d", resp.StatusCode)
	}
	if resp, _ := b.post("/acme/app/pull/1/merge", own, url.Values{"method": {"merge"}}); resp.StatusCode != 403 {
		t.Errorf("merging without permission got %d", resp.StatusCode)
	}
	b.post("/login", own, url.Values{"user": {"writer"}})
	if resp, _ := b.post("/acme/app/pull/1/state", own, url.Values{"state": {"closed"}}); resp.StatusCode != 303 {
		t.Errorf("closing got %d", resp.StatusCode)
	}
	if resp, _ := b.post("/acme/app/pull/1/state", own, url.Values{"state": {"open"}}); resp.StatusCode != 303 {
		t.Errorf("reopening got %d", resp.StatusCode)
	}
	if resp, _ := b.post("/acme/app/pull/1/merge", own, url.Values{"method": {"squash"}}); resp.StatusCode != 303 {
		t.Errorf("merging got %d", resp.StatusCode)
	}
	if _, body := b.get("/acme/app/pull/1"); !strings.Contains(body, "Merged by writer") || !strings.Contains(body, "merged this in") {
		t.Error("the page does not say that it is merged")
	}
}

func TestSignInIsOff(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.SignIn, o.AnonymousRead = false, false })
	b := w.browser()
	if resp, _ := b.post("/login", "http://"+w.addr, url.Values{"user": {"boss"}}); resp.StatusCode != 404 {
		t.Errorf("login got %d", resp.StatusCode)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+w.addr+"/acme/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: userCookie, Value: "boss"})
	if resp, _ := b.do(req); resp.StatusCode != 404 {
		t.Errorf("a made-up cookie got %d", resp.StatusCode)
	}
	if resp, _ := w.raw("", "GET", "/api/v3/repos/acme/app", nil); resp.StatusCode != 404 {
		t.Errorf("anonymous API got %d", resp.StatusCode)
	}
}
