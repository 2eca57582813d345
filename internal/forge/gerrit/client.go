package gerrit

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
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"prow/internal/secret"
)

const (
	requestLimit = time.Minute
	maxAnswer    = 32 << 20
	// xssiPrefix stands before every JSON answer.
	xssiPrefix = ")]}'"
)

// ErrNotFound tells that Gerrit does not know, or does not show, what was asked for.
var ErrNotFound = errors.New("not found")

// ErrReadOnly tells that the client changes nothing.
var ErrReadOnly = errors.New("nothing is changed on Gerrit in a dry run")

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	Body string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("Gerrit answers status %d: %s", e.Code, strings.TrimSpace(e.Body))
}

// Is makes a 404 an ErrNotFound.
func (e *StatusError) Is(target error) bool {
	return target == ErrNotFound && e.Code == http.StatusNotFound
}

// Options say how to reach Gerrit.
type Options struct {
	// Instances are the URLs of the instances that may be called, asked for each time.
	Instances func() []string
	// Cookie is the value of the cookie "o"; nil is anonymous. It is asked for each
	// time, so a rotated one counts at once.
	Cookie func() secret.Value
	// Component and version name the caller.
	Component string
	// QPS and Burst limit all requests together; a QPS of 0 is no limit.
	QPS, Burst int
	// ReadOnly refuses every request that would change something.
	ReadOnly bool
	// Transport carries requests. Nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Client calls instances of Gerrit. It is safe for concurrent use.
type Client struct {
	options Options
	http    *http.Client
	limit   *rate.Limiter
}

// NewClient makes a client; it sends nothing.
func NewClient(o Options) *Client {
	c := &Client{options: o, limit: rate.NewLimiter(rate.Inf, 1)}
	if o.QPS > 0 {
		c.limit = rate.NewLimiter(rate.Limit(o.QPS), max(o.Burst, 1))
	}
	c.http = &http.Client{
		Transport: o.Transport, Timeout: requestLimit,
		// A redirect would take the cookie along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// CookieFromFile is the cookie in the text of a cookie file: its last field.
func CookieFromFile(content string) string {
	fields := strings.Fields(content)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// SetReview posts a message on a revision, with votes by label such as "+1".
func (c *Client) SetReview(ctx context.Context, instance, id, revision, message string, votes map[string]string) error {
	labels := make(map[string]int, len(votes))
	for label, vote := range votes {
		n, err := strconv.Atoi(vote)
		if err != nil {
			return fmt.Errorf("review change %s: the vote %q on %s is no integer", id, vote, label)
		}
		labels[label] = n
	}
	body := map[string]any{"message": message}
	if len(labels) > 0 {
		body["labels"] = labels
	}
	if err := c.do(ctx, http.MethodPost, instance, []string{"changes", plainID(id), "revisions", revision, "review"}, nil, body, nil); err != nil {
		return fmt.Errorf("review change %s of %s: %w", id, instance, err)
	}
	return nil
}

// address is the URL of a resource. With a cookie all paths begin with /a/.
func address(instance string, authenticated bool, path []string, query url.Values) (string, error) {
	u, err := url.Parse(instance)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is not the URL of a Gerrit instance", instance)
	}
	var escaped []string
	if authenticated {
		escaped = append(escaped, "a")
	}
	for _, element := range path {
		// Gerrit decodes paths as forms are: a plus would be a blank.
		escaped = append(escaped, url.QueryEscape(element))
	}
	out := strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/") + "/" + strings.Join(escaped, "/")
	if len(query) > 0 {
		out += "?" + query.Encode()
	}
	return out, nil
}

func (c *Client) do(ctx context.Context, method, instance string, path []string, query url.Values, in, out any) error {
	trim := func(s string) string { return strings.TrimRight(s, "/") }
	known := func(s string) bool { return trim(s) == trim(instance) }
	if !slices.ContainsFunc(c.options.Instances(), known) {
		return fmt.Errorf("the instance %q is not configured", instance)
	}
	if c.options.ReadOnly && method != http.MethodGet {
		return ErrReadOnly
	}
	cookie := ""
	if c.options.Cookie != nil {
		cookie = c.options.Cookie().Reveal()
	}
	target, err := address(instance, cookie != "", path, query)
	if err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	req.Header.Add("User-Agent", "prow prow/"+c.options.Component)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if cookie != "" {
		req.AddCookie(&http.Cookie{Name: "o", Value: cookie})
	}
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case len(content) > maxAnswer:
		return fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return &StatusError{Code: resp.StatusCode, Body: string(content[:min(len(content), 500)])}
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(bytes.TrimPrefix(content, []byte(xssiPrefix)), out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}
