package clone

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prow/internal/pod/options"

	v1 "prow/api/prowjobs/v1"
)

// TestGitSeesNoMoreThanItNeeds puts a git first on the path that writes down its
// environment and its arguments.
func TestGitSeesNoMoreThanItNeeds(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	script := "#!/bin/sh\n{ env; echo \"ARGS=$*\"; } >> " + seen + "\nPATH=" + os.Getenv("PATH") + " exec git \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("tokentokentoken"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, value := range map[string]string{
		"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": "/certs", "HOME": dir,
		"GIT_TRACE": "1", "GIT_TRACE_CURL": "1", "GIT_DIR": "/nowhere", "GIT_CONFIG_GLOBAL": "/nowhere", "JOB_SECRET": "hidden", "CLONEREFS_OPTIONS": "hidden",
	} {
		t.Setenv(name, value)
	}
	records, _ := s.clone(t, func(o *options.Clone) { o.OauthTokenFile = token }, s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]}))
	if records[1].Failed {
		t.Fatal(records[1].Message)
	}
	content, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	for _, want := range []string{"HTTPS_PROXY=http://proxy.invalid", "NO_PROXY=127.0.0.1", "SSL_CERT_FILE=/certs", "HOME=" + dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"} {
		if !slices.Contains(lines, want) {
			t.Errorf("git is not given %s", want)
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "GIT_TRACE") || strings.HasPrefix(line, "GIT_DIR=") || strings.Contains(line, "hidden") {
			t.Errorf("git is given %s", line)
		}
		if strings.HasPrefix(line, "ARGS=") && strings.Contains(line, "token") {
			t.Errorf("credentials on a command line: %s", line)
		}
	}
}
