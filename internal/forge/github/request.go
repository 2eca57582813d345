package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Bounds of what a forge may answer.
const (
	// maxResponse bounds one body, in bytes.
	maxResponse = 64 << 20
	// maxListed bounds all pages of a list together, in bytes, and maxPages their number.
	maxListed = 256 << 20
	maxPages  = 1000
)

// mediaJSON is what requests accept that name nothing else.
const mediaJSON = "application/vnd.github.v3+json"

// Further media types. GitHub has made most of the previews ordinary; servers of
// enterprises that are a few years old have not.
const (
	mediaGitHubJSON = "application/vnd.github+json"
	mediaLabels     = "application/vnd.github.symmetra-preview+json"
	mediaPulls      = "application/vnd.github.symmetra-preview+json, application/vnd.github.shadow-cat-preview"
	mediaReactions  = "application/vnd.github.squirrel-girl-preview"
)

// request is one request of the REST API.
type request struct {
	method string
	// path is escaped and relative to the endpoint; see path.
	path  string
	query url.Values
	// accept is the media type asked for; "" is mediaJSON.
	accept string
	// body is sent as JSON; nil sends none.
	body any
	// codes are the acceptable statuses. The first is what dry-run pretends.
	codes []int
	// probe marks a question whose answer may well be "there is none": it is not
	// waited for, and redirects are answers.
	probe bool
	// repeat marks a POST that may be made twice: the second changes nothing more.
	// once marks another request that may not.
	repeat, once bool
	// secret marks a body that is meant to hold a secret, such as that of a webhook.
	secret bool
}

// path joins escaped elements; "a/b" as one element stays one element.
func path(elements ...string) string {
	escaped := make([]string, len(elements))
	for i, e := range elements {
		escaped[i] = url.PathEscape(e)
	}
	return strings.Join(escaped, "/")
}

// repoPath is repos/org/repo followed by escaped elements.
func repoPath(org, repo string, elements ...string) string {
	return path(append([]string{"repos", org, repo}, elements...)...)
}

// below appends a name with slashes of its own, such as that of a file or a ref.
func below(base, name string) string {
	return base + "/" + path(strings.Split(name, "/")...)
}

// checkPath refuses elements that a server would read as another place: a login
// of ".." must not turn a question about a collaborator into one about the repository.
func checkPath(escaped string) error {
	for element := range strings.SplitSeq(escaped, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("%q is no name", element)
		}
	}
	return nil
}

// get reads one resource into out.
func (c *Client) get(ctx context.Context, path string, out any) error {
	_, err := c.send(ctx, request{method: http.MethodGet, path: path}, out)
	return err
}

// change sends a request that changes something and reads the answer into out,
// unless the client is in dry-run: then it is only logged, and out stays as it is.
func (c *Client) change(ctx context.Context, method, path string, body, out any, codes ...int) error {
	_, err := c.send(ctx, request{method: method, path: path, body: body, codes: codes}, out)
	return err
}

// postAgain is change with a POST that may be made twice.
func (c *Client) postAgain(ctx context.Context, path string, body, out any, codes ...int) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: path, body: body, codes: codes, repeat: true}, out)
	return err
}

// exists asks for a resource whose absence is an ordinary answer.
func (c *Client) exists(ctx context.Context, path, what string, yes int) (bool, error) {
	status, err := c.send(ctx, request{method: http.MethodGet, path: path, codes: []int{yes, http.StatusNotFound}, probe: true}, nil)
	if err != nil {
		return false, fmt.Errorf("ask for %s: %w", what, err)
	}
	return status == yes, nil
}

// send sends a request and reads an acceptable answer into out. It returns the
// status of the answer; any that is not acceptable is a *RequestError.
func (c *Client) send(ctx context.Context, r request, out any) (status int, err error) {
	answer, err := c.fetch(ctx, r)
	if err != nil {
		return answer.status, err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = bytes.Clone(answer.body)
		return answer.status, nil
	}
	if out != nil && len(answer.body) > 0 && answer.status < 300 {
		if err := json.Unmarshal(answer.body, out); err != nil {
			return answer.status, fmt.Errorf("%s %s: decode the answer: %w", r.method, r.path, err)
		}
	}
	return answer.status, nil
}

