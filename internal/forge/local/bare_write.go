package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pathChange puts an object at a path of a tree, or removes the path when Mode is empty.
type pathChange struct{ Path, Mode, SHA string }

// validPath accepts paths inside a repository: relative, clean, nothing named
// ".git" in any spelling a file system might take for it, no control characters.
func validPath(p string) bool {
	if p == "" || len(p) > 4096 || strings.ContainsAny(p, "\x00\n\r\\") {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.HasPrefix(strings.ToLower(part), "git~") {
			return false
		}
	}
	return true
}

func (b bare) writeBlob(ctx context.Context, data []byte) (string, error) {
	out, err := b.git.run(ctx, b.dir, input{stdin: bytes.NewReader(data)}, "hash-object", "-w", "--stdin")
	if err != nil {
		return "", fmt.Errorf("writing blob: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// editTree applies changes to a tree ("" is the empty one) in an index of its own.
func (b bare) editTree(ctx context.Context, base string, changes []pathChange) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "edit-")
	if err != nil {
		return "", fmt.Errorf("editing a tree: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // at worst an empty directory stays
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if base != "" {
		if _, err := b.git.run(ctx, b.dir, input{env: env}, "read-tree", base); err != nil {
			return "", fmt.Errorf("reading tree %s: %w", base, err)
		}
	}
	var in strings.Builder
	for _, c := range changes {
		if c.Mode == "" {
			fmt.Fprintf(&in, "0 %s\t%s\x00", zeroSHA, c.Path)
			continue
		}
		if c.Mode == "040000" { // a whole directory: its files
			entries, err := b.treeFiles(ctx, c.SHA)
			if err != nil {
				return "", err
			}
			for _, e := range entries {
				fmt.Fprintf(&in, "%s %s\t%s/%s\x00", e.Mode, e.SHA, c.Path, e.Path)
			}
			continue
		}
		fmt.Fprintf(&in, "%s %s\t%s\x00", c.Mode, c.SHA, c.Path)
	}
	if _, err := b.git.run(ctx, b.dir, input{env: env, stdin: strings.NewReader(in.String())}, "update-index", "-z", "--replace", "--index-info"); err != nil {
		return "", unprocessable("Invalid tree info")
	}
	out, err := b.git.run(ctx, b.dir, input{env: env}, "write-tree")
	if err != nil {
		return "", fmt.Errorf("writing tree: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// treeFiles lists the files of a tree, those of its directories included.
func (b bare) treeFiles(ctx context.Context, sha string) ([]treeEntry, error) {
	all, err := b.tree(ctx, sha, true)
	var files []treeEntry
	for _, e := range all {
		if e.Type != "tree" {
			files = append(files, e)
		}
	}
	return files, err
}

// mode returns the mode of a file in a commit.
func (b bare) mode(ctx context.Context, commit, file string) (string, error) {
	out, err := b.run(ctx, "ls-tree", "-z", commit, "--", ":(literal)"+file)
	if err != nil {
		return "", fmt.Errorf("reading mode of a file: %w", err)
	}
	mode, _, ok := strings.Cut(string(out), " ")
	if !ok {
		return "", errNoObject
	}
	return mode, nil
}

// annotated is a parsed tag object.
type annotated struct {
	Name, Object, Type, Message string
	Tagger                      signature
}

func (b bare) writeTag(ctx context.Context, name, object, kind string, tagger signature, message string) (string, error) {
	text := fmt.Sprintf("object %s\ntype %s\ntag %s\ntagger %s <%s> %d +0000\n\n%s\n", object, kind, name, identName(tagger.Name), identName(tagger.Email), tagger.When.Unix(), strings.TrimRight(message, "\n"))
	out, err := b.git.run(ctx, b.dir, input{stdin: strings.NewReader(text)}, "mktag")
	if err != nil {
		return "", fmt.Errorf("writing tag: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (b bare) tag(ctx context.Context, sha string) (*annotated, error) {
	kind, _, _, err := b.object(ctx, sha)
	if err != nil || kind != "tag" {
		return nil, errors.Join(err, errNoObject)
	}
	out, err := b.run(ctx, "cat-file", "tag", sha)
	if err != nil {
		return nil, fmt.Errorf("reading tag %s: %w", sha, err)
	}
	head, message, _ := strings.Cut(string(out), "\n\n")
	t := &annotated{Message: strings.TrimRight(message, "\n")}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "object":
			t.Object = value
		case "type":
			t.Type = value
		case "tag":
			t.Name = value
		case "tagger":
			name, rest, _ := strings.Cut(value, " <")
			email, rest, _ := strings.Cut(rest, "> ")
			seconds, _, _ := strings.Cut(rest, " ")
			at, err := strconv.ParseInt(seconds, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("reading tag %s: %w", sha, err)
			}
			t.Tagger = signature{name, email, time.Unix(at, 0).UTC()}
		}
	}
	return t, nil
}
