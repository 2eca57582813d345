package yamldec

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Locate finds the place of a field, given by the path a Problem would have,
// below root; or of its nearest ancestor that exists, so that a field that is
// missing is reported where it would stand.
func Locate(root *yaml.Node, path string) (line, column int) {
	n := root
	for n != nil {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		line, column = n.Line, n.Column
		path = strings.TrimPrefix(path, ".")
		if path == "" {
			break
		}
		key, child, rest := step(n, path)
		if child == nil {
			break
		}
		if key != nil {
			// The place of a map or a list is that of its key.
			if line, column = key.Line, key.Column; rest == "" {
				break
			}
		}
		n, path = child, rest
	}
	return line, column
}

// NodeAt finds the map that starts at a place, looking everywhere below n.
func NodeAt(n *yaml.Node, line, column int) *yaml.Node {
	if n == nil || n.Line > line && n.Kind != yaml.AliasNode {
		return nil
	}
	if n.Kind == yaml.MappingNode && n.Line == line && n.Column == column {
		return n
	}
	for _, c := range n.Content {
		if found := NodeAt(c, line, column); found != nil {
			return found
		}
	}
	return nil
}

// step takes the longest key that starts the path; keys may hold dots.
func step(n *yaml.Node, path string) (key, child *yaml.Node, rest string) {
	switch n.Kind {
	case yaml.SequenceNode:
		number, after, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(number)
		if ok && err == nil && i >= 0 && i < len(n.Content) {
			return nil, n.Content[i], after
		}
	case yaml.MappingNode:
		best := ""
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := keyText(n.Content[i])
			after, ok := strings.CutPrefix(path, name)
			if ok && len(name) >= len(best) && name != "" && (after == "" || after[0] == '.' || after[0] == '[') {
				best, key, child, rest = name, n.Content[i], n.Content[i+1], after
			}
		}
	}
	return key, child, rest
}

// HasKey tells whether the first document of data is a map with the key.
func HasKey(data []byte, key string) bool {
	if !bytes.Contains(data, []byte(key)) {
		return false
	}
	root, _ := Parse(data, Limits{})
	if root == nil || root.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(root.Content); i += 2 {
		if keyText(root.Content[i]) == key {
			return true
		}
	}
	return false
}
