package github

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// contents reads a file or directory at a commit or branch; "" is the default branch.
func (c *Client) contents(ctx context.Context, org, repo, name, commit string, out any) error {
	r := request{method: http.MethodGet, path: repoPath(org, repo, "contents"), probe: true}
	if name = strings.Trim(name, "/"); name != "" {
		r.path = below(r.path, name)
	}
	if commit != "" {
		r.query = url.Values{"ref": {commit}}
	}
	_, err := c.send(ctx, r, out)
	if IsNotFound(err) {
		return &kindError{kind: ErrFileNotFound, err: err}
	}
	return err
}

// GetFile reads a file at a commit or branch; "" is the default branch. A
// missing file is ErrFileNotFound, and satisfies IsNotFound.
func (c *Client) GetFile(ctx context.Context, org, repo, file, commit string) ([]byte, error) {
	failed := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("read %s of %s/%s: %w", file, org, repo, err)
	}
	var raw []byte
	if err := c.contents(ctx, org, repo, file, commit, &raw); err != nil {
		return failed(err)
	}
	if strings.HasPrefix(strings.TrimSpace(string(firstBytes(raw, 16))), "[") {
		return failed(errors.New("it is a directory"))
	}
	out, err := decode[struct {
		Content  string `json:"content"`
		Encoding string `json:"encoding"`
	}](raw)
	if err != nil {
		return failed(fmt.Errorf("decode the answer: %w", err))
	}
	if out.Encoding != "base64" {
		return failed(fmt.Errorf("unknown encoding %q", out.Encoding))
	}
	content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(out.Content)))
	if err != nil {
		return failed(err)
	}
	return content, nil
}

// DirectoryEntry is an entry of a directory.
type DirectoryEntry struct {
	SHA string `json:"sha"`
	// Type is "file", "dir", "symlink" or "submodule".
	Type string `json:"type"`
	Name string `json:"name"`
	Path string `json:"path"`
}

// GetDirectory lists a directory at a commit or branch; "" is the root, or the
// default branch. A missing one is ErrFileNotFound.
func (c *Client) GetDirectory(ctx context.Context, org, repo, directory, commit string) ([]DirectoryEntry, error) {
	var out []DirectoryEntry
	if err := c.contents(ctx, org, repo, directory, commit, &out); err != nil {
		return nil, fmt.Errorf("list %q of %s/%s: %w", directory, org, repo, err)
	}
	return out, nil
}
