package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// list reads all pages of a list of T.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	return listAs[T](ctx, c, "", path, query)
}

// listAs is list with a media type.
func listAs[T any](ctx context.Context, c *Client, accept, path string, query url.Values) ([]T, error) {
	return collect(ctx, c, request{path: path, query: query, accept: accept}, decode[[]T])
}

func decode[T any](raw json.RawMessage) (out T, err error) {
	return out, json.Unmarshal(raw, &out)
}

// listUnder reads all pages and lets items find the list in each.
func listUnder[T any](ctx context.Context, c *Client, path string, query url.Values, items func(json.RawMessage) ([]T, error)) ([]T, error) {
	return collect(ctx, c, request{path: path, query: query}, items)
}

// under finds a list below a key of an object.
func under[T any](key string) func(json.RawMessage) ([]T, error) {
	return func(raw json.RawMessage) ([]T, error) {
		var page map[string]json.RawMessage
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, err
		}
		var items []T
		if len(page[key]) == 0 {
			return nil, nil
		}
		return items, json.Unmarshal(page[key], &items)
	}
}

func collect[T any](ctx context.Context, c *Client, r request, items func(json.RawMessage) ([]T, error)) ([]T, error) {
	var all []T
	err := c.pages(ctx, r, func(raw []byte) (bool, error) {
		page, err := items(raw)
		all = append(all, page...)
		return true, err
	})
	return all, err
}

// pages reads page after page, as long as visit wants more and the forge has
// more. A forge that never ends is an error.
func (c *Client) pages(ctx context.Context, r request, visit func(raw []byte) (more bool, err error)) error {
	query := url.Values{"per_page": {"100"}}
	for key, values := range r.query {
		query[key] = values
	}
	r.method, r.query = http.MethodGet, query
	seen, total := map[string]bool{}, 0
	for range maxPages {
		answer, err := c.fetch(ctx, r)
		if err != nil {
			return err
		}
		if total += len(answer.body); total > maxListed {
			return fmt.Errorf("GET %s: the list is larger than %d bytes", r.path, maxListed)
		}
		if len(answer.body) > 0 {
			more, err := visit(answer.body)
			if err != nil {
				return fmt.Errorf("GET %s: decode page: %w", r.path, err)
			}
			if !more {
				return nil
			}
		}
		if r.query = nextQuery(answer.header.Get("Link")); r.query == nil {
			return nil
		}
		r.path = answer.from
		page := r.path + "?" + r.query.Encode()
		if seen[page] {
			return fmt.Errorf("GET %s: the pages of the list go round in circles", r.path)
		}
		seen[page] = true
	}
	return fmt.Errorf("GET %s: the list has more than %d pages", r.path, maxPages)
}

// linkHeader is one link of a Link field; maxLinks are read.
var linkHeader = regexp.MustCompile(`<([^>]*)>; *rel="([^"]*)"`)

const maxLinks = 10

// nextQuery is the query of the rel="next" link, nil without one. The host and
// path of the link are not used: pages always come from the place that answered,
// which is the forge's own address or that of a proxy the forge knows nothing of.
func nextQuery(link string) (next url.Values) {
	for _, match := range linkHeader.FindAllStringSubmatch(link, maxLinks) {
		if match[2] != "next" {
			continue
		}
		next = nil
		if _, query, ok := strings.Cut(match[1], "?"); ok {
			query, _, _ = strings.Cut(query, "#")
			if values, err := url.ParseQuery(query); err == nil {
				next = values
			}
		}
	}
	return next
}
