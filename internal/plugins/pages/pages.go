// Package pages writes the reference of plugins, docs/plugins, from what the
// plugins say of themselves: a page for each plugin and a list of all commands.
package pages

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prow/internal/plugins"
)

// Dir is the directory of the pages below the root of the repository.
const Dir = "docs/plugins"

// Files are the pages by their path below the root.
func Files(all map[string]*plugins.Plugin) map[string][]byte {
	out := map[string][]byte{Dir + "/README.md": index(all)}
	for name, p := range all {
		out[Dir+"/"+name+".md"] = page(p)
	}
	return out
}

const generated = "<!-- Written by `make generate` from the plugins themselves. -->\n\n"

func index(all map[string]*plugins.Plugin) []byte {
	var b bytes.Buffer
	b.WriteString(generated + "# Plugins\n\n" +
		"A repository has the plugins that `plugins.yaml` lists for it or its organisation; the keys are in [the reference](../reference/plugins.md).\n" +
		"Commands begin in the first column of a line. In fenced code blocks and HTML comments they are not looked for, and an edited comment is not\nread again.\n\n" +
		"| plugin | what it is for |\n|---|---|\n")
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", name, name, cell(firstSentence(all[name].Description)))
	}
	b.WriteString("\n## Commands\n\n| command | plugin | where | who |\n|---|---|---|---|\n")
	for _, name := range names {
		for _, c := range all[name].Commands {
			fmt.Fprintf(&b, "| `%s` | [%s](%s.md) | %s | %s |\n", cell(c.Usage), name, name, c.Scope, cell(c.Who.Sentence))
		}
	}
	return b.Bytes()
}

func page(p *plugins.Plugin) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s# %s\n\n%s\n\nIt reads: %s.\n", generated, p.Name, p.Description, strings.Join(p.Events(), ", "))
	if len(p.Commands) > 0 {
		b.WriteString("\n## Commands\n")
	}
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\nWhere: %s. Who: %s\n\n```\n%s\n```\n", c.Usage, c.Description, c.Scope, c.Who.Sentence, strings.Join(c.Examples, "\n"))
	}
	if p.Snippet != "" {
		fmt.Fprintf(&b, "\n## Configuration\n\nIn `plugins.yaml`, for example:\n\n```yaml\n%s\n```\n", strings.TrimSpace(p.Snippet))
	}
	return b.Bytes()
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}

// firstSentence is the text up to the first full stop that ends a sentence.
func firstSentence(text string) string {
	first, _, more := strings.Cut(text, ". ")
	if more {
		first += "."
	}
	return first
}
