package deck

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/deck/authorize"
	"prow/internal/deck/csrf"
	"prow/internal/deck/seal"
	"prow/internal/deck/signin"
	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
)

// access is who may do what here.
type access struct {
	// sign is nil where nobody can sign in.
	sign   *signin.Agent
	guard  *csrf.Guard
	decide *authorize.Decider
	// plugins is nil without a configuration of plugins.
	plugins *pluginconfig.Watcher
}

// parseSecret decodes the file of --cookie-secret.
func parseSecret(raw []byte) ([]byte, error) {
	out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("expected base64: %w", err)
	}
	return out, nil
}

// newAccess opens what the options name, and refuses to start where anybody, or any
// other site, could start jobs without the configuration saying so.
func newAccess(ctx context.Context, rt *service.Runtime, o *Options, cfg *config.Watcher) (*access, error) {
	out := &access{guard: &csrf.Guard{Insecure: o.AllowInsecure, Log: rt.Log}, decide: &authorize.Decider{Config: cfg.Get}}
	secret := func() []byte { return nil }
	// least is how long the secret must stay when its file changes: with a weaker one
	// anybody could make sessions up.
	var least atomic.Int64
	if o.CookieSecretFile != "" {
		file, err := rt.Secrets.File(o.CookieSecretFile, func(raw []byte) error {
			out, err := parseSecret(raw)
			if err == nil && int64(len(out)) < least.Load() {
				err = fmt.Errorf("it has %d bytes, and what it protects needs %d", len(out), least.Load())
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("--cookie-secret: %w", err)
		}
		secret = func() []byte {
			out, _ := parseSecret([]byte(file().Reveal())) // it was parsed when it was read
			return out
		}
	}
	switch key := csrf.Key(secret()); {
	case key != nil:
		least.Store(csrf.KeySize)
		out.guard.Sealer = seal.New(func() []byte { return csrf.Key(secret()) }, time.Now)
	case o.RerunCreatesJob && o.CookieSecretFile != "":
		return nil, fmt.Errorf("--cookie-secret: with --rerun-creates-job it must have at least 32 bytes, and %s has %d", o.CookieSecretFile, len(secret()))
	case o.RerunCreatesJob && !out.decide.Anyone(&v1.ProwJobSpec{}):
		return nil, errors.New("--rerun-creates-job needs --cookie-secret unless the configuration of deck lets anyone run jobs again (allow_anyone)")
	default:
		rt.Log.WarnContext(ctx, "no --cookie-secret of at least 32 bytes is given: only browsers that tell where a request comes from protect their users from other sites")
	}
	if o.OAuthURL != "" {
		if err := out.openSignIn(rt, o, secret); err != nil {
			return nil, err
		}
		least.Store(max(least.Load(), 1))
	}
	if o.GitHub.TokenPath != "" || o.GitHub.AppID != "" {
		client, err := o.GitHub.Client(rt.Agent(), o.DryRun, rt.Secrets, rt.Log)
		if err != nil {
			return nil, err
		}
		out.decide.Forge = client
	}
	if o.Plugins.Path != "" {
		watcher, err := pluginconfig.NewWatcher(ctx, o.Plugins, live.Options{Name: "plugin config", Logger: rt.Log, Observe: live.Metrics(rt.Metrics, "plugin config")})
		if err != nil {
			return nil, err
		}
		out.plugins, out.decide.Plugins = watcher, watcher.Get
	}
	return out, nil
}

func (a *access) openSignIn(rt *service.Runtime, o *Options, secret func() []byte) error {
	if len(secret()) == 0 {
		return errors.New("--cookie-secret: sessions need a secret, and it is empty")
	}
	file, err := rt.Secrets.File(o.OAuthConfigFile, func(raw []byte) error { _, err := signin.ParseConfig(raw); return err })
	if err != nil {
		return fmt.Errorf("--github-oauth-config-file: %w", err)
	}
	a.sign = signin.New(signin.Options{
		Config: func() *signin.Config {
			out, _ := signin.ParseConfig([]byte(file().Reveal())) // it was parsed when it was read
			rt.Secrets.Add(out.ClientSecret)
			if out.OIDC != nil {
				rt.Secrets.Add(out.OIDC.ClientSecret)
			}
			return out
		},
		Sealer: seal.New(secret, time.Now), Insecure: o.AllowInsecure, GitHubHost: o.GitHub.Host, Log: rt.Log,
		Client: func(token string) (*github.Client, error) {
			return github.NewClient(github.ClientOptions{
				Endpoints: o.GitHub.Endpoints, GraphQLEndpoint: o.GitHub.GraphQLEndpoint, UserAgent: rt.Agent(), DryRun: true, Logger: rt.Log,
				Token: func() (string, error) { return token, nil }, RequestTimeout: 10 * time.Second,
				Retry: github.RetryPolicy{MaxRetries: 2, Max404Retries: -1, MaxSleep: 5 * time.Second, InitialDelay: 500 * time.Millisecond},
			})
		},
	})
	return nil
}

// deny answers those who may not do something. Programs get the text, people a page.
func (s *server) deny(w http.ResponseWriter, r *http.Request, code int, text string) {
	if !wantsPage(r) {
		noStore(w)
		http.Error(w, text, code)
		return
	}
	body := struct {
		Text   string
		SignIn bool
		// Again is the page to try again from.
		Again string
	}{text, code == http.StatusUnauthorized, askedOn(r)}
	s.renderCode(w, r, code, "outcome", "Nothing was done", body)
}

// askedOn is the page that a request was sent from, or was for.
func askedOn(r *http.Request) string {
	switch name := r.URL.Query().Get("prowjob"); {
	case (r.URL.Path == "/rerun" || r.URL.Path == "/abort") && name != "":
		return "run/" + url.PathEscape(name) + r.URL.Path
	case r.Method == http.MethodGet:
		return strings.TrimPrefix(r.URL.RequestURI(), "/")
	}
	return ""
}

// wantsPage tells whether a browser shows what is answered.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// user tells who sends a request, or answers that it cannot be told.
func (s *server) user(w http.ResponseWriter, r *http.Request) *signin.User {
	if s.access.sign == nil {
		s.deny(w, r, http.StatusInternalServerError, "Nobody can sign in here, so it cannot be told whether you may do this.")
		return nil
	}
	user, err := s.access.sign.Who(r.Context(), r)
	switch {
	case errors.Is(err, signin.ErrNotSignedIn):
		s.deny(w, r, http.StatusUnauthorized, "Sign in first.")
		return nil
	case err != nil:
		s.log.ErrorContext(r.Context(), "who sends a request cannot be told", "error", err)
		s.deny(w, r, http.StatusInternalServerError, "It cannot be told who you are at the moment; the log of this program tells why.")
		return nil
	}
	return user
}

// permitted tells whether a request may do something with a job, and who sends it: ""
// where anyone may. Otherwise it answers.
func (s *server) permitted(w http.ResponseWriter, r *http.Request, action authorize.Action, pj *v1.ProwJob) (user string, ok bool) {
	if s.access.decide.Anyone(&pj.Spec) {
		s.audit(r, action, pj, "", authorize.Verdict{Allowed: true, Reason: "anyone may"})
		return "", true
	}
	who := s.user(w, r)
	if who == nil {
		return "", false
	}
	verdict, err := s.access.decide.May(r.Context(), action, &pj.Spec, who)
	if err != nil {
		s.log.ErrorContext(r.Context(), "whether somebody may do something cannot be told", "action", string(action), "user", who.Name, "prowjob", pj.Name, "error", err)
		s.deny(w, r, http.StatusInternalServerError, "It cannot be told at the moment whether you may do this; the log of this program tells why.")
		return "", false
	}
	s.audit(r, action, pj, who.Name, verdict)
	if !verdict.Allowed {
		s.deny(w, r, http.StatusForbidden, fmt.Sprintf("%s may not %s this job: %s.", who.Name, action, verdict.Reason))
		return "", false
	}
	return who.Name, true
}

// audit notes each decision in one line.
func (s *server) audit(r *http.Request, action authorize.Action, pj *v1.ProwJob, user string, verdict authorize.Verdict) {
	s.log.InfoContext(r.Context(), "audit", "action", string(action), "allowed", verdict.Allowed, "user", user, "reason", verdict.Reason,
		"prowjob", pj.Name, "job", pj.Spec.Job, "mode", r.FormValue("mode"), "client", r.RemoteAddr, "forwarded-for", r.Header.Get("X-Forwarded-For"))
}

// administers tells whether a request comes from an administrator; otherwise it answers.
// Where nobody can sign in, everybody who reaches these pages is one, unless the
// configuration says who is.
func (s *server) administers(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	auth := s.config.Get().Deck.Administrators
	if s.access.sign == nil && auth == nil || auth != nil && auth.AllowAnyone {
		return "", true
	}
	who := s.user(w, r)
	if who == nil {
		return "", false
	}
	verdict, err := s.access.decide.Administers(r.Context(), who)
	if err != nil {
		s.log.ErrorContext(r.Context(), "whether somebody administers cannot be told", "user", who.Name, "error", err)
		s.deny(w, r, http.StatusInternalServerError, "It cannot be told at the moment whether you may do this; the log of this program tells why.")
		return "", false
	}
	if !verdict.Allowed {
		s.log.InfoContext(r.Context(), "audit", "action", "deliveries", "allowed", false, "user", who.Name, "reason", verdict.Reason)
		s.deny(w, r, http.StatusForbidden, who.Name+" may not do this: "+verdict.Reason+".")
		return "", false
	}
	return who.Name, true
}

// signInPage lets the visitor choose how to sign in.
func (s *server) signInPage(w http.ResponseWriter, r *http.Request) {
	providers := s.access.sign.Providers()
	dest := url.QueryEscape(signin.SafeDestination(r.FormValue("dest")))
	for i := range providers {
		providers[i].Path += "?dest=" + dest
	}
	if len(providers) == 1 {
		seeOther(w, http.StatusFound, rootOf(r)+providers[0].Path)
		return
	}
	s.render(w, r, "sign-in", "Sign in", providers)
}

// seeOther leads to an address relative to that of the request, which only the browser
// knows as a whole.
func seeOther(w http.ResponseWriter, code int, location string) {
	noStore(w)
	w.Header().Set("Location", location)
	w.WriteHeader(code)
}

// onlyHTTPS leads from plain HTTP, as a proxy tells it, to the site's own host.
func onlyHTTPS(host string, next http.Handler) http.Handler {
	if host == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "http") {
			w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// viewerTag tells the pages of different visitors apart.
func (s *server) viewerTag(r *http.Request) string {
	if s.access.sign == nil {
		return ""
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, s.access.sign.Claimed(r))
	return strconv.FormatUint(h.Sum64(), 36)
}
