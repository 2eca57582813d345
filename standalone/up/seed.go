package up

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"prow/internal/forge/local"
)

// The accounts of a fresh forge.
const (
	// BotLogin is the account under which Prow acts.
	BotLogin = "prow-bot"
	// Author opens pull requests and is a member of the org.
	Author = "carol"
	// Reviewer may say /lgtm, Approver /approve.
	Reviewer = "bob"
	Approver = "alice"
	// Outsider is nobody's member.
	Outsider = "mallory"
)

// source is what is known of the repository before the forge starts.
type source struct {
	branch string
	// owners are the logins in the OWNERS file of the root; hasOwners tells that there is one.
	owners    []string
	hasOwners bool
}

// inspect reads the repository that the forge is seeded from, at its HEAD.
func inspect(ctx context.Context, path string) (source, error) {
	if _, err := git(ctx, path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err != nil {
		return source{}, fmt.Errorf("--repo: %s is no git repository with a commit: %w", path, err)
	}
	s := source{branch: "main"}
	if name, err := git(ctx, path, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		s.branch = strings.TrimSpace(string(name))
	}
	text, err := git(ctx, path, "show", "HEAD:./OWNERS")
	if err != nil {
		return s, nil
	}
	s.hasOwners = true
	var file struct {
		Approvers []string `json:"approvers"`
		Reviewers []string `json:"reviewers"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return s, fmt.Errorf("--repo: the OWNERS file of %s: %w", path, err)
	}
	for _, login := range slices.Concat(file.Approvers, file.Reviewers) {
		if login = strings.ToLower(strings.TrimPrefix(login, "@")); nameForm.MatchString(login) {
			s.owners = append(s.owners, login)
		}
	}
	return s, nil
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		line, _, _ := bufio.NewReader(&stderr).ReadLine()
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, line)
	}
	return out, nil
}

// seed describes the forge of a first run. Applying it again changes nothing.
func (o *Options) seed(s source, hmac string) local.Seed {
	members := map[string]string{Author: "member", Reviewer: "member", Approver: "member", BotLogin: "admin"}
	users := []local.User{
		{Login: Approver, Name: "Alice, who approves"}, {Login: Reviewer, Name: "Bob, who reviews"}, {Login: Author, Name: "Carol, who writes"},
		{Login: Outsider, Name: "Mallory, whom nobody knows"}, {Login: BotLogin, Name: "Prow", Bot: true},
	}
	known := []string{Approver, Reviewer, Author, Outsider, BotLogin}
	for _, login := range s.owners {
		if !slices.Contains(known, login) {
			known = append(known, login)
			users = append(users, local.User{Login: login})
			members[login] = "member"
		}
	}
	collaborators := map[string]string{BotLogin: "admin"}
	for login := range members {
		if login != BotLogin {
			collaborators[login] = "write"
		}
	}
	var labels []local.Label
	for name, color := range map[string]string{
		"lgtm": "15dd18", "approved": "0ffa16", "do-not-merge/hold": "e11d21", "do-not-merge/work-in-progress": "e11d21",
		"needs-ok-to-test": "b60205", "ok-to-test": "15dd18", "help wanted": "006b75", "good first issue": "7057ff",
	} {
		labels = append(labels, local.Label{Name: name, Color: color})
	}
	tokens := []local.SeedToken{{Login: BotLogin, TokenFile: o.path("secrets", "bot-token")}}
	for _, login := range []string{Author, Reviewer, Approver, Outsider} {
		tokens = append(tokens, local.SeedToken{Login: login, TokenFile: o.path("secrets", "token-"+login)})
	}
	return local.Seed{
		Users: users,
		Orgs:  []local.SeedOrg{{Org: local.Org{Login: o.Org}, Members: members}},
		Repos: []local.SeedRepo{{
			Repo:          local.Repo{Owner: o.Org, Name: o.Repo, Source: o.RepoPath, DefaultBranch: s.branch},
			Collaborators: collaborators, Labels: labels, Forks: []string{Outsider},
		}},
		Tokens: tokens,
		Hooks:  []local.Hook{{Owner: o.Org, URL: fmt.Sprintf("http://127.0.0.1:%d/hook", o.HookPort), Secret: hmac}},
	}
}

// signIn lets people sign in to deck with their accounts of the forge: it writes what
// deck has to know, and returns what the forge has to.
func (o *Options) signIn() ([]local.OAuthApp, error) {
	secret, err := secretFile(o.path("secrets", "oauth-secret"))
	if err != nil {
		return nil, err
	}
	cookie := o.path("secrets", "cookie")
	if _, err := os.Stat(cookie); errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw) // never fails
		if err := writeWhole(cookie, []byte(base64.StdEncoding.EncodeToString(raw)+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	app := local.OAuthApp{ClientID: "deck", ClientSecret: secret, Name: "Prow", Owner: o.Org, CallbackURL: URL(o.DeckPort) + "/github-login/redirect"}
	text, err := yaml.Marshal(map[string]any{
		"client_id": app.ClientID, "client_secret": secret, "redirect_url": app.CallbackURL, "base_url": URL(o.ForgePort), "scopes": []string{"repo"},
	})
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	// The ports of this start may be others than those of the last one.
	return []local.OAuthApp{app}, writeWhole(o.path("secrets", "oauth.yaml"), text, 0o600)
}

// secretFile reads a secret, making a random one at first.
func secretFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("secret: %w", err)
	}
	secret := rand.Text()
	return secret, writeWhole(path, []byte(secret+"\n"), 0o600)
}
