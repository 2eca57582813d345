package configtool

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fieldsJSON says what the keys mean; `make generate` writes it.
//
//go:embed fields.json
var fieldsJSON []byte

// fieldDocs are the keys of each type; "" is the file.
type fieldDocs map[string][]struct {
	Key   string `json:"key"`
	Shape string `json:"shape"`
	Elem  string `json:"elem"`
	Doc   string `json:"doc"`
}

func readFieldDocs() (fieldDocs, error) {
	var out fieldDocs
	if err := json.Unmarshal(fieldsJSON, &out); err != nil {
		return nil, fmt.Errorf("reading the embedded table of keys: %w", err)
	}
	return out, nil
}

// find describes the key at a path: its type and what it means. Below a list
// or a map the steps through it do not count.
func (d fieldDocs) find(p path) (typ, doc string) {
	object, shape := "", ""
	for _, step := range p {
		if shape != "" {
			// An index or a key of a map.
			shape = strings.TrimPrefix(strings.TrimPrefix(shape, "list of "), "map to ")
			typ = shape + object
			continue
		}
		found := false
		for _, f := range d[object] {
			if f.Key == step {
				typ, doc, shape, object, found = f.Shape+f.Elem, f.Doc, f.Shape, f.Elem, true
				break
			}
		}
		if !found {
			return "", ""
		}
	}
	return typ, doc
}

// paths are the keys down to the second level, for suggestions.
func (d fieldDocs) paths() []string {
	out := map[string]bool{}
	for _, f := range d[""] {
		out[f.Key] = true
		if f.Shape == "" {
			for _, g := range d[f.Elem] {
				out[f.Key+"."+g.Key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// split takes "a.b[2].c" apart. Keys may hold dots and slashes: the longest key
// that exists goes first. The result is nil unless the configuration has such
// a value or could have it.
func split(root *yaml.Node, docs fieldDocs, text string) path {
	var p path
	n := root
	for text != "" {
		text = strings.TrimPrefix(text, ".")
		step, rest := "", ""
		if number, after, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(number, "[") {
			if _, err := strconv.Atoi(number[1:]); err != nil {
				return nil
			}
			step, rest = number[1:], after
		} else {
			step, rest = longestKey(n, text)
		}
		p = append(p, step)
		if n != nil {
			n, _ = child(n, step)
		}
		text = rest
	}
	if _, _, ok := lookup(root, p); ok {
		return p
	}
	if typ, _ := docs.find(p); typ != "" {
		return p
	}
	return nil
}

// longestKey takes the first step of a path.
func longestKey(n *yaml.Node, text string) (key, rest string) {
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			after, ok := strings.CutPrefix(text, name)
			if ok && len(name) >= len(key) && (after == "" || after[0] == '.' || after[0] == '[') {
				key, rest = name, after
			}
		}
		if key != "" {
			return key, rest
		}
	}
	if end := strings.IndexAny(text, ".["); end > 0 {
		return text[:end], text[end:]
	}
	return text, ""
}
