package local

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// authorize asks the visitor whether a program may act as them, and sends them back
// to it with a code or with the refusal.
func (v *visit) authorize() error {
	v.http.Body = http.MaxBytesReader(v.w, v.http.Body, 1<<16)
	if err := v.http.ParseForm(); err != nil {
		return badRequest("The form could not be read.")
	}
	q := v.http.Form
	o, err := v.oauthApp(q.Get("client_id"))
	if errors.Is(err, errNotFound) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	back := func(u *url.URL, answer url.Values) error {
		if state := q.Get("state"); state != "" {
			answer.Set("state", state)
		}
		http.Redirect(v.w, v.http, withQuery(u, answer), http.StatusFound)
		return nil
	}
	to, ok := o.redirectTo(q.Get("redirect_uri"))
	if to == nil {
		return badRequest("The callback of this program is not a URL.")
	}
	if !ok {
		return back(to, url.Values{"error": {errWrongBack.code}, "error_description": {errWrongBack.description}})
	}
	challenge := q.Get("code_challenge")
	if challenge != "" && q.Get("code_challenge_method") != "S256" {
		return back(to, url.Values{"error": {"invalid_request"}, "error_description": {"code_challenge_method must be S256."}})
	}
	scopes := parseScopes(q.Get("scope"))
	if v.http.Method != http.MethodPost {
		return v.askConsent(o, to, scopes)
	}
	if v.viewer == nil {
		return badRequest("Choose first whom to act as.")
	}
	if v.http.PostForm.Get("allow") != "yes" {
		return back(to, url.Values{"error": {"access_denied"}, "error_description": {"The user has denied your application access."}})
	}
	code, err := v.f.newCode(v, o, scopes, q.Get("redirect_uri"), challenge)
	if err != nil {
		return err
	}
	return back(to, url.Values{"code": {code}})
}

func (v *visit) askConsent(o *oauthApp, to *url.URL, scopes []string) error {
	fr, err := v.frame("Sign in to " + o.Name)
	if err != nil {
		return err
	}
	owner, err := v.accountID(o.OwnerID)
	if err != nil {
		return err
	}
	// The answer to the form leads to the program, which browsers count as its target.
	v.w.Header().Set("Content-Security-Policy", strings.Replace(contentPolicy, "form-action 'self'", "form-action 'self' "+to.Scheme+"://"+to.Host, 1))
	return v.show("authorize", struct {
		frame
		App, Owner, Host, Action string
		Scopes                   []string
	}{fr, o.Name, owner.Login, to.Host, v.http.URL.RequestURI(), scopes})
}
