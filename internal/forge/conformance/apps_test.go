package conformance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/githubapp"
	"prow/internal/forge/local"
)

// application is a GitHub App whose key the test knows.
type application struct {
	x   *target
	id  int64
	key *rsa.PrivateKey
}

func (x *target) application(perms map[string]string, installations ...local.Installation) *application {
	x.t.Helper()
	x.localOnly("an App with a known key")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	x.must(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	id, err := x.forge.CreateApp(x.t.Context(), local.App{ID: 4711, Slug: "robo", Owner: x.owner.login, Key: string(text), Permissions: perms, Installations: installations})
	x.must(err)
	return &application{x, id, key}
}

// jwt is a token of the App itself.
func (a *application) jwt(id string, issued, expires time.Duration) person {
	now := time.Now()
	token, err := githubapp.Token(id, a.key, now.Add(issued), now.Add(expires))
	a.x.must(err)
	return person{token: token}
}

func (a *application) self() *github.Client { return a.x.as(a.jwt("4711", 0, 9*time.Minute)) }

// install returns the account of an installation token.
func (a *application) install(o *github.InstallationTokenOptions) person {
	a.x.t.Helper()
	v, _, err := a.self().Apps.FindOrganizationInstallation(a.x.t.Context(), a.x.org)
	a.x.must(err)
	token, _, err := a.self().Apps.CreateInstallationToken(a.x.t.Context(), v.GetID(), o)
	a.x.must(err)
	if left := time.Until(token.GetExpiresAt().Time); left < 55*time.Minute || left > time.Hour+time.Minute {
		a.x.t.Errorf("the token expires in %s", left)
	}
	return person{"robo[bot]", token.GetToken()}
}

func TestAppsIdentifyThemselves(t *testing.T) {
	x := newTarget(t)
	a := x.application(map[string]string{"issues": "write"}, local.Installation{Account: x.org})
	ctx := t.Context()
	me, _, err := a.self().Apps.Get(ctx, "")
	x.must(err)
	x.same("app", []any{me.GetID(), me.GetSlug()}, "[4711 robo]")
	all, _, err := a.self().Apps.ListInstallations(ctx, nil)
	x.must(err)
	x.same("installations", []any{len(all), all[0].GetAccount().GetLogin(), all[0].GetTargetType()}, "[1 acme Organization]")
	_, _, err = a.self().Apps.FindOrganizationInstallation(ctx, "nowhere")
	x.refused(err, 404, "Not Found")
	_, _, err = a.self().Apps.FindRepositoryInstallation(ctx, x.org, x.repo())
	x.must(err)
	for says, p := range map[string]person{
		"'Expiration time' claim ('exp') is too far in the future": a.jwt("4711", 0, 11*time.Minute),
		"'Expiration time' claim ('exp') must be a numeric":        a.jwt("4711", -20*time.Minute, -time.Minute),
		"'Issued at' claim ('iat') must be an Integer":             a.jwt("4711", 3*time.Minute, 9*time.Minute),
		"'Issuer' claim ('iss') must be an Integer":                a.jwt("1", 0, time.Minute),
		"A JSON web token could not be decoded":                    {token: a.jwt("4711", 0, time.Minute).token + "x"},
	} {
		_, _, err := x.as(p).Apps.Get(ctx, "")
		x.refused(err, 401, says)
	}
	// A little skew of the clock is forgiven.
	_, _, err = x.as(a.jwt("4711", 30*time.Second, 9*time.Minute)).Apps.Get(ctx, "")
	x.must(err)
	// An App is no user, and a user no App.
	_, _, err = a.self().Users.Get(ctx, "")
	x.refused(err, 403, "")
	_, _, err = x.as(x.owner).Apps.Get(ctx, "")
	x.refused(err, 401, "A JSON web token could not be decoded")
}

func TestInstallationTokensActWithinTheirPermissions(t *testing.T) {
	x := newTarget(t)
	repo, closed := x.repo(), x.repo()
	a := x.application(map[string]string{"issues": "write", "contents": "read", "statuses": "write"}, local.Installation{Account: x.org, Repos: []string{repo}})
	ctx, bot := t.Context(), x.as(a.install(nil))
	i, _, err := bot.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("by the app")})
	x.must(err)
	x.same("author", i.GetUser().GetLogin()+" "+i.GetUser().GetType(), "robo[bot] Bot")
	ref, _, err := bot.Git.GetRef(ctx, x.org, repo, "heads/main")
	x.must(err)
	_, _, err = bot.Repositories.CreateStatus(ctx, x.org, repo, ref.Object.GetSHA(), &github.RepoStatus{State: github.Ptr("success")})
	x.must(err)
	_, _, err = bot.Git.CreateRef(ctx, x.org, repo, github.CreateRef{Ref: "refs/heads/b", SHA: ref.Object.GetSHA()})
	x.refused(err, 403, "Resource not accessible by integration")
	_, _, err = bot.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "n", HeadSHA: ref.Object.GetSHA()})
	x.refused(err, 403, "Resource not accessible by integration")
	_, _, err = bot.Users.Get(ctx, "")
	x.refused(err, 403, "Resource not accessible by integration")
	_, _, err = bot.Issues.Create(ctx, x.org, closed, &github.IssueRequest{Title: github.Ptr("elsewhere")})
	if err == nil {
		t.Error("the installation reaches a repository that was not selected")
	}
	granted, _, err := bot.Apps.ListRepos(ctx, nil)
	x.must(err)
	x.same("repositories", names(granted.Repositories, (*github.Repository).GetName), "["+repo+"]")
	// A token may be narrowed, and not widened.
	v, _, err := a.self().Apps.FindOrganizationInstallation(ctx, x.org)
	x.must(err)
	_, _, err = a.self().Apps.CreateInstallationToken(ctx, v.GetID(), &github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Administration: github.Ptr("write")}})
	x.refused(err, 422, "The permissions requested are not granted to this installation.")
	narrow := x.as(a.install(&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Issues: github.Ptr("read")}}))
	_, _, err = narrow.Issues.ListByRepo(ctx, x.org, repo, nil)
	x.must(err)
	_, _, err = narrow.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("no")})
	x.refused(err, 403, "Resource not accessible by integration")
	// Suspension ends all tokens.
	_, err = a.self().Apps.SuspendInstallation(ctx, v.GetID())
	x.must(err)
	_, _, err = bot.Issues.ListByRepo(ctx, x.org, repo, nil)
	x.refused(err, 401, "Bad credentials")
}

