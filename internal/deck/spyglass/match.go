package spyglass

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"prow/internal/deck/lens"
)

// Entry is one use of a lens, as the configuration has it. The same lens may be used
// more than once.
type Entry struct {
	// Index is the position in the configuration, by which requests name the entry.
	Index     int
	Name      string
	Title     string
	HideTitle bool
	Priority  uint
	// Required must each match a file; what Optional matches is shown, too.
	Required, Optional []*regexp.Regexp
	Config             json.RawMessage
	// Lens is that of this program; nil if Endpoint serves it.
	Lens     lens.Lens
	Endpoint string
	// StaticRoot is the URL below which a lens of an endpoint has its files; may be empty.
	StaticRoot string
}

// Choice is what the configuration says about an entry beyond its files.
type Choice struct {
	Name       string
	Config     json.RawMessage
	Endpoint   string
	StaticRoot string
	// Title is empty and the others nil where nothing is configured.
	Title     string
	Priority  *uint
	HideTitle *bool
}

// loopback is where lenses of its own were once served by the program itself.
const loopback = "http://127.0.0.1:1234/"

// Resolve finds the lens of an entry, and what it is called. A lens without an endpoint
// has to be one of builtin.
func Resolve(index int, c Choice, builtin map[string]lens.Lens) (Entry, error) {
	out := Entry{Index: index, Name: c.Name, Title: c.Title, Config: c.Config}
	known := builtin[c.Name]
	switch {
	case !ValidName(c.Name):
		return out, fmt.Errorf("the name %q cannot be a part of an address: expected letters, digits, '.', '_' and '-'", c.Name)
	case known != nil && (c.Endpoint == "" || strings.HasPrefix(c.Endpoint+"/", loopback)):
		out.Lens = known
	case c.Endpoint == "":
		return out, fmt.Errorf("the lens %q has neither a remote_config.endpoint nor is it built in", c.Name)
	default:
		if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return out, fmt.Errorf("the endpoint %q of the lens %q is not an http or https URL", c.Endpoint, c.Name)
		}
		out.Endpoint, out.StaticRoot = c.Endpoint, c.StaticRoot
	}
	if known != nil {
		about := known.About()
		out.Title, out.Priority, out.HideTitle = cmp.Or(out.Title, about.Title), about.Priority, about.HideTitle
	}
	out.Title = cmp.Or(out.Title, c.Name)
	if c.Priority != nil {
		out.Priority = *c.Priority
	}
	if c.HideTitle != nil {
		out.HideTitle = *c.HideTitle
	}
	return out, nil
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// ValidName tells whether a lens can be called so.
func ValidName(name string) bool { return validName.MatchString(name) }

// Matches tells whether the entry is for a file.
func (e *Entry) Matches(name string) bool {
	match := func(r *regexp.Regexp) bool { return r.MatchString(name) }
	return slices.ContainsFunc(e.Required, match) || slices.ContainsFunc(e.Optional, match)
}

// Files are those of a run that the entry is for, in order; nil unless all that it
// requires is there. names are in order.
func (e *Entry) Files(names []string) []string {
	for _, r := range e.Required {
		if !slices.ContainsFunc(names, r.MatchString) {
			return nil
		}
	}
	var out []string
	for _, name := range names {
		if e.Matches(name) {
			out = append(out, name)
		}
	}
	return out
}

// Card is a lens on a page.
type Card struct {
	*Entry
	Artifacts []string
}

// Match chooses the lenses of a page and puts them in order: by priority, then by name,
// then as they are configured.
func Match(entries []Entry, names []string) []Card {
	var out []Card
	for i := range entries {
		if files := entries[i].Files(names); len(files) > 0 {
			out = append(out, Card{&entries[i], files})
		}
	}
	slices.SortStableFunc(out, func(a, b Card) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
	})
	return out
}
