package configtool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"prow/internal/config"
)

// Explanation is the answer to one question.
type Explanation struct {
	// What names the job or key.
	What string `json:"what"`
	// Declared is the place of the job; empty for keys.
	Declared string `json:"declared,omitempty"`
	// Type and Doc tell what a key means.
	Type string `json:"type,omitempty"`
	Doc  string `json:"doc,omitempty"`
	// Value is what is in effect; absent where nothing is.
	Value json.RawMessage `json:"value,omitempty"`
	// Origins tells where the values come from, by path. What has one origin
	// as a whole is listed once.
	Origins map[string]string `json:"origins,omitempty"`

	node *yaml.Node
}

// Explainer explains one configuration.
type Explainer struct {
	config *config.Config
	main   string
	shards []string
	files  files
	docs   fieldDocs
}

// NewExplainer explains what was loaded with the options.
func NewExplainer(c *config.Config, opts config.Options) (*Explainer, error) {
	docs, err := readFieldDocs()
	if err != nil {
		return nil, err
	}
	e := &Explainer{config: c, main: opts.ConfigPath, files: files{}, docs: docs}
	for _, dir := range opts.SupplementalDirs {
		shards, err := config.FilesWithSuffix(dir, opts.SupplementalSuffix)
		if err != nil {
			return nil, err
		}
		e.shards = append(e.shards, shards...)
	}
	return e, nil
}

