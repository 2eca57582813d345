package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"prow/internal/forge/github"
)

// oidcPrefix is before the names of people whom another provider than GitHub vouches
// for. No login of GitHub has a colon.
const oidcPrefix = "oidc:"

// discover asks the issuer where its endpoints and keys are, once.
func (a *Agent) discover(ctx context.Context, issuer string) (*oidc.Provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.provider != nil && a.issuer == issuer {
		return a.provider, nil
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, a.http), issuer)
	if err != nil {
		return nil, fmt.Errorf("asking %s how to sign in: %w", issuer, err)
	}
	a.provider, a.issuer = found, issuer
	return found, nil
}

func oidcConfig(o *OIDC, p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: o.RedirectURL, Endpoint: p.Endpoint(),
		Scopes: append([]string{oidc.ScopeOpenID}, o.Scopes...),
	}
}

// StartOIDC sends the visitor to the provider.
func (a *Agent) StartOIDC(w http.ResponseWriter, r *http.Request) {
	o := a.Config().OIDC
	if o == nil {
		http.NotFound(w, r)
		return
	}
	provider, err := a.discover(r.Context(), o.IssuerURL)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	// Providers compare the address that they send people back to as a whole, so the
	// destination is only in the cookie.
	p := pending{Provider: "oidc", State: randomHex(), Nonce: randomHex(), Dest: SafeDestination(r.FormValue("dest")), Redirect: o.RedirectURL, Verifier: oauth2.GenerateVerifier()}
	a.begin(w, r, p, oidcConfig(o, provider).AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)))
}

// FinishOIDC takes the visitor back from the provider.
func (a *Agent) FinishOIDC(w http.ResponseWriter, r *http.Request) {
	o := a.Config().OIDC
	if o == nil {
		http.NotFound(w, r)
		return
	}
	p, err := a.finish(w, r, "oidc")
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), a.http), askTimeout)
	defer cancel()
	name, err := a.identify(ctx, o, p, r.FormValue("code"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	user := session{Name: oidcPrefix + name}
	if o.GitHubLogins {
		user = session{Name: name, Forge: true}
	}
	if a.enter(w, r, user, o.Session.Duration) {
		a.leave(w, r, pathOf(o.RedirectURL, oidcBack), p.Dest)
	}
}

// identify exchanges the code for an ID token and reads the name in it.
func (a *Agent) identify(ctx context.Context, o *OIDC, p pending, code string) (string, error) {
	provider, err := a.discover(ctx, o.IssuerURL)
	if err != nil {
		return "", err
	}
	token, err := oidcConfig(o, provider).Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return "", fmt.Errorf("%s gives no token for the code: %w", o.IssuerURL, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: o.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", fmt.Errorf("the ID token of %s: %w", o.IssuerURL, err)
	}
	if id.Nonce != p.Nonce {
		return "", errors.New("the ID token was made for another sign-in")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return "", fmt.Errorf("the ID token of %s: %w", o.IssuerURL, err)
	}
	name, _ := claims[o.UserClaim].(string)
	// Some providers tell it as a text, some not at all.
	verified := fmt.Sprint(claims["email_verified"])
	switch {
	case o.UserClaim == "email" && claims["email_verified"] != nil && verified != "true":
		return "", errors.New("the provider has not verified the mail address, so anybody may have given it")
	case name == "" || len(name) > 200 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "", fmt.Errorf("claim %q of the ID token is %q, which names nobody", o.UserClaim, name)
	case o.GitHubLogins && (strings.ContainsAny(name, ":@/") || name != strings.TrimSpace(name)):
		return "", fmt.Errorf("claim %q of the ID token is %q, which is no login of GitHub", o.UserClaim, name)
	}
	if o.GitHubLogins {
		name = github.NormLogin(name)
	}
	return name, nil
}
