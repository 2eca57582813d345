package clone

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

func TestRefsThatAreNoNamesAreRefused(t *testing.T) {
	s := newServer(t)
	ran := filepath.Join(s.dir, "ran")
	for sentence, change := range map[string]func(*v1.Refs){
		"a commit that is a flag":           func(r *v1.Refs) { r.BaseSHA = "--upload-pack=touch " + ran },
		"a branch that is a flag":           func(r *v1.Refs) { r.BaseRef = "--upload-pack=touch " + ran },
		"a branch that begins with a dash":  func(r *v1.Refs) { r.BaseRef = "-f" },
		"a branch that is a refspec":        func(r *v1.Refs) { r.BaseRef = "main:refs/heads/other" },
		"a branch that is forced":           func(r *v1.Refs) { r.BaseRef = "+main" },
		"a branch that is an expression":    func(r *v1.Refs) { r.BaseRef = "@{-1}" },
		"no branch":                         func(r *v1.Refs) { r.BaseRef = "" },
		"a pull whose commit is a flag":     func(r *v1.Refs) { r.Pulls = []v1.Pull{{Number: 1, SHA: "--upload-pack=touch " + ran}} },
		"a pull whose ref is a flag":        func(r *v1.Refs) { r.Pulls = []v1.Pull{{Number: 1, Ref: "--upload-pack=touch " + ran}} },
		"a pull that would move the branch": func(r *v1.Refs) { r.Pulls = []v1.Pull{{Number: 1, Ref: "refs/pull/1/head:refs/heads/x"}} },
		"an address that is a flag":         func(r *v1.Refs) { r.CloneURI = "--upload-pack=touch " + ran },
		"an address of several lines":       func(r *v1.Refs) { r.CloneURI = "https://h/x\nhttps://h/y" },
		"an org that is a flag":             func(r *v1.Refs) { r.Org = "--x" },
		"a pattern that is a flag":          func(r *v1.Refs) { r.SparseCheckoutFiles = []string{"--stdin"} },
		"patterns in one":                   func(r *v1.Refs) { r.SparseCheckoutFiles = []string{"a\nb"} },
		"both ways to be sparse":            func(r *v1.Refs) { r.SparseCheckoutFiles, r.SparseCheckout = []string{"a"}, []string{"b"} },
		"a directory with a climb":          func(r *v1.Refs) { r.SparseCheckout = []string{"../b"} },
		"an address that runs a command":    func(r *v1.Refs) { r.CloneURI = "ext::touch " + ran },
		"an address of a file descriptor":   func(r *v1.Refs) { r.CloneURI = "fd::7" },
	} {
		t.Run(sentence, func(t *testing.T) {
			refs := s.refs()
			change(&refs)
			records, _ := s.clone(t, nil, refs)
			if got := records[1]; !got.Failed || got.Reason != artifacts.CloneInvalid || got.Message == "" {
				t.Errorf("failed: %v, %s: %s", got.Failed, got.Reason, got.Message)
			}
			if _, err := os.Stat(ran); err == nil {
				t.Fatal("a command was run")
			}
		})
	}
}

func TestNothingIsExpandedByAShell(t *testing.T) {
	s := newServer(t)
	ran := filepath.Join(t.TempDir(), "ran")
	for _, name := range []string{"$(touch${IFS}" + ran + ")", "`touch " + ran + "`", ";touch " + ran + ";", "$(ARTIFACTS)", "'|touch " + ran} {
		refs := s.refs()
		refs.Repo, refs.RepoLink, refs.CloneURI, refs.PathAlias = name, "", s.url+"/org/"+name+".git", "x"
		records, _ := s.clone(t, nil, refs)
		if _, err := os.Stat(ran); err == nil {
			t.Fatalf("%s was run", name)
		}
		if !strings.Contains(commands(records[1]), name) {
			t.Errorf("%s is not what was fetched:\n%s", name, commands(records[1]))
		}
	}
	// A branch of a strange but allowed name is cloned as what it is.
	work := s.repository(t, "org/strange.git", map[string]string{"a": "1"})
	const branch = "it's;$(touch-x)&`y`|z"
	s.run(t, work, "push", "-q", s.dir+"/root/org/strange.git", "main:refs/heads/"+branch)
	records, dir := s.clone(t, nil, v1.Refs{Org: "org", Repo: "strange", RepoLink: s.url + "/org/strange", PathAlias: "x", BaseRef: branch})
	if records[1].Failed || s.run(t, dir, "branch", "--show-current") != branch {
		t.Errorf("%+v", records[1])
	}
}