// fetched is an answer of the REST API.
type fetched struct {
	status int
	header http.Header
	body   []byte
	// from is the path that answered, relative to the endpoint; it differs from
	// the one asked for where the forge redirected.
	from string
}

// fetch sends a request and checks that its answer is acceptable. The answer may
// be shared with others and must not be modified.
func (c *Client) fetch(ctx context.Context, r request) (fetched, error) {
	c.used.Store(true)
	if len(r.codes) == 0 {
		r.codes = []int{http.StatusOK}
	}
	failed := func(err error) error { return fmt.Errorf("%s %s: %w", r.method, r.path, err) }
	if err := checkPath(r.path); err != nil {
		return fetched{}, failed(err)
	}
	if c.dryRun && r.method != http.MethodGet {
		c.log.InfoContext(ctx, "dry-run: not sent", "method", r.method, "path", r.path)
		return fetched{status: r.codes[0]}, nil
	}
	answer, err := c.fetchShared(ctx, r)
	if err != nil {
		return fetched{}, failed(err)
	}
	if !slices.Contains(r.codes, answer.status) {
		return answer, failed(newRequestError(answer.status, r.codes, answer.body))
	}
	return answer, nil
}

// fetchShared sends a request unless it is a read that the context has made.
func (c *Client) fetchShared(ctx context.Context, r request) (fetched, error) {
	shared := sharedReadsOf(ctx)
	switch {
	case shared == nil:
		return c.fetchNow(ctx, r)
	case r.method != http.MethodGet:
		// Also one that failed may have changed something.
		defer shared.forget(r.path)
		return c.fetchNow(ctx, r)
	}
	key := readKey{credentials: c.bot, org: strings.ToLower(orgOf(ctx, r.path)), target: r.target(), accept: r.accept, probe: r.probe}
	return shared.read(ctx, key, func() (fetched, error) { return c.fetchNow(ctx, r) })
}

// target is the path and the query.
func (r request) target() string {
	if len(r.query) == 0 {
		return r.path
	}
	return r.path + "?" + r.query.Encode()
}

func (c *Client) fetchNow(ctx context.Context, r request) (fetched, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return fetched{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// What http.Client adds is the method and the URL; the path is enough.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return fetched{}, err
	}
	defer resp.Body.Close()
	body, err := readBounded(resp.Body, maxResponse)
	if err != nil {
		return fetched{}, fmt.Errorf("read the answer: %w", err)
	}
	return fetched{status: resp.StatusCode, header: resp.Header, body: body, from: c.answering(resp, r.path)}, nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	if r.probe {
		ctx = expect404(ctx)
	}
	if r.once || r.method == http.MethodPost && !r.repeat {
		ctx = onlyOnce(ctx)
	}
	// A redirect may lead to a path without the org, which credentials and limits depend on.
	if org := orgOf(ctx, r.path); org != "" {
		ctx = WithOrg(ctx, org)
	}
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		if !r.secret {
			raw = c.censor(raw)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.String()+r.target(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c.identify(req)
	req.Header.Set("Accept", mediaJSON)
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	return req, nil
}

// identify says who asks, and which version of the API is meant. The field has
// the capitals that the forge's documentation gives it.
func (c *Client) identify(req *http.Request) {
	req.Header["X-GitHub-Api-Version"] = []string{apiVersion}
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
}

// answering is the path that answered, after redirects; that of a stranger does
// not count.
func (c *Client) answering(resp *http.Response, asked string) string {
	if resp.Request == nil || resp.Request.URL.Host != c.base.Host {
		return asked
	}
	if rest, ok := strings.CutPrefix(resp.Request.URL.EscapedPath(), c.base.EscapedPath()); ok {
		return rest
	}
	return asked
}

// followRedirect lets reads follow the forge to where something has moved. A
// change is only repeated where that is still the same change, at the same host.
// The answer 302 to a probe is an answer: it tells that the asker may not know.
func followRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) >= 10:
		return errors.New("more than 10 redirects")
	case req.Method != first.Method,
		req.Method != http.MethodGet && req.URL.Host != first.URL.Host,
		isProbe(first) && req.Response != nil && req.Response.StatusCode == http.StatusFound:
		return http.ErrUseLastResponse
	}
	return nil
}

// readBounded reads all there is, and refuses more than limit bytes.
func readBounded(r io.Reader, limit int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(body) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return body, nil
}
