package owners

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/sets"
)

// maxFile bounds the size of one file in bytes.
const maxFile = 1 << 20

// Options are what an OWNERS file says about itself.
type Options struct {
	// NoParentOwners keeps the owners of parent directories from owning this one.
	NoParentOwners bool
	// AutoApproveUnownedSubfolders lets changes below directories without an
	// OWNERS file pass without approval.
	AutoApproveUnownedSubfolders bool
}

// People are the owners of files; aliases are not expanded.
type People struct {
	Approvers         []string
	Reviewers         []string
	RequiredReviewers []string
	Labels            []string
}

func (p *People) empty() bool {
	return len(p.Approvers) == 0 && len(p.Reviewers) == 0 && len(p.RequiredReviewers) == 0 && len(p.Labels) == 0
}

// MatchAll is the filter that stands for all files.
const MatchAll = ".*"

// Parsed is the content of an OWNERS file.
type Parsed struct {
	Options Options
	// Filters hold the owners by expression; the simple form has only MatchAll.
	Filters map[string]People
	// Simple tells that the file had the simple form.
	Simple bool
}

// Parse reads an OWNERS file: in the simple form, or where that names nobody in
// the full form.
func Parse(content []byte) (*Parsed, error) {
	root, err := parseDocument(content)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return &Parsed{}, nil
	}
	options, err := readOptions(root)
	if err != nil {
		return nil, err
	}
	people, simpleErr := readPeople("", root)
	if simpleErr == nil && !people.empty() {
		return &Parsed{Options: options, Filters: map[string]People{MatchAll: people}, Simple: true}, nil
	}
	filters, err := readFilters(root)
	if err == nil && len(filters) == 0 {
		// Nothing was meant to be the full form, so what is wrong with the simple one counts.
		err = simpleErr
	}
	if err != nil {
		return nil, err
	}
	return &Parsed{Options: options, Filters: filters}, nil
}

// ParseMarkdown reads the owners at the head of a Markdown file; nil without a head.
func ParseMarkdown(content []byte) (*Parsed, error) {
	if !bytes.HasPrefix(content, []byte("---\n")) {
		return nil, nil
	}
	// The last line that begins with --- ends the block.
	end := bytes.LastIndex(content, []byte("\n---"))
	if end < len("---") {
		return nil, nil
	}
	root, err := parseDocument(content[len("---\n"):max(end, len("---\n"))])
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return &Parsed{Simple: true}, nil
	}
	options, err := readOptions(root)
	if err != nil {
		return nil, err
	}
	people, err := readPeople("", root)
	if err != nil {
		return nil, err
	}
	return &Parsed{Options: options, Filters: map[string]People{MatchAll: people}, Simple: true}, nil
}

// Aliases are lists of people by name; names and people are normalised.
type Aliases map[string][]string

// ParseAliases reads an OWNERS_ALIASES file. Where single aliases are wrong, the
// error comes with the others.
func ParseAliases(content []byte) (Aliases, error) {
	out := Aliases{}
	root, err := parseDocument(content)
	if err != nil {
		return nil, err
	}
	var errs []error
	for key, value := range pairs(root) {
		if key != "aliases" {
			continue
		}
		if value.Kind != yaml.MappingNode && !isNull(value) {
			return nil, fmt.Errorf("line %d: aliases: found no map, expected one", value.Line)
		}
		for name, value := range pairs(value) {
			members, err := aliasMembers("aliases."+name, value)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			out[Normalize(name)] = normalizeAll(members)
		}
	}
	return out, errors.Join(errs...)
}

// aliasMembers reads a list of texts; null is an empty one, and a flow map
// without values ("{ a, b }") is what people write who mean a set.
func aliasMembers(field string, n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.MappingNode {
		var members []string
		for member := range pairs(n) {
			members = append(members, member)
		}
		return members, nil
	}
	if n.Kind == yaml.SequenceNode {
		for _, member := range n.Content {
			if member = resolved(member); member.Kind != yaml.ScalarNode || member.ShortTag() != "!!str" {
				return nil, fmt.Errorf("line %d: %s: found a member that is no text", member.Line, field)
			}
		}
	}
	return texts(field, n)
}

// Expand replaces names of aliases by their members. Aliases are not recursive.
func (a Aliases) Expand(names []string) sets.Set[string] {
	if len(names) == 0 {
		return nil
	}
	out := sets.New[string]()
	for _, name := range normalizeAll(names) {
		if members, ok := a[name]; ok {
			out.Insert(members...)
		} else {
			out.Insert(name)
		}
	}
	return out
}

// Normalize is the form in which logins and names of aliases are compared: lower
// case, without one leading @.
func Normalize(login string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(login)), "@")
}

func normalizeAll(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if name = Normalize(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}
