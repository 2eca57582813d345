package deck

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/service"
)

//go:embed templates static
var files embed.FS

// pages renders templates.
type pages struct {
	byName map[string]*template.Template
	// version changes with the static files, so that they can be kept for ever.
	version string
}

var pageNames = []string{"list", "run", "tide", "tide-history", "command-help", "plugins", "deliveries", "not-found", "rerun", "abort", "outcome", "sign-in", "configured-jobs", "job-history", "test-grid", "pr-history", "pr", "directory"}

func newPages() (*pages, error) {
	out := &pages{byName: map[string]*template.Template{}}
	base, err := template.New("base.html").Funcs(functions).ParseFS(files, "templates/base.html", "templates/parts.html", "templates/log.html", "templates/lenses.html")
	if err != nil {
		return nil, err
	}
	for _, name := range pageNames {
		page, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if out.byName[name], err = page.ParseFS(files, "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	badge, err := template.New("badge.svg").ParseFS(files, "templates/badge.svg")
	if err != nil {
		return nil, err
	}
	out.byName["badge"] = badge
	h := fnv.New64a()
	err = fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		_, _ = h.Write(body)
		return err
	})
	out.version = strconv.FormatUint(h.Sum64(), 36)
	return out, err
}

func (p *pages) badge(w io.Writer, text, colour string) error {
	const left = "build"
	l, r := 13+6*len(left), 13+6*len([]rune(text))
	return p.byName["badge"].ExecuteTemplate(w, "badge.svg", map[string]any{
		"Left": left, "Right": text, "Colour": colour, "L": l, "R": r, "W": l + r, "LX": l / 2, "RX": l + r/2,
	})
}

// frame is what every page has around its content.
type frame struct {
	// Root leads to the root of the site.
	Root, Page, Title, Version string
	// Static is appended to the addresses of static files.
	Static   string
	Problems []config.Problem
	// Failing is the text of a failure to load that has no places.
	Failing      string
	Brand        brandView
	FailingSince time.Time
	HasTide      bool
	HasHelp      bool
	// HasDeliveries shows hook's deliveries.
	HasDeliveries bool
	// HasPulls shows the visitor's pull requests.
	HasPulls bool
	// HasSignIn lets visitors sign in; User is who has, Here what to come back to, and
	// HasToken publishes the token of forms.
	HasSignIn, HasToken bool
	User, Here          string
	Now                 time.Time
	Body                any
}

func (s *server) frame(r *http.Request, page, title string, body any) frame {
	out := frame{
		Root: rootOf(r), Page: page, Title: title, Version: service.Version(), Static: s.pages.version,
		HasTide: s.tide != nil, HasHelp: s.help != nil, HasDeliveries: s.deliveries != nil, Now: s.now(), Body: body,
	}
	out.Brand = s.brand()
	out.HasToken = s.access.guard.Sealer != nil
	if s.access.sign != nil {
		out.HasSignIn, out.User = true, s.access.sign.Claimed(r)
		out.HasPulls = s.access.sign.Config().GitHub()
		if page != "sign-in" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			out.Here = strings.TrimPrefix(r.URL.RequestURI(), "/")
		}
	}
	if status := s.config.Status(); status.Err != nil {
		out.FailingSince = status.FailingSince
		var problems config.Errors
		if errors.As(status.Err, &problems) {
			out.Problems = problems[:min(len(problems), 20)]
		} else {
			out.Failing = status.Err.Error()
		}
	}
	return out
}

func (s *server) render(w http.ResponseWriter, r *http.Request, page, title string, body any) {
	s.renderCode(w, r, http.StatusOK, page, title, body)
}

func (s *server) renderCode(w http.ResponseWriter, r *http.Request, code int, page, title string, body any) {
	var out bytes.Buffer
	if err := s.pages.byName[page].ExecuteTemplate(&out, "base.html", s.frame(r, page, title, body)); err != nil {
		s.fail(w, r, fmt.Errorf("rendering %s: %w", page, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("ETag") == "" && code == http.StatusOK {
		sum := fnv.New64a()
		_, _ = sum.Write(out.Bytes())
		tag := `W/"` + strconv.FormatUint(sum.Sum64(), 36) + `"`
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	// Always asked for, but not always sent.
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes()) // a viewer who left is no error
}

// static serves the embedded files.
func (s *server) static(w http.ResponseWriter, r *http.Request) {
	name := "static/" + r.PathValue("path")
	body, own := s.overlaid(r.PathValue("path"))
	if !own {
		var err error
		if body, err = files.ReadFile(name); err != nil {
			http.NotFound(w, r)
			return
		}
	}
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) { // not as the machine's tables have it
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".css":
		kind = "text/css; charset=utf-8"
	case ".svg":
		kind = "image/svg+xml"
	}
	w.Header().Set("Content-Type", kind)
	if r.URL.Query().Get("v") == s.pages.version && !own {
		w.Header().Set("Cache-Control", "public, max-age=315360000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	_, _ = w.Write(body)
}

var functions = template.FuncMap{
	"stateName":   stateName,
	"stateIcon":   stateIcon,
	"stateIconOf": func(state string) string { return stateIcon(v1.ProwJobState(state)) },
	"short":       func(sha string) string { return sha[:min(7, len(sha))] },
	"rfc":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"when":        when,
	"took":        took,
	"size":        humanSize,
	"add":         func(a, b int64) int64 { return a + b },
	"lower":       strings.ToLower,
	"actionName":  func(action string) string { return strings.ToLower(strings.ReplaceAll(action, "_", " ")) },
	"isAbsolute":  func(link string) bool { return strings.Contains(link, "://") },
	// alternatives names the labels of which one is enough.
	"alternatives": func(labels string) string { return strings.ReplaceAll(labels, ",", " or ") },
}

// stateName is the state as one word for people; an unknown one is told as it is.
func stateName(state v1.ProwJobState) string {
	switch state {
	case "":
		return "unknown"
	case v1.PendingState:
		return "running"
	case v1.SuccessState:
		return "passed"
	case v1.FailureState:
		return "failed"
	case v1.TriggeredState:
		return "waiting"
	}
	return string(state)
}

// stateIcon is the symbol of a state, so that it is not told by colour alone.
func stateIcon(state v1.ProwJobState) string {
	switch state {
	case v1.SchedulingState, v1.TriggeredState:
		return "waiting"
	case v1.PendingState:
		return "running"
	case v1.SuccessState:
		return "passed"
	case v1.FailureState:
		return "failed"
	case v1.AbortedState:
		return "aborted"
	case v1.ErrorState:
		return "error"
	}
	return "unknown"
}

// when is a time for people, with the year where it is not this one.
func when(t time.Time) string {
	if t = t.UTC(); t.Year() != time.Now().UTC().Year() {
		return t.Format("2006 Jan 2 15:04")
	}
	return t.Format("Jan 2 15:04:05")
}

// took is a duration for people.
func took(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

func humanSize(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
}
