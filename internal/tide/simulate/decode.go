package simulate

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"prow/internal/tide/sim"
)

// decoder fills in a struct from YAML. Fields are called as in Go, in lower case
// with underscores; unknown ones and ones that are there twice are errors.
type decoder struct {
	file  string
	lines map[string]int
	errs  []error
}

// decode reads a scenario. Every error names file, line and field.
func decode(file string, content []byte) (sim.Scenario, error) {
	var sc sim.Scenario
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return sc, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 {
		return sc, fmt.Errorf("%s: it is empty", file)
	}
	d := &decoder{file: file, lines: map[string]int{}}
	d.value(doc.Content[0], "", reflect.ValueOf(&sc).Elem())
	return sc, d.wrap()
}

func (d *decoder) wrap() error { return errors.Join(d.errs...) }

func (d *decoder) fail(line int, field, format string, args ...any) {
	where := ""
	if field != "" {
		where = field + ": "
	}
	d.errs = append(d.errs, fmt.Errorf("%s:%d: %s%s", d.file, line, where, fmt.Sprintf(format, args...)))
}

// check adds what the scenario itself finds wrong, with the line of the field or of
// what holds it.
func check(file string, content []byte, sc *sim.Scenario) error {
	err := sc.Validate()
	if err == nil {
		return nil
	}
	d := &decoder{file: file, lines: map[string]int{}}
	var doc yaml.Node
	if yaml.Unmarshal(content, &doc) == nil && len(doc.Content) > 0 {
		var again sim.Scenario
		d.value(doc.Content[0], "", reflect.ValueOf(&again).Elem())
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var field *sim.FieldError
		if !errors.As(err, &field) {
			d.errs = append(d.errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		line, at := 1, field.Field
		for at != "" {
			if l, ok := d.lines[at]; ok {
				line = l
				break
			}
			at = at[:max(strings.LastIndexAny(at, ".["), 0)]
		}
		d.fail(line, field.Field, "%s", field.Text)
	}
	return d.wrap()
}

func (d *decoder) value(n *yaml.Node, field string, to reflect.Value) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[field] = n.Line
	if u, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode {
			d.fail(n.Line, field, "expected a single value")
			return
		}
		if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n.Line, field, "%v", err)
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.fields(n, field, to)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(n.Line, field, "expected a list")
			return
		}
		list := reflect.MakeSlice(to.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.value(item, fmt.Sprintf("%s[%d]", field, i), list.Index(i))
		}
		to.Set(list)
	default:
		d.scalar(n, field, to)
	}
}

func (d *decoder) fields(n *yaml.Node, field string, to reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(n.Line, field, "expected fields: %s", strings.Join(fieldNames(to.Type()), ", "))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, name := n.Content[i], n.Content[i].Value
		path := name
		if field != "" {
			path = field + "." + name
		}
		names := fieldNames(to.Type())
		if !slices.Contains(names, name) {
			d.fail(key.Line, path, "there is no such field: expected one of %s", strings.Join(names, ", "))
			continue
		}
		if line := seen[name]; line > 0 {
			d.fail(key.Line, path, "it is there twice, first in line %d", line)
			continue
		}
		seen[name] = key.Line
		for f := range to.NumField() {
			if fieldName(to.Type().Field(f)) == name {
				d.value(n.Content[i+1], path, to.Field(f))
			}
		}
	}
}

func (d *decoder) scalar(n *yaml.Node, field string, to reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n.Line, field, "expected a single value")
		return
	}
	text, kind := n.Value, ""
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
	case reflect.Bool:
		switch text {
		case "true", "false":
			to.SetBool(text == "true")
		default:
			kind = "true or false"
		}
	case reflect.Int:
		v, err := strconv.Atoi(text)
		if err != nil {
			kind = "a whole number"
		}
		to.SetInt(int64(v))
	case reflect.Uint64:
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			kind = "a whole number that is not negative"
		}
		to.SetUint(v)
	case reflect.Float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			kind = "a number"
		}
		to.SetFloat(v)
	}
	if kind != "" {
		d.fail(n.Line, field, "%q: expected %s", text, kind)
	}
}

// fieldName is what a field is called in YAML; empty for one that is not there.
func fieldName(f reflect.StructField) string {
	if !f.IsExported() || f.Tag.Get("yaml") == "-" {
		return ""
	}
	var b strings.Builder
	lower := false
	for _, r := range f.Name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func fieldNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if name := fieldName(t.Field(i)); name != "" {
			out = append(out, name)
		}
	}
	return out
}
