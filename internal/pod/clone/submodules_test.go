package clone

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
	"prow/internal/pod/options"
)

// withSubmodules publishes org/super with submodules, by their addresses, and
// returns refs to it.
func (s *server) withSubmodules(t testing.TB, prefix string, addresses map[string]string) (work string, refs v1.Refs) {
	t.Helper()
	var modules strings.Builder
	for name, address := range addresses {
		modules.WriteString("[submodule \"" + name + "\"]\n\tpath = " + name + "\n\turl = " + address + "\n")
	}
	work = s.repository(t, "org/super.git", map[string]string{".gitmodules": modules.String()})
	for name := range addresses {
		s.run(t, work, "update-index", "--add", "--cacheinfo", "160000,"+s.sha[name]+","+name)
	}
	s.run(t, work, "commit", "-q", "-m", "submodules")
	s.run(t, work, "push", "-q", s.dir+"/root/org/super.git", "main")
	return work, v1.Refs{Org: "org", Repo: "super", RepoLink: s.url + prefix + "/org/super", PathAlias: "super", BaseRef: "main"}
}

// submodule publishes a repository and remembers its commit.
func (s *server) submodule(t testing.TB, name, path string, files map[string]string) string {
	t.Helper()
	work := s.repository(t, path, files)
	s.sha[name] = s.run(t, work, "rev-parse", "HEAD")
	return work
}

func (s *server) presented(path string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	for i, seen := range s.seen {
		if strings.Contains(seen, path) {
			all[s.auth[i]] = true
		}
	}
	return all
}

func TestRelativeSubmodulesResolve(t *testing.T) {
	s := newServer(t)
	s.submodule(t, "leaf", "lib/leaf.git", map[string]string{"leaf": "1"})
	// A submodule with a relative one of its own, in another org.
	middle := s.repository(t, "lib/middle.git", map[string]string{".gitmodules": "[submodule \"leaf\"]\n\tpath = leaf\n\turl = ./../leaf.git\n"})
	s.run(t, middle, "update-index", "--add", "--cacheinfo", "160000,"+s.sha["leaf"]+",leaf")
	s.run(t, middle, "commit", "-q", "-m", "leaf")
	s.run(t, middle, "push", "-q", s.dir+"/root/lib/middle.git", "main")
	s.sha["middle"] = s.run(t, middle, "rev-parse", "HEAD")
	_, refs := s.withSubmodules(t, "", map[string]string{"middle": "../../lib/middle.git"})
	records, dir := s.clone(t, nil, refs)
	if records[1].Failed {
		t.Fatal(records[1].Message)
	}
	if _, err := os.Stat(filepath.Join(dir, "middle", "leaf", "leaf")); err != nil {
		t.Error(err)
	}
	if got := s.run(t, dir, "remote"); got != "" {
		t.Errorf("there is a remote: %s", got)
	}
}

func TestPrivateSubmodulesGetTheTokenOfTheirOrg(t *testing.T) {
	s := newServer(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("12345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Everything is private here; the base has submodules in two orgs and on another
	// host, and a pull adds one of a third org.
	other := newServer(t)
	for _, name := range []string{"same", "lib", "third"} {
		s.submodule(t, name, map[string]string{"same": "org", "lib": "lib", "third": "third"}[name]+"/"+name+".git", map[string]string{name: "1"})
	}
	other.submodule(t, "far", "far/far.git", map[string]string{"far": "1"})
	s.sha["far"] = other.sha["far"]
	work, refs := s.withSubmodules(t, "/private", map[string]string{
		"same": "../same.git", "lib": s.url + "/private/lib/lib.git", "far": other.url + "/far/far.git",
	})
	withToken := func(o *options.Clone) { o.OauthTokenFile = token }
	records, dir := s.clone(t, withToken, refs)
	if records[1].Failed {
		t.Fatal(records[1].Message)
	}
	for _, name := range []string{"same/same", "lib/lib", "far/far"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("12345678:x-oauth-basic"))
	if got := other.presented("far"); got[want] || len(got) == 0 {
		t.Errorf("the other host was presented %v", got)
	}
	content, _ := json.Marshal(records)
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = append(content, file...)
		}
		return err
	})
	for _, leak := range []string{"12345678", want} {
		if strings.Contains(string(content), leak) {
			t.Errorf("%s is in the records or on the disk", leak)
		}
	}

	s.run(t, work, "checkout", "-q", "-b", "pull")
	modules, _ := os.ReadFile(filepath.Join(work, ".gitmodules"))
	s.commit(t, work, "more", map[string]string{".gitmodules": string(modules) + "[submodule \"third\"]\n\tpath = third\n\turl = " + s.url + "/private/third/third.git\n"})
	s.run(t, work, "update-index", "--add", "--cacheinfo", "160000,"+s.sha["third"]+",third")
	s.run(t, work, "commit", "-q", "-m", "third")
	s.run(t, work, "push", "-q", s.dir+"/root/org/super.git", "pull:refs/pull/1/head")
	refs.Pulls = []v1.Pull{{Number: 1, SHA: s.run(t, work, "rev-parse", "HEAD")}}
	records, _ = s.clone(t, withToken, refs)
	if got := s.presented("/third/"); got[want] {
		t.Error("a pull request made clonerefs present the token of another org")
	}
	if !records[1].Failed {
		t.Error("a private submodule of a third org was cloned for a pull request")
	}
}

func TestScopes(t *testing.T) {
	for address, want := range map[string]scope{
		"https://github.com/org/repo.git":        {"https://github.com/org", "org"},
		"https://GitHub.com/org/repo":            {"https://github.com/org", "org"},
		"https://host:8443/prefix/org/repo.git/": {"https://host:8443/prefix/org", "org"},
		"http://host/repo.git":                   {"http://host/repo.git", ""},
		"https://host/org/../evil/repo.git":      {"https://host/org/../evil/repo.git", ""},
		"https://host/a%2fb/repo.git":            {"https://host/a%2fb/repo.git", ""},
		"git@github.com:org/repo.git":            {},
		"/local/repo.git":                        {},
		"file:///local/repo.git":                 {},
	} {
		if got, ok := scopeOf(address); got != want || ok != (want.address != "") {
			t.Errorf("%s: %+v, %v", address, got, ok)
		}
	}
}

func TestOnlyOneLoginIsPresented(t *testing.T) {
	s := newServer(t)
	all := logins{
		s.url + "/org":          {"org", "1"},
		s.url + "/org/repo.git": {"repo", "2"},
		s.url + "/other":        {"other", "3"},
	}
	var double string
	s.refuse(func(r *http.Request) int {
		if got := r.Header.Values("Authorization"); len(got) > 1 {
			double = strings.Join(got, ", ")
		}
		return 0
	})
	runner := git.NewRunner(os.Environ(), all.settings()...)
	for repo, want := range map[string]string{"/org/repo.git": "repo:2", "/org/another.git": "org:1", "/organisation/x.git": ""} {
		_, _ = runner.Output(t.Context(), t.TempDir(), "ls-remote", s.url+repo)
		auth := ""
		if want != "" {
			auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(want))
		}
		if got := s.presented(repo); !got[auth] || len(got) != 1 {
			t.Errorf("%s: presented %v, want %q", repo, got, auth)
		}
	}
	if double != "" {
		t.Errorf("presented at once: %s", double)
	}
}
