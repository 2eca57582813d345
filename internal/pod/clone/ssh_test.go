package clone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/internal/pod/options"
)

func TestPinnedHostsStayBesideFingerprints(t *testing.T) {
	for sentence, c := range map[string]struct{ pinned, before, want string }{
		"the pinned hosts come first":      {"github.com ssh-ed25519 AAAA\n", "", "github.com ssh-ed25519 AAAA\na ssh-rsa 1\nb ssh-rsa 2\n"},
		"an image without pinned hosts":    {"", "", "a ssh-rsa 1\nb ssh-rsa 2\n"},
		"a file that ends within its line": {"", "old ssh-rsa 0", "old ssh-rsa 0\na ssh-rsa 1\nb ssh-rsa 2\n"},
	} {
		dir := t.TempDir()
		hosts := knownHosts{file: filepath.Join(dir, "tmp", "known_hosts"), pinned: filepath.Join(dir, "pinned")}
		if c.pinned != "" {
			if err := os.WriteFile(hosts.pinned, []byte(c.pinned), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if c.before != "" {
			if err := os.MkdirAll(filepath.Dir(hosts.file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(hosts.file, []byte(c.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := hosts.add([]string{"a ssh-rsa 1", "b ssh-rsa 2\n"}); err != nil {
			t.Error(err)
		}
		if got, _ := os.ReadFile(hosts.file); string(got) != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", sentence, got, c.want)
		}
	}
}

func TestFingerprintsReachSSH(t *testing.T) {
	s := newServer(t)
	records, _ := s.clone(t, func(o *options.Clone) { o.HostFingerprints = []string{"host ssh-rsa A"} }, s.refs())
	if records[0].Failed || len(records[0].Commands) != 1 || records[1].Failed {
		t.Fatalf("records: %+v", records)
	}
	if got := records[1].Commands[1].Command; !strings.Contains(got, "GIT_SSH_COMMAND=") || !strings.Contains(got, "-o UserKnownHostsFile=") {
		t.Errorf("command: %s", got)
	}
}

func TestKeysThatCannotBeAddedEndTheClone(t *testing.T) {
	s := newServer(t)
	keys := t.TempDir()
	// A secret volume has links to a directory whose name is not for us.
	if err := os.MkdirAll(filepath.Join(keys, "..data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "..data", "key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	withKeys := func(o *options.Clone) { o.KeyFiles = []string{keys} }
	if records, _ := s.clone(t, withKeys, s.refs()); records[0].Failed {
		t.Errorf("files behind .. are not for us: %+v", records[0])
	}
	if err := os.Symlink("..data/key", filepath.Join(keys, "key")); err != nil {
		t.Fatal(err)
	}
	records, dir := s.clone(t, withKeys, s.refs())
	if len(records) != 1 || !records[0].Failed || !strings.Contains(records[0].Message, keys) {
		t.Errorf("records: %+v", records)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was cloned")
	}
}
