package github

import (
	"os"
	"path/filepath"
	"testing"

	"prow/internal/secret"
)

func TestGitRemotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("t0ken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		flags    Flags
		url      string
		settings int
	}{
		"github.com":                          {Flags{TokenPath: path}, "https://github.com/o/r", 1},
		"without a token":                     {Flags{Host: "ghe.example.com", Endpoints: []string{"https://ghe.example.com/api/v3"}}, "https://ghe.example.com/o/r", 0},
		"a plain forge on this machine":       {Flags{Host: "localhost:3000", Endpoints: []string{"http://localhost:3000/api/v3"}, TokenPath: path}, "http://localhost:3000/o/r", 1},
		"a plain proxy of the API beside TLS": {Flags{Host: "github.com", Endpoints: []string{"http://ghproxy", "https://api.github.com"}}, "https://github.com/o/r", 0},
	} {
		t.Run(name, func(t *testing.T) {
			remotes, err := tc.flags.GitRemotes(&secret.Store{})
			if err != nil {
				t.Fatal(err)
			}
			remote, err := remotes(t.Context(), "o", "r")
			if err != nil || remote.URL != tc.url || len(remote.Settings) != tc.settings {
				t.Errorf("got %s with %d settings, error %v; want %s with %d", remote.URL, len(remote.Settings), err, tc.url, tc.settings)
			}
		})
	}
}

func TestIdentityOfCommits(t *testing.T) {
	f := &Flags{SigningKeyPath: "/key"}
	if got := f.Identity(User{Login: "robot", Email: "r@x"}); got.Name != "robot" || got.Email != "r@x" || got.SigningKey != "/key" {
		t.Errorf("got %+v", got)
	}
	if got := f.Identity(User{Login: "robot"}); got.Email != "robot@users.noreply.github.com" {
		t.Errorf("an account that shows no address: %+v", got)
	}
}
