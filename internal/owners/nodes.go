package owners

import (
	"fmt"
	"iter"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// The files are read as nodes rather than into Go values: a login such as "no"
// or "007" stays what its author wrote, and a mistake is told with its line.

// maxValues and maxDepth bound a file, with what its YAML aliases stand for
// counted at each use.
const (
	maxValues = 200_000
	maxDepth  = 100
)

// parseDocument returns the map at the top of a file; nil for an empty file.
func parseDocument(content []byte) (*yaml.Node, error) {
	if len(content) > maxFile {
		return nil, fmt.Errorf("more than %d bytes", maxFile)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		return nil, nil
	}
	budget := maxValues
	if !affordable(&document, &budget, maxDepth) {
		return nil, fmt.Errorf("more than %d values, or nested deeper than %d levels", maxValues, maxDepth)
	}
	if root := document.Content[0]; root.Kind == yaml.MappingNode {
		return root, nil
	}
	return nil, fmt.Errorf("line %d: found no map, expected one", document.Content[0].Line)
}

// affordable counts a node and all below it.
func affordable(n *yaml.Node, budget *int, depth int) bool {
	n = resolved(n)
	*budget--
	if *budget < 0 || depth == 0 {
		return false
	}
	for _, child := range n.Content {
		if !affordable(child, budget, depth-1) {
			return false
		}
	}
	return true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// resolved is what an alias of YAML stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// pairs yields the keys and values of a map; of what it merges first, so that
// its own keys win with a caller that lets the last one count.
func pairs(m *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) { yieldPairs(m, yield) }
}

func yieldPairs(m *yaml.Node, yield func(string, *yaml.Node) bool) bool {
	if m == nil || m.Kind != yaml.MappingNode {
		return true
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].ShortTag() == "!!merge" && !yieldPairs(resolved(m.Content[i+1]), yield) {
			return false
		}
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		key := resolved(m.Content[i])
		if key.Kind == yaml.ScalarNode && m.Content[i].ShortTag() != "!!merge" && !yield(key.Value, resolved(m.Content[i+1])) {
			return false
		}
	}
	return true
}

// texts reads a list of scalars; null is an empty one, and null members are left out.
func texts(field string, n *yaml.Node) ([]string, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: %s: found no list, expected one", n.Line, field)
	}
	var out []string
	for _, member := range n.Content {
		member = resolved(member)
		switch {
		case isNull(member):
		case member.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: %s: found a list or map, expected a name", member.Line, field)
		default:
			out = append(out, member.Value)
		}
	}
	return out, nil
}

func flag(field string, n *yaml.Node) (bool, error) {
	if isNull(n) {
		return false, nil
	}
	var b bool
	if n.Kind != yaml.ScalarNode || n.Decode(&b) != nil {
		return false, fmt.Errorf("line %d: %s: found %s, expected true or false", n.Line, field, strconv.Quote(n.Value))
	}
	return b, nil
}

func readPeople(prefix string, m *yaml.Node) (p People, err error) {
	if m.Kind != yaml.MappingNode && !isNull(m) {
		return p, fmt.Errorf("line %d: %s: found no map, expected one with approvers or reviewers", m.Line, prefix)
	}
	for key, value := range pairs(m) {
		var list *[]string
		switch key {
		case "approvers":
			list = &p.Approvers
		case "reviewers":
			list = &p.Reviewers
		case "required_reviewers":
			list = &p.RequiredReviewers
		case "labels":
			list = &p.Labels
		default:
			continue
		}
		if *list, err = texts(prefix+key, value); err != nil {
			return People{}, err
		}
	}
	return p, nil
}

func readOptions(m *yaml.Node) (o Options, err error) {
	for key, value := range pairs(m) {
		if key != "options" {
			continue
		}
		if value.Kind != yaml.MappingNode && !isNull(value) {
			return o, fmt.Errorf("line %d: options: found no map, expected one", value.Line)
		}
		for key, value := range pairs(value) {
			switch key {
			case "no_parent_owners":
				o.NoParentOwners, err = flag("options."+key, value)
			case "auto_approve_unowned_subfolders":
				o.AutoApproveUnownedSubfolders, err = flag("options."+key, value)
			}
			if err != nil {
				return Options{}, err
			}
		}
	}
	return o, nil
}

// readFilters reads the owners by expression.
func readFilters(m *yaml.Node) (map[string]People, error) {
	var out map[string]People
	for key, value := range pairs(m) {
		if key != "filters" {
			continue
		}
		if value.Kind != yaml.MappingNode && !isNull(value) {
			return nil, fmt.Errorf("line %d: filters: found no map, expected one", value.Line)
		}
		out = map[string]People{}
		for filter, people := range pairs(value) {
			p, err := readPeople("filters."+filter+".", people)
			if err != nil {
				return nil, err
			}
			out[filter] = p
		}
	}
	return out, nil
}
