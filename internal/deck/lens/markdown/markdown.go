// Package markdown is the lens that shows summaries which a job wrote in Markdown, as
// GitHub reads it.
package markdown

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed markdown.html
var page string

const (
	maxBytes = 512 << 10
	maxFiles = 20
)

type config struct {
	// File chooses the files whose names end so.
	File string `json:"file"`
	// Title stands above.
	Title string `json:"title"`
}

type markdownLens struct {
	page     *template.Template
	markdown goldmark.Markdown
}

// New is the lens.
func New() lens.Lens { return &markdownLens{look.Template("markdown", page), newMarkdown()} }

func (l *markdownLens) About() lens.About {
	return lens.About{Name: "markdown", Title: "Summary", Priority: 5, Files: look.Files(static)}
}

type view struct {
	Title    string
	Problems []string
	Files    []file
}

type file struct {
	Name, Link string
	HTML       template.HTML
}

func (l *markdownLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	var c config
	v := view{}
	if p := look.Config(r.Config, &c); p != "" {
		v.Problems = append(v.Problems, p)
	}
	v.Title = c.Title
	for _, a := range r.Artifacts {
		if !strings.HasSuffix(a.Name(), c.File) {
			continue
		}
		if len(v.Files) == maxFiles {
			v.Problems = append(v.Problems, fmt.Sprintf("The first %d files are shown.", maxFiles))
			break
		}
		raw, err := lens.ReadAll(ctx, a, maxBytes)
		var text string
		if err == nil {
			text, err = render(l.markdown, raw)
		}
		if err != nil {
			v.Problems = append(v.Problems, look.Problem(a, err))
			continue
		}
		v.Files = append(v.Files, file{a.Name(), a.Link(), template.HTML(text)}) //nolint:gosec // the library escapes, and tame sees to links
	}
	return look.Execute(l.page, "page", v)
}
