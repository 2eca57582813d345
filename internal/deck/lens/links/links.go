// Package links is the lens that shows links which a job left: a text file is one, a
// JSON file a group of them.
package links

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed links.html
var page string

const (
	// maxBytes is how much of a file is read.
	maxBytes = 20 << 10
	maxFiles = 200
	maxLinks = 500
)

type linksLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &linksLens{look.Template("links", page)} }

func (l *linksLens) About() lens.About {
	return lens.About{Name: "links", Title: "Debugging links", Priority: 20, Files: look.Files(static)}
}

type group struct {
	Title string
	Links []link
	More  int
	// Single is a link that a text file is.
	Single bool
}

type link struct {
	Name, URL string
	// Href is where it leads; "" leaves it a text.
	Href string
}

type view struct {
	Problems []string
	Groups   []group
}

func (l *linksLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	v := view{}
	for i, a := range r.Artifacts {
		if i == maxFiles {
			v.Problems = append(v.Problems, fmt.Sprintf("Of %d files the first %d are read.", len(r.Artifacts), maxFiles))
			break
		}
		raw, err := a.Range(ctx, 0, maxBytes)
		var g group
		if err == nil {
			g, err = parse(a.Name(), raw)
		}
		if err != nil {
			v.Problems = append(v.Problems, look.Problem(a, err))
			continue
		}
		for j := range g.Links {
			g.Links[j].Href = lead(g.Links[j].URL, r.BrowserPrefix)
		}
		v.Groups = append(v.Groups, g)
	}
	slices.SortStableFunc(v.Groups, func(a, b group) int { return strings.Compare(a.Title, b.Title) })
	return look.Execute(l.page, "page", v)
}

// parse reads a file, which is a link or a group by its name.
func parse(name string, raw []byte) (group, error) {
	if strings.HasSuffix(name, ".json") {
		return parseGroup(raw)
	}
	address := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if address == "" {
		return group{}, errors.New("it is empty")
	}
	title := titleOf(name)
	return group{Title: title, Links: []link{{Name: title, URL: address}}, Single: true}, nil
}

func parseGroup(raw []byte) (group, error) {
	if len(raw) == maxBytes {
		return group{}, fmt.Errorf("it has more than %d bytes", maxBytes-1)
	}
	var file struct {
		Title string `json:"title"`
		Links []struct {
			Name string `json:"name"`
			URL  string `json:"url"`
		} `json:"links"`
	}
	if err := look.JSON(raw, &file); err != nil {
		return group{}, err
	}
	g := group{Title: file.Title}
	for _, f := range file.Links {
		switch {
		case f.URL == "":
			continue
		case len(g.Links) == maxLinks:
			g.More++
			continue
		}
		n := link{Name: f.Name, URL: f.URL}
		if n.Name == "" {
			n.Name = f.URL
		}
		g.Links = append(g.Links, n)
	}
	if len(g.Links) == 0 {
		return group{}, errors.New("there are no links in it")
	}
	return g, nil
}

// titleOf makes "Node logs" of "artifacts/node-logs.link.txt".
func titleOf(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".txt"), ".link")
	name = strings.TrimSpace(strings.ReplaceAll(name, "-", " "))
	first, size := utf8.DecodeRuneInString(name)
	if size == 0 {
		return "Link"
	}
	return string(unicode.ToUpper(first)) + name[size:]
}

// lead makes an address of the web of one that a job wrote; "" if it is none.
func lead(address, browserPrefix string) string {
	if rest, ok := strings.CutPrefix(address, "gs://"); ok && browserPrefix != "" {
		address = browserPrefix + rest
	}
	if !look.IsWeb(address) {
		return ""
	}
	return address
}
