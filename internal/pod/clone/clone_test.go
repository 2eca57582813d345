package clone

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

func TestPullIsMergedReproducibly(t *testing.T) {
	s := newServer(t)
	refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]}, v1.Pull{Number: 2, SHA: s.sha["2"]})
	records, dir := s.clone(t, nil, refs)
	again, _ := s.clone(t, nil, refs)
	if len(records) != 2 || records[0].Refs.Org != "" || records[0].Failed || records[1].Failed {
		t.Fatalf("records: %+v", records)
	}
	head := s.run(t, dir, "rev-parse", "HEAD")
	if head != records[1].FinalSHA || head != again[1].FinalSHA {
		t.Errorf("final commits: %s, recorded %s and %s", head, records[1].FinalSHA, again[1].FinalSHA)
	}
	if parents := strings.Fields(s.run(t, dir, "show", "-s", "--format=%P", "HEAD")); len(parents) != 2 || parents[1] != s.sha["2"] {
		t.Errorf("parents of HEAD: %v", parents)
	}
	s.run(t, dir, "merge-base", "--is-ancestor", s.sha["1"], "HEAD")
	if got := s.run(t, dir, "branch", "--show-current"); got != "main" {
		t.Errorf("branch: %s", got)
	}
	if got := s.run(t, dir, "remote"); got != "" {
		t.Errorf("remotes: %s", got)
	}
	want := strings.Join([]string{
		"mkdir -p " + dir, "git init", "git config user.name ci-robot", "git config user.email ci-robot@k8s.io",
		"git fetch " + s.url + "/org/repo.git --tags --prune", "git fetch " + s.url + "/org/repo.git " + s.sha["main"],
		"git checkout " + s.sha["main"], "git branch --force main " + s.sha["main"], "git checkout main",
		"git fetch " + s.url + "/org/repo.git " + s.sha["1"] + " " + s.sha["2"], "", "",
		"git submodule update --init --recursive",
	}, "\n")
	if got := commands(records[1]); got != want {
		t.Errorf("commands:\n%s\nwant:\n%s", got, want)
	}
	merge := records[1].Commands[10]
	if want := "PWD=" + dir + " GIT_AUTHOR_DATE=1700000001 +0000 GIT_COMMITTER_DATE=1700000001 +0000 git merge --no-ff " + s.sha["1"]; merge.Command != want || merge.Duration == 0 {
		t.Errorf("merge: %+v, want %s", merge, want)
	}
	if first := records[1].Commands[0].Command; !strings.HasPrefix(first, "PWD=/  mkdir") {
		t.Errorf("first command: %s", first)
	}
}

func TestWhatIsFetched(t *testing.T) {
	s := newServer(t)
	blobless := true
	for sentence, c := range map[string]struct {
		change func(*v1.Refs)
		want   []string
		not    []string
	}{
		"a pull with only a number": {func(r *v1.Refs) { r.Pulls = []v1.Pull{{Number: 1}} }, []string{"repo.git pull/1/head"}, nil},
		"a pull with ref and commit": {func(r *v1.Refs) { r.Pulls = []v1.Pull{{Number: 1, Ref: "refs/pull/1/head", SHA: s.sha["1"]}} },
			[]string{"repo.git refs/pull/1/head"}, []string{"repo.git " + s.sha["1"]}},
		"a shallow clone without HEAD": {func(r *v1.Refs) { r.CloneDepth, r.SkipFetchHead = 2, true }, []string{"git fetch --depth 2 " + s.url + "/org/repo.git " + s.sha["main"]}, []string{"--tags"}},
		"a sparse clone":               {func(r *v1.Refs) { r.SparseCheckoutFiles = []string{"Makefile"} }, []string{"git sparse-checkout init --no-cone", "git fetch --filter=blob:none --no-tags " + s.url, "git sparse-checkout set Makefile"}, []string{"--tags"}},
		"a clone without blobs":        {func(r *v1.Refs) { r.BloblessFetch = &blobless }, []string{"git fetch --filter=blob:none " + s.url + "/org/repo.git --tags --prune"}, nil},
		"a branch without a commit":    {func(r *v1.Refs) { r.BaseSHA = "" }, []string{"repo.git main", "git checkout FETCH_HEAD"}, nil},
		"no submodules":                {func(r *v1.Refs) { r.SkipSubmodules = true }, nil, []string{"git submodule"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			refs := s.refs()
			c.change(&refs)
			records, dir := s.clone(t, nil, refs)
			if records[1].Failed {
				t.Fatalf("failed: %+v", records[1])
			}
			got := commands(records[1])
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
			for _, not := range c.not {
				// --no-tags is not --tags
				if strings.Contains(strings.ReplaceAll(got, "--no-tags", ""), not) {
					t.Errorf("%q is in:\n%s", not, got)
				}
			}
			if refs.SparseCheckoutFiles != nil {
				entries, _ := os.ReadDir(dir)
				if len(entries) != 2 { // and .git
					t.Errorf("work tree: %v", entries)
				}
			}
		})
	}
}

