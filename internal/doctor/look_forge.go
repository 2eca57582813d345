package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"prow/internal/forge/github"
)

// wantedPermissions are those of a GitHub App under which all components work.
var wantedPermissions = map[string]string{
	"administration": "read", "checks": "read", "contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write", "statuses": "write", "members": "read",
}

// wantedEvents are what hook and its plugins react to.
var wantedEvents = []string{"check_run", "issue_comment", "issues", "pull_request", "pull_request_review", "pull_request_review_comment", "push", "status"}

// levels order the permissions.
var levels = map[string]int{"": 0, "read": 1, "write": 2, "admin": 3}

func lookAtForge(ctx context.Context, p *patient) []Finding {
	switch {
	case p.GitHub.TokenPath == "" && p.GitHub.AppID == "":
		return []Finding{leftOut("Neither --github-token-path nor --github-app-id is given")}
	case p.forgeErr != nil:
		return []Finding{bad("Look at the file of the token or the key.", "The credential of GitHub cannot be used: %v", p.forgeErr)}
	case p.GitHub.AppID != "":
		return lookAtApp(ctx, p)
	}
	return lookAtToken(ctx, p)
}

func lookAtToken(ctx context.Context, p *patient) []Finding {
	account, err := p.forge.BotUser(ctx)
	if github.StatusCode(err) == http.StatusUnauthorized {
		return []Finding{bad("Make a new token, and put it into the secret; components follow the file.", "GitHub does not take the token of %s: it was revoked, or has expired", p.GitHub.TokenPath)}
	}
	if err != nil {
		return []Finding{bad("Look whether "+strings.Join(p.GitHub.Endpoints, " and ")+" is reached from here.", "GitHub does not answer: %v", err)}
	}
	out := []Finding{good("The token is that of %s", account.Login)}
	if scopes, told := p.scopes(ctx); told {
		out = append(out, judgeScopes(scopes))
	} else {
		out = append(out, leftOut("The scopes of the token: GitHub does not tell those of fine-grained tokens"))
	}
	return append(out, p.membership(ctx, account.Login)...)
}

// scopes asks what a classic token may do. It is asked where the components ask.
func (p *patient) scopes(ctx context.Context) (scopes []string, told bool) {
	raw, err := os.ReadFile(p.GitHub.TokenPath)
	if err != nil {
		return nil, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(p.GitHub.Endpoints[0], "/")+"/user", nil)
	if err != nil {
		return nil, false
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(raw)))
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close() //nolint:errcheck // only its header is read
	if _, told = resp.Header["X-Oauth-Scopes"]; !told {
		return nil, false
	}
	for scope := range strings.SplitSeq(resp.Header.Get("X-Oauth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			scopes = append(scopes, scope)
		}
	}
	return scopes, true
}

func judgeScopes(scopes []string) Finding {
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return slices.Contains(scopes, s) })
	}
	var missing []string
	if !has("repo", "public_repo") {
		missing = append(missing, "repo (or public_repo, where no repository is private)")
	}
	if !has("read:org", "write:org", "admin:org") {
		missing = append(missing, "read:org")
	}
	listed := strings.Join(scopes, ", ")
	if listed == "" {
		listed = "none"
	}
	if len(missing) > 0 {
		return bad("Give the token these scopes, at GitHub under Settings, Developer settings.", "The token has the scopes %s; it lacks %s", listed, strings.Join(missing, " and "))
	}
	return good("The token has the scopes %s", listed)
}

// orgs are those of the repositories of the configuration, on GitHub.
func (p *patient) orgs() []string {
	seen := map[string]bool{}
	if p.config != nil {
		for full := range p.config.AllRepos() {
			if org, _, ok := strings.Cut(full, "/"); ok && !strings.Contains(full, "://") {
				seen[org] = true
			}
		}
		for i := range p.config.Tide.Queries {
			for _, org := range p.config.Tide.Queries[i].Orgs {
				seen[org] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// maxOrgs is of how many orgs each is asked about.
const maxOrgs = 30

func (p *patient) membership(ctx context.Context, login string) []Finding {
	var out []Finding
	orgs := p.orgs()
	for _, org := range orgs[:min(len(orgs), maxOrgs)] {
		member, err := p.forge.IsMember(ctx, org, login)
		switch {
		case err != nil:
			out = append(out, warn("", "Whether %s is a member of %s cannot be told: %v", login, org, err))
		case !member:
			out = append(out, warn("Make it a member with write access to the repositories: it comments, labels, posts statuses and merges.", "%s is no member of %s", login, org))
		}
	}
	if len(out) == 0 && len(orgs) > 0 {
		out = append(out, good("%s is a member of %s", login, strings.Join(orgs[:min(len(orgs), maxOrgs)], ", ")))
	}
	if n := len(orgs) - maxOrgs; n > 0 {
		out = append(out, leftOut("%d further orgs", n))
	}
	return out
}

func lookAtApp(ctx context.Context, p *patient) []Finding {
	app, err := p.forge.GetApp(ctx)
	if github.StatusCode(err) == http.StatusUnauthorized {
		return []Finding{bad("Look whether the id and the key belong together, whether the key was revoked, and at the clock of this machine (below).", "GitHub does not take the App %s: %v", p.GitHub.AppID, err)}
	}
	if err != nil {
		return []Finding{bad("Look whether "+strings.Join(p.GitHub.Endpoints, " and ")+" is reached from here.", "GitHub does not answer: %v", err)}
	}
	out := []Finding{good("The App is %s", app.Slug)}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(wantedPermissions)) {
		if want := wantedPermissions[name]; levels[app.Permissions[name]] < levels[want] {
			missing = append(missing, fmt.Sprintf("%s: %s", name, want))
		}
	}
	if len(missing) > 0 {
		out = append(out, bad("Give it these at GitHub, in the settings of the App; orgs must accept them afterwards.", "The App lacks permissions: %s", strings.Join(missing, ", ")))
	} else {
		out = append(out, good("The App has the permissions that hook and tide use"))
	}
	missing = nil
	for _, event := range wantedEvents {
		if !slices.Contains(app.Events, event) {
			missing = append(missing, event)
		}
	}
	if len(missing) > 0 {
		out = append(out, warn("Subscribe it to them in the settings of the App, unless webhooks of orgs or repositories bring them.", "The App gets no webhooks of %s", strings.Join(missing, ", ")))
	}
	return append(out, lookAtInstallations(ctx, p, app)...)
}

func lookAtInstallations(ctx context.Context, p *patient, app *github.App) []Finding {
	installations, err := p.forge.ListAppInstallations(ctx)
	if err != nil {
		return []Finding{bad("", "Where the App is installed cannot be told: %v", err)}
	}
	var out []Finding
	for _, org := range p.orgs() {
		if !slices.ContainsFunc(installations, func(i github.Installation) bool { return strings.EqualFold(i.Account.Login, org) }) {
			out = append(out, bad("An owner of the org installs it, on its page at GitHub.", "%s is not installed in %s", app.Slug, org))
		}
	}
	if len(out) == 0 {
		out = append(out, good("It is installed in all orgs of the configuration"))
	}
	return out
}
