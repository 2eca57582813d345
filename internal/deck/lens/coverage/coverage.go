// Package coverage is the lens that shows how much of a program its tests covered: a
// map of the files, and lists by directory. It reads cover profiles of Go.
package coverage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"path"
	"strings"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed coverage.html
var page string

// maxRows is how many files the lists have.
const maxRows = 5000

type coverageLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &coverageLens{look.Template("coverage", page)} }

func (l *coverageLens) About() lens.About {
	return lens.About{Name: "coverage", Title: "Coverage", Priority: 7, Files: look.Files(static)}
}

type view struct {
	Problem        string
	Covered, Total int64
	Files          int
	Rendered       string
	Map            template.HTML
	Directories    []directory
	More           int
}

// Percent is that of all files.
func (v *view) Percent() string { return show(v.Covered, v.Total) }

type directory struct {
	Name           string
	Covered, Total int64
	Files          []row
}

// Percent is that of the directory.
func (d directory) Percent() string { return show(d.Covered, d.Total) }

type row struct {
	Name, Link     string
	Covered, Total int64
}

// Percent is that of the file.
func (r row) Percent() string { return show(r.Covered, r.Total) }

func show(covered, total int64) string { return fmt.Sprintf("%.1f", percent(covered, total)) }

func (l *coverageLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	profile, rendered, err := choose(r.Artifacts)
	if err != nil {
		return look.Execute(l.page, "page", &view{Problem: err.Error()})
	}
	raw, err := lens.ReadAll(ctx, profile, 0)
	var files []fileCover
	if err == nil {
		files, err = parse(raw)
	}
	if err != nil {
		return look.Execute(l.page, "page", &view{Problem: look.Problem(profile, err)})
	}
	return look.Execute(l.page, "page", describe(files, rendered))
}

// choose tells the profile from the page that another program made of it, whose link
// is returned.
func choose(all []lens.Artifact) (profile lens.Artifact, rendered string, err error) {
	for _, a := range all {
		switch {
		case strings.HasSuffix(a.Name(), ".html") && rendered == "":
			rendered = a.Link()
		case profile == nil:
			profile = a
		default:
			return nil, "", fmt.Errorf("there are %d files: a cover profile and one .html file at most are expected", len(all))
		}
	}
	if profile == nil {
		return nil, "", errors.New("there is no cover profile")
	}
	return profile, rendered, nil
}

func describe(files []fileCover, rendered string) *view {
	v := &view{Files: len(files), Rendered: rendered}
	link := func(index int) string {
		// The drawing is no template, which would refuse an address that runs.
		if u, err := url.Parse(rendered); err != nil || rendered == "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
			return ""
		}
		return fmt.Sprintf("%s#file%d", rendered, index)
	}
	for i, f := range files {
		v.Covered += f.covered
		v.Total += f.total
		if i >= maxRows {
			v.More++
			continue
		}
		dir, name := path.Split(f.name)
		dir = strings.TrimSuffix(dir, "/")
		n := len(v.Directories)
		if n == 0 || v.Directories[n-1].Name != dir {
			v.Directories = append(v.Directories, directory{Name: dir})
			n++
		}
		d := &v.Directories[n-1]
		d.Covered += f.covered
		d.Total += f.total
		d.Files = append(d.Files, row{name, link(i), f.covered, f.total})
	}
	if v.Total > 0 {
		v.Map = template.HTML(draw(tree(files), link)) //nolint:gosec // the drawing escapes
	}
	return v
}
