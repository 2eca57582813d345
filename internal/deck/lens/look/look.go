// Package look is what the lenses have in common: a style sheet, a small script, and
// the reading of their configuration. Everything a lens shows can be read without
// the script.
package look

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/internal/deck/lens"
)

//go:embed static
var static embed.FS

// Files joins the directory "static" of a lens with what all lenses have. Names of
// the common files begin with 00-, so they are loaded first.
func Files(own fs.FS) fs.FS { return Join(own, static) }

// Join is the union of the directories "static" of several file systems.
func Join(all ...fs.FS) fs.FS {
	var out union
	for _, f := range all {
		sub, err := fs.Sub(f, "static")
		if err != nil {
			panic(err) // the name is a constant, and valid
		}
		out = append(out, sub)
	}
	return out
}

type union []fs.FS

func (u union) Open(name string) (fs.File, error) {
	for _, f := range u {
		file, err := f.Open(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir makes fs.WalkDir, fs.ReadDir and fs.Glob see all of them.
func (u union) ReadDir(name string) ([]fs.DirEntry, error) {
	var out []fs.DirEntry
	found := false
	for _, f := range u {
		entries, err := fs.ReadDir(f, name)
		if err != nil {
			continue
		}
		found = true
		for _, e := range entries {
			if !slices.ContainsFunc(out, func(o fs.DirEntry) bool { return o.Name() == e.Name() }) {
				out = append(out, e)
			}
		}
	}
	if !found {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Config reads the configuration of a lens over its defaults. A mistake is told to
// whoever looks at the page: what could be read counts all the same.
func Config(raw json.RawMessage, into any) (problem string) {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return ""
	}
	_ = json.Unmarshal(raw, into) // the rest of it
	return "The configuration of this lens has a mistake: " + strings.TrimPrefix(err.Error(), "json: ") + "."
}

// Template parses a template of a lens with the functions below.
func Template(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"time": Time, "size": Size, "int": func(n int64) int { return int(n) }, "took": Took, "count": Count, "problem": func(s string) template.HTML {
			return template.HTML(`<p class="problem">` + template.HTMLEscapeString(s) + `</p>`) //nolint:gosec // escaped
		},
	}).Parse(text))
}

// Execute runs a template.
func Execute(t *template.Template, name string, data any) (template.HTML, error) {
	var out strings.Builder
	if err := t.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("show %s: %w", t.Name(), err)
	}
	return template.HTML(out.String()), nil //nolint:gosec // made by a template
}

// Time shows a time, which the script turns into one of the viewer's zone.
func Time(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04:05") + ` UTC</time>`) //nolint:gosec // digits
}

// Size shows a number of bytes.
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " " + unit
}

// Took shows a duration rounded to seconds, such as 1h2m3s.
func Took(d time.Duration) string { return d.Round(time.Second).String() }

// Count shows a number with its noun: "1 line", "2 lines".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " " + noun + "s"
}

// Problem says in a sentence why an artifact is not shown.
func Problem(a lens.Artifact, err error) string {
	if strings.HasPrefix(err.Error(), a.Name()) {
		return err.Error()
	}
	return a.Name() + ": " + err.Error()
}

// JSON reads a JSON document, which may be followed by blanks only.
func JSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON document")
	}
	return nil
}
