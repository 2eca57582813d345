package up

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

func TestTheWrittenConfigurationIsValidAndTheUsers(t *testing.T) {
	for name, s := range map[string]settings{
		"with owners":    {Org: "local", Repo: "prow", DeckURL: "http://localhost:8080", ForgeURL: "http://localhost:3000", Bucket: "file:///var/lib/prow state", ImagePrefix: imagePrefix, Branch: "main", Owners: true},
		"without owners": {Org: "Lo-cal", Repo: "a.b_c", DeckURL: "http://localhost:1", ForgeURL: "http://localhost:2", Bucket: "file:///s", ImagePrefix: imagePrefix, Branch: "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := writeConfig(dir, s); err != nil {
				t.Fatal(err)
			}
			main := filepath.Join(dir, "config.yaml")
			cfg, err := config.Load(t.Context(), config.Options{ConfigPath: main, JobConfigPath: filepath.Join(dir, "jobs"), Strict: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Periodics) != 1 || cfg.Periodics[0].ExtraRefs[0].BaseRef != s.Branch || len(cfg.Tide.Queries) != 1 || cfg.Tide.Queries[0].Repos[0] != s.Org+"/"+s.Repo {
				t.Errorf("periodics %+v, queries %+v", cfg.Periodics, cfg.Tide.Queries)
			}
			plugins, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: filepath.Join(dir, "plugins.yaml"), Strict: true})
			if err != nil {
				t.Fatal(err)
			}
			if problems := plugins.CheckNames(); len(problems) > 0 {
				t.Error(problems)
			}
			if got := plugins.Enabled("approve", s.Org, s.Repo); got != s.Owners {
				t.Errorf("approve is enabled: %v", got)
			}

			// What the user has edited is never written over.
			if err := os.WriteFile(main, []byte("# mine\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := writeConfig(dir, s); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(main); string(got) != "# mine\n" {
				t.Errorf("written over: %s", got)
			}
		})
	}
}

func TestBadOptionsAreAllTold(t *testing.T) {
	o := &Options{Dir: t.TempDir(), RepoPath: filepath.Join(t.TempDir(), "none"), Org: "a/b", DeckPort: 8080, ForgePort: 8080, HookPort: 99999, TidePort: 1, Executor: "magic", Utilities: t.TempDir()}
	err := o.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--repo:", "--org:", "--deck-port and --forge-port are both 8080", "--hook-port=99999", "--executor", "--log-bytes", "clonerefs is missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	if _, err := inspect(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "--repo") {
		t.Errorf("a directory without git is %v", err)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=trunk")
	git("commit", "--quiet", "--allow-empty", "--message", "empty")
	if s, err := inspect(t.Context(), dir); err != nil || s.branch != "trunk" || s.hasOwners {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "OWNERS"), []byte("approvers: [Dora, alice]\nreviewers: ['@Emil', 'not/a-login']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "--quiet", "--message", "owners")
	s, err := inspect(t.Context(), dir)
	if err != nil || !s.hasOwners || strings.Join(s.owners, " ") != "dora alice emil" {
		t.Errorf("%+v, %v", s, err)
	}
	o := &Options{Org: "local", Repo: "x", RepoPath: dir, HookPort: 1}
	seeded := map[string]int{}
	for _, u := range o.seed(s, "secret").Users {
		seeded[u.Login]++
	}
	if seeded["dora"] != 1 || seeded["alice"] != 1 || seeded[Outsider] != 1 {
		t.Errorf("accounts %v", seeded)
	}
}

func TestTheSecretsOfSigningInStay(t *testing.T) {
	o := &Options{Dir: t.TempDir(), Org: "local", DeckPort: 8080, ForgePort: 3000}
	if err := os.Mkdir(o.path("secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	apps, err := o.signIn()
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := os.ReadFile(o.path("secrets", "cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(cookie))); err != nil || len(raw) != 32 {
		t.Errorf("the secret of cookies has %d bytes: %v", len(raw), err)
	}
	o.DeckPort = 8081
	again, err := o.signIn()
	if err != nil {
		t.Fatal(err)
	}
	if again[0].ClientSecret != apps[0].ClientSecret || again[0].CallbackURL != "http://localhost:8081/github-login/redirect" {
		t.Errorf("the next start has %+v after %+v", again[0], apps[0])
	}
	if now, err := os.ReadFile(o.path("secrets", "cookie")); err != nil || string(now) != string(cookie) {
		t.Errorf("the next start signs everybody out: %v", err)
	}
	text, err := os.ReadFile(o.path("secrets", "oauth.yaml"))
	if err != nil || !strings.Contains(string(text), "redirect_url: http://localhost:8081/") {
		t.Errorf("%v %s", err, text)
	}
}
