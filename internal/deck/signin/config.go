// Package signin tells who a visitor is: by GitHub, or by any provider of OpenID
// Connect.
//
// A sign-in begins at Start, goes over the provider and ends at Finish. What has to
// survive that travels in a sealed cookie, and so does the session afterwards: this
// program keeps nothing, so all of its replicas know all sessions, and nobody who gets
// hold of a cookie reads a token in it.
package signin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Config is the file about the programs that are registered at the providers.
type Config struct {
	// ClientID, ClientSecret and RedirectURL are those of the OAuth App of GitHub.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// RedirectURL ends in /github-login/redirect.
	RedirectURL string `json:"redirect_url"`
	// Scopes are asked for beyond what is public.
	Scopes []string `json:"scopes"`
	// BaseURL is where people sign in. Default: the host of --github-host, by HTTPS.
	BaseURL string `json:"base_url"`
	// OIDC is a further provider, or with no client_id the only one.
	OIDC *OIDC `json:"oidc"`
}

// OIDC is a provider of OpenID Connect.
type OIDC struct {
	// Name is what the provider is called on pages. Default: the host of IssuerURL.
	Name         string `json:"name"`
	IssuerURL    string `json:"issuer_url"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// RedirectURL ends in /oidc-login/redirect.
	RedirectURL string `json:"redirect_url"`
	// Scopes are asked for beside openid. Default: profile and email.
	Scopes []string `json:"scopes"`
	// UserClaim is the claim by which people are called. Default: email.
	UserClaim string `json:"user_claim"`
	// GitHubLogins says that the claim holds logins of GitHub, which the provider
	// vouches for. Without it people are called "oidc:" and the claim, and nobody is
	// taken for a user of GitHub who happens to be called the same.
	GitHubLogins bool `json:"github_logins"`
	// Session is how long a session lasts: the provider is not asked in between.
	// Default: 12h.
	Session *metav1.Duration `json:"session"`
}

// Where sign-ins come back to.
const (
	githubBack = "/github-login/redirect"
	oidcBack   = "/oidc-login/redirect"
)

// ParseConfig reads the file, which may be YAML or JSON. Keys that are unknown are
// ignored: files of other programs have more.
func ParseConfig(raw []byte) (*Config, error) {
	var out Config
	if err := yaml.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	var errs []error
	need := func(key, value string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing", key))
		}
	}
	if out.GitHub() || out.OIDC == nil {
		need("client_id", out.ClientID)
		need("client_secret", out.ClientSecret)
		errs = append(errs, checkURL("redirect_url", out.RedirectURL))
		if out.BaseURL != "" {
			errs = append(errs, checkURL("base_url", out.BaseURL))
		}
	}
	if o := out.OIDC; o != nil {
		need("oidc.client_id", o.ClientID)
		need("oidc.client_secret", o.ClientSecret)
		errs = append(errs, checkURL("oidc.issuer_url", o.IssuerURL), checkURL("oidc.redirect_url", o.RedirectURL))
		if o.Name == "" {
			if u, err := url.Parse(o.IssuerURL); err == nil {
				o.Name = u.Host
			}
		}
		if len(o.Scopes) == 0 {
			o.Scopes = []string{"profile", "email"}
		}
		if o.UserClaim == "" {
			o.UserClaim = "email"
		}
		if o.Session == nil {
			o.Session = &metav1.Duration{Duration: 12 * time.Hour}
		}
		if o.Session.Duration <= 0 {
			errs = append(errs, fmt.Errorf("oidc.session: found %v, expected a positive duration", o.Session.Duration))
		}
	}
	return &out, errors.Join(errs...)
}

// GitHub tells whether people may sign in with GitHub.
func (c *Config) GitHub() bool {
	return c.ClientID != "" || c.ClientSecret != "" || c.RedirectURL != ""
}

func checkURL(key, text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return fmt.Errorf("%s is missing", key)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%s: found %q, expected an http or https URL", key, text)
	}
	return nil
}

// pathOf is the path below which the site stands, as the address that a sign-in comes
// back to tells.
func pathOf(redirect, ending string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		return ""
	}
	path, _ := strings.CutSuffix(strings.TrimRight(u.Path, "/"), ending)
	if path == strings.TrimRight(u.Path, "/") {
		return "" // the callback is somewhere else: nothing is known
	}
	return path
}

// SafeDestination is where on this site a visitor wants to go, as a path from its root
// without the first slash. Whatever the text is, it leads to no other site.
func SafeDestination(text string) string {
	const longest = 2000
	if len(text) > longest {
		return ""
	}
	for _, c := range text {
		// Browsers take a backslash for a slash, and drop control characters first.
		if c < ' ' || c == 0x7f || c == '\\' || c == 0xfffd {
			return ""
		}
	}
	u, err := url.Parse("/" + strings.TrimLeft(text, "/"))
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return ""
	}
	for element := range strings.SplitSeq(u.Path, "/") {
		if element == ".." || element == "." { // the site may stand below a path of somebody else's
			return ""
		}
	}
	return strings.TrimLeft(u.String(), "/")
}
