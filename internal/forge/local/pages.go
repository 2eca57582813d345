package local

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

//go:embed assets
var assets embed.FS

// pages shows the forge to people. They need no JavaScript and load nothing
// from elsewhere; the policy below makes browsers hold to that, whatever a
// comment contains.
type pages struct {
	f        *Forge
	tmpl     *template.Template
	markdown goldmark.Markdown
	static   map[string]asset
}

type asset struct {
	kind string
	data []byte
}

const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// userCookie names the account a visitor acts as.
const userCookie = "forge_user"

func (f *Forge) newPages() (*pages, error) {
	tmpl, err := template.ParseFS(assets, "assets/pages.html")
	if err != nil {
		return nil, fmt.Errorf("parsing pages: %w", err)
	}
	p := &pages{f: f, tmpl: tmpl, markdown: goldmark.New(goldmark.WithExtensions(extension.GFM)), static: map[string]asset{}}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "avatar.svg": "image/svg+xml"} {
		data, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("reading asset: %w", err)
		}
		p.static["/static/"+name] = asset{kind, data}
	}
	return p, nil
}

// visit is one request of a person.
type visit struct {
	*reader
	p      *pages
	w      http.ResponseWriter
	http   *http.Request
	viewer *account
	flash  string
	status int
}

// frame is what every page shows around its content.
type frame struct {
	Title, Path, Viewer, Flash string
	Picker                     bool
	Users                      []string
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	if a, ok := p.static[r.URL.Path]; ok {
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "max-age=300")
		_, _ = w.Write(a.data) // the client is gone
		return
	}
	h.Set("Cache-Control", "no-store")
	v := &visit{reader: p.f.read(r.Context()), p: p, w: w, http: r, status: http.StatusOK}
	if err := v.identify(); err != nil {
		v.fail(err)
		return
	}
	if err := v.route(); err != nil {
		v.fail(err)
	}
}

// identify reads who the visitor acts as.
func (v *visit) identify() error {
	c, err := v.http.Cookie(userCookie)
	if err != nil || c.Value == "" || !v.f.opts.SignIn {
		return nil
	}
	a, err := v.account(c.Value)
	if errors.Is(err, errNotFound) || err == nil && a.Kind == kindOrg {
		return nil
	}
	v.viewer = a
	return err
}

func (v *visit) route() error {
	path := strings.Trim(v.http.URL.Path, "/")
	parts := strings.Split(path, "/")
	get := v.http.Method == http.MethodGet || v.http.Method == http.MethodHead
	post := v.http.Method == http.MethodPost
	switch {
	case path == "" && get:
		return v.home("")
	case path == "healthz" && get:
		_, err := v.w.Write([]byte("ok\n"))
		return err
	case path == "login" && post:
		return v.login()
	case path == "login/oauth/authorize" && (get || post):
		return v.authorize()
	case len(parts) == 1 && get:
		return v.home(parts[0])
	case len(parts) < 2:
		return errNotFound
	}
	rp, err := v.visibleRepo(parts[0], parts[1])
	if err != nil {
		return err
	}
	switch rest := parts[2:]; {
	case len(rest) == 0 && get:
		return v.repoPage(rp)
	case len(rest) == 1 && (rest[0] == "pulls" || rest[0] == "issues") && get:
		return v.pullsPage(rp)
	case len(rest) == 2 && (rest[0] == "pull" || rest[0] == "issues") && get:
		for _, ending := range []string{".diff", ".patch"} {
			if n, ok := strings.CutSuffix(rest[1], ending); ok {
				return v.pullText(rp, n, ending == ".patch")
			}
		}
		return v.issuePage(rp, rest[1])
	case len(rest) == 3 && (rest[0] == "pull" || rest[0] == "issues") && post:
		return v.act(rp, rest[1], rest[2])
	case len(rest) == 2 && rest[0] == "commit" && get:
		return v.commitPage(rp, rest[1])
	case len(rest) >= 2 && (rest[0] == "blob" || rest[0] == "tree" || rest[0] == "raw") && get:
		return v.filePage(rp, rest[0] == "raw", rest[1:])
	}
	return errNotFound
}