func TestFailedClone(t *testing.T) {
	s := newServer(t)
	missing := s.refs()
	missing.BaseRef, missing.BaseSHA = "missing", ""
	other := s.refs()
	other.Repo, other.PathAlias = "other", "example.com/other"
	records, _ := s.clone(t, nil, missing, other)
	if !records[1].Failed || records[2].Failed || records[1].Refs.BaseRef != "missing" {
		t.Fatalf("records: %+v", records)
	}
	last := records[1].Commands[len(records[1].Commands)-1]
	if !strings.Contains(last.Output, "couldn't find remote ref missing") || last.Error == "" {
		t.Errorf("last command: %+v", last)
	}

	conflict := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]}, v1.Pull{Number: 3, SHA: s.sha["3"]})
	records, _ = s.clone(t, nil, conflict)
	last = records[1].Commands[len(records[1].Commands)-1]
	if !records[1].Failed || !strings.Contains(last.Output, "CONFLICT") {
		t.Errorf("a conflict: %+v", last)
	}

	flag := s.refs()
	flag.BaseSHA = "--upload-pack=touch " + s.dir + "/ran"
	records, _ = s.clone(t, nil, flag)
	if _, err := os.Stat(s.dir + "/ran"); err == nil || !records[1].Failed {
		t.Errorf("a ref that is a flag: %+v", records[1])
	}
}

func TestFailOption(t *testing.T) {
	s := newServer(t)
	refs := s.refs()
	refs.BaseSHA = strings.Repeat("0", 39) + "1"
	dir := t.TempDir()
	opts := &options.Clone{SrcRoot: dir, Log: filepath.Join(dir, "log"), Refs: []v1.Refs{refs}, Fail: true}
	cloner := New(opts, os.Environ(), slog.New(slog.DiscardHandler))
	attempts := 0
	cloner.wait = func(context.Context, time.Duration) error { attempts++; return nil }
	if err := cloner.Run(t.Context()); err == nil || !strings.Contains(err.Error(), opts.Log) {
		t.Errorf("got %v", err)
	}
	if attempts != quickly-1 {
		t.Errorf("%d pauses for a commit that does not exist", attempts)
	}
}

