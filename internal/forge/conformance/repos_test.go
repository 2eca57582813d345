package conformance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestFilesAreCreatedChangedAndDeletedThroughTheAPI(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	made, resp, err := c.Repositories.CreateFile(ctx, x.org, repo, "dir/file name.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("Add"), Content: []byte("one")})
	x.must(err)
	x.same("created", resp.StatusCode, 201)
	sha := made.GetContent().GetSHA()
	_, _, err = c.Repositories.CreateFile(ctx, x.org, repo, "dir/file name.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("Again"), Content: []byte("two")})
	x.refused(err, 422, "sha")
	_, _, err = c.Repositories.UpdateFile(ctx, x.org, repo, "dir/file name.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("Change"), Content: []byte("two"), SHA: github.Ptr(strings.Repeat("1", 40))})
	x.refused(err, 409, "does not match")
	changed, resp, err := c.Repositories.UpdateFile(ctx, x.org, repo, "dir/file name.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("Change"), Content: []byte("two"), SHA: &sha})
	x.must(err)
	x.same("changed", resp.StatusCode, 200)
	file, _, _, err := c.Repositories.GetContents(ctx, x.org, repo, "dir/file name.txt", nil)
	x.must(err)
	text, err := file.GetContent()
	x.must(err)
	x.same("content", text, "two")
	raw, body := x.do(x.owner, "GET", "/repos/"+x.org+"/"+repo+"/contents/dir/file%20name.txt", nil, "Accept", "application/vnd.github.raw+json")
	x.same("raw", string(body), "two")
	x.same("raw", raw.StatusCode, 200)
	_, list, _, err := c.Repositories.GetContents(ctx, x.org, repo, "dir", nil)
	x.must(err)
	x.same("directory", names(list, (*github.RepositoryContent).GetPath), "[dir/file name.txt]")
	_, _, err = c.Repositories.DeleteFile(ctx, x.org, repo, "dir/file name.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("Remove"), SHA: changed.GetContent().SHA})
	x.must(err)
	_, _, _, err = c.Repositories.GetContents(ctx, x.org, repo, "dir/file name.txt", nil)
	x.refused(err, 404, "Not Found")
	for _, path := range []string{"../outside", ".git/config", "a/../../b", "a//b"} {
		resp, body := x.do(x.owner, "PUT", "/repos/"+x.org+"/"+repo+"/contents/"+strings.ReplaceAll(path, "..", "%2e%2e"), map[string]any{"message": "m", "content": "eA=="})
		if resp.StatusCode < 400 {
			t.Errorf("writing %s: %d %s", path, resp.StatusCode, body)
		}
	}
}

func TestObjectsAndRefsAreWritten(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	main, _, err := c.Git.GetRef(ctx, x.org, repo, "heads/main")
	x.must(err)
	blob, _, err := c.Git.CreateBlob(ctx, x.org, repo, github.Blob{Content: github.Ptr("aGVsbG8="), Encoding: github.Ptr("base64")})
	x.must(err)
	tree, _, err := c.Git.CreateTree(ctx, x.org, repo, main.Object.GetSHA(), []*github.TreeEntry{
		{Path: github.Ptr("a/hello"), Mode: github.Ptr("100755"), Type: github.Ptr("blob"), SHA: blob.SHA},
		{Path: github.Ptr("inline"), Mode: github.Ptr("100644"), Type: github.Ptr("blob"), Content: github.Ptr("inline")},
		{Path: github.Ptr("README.md"), Mode: github.Ptr("100644"), Type: github.Ptr("blob")}, // removed
	})
	x.must(err)
	commit, _, err := c.Git.CreateCommit(ctx, x.org, repo, github.Commit{Message: github.Ptr("Made by hand"), Tree: tree, Parents: []*github.Commit{{SHA: main.Object.SHA}}}, nil)
	x.must(err)
	_, _, err = c.Git.CreateRef(ctx, x.org, repo, github.CreateRef{Ref: "refs/heads/made", SHA: commit.GetSHA()})
	x.must(err)
	_, _, err = c.Git.CreateRef(ctx, x.org, repo, github.CreateRef{Ref: "refs/heads/made", SHA: commit.GetSHA()})
	x.refused(err, 422, "Reference already exists")
	_, _, err = c.Git.UpdateRef(ctx, x.org, repo, "heads/made", github.UpdateRef{SHA: main.Object.GetSHA()})
	x.refused(err, 422, "Update is not a fast forward")
	_, _, err = c.Git.UpdateRef(ctx, x.org, repo, "heads/absent", github.UpdateRef{SHA: main.Object.GetSHA()})
	x.refused(err, 422, "Reference does not exist")
	seen, _, err := c.Git.GetTree(ctx, x.org, repo, "made", true)
	x.must(err)
	x.same("tree", names(seen.Entries, (*github.TreeEntry).GetPath), "[a a/hello inline]")
	tag, _, err := c.Git.CreateTag(ctx, x.org, repo, github.CreateTag{Tag: "v1", Message: "first", Object: commit.GetSHA(), Type: "commit"})
	x.must(err)
	_, _, err = c.Git.CreateRef(ctx, x.org, repo, github.CreateRef{Ref: "refs/tags/v1", SHA: tag.GetSHA()})
	x.must(err)
	tags, _, err := c.Repositories.ListTags(ctx, x.org, repo, nil)
	x.must(err)
	x.same("tags", names(tags, (*github.RepositoryTag).GetName), "[v1]")
	x.same("what the tag names", tags[0].GetCommit().GetSHA(), commit.GetSHA())
	_, err = c.Git.DeleteRef(ctx, x.org, repo, "heads/made")
	x.must(err)
	_, err = c.Git.DeleteRef(ctx, x.org, repo, "heads/made")
	x.refused(err, 422, "Reference does not exist")
}

func TestRenamedRepositoriesRedirect(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	for range 3 {
		_, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("i")})
		x.must(err)
	}
	renamed := repo + "-renamed"
	got, _, err := c.Repositories.Edit(ctx, x.org, repo, &github.Repository{Name: &renamed})
	x.must(err)
	if x.forge == nil {
		t.Cleanup(func() { _, _ = x.as(x.owner).Repositories.Delete(t.Context(), x.org, renamed) })
	}
	x.same("name", got.GetName(), renamed)
	resp, _ := x.do(x.owner, "GET", "/repos/"+x.org+"/"+repo+"/issues?per_page=2", nil)
	x.same("old name", resp.StatusCode, http.StatusMovedPermanently)
	resp, _ = x.do(x.owner, "GET", resp.Header.Get("Location"), nil)
	x.same("followed", resp.StatusCode, 200)
	if link := resp.Header.Get("Link"); !strings.Contains(link, "page=2") || !strings.Contains(link, "/repositories/") {
		t.Errorf("the next page is at %s", link)
	}
	resp, _ = x.do(x.owner, "POST", "/repos/"+x.org+"/"+repo+"/issues", `{"title":"t"}`)
	x.same("old name for writing", resp.StatusCode, http.StatusTemporaryRedirect)
	resp, _ = x.do(person{}, "GET", "/repos/"+x.org+"/never-existed", nil)
	x.same("no name at all", resp.StatusCode, 404)
}

func TestArchivedRepositoriesAreReadOnly(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	_, _, err := c.Repositories.Edit(ctx, x.org, repo, &github.Repository{Archived: github.Ptr(true)})
	x.must(err)
	_, _, err = c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("i")})
	x.refused(err, 403, "Repository was archived so is read-only.")
	got, _, err := c.Repositories.Edit(ctx, x.org, repo, &github.Repository{Archived: github.Ptr(false)})
	x.must(err)
	x.same("archived", got.GetArchived(), false)
}

func TestSettingsOfRepositoriesAreKept(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	got, _, err := c.Repositories.Edit(ctx, x.org, repo, &github.Repository{HasWiki: github.Ptr(false), HasIssues: github.Ptr(false), Homepage: github.Ptr("https://example.com"), SquashMergeCommitTitle: github.Ptr("PR_TITLE"), SquashMergeCommitMessage: github.Ptr("PR_BODY")})
	x.must(err)
	x.same("settings", []any{got.GetHasWiki(), got.GetHasIssues(), got.GetHomepage(), got.GetSquashMergeCommitTitle()}, "[false false https://example.com PR_TITLE]")
	_, _, err = c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("i")})
	x.refused(err, 410, "")
	topics, _, err := c.Repositories.ReplaceAllTopics(ctx, x.org, repo, []string{"ci", "go"})
	x.must(err)
	x.same("topics", topics, "[ci go]")
	_, _, err = c.Repositories.Create(ctx, x.org, &github.Repository{Name: &repo})
	x.refused(err, 422, "name already exists on this account")
	_, err = c.Repositories.Delete(ctx, x.org, repo)
	x.must(err)
	_, _, err = c.Repositories.Get(ctx, x.org, repo)
	x.refused(err, 404, "Not Found")
}

func TestForksAppearLater(t *testing.T) {
	x := newTarget(t)
	x.needOther()
	repo, ctx, c := x.repo(), t.Context(), x.as(x.other)
	fork, _, err := c.Repositories.CreateFork(ctx, x.org, repo, nil)
	if _, accepted := err.(*github.AcceptedError); !accepted {
		t.Fatalf("got %v, want 202", err)
	}
	if x.forge == nil {
		t.Cleanup(func() { _, _ = c.Repositories.Delete(t.Context(), x.other.login, repo) })
	}
	x.same("parent", fork.GetParent().GetFullName(), x.org+"/"+repo)
	x.eventually("the fork", func() bool {
		got, _, err := c.Repositories.Get(ctx, x.other.login, repo)
		return err == nil && got.GetFork()
	})
	x.eventually("its content", func() bool {
		_, _, _, err := c.Repositories.GetContents(ctx, x.other.login, repo, "README.md", nil)
		return err == nil
	})
	again, _, err := c.Repositories.CreateFork(ctx, x.org, repo, nil)
	if _, accepted := err.(*github.AcceptedError); !accepted || again.GetID() != fork.GetID() {
		t.Errorf("a second fork: %v %v", again, err)
	}
}
