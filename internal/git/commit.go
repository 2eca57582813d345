package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Identity is who makes commits.
type Identity struct {
	Name, Email string
	// SigningKey is a file with a private key of SSH. Empty: commits are not signed.
	SigningKey string
}

// settings are the settings with which git commits as the identity.
func (i Identity) settings() []Setting {
	s := []Setting{{"user.name", i.Name}, {"user.email", i.Email}, {"commit.gpgsign", "false"}}
	if i.SigningKey != "" {
		s = append(s, Setting{"gpg.format", "ssh"}, Setting{"user.signingkey", i.SigningKey}, Setting{"commit.gpgsign", "true"})
	}
	return s
}

// As makes the tree commit under another identity from now on.
func (t *Tree) As(who Identity) { t.runner = t.runner.With(who.settings()...) }

// Commit commits everything that differs. The author is the identity of the tree
// unless one is given; the body may be empty.
func (t *Tree) Commit(ctx context.Context, title, body string, author *Identity) error {
	if _, err := t.Run(ctx, "add", "--all"); err != nil {
		return err
	}
	args := []string{"commit", "--quiet", "--message=" + title}
	if body != "" {
		args = append(args, "--message="+body)
	}
	if author != nil {
		if strings.ContainsAny(author.Name+author.Email, "<>\n") {
			return fmt.Errorf("%q with %q is no author", author.Name, author.Email)
		}
		args = append(args, fmt.Sprintf("--author=%s <%s>", author.Name, author.Email))
	}
	_, err := t.Run(ctx, args...)
	return err
}

// PatchError says that a patch does not apply. The tree is as before.
type PatchError struct {
	// Output is what git says about it.
	Output string
	err    error
}

func (e *PatchError) Error() string { return "the patch does not apply: " + e.Output }

// Unwrap returns the failure of git.
func (e *PatchError) Unwrap() error { return e.err }

// Am commits the patches of a mailbox, as the authors it names, with the
// tree's identity as committer. What a patch was made of helps to place it. Where
// one does not apply the error is a *PatchError, and none is committed.
func (t *Tree) Am(ctx context.Context, mailbox []byte) error {
	head, err := t.RevParse(ctx, "HEAD")
	if err != nil {
		return err
	}
	// Beside the tree, where it is no file of it.
	file := filepath.Join(t.dir, ".git", "prow-mailbox")
	if err := os.WriteFile(file, mailbox, 0o600); err != nil {
		return fmt.Errorf("writing the patches: %w", err)
	}
	defer os.Remove(file) //nolint:errcheck // it goes with the tree
	var said strings.Builder
	err = t.runner.Combined(ctx, t.dir, &limited{Builder: &said, left: maxAmOutput}, "am", "--3way", file)
	if err == nil {
		return nil
	}
	t.cache.complain(t.mirror, err)
	if ctx.Err() != nil {
		return err
	}
	if _, abort := t.Run(ctx, "am", "--abort"); abort != nil {
		// Git did not even begin; or it cannot end it, which the reset tells.
		if _, reset := t.Run(ctx, "reset", "--quiet", "--hard", head); reset != nil {
			return fmt.Errorf("taking patches back that do not apply: %w", errors.Join(reset, abort, err))
		}
	}
	return &PatchError{Output: Redact(strings.TrimSpace(said.String())), err: err}
}

// maxAmOutput bounds what a PatchError says, in bytes.
const maxAmOutput = 16 << 10

// limited drops what is beyond a limit.
type limited struct {
	*strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	keep := min(len(p), l.left)
	l.left -= keep
	_, _ = l.Builder.Write(p[:keep]) // it never fails
	return len(p), nil
}

// FormatPatch is what a head has that a base has not, as a mailbox for Am.
func (t *Tree) FormatPatch(ctx context.Context, base, head string) ([]byte, error) {
	if err := errors.Join(noFlag(base), noFlag(head)); err != nil {
		return nil, err
	}
	out, err := t.Run(ctx, "format-patch", "--stdout", "--binary", base+".."+head)
	if err == nil && out != "" {
		out += "\n"
	}
	return []byte(out), err
}
