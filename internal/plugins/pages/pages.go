// Package pages writes the reference of plugins, docs/plugins, from what the
// plugins say of themselves: a page for each plugin, also for those that are
// programs of their own, and a list of all commands.
package pages

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"prow/internal/plugins"
)

// Dir is the directory of the pages below the root of the repository.
const Dir = "docs/plugins"

// Page is what a page is about.
type Page struct {
	*plugins.Plugin
	// Program is the component that runs an external plugin; "" for plugins of hook.
	Program string
}

// Of are the pages of hook's plugins.
func Of(all map[string]*plugins.Plugin) (pages []Page) {
	for _, p := range all {
		pages = append(pages, Page{Plugin: p})
	}
	return pages
}

// Files are the pages by their path below the root.
func Files(all []Page) map[string][]byte {
	all = slices.SortedFunc(slices.Values(all), func(a, b Page) int { return strings.Compare(a.Name, b.Name) })
	out := map[string][]byte{Dir + "/README.md": index(all)}
	for _, p := range all {
		out[p.path()] = page(p)
	}
	return out
}

func (p Page) path() string { return Dir + "/" + p.Name + ".md" }

const generated = "<!-- Written by `make generate` from the plugins themselves. -->\n\n"

func index(all []Page) []byte {
	var b bytes.Buffer
	b.WriteString(generated + "# Plugins\n\n" +
		"A repository has the plugins that `plugins.yaml` lists for it or its organisation; the keys are in [the reference](../reference/plugins.md).\n" +
		"Commands begin in the first column of a line. In fenced code blocks and HTML comments they are not looked for, and an edited comment is not\nread again.\n")
	list := func(external bool) {
		b.WriteString("\n| plugin | what it is for |\n|---|---|\n")
		for _, p := range all {
			if (p.Program != "") == external {
				fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", p.Name, p.Name, cell(firstSentence(p.Description)))
			}
		}
	}
	list(false)
	b.WriteString("\n## External plugins\n\nThese are programs of their own, which [hook sends webhooks to](../hook.md#external-plugins).\n")
	list(true)
	b.WriteString("\n## Commands\n\n| command | plugin | where | who |\n|---|---|---|---|\n")
	for _, p := range all {
		for _, c := range p.Commands {
			fmt.Fprintf(&b, "| `%s` | [%s](%s.md) | %s | %s |\n", cell(c.Usage), p.Name, p.Name, c.Scope, cell(c.Who.Sentence))
		}
	}
	return b.Bytes()
}

func page(p Page) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s# %s\n\n%s\n\nIt reads: %s.\n", generated, p.Name, p.Description, strings.Join(p.Events(), ", "))
	if p.Program != "" {
		fmt.Fprintf(&b, "\nIt is a program of its own, `prow %[1]s`; `prow %[1]s --help` lists its flags. hook has to send it the webhooks:\n\n"+
			"```yaml\nexternal_plugins:\n  org/repo:\n  - name: %[2]s\n    endpoint: http://%[1]s\n    events: [%[3]s]\n```\n", p.Program, p.Name, strings.Join(webhooks(p), ", "))
	}
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

// webhooks are the forge's names of the events that a plugin reads.
func webhooks(p Page) (names []string) {
	h := p.Handlers
	for _, event := range []struct {
		name    string
		handled bool
	}{
		{"issues", h.Issue != nil}, {"issue_comment", h.IssueComment != nil}, {"pull_request", h.PullRequest != nil}, {"push", h.Push != nil},
		{"pull_request_review", h.Review != nil}, {"pull_request_review_comment", h.ReviewComment != nil}, {"status", h.Status != nil}, {"check_run", h.CheckRun != nil},
	} {
		if event.handled {
			names = append(names, event.name)
		}
	}
	if slices.ContainsFunc(p.Events(), func(e string) bool { return strings.HasPrefix(e, "GenericCommentEvent") }) {
		for _, name := range []string{"issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
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
