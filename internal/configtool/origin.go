package configtool

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"prow/internal/config"
	"prow/internal/config/yamldec"
)

// Origins that are no place in a file.
const (
	byDefault = "default"
	// fromName marks what is made from the name of the job.
	fromName = "made from the name"
	// byPreset starts the origin of what a preset adds.
	byPreset = "preset at "
)

// path is the way to a value: keys and indexes.
type path []string

func (p path) String() string {
	var b strings.Builder
	for _, step := range p {
		if _, err := strconv.Atoi(step); err == nil {
			b.WriteString("[" + step + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// files reads the files of a configuration, each once.
type files map[string]*yaml.Node

func (f files) root(name string) *yaml.Node {
	root, known := f[name]
	if !known {
		// A file that changed or vanished since the load explains nothing.
		if data, err := config.ReadFile(name); err == nil {
			root, _ = yamldec.Parse(data, yamldec.Limits{})
		}
		f[name] = root
	}
	return root
}

// mapAt is the map that starts at a line of a file, nearest to its left margin.
func (f files) mapAt(place config.Place) *yaml.Node {
	return mapAt(f.root(place.File), place.Line)
}

func mapAt(n *yaml.Node, line int) *yaml.Node {
	if n == nil || n.Kind == yaml.AliasNode || n.Line > line {
		return nil
	}
	if n.Kind == yaml.MappingNode && n.Line == line {
		return n
	}
	for _, c := range n.Content {
		if found := mapAt(c, line); found != nil {
			return found
		}
	}
	return nil
}

// lookup follows a path; the line is that of the key, or of the list item.
func lookup(n *yaml.Node, p path) (value *yaml.Node, line int, ok bool) {
	if n == nil {
		return nil, 0, false
	}
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	line = n.Line
	for _, step := range p {
		var at int
		if n, at = child(n, step); n == nil {
			return nil, 0, false
		}
		line = at
	}
	return n, line, true
}

// child is a direct child, also through aliases and merge keys. Keys match as
// the decoder matches them: exactly, else without regard to case.
func child(n *yaml.Node, step string) (*yaml.Node, int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	case yaml.MappingNode:
		for _, equal := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if equal(n.Content[i].Value, step) {
					return n.Content[i+1], n.Content[i].Line
				}
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != "<<" {
				continue
			}
			merged := n.Content[i+1]
			if merged.Kind == yaml.AliasNode {
				merged = merged.Alias
			}
			sources := []*yaml.Node{merged}
			if merged.Kind == yaml.SequenceNode {
				sources = merged.Content
			}
			for _, s := range sources {
				if c, line := child(s, step); c != nil {
					return c, line
				}
			}
		}
	}
	return nil, 0
}

func inFile(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// jobOrigins tells where the parts of a job come from.
type jobOrigins struct {
	job     *job
	config  *config.Config
	files   files
	main    string
	written *yaml.Node
	// decoration and prowjob are the entries that match, last first.
	decoration, prowjob []entry
	presets             []entry
}

// entry is a piece of configuration that may have given a value.
type entry struct {
	value  *yaml.Node
	origin string
}

func newJobOrigins(c *config.Config, main string, j *job, f files) (*jobOrigins, error) {
	o := &jobOrigins{job: j, config: c, files: f, main: main, written: f.mapAt(j.base.Place())}
	mapForm := len(c.Plank.DefaultDecorationConfigEntries) == 0
	for i, d := range c.Plank.DecorationDefaults() {
		if !d.Matches(j.repo, j.base.Cluster) {
			continue
		}
		at := path{"plank", "default_decoration_config_entries", strconv.Itoa(i)}
		if mapForm {
			at = path{"plank", "default_decoration_configs", d.OrgRepo}
		}
		if err := o.entry(&o.decoration, d.Config, at); err != nil {
			return nil, err
		}
	}
	for i := range c.ProwJobDefaultEntries {
		e := &c.ProwJobDefaultEntries[i]
		if !e.Matches(j.repo, j.base.Cluster) {
			continue
		}
		if err := o.entry(&o.prowjob, e.Config, path{"prowjob_default_entries", strconv.Itoa(i)}); err != nil {
			return nil, err
		}
	}
	for i := range c.Presets {
		p := &c.Presets[i]
		if !p.Matches(j.base.Labels) {
			continue
		}
		node, err := asNode(p)
		if err != nil {
			return nil, err
		}
		o.presets = append(o.presets, entry{node, byPreset + inFile(p.Place().File, p.Place().Line)})
	}
	return o, nil
}

// entry puts a default first: later entries go before earlier ones.
func (o *jobOrigins) entry(list *[]entry, value any, at path) error {
	node, err := asNode(value)
	if err != nil {
		return err
	}
	origin := at.String()
	if _, line, ok := lookup(o.files.root(o.main), at); ok {
		origin += " at " + inFile(o.main, line)
	}
	*list = append([]entry{{node, origin}}, *list...)
	return nil
}

// of tells where the value at a path of the job comes from.
func (o *jobOrigins) of(p path, value *yaml.Node) string {
	if written, line, ok := lookup(o.written, p); ok && (value.Kind != yaml.SequenceNode || len(written.Content) > 0) {
		return inFile(o.job.base.Place().File, line)
	}
	switch p[0] {
	case "decoration_config":
		return given(o.decoration, p[1:], byDefault)
	case "prowjob_defaults":
		return given(o.prowjob, p[1:], byDefault)
	case "spec":
		return o.preset(p[1:], value)
	case "namespace":
		return o.setting(path{"pod_namespace"})
	case "decorate":
		return o.setting(path{"decorate_all_jobs"})
	case "context", "trigger", "rerun_command":
		return fromName
	}
	return byDefault
}

// given is the first entry that has a value at the path.
func given(entries []entry, p path, otherwise string) string {
	for _, e := range entries {
		if _, _, ok := lookup(e.value, p); ok {
			return e.origin
		}
	}
	return otherwise
}

// preset finds the preset that added an item to a list of the pod's spec.
func (o *jobOrigins) preset(p path, value *yaml.Node) string {
	for len(p) > 0 && (p[0] == "containers") {
		p = p[min(2, len(p)):]
	}
	if len(p) == 0 {
		return byDefault
	}
	name, _, _ := lookup(value, path{"name"})
	if p[0] == "tolerations" {
		name, _, _ = lookup(value, path{"key"})
	}
	for _, e := range o.presets {
		list, _, ok := lookup(e.value, path{p[0]})
		switch {
		case !ok:
		case len(p) == 1: // the list itself
			return e.origin
		case name == nil:
			return e.origin
		default:
			for _, item := range list.Content {
				for _, key := range []string{"name", "key"} {
					if have, _, _ := lookup(item, path{key}); have != nil && have.Value == name.Value {
						return e.origin
					}
				}
			}
		}
	}
	return byDefault
}

// setting is the origin of a value that the main file gives all jobs.
func (o *jobOrigins) setting(p path) string {
	if _, line, ok := lookup(o.files.root(o.main), p); ok {
		return p.String() + " at " + inFile(o.main, line)
	}
	return byDefault
}

// asNode is a value as it is written in a file, its keys in the order of the type.
func asNode(value any) (*yaml.Node, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", value, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", value, err)
	}
	node := doc.Content[0]
	block(node)
	return node, nil
}

// block undoes the style of JSON.
func block(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		n.Style = 0
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
	} else if n.Tag == "!!str" {
		n.Style = 0
		if strings.Contains(n.Value, "\n") {
			n.Style = yaml.LiteralStyle
		}
	}
	for _, c := range n.Content {
		block(c)
	}
}
