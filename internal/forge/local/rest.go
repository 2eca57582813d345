package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// maxRequest bounds the body of one API request.
const maxRequest = 4 << 20

func itoa(n int) string { return strconv.Itoa(n) }

// call is one REST request: who asks, for what, and how to answer.
type call struct {
	*reader
	http   *http.Request
	viewer *account // nil for anonymous requests
	app    *app     // the App that calls as itself
	who    string   // the identity that limits are counted for
	params map[string]string
	perm   permission // of viewer on the repository of the path
	header http.Header
	read   []byte // the body, once it was read
}

// route is one operation. Patterns are matched element by element; {x} takes
// one element, {x...} the rest. (ServeMux refuses the catalogue, because
// "issues/comments/{id}" and "issues/{n}/comments" overlap.)
type route struct {
	method, pattern string
	serve           func(*call) (any, error)
	auth            authKind
	elems           []string
	need            need
}

// authKind says who may call an operation.
type authKind int

const (
	asAnyone authKind = iota
	asApp             // only an App with its JSON web token
)

// reply is an answer that is not simply 200 with a JSON body.
type reply struct {
	status int
	body   any    // JSON
	raw    []byte // instead of body
	kind   string // content type of raw
}

func created(body any) (any, error) { return reply{status: http.StatusCreated, body: body}, nil }

var noContent = reply{status: http.StatusNoContent}

// match binds the parameters of a pattern to the escaped elements of a path.
// weight counts literal elements: of all matching routes the most literal one
// is meant.
func (rt *route) match(elems []string) (params map[string]string, weight int, ok bool) {
	for i, e := range rt.elems { // most routes do not match: say so without allocating
		if !strings.HasPrefix(e, "{") && (i >= len(elems) || e != elems[i]) {
			return nil, 0, false
		}
	}
	params = map[string]string{}
	for i, e := range rt.elems {
		name, isParam := strings.CutPrefix(e, "{")
		switch {
		case isParam && strings.HasSuffix(name, "...}"):
			if i >= len(elems) {
				return nil, 0, false
			}
			v, err := url.PathUnescape(strings.Join(elems[i:], "/"))
			params[strings.TrimSuffix(name, "...}")] = v
			return params, weight, err == nil && v != ""
		case i >= len(elems):
			return nil, 0, false
		case isParam:
			v, err := url.PathUnescape(elems[i])
			if err != nil || v == "" {
				return nil, 0, false
			}
			params[strings.TrimSuffix(name, "}")] = v
		case e != elems[i]:
			return nil, 0, false
		default:
			weight++
		}
	}
	return params, weight, len(elems) == len(rt.elems)
}

// routes is the operation catalogue, checked once when the forge opens.
type routes []route

func newRoutes(groups ...[]route) routes {
	var all routes
	for _, g := range groups {
		for _, rt := range g {
			rt.elems = strings.Split(strings.Trim(rt.pattern, "/"), "/")
			rt.need = needOf(rt.method, rt.pattern)
			all = append(all, rt)
		}
	}
	return all
}

// find returns the operation for a request.
func (all routes) find(method, path string) (best *route, params map[string]string) {
	elems := strings.Split(strings.Trim(path, "/"), "/")
	weight := -1
	for i := range all {
		if all[i].method != method {
			continue
		}
		if p, w, ok := all[i].match(elems); ok && w > weight {
			best, params, weight = &all[i], p, w
		}
	}
	return best, params
}

