package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestPushAndClone(t *testing.T) {
	w := newWorld(t)
	c := w.clone("dev", "acme/app")
	if out, err := c.try("push", "origin", "HEAD:refs/heads/x"); err == nil {
		t.Errorf("a member with read permission pushed: %s", out)
	}
	c = w.clone("writer", "acme/app")
	sha := c.commit("dir/a.txt", "hello\n", "Add a\n\nWith a body.")
	c.git("push", "--quiet", "origin", "HEAD:main")
	push := w.hook.wait("push", 2).payload(t) // two came with the seed
	if push["ref"] != "refs/heads/main" || push["after"] != sha || push["created"] != false || push["forced"] != false {
		t.Errorf("push payload: ref %v after %v created %v", push["ref"], push["after"], push["created"])
	}
	commits := push["commits"].([]any)
	first := commits[0].(map[string]any)
	if len(commits) != 1 || first["id"] != sha || first["added"].([]any)[0] != "dir/a.txt" || first["author"].(map[string]any)["username"] != "dev" {
		t.Errorf("push commits: %v", commits)
	}
	if push["repository"].(map[string]any)["owner"].(map[string]any)["name"] != "acme" || push["pusher"].(map[string]any)["name"] != "writer" {
		t.Errorf("push owner or pusher: %v", push["pusher"])
	}
	for _, args := range [][]string{
		{"push", "origin", "HEAD:refs/pull/1/head"},
		{"push", "origin", ":refs/pull/7/head"},
	} {
		if out, err := c.try(args...); err == nil {
			t.Errorf("git %v succeeded: %s", args, out)
		}
	}
	anon := w.clone("", "acme/app")
	if got := anon.git("rev-parse", "HEAD"); got != sha {
		t.Errorf("anonymous clone is at %s, want %s", got, sha)
	}
	if out, err := anon.try("fetch", "http://"+w.addr+"/acme/safe"); err == nil {
		t.Errorf("anonymous fetch of a private repository succeeded: %s", out)
	}
	anon.git("-c", "protocol.version=2", "fetch", "--quiet", "--filter=blob:none", "--depth=1", "origin", sha)
	anon.git("-c", "protocol.version=0", "fetch", "--quiet", "origin", "main")
	c.git("tag", "v1")
	c.git("push", "--quiet", "origin", "v1")
	if p := w.hook.wait("create", 2).payload(t); p["ref_type"] != "tag" || p["ref"] != "v1" {
		t.Errorf("create payload: %v %v", p["ref"], p["ref_type"])
	}
	c.git("push", "--quiet", "origin", ":v1")
	if p := w.hook.wait("delete", 0).payload(t); p["ref"] != "v1" {
		t.Errorf("delete payload: %v", p["ref"])
	}
}

func TestPullRequestLife(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.clone("writer", "acme/app")
	head := c.branch("feature/one", "one.txt", "1\n")
	pr := w.pull("writer", "acme/app", "feature/one", "main", "One")
	if pr.GetHead().GetSHA() != head || pr.GetAdditions() != 1 || pr.GetChangedFiles() != 1 || pr.GetCommits() != 1 || pr.GetNumber() != 1 {
		t.Errorf("created: %v", pr)
	}
	opened := w.hook.wait("pull_request/opened", 0).payload(t)
	if opened["pull_request"].(map[string]any)["base"].(map[string]any)["repo"].(map[string]any)["owner"].(map[string]any)["login"] != "acme" {
		t.Error("the payload does not name the owner of the base repository")
	}
	if got := c.git("ls-remote", "origin", "refs/pull/1/head"); !strings.HasPrefix(got, head) {
		t.Errorf("refs/pull/1/head: %q", got)
	}
	robot := w.as("robot")
	got, _, err := robot.PullRequests.Get(ctx, "acme", "app", 1)
	if err != nil || !got.GetMergeable() || got.GetMergeableState() != "clean" {
		t.Errorf("mergeable %v state %q err %v", got.GetMergeable(), got.GetMergeableState(), err)
	}
	if _, _, err := w.as("writer").PullRequests.Create(ctx, "acme", "app", &github.NewPullRequest{Title: github.Ptr("again"), Head: github.Ptr("feature/one"), Base: github.Ptr("main")}); err == nil {
		t.Error("a second pull request for the same branch was opened")
	} else {
		wantErr(t, err, 422, "Validation Failed")
	}

	// Force push: synchronize with before and after.
	next := c.branch("feature/one", "one.txt", "one\n")
	p := w.hook.wait("pull_request/synchronize", 0).payload(t)
	if p["before"] != head || p["after"] != next {
		t.Errorf("synchronize from %v to %v, want %s to %s", p["before"], p["after"], head, next)
	}
	if got := c.git("ls-remote", "origin", "refs/pull/1/head"); !strings.HasPrefix(got, next) {
		t.Errorf("refs/pull/1/head after force push: %q", got)
	}
	c.git("fetch", "--quiet", "origin", head) // old heads stay reachable by name

	// Stale sha, then merge.
	_, _, err = robot.PullRequests.Merge(ctx, "acme", "app", 1, "", &github.PullRequestOptions{SHA: head})
	wantErr(t, err, 409, "Head branch was modified")
	_, _, err = w.as("dev").PullRequests.Merge(ctx, "acme", "app", 1, "", nil)
	wantErr(t, err, 403, "")
	res, _, err := robot.PullRequests.Merge(ctx, "acme", "app", 1, "", &github.PullRequestOptions{SHA: next})
	if err != nil {
		t.Fatal(err)
	}
	closed := w.hook.wait("pull_request/closed", 0).payload(t)["pull_request"].(map[string]any)
	if closed["merged"] != true || closed["merge_commit_sha"] != res.GetSHA() || closed["merged_by"].(map[string]any)["login"] != "robot" {
		t.Errorf("closed payload: merged %v sha %v", closed["merged"], closed["merge_commit_sha"])
	}
	_, _, err = robot.PullRequests.Merge(ctx, "acme", "app", 1, "", nil)
	wantErr(t, err, 405, "not mergeable")
	_, _, err = robot.PullRequests.Edit(ctx, "acme", "app", 1, &github.PullRequest{State: github.Ptr("open")})
	if e, ok := err.(*github.ErrorResponse); !ok || len(e.Errors) == 0 || !strings.Contains(e.Errors[0].Message, "state cannot be changed.") {
		t.Errorf("reopening a merged pull request: %v", err)
	}
}

