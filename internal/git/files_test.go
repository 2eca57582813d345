package git

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFilesOfACommitAreReadWithoutAWorkTree(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	var paths, blobs []string
	var contents []string
	read := func(m *Mirror) error {
		paths, blobs, contents = nil, nil, nil
		if err := m.List(t.Context(), func(path, blob string) { paths, blobs = append(paths, path), append(blobs, blob) }); err != nil {
			return err
		}
		return m.Read(t.Context(), blobs, 10, func(_ int, content []byte) { contents = append(contents, string(content)) })
	}
	if err := c.Files(t.Context(), "org", "repo", u.sha["two"], read); err != nil {
		t.Fatal(err)
	}
	if want := []string{".prow/jobs.yaml", "README", "src/deep/code", "two"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
	if want := []string{"", "base\n", "code\n", "two\n"}; !slices.Equal(contents, want) {
		t.Errorf("contents %q, want %q (the first is too large)", contents, want)
	}
	asked := u.asked
	if err := c.Files(t.Context(), "org", "repo", u.sha["two"], read); err != nil || u.asked != asked {
		t.Errorf("asked the remote for a commit that was there; error %v", err)
	}
	if err := c.Files(t.Context(), "org", "repo", strings.Repeat("0", 40), read); err == nil {
		t.Error("a commit that does not exist must be an error")
	}
	if err := c.Files(t.Context(), "org", "repo", "main", read); err == nil {
		t.Error("only hashes name commits for good")
	}
	if err := c.Files(t.Context(), "org", "repo", u.sha["two"], func(m *Mirror) error {
		return m.Read(t.Context(), []string{strings.Repeat("0", 40)}, 10, func(int, []byte) { t.Error("there is no such blob") })
	}); err == nil {
		t.Error("a blob that does not exist must be an error")
	}
}

func TestPipeEndsWhenItsReaderFails(t *testing.T) {
	u := newUpstream(t)
	boom := errors.New("boom")
	err := u.runner.Pipe(t.Context(), u.dir, nil, func(io.Reader) error { return boom }, "log", "--all", "-p")
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := u.runner.Pipe(t.Context(), u.dir, nil, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, "no-such-command"); err == nil {
		t.Error("a failed command must be an error")
	}
}
