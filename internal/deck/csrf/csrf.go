// Package csrf keeps other sites from making a visitor's browser change something here.
//
// Browsers say where a request comes from, and that decides. Programs that are no
// browser say nothing: with a key they have to show the token that pages publish.
package csrf

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"prow/internal/deck/seal"
)

const (
	// Header and Field carry the token.
	Header = "X-CSRF-Token"
	Field  = "gorilla.csrf.Token"
	// KeySize is the least size of a secret that makes a key, in bytes.
	KeySize = 32

	cookieName = "_gorilla_csrf"
	cookieLife = 12 * time.Hour
	tokenSize  = KeySize
	// maxForm bounds a form that is searched for the token, in bytes.
	maxForm = 1 << 20
)

// Key makes the key of tokens from a decoded secret; nil where that is too short.
func Key(secret []byte) []byte {
	switch {
	case len(secret) < KeySize:
		return nil
	case len(secret) == KeySize:
		return secret
	}
	sum := sha256.Sum256(secret)
	return sum[:]
}

// Guard lets requests pass that change something only if they are meant to.
type Guard struct {
	// Sealer is nil without a key: then only browsers are told apart.
	Sealer   *seal.Sealer
	Insecure bool
	Log      *slog.Logger
	origins  http.CrossOriginProtection
}

// Handler asks before it passes a request on.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.Sealer != nil {
			w.Header().Add("Vary", "Cookie")
		}
		if reason := g.refusal(w, r); reason != "" {
			g.Log.WarnContext(r.Context(), "a request is refused", "path", r.URL.Path, "reason", reason, "origin", r.Header.Get("Origin"))
			http.Error(w, "This request is refused: "+reason+".", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Guard) refusal(w http.ResponseWriter, r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return ""
	}
	if g.origins.Check(r) != nil {
		return "it comes from another site"
	}
	if g.Sealer == nil || fromThisSite(r) {
		return ""
	}
	token := r.Header.Get(Header)
	if token == "" {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		token = r.PostFormValue(Field)
	}
	if !g.valid(r, token) {
		return "it does not say that it comes from a page of this site, and has no valid token"
	}
	return ""
}

// fromThisSite tells whether a browser says so.
func fromThisSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && origin.Host == r.Host
}

// real is the token of the visitor's cookie.
func (g *Guard) real(r *http.Request) ([]byte, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil, false
	}
	var out []byte
	return out, g.Sealer.Open(cookieName, c.Value, &out) == nil && len(out) == tokenSize
}

func (g *Guard) valid(r *http.Request, token string) bool {
	raw, err := base64.StdEncoding.DecodeString(token)
	want, ok := g.real(r)
	if err != nil || !ok || len(raw) != 2*tokenSize {
		return false
	}
	return subtle.ConstantTimeCompare(mask(raw[:tokenSize], raw[tokenSize:]), want) == 1
}

func mask(pad, value []byte) []byte {
	out := make([]byte, tokenSize)
	subtle.XORBytes(out, pad, value)
	return out
}

// Token is a token for a page; empty without a key. It is different each time, so that
// the sizes of compressed pages tell nothing about it. A visitor without a cookie gets one.
func (g *Guard) Token(w http.ResponseWriter, r *http.Request) string {
	if g.Sealer == nil {
		return ""
	}
	value, ok := g.real(r)
	if !ok {
		value = random()
		text, err := g.Sealer.Seal(cookieName, value, cookieLife)
		if err != nil {
			g.Log.ErrorContext(r.Context(), "a token cannot be made", "error", err)
			return ""
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: text, Path: "/", MaxAge: int(cookieLife.Seconds()), HttpOnly: true, Secure: !g.Insecure, SameSite: http.SameSiteLaxMode,
		})
	}
	pad := random()
	return base64.StdEncoding.EncodeToString(append(pad, mask(pad, value)...))
}

func random() []byte {
	out := make([]byte, tokenSize)
	_, _ = rand.Read(out) // never fails
	return out
}

// Script serves the token as the global csrfToken, to pages of this site only. The
// pages themselves are without it, so that they can be kept and compared.
func (g *Guard) Script(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store, must-revalidate")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		http.Error(w, "This is for pages of this site.", http.StatusForbidden)
		return
	}
	text, err := json.Marshal(g.Token(w, r))
	if err != nil {
		http.Error(w, "The token cannot be told.", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write([]byte("var csrfToken = " + string(text) + ";\n")) // a viewer who left is no error
}