func TestMergeMethods(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	robot := w.as("robot")
	for _, tc := range []struct {
		method  string
		parents int
		commits int // on the base branch
		subject string
	}{
		{"merge", 2, 3, "Merge pull request #1 from acme/merge"},
		{"squash", 1, 1, "Title squash (#2)"},
		{"rebase", 1, 2, "second"},
	} {
		t.Run(tc.method, func(t *testing.T) {
			c := w.clone("writer", "acme/app")
			before := c.git("rev-parse", "HEAD")
			c.git("checkout", "--quiet", "-b", tc.method)
			c.commit(tc.method+"1", "1", "first")
			c.commit(tc.method+"2", "2", "second")
			c.git("push", "--quiet", "origin", tc.method)
			c.git("checkout", "--quiet", "main")
			moved := c.commit("moved-"+tc.method, "x", "base moves")
			c.git("push", "--quiet", "origin", "main")
			pr := w.pull("writer", "acme/app", tc.method, "main", "Title "+tc.method)
			res, _, err := robot.PullRequests.Merge(ctx, "acme", "app", pr.GetNumber(), "", &github.PullRequestOptions{MergeMethod: tc.method})
			if err != nil {
				t.Fatal(err)
			}
			c.git("fetch", "--quiet", "origin")
			if got := c.git("rev-parse", "origin/main"); got != res.GetSHA() {
				t.Errorf("main is at %s, the answer says %s", got, res.GetSHA())
			}
			if got := len(strings.Fields(c.git("log", "-1", "--format=%P", "origin/main"))); got != tc.parents {
				t.Errorf("%d parents, want %d", got, tc.parents)
			}
			if got := strings.Count(c.git("log", "--format=%H", moved+"..origin/main"), "\n") + 1; got != tc.commits {
				t.Errorf("%d new commits, want %d", got, tc.commits)
			}
			if got := c.git("log", "-1", "--format=%s", "origin/main"); got != tc.subject {
				t.Errorf("subject %q, want %q", got, tc.subject)
			}
			if got := c.git("log", "-1", "--format=%an", "origin/main"); tc.method == "rebase" && got != "Dev" {
				t.Errorf("rebase changed the author to %q", got)
			}
			c.git("merge-base", "--is-ancestor", before, "origin/main")
		})
	}
}

func TestConflictIsNotMergeable(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.clone("writer", "acme/app")
	c.branch("mine", "same.txt", "mine\n")
	c.git("checkout", "--quiet", "main")
	c.commit("same.txt", "theirs\n", "theirs")
	pr := w.pull("writer", "acme/app", "mine", "main", "Conflict later")
	c.git("push", "--quiet", "origin", "main")
	robot := w.as("robot")
	got, _, err := robot.PullRequests.Get(ctx, "acme", "app", pr.GetNumber())
	if err != nil || got.Mergeable == nil || *got.Mergeable || got.GetMergeableState() != "dirty" {
		t.Errorf("mergeable %v state %q err %v", got.Mergeable, got.GetMergeableState(), err)
	}
	for _, m := range []string{"merge", "squash", "rebase"} {
		_, _, err = robot.PullRequests.Merge(ctx, "acme", "app", pr.GetNumber(), "", &github.PullRequestOptions{MergeMethod: m})
		wantErr(t, err, 405, "not mergeable")
	}
}

func TestMergedByPush(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.branch("ff", "ff.txt", "x\n")
	pr := w.pull("writer", "acme/app", "ff", "main", "Fast")
	c.git("push", "--quiet", "origin", "ff:main")
	p := w.hook.wait("pull_request/closed", 0).payload(t)
	if p["pull_request"].(map[string]any)["merged"] != true || int(p["number"].(float64)) != pr.GetNumber() {
		t.Errorf("payload %v", p["pull_request"].(map[string]any)["merged"])
	}
}

