package local

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// oauthApp is a program that people let act as them: GitHub calls it an OAuth App.
type oauthApp struct {
	ID                               int64
	ClientID, SecretHash, Name, Back string
	OwnerID                          int64
}

const oauthAppCols = "o.id, o.client_id, o.secret, o.name, o.callback, o.owner_id"

func scanOAuthApp(s scanner, v *oauthApp) error {
	return s.Scan(&v.ID, &v.ClientID, &v.SecretHash, &v.Name, &v.Back, &v.OwnerID)
}

func (r *reader) oauthApp(clientID string) (*oauthApp, error) {
	return one(r, scanOAuthApp, "SELECT "+oauthAppCols+" FROM oauth_apps o WHERE o.client_id = ?", clientID)
}

// noScope is what the scopes of a token hold to which none were granted; an empty
// text stands for all.
const noScope = "(no scope)"

// codeLife is how long a code may be exchanged.
const codeLife = 10 * time.Minute

var scopePattern = regexp.MustCompile(`^[a-z_]{1,30}(:[a-z_]{1,30})?$`)

// parseScopes reads the scopes that a program asks for, separated by spaces or commas.
func parseScopes(text string) []string {
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' || c == '+' })
	words = slices.DeleteFunc(words, func(w string) bool { return !scopePattern.MatchString(w) })
	slices.Sort(words)
	words = slices.Compact(words)
	return words[:min(len(words), 30)]
}

// redirectTo checks where a program wants the visitor to be sent: at the callback that
// is registered, or below it. Empty is the callback itself.
func (o *oauthApp) redirectTo(wish string) (*url.URL, bool) {
	back, err := url.Parse(o.Back)
	if err != nil {
		return nil, false
	}
	if wish == "" {
		return back, true
	}
	to, err := url.Parse(wish)
	if err != nil || to.Scheme != back.Scheme || to.Host != back.Host || to.User != nil || to.Fragment != "" {
		return back, false
	}
	below := strings.TrimSuffix(path.Clean("/"+back.Path), "/") + "/"
	if !strings.HasPrefix(path.Clean("/"+to.Path)+"/", below) {
		return back, false
	}
	return to, true
}

// withQuery adds parameters to a URL.
func withQuery(u *url.URL, more url.Values) string {
	out := *u
	query := out.Query()
	for key, values := range more {
		query[key] = values
	}
	out.RawQuery = query.Encode()
	return out.String()
}

// oauthCode is what the program exchanges for a token.
type oauthCode struct {
	appID, accountID            int64
	scopes, redirect, challenge string
	expires                     int64
}

// newCode lets an App act as an account once the code is exchanged.
func (f *Forge) newCode(v *visit, o *oauthApp, scopes []string, redirect, challenge string) (string, error) {
	code := rand.Text()
	granted := strings.Join(scopes, ", ")
	if granted == "" {
		granted = noScope
	}
	err := f.write(v.http.Context(), func(t *txn) error {
		now := f.clock.Now()
		if _, err := t.exec("DELETE FROM oauth_codes WHERE expires < ?", now.UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO oauth_codes (hash, app_id, account_id, scopes, redirect, challenge, expires) VALUES (?,?,?,?,?,?,?)",
			tokenHash(code), o.ID, v.viewer.ID, granted, redirect, challenge, now.Add(codeLife).UnixMilli())
		return err
	})
	return code, err
}

// oauthError is a refusal of the exchange, in GitHub's words. It is answered 200.
type oauthError struct{ code, description string }

func (e *oauthError) Error() string { return e.code + ": " + e.description }

var (
	errWrongClient = &oauthError{"incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."}
	errWrongCode   = &oauthError{"bad_verification_code", "The code passed is incorrect or expired."}
	errWrongBack   = &oauthError{"redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application."}
)

// exchange gives a token for a code. The code is gone afterwards, whatever comes of it.
func (f *Forge) exchange(r *http.Request, clientID, secret, code, redirect, verifier string) (token, scopes string, err error) {
	var refusal error
	err = f.write(r.Context(), func(t *txn) error {
		o, err := t.oauthApp(clientID)
		if errors.Is(err, errNotFound) || err == nil && subtle.ConstantTimeCompare([]byte(o.SecretHash), []byte(tokenHash(secret))) != 1 {
			refusal = errWrongClient
			return nil
		}
		if err != nil {
			return err
		}
		c, err := one(&t.reader, func(s scanner, v *oauthCode) error {
			return s.Scan(&v.appID, &v.accountID, &v.scopes, &v.redirect, &v.challenge, &v.expires)
		}, "SELECT app_id, account_id, scopes, redirect, challenge, expires FROM oauth_codes WHERE hash = ?", tokenHash(code))
		if errors.Is(err, errNotFound) {
			refusal = errWrongCode
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM oauth_codes WHERE hash = ?", tokenHash(code)); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(verifier))
		switch {
		case c.appID != o.ID, c.expires < f.clock.Now().UnixMilli(),
			c.challenge != "" && subtle.ConstantTimeCompare([]byte(c.challenge), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) != 1:
			refusal = errWrongCode
			return nil
		case redirect != "" && redirect != c.redirect:
			refusal = errWrongBack
			return nil
		}
		token, scopes = "gho_"+rand.Text(), c.scopes
		_, err = t.exec("INSERT INTO tokens (hash, account_id, scopes, created) VALUES (?,?,?,?)", tokenHash(token), c.accountID, scopes, t.now)
		return err
	})
	if err == nil {
		err = refusal
	}
	return token, scopes, err
}

// serveAccessToken answers programs that have a code. Like GitHub it speaks JSON to
// those who ask for it, and the language of forms to others.
func (f *Forge) serveAccessToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		http.Error(w, "Codes are exchanged by POST.", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form could not be read.", http.StatusBadRequest)
		return
	}
	clientID, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, pass, ok := r.BasicAuth(); ok {
		clientID, secret = user, pass
	}
	token, scopes, err := f.exchange(r, clientID, secret, r.PostForm.Get("code"), r.PostForm.Get("redirect_uri"), r.PostForm.Get("code_verifier"))
	answer := url.Values{}
	var refused *oauthError
	switch {
	case errors.As(err, &refused):
		answer.Set("error", refused.code)
		answer.Set("error_description", refused.description)
	case err != nil:
		f.fail(w, r, err)
		return
	default:
		if scopes == noScope {
			scopes = ""
		}
		answer.Set("access_token", token)
		answer.Set("token_type", "bearer")
		answer.Set("scope", strings.ReplaceAll(scopes, ", ", ","))
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Accept")); kind == "application/json" {
		body := obj{}
		for key := range answer {
			body[key] = answer.Get(key)
		}
		writeJSON(w, http.StatusOK, body)
		return
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = w.Write([]byte(answer.Encode())) // the client is gone
}