// Explain tells about the jobs of a name, in one repository if that is given,
// else about the key. Neither is an error that tells what is similar.
func (e *Explainer) Explain(what, repo string) ([]*Explanation, error) {
	var out []*Explanation
	all := jobs(e.config)
	for i := range all {
		if j := &all[i]; j.base.Name == what && (repo == "" || j.repo == repo) {
			x, err := e.job(j)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	x, err := e.key(what)
	switch {
	case err != nil:
		return nil, err
	case x != nil:
		return []*Explanation{x}, nil
	}
	in := ""
	if repo != "" {
		in = " of " + repo
	}
	return nil, fmt.Errorf("%q is no job%s and no key of the configuration%s", what, in, e.similar(what, all))
}

func (e *Explainer) job(j *job) (*Explanation, error) {
	origins, err := newJobOrigins(e.config, e.main, j, e.files)
	if err != nil {
		return nil, err
	}
	place := j.base.Place()
	out := &Explanation{What: j.title(), Declared: inFile(place.File, place.Line)}
	return out, out.fill(j.value, origins.of)
}

// key explains a key such as plank.pod_pending_timeout; nil if it is none.
func (e *Explainer) key(what string) (*Explanation, error) {
	root, err := asNode(e.config)
	if err != nil {
		return nil, err
	}
	p := split(root, e.docs, what)
	if p == nil {
		return nil, nil
	}
	out := &Explanation{What: what}
	out.Type, out.Doc = e.docs.find(p)
	value, _, ok := lookup(root, p)
	if !ok {
		return out, nil
	}
	var raw any
	if err := value.Decode(&raw); err != nil {
		return nil, err
	}
	if err := out.fill(raw, nil); err != nil {
		return nil, err
	}
	out.node = value
	out.Origins = map[string]string{}
	annotate(value, p, e.of, out.Origins)
	return out, nil
}

// of tells where the value at a path of the whole configuration comes from.
func (e *Explainer) of(p path, _ *yaml.Node) string {
	if i, ok := indexBelow(p, "tide", "queries"); ok && i < len(e.config.Tide.Queries) {
		place := e.config.Tide.Queries[i].Place()
		if _, line, ok := lookup(e.files.mapAt(place), p[3:]); ok {
			place.Line = line
		}
		return inFile(place.File, place.Line)
	}
	if i, ok := indexBelow(p, "presets"); ok && i < len(e.config.Presets) {
		place := e.config.Presets[i].Place()
		if _, line, ok := lookup(e.files.mapAt(place), p[2:]); ok {
			place.Line = line
		}
		return inFile(place.File, place.Line)
	}
	for _, file := range append([]string{e.main}, e.shards...) {
		if _, line, ok := lookup(e.files.root(file), p); ok {
			return inFile(file, line)
		}
	}
	return byDefault
}

func indexBelow(p path, prefix ...string) (int, bool) {
	if len(p) <= len(prefix) || !slices.Equal(p[:len(prefix)], prefix) {
		return 0, false
	}
	i, err := strconv.Atoi(p[len(prefix)])
	return i, err == nil
}

func (x *Explanation) fill(value any, origin func(path, *yaml.Node) string) (err error) {
	if x.Value, err = json.Marshal(value); err != nil {
		return fmt.Errorf("encoding %s: %w", x.What, err)
	}
	if x.node, err = asNode(value); err != nil || origin == nil {
		return err
	}
	x.Origins = map[string]string{}
	annotate(x.node, nil, origin, x.Origins)
	return nil
}

// annotate writes the origin of every value behind it, and into a map. What
// has one origin as a whole is annotated once, unless that is a place in a
// file: there every value has a line of its own.
func annotate(n *yaml.Node, p path, origin func(path, *yaml.Node) string, into map[string]string) {
	walk(n, p, origin, into, "")
}

func walk(n *yaml.Node, p path, origin func(path, *yaml.Node) string, into map[string]string, above string) {
	visit := func(key, value *yaml.Node, step string) {
		at := append(p[:len(p):len(p)], step)
		from := above
		// What a preset adds, it adds as a whole.
		if key == nil || !strings.HasPrefix(above, byPreset) {
			from = origin(at, value)
		}
		leaf := len(value.Content) == 0
		if from != above || leaf && !strings.Contains(from, " ") && from != byDefault {
			into[at.String()] = from
			switch {
			case key != nil && (!leaf || value.Style == yaml.LiteralStyle):
				key.LineComment = "# " + from
			case leaf:
				value.LineComment = "# " + from
			default:
				firstLine(value).LineComment = "# " + from
			}
		}
		if !leaf && !isWordList(value) {
			walk(value, at, origin, into, from)
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			visit(n.Content[i], n.Content[i+1], n.Content[i].Value)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			visit(nil, c, strconv.Itoa(i))
		}
	case yaml.ScalarNode:
		if p != nil {
			from := origin(p, n)
			into[p.String()], n.LineComment = from, "# "+from
		}
	}
}

// firstLine is the node on the first line of an item of a list that can carry
// its comment.
func firstLine(item *yaml.Node) *yaml.Node {
	if item.Kind != yaml.MappingNode || len(item.Content[1].Content) > 0 {
		return item.Content[0]
	}
	return item.Content[1]
}

// isWordList tells a list of scalars, which is written in one place.
func isWordList(n *yaml.Node) bool {
	return n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode })
}

// Print writes an explanation as YAML with the origins as comments.
func (x *Explanation) Print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s", x.What)
	if x.Type != "" {
		fmt.Fprintf(&b, ": %s", x.Type)
	}
	if x.Declared != "" {
		fmt.Fprintf(&b, ", declared at %s", x.Declared)
	}
	b.WriteByte('\n')
	if x.Doc != "" {
		fmt.Fprintf(&b, "# %s\n", x.Doc)
	}
	if x.node == nil {
		b.WriteString("# It is not set.\n")
	} else {
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := errors.Join(enc.Encode(x.node), enc.Close()); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// similar names the jobs and keys that look most like what was asked for.
func (e *Explainer) similar(what string, all []job) string {
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	consider := func(name string) {
		if d := distance(what, name); d <= max(2, len(what)/4) || len(what) > 3 && strings.Contains(name, what) {
			list = append(list, candidate{name, d})
		}
	}
	for i := range all {
		consider(all[i].base.Name)
	}
	for _, name := range e.docs.paths() {
		consider(name)
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	list = slices.Compact(list)
	var names []string
	for _, c := range list[:min(3, len(list))] {
		names = append(names, c.name)
	}
	if len(names) == 0 {
		return ""
	}
	return "; similar: " + strings.Join(names, ", ")
}

// distance is the number of single-character edits between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