func TestAppsPushWithTheirToken(t *testing.T) {
	x := newTarget(t)
	repo := x.repo()
	a := x.application(map[string]string{"contents": "write"}, local.Installation{Account: x.org})
	writer := a.install(nil)
	reader := a.install(&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Contents: github.Ptr("read")}})
	dir := x.clone(writer, repo)
	x.commit(dir, "app.txt", "by the app\n")
	if out, err := x.git(reader, dir, "push", "origin", "HEAD:main"); err == nil {
		t.Errorf("a token that may only read has pushed: %s", out)
	}
	if out, err := x.git(writer, dir, "push", "origin", "HEAD:main"); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
}

func TestRequiredChecksCanBeBoundToAnApp(t *testing.T) {
	x := newTarget(t)
	repo := x.repo()
	a := x.application(map[string]string{"checks": "write", "statuses": "write"}, local.Installation{Account: x.org})
	ctx, c, bot := t.Context(), x.as(x.owner), x.as(a.install(nil))
	pr := x.pull(repo, "topic")
	x.protect(repo, &github.ProtectionRequest{EnforceAdmins: true, RequiredStatusChecks: &github.RequiredStatusChecks{Checks: &[]*github.RequiredStatusCheck{{Context: "unit", AppID: &a.id}}}})
	_, _, err := c.Repositories.CreateStatus(ctx, x.org, repo, pr.GetHead().GetSHA(), &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr("unit")})
	x.must(err)
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, pr.GetNumber(), "", nil)
	x.refused(err, 405, `Required status check "unit" is expected.`)
	run, _, err := bot.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "unit", HeadSHA: pr.GetHead().GetSHA(), Status: github.Ptr("completed"), Conclusion: github.Ptr("success")})
	x.must(err)
	x.same("app of the run", run.GetApp().GetSlug(), "robo")
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, pr.GetNumber(), "", nil)
	x.must(err)
}

func TestNarrowTokensOfPeopleNameTheirScopes(t *testing.T) {
	x := newTarget(t)
	x.localOnly("a token of few scopes")
	x.must(x.forge.Apply(t.Context(), local.Seed{Tokens: []local.SeedToken{{Login: x.owner.login, Token: "token-of-few-scopes", Scopes: "repo:status, read:org"}}}))
	p := person{x.owner.login, "token-of-few-scopes"}
	resp, _ := x.do(p, "PUT", "/orgs/"+x.org+"/memberships/"+x.other.login, "{}")
	x.same("refused", resp.StatusCode, 403)
	if has, wants := resp.Header.Get("X-OAuth-Scopes"), resp.Header.Get("X-Accepted-OAuth-Scopes"); has != "repo:status, read:org" || !strings.Contains(wants, "admin:org") {
		t.Errorf("scopes %q accepted %q", has, wants)
	}
	resp, _ = x.do(p, "GET", "/orgs/"+x.org+"/teams", nil)
	x.same("reading", resp.StatusCode, 200)
}

// publicKey is what the forge needs to know.
func (a *application) publicKey() string {
	der, err := x509.MarshalPKIXPublicKey(&a.key.PublicKey)
	a.x.must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