func (v *visit) visibleRepo(owner, name string) (*repo, error) {
	if !validLogin(owner) || !validRepoName(name) {
		return nil, errNotFound
	}
	rp, err := v.reader.repo(owner, name)
	if err != nil {
		return nil, err
	}
	p, err := v.permission(rp, v.viewer)
	if err == nil && p < permRead {
		err = errNotFound
	}
	return rp, err
}

// frame collects what surrounds a page.
func (v *visit) frame(title string) (frame, error) {
	f := frame{Title: title + " · Local forge", Path: v.http.URL.RequestURI(), Flash: v.flash, Picker: v.f.opts.SignIn}
	if v.http.Method != http.MethodGet {
		f.Path = "/"
	}
	if v.viewer != nil {
		f.Viewer = v.viewer.Login
	}
	if f.Picker {
		users, err := list(v.reader, scalar[string], "SELECT login FROM accounts WHERE kind != ? ORDER BY login", kindOrg)
		if err != nil {
			return f, err
		}
		f.Users = users
	}
	return f, nil
}

// show renders a page completely before it sends anything.
func (v *visit) show(name string, data any) error {
	var buf bytes.Buffer
	if err := v.p.tmpl.ExecuteTemplate(&buf, name, data); err != nil {
		return fmt.Errorf("rendering page %s: %w", name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(v.status)
	_, _ = buf.WriteTo(v.w) // the client is gone
	return nil
}

func (v *visit) fail(err error) {
	ae, internal := asAPIError(err)
	if internal {
		v.f.log.Error("Showing a page failed.", "path", v.http.URL.Path, "error", err)
	}
	fr, ferr := v.frame(ae.Message)
	if ferr != nil {
		http.Error(v.w, ae.Message, ae.Status)
		return
	}
	text := ae.Message
	switch {
	case ae.Status == http.StatusNotFound && v.viewer == nil:
		text = "There is nothing here, or it is not for anonymous visitors."
	case ae.Status == http.StatusNotFound:
		text = "There is nothing here, or it is not for " + v.viewer.Login + "."
	}
	v.status = ae.Status
	err = v.show("error", struct {
		frame
		Heading, Text string
	}{fr, http.StatusText(ae.Status), text})
	if err != nil {
		http.Error(v.w, ae.Message, ae.Status)
	}
}

// login sets who the visitor acts as. It is no authentication: this forge is
// for one developer's machine.
func (v *visit) login() error {
	if !v.f.opts.SignIn {
		return errNotFound
	}
	v.http.Body = http.MaxBytesReader(v.w, v.http.Body, 1<<16)
	if err := v.http.ParseForm(); err != nil {
		return badRequest("The form could not be read.")
	}
	c := &http.Cookie{Name: userCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if user := v.http.PostForm.Get("user"); user != "" {
		a, err := v.account(user)
		if err != nil || a.Kind == kindOrg {
			return errors.Join(err, badRequest("There is no such user."))
		}
		c.Value, c.MaxAge = a.Login, 365*24*3600
	}
	http.SetCookie(v.w, c)
	back := v.http.PostForm.Get("back")
	// Only a path of this site: "//host" and "/\host" would lead elsewhere.
	if u, err := url.Parse(back); err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.Contains(back, `\`) {
		back = "/"
	}
	http.Redirect(v.w, v.http, back, http.StatusSeeOther)
	return nil
}

// row is a pull request in a list.
type row struct {
	Badge, URL, Title, Where, Author, When, Waits string
	Number                                        int
	Labels                                        []label
}

func badge(i *issue) string {
	switch {
	case i.Pull != nil && !i.Pull.Merged.IsZero():
		return "merged"
	case i.State == "closed":
		return "closed"
	case i.Pull != nil && i.Pull.Draft:
		return "draft"
	}
	return "open"
}

// mergeContext is where merge automation tells why a pull request waits.
const mergeContext = "tide"

func (v *visit) rows(all []found, where bool) ([]row, error) {
	var out []row
	for k := range all {
		rp, i := all[k].repo, &all[k].issue
		author, err := v.accountID(i.AuthorID)
		if err != nil {
			return nil, err
		}
		labels, err := v.issueLabels(i.ID)
		if err != nil {
			return nil, err
		}
		r := row{Badge: badge(i), URL: fmt.Sprintf("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number), Title: i.Title, Number: i.Number, Author: author.Login, Labels: labels, When: v.ago(i.Updated)}
		if where {
			r.Where = rp.fullName()
		}
		if i.Pull != nil && i.State == "open" {
			statuses, err := v.latestStatuses(rp.ID, i.Pull.HeadSHA)
			if err != nil {
				return nil, err
			}
			for _, s := range statuses {
				if s.Context == mergeContext {
					r.Waits = s.Description
				}
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// ago says how long something is past, roughly.
func (v *visit) ago(at when) string {
	d := v.f.clock.Since(at.Time)
	switch {
	case at.IsZero():
		return "never"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour") + " ago"
	case d < 60*24*time.Hour:
		return plural(int(d.Hours()/24), "day") + " ago"
	}
	return "on " + at.Format("2006-01-02")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// repoRow is a repository in a list.
type repoRow struct {
	FullName, Description string
	Private, Fork         bool
	Open                  int
}

// home shows everything, or what belongs to one owner.
func (v *visit) home(owner string) error {
	heading, query := "Overview", ""
	where, args := "", []any{}
	if owner != "" {
		a, err := v.account(owner)
		if err != nil {
			return err
		}
		heading, query = a.Login, " user:"+a.Login
		where, args = "WHERE r.owner_id = ? ", []any{a.ID}
	}
	fr, err := v.frame(heading)
	if err != nil {
		return err
	}
	all, err := list(v.reader, scanRepo, "SELECT "+repoCols+repoFrom+where+"ORDER BY a.login, r.name", args...)
	if err != nil {
		return err
	}
	if all, err = v.visible(all, v.viewer); err != nil {
		return err
	}
	var repos []repoRow
	for k := range all {
		rp := &all[k]
		n, err := v.count("SELECT count(*) FROM issues WHERE repo_id = ? AND state = 'open' AND is_pull", rp.ID)
		if err != nil {
			return err
		}
		repos = append(repos, repoRow{rp.fullName(), rp.Description, rp.Private, rp.ParentID != 0, n})
	}
	open, err := v.found("is:pr is:open sort:updated-desc"+query, 50, true)
	if err != nil {
		return err
	}
	closed, err := v.found("is:pr is:closed sort:updated-desc"+query, 20, true)
	if err != nil {
		return err
	}
	return v.show("home", struct {
		frame
		Heading      string
		Repos        []repoRow
		Open, Closed []row
	}{fr, heading, repos, open, closed})
}

func (v *visit) found(q string, limit int, where bool) ([]row, error) {
	hits, err := v.search(q, v.viewer, "", "")
	if err != nil {
		return nil, err
	}
	return v.rows(hits[:min(len(hits), limit)], where)
}

type repoName struct{ Owner, Name string }

func nameOf(rp *repo) repoName { return repoName{rp.Owner.Login, rp.Name} }

func (v *visit) pullsPage(rp *repo) error {
	fr, err := v.frame("Pull requests of " + rp.fullName())
	if err != nil {
		return err
	}
	kind := "is:pr "
	if strings.HasSuffix(v.http.URL.Path, "/issues") {
		kind = ""
	}
	open, err := v.found(kind+"is:open sort:updated-desc repo:"+rp.fullName(), 200, false)
	if err != nil {
		return err
	}
	closed, err := v.found(kind+"is:closed sort:updated-desc repo:"+rp.fullName(), 50, false)
	if err != nil {
		return err
	}
	return v.show("pulllist", struct {
		frame
		Repo         repoName
		Open, Closed []row
	}{fr, nameOf(rp), open, closed})
}

// render turns Markdown into HTML. Raw HTML and dangerous links are dropped by
// the renderer, so that the result can be trusted.
func (v *visit) render(text string) template.HTML {
	var buf bytes.Buffer
	if err := v.p.markdown.Convert([]byte(text), &buf); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") //nolint:gosec // escaped
	}
	return template.HTML(buf.String()) //nolint:gosec // rendered in safe mode
}
