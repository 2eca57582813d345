package local

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// fileRow is an entry of a directory or a branch.
type fileRow struct {
	Name, URL string
	Dir       bool
}

func (v *visit) files(rp *repo, ref, dir, tree string) ([]fileRow, error) {
	entries, err := v.f.bare(rp.ID).tree(v.ctx, tree, false)
	if err != nil {
		return nil, err
	}
	var out []fileRow
	for _, e := range entries {
		kind := "blob"
		if e.Type == "tree" {
			kind = "tree"
		}
		out = append(out, fileRow{e.Path, fmt.Sprintf("/%s/%s/%s/%s", rp.fullName(), kind, escapePath(ref), escapePath(path.Join(dir, e.Path))), e.Type == "tree"})
	}
	sort.SliceStable(out, func(i, k int) bool { return out[i].Dir && !out[k].Dir })
	return out, nil
}

func (v *visit) repoPage(rp *repo) error {
	fr, err := v.frame(rp.fullName())
	if err != nil {
		return err
	}
	data := struct {
		frame
		Repo                 repoName
		Description, Clone   string
		Branch, SHA, Subject string
		Files, Branches      []fileRow
		Readme               template.HTML
	}{frame: fr, Repo: nameOf(rp), Description: rp.Description, Clone: v.f.web("/%s.git", rp.fullName())}
	refs, err := v.refsLike(rp.ID, "refs/heads/")
	if err != nil {
		return err
	}
	for _, r := range refs {
		name := strings.TrimPrefix(r.Name, "refs/heads/")
		data.Branches = append(data.Branches, fileRow{Name: name, URL: fmt.Sprintf("/%s/tree/%s", rp.fullName(), escapePath(name))})
		if name != rp.DefaultBranch {
			continue
		}
		b := v.f.bare(rp.ID)
		c, err := b.commit(v.ctx, r.SHA)
		if err != nil {
			return err
		}
		data.Branch, data.SHA, data.Subject = name, c.SHA, c.subject()
		if data.Files, err = v.files(rp, name, "", c.Tree); err != nil {
			return err
		}
		for _, f := range data.Files {
			if strings.EqualFold(f.Name, "readme.md") {
				if data.Readme, err = v.readme(rp, c.SHA, f.Name); err != nil {
					return err
				}
				break
			}
		}
	}
	return v.show("repo", data)
}

// maxShown is the largest file a page shows as text.
const maxShown = 1 << 20