func TestAPathLeadsNowhereElse(t *testing.T) {
	s := newServer(t)
	outside := t.TempDir()
	work := filepath.Join(t.TempDir(), "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(work, "vendor")); err != nil {
		t.Fatal(err)
	}
	s.run(t, work, "init", "-q", "-b", "main")
	s.commit(t, work, "link", map[string]string{"file": "x"})
	s.publish(t, work, "org/linked.git")
	linked := v1.Refs{Org: "org", Repo: "linked", RepoLink: s.url + "/org/linked", PathAlias: "linked", BaseRef: "main"}
	inner := s.refs()
	inner.PathAlias = "linked/vendor/repo"

	// One after the other, so that the link is there in time.
	records, _ := s.clone(t, func(o *options.Clone) { o.MaxParallelWorkers = 1 }, linked, inner)
	if records[1].Failed || !records[2].Failed {
		t.Errorf("failed: %v, %v: %s", records[1].Failed, records[2].Failed, records[2].Message)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("out of the source root there is now %v", entries)
	}
	// Whoever comes first, nothing gets out.
	records, _ = s.clone(t, nil, inner, linked)
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("out of the source root there is now %v, %+v", entries, records)
	}

	for _, alias := range []string{"../../x", "a/../../../x", "linked/.git/hooks"} {
		refs := s.refs()
		refs.PathAlias = alias
		opts := &options.Clone{SrcRoot: "/src", Log: "/log", Refs: []v1.Refs{refs}}
		if err := Validate(opts, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), alias) {
			t.Errorf("%s: %v", alias, err)
		}
	}
}

func TestHostileSubmodules(t *testing.T) {
	s := newServer(t)
	ran := filepath.Join(s.dir, "ran")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.MkdirAll(secret, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(t, secret, "init", "-q", "-b", "main")
	s.commit(t, secret, "secret", map[string]string{"key": "hidden\n"})
	for sentence, address := range map[string]string{
		"a command":           "ext::sh -c 'touch " + ran + "'",
		"a flag":              "--upload-pack=touch " + ran,
		"a local repository":  secret,
		"a local file URL":    "file://" + secret,
		"a proxy command":     "ssh://-oProxyCommand=touch " + ran + "/x",
		"a file descriptor":   "fd::3",
		"relative to nowhere": "../../../../../../../../" + secret,
	} {
		t.Run(sentence, func(t *testing.T) {
			work := s.repository(t, "org/evil-"+strings.ReplaceAll(sentence, " ", "-")+".git", map[string]string{
				".gitmodules": "[submodule \"sub\"]\n\tpath = sub\n\turl = \"" + address + "\"\n",
			})
			s.run(t, work, "update-index", "--add", "--cacheinfo", "160000,"+s.run(t, secret, "rev-parse", "HEAD")+",sub")
			s.run(t, work, "commit", "-q", "-m", "submodule")
			s.run(t, work, "push", "-q", s.dir+"/root/org/evil-"+strings.ReplaceAll(sentence, " ", "-")+".git", "main")
			records, dir := s.clone(t, nil, v1.Refs{Org: "org", Repo: "evil", PathAlias: "evil", CloneURI: s.url + "/org/evil-" + strings.ReplaceAll(sentence, " ", "-") + ".git", BaseRef: "main"})
			if _, err := os.Stat(ran); err == nil {
				t.Fatal("a command was run")
			}
			if _, err := os.Stat(filepath.Join(dir, "sub", "key")); err == nil {
				t.Error("a local repository was cloned")
			}
			if !records[1].Failed {
				t.Errorf("it went well: %+v", records[1])
			}
		})
	}
}
