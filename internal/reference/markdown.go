package reference

import (
	"fmt"
	"strings"
)

// Markdown writes the model as a page: one table for the file, one for each
// object in it. intro stands below the title.
func (m *Model) Markdown(title, intro string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n<!-- Written by `make generate` from the Go types. Change the comments there. -->\n\n%s\n", title, intro)
	for i, t := range m.Types {
		if i == 0 {
			b.WriteString("\n## The file\n\n")
		} else {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", t.Name, t.Doc)
		}
		if len(t.Fields) == 0 {
			continue
		}
		b.WriteString("| Key | Type | Meaning |\n|---|---|---|\n")
		for _, f := range t.Fields {
			elem := f.Elem
			if f.Object != nil {
				elem = "[" + elem + "](#" + anchor(elem) + ")"
			}
			fmt.Fprintf(&b, "| `%s` | %s%s | %s |\n", f.Key, f.Shape, elem, cell(f.Doc))
		}
	}
	return b.String()
}

// anchor is how GitHub names the section of a heading.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

func cell(s string) string {
	s = strings.ReplaceAll(s, "|", `\|`)
	return strings.ReplaceAll(s, "<", "&lt;")
}
