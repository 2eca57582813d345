package local

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"fine":                          {Options{Dir: "x", Listen: "127.0.0.1:0"}, ""},
		"sign-in on loopback":           {Options{Dir: "x", Listen: "localhost:1", SignIn: true}, ""},
		"no directory":                  {Options{Listen: "127.0.0.1:0"}, "--dir must be set"},
		"no port":                       {Options{Dir: "x", Listen: "localhost"}, "--listen=localhost"},
		"sign-in for the whole network": {Options{Dir: "x", Listen: "0.0.0.0:1", SignIn: true}, "--sign-in"},
		"sign-in on all interfaces":     {Options{Dir: "x", Listen: ":1", SignIn: true}, "--sign-in"},
		"a hook that is no URL":         {Options{Dir: "x", Listen: "127.0.0.1:0", HookURL: "hook"}, "--hook-url=hook"},
		"a negative limit":              {Options{Dir: "x", Listen: "127.0.0.1:0", RateLimit: -1}, "--rate-limit=-1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.o.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestRun starts the component as its command does, from files.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=trunk", source}, {"-C", source, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "from the source"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	hook := newReceiver(t)
	tokenFile := filepath.Join(dir, "token")
	seed := write("seed.yaml", `
users:
- login: alice
  email: alice@example.com
orgs:
- login: acme
  members: {alice: admin}
  teams:
  - name: Leads
    members: [alice]
    repos: {app: admin}
repos:
- owner: acme
  name: app
  source: `+source+`
  labels:
  - {name: lgtm, color: "00ff00"}
tokens:
- login: alice
  token_file: `+tokenFile+`
`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	o := Options{Dir: filepath.Join(dir, "state"), Listen: "127.0.0.1:0", SeedFile: seed, HookURL: hook.url, HMACSecretFile: write("hmac", "secret\n"), AnonymousRead: true}
	logs, out := io.Pipe()
	o.Logger = slog.New(slog.NewJSONHandler(out, nil))
	go func() { done <- Run(ctx, o) }()
	var line struct{ URL string }
	lines := json.NewDecoder(logs)
	if err := lines.Decode(&line); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, logs) }()
	addr := strings.TrimPrefix(line.URL, "http://")
	push := hook.wait("push", 0).payload(t)
	if push["ref"] != "refs/heads/main" || push["head_commit"].(map[string]any)["message"] != "from the source" {
		t.Errorf("push: %v", push["ref"])
	}
	raw, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/api/v3/user", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(raw)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the seeded token got %d", resp.StatusCode)
	}
	o.Listen = addr
	if err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("second start: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Run does not end")
	}
}

func TestSeedErrors(t *testing.T) {
	f, err := Open(t.Context(), Options{Dir: t.TempDir(), BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, tc := range map[string]struct {
		seed Seed
		want string
	}{
		"a bad login":         {Seed{Users: []User{{Login: "-x"}}}, `login "-x"`},
		"a reserved login":    {Seed{Users: []User{{Login: "api"}}}, `login "api"`},
		"an unknown owner":    {Seed{Repos: []SeedRepo{{Repo: Repo{Owner: "nobody", Name: "x"}}}}, "creating repository nobody/x: owner: not found"},
		"a bad name":          {Seed{Users: []User{{Login: "u"}}, Repos: []SeedRepo{{Repo: Repo{Owner: "u", Name: "a/b"}}}}, "creating repository u/a/b: Validation Failed: Repository name is invalid"},
		"a missing source":    {Seed{Users: []User{{Login: "u"}}, Repos: []SeedRepo{{Repo: Repo{Owner: "u", Name: "r", Source: "/nonexistent"}}}}, "/nonexistent"},
		"an unknown role":     {Seed{Users: []User{{Login: "u"}}, Orgs: []SeedOrg{{Org: Org{Login: "o"}, Members: map[string]string{"u": "king"}}}}, `role "king"`},
		"a user as org":       {Seed{Users: []User{{Login: "u"}}, Orgs: []SeedOrg{{Org: Org{Login: "u"}}}}, "type User"},
		"a short token":       {Seed{Users: []User{{Login: "u"}}, Tokens: []SeedToken{{Login: "u", Token: "x"}}}, "at least 8 characters"},
		"a hook without host": {Seed{Orgs: []SeedOrg{{Org: Org{Login: "o"}}}, Hooks: []Hook{{Owner: "o", URL: "http:///x"}}}, "creating webhook of o"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.Apply(t.Context(), tc.seed); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	p := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(p, []byte("users:\n- login: x\n  nmae: y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSeed(p); err == nil || !strings.Contains(err.Error(), "nmae") {
		t.Errorf("an unknown field: %v", err)
	}
}
