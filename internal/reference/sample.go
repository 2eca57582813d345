package reference

import (
	"fmt"
	"strings"
)

// sampleWidth is where comments of the sample are wrapped.
const sampleWidth = 100

// Sample writes a file with every key the model knows, each below what it
// means, with its default from defaults where that has one: the effective file
// that an empty one stands for, decoded into plain maps. Objects that occur
// again are written out once. The result decodes without unknown keys; it is
// made to be read and copied from, not to be used as it is.
func (m *Model) Sample(title string, defaults map[string]any) string {
	s := sampler{first: map[*Type]string{}}
	s.comment(0, title)
	s.object(m.Root(), 0, "", defaults)
	return s.b.String()
}

type sampler struct {
	b     strings.Builder
	first map[*Type]string
}

func (s *sampler) comment(indent int, doc string) {
	for _, line := range wrap(doc, sampleWidth-indent-2) {
		fmt.Fprintf(&s.b, "%s# %s\n", strings.Repeat(" ", indent), line)
	}
}

func (s *sampler) object(t *Type, indent int, path string, defaults any) {
	values, _ := defaults.(map[string]any)
	for i, f := range t.Fields {
		if indent == 0 {
			s.b.WriteByte('\n')
		}
		s.comment(indent, f.Doc)
		at := path + "." + f.Key
		if path == "" {
			at = f.Key
		}
		pad := strings.Repeat(" ", indent)
		if i == 0 && strings.HasSuffix(s.b.String(), "- ") {
			pad = ""
		}
		fmt.Fprintf(&s.b, "%s%s:", pad, quoted(f.Key))
		value, hasDefault := values[f.Key]
		s.value(f, f.Shape, indent, at, value, hasDefault)
	}
}

// value writes what follows "key:".
func (s *sampler) value(f *Field, shape string, indent int, path string, value any, hasDefault bool) {
	pad := strings.Repeat(" ", indent)
	switch {
	case strings.HasPrefix(shape, "list of "):
		rest := shape[len("list of "):]
		if list, ok := value.([]any); ok && len(list) > 0 && f.Object == nil {
			s.b.WriteByte('\n')
			for _, v := range list {
				fmt.Fprintf(&s.b, "%s- %s\n", pad, scalar(v))
			}
			return
		}
		if rest != "" || f.Object == nil {
			if rest == "" && !strings.HasPrefix(f.Elem, "Kubernetes") && f.Elem != "any" {
				fmt.Fprintf(&s.b, "\n%s- %s\n", pad, zero(f.Elem))
				return
			}
			s.b.WriteString(" []\n")
			return
		}
		if s.again(f.Object, path, "[]") {
			return
		}
		s.b.WriteByte('\n')
		fmt.Fprintf(&s.b, "%s-\n", pad)
		s.object(f.Object, indent+2, path+"[]", nil)
	case strings.HasPrefix(shape, "map to "):
		rest := shape[len("map to "):]
		key := "key"
		inner, has := any(nil), false
		if m, ok := value.(map[string]any); ok && len(m) == 1 {
			for k, v := range m {
				key, inner, has = k, v, true
			}
		} else if strings.Contains(f.Doc, "org/repo") {
			key = "org/repo"
		}
		if rest == "" && f.Object != nil && s.seen(f.Object) {
			s.again(f.Object, path, "{}")
			return
		}
		fmt.Fprintf(&s.b, "\n%s  %s:", pad, quoted(key))
		s.value(f, rest, indent+2, path+"."+key, inner, has)
	case f.Object != nil:
		if s.again(f.Object, path, "{}") {
			return
		}
		s.b.WriteByte('\n')
		s.object(f.Object, indent+2, path, value)
	case hasDefault:
		fmt.Fprintf(&s.b, " %s\n", scalar(value))
	default:
		fmt.Fprintf(&s.b, " %s\n", zero(f.Elem))
	}
}

func (s *sampler) seen(t *Type) bool { _, ok := s.first[t]; return ok }

// again writes an empty value and where the object was written out before.
func (s *sampler) again(t *Type, path, empty string) bool {
	first, seen := s.first[t]
	if !seen {
		s.first[t] = path
		return len(t.Fields) == 0 && s.empty(empty)
	}
	fmt.Fprintf(&s.b, " %s # as %s\n", empty, first)
	return true
}

func (s *sampler) empty(value string) bool {
	s.b.WriteString(" " + value + "\n")
	return true
}

func zero(elem string) string {
	switch elem {
	case "string", shorthand:
		return `""`
	case "boolean":
		return "false"
	case "integer", "number":
		return "0"
	case "quantity":
		return `"0"`
	case "duration":
		return "0s"
	case "time":
		return `"2006-01-02T15:04:05Z"`
	}
	return "{}"
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case float64:
		return fmt.Sprintf("%.0f", v)
	case nil:
		return "null"
	case map[string]any:
		return "{}"
	case []any:
		return "[]"
	}
	return fmt.Sprint(v)
}

// quoted quotes what YAML would read as something else than a string.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, "*:{}[]&#?|<>=!%@\\\"'` ") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// wrap breaks text into lines at spaces.
func wrap(text string, width int) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}