func (v *visit) readme(rp *repo, sha, name string) (template.HTML, error) {
	b := v.f.bare(rp.ID)
	kind, object, size, err := b.pathObject(v.ctx, sha, name)
	if err != nil || kind != "blob" || size > maxShown {
		return "", err
	}
	text, err := b.blob(v.ctx, object, maxShown)
	if err != nil {
		return "", err
	}
	return v.render(string(text)), nil
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

// filePage shows a file or directory. Branch names may contain slashes, so the
// ref is the shortest prefix that resolves.
func (v *visit) filePage(rp *repo, raw bool, parts []string) error {
	b := v.f.bare(rp.ID)
	var ref, file, sha string
	for n := 1; n <= min(len(parts), 8); n++ {
		s, err := b.resolve(v.ctx, strings.Join(parts[:n], "/"))
		if err == nil {
			ref, file, sha = strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/"), s
			break
		}
		if !errors.Is(err, errNoObject) {
			return err
		}
	}
	if sha == "" {
		return errNotFound
	}
	kind, object, size, err := b.pathObject(v.ctx, sha, file)
	if err != nil {
		return err
	}
	var data []byte
	if kind == "blob" && size <= maxShown {
		if data, err = b.blob(v.ctx, object, maxShown); err != nil {
			return err
		}
	}
	if raw {
		if kind != "blob" {
			return errNotFound
		}
		if size > maxShown {
			if data, err = b.blob(v.ctx, object, maxBlob); err != nil {
				return err
			}
		}
		v.w.Header().Set("Content-Type", "text/plain; charset=utf-8") // never as a page of this site
		_, _ = v.w.Write(data)                                        // the client is gone
		return nil
	}
	fr, err := v.frame(file + " in " + rp.fullName())
	if err != nil {
		return err
	}
	page := struct {
		frame
		Repo                 repoName
		File, Ref, Raw, Text string
		Binary               bool
		Rendered             template.HTML
		Files                []fileRow
	}{frame: fr, Repo: nameOf(rp), File: file, Ref: ref, Raw: fmt.Sprintf("/%s/raw/%s/%s", rp.fullName(), escapePath(ref), escapePath(file))}
	switch {
	case kind == "tree":
		if page.File == "" {
			page.File = rp.Name
		}
		if page.Files, err = v.files(rp, ref, file, object); err != nil {
			return err
		}
	case kind != "blob" || size > maxShown || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		page.Binary = true
	case strings.HasSuffix(lower(file), ".md"):
		page.Rendered = v.render(string(data))
	default:
		page.Text = string(data)
	}
	return v.show("blob", page)
}

// fileDiff is a changed file for the page.
type fileDiff struct {
	change
	Lines []diffLine
	Open  bool
}

type diffLine struct{ Class, Text string }

const (
	// maxDiffLines bounds what one page shows of all diffs together.
	maxDiffLines = 5000
	maxOpenLines = 500
)

func diffsOf(files []change) []fileDiff {
	budget := maxDiffLines
	var out []fileDiff
	for _, c := range files[:min(len(files), 500)] {
		d := fileDiff{change: c}
		if c.Patch != "" {
			lines := strings.Split(c.Patch, "\n")
			d.Open = len(lines) <= maxOpenLines
			cut := len(lines) > budget
			if cut {
				lines = lines[:budget]
			}
			budget -= len(lines)
			for _, l := range lines {
				class := ""
				switch {
				case strings.HasPrefix(l, "+"):
					class = "a"
				case strings.HasPrefix(l, "-"):
					class = "d"
				case strings.HasPrefix(l, "@@"):
					class = "h"
				}
				d.Lines = append(d.Lines, diffLine{class, truncate(strings.ToValidUTF8(l, "�"), 2000)})
			}
			if cut {
				d.Lines = append(d.Lines, diffLine{"h", "The rest is not shown here."})
			}
		}
		out = append(out, d)
	}
	return out
}

// checkRow is a status or check run on a page.
type checkRow struct{ State, Context, Description, URL string }

func (v *visit) checks(rp *repo, sha string) ([]checkRow, error) {
	statuses, err := v.latestStatuses(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	var out []checkRow
	for _, s := range statuses {
		out = append(out, checkRow{s.State, s.Context, s.Description, safeURL(s.TargetURL)})
	}
	runs, err := v.latestCheckRuns(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	for _, k := range runs {
		state := "pending"
		switch {
		case checkPassed(k):
			state = "success"
		case k.Status == "completed":
			state = "failure"
		}
		out = append(out, checkRow{state, k.Name, strings.TrimSpace(k.Status + " " + k.Conclusion), safeURL(k.DetailsURL)})
	}
	return out, nil
}

// safeURL keeps only addresses of the web.
func safeURL(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return s
}

func (v *visit) commitPage(rp *repo, rev string) error {
	b := v.f.bare(rp.ID)
	sha, err := b.resolve(v.ctx, rev)
	if err != nil {
		return err
	}
	c, err := b.commit(v.ctx, sha)
	if err != nil {
		return err
	}
	parent := ""
	if len(c.Parents) > 0 {
		parent = c.Parents[0]
	}
	files, err := b.diff(v.ctx, parent, sha, true)
	if err != nil {
		return err
	}
	checks, err := v.checks(rp, sha)
	if err != nil {
		return err
	}
	fr, err := v.frame(c.subject() + " · " + rp.fullName())
	if err != nil {
		return err
	}
	_, body, _ := strings.Cut(c.Message, "\n")
	return v.show("commit", struct {
		frame
		Repo                                repoName
		Subject, Message, Author, When, SHA string
		Parents                             []string
		Checks                              []checkRow
		Diff                                []fileDiff
	}{fr, nameOf(rp), c.subject(), strings.TrimSpace(body), c.Author.Name, v.ago(when{c.Author.When}), c.SHA, c.Parents, checks, diffsOf(files)})
}

func (v *visit) numbered(rp *repo, number string) (*issue, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, errNotFound
	}
	return v.reader.issue(rp.ID, n)
}

func (v *visit) pullText(rp *repo, number string, patch bool) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if i.Pull == nil {
		return errNotFound
	}
	_, text, err := pullText(v.ctx, v.f.bare(rp.ID), i, patch)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = v.w.Write(text) // the client is gone
	return nil
}

// entry is one element of a conversation.
type entry struct {
	ID, Who, What, When, Commit string
	Label                       *label
	Comment                     template.HTML
	at                          time.Time
}

// pullView is the part of the page that only pull requests have.
type pullView struct {
	Base, Head                           string
	Commits, Files, Additions, Deletions int
	Tone, Headline                       string
	Reasons                              []string
	Checks                               []checkRow
	Diff                                 []fileDiff
}

type issueView struct {
	frame
	Repo                     repoName
	Issue                    *issue
	Number                   int
	Badge, Author, When, URL string
	Labels                   []label
	Assignees, Reviewers     []string
	Milestone, OtherState    string
	CanClose, CanMerge       bool
	Timeline                 []entry
	Pull                     *pullView
}

func logins(all []account) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.Login)
	}
	return out
}

