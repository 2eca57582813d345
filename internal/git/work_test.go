package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// withFork lets the cache find, beside the upstream, an empty repository of a bot.
func (u *upstream) withFork(t *testing.T, c *Cache) (fork string) {
	t.Helper()
	fork = t.TempDir()
	if _, err := u.runner.Output(t.Context(), fork, "init", "--bare", "--quiet"); err != nil {
		t.Fatal(err)
	}
	c.remotes = func(_ context.Context, org, repo string) (Remote, error) {
		switch org + "/" + repo {
		case "org/repo":
			return Remote{URL: u.dir}, nil
		case "bot/repo-1":
			return Remote{URL: fork}, nil
		}
		return Remote{}, errors.New("there is no repository " + org + "/" + repo)
	}
	return fork
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPatchIsAppliedToABranchAndPushedToAFork(t *testing.T) {
	u := newUpstream(t)
	u.run(t, "branch", "release/1", u.sha["base"])
	c := u.cache(t)
	fork := u.withFork(t, c)
	ctx := t.Context()

	source := u.tree(t, c, Need{Commits: []string{u.sha["base"], u.sha["two"]}})
	patch, err := source.FormatPatch(ctx, u.sha["base"], u.sha["two"])
	must(t, err)

	tree := u.tree(t, c, Need{})
	tree.As(Identity{Name: "robot", Email: "robot@example.com"})
	must(t, tree.Checkout(ctx, "release/1"))
	must(t, tree.CheckoutNewBranch(ctx, "cherry-pick-2-to-release/1"))
	must(t, tree.Am(ctx, patch))
	who, err := tree.Run(ctx, "show", "-s", "--format=%an %ae, %cn %ce, %s")
	must(t, err)
	if who != "prow prow@localhost, robot robot@example.com, two" || content(t, tree, "two") != "two\n" {
		t.Errorf("committed %s", who)
	}
	if dirty, err := tree.IsDirty(ctx); dirty || err != nil {
		t.Errorf("the patch itself must not lie in the tree: %v", err)
	}

	to := Push{Org: "bot", Repo: "repo-1", Branch: "cherry-pick-2-to-release/1"}
	must(t, tree.Push(ctx, to))
	if got, err := u.runner.Output(ctx, fork, "log", "--format=%s", "refs/heads/"+to.Branch); got != "two\nbase" || err != nil {
		t.Errorf("pushed %q, %v", got, err)
	}
}

func TestCommitsNeedSomethingToCommit(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{})
	ctx := t.Context()
	must(t, tree.Checkout(ctx, "main"))
	if err := tree.Commit(ctx, "nothing", "", nil); err == nil {
		t.Error("there is nothing to commit")
	}
	must(t, os.WriteFile(filepath.Join(tree.Dir(), "new file"), []byte("x\n"), 0o644))
	if dirty, err := tree.IsDirty(ctx); !dirty || err != nil {
		t.Errorf("a new file: %v, %v", dirty, err)
	}
	must(t, tree.Commit(ctx, "-title", "body", &Identity{Name: "Some Body", Email: "some@body"}))
	if got, _ := tree.Run(ctx, "show", "-s", "--format=%an <%ae>|%B"); got != "Some Body <some@body>|-title\n\nbody\n" {
		t.Errorf("committed %q", got)
	}
	if err := tree.Commit(ctx, "x", "", &Identity{Name: "a <b>", Email: "c"}); err == nil {
		t.Error("an author who is none must be refused")
	}
	must(t, os.WriteFile(filepath.Join(tree.Dir(), "README"), []byte("x\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(tree.Dir(), "junk"), []byte("x\n"), 0o644))
	must(t, tree.ResetHard(ctx, u.sha["base"]))
	if content(t, tree, "README") != "base\n" || content(t, tree, "junk") != "" || content(t, tree, "new file") != "" {
		t.Error("a reset leaves nothing")
	}
}

func TestAPatchThatDoesNotApplyLeavesNothing(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{Commits: []string{u.sha["base"], u.sha["one"], u.sha["three"]}})
	ctx := t.Context()
	patch, err := tree.FormatPatch(ctx, u.sha["base"], u.sha["three"])
	must(t, err)
	must(t, tree.Checkout(ctx, u.sha["one"]))
	var failed *PatchError
	if err := tree.Am(ctx, patch); !errors.As(err, &failed) || !strings.Contains(failed.Output, "README") {
		t.Errorf("got %v", err)
	}
	if err := tree.Am(ctx, []byte("this is no mailbox")); !errors.As(err, &failed) {
		t.Errorf("no patch at all: %v", err)
	}
	head, err := tree.RevParse(ctx, "HEAD")
	dirty, err2 := tree.IsDirty(ctx)
	if head != u.sha["one"] || dirty || errors.Join(err, err2) != nil {
		t.Errorf("head %s, dirty %v", head, dirty)
	}
}

func TestPushes(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	fork := u.withFork(t, c)
	ctx := t.Context()
	tree := u.tree(t, c, Need{Commits: []string{u.sha["base"], u.sha["one"], u.sha["two"]}})
	at := func(dir, want string) {
		t.Helper()
		if got, err := u.runner.Output(ctx, dir, "rev-parse", "refs/heads/topic"); err != nil || got != want {
			t.Errorf("topic is %s, want %s; %v", got, want, err)
		}
	}
	to := Push{Org: "bot", Repo: "repo-1", Branch: "topic"}
	must(t, tree.Checkout(ctx, u.sha["one"]))
	must(t, tree.CheckoutNewBranch(ctx, "topic"))
	must(t, tree.Push(ctx, to))
	at(fork, u.sha["one"])
	must(t, tree.ResetHard(ctx, u.sha["two"]))
	if err := tree.Push(ctx, to); err == nil {
		t.Error("what is there must not be replaced")
	}
	at(fork, u.sha["one"])
	to.Force = true
	must(t, tree.Push(ctx, to))
	at(fork, u.sha["two"])
	must(t, tree.Push(ctx, Push{Branch: "topic"}))
	at(u.dir, u.sha["two"])
	for _, branch := range []string{"", "-x", "a:b", "a b", "a..b", "topic^", "refs/../x", "x.lock"} {
		if err := tree.Push(ctx, Push{Branch: branch}); err == nil || !strings.Contains(err.Error(), "no name of a branch") {
			t.Errorf("branch %q: %v", branch, err)
		}
	}
	if err := tree.Push(ctx, Push{Org: "else", Branch: "topic"}); err == nil || !strings.Contains(err.Error(), "pushing branch topic to else/repo") {
		t.Errorf("a repository that is not there: %v", err)
	}
}

func TestWhatTreesTell(t *testing.T) {
	u := newUpstream(t)
	u.run(t, "update-ref", "refs/pull/7/head", u.sha["one"])
	u.run(t, "checkout", "-q", "-b", "merged", u.sha["one"])
	u.run(t, "merge", "-q", "--no-ff", "-m", "merge", u.sha["two"])
	u.sha["merge"] = u.run(t, "rev-parse", "HEAD")
	u.commit(t, "odd", map[string]string{"a\tb \"c\"\n": "x\n"})
	u.run(t, "checkout", "-q", "main")
	c := u.cache(t)
	ctx := t.Context()
	tree := u.tree(t, c, Need{})
	must(t, tree.CheckoutPullRequest(ctx, 7))
	if head, err := tree.Run(ctx, "symbolic-ref", "--short", "HEAD"); head != "pull7" || content(t, tree, "README") != "one\n" {
		t.Errorf("on %s: %v", head, err)
	}
	for branch, want := range map[string]bool{"merged": true, "merge": false, "erged": false, "pull7": false} {
		if got, err := tree.BranchExists(ctx, branch); got != want || err != nil {
			t.Errorf("branch %s: %v, %v", branch, got, err)
		}
	}
	for head, want := range map[string]bool{u.sha["one"]: false, u.sha["merge"]: true, u.sha["odd"]: true} {
		if got, err := tree.HasMergeCommits(ctx, u.sha["base"], head); got != want || err != nil {
			t.Errorf("merge commits of %s: %v, %v", head, got, err)
		}
	}
	files, err := tree.ChangedFiles(ctx, u.sha["one"], u.sha["odd"])
	if slices.Sort(files); err != nil || !reflect.DeepEqual(files, []string{"a\tb \"c\"\n", "two"}) {
		t.Errorf("files %q, %v", files, err)
	}
	all, err := tree.RevParseAll(ctx, "HEAD", "origin/merged")
	if err != nil || all["HEAD"] != u.sha["one"] || all["origin/merged"] != u.sha["odd"] {
		t.Errorf("%v, %v", all, err)
	}
	if got, err := tree.ShowRef(ctx, "refs/remotes/origin/main"); got != u.sha["base"] || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	for what, err := range map[string]error{
		"reset": tree.ResetHard(ctx, "--merge"), "fetch": tree.FetchRef(ctx, "--upload-pack=x"), "new branch": tree.CheckoutNewBranch(ctx, "-f"),
		"branch": drop(tree.BranchExists(ctx, "-x")), "files": drop(tree.ChangedFiles(ctx, "a", "--output=x")), "merges": drop(tree.HasMergeCommits(ctx, "", "a")),
		"show": drop(tree.ShowRef(ctx, "-x")), "patch": drop(tree.FormatPatch(ctx, "-o", "/tmp")), "parse": drop(tree.RevParseAll(ctx, "--all")),
	} {
		if err == nil {
			t.Errorf("%s must refuse flags", what)
		}
	}
}

func drop[T any](_ T, err error) error { return err }

func TestCommitsAreSigned(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{})
	ctx := t.Context()
	must(t, tree.Checkout(ctx, "main"))
	tree.As(Identity{Name: "robot", Email: "robot@example.com", SigningKey: key})
	must(t, os.WriteFile(filepath.Join(tree.Dir(), "new"), nil, 0o644))
	must(t, tree.Commit(ctx, "signed", "", nil))
	if raw, err := tree.Run(ctx, "cat-file", "commit", "HEAD"); err != nil || !strings.Contains(raw, "-----BEGIN SSH SIGNATURE-----") {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestMergeMessages(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{Commits: []string{u.sha["base"], u.sha["one"], u.sha["two"]}})
	ctx := t.Context()
	must(t, tree.Checkout(ctx, u.sha["one"]))
	must(t, tree.MergeWithMessages(ctx, u.sha["two"], MergeCommit, "title", "body"))
	if got, _ := tree.Run(ctx, "show", "-s", "--format=%B"); got != "title\n\nbody\n" {
		t.Errorf("%q", got)
	}
}

func FuzzTreeLine(f *testing.F) {
	f.Add("100644 blob 0123456789012345678901234567890123456789\ta b\x00")
	f.Add("160000 commit 0123\tsub\x00")
	f.Fuzz(func(t *testing.T, line string) {
		path, blob, ok := parseTreeLine(line)
		if ok && (path == "" || strings.Contains(blob, " ")) {
			t.Errorf("%q: %q, %q", line, path, blob)
		}
	})
}

func FuzzBatchHeader(f *testing.F) {
	f.Add("0123 blob 7\n")
	f.Add("0123 missing\n")
	f.Fuzz(func(t *testing.T, line string) {
		if size, err := parseBatchHeader(line); err == nil && size < 0 {
			t.Errorf("%q: %d", line, size)
		}
	})
}

func FuzzBranchName(f *testing.F) {
	requireGit(f)
	f.Add("release-1.2")
	f.Add("a..b")
	f.Fuzz(func(t *testing.T, name string) {
		if branchName(name) == nil && (strings.ContainsAny(name, " :~^?*[\\\x00\n") || name[0] == '-') {
			t.Errorf("%q", name)
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("user:p@ss")
	f.Add("x-access-token:ghs_1")
	f.Add("%2F%40")
	f.Fuzz(func(t *testing.T, credential string) {
		if credential == "" || strings.ContainsAny(credential, "/'\"") || strings.ContainsFunc(credential, unicode.IsSpace) {
			return
		}
		text := "fatal: unable to access 'HTTPS://" + credential + "@host/o/r/': a@b"
		if got := Redact(text); got != "fatal: unable to access 'HTTPS://xxxxx@host/o/r/': a@b" {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
