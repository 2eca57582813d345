package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/local"
)

// person is an account with a token.
type person struct{ login, token string }

// target is the server under test: the local forge, or GitHub when the
// environment says so.
type target struct {
	t   *testing.T
	api string // base of REST, without a trailing slash
	web string
	org string
	// owner owns the organisation; member belongs to it (local only), other does not.
	owner, member, other person
	forge                *local.Forge // nil for GitHub
	dir                  string
}

// newTarget starts a forge, or prepares for GitHub.
func newTarget(t *testing.T, options ...func(*local.Options)) *target {
	t.Helper()
	t.Parallel()
	x := &target{t: t, dir: t.TempDir()}
	if x.org = os.Getenv("PROW_CONFORMANCE_ORG"); x.org != "" {
		x.api, x.web = strings.TrimRight(os.Getenv("PROW_CONFORMANCE_URL"), "/"), "https://github.com"
		if x.api == "" {
			x.api = "https://api.github.com"
		} else {
			x.web = strings.TrimSuffix(x.api, "/api/v3")
		}
		x.owner.token, x.other.token = os.Getenv("PROW_CONFORMANCE_TOKEN"), os.Getenv("PROW_CONFORMANCE_OTHER_TOKEN")
		for _, p := range []*person{&x.owner, &x.other} {
			if p.token != "" {
				u, _, err := x.as(*p).Users.Get(t.Context(), "")
				x.must(err)
				p.login = u.GetLogin()
			}
		}
		return x
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	x.must(err)
	x.org, x.web = "acme", "http://"+ln.Addr().String()
	x.api = x.web + "/api/v3"
	x.owner, x.member, x.other = person{"owner", "token-of-owner"}, person{"member", "token-of-member"}, person{"other", "token-of-other"}
	o := local.Options{Dir: filepath.Join(x.dir, "forge"), BaseURL: x.web, AnonymousRead: true}
	for _, set := range options {
		set(&o)
	}
	x.forge, err = local.Open(t.Context(), o)
	x.must(err)
	seed := local.Seed{Orgs: []local.SeedOrg{{Org: local.Org{Login: x.org}, Members: map[string]string{"owner": "admin", "member": "member"}}}}
	for _, p := range []person{x.owner, x.member, x.other} {
		seed.Users = append(seed.Users, local.User{Login: p.login, Email: p.login + "@example.com"})
		seed.Tokens = append(seed.Tokens, local.SeedToken{Login: p.login, Token: p.token})
	}
	x.must(x.forge.Apply(t.Context(), seed))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- x.forge.Serve(ctx, ln) }()
	go func() { done <- x.forge.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := x.forge.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *target) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// localOnly skips a test that needs a server of our own.
func (x *target) localOnly(why string) {
	if x.forge == nil {
		x.t.Skip("needs the local forge: " + why)
	}
}

// needOther skips a test without a second account.
func (x *target) needOther() {
	if x.other.token == "" {
		x.t.Skip("PROW_CONFORMANCE_OTHER_TOKEN is not set")
	}
}

// as returns a client of somebody; the zero person is anonymous.
func (x *target) as(p person) *github.Client {
	x.t.Helper()
	c := github.NewClient(&http.Client{Timeout: time.Minute})
	if p.token != "" {
		c = c.WithAuthToken(p.token)
	}
	u, err := url.Parse(x.api + "/")
	x.must(err)
	c.BaseURL = u
	return c
}

// repo creates a repository with a first commit that is deleted after the test.
func (x *target) repo() string {
	x.t.Helper()
	name := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	c := x.as(x.owner)
	_, _, err := c.Repositories.Create(x.t.Context(), x.org, &github.Repository{Name: &name, AutoInit: github.Ptr(true), Description: github.Ptr("conformance")})
	x.must(err)
	if x.forge == nil {
		x.t.Cleanup(func() { _, _ = c.Repositories.Delete(context.WithoutCancel(x.t.Context()), x.org, name) })
	}
	return name
}

// file commits a file to a branch through the contents API and returns the commit.
func (x *target) file(p person, repo, branch, path, content string) string {
	x.t.Helper()
	out, _, err := x.as(p).Repositories.CreateFile(x.t.Context(), x.org, repo, path, &github.RepositoryContentFileOptions{Message: github.Ptr("Add " + path), Content: []byte(content), Branch: &branch})
	x.must(err)
	return out.Commit.GetSHA()
}

// branch makes a branch at the tip of main.
func (x *target) branch(repo, name string) {
	x.t.Helper()
	c := x.as(x.owner)
	ref, _, err := c.Git.GetRef(x.t.Context(), x.org, repo, "heads/main")
	x.must(err)
	_, _, err = c.Git.CreateRef(x.t.Context(), x.org, repo, github.CreateRef{Ref: "refs/heads/" + name, SHA: ref.Object.GetSHA()})
	x.must(err)
}

// pull opens a pull request with one commit on a branch of its own.
func (x *target) pull(repo, branch string) *github.PullRequest {
	x.t.Helper()
	x.branch(repo, branch)
	x.file(x.owner, repo, branch, branch+".txt", "text of "+branch+"\n")
	pr, _, err := x.as(x.owner).PullRequests.Create(x.t.Context(), x.org, repo, &github.NewPullRequest{Title: github.Ptr("Pull " + branch), Head: &branch, Base: github.Ptr("main"), Body: github.Ptr("body")})
	x.must(err)
	return pr
}

// settled reads a pull request until its mergeability is known.
func (x *target) settled(repo string, n int) *github.PullRequest {
	x.t.Helper()
	var pr *github.PullRequest
	x.eventually("mergeability", func() bool {
		var err error
		pr, _, err = x.as(x.owner).PullRequests.Get(x.t.Context(), x.org, repo, n)
		x.must(err)
		return pr.Mergeable != nil
	})
	return pr
}

// eventually asks again until ok: GitHub is eventually consistent.
func (x *target) eventually(what string, ok func() bool) {
	x.t.Helper()
	pause := 10 * time.Millisecond
	if x.forge == nil {
		pause = 2 * time.Second
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(pause) {
		if ok() {
			return
		}
	}
	x.t.Fatalf("%s did not come", what)
}

// refused checks an error of the API: its status, a part of what it says
// anywhere, and that it has the shape clients expect.
func (x *target) refused(err error, status int, says string) {
	x.t.Helper()
	var code int
	var text string
	switch e := err.(type) {
	case *github.ErrorResponse:
		code, text = e.Response.StatusCode, e.Message
		for _, d := range e.Errors {
			text += " " + d.Message + " " + d.Field + " " + d.Code
		}
		if e.DocumentationURL == "" {
			x.t.Errorf("an error without documentation_url: %v", err)
		}
	case *github.RateLimitError:
		code, text = e.Response.StatusCode, e.Message
	case *github.AbuseRateLimitError:
		code, text = e.Response.StatusCode, e.Message
	default:
		text = fmt.Sprint(err)
	}
	if code != status || !strings.Contains(text, says) {
		x.t.Errorf("got %d %q, want %d %q", code, text, status, says)
	}
}

// do sends a plain request; body may be nil, a string or something to encode.
func (x *target) do(p person, method, path string, body any, header ...string) (*http.Response, []byte) {
	x.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		x.must(err)
		in = bytes.NewReader(raw)
	}
	if strings.HasPrefix(path, "/") {
		path = x.api + path
	}
	req, err := http.NewRequestWithContext(x.t.Context(), method, path, in)
	x.must(err)
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	x.must(err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	x.must(err)
	return resp, out
}

// graph runs a GraphQL request and decodes its data.
func (x *target) graph(p person, query string, vars map[string]any, into any) (errors []string) {
	x.t.Helper()
	endpoint := strings.TrimSuffix(x.api, "/v3") + "/graphql"
	resp, out := x.do(p, "POST", endpoint, map[string]any{"query": query, "variables": vars})
	if resp.StatusCode != http.StatusOK {
		x.t.Fatalf("GraphQL: %d %s", resp.StatusCode, out)
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	x.must(json.Unmarshal(out, &answer))
	for _, e := range answer.Errors {
		errors = append(errors, e.Message)
	}
	if into != nil && len(answer.Data) > 0 {
		x.must(json.Unmarshal(answer.Data, into))
	}
	return errors
}

// git runs git in a directory, with somebody's credentials.
func (x *target) git(p person, dir string, args ...string) (string, error) {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), "git", append([]string{"-c", "credential.helper=!f() { echo username=x-access-token; echo password=" + p.token + "; }; f"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// clone clones a repository and returns the directory.
func (x *target) clone(p person, repo string) string {
	x.t.Helper()
	dir := filepath.Join(x.t.TempDir(), "clone")
	if out, err := x.git(p, x.t.TempDir(), "clone", "--quiet", x.web+"/"+x.org+"/"+repo+".git", dir); err != nil {
		x.t.Fatalf("clone: %v\n%s", err, out)
	}
	return dir
}

// commit writes a file and commits it.
func (x *target) commit(dir, file, content string) {
	x.t.Helper()
	x.must(os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", "Change " + file}} {
		if out, err := x.git(person{}, dir, args...); err != nil {
			x.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func names[T any](list []T, name func(T) string) []string {
	out := []string{}
	for _, v := range list {
		out = append(out, name(v))
	}
	slices.Sort(out)
	return out
}

func (x *target) same(what string, got, want any) {
	x.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		x.t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
