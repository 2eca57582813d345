package checkconfig

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"prow/internal/config"
	"prow/internal/config/yamldec"
)

// file is a parsed file.
type file struct {
	// dir is the directory of supplemental files it lies in; empty for the
	// main file.
	dir, path string
	data      []byte
	root      *yaml.Node
}

// files are the main file and its supplemental files, in the order in which
// they are merged.
type files []file

// readFiles reads a main file, and the files of directories whose path ends
// with the suffix. They have been loaded before, so they can be parsed.
func readFiles(main string, dirs []string, suffix string) (files, error) {
	var out files
	add := func(dir, path string) error {
		data, err := config.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		root, problem := yamldec.Parse(data, yamldec.Limits{})
		if problem != nil {
			return fmt.Errorf("reading %s: %w", path, problem)
		}
		out = append(out, file{dir: dir, path: path, data: data, root: root})
		return nil
	}
	if err := add("", main); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		paths, err := config.FilesWithSuffix(dir, suffix)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", dir, err)
		}
		for _, path := range paths {
			if err := add(dir, path); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// at is a problem with the value behind some keys, where it stands: in the file
// that has most of them. A key such as [2] is an element of a list.
func (fs files) at(keys []string, format string, args ...any) config.Problem {
	p := config.Problem{Field: fieldPath(keys), Message: fmt.Sprintf(format, args...)}
	best := -1
	for _, f := range fs {
		depth, line, column := locate(f.root, keys)
		if depth > best {
			best = depth
			p.File, p.Line, p.Column = f.path, line, column
		}
	}
	return p
}

// locate follows keys as far as they exist.
func locate(n *yaml.Node, keys []string) (depth, line, column int) {
	for _, key := range keys {
		if n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n == nil {
			break
		}
		child, at := step(n, key)
		if child == nil {
			break
		}
		depth, line, column, n = depth+1, at.Line, at.Column, child
	}
	return depth, line, column
}

// step is the value behind a key, and the node that shows where it stands.
func step(n *yaml.Node, key string) (child, at *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		// The last of equal keys counts.
		for i := len(n.Content) - 2; i >= 0; i -= 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1], n.Content[i]
			}
		}
	case yaml.SequenceNode:
		i, err := strconv.Atoi(strings.Trim(key, "[]"))
		if err == nil && strings.HasPrefix(key, "[") && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	}
	return nil, nil
}

func fieldPath(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		if b.Len() > 0 && !strings.HasPrefix(key, "[") {
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}

func element(i int) string { return "[" + strconv.Itoa(i) + "]" }
