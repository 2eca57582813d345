package spyglass

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template"
)

// Link leads somewhere from the page of a run.
type Link struct {
	Name, URL, Description string
}

const (
	// MaxStarted bounds the file that may have further links, in bytes.
	MaxStarted = 1_000_000
	// maxLinks is how many further links a run may have; maxLinkText bounds a text of one.
	maxLinks    = 50
	maxLinkText = 300
)

// ExtraLinks are those that a job left in its started.json, under metadata.links. Its
// author may be anyone: only addresses of the web are links.
func ExtraLinks(started []byte) ([]Link, error) {
	var file struct {
		Metadata struct {
			Links map[string]json.RawMessage `json:"links"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(started, &file); err != nil {
		return nil, fmt.Errorf("the links in started.json cannot be read: %w", err)
	}
	var out []Link
	for name, raw := range file.Metadata.Links {
		var l struct {
			URL         string `json:"url"`
			Description string `json:"description"`
		}
		if name == "" || json.Unmarshal(raw, &l) != nil || !IsWeb(l.URL) {
			continue
		}
		out = append(out, Link{clip(name), l.URL, clip(l.Description)})
	}
	slices.SortFunc(out, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxLinks)], nil
}

func clip(s string) string {
	if len(s) <= maxLinkText {
		return s
	}
	return strings.ToValidUTF8(s[:maxLinkText], "") + "…"
}

// IsWeb tells whether an address is one of the web, and so does no harm as a link.
func IsWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && len(address) < 4096
}

// BrowserLink is where people look at a directory of a bucket, below the address of a
// browser of buckets; empty without one.
func BrowserLink(prefix, bucket, key string) string {
	if prefix == "" {
		return ""
	}
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return prefix + strings.Trim(bucket, "/") + "/" + strings.Trim(key, "/") + "/"
}

// PullLink makes the address of a pull request's history from the template of the
// configuration. What begins with a slash is a page of this site, relative to its root.
func PullLink(t *template.Template, org, repo string, number int) (string, error) {
	var out strings.Builder
	if err := t.Execute(&out, struct {
		Org, Repo string
		Number    int
	}{org, repo, number}); err != nil {
		return "", err
	}
	text := out.String()
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		return strings.TrimPrefix(text, "/"), nil
	}
	if !IsWeb(text) {
		return "", fmt.Errorf("%q is neither a page of this site nor an http or https URL", text)
	}
	return text, nil
}
