package deck

import (
	"cmp"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"prow/internal/deck/lens"
)

// What a frame may do. Its origin is its own, because of the frame's attribute sandbox and,
// should somebody open it alone, because of its policy. It loads nothing: its scripts and
// styles stand in it, known by a nonce, so that it needs no cookies and reaches nothing.
const (
	frameSandbox = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
	frameRules   = "; default-src 'none'; connect-src 'none'; form-action 'none'; base-uri 'self'; frame-ancestors 'self'; font-src data:"
	// A frame with scripts of somebody else's cannot lead the page away, and loads nothing
	// at all.
	scriptsSandbox = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox"
	scriptsRules   = "; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; style-src 'unsafe-inline' data:; img-src data: blob:; media-src data: blob:; worker-src blob:"
	// What comes from an endpoint may use files of this site, which the static files of the
	// endpoint are among.
	remoteRules = "; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)

// framePolicy sets the headers of a frame. Without a nonce no script is allowed by one.
func framePolicy(w http.ResponseWriter, nonce string, scripts bool) {
	policy := frameSandbox + frameRules + "; img-src 'self' data:"
	if nonce != "" {
		policy += "; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'"
	}
	if scripts {
		policy = scriptsSandbox + frameRules + scriptsRules
	}
	frameHeaders(w, policy)
}

func frameHeaders(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	// A document in a sandbox can have no opener policy; browsers refuse to show it.
	h.Del("Cross-Origin-Opener-Policy")
}

// lensShell is what stands around the content of a lens.
type lensShell struct {
	Styles  []template.CSS
	Scripts []template.JS
	Open    bool
}

type shellView struct {
	*lensShell
	Title, Nonce string
	Body         template.HTML
}

// shell reads the files of a lens, once.
func (f *frames) shell(about *lens.About) (*lensShell, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.shells[about.Name]; known != nil {
		return known, nil
	}
	css, err := files.ReadFile("static/spyglass/lens.css")
	if err != nil {
		return nil, err
	}
	library, err := files.ReadFile("static/spyglass/lens.js")
	if err != nil {
		return nil, err
	}
	out := &lensShell{Styles: []template.CSS{inlineCSS(css)}, Scripts: []template.JS{inlineJS(library)}, Open: about.Scripts}
	if about.Files != nil {
		entries, err := fs.ReadDir(about.Files, ".") // in the order of names
		if err != nil {
			return nil, fmt.Errorf("the files of the lens %s: %w", about.Name, err)
		}
		for _, entry := range entries {
			kind := path.Ext(entry.Name())
			if entry.IsDir() || kind != ".css" && kind != ".js" {
				continue
			}
			body, err := fs.ReadFile(about.Files, entry.Name())
			if err != nil {
				return nil, fmt.Errorf("the files of the lens %s: %w", about.Name, err)
			}
			if kind == ".css" {
				out.Styles = append(out.Styles, inlineCSS(body))
			} else {
				out.Scripts = append(out.Scripts, inlineJS(body))
			}
		}
	}
	f.shells[cmp.Or(about.Name, "")] = out
	return out, nil
}

// inlineCSS and inlineJS keep files of lenses from ending the element they stand in.
func inlineCSS(text []byte) template.CSS {
	return template.CSS(strings.ReplaceAll(string(text), "</", `<\/`)) //nolint:gosec // of the program itself
}

func inlineJS(text []byte) template.JS {
	return template.JS(strings.NewReplacer("</script", `<\/script`, "</SCRIPT", `<\/SCRIPT`, "<!--", `<\!--`).Replace(string(text))) //nolint:gosec // of the program itself
}

// shellTemplate is the document of a frame. Addresses in it are relative to the root of
// the site.
var shellTemplate = template.Must(template.New("shell").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Title}}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<base href="../../../" target="{{if .Open}}_blank{{else}}_top{{end}}">
{{range .Styles}}<style{{if not $.Open}} nonce="{{$.Nonce}}"{{end}}>{{.}}</style>
{{end -}}
</head>
<body class="lens-body">
<main id="lens">{{.Body}}</main>
{{range .Scripts}}<script{{if not $.Open}} nonce="{{$.Nonce}}"{{end}}>{{.}}</script>
{{end -}}
</body>
</html>
`))
