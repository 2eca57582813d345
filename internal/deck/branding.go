package deck

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"prow/internal/storage"
)

// What operators put on the pages: a logo, colours, files of their own, and analytics.

// brandView is that for a page.
type brandView struct {
	// Logo is the address of an image, Favicon tells that there is an icon of the operator's.
	Logo    string
	Favicon bool
	// Colours tells that there are some, Version changes with them.
	Colours bool
	Version string
	// Style and Script tell that the operator's directory has extensions.
	Style, Script bool
	// Analytics is the account of Google Analytics.
	Analytics string
}

var (
	// colour is what may stand in a style sheet.
	colour = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,32}|(rgb|rgba|hsl|hsla)\([0-9., %/deg]{1,48}\))$`)
	// analyticsID is an account of Google Analytics.
	analyticsID = regexp.MustCompile(`^[A-Za-z0-9-]{1,40}$`)
)

const (
	extensionStyle  = "extensions/style.css"
	extensionScript = "extensions/script.js"
	// maxOverlay bounds a file of the operator's, in bytes.
	maxOverlay = 8 << 20
)

func (s *server) brand() brandView {
	deck := &s.config.Get().Deck
	out := brandView{Style: s.hasOverlay(extensionStyle), Script: s.hasOverlay(extensionScript)}
	if b := deck.Branding; b != nil {
		out.Logo, out.Favicon = b.Logo, b.Favicon != ""
		out.Colours = colour.MatchString(b.BackgroundColor) || colour.MatchString(b.HeaderColor)
		out.Version = url.QueryEscape(b.BackgroundColor + " " + b.HeaderColor)
	}
	if analyticsID.MatchString(deck.GoogleAnalytics) {
		out.Analytics = deck.GoogleAnalytics
	}
	return out
}

// policy is what pages may do: that of all pages, and what the operator put there from
// elsewhere.
func (s *server) policy() string {
	deck := &s.config.Get().Deck
	out := pagePolicy
	if b := deck.Branding; b != nil {
		if u, err := url.Parse(b.Logo); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsAny(u.Host, "; ,'\"") {
			out = strings.Replace(out, "img-src 'self'", "img-src 'self' "+u.Scheme+"://"+u.Host, 1)
		}
	}
	if analyticsID.MatchString(deck.GoogleAnalytics) {
		out = strings.Replace(out, "script-src 'self'", "script-src 'self' https://www.googletagmanager.com", 1)
		out = strings.Replace(out, "connect-src 'self'", "connect-src 'self' https://*.google-analytics.com https://*.analytics.google.com https://www.googletagmanager.com", 1)
		out = strings.Replace(out, "img-src 'self'", "img-src 'self' https://*.google-analytics.com https://www.googletagmanager.com", 1)
	}
	return out
}

// brandingCSS are the colours of the configuration.
func (s *server) brandingCSS(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	b := s.config.Get().Deck.Branding
	if b == nil {
		return
	}
	if colour.MatchString(b.BackgroundColor) {
		_, _ = fmt.Fprintf(w, "html, body { background-color: %s; }\n", b.BackgroundColor)
	}
	if colour.MatchString(b.HeaderColor) {
		_, _ = fmt.Fprintf(w, ".top { background-color: %s; }\n", b.HeaderColor)
	}
}

// favicon is that of the configuration, which is among the static files, or the own one.
func (s *server) favicon(w http.ResponseWriter, r *http.Request) {
	name := "favicon.svg"
	if b := s.config.Get().Deck.Branding; b != nil && b.Favicon != "" {
		name = b.Favicon
	} else if s.hasOverlay("favicon.ico") {
		name = "favicon.ico"
	}
	if !fs.ValidPath(name) { // it stays among the static files
		http.NotFound(w, r)
		return
	}
	http.Redirect(w, r, "static/"+escapePath(name), http.StatusFound)
}

func (s *server) hasOverlay(name string) bool {
	if s.overlay == nil {
		return false
	}
	info, err := fs.Stat(s.overlay, name)
	return err == nil && info.Mode().IsRegular()
}

// overlaid is a static file of the operator's.
func (s *server) overlaid(name string) ([]byte, bool) {
	if s.overlay == nil || !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		return nil, false
	}
	info, err := fs.Stat(s.overlay, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxOverlay {
		return nil, false
	}
	body, err := fs.ReadFile(s.overlay, name)
	return body, err == nil
}

// signedFor is how long a signed address holds.
const signedFor = 10 * time.Minute

// addressOf is where Google's storage serves an object to others; empty for other storage.
func (s *server) addressOf(ctx context.Context, b storage.Bucket, p place) string {
	switch {
	case p.provider != "gs":
		return ""
	case s.gcsCookies:
		return "https://storage.cloud.google.com/" + escapePath(p.bucket+"/"+p.key)
	case !s.gcsSigns:
		return "https://storage.googleapis.com/" + escapePath(p.bucket+"/"+p.key)
	}
	signed, err := storage.SignedURL(ctx, b, p.key, signedFor)
	if err != nil {
		s.log.DebugContext(ctx, "an address cannot be signed", "place", p.path(), "error", err)
		return ""
	}
	return signed
}