func (v *visit) issuePage(rp *repo, number string) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if i.Pull != nil && strings.Contains(v.http.URL.Path, "/issues/") && v.http.Method == http.MethodGet {
		http.Redirect(v.w, v.http, fmt.Sprintf("/%s/pull/%d", rp.fullName(), i.Number), http.StatusFound)
		return nil
	}
	fr, err := v.frame(fmt.Sprintf("%s #%d · %s", i.Title, i.Number, rp.fullName()))
	if err != nil {
		return err
	}
	author, err := v.accountID(i.AuthorID)
	if err != nil {
		return err
	}
	d := issueView{frame: fr, Repo: nameOf(rp), Issue: i, Number: i.Number, Badge: badge(i), Author: author.Login, When: v.ago(i.Created), URL: fmt.Sprintf("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number)}
	if d.Labels, err = v.issueLabels(i.ID); err != nil {
		return err
	}
	assignees, err := v.assignees(i.ID)
	if err != nil {
		return err
	}
	d.Assignees = logins(assignees)
	reviewers, err := v.reviewers(i.ID)
	if err != nil {
		return err
	}
	d.Reviewers = logins(reviewers)
	if ms, err := v.milestoneJSON(rp, i.MilestoneID); err != nil {
		return err
	} else if o, ok := ms.(obj); ok {
		d.Milestone = fmt.Sprint(o["title"])
	}
	perm, err := v.permission(rp, v.viewer)
	if err != nil {
		return err
	}
	merged := i.Pull != nil && !i.Pull.Merged.IsZero()
	d.CanClose = v.viewer != nil && !merged && (perm >= permTriage || v.viewer.ID == i.AuthorID)
	d.CanMerge = v.viewer != nil && i.Pull != nil && i.State == "open" && perm >= permWrite
	d.OtherState = "closed"
	if i.State == "closed" {
		d.OtherState = "open"
	}
	if d.Timeline, err = v.timeline(rp, i, author); err != nil {
		return err
	}
	if i.Pull != nil {
		if d.Pull, err = v.pullView(rp, i); err != nil {
			return err
		}
	}
	return v.show("issue", d)
}

// pullView says where a pull request stands and what it changes.
func (v *visit) pullView(rp *repo, i *issue) (*pullView, error) {
	p := i.Pull
	d := &pullView{Base: p.BaseRef, Head: p.HeadRef, Commits: p.Commits, Files: p.Files, Additions: p.Additions, Deletions: p.Deletions}
	if p.HeadRepoID != rp.ID {
		head, err := v.headRepo(rp, p)
		if err != nil {
			return nil, err
		}
		if head != nil {
			d.Head = head.Owner.Login + ":" + p.HeadRef
		}
	}
	var err error
	if d.Checks, err = v.checks(rp, p.HeadSHA); err != nil {
		return nil, err
	}
	files, err := v.f.pullFiles(v.ctx, rp, i, true)
	if err != nil {
		return nil, err
	}
	d.Diff = diffsOf(files)
	judged, err := v.f.judge(v.ctx, rp, i)
	if err != nil {
		return nil, err
	}
	by, err := v.accountID(p.MergedBy)
	if err != nil {
		return nil, err
	}
	d.stand(i, judged, by.Login)
	return d, nil
}

// stand words the state of a pull request: first what merge automation says,
// then what the forge itself sees.
func (d *pullView) stand(i *issue, v *verdict, mergedBy string) {
	switch {
	case !i.Pull.Merged.IsZero():
		d.Tone, d.Headline = "done", "Merged by "+mergedBy
		d.Reasons = []string{fmt.Sprintf("Commit %.10s is on %s.", i.Pull.MergeSHA, i.Pull.BaseRef)}
		return
	case i.State == "closed":
		d.Tone, d.Headline = "bad", "Closed without merging"
		return
	}
	d.Headline = "Merge automation has not reported yet"
	var failing, pending []string
	for _, c := range d.Checks {
		switch {
		case c.Context == mergeContext:
			d.Headline = c.Description
			if d.Headline == "" {
				d.Headline = c.State
			}
			d.Headline = "Tide: " + d.Headline
			switch c.State {
			case "success":
				d.Tone = "ready"
			case "error", "failure":
				d.Tone = "bad"
			}
		case c.State == "pending":
			pending = append(pending, c.Context)
		case c.State != "success":
			failing = append(failing, c.Context)
		}
	}
	if !v.Mergeable {
		d.Tone = "bad"
		d.Reasons = append(d.Reasons, "This branch has conflicts with "+i.Pull.BaseRef+" that must be resolved.")
	} else {
		d.Reasons = append(d.Reasons, "No conflicts with "+i.Pull.BaseRef+".")
	}
	if i.Pull.Draft {
		d.Reasons = append(d.Reasons, "This is a draft.")
	}
	if len(failing) > 0 {
		d.Reasons = append(d.Reasons, "Failing: "+strings.Join(failing, ", ")+".")
	}
	if len(pending) > 0 {
		d.Reasons = append(d.Reasons, "Running or waiting: "+strings.Join(pending, ", ")+".")
	}
	if v.Blocked != "" {
		d.Reasons = append(d.Reasons, v.Blocked)
	}
	switch v.Decision {
	case "APPROVED":
		d.Reasons = append(d.Reasons, "Reviewers approved.")
	case "CHANGES_REQUESTED":
		d.Reasons = append(d.Reasons, "A reviewer requested changes.")
	}
}

var reviewWords = map[string]string{"APPROVED": "approved these changes", "CHANGES_REQUESTED": "requested changes", "COMMENTED": "reviewed", "DISMISSED": "reviewed (dismissed)"}

// timeline puts everything that happened in order.
func (v *visit) timeline(rp *repo, i *issue, author *account) ([]entry, error) {
	var out []entry
	var failed error
	add := func(who int64, at when, e entry) {
		a, err := v.accountID(who)
		if err != nil {
			failed = err
			return
		}
		e.Who, e.at, e.When = a.Login, at.Time, v.ago(at)
		out = append(out, e)
	}
	body := i.Body
	if strings.TrimSpace(body) == "" {
		body = "*No description.*"
	}
	out = append(out, entry{ID: "description", Who: author.Login, When: v.ago(i.Created), at: i.Created.Time, What: "opened this", Comment: v.render(body)})
	comments, err := list(v.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.issue_id = ? ORDER BY c.id", i.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range comments {
		what := "commented"
		if c.Updated != c.Created {
			what = "commented (edited)"
		}
		add(c.AuthorID, c.Created, entry{ID: fmt.Sprintf("issuecomment-%d", c.ID), What: what, Comment: v.render(c.Body)})
	}
	if i.Pull != nil {
		commits, err := v.f.pullCommits(v.ctx, rp, i)
		if err != nil {
			return nil, err
		}
		for _, c := range commits {
			out = append(out, entry{ID: "commit-" + c.SHA, Who: c.Author.Name, What: "committed “" + truncate(c.subject(), 120) + "”", Commit: c.SHA, at: c.Committer.When, When: v.ago(when{c.Committer.When})})
		}
		reviews, err := v.reviews(i.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range reviews {
			if r.State != "PENDING" && (r.Body != "" || r.State != "COMMENTED") {
				e := entry{ID: fmt.Sprintf("pullrequestreview-%d", r.ID), What: reviewWords[r.State]}
				if r.Body != "" {
					e.Comment = v.render(r.Body)
				}
				add(r.AuthorID, r.Submitted, e)
			}
		}
		lines, err := v.reviewComments(i.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range lines {
			add(c.AuthorID, c.Created, entry{ID: fmt.Sprintf("discussion_r%d", c.ID), What: "commented on " + c.Path, Comment: v.render(c.Body)})
		}
	}
	events, err := v.events(i.ID)
	if err != nil {
		return nil, err
	}
	for k := range events {
		e, err := v.eventEntry(&events[k])
		if err != nil {
			return nil, err
		}
		add(events[k].ActorID, events[k].Created, e)
	}
	// The description stays on top, whatever the dates of commits say.
	slices.SortStableFunc(out[1:], func(a, b entry) int { return a.at.Compare(b.at) })
	return out, failed
}

func (v *visit) eventEntry(e *event) (entry, error) {
	out := entry{ID: fmt.Sprintf("event-%d", e.ID), What: strings.ReplaceAll(e.Event, "_", " ")}
	subject, err := v.accountID(e.SubjectID)
	if err != nil {
		return out, err
	}
	switch e.Event {
	case "labeled":
		out.What, out.Label = "added the label", &label{Name: e.Label, Color: e.Color}
	case "unlabeled":
		out.What, out.Label = "removed the label", &label{Name: e.Label, Color: e.Color}
	case "assigned", "unassigned":
		out.What = e.Event + " " + subject.Login
	case "review_requested":
		out.What = "requested a review from " + subject.Login
	case "review_request_removed":
		out.What = "withdrew the review request to " + subject.Login
	case "renamed":
		out.What = fmt.Sprintf("changed the title from “%s” to “%s”", e.Before, e.After)
	case "base_ref_changed":
		out.What = fmt.Sprintf("changed the base branch from %s to %s", e.Before, e.After)
	case "head_ref_pushed":
		out.What, out.Commit = "pushed", e.After
	case "head_ref_force_pushed":
		out.What, out.Commit = "force-pushed", e.After
	case "head_ref_deleted":
		out.What = "deleted the head branch"
	case "merged":
		out.What, out.Commit = "merged this in", e.SHA
	case "closed", "reopened":
		out.What = e.Event + " this"
	case "ready_for_review":
		out.What = "marked this as ready for review"
	case "convert_to_draft":
		out.What = "made this a draft"
	case "milestoned", "demilestoned":
		out.What = map[bool]string{true: "set the milestone ", false: "removed the milestone "}[e.Event == "milestoned"] + e.After
	}
	return out, nil
}

// act does what the buttons say, with the checks of the API.
func (v *visit) act(rp *repo, number, what string) error {
	i, err := v.numbered(rp, number)
	if err != nil {
		return err
	}
	if v.viewer == nil {
		return errRequiresAuth
	}
	v.http.Body = http.MaxBytesReader(v.w, v.http.Body, 1<<20)
	if err := v.http.ParseForm(); err != nil {
		return badRequest("The form could not be read.")
	}
	perm, err := v.permission(rp, v.viewer)
	if err != nil {
		return err
	}
	back := fmt.Sprintf("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number)
	switch what {
	case "comment":
		var c *comment
		if i.Locked && perm < permWrite {
			err = forbidden("The conversation is locked.")
			break
		}
		err = v.f.write(v.ctx, func(t *txn) error {
			var err error
			c, err = t.addComment(rp, i, v.viewer, v.http.PostForm.Get("body"))
			return err
		})
		if err == nil {
			back += fmt.Sprintf("#issuecomment-%d", c.ID)
		}
	case "state":
		state := v.http.PostForm.Get("state")
		err = v.f.write(v.ctx, func(t *txn) error {
			fresh, err := t.issueID(i.ID)
			if err != nil {
				return err
			}
			return t.applyEdit(rp, fresh, v.viewer, perm, issueEdit{State: &state}, nil)
		})
	case "merge":
		if perm < permWrite {
			err = forbidden("Merging needs write permission.")
			break
		}
		_, err = v.f.merge(v.ctx, rp, i.Number, v.viewer, mergeRequest{Method: v.http.PostForm.Get("method")})
	default:
		return errNotFound
	}
	if err == nil {
		http.Redirect(v.w, v.http, back, http.StatusSeeOther)
		return nil
	}
	ae, internal := asAPIError(err)
	if internal {
		return err
	}
	v.flash, v.status = ae.Message, ae.Status
	for _, e := range ae.Errors {
		v.flash += fmt.Sprintf(" (%v %v)", e["field"], e["code"])
	}
	return v.issuePage(rp, number)
}