func TestTokenReachesOnlyItsRepositoryAndNoRecord(t *testing.T) {
	s := newServer(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("12345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]})
	refs.RepoLink = s.url + "/private/org/repo"
	records, dir := s.clone(t, func(o *options.Clone) { o.OauthTokenFile = token }, refs)
	if records[1].Failed {
		t.Fatalf("failed: %+v", records[1])
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("12345678:x-oauth-basic"))
	if !slices.Contains(s.auth, want) {
		t.Errorf("credentials seen: %v", s.auth)
	}
	content, _ := json.Marshal(records)
	config, err := os.ReadFile(filepath.Join(dir, ".git", "config"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"12345678", base64.StdEncoding.EncodeToString([]byte("12345678")), want} {
		if bytes.Contains(content, []byte(secret)) || bytes.Contains(config, []byte(secret)) {
			t.Errorf("%s leaked", secret)
		}
	}
	// Credentials that the configuration puts into an address do not show either.
	refs.CloneURI = strings.Replace(refs.RepoLink, "http://", "http://someone:password@", 1)
	records, _ = s.clone(t, nil, refs)
	if content, _ = json.Marshal(records); bytes.Contains(content, []byte("password")) || bytes.Contains(content, []byte("someone:")) || records[1].Failed {
		t.Errorf("records: %s", content)
	}
}

func TestMissingTokenFails(t *testing.T) {
	s := newServer(t)
	records, dir := s.clone(t, func(o *options.Clone) { o.OauthTokenFile = "/does/not/exist" }, s.refs())
	if len(records) != 1 || !records[0].Failed || len(records[0].Commands) != 1 {
		t.Errorf("records: %+v", records)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was cloned")
	}
}

func TestCookieFile(t *testing.T) {
	s := newServer(t)
	refs := s.refs()
	refs.SkipSubmodules = true
	cookies := filepath.Join(t.TempDir(), "cookies")
	if err := os.WriteFile(cookies, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	records, dir := s.clone(t, func(o *options.Clone) { o.CookiePath = cookies }, refs)
	if got := s.run(t, dir, "config", "http.cookiefile"); got != cookies || records[1].Failed {
		t.Errorf("cookie file: %s, %+v", got, records[1])
	}
}

func TestSSHKeys(t *testing.T) {
	for _, program := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	s := newServer(t)
	keys := t.TempDir()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys+"/key").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Remove(keys + "/key.pub"); err != nil {
		t.Fatal(err)
	}
	records, _ := s.clone(t, func(o *options.Clone) { o.KeyFiles = []string{keys} }, s.refs())
	if records[0].Failed || !strings.Contains(records[1].Commands[1].Command, "SSH_AUTH_SOCK=") {
		t.Errorf("records: %+v", records)
	}
	for _, field := range strings.Fields(records[1].Commands[1].Command) {
		if socket, ok := strings.CutPrefix(field, "SSH_AUTH_SOCK="); ok {
			deadline := time.After(10 * time.Second)
			for tick := time.NewTicker(10 * time.Millisecond); ; {
				if _, err := os.Stat(socket); err != nil {
					break
				}
				select {
				case <-tick.C: // it was told to end, and takes its time
				case <-deadline:
					t.Fatal("the agent is left behind")
				}
			}
		}
	}
}

func TestParseRefs(t *testing.T) {
	for in, want := range map[string]v1.Refs{
		"org,repo=main":                        {Org: "org", Repo: "repo", BaseRef: "main"},
		"org,repo=main:sha":                    {Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "sha"},
		"org,repo=main:sha,1,2:b,3:c:refs/x/3": {Org: "org", Repo: "repo", BaseRef: "main", BaseSHA: "sha", Pulls: []v1.Pull{{Number: 1}, {Number: 2, SHA: "b"}, {Number: 3, SHA: "c", Ref: "refs/x/3"}}},
	} {
		got, err := ParseRefs(in)
		if err != nil || got.String() != want.String() || got.Org != want.Org || got.Repo != want.Repo {
			t.Errorf("%s: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "org,repo", "org=main", "org,repo=", "org,repo=a:b:c", "org,repo=a,x", "org,repo=a,1:b:c:d"} {
		if got, err := ParseRefs(in); err == nil {
			t.Errorf("%q must be an error, got %+v", in, got)
		}
	}
}

func FuzzParseRefs(f *testing.F) {
	f.Add("org,repo=main:sha,1:a:b")
	f.Fuzz(func(t *testing.T, text string) {
		refs, err := ParseRefs(text)
		if err == nil && (refs.Org+refs.Repo+refs.String() == "") {
			t.Errorf("%q became nothing", text)
		}
	})
}

func TestValidate(t *testing.T) {
	valid := func() *options.Clone {
		return &options.Clone{SrcRoot: "/src", Log: "/log", Refs: []v1.Refs{{Org: "o", Repo: "a"}, {Org: "o", Repo: "b"}}, GitHubAPIEndpoints: []string{"x"}}
	}
	for sentence, c := range map[string]struct {
		change  func(*options.Clone)
		err     string
		warning bool
	}{
		"complete options":          {func(*options.Clone) {}, "", false},
		"no root":                   {func(o *options.Clone) { o.SrcRoot = "" }, "src_root", false},
		"no log":                    {func(o *options.Clone) { o.Log = "" }, "log", false},
		"no refs":                   {func(o *options.Clone) { o.Refs = nil }, "no refs", false},
		"a repository twice":        {func(o *options.Clone) { o.Refs[1] = o.Refs[0] }, "twice", false},
		"two with one path":         {func(o *options.Clone) { o.Refs[1].PathAlias = "github.com/o/a" }, "", true},
		"a path that leads out":     {func(o *options.Clone) { o.Refs[1].PathAlias = "x/../../.." }, "leads out", false},
		"half an App":               {func(o *options.Clone) { o.GitHubAppID = "1" }, "both its id and its private key", false},
		"an App and a token":        {func(o *options.Clone) { o.GitHubAppID, o.GitHubAppPrivateKeyFile, o.OauthTokenFile = "1", "k", "t" }, "exclude each other", false},
		"an App without an address": {func(o *options.Clone) { o.GitHubAppID, o.GitHubAppPrivateKeyFile, o.GitHubAPIEndpoints = "1", "k", nil }, "endpoint", false},
	} {
		var log bytes.Buffer
		opts := valid()
		c.change(opts)
		err := Validate(opts, slog.New(slog.NewTextHandler(&log, nil)))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", sentence, err)
		}
		if (log.Len() > 0) != c.warning {
			t.Errorf("%s: warnings: %s", sentence, log.String())
		}
	}
}