// serveREST answers everything under /api/v3.
func (f *Forge) serveREST(all routes, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-GitHub-Request-Id", uuid.NewString())
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With")
	h.Set("X-GitHub-Api-Version-Selected", apiVersion)
	from, err := f.authenticate(r)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	viewer, who := from.account, from.who()
	if viewer != nil && viewer.grant == nil {
		scopes := from.scopes
		if scopes == "" {
			scopes = allScopes
		}
		if scopes == noScope {
			scopes = ""
		}
		h.Set("X-OAuth-Scopes", scopes)
		h.Set("X-Accepted-OAuth-Scopes", "")
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3")
	resource := "core"
	if strings.HasPrefix(path, "/search/") {
		resource = "search"
	}
	cost := 1
	if path == "/rate_limit" {
		cost = 0
	}
	state, ok := f.rates.spend(who, resource, cost)
	state.header(h)
	if !ok {
		f.fail(w, r, errPrimary(who))
		return
	}
	done, err := f.rates.secondary(who, r.Method)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	defer done()
	if path, err = f.canonical(r.Context(), path); err != nil {
		f.fail(w, r, err)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	rt, params := all.find(method, path)
	if rt == nil { // GitHub does not tell a wrong method from a wrong path
		f.fail(w, r, errAPINotFound)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	c := &call{reader: f.read(r.Context()), http: r, viewer: viewer, app: from.app, who: who, params: params, header: h}
	if err := c.admit(rt, from); err != nil {
		f.fail(w, r, err)
		return
	}
	body, err := rt.serve(c)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	if f.answer(w, r, body) {
		f.rates.spend(who, resource, -cost) // 304 is free
	}
}

// fail writes an error.
func (f *Forge) fail(w http.ResponseWriter, r *http.Request, err error) {
	var moved *movedError
	if errors.As(err, &moved) {
		moved.answer(w, r)
		return
	}
	ae, internal := asAPIError(err)
	if internal {
		f.log.Error("Request failed.", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if ae.RetryAfter > 0 {
		w.Header().Set("Retry-After", itoa(ae.RetryAfter))
	}
	writeJSON(w, ae.Status, ae.json())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client is gone
}

// admit checks that the kind of credential fits the operation.
func (c *call) admit(rt *route, from *caller) error {
	switch {
	case rt.auth == asApp && c.app == nil:
		return badJWT("A JSON web token could not be decoded")
	case rt.auth != asApp && c.app != nil && rt.pattern != "/rate_limit" && rt.pattern != "/meta" && !strings.HasPrefix(rt.pattern, "/apps/"):
		return forbidden("You must authenticate with an installation access token or a user access token for this request.")
	case c.viewer == nil:
		return nil
	case c.viewer.grant != nil:
		return c.viewer.grant.refuse(rt.need, rt.method)
	}
	return c.checkScopes(rt, from.scopes)
}

// answer writes a result; it reports whether that was a 304.
func (f *Forge) answer(w http.ResponseWriter, r *http.Request, body any) bool {
	rep, ok := body.(reply)
	if !ok {
		rep = reply{status: http.StatusOK, body: body}
	}
	if rep.status == http.StatusNoContent || rep.body == nil && rep.raw == nil {
		w.WriteHeader(rep.status)
		return false
	}
	if rep.raw == nil {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(rep.body); err != nil {
			f.fail(w, r, fmt.Errorf("rendering answer: %w", err))
			return false
		}
		rep.raw, rep.kind = buf.Bytes(), "application/json; charset=utf-8"
	}
	w.Header().Set("Content-Type", rep.kind)
	if rep.status == http.StatusOK && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		sum := sha256.Sum256(rep.raw)
		etag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "private, max-age=60, s-maxage=60")
		changed := lastModified(rep.body)
		if !changed.IsZero() {
			w.Header().Set("Last-Modified", changed.UTC().Format(http.TimeFormat))
		}
		if unchanged(r.Header, etag, changed) {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	w.WriteHeader(rep.status)
	_, _ = w.Write(rep.raw) // the client is gone
	return false
}

// body decodes the JSON body into v. An empty body is an empty object. It may
// be called again, for another part of the same body.
func (c *call) body(v any) error {
	if c.read == nil {
		raw, err := io.ReadAll(c.http.Body)
		if err != nil {
			return err
		}
		c.read = orEmpty(raw)
	}
	if len(bytes.TrimSpace(c.read)) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.read, v); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return unprocessable(fmt.Sprintf("Invalid request.\n\nFor 'properties/%s', %s is not a %s.", te.Field, te.Value, te.Type))
		}
		return badRequest("Problems parsing JSON")
	}
	return nil
}

func (c *call) query(name string) string { return c.http.URL.Query().Get(name) }

// number reads a numeric path parameter; anything else does not exist.
func (c *call) number(name string) (int, error) {
	n, err := strconv.Atoi(c.params[name])
	if err != nil || n <= 0 {
		return 0, errNotFound
	}
	return n, nil
}

func (c *call) id(name string) (int64, error) {
	n, err := c.number(name)
	return int64(n), err
}

// login requires a known caller.
func (c *call) login() error {
	if c.viewer == nil {
		return errRequiresAuth
	}
	return nil
}

// theRepo finds the repository of the path and requires a permission on it.
// Whoever may not read it does not learn that it exists.
func (c *call) theRepo(need permission) (*repo, error) {
	if !validLogin(c.params["owner"]) || !validRepoName(c.params["repo"]) {
		return nil, errNotFound
	}
	rp, err := c.repo(c.params["owner"], c.params["repo"])
	if errors.Is(err, errNotFound) {
		return nil, c.moved()
	}
	if err != nil {
		return nil, err
	}
	return rp, c.require(rp, need)
}

// readRepo finds the repository of the path for an operation that leaves it
// as it is, whatever its method.
func (c *call) readRepo() (*repo, error) {
	rp, err := c.repo(c.params["owner"], c.params["repo"])
	if errors.Is(err, errNotFound) {
		return nil, c.moved()
	}
	if err == nil {
		c.perm, err = c.permission(rp, c.viewer)
	}
	if err == nil && c.perm < permRead {
		err = errNotFound
	}
	return rp, err
}

func (c *call) require(rp *repo, need permission) error {
	var err error
	if c.perm, err = c.permission(rp, c.viewer); err != nil {
		return err
	}
	write := c.http.Method != http.MethodGet && c.http.Method != http.MethodHead
	switch {
	case c.perm < permRead:
		return errNotFound
	case c.viewer == nil && (write || need > permRead):
		return errRequiresAuth
	case write && c.viewer.grant != nil && !c.viewer.grant.reaches(rp):
		return errIntegration
	case c.perm < need && need == permAdmin:
		return forbidden("Must have admin rights to Repository.")
	case c.perm < need:
		return forbidden("Resource not accessible by personal access token")
	case write && rp.Archived && need < permAdmin:
		return forbidden("Repository was archived so is read-only.")
	}
	return nil
}

// issueOf finds repository and issue (or pull request) of the path.
func (c *call) issueOf(need permission) (*repo, *issue, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.number("number")
	if err != nil {
		return nil, nil, err
	}
	i, err := c.issue(rp.ID, n)
	if errors.Is(err, errNotFound) {
		err = c.movedIssue(rp, n)
	}
	return rp, i, err
}

// pullOf finds repository and pull request of the path.
func (c *call) pullOf(need permission) (*repo, *issue, error) {
	rp, i, err := c.issueOf(need)
	if err == nil && i.Pull == nil {
		err = errNotFound
	}
	return rp, i, err
}

const (
	defaultPage = 30
	maxPage     = 100
)

// page reads per_page and page.
func (c *call) page() (size, number int) {
	size, number = defaultPage, 1
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		size = min(n, maxPage)
	}
	if n, err := strconv.Atoi(c.query("page")); err == nil && n > 0 {
		number = min(n, 1<<20)
	}
	return size, number
}

// paginate cuts one page out of a list and announces its neighbours.
func paginate[T any](c *call, all []T) []T {
	size, number := c.page()
	c.links(size, number, len(all))
	from := min((number-1)*size, len(all))
	return orEmpty(all[from:min(from+size, len(all))])
}

// links writes the Link header for a list of total entries.
func (c *call) links(size, number, total int) {
	last := max(1, (total+size-1)/size)
	var out []string
	add := func(n int, rel string) {
		q := c.http.URL.Query()
		q.Set("page", itoa(n))
		out = append(out, fmt.Sprintf(`<%s%s?%s>; rel=%q`, c.f.base, c.http.URL.EscapedPath(), q.Encode(), rel))
	}
	if number > 1 {
		add(min(number-1, last), "prev")
	}
	if number < last {
		add(number+1, "next")
		add(last, "last")
	}
	if number > 1 {
		add(1, "first")
	}
	if len(out) > 0 {
		c.header.Set("Link", strings.Join(out, ", "))
	}
}

// each renders a list.
func each[T any](all []T, render func(*T) (obj, error)) ([]obj, error) {
	out := make([]obj, 0, len(all))
	for i := range all {
		o, err := render(&all[i])
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// countedPage renders a page of a list that tells how long it is as a whole.
func countedPage[T any](c *call, name string, all []T, render func(*T) (obj, error)) (obj, error) {
	out, err := each(paginate(c, all), render)
	return obj{"total_count": len(all), name: out}, err
}

// accepts says whether the client asked for a media type of GitHub, for
// example "diff" for application/vnd.github.v3.diff.
func (c *call) accepts(kind string) bool {
	for a := range strings.SplitSeq(c.http.Header.Get("Accept"), ",") {
		a, _, _ = strings.Cut(strings.TrimSpace(a), ";")
		if rest, ok := strings.CutPrefix(a, "application/vnd.github."); ok {
			rest = strings.TrimPrefix(rest, "v3.")
			if rest == kind || rest == kind+"+json" {
				return true
			}
		}
	}
	return false
}