func TestForkPullRequest(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	fork, _, err := w.as("stranger").Repositories.CreateFork(ctx, "acme", "app", nil)
	if err != nil && !strings.Contains(err.Error(), "job scheduled") {
		t.Fatal(err)
	}
	if !fork.GetFork() || fork.GetFullName() != "stranger/app" || fork.GetParent().GetFullName() != "acme/app" {
		t.Errorf("fork: %v", fork)
	}
	eventually(t, "the copy of the fork", func() bool {
		_, resp, _ := w.as("stranger").Repositories.Get(ctx, "stranger", "app")
		return resp != nil && resp.StatusCode == 200
	})
	c := w.clone("stranger", "stranger/app")
	head := c.branch("idea", "idea.txt", "!\n")
	pr := w.pull("stranger", "acme/app", "stranger:idea", "main", "Idea")
	if pr.GetHead().GetLabel() != "stranger:idea" || pr.GetHead().GetSHA() != head || pr.GetAuthorAssociation() != "NONE" {
		t.Errorf("head %v association %v", pr.GetHead().GetLabel(), pr.GetAuthorAssociation())
	}
	base := w.clone("", "acme/app")
	base.git("fetch", "--quiet", "origin", pullRef(pr.GetNumber()))
	if got := base.git("rev-parse", "FETCH_HEAD"); got != head {
		t.Errorf("fetched %s, want %s", got, head)
	}
	if got := base.git("ls-remote", "origin"); strings.Contains(got, "incoming") {
		t.Errorf("temporary refs are left: %s", got)
	}
	next := c.branch("idea", "idea.txt", "?\n")
	p := w.hook.wait("pull_request/synchronize", 0).payload(t)
	if p["after"] != next || p["repository"].(map[string]any)["full_name"] != "acme/app" {
		t.Errorf("synchronize: %v", p["after"])
	}
	if _, _, err := w.as("robot").PullRequests.Merge(ctx, "acme", "app", pr.GetNumber(), "", nil); err != nil {
		t.Error(err)
	}
}

func TestDeletedBranchClosesPullRequest(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.branch("gone", "gone.txt", "x\n")
	w.pull("writer", "acme/app", "gone", "main", "Gone")
	c.git("push", "--quiet", "origin", ":gone")
	if p := w.hook.wait("pull_request/closed", 0).payload(t); p["pull_request"].(map[string]any)["merged"] != false {
		t.Error("closing by deletion counts as merge")
	}
}

func TestRebaseLeavesOutWhatIsThere(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.git("checkout", "--quiet", "-b", "r")
	picked := c.commit("both.txt", "both\n", "already picked")
	c.commit("new.txt", "new\n", "new")
	c.git("push", "--quiet", "origin", "r")
	c.git("checkout", "--quiet", "main")
	c.commit("x.txt", "x\n", "x")
	c.git("cherry-pick", picked)
	tip := c.git("rev-parse", "HEAD")
	c.git("push", "--quiet", "origin", "main")
	n := w.pull("writer", "acme/app", "r", "main", "R").GetNumber()
	if _, _, err := w.as("robot").PullRequests.Merge(t.Context(), "acme", "app", n, "", &github.PullRequestOptions{MergeMethod: "rebase"}); err != nil {
		t.Fatal(err)
	}
	c.git("fetch", "--quiet", "origin")
	if got := c.git("log", "--format=%s", tip+"..origin/main"); got != "new" {
		t.Errorf("rebased commits: %q, want only the new one", got)
	}
}

func TestChangeOfType(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.commit("link", "a file\n", "file")
	c.commit("z.txt", "before\n", "z")
	c.git("push", "--quiet", "origin", "HEAD:main")
	c.git("checkout", "--quiet", "-b", "type")
	if err := os.Remove(filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("z.txt", filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	c.commit("z.txt", "after\n", "type")
	c.git("push", "--quiet", "origin", "type")
	n := w.pull("writer", "acme/app", "type", "main", "Type").GetNumber()
	files, _, err := w.as("dev").PullRequests.ListFiles(t.Context(), "acme", "app", n, nil)
	if err != nil || len(files) != 2 || files[0].GetStatus() != "changed" || !strings.Contains(files[1].GetPatch(), "+after") {
		t.Errorf("files: %v %v", files, err)
	}
}

// TestSeedFromShallowCheckout: a clone of limited depth is a usual place to
// start from.
func TestSeedFromShallowCheckout(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.commit("a", "a", "a")
	c.git("push", "--quiet", "origin", "HEAD:main")
	shallow := filepath.Join(t.TempDir(), "shallow")
	c.git("clone", "--quiet", "--depth=1", "file://"+w.forge.repoDir(1), shallow)
	if err := w.forge.CreateRepo(t.Context(), Repo{Owner: "acme", Name: "copy", Source: shallow}); err != nil {
		t.Fatal(err)
	}
	if got := w.clone("writer", "acme/copy").git("log", "--format=%s"); got != "a" {
		t.Errorf("log of the copy: %q", got)
	}
}
