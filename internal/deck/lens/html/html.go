// Package html is the lens that shows pages which a job made, with their scripts, each
// in a frame of its own: its origin is nobody's, and it has no network.
package html

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"path"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed html.html
var page string

const (
	maxBytes = 10 << 20
	maxFiles = 20
	// maxAll bounds all files together, in bytes.
	maxAll = 20 << 20
)

type htmlLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &htmlLens{look.Template("html", page)} }

func (l *htmlLens) About() lens.About {
	return lens.About{Name: "html", Title: "HTML", HideTitle: true, Priority: 3, Files: look.Files(static), Scripts: true}
}

type view struct {
	Problems []string
	Files    []file
}

type file struct {
	ID, Name, Link, Title, Description string
	// Document is escaped as the value of an attribute, not as HTML.
	Document string
}

func (l *htmlLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	v := view{}
	left := int64(maxAll)
	for i, a := range r.Artifacts {
		if i == maxFiles {
			v.Problems = append(v.Problems, fmt.Sprintf("Of %d files the first %d are shown.", len(r.Artifacts), maxFiles))
			break
		}
		raw, err := lens.ReadAll(ctx, a, min(maxBytes, left))
		if err != nil {
			v.Problems = append(v.Problems, look.Problem(a, err))
			continue
		}
		left = max(left-int64(len(raw)), 1)
		h := parseHead(raw)
		f := file{ID: fmt.Sprintf("%s-%d", a.Name(), i), Name: a.Name(), Link: a.Link(), Title: h.title, Description: h.description, Document: document(raw, h)}
		if f.Title == "" {
			f.Title = path.Base(a.Name())
		}
		v.Files = append(v.Files, f)
	}
	return look.Execute(l.page, "page", v)
}
