package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

// TestPermissions is a table of requests and the status each kind of caller gets.
func TestPermissions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.clone("writer", "acme/app")
	head := c.branch("p", "p.txt", "p\n")
	w.pull("writer", "acme/app", "p", "main", "P")
	cm, _, err := w.as("writer").Issues.CreateComment(ctx, "acme", "app", 1, &github.IssueComment{Body: github.Ptr("mine")})
	if err != nil {
		t.Fatal(err)
	}
	const app, safe = "/api/v3/repos/acme/app", "/api/v3/repos/acme/safe"
	// Columns: nobody, stranger, dev (member, triage by team), writer, boss (owner).
	for _, tc := range []struct {
		method, path, body string
		want               [5]int
	}{
		{"GET", app, "", [5]int{200, 200, 200, 200, 200}},
		{"GET", safe, "", [5]int{404, 404, 200, 404, 200}},
		{"GET", safe + "/issues", "", [5]int{404, 404, 200, 404, 200}},
		{"POST", safe + "/issues", `{"title":"x"}`, [5]int{404, 404, 201, 404, 201}},
		{"POST", app + "/issues", `{"title":"x"}`, [5]int{401, 201, 201, 201, 201}},
		{"POST", app + "/issues/1/comments", `{"body":"x"}`, [5]int{401, 201, 201, 201, 201}},
		{"PATCH", fmt.Sprintf("%s/issues/comments/%d", app, cm.GetID()), `{"body":"y"}`, [5]int{401, 403, 403, 200, 200}},
		{"POST", app + "/issues/1/labels", `["bug"]`, [5]int{401, 403, 200, 200, 200}},
		{"PATCH", app + "/issues/1", `{"title":"new"}`, [5]int{401, 403, 403, 200, 200}},
		{"PATCH", app + "/pulls/1", `{"state":"open"}`, [5]int{401, 200, 200, 200, 200}},
		{"PATCH", app + "/issues/1", `{"labels":["a"]}`, [5]int{401, 403, 200, 200, 200}},
		{"POST", app + "/statuses/" + head, `{"state":"success"}`, [5]int{401, 403, 403, 201, 201}},
		{"POST", app + "/labels", `{"name":"n"}`, [5]int{401, 403, 403, 201, 422}},
		{"POST", app + "/check-runs", `{"name":"n","head_sha":"` + head + `"}`, [5]int{401, 403, 403, 201, 201}},
		{"PATCH", app + "/git/refs/heads/p", `{"sha":"` + head + `"}`, [5]int{401, 403, 403, 200, 200}},
		{"PUT", app + "/pulls/1/merge", `{"sha":"` + strings.Repeat("0", 40) + `"}`, [5]int{401, 403, 403, 409, 409}},
		{"GET", app + "/hooks", "", [5]int{401, 403, 403, 403, 200}},
		{"GET", "/api/v3/orgs/acme/hooks", "", [5]int{401, 403, 403, 403, 200}},
		{"PUT", app + "/collaborators/dev", `{"permission":"pull"}`, [5]int{401, 403, 403, 403, 204}},
		{"GET", app + "/branches/main/protection", "", [5]int{401, 403, 403, 403, 404}},
		{"PATCH", app, `{"description":"d"}`, [5]int{401, 403, 403, 403, 200}},
		{"GET", "/api/v3/orgs/acme/teams", "", [5]int{401, 404, 200, 404, 200}},
		{"PUT", "/api/v3/orgs/acme/memberships/stranger", "", [5]int{401, 403, 403, 403, 200}},
		{"GET", "/api/v3/user", "", [5]int{401, 200, 200, 200, 200}},
		{"GET", app + "/nonsense", "", [5]int{404, 404, 404, 404, 404}},
		{"DELETE", app + "/pulls", "", [5]int{404, 404, 404, 404, 404}},
	} {
		for i, who := range []string{"", "stranger", "dev", "writer", "boss"} {
			var body any
			if tc.body != "" {
				body = tc.body
			}
			resp, out := w.raw(who, tc.method, tc.path, body)
			if resp.StatusCode != tc.want[i] {
				t.Errorf("%s %s as %q: %d, want %d: %.200s", tc.method, tc.path, who, resp.StatusCode, tc.want[i], out)
			}
			if resp.StatusCode >= 400 {
				var e struct {
					Message string `json:"message"`
					Docs    string `json:"documentation_url"`
				}
				if json.Unmarshal(out, &e) != nil || e.Message == "" || e.Docs == "" {
					t.Errorf("%s %s as %q: error shape %s", tc.method, tc.path, who, out)
				}
			}
		}
	}
	resp, _ := w.raw("", "GET", app, nil, "Authorization", "token wrong-token")
	if resp.StatusCode != 401 {
		t.Errorf("a wrong token got %d", resp.StatusCode)
	}
}

func TestCachingAndPages(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.RateLimit = 100 })
	ctx := t.Context()
	for i := range 7 {
		if _, _, err := w.as("dev").Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	var all []int
	opts := &github.IssueListByRepoOptions{Sort: "created", Direction: "asc", ListOptions: github.ListOptions{PerPage: 3}}
	for {
		page, resp, err := w.as("boss").Issues.ListByRepo(ctx, "acme", "app", opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page {
			all = append(all, i.GetNumber())
		}
		if resp.LastPage != 0 && resp.LastPage != 3 {
			t.Errorf("last page %d", resp.LastPage)
		}
		if resp.NextPage == 0 {
			break
		}
		opts.ListOptions.Page = resp.NextPage
	}
	if fmt.Sprint(all) != "[1 2 3 4 5 6 7]" {
		t.Errorf("pages: %v", all)
	}
	first, _ := w.raw("writer", "GET", "/api/v3/repos/acme/app/labels?per_page=2", nil)
	link := first.Header.Get("Link")
	if !strings.Contains(link, "http://"+w.addr+"/api/v3/repos/acme/app/labels?page=2&per_page=2>; rel=\"next\"") {
		t.Errorf("link: %s", link)
	}
	etag := first.Header.Get("ETag")
	again, body := w.raw("writer", "GET", "/api/v3/repos/acme/app/labels?per_page=2", nil, "If-None-Match", etag)
	if etag == "" || again.StatusCode != 304 || len(body) != 0 {
		t.Errorf("conditional request: %d with %d bytes", again.StatusCode, len(body))
	}
	third, _ := w.raw("writer", "GET", "/api/v3/repos/acme/app/labels?per_page=2", nil)
	if a, b := first.Header.Get("X-RateLimit-Remaining"), third.Header.Get("X-RateLimit-Remaining"); a != "99" || b != "98" {
		t.Errorf("remaining %s then %s: the 304 was charged", a, b)
	}
	var last *http.Response
	for range 101 {
		last, _ = w.raw("stranger", "GET", "/api/v3/user", nil)
	}
	if last.StatusCode != 403 || last.Header.Get("X-RateLimit-Remaining") != "0" || last.Header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("beyond the limit: %d %v", last.StatusCode, last.Header)
	}
	_, _, err := w.as("stranger").Users.Get(ctx, "")
	if _, ok := err.(*github.RateLimitError); !ok {
		t.Errorf("go-github sees %T", err)
	}
	if limits, _, err := w.as("stranger").RateLimit.Get(ctx); err != nil || limits.GetCore().Remaining != 0 {
		t.Errorf("rate limit: %v %v", limits, err)
	}
}

func TestGitData(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	gh := w.as("writer")
	c := w.clone("writer", "acme/app")
	base := c.git("rev-parse", "HEAD")
	head := c.commit("a dir/ünï.txt", "text\n", "Add a file\n\nbody")
	c.git("push", "--quiet", "origin", "HEAD:refs/heads/feature/x")

	if ref, _, err := gh.Git.GetRef(ctx, "acme", "app", "heads/feature/x"); err != nil || ref.GetObject().GetSHA() != head {
		t.Errorf("ref: %v %v", ref, err)
	}
	for path, want := range map[string]string{
		"/git/refs/heads/feature/x": `"ref":"refs/heads/feature/x"`,
		"/git/refs/heads/feat":      `[{`,
		"/git/refs/heads/main":      `"sha":"` + base + `"`,
	} {
		if resp, body := w.raw("writer", "GET", "/api/v3/repos/acme/app"+path, nil); resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if _, _, err := gh.Git.CreateRef(ctx, "acme", "app", github.CreateRef{Ref: "refs/heads/made", SHA: base}); err != nil {
		t.Error(err)
	}
	_, _, err := gh.Git.CreateRef(ctx, "acme", "app", github.CreateRef{Ref: "refs/heads/made", SHA: base})
	wantErr(t, err, 422, "Reference already exists")
	if _, _, err := gh.Git.UpdateRef(ctx, "acme", "app", "heads/made", github.UpdateRef{SHA: head}); err != nil {
		t.Error(err)
	}
	_, _, err = gh.Git.UpdateRef(ctx, "acme", "app", "heads/made", github.UpdateRef{SHA: base})
	wantErr(t, err, 422, "fast forward")
	if _, err := gh.Git.DeleteRef(ctx, "acme", "app", "heads/made"); err != nil {
		t.Error(err)
	}
	for _, ref := range []string{"refs/pull/1/head", "refs/heads/-x", "refs/heads/a..b", "refs/heads/x.lock", "refs/heads/../../config", "HEAD", "refs/heads/a b", "refs/heads/\n"} {
		_, _, err := gh.Git.CreateRef(ctx, "acme", "app", github.CreateRef{Ref: ref, SHA: base})
		wantErr(t, err, 422, "")
	}

	file, _, _, err := gh.Repositories.GetContents(ctx, "acme", "app", "a dir/ünï.txt", &github.RepositoryContentGetOptions{Ref: "feature/x"})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := file.GetContent(); err != nil || text != "text\n" {
		t.Errorf("content %q %v", text, err)
	}
	_, dir, _, err := gh.Repositories.GetContents(ctx, "acme", "app", "", &github.RepositoryContentGetOptions{Ref: head})
	if err != nil || len(dir) != 2 || dir[0].GetType() != "file" || dir[1].GetType() != "dir" {
		t.Errorf("directory: %v %v", dir, err)
	}
	_, _, _, err = gh.Repositories.GetContents(ctx, "acme", "app", "nope", nil)
	wantErr(t, err, 404, "")
	_, _, _, err = gh.Repositories.GetContents(ctx, "acme", "app", "x", &github.RepositoryContentGetOptions{Ref: "--upload-pack=x"})
	wantErr(t, err, 404, "")
	if resp, body := w.raw("", "GET", "/api/v3/repos/acme/app/contents/README.md", nil, "Accept", "application/vnd.github.v3.raw"); resp.StatusCode != 200 || string(body) != "# app\n\nAn app\n" {
		t.Errorf("raw content: %d %q", resp.StatusCode, body)
	}
	tree, _, err := gh.Git.GetTree(ctx, "acme", "app", head, true)
	if err != nil || len(tree.Entries) != 3 || tree.Entries[2].GetPath() != "a dir/ünï.txt" {
		t.Errorf("tree: %v %v", tree, err)
	}
	if blob, _, err := gh.Git.GetBlobRaw(ctx, "acme", "app", tree.Entries[2].GetSHA()); err != nil || string(blob) != "text\n" {
		t.Errorf("blob: %q %v", blob, err)
	}
	commit, _, err := gh.Repositories.GetCommit(ctx, "acme", "app", "feature/x", nil)
	if err != nil || commit.GetSHA() != head || commit.GetCommit().GetMessage() != "Add a file\n\nbody" || commit.GetAuthor().GetLogin() != "dev" ||
		len(commit.Files) != 1 || commit.Files[0].GetStatus() != "added" || !strings.Contains(commit.Files[0].GetPatch(), "+text") || commit.GetStats().GetTotal() != 1 {
		t.Errorf("commit: %v %v", commit, err)
	}
	if sha, _, err := gh.Repositories.GetCommitSHA1(ctx, "acme", "app", "feature/x", ""); err != nil || sha != head {
		t.Errorf("sha: %s %v", sha, err)
	}
	_, _, err = gh.Repositories.GetCommit(ctx, "acme", "app", strings.Repeat("1", 40), nil)
	wantErr(t, err, 422, "No commit found for SHA: ")
	cmp, _, err := gh.Repositories.CompareCommits(ctx, "acme", "app", "main", "feature/x", nil)
	if err != nil || cmp.GetStatus() != "ahead" || cmp.GetAheadBy() != 1 || cmp.GetMergeBaseCommit().GetSHA() != base {
		t.Errorf("compare: %v %v", cmp, err)
	}
	commits, _, err := gh.Repositories.ListCommits(ctx, "acme", "app", &github.CommitsListOptions{SHA: "feature/x", Path: "a dir/ünï.txt"})
	if err != nil || len(commits) != 1 || commits[0].GetSHA() != head {
		t.Errorf("commits of a file: %v %v", commits, err)
	}
	branches, _, err := gh.Repositories.ListBranches(ctx, "acme", "app", nil)
	if err != nil || len(branches) != 2 || branches[0].GetName() != "feature/x" {
		t.Errorf("branches: %v %v", branches, err)
	}
	if b, _, err := gh.Repositories.GetBranch(ctx, "acme", "app", "feature/x", 0); err != nil || b.GetCommit().GetSHA() != head {
		t.Errorf("branch: %v %v", b, err)
	}
	merged, _, err := gh.Repositories.Merge(ctx, "acme", "app", &github.RepositoryMergeRequest{Base: github.Ptr("main"), Head: github.Ptr("feature/x")})
	if err != nil || len(merged.Parents) != 2 {
		t.Errorf("merge of branches: %v %v", merged, err)
	}
}

func TestPullRequestDetails(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	gh := w.as("writer")
	c := w.clone("writer", "acme/app")
	c.commit("keep.txt", strings.Repeat("line\n", 20), "base")
	c.commit("bin", "\x00\x01", "binary")
	c.git("push", "--quiet", "origin", "HEAD:main")
	c.git("checkout", "--quiet", "-b", "d")
	c.git("mv", "keep.txt", "moved.txt")
	c.commit("bin", "\x00\x02", "change everything")
	c.git("rm", "--quiet", "README.md")
	head := c.commit("diff --git a b", "diff --git x y\n@@ -1 +1 @@\n", "tricky names")
	c.git("push", "--quiet", "origin", "d")
	n := w.pull("writer", "acme/app", "d", "main", "Details").GetNumber()
	files, _, err := gh.PullRequests.ListFiles(ctx, "acme", "app", n, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s %s +%d-%d patch:%t from:%s", f.GetStatus(), f.GetFilename(), f.GetAdditions(), f.GetDeletions(), f.GetPatch() != "", f.GetPreviousFilename()))
	}
	want := "removed README.md +0-3 patch:true from:\nmodified bin +0-0 patch:false from:\nadded diff --git a b +2-0 patch:true from:\nrenamed moved.txt +0-0 patch:false from:keep.txt"
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("files:\n%s\nwant:\n%s", s, want)
	}
	if p := files[2].GetPatch(); p != "@@ -0,0 +1,2 @@\n+diff --git x y\n+@@ -1 +1 @@" {
		t.Errorf("patch %q", p)
	}
	commits, _, err := gh.PullRequests.ListCommits(ctx, "acme", "app", n, nil)
	if err != nil || len(commits) != 2 || commits[1].GetSHA() != head {
		t.Errorf("commits: %v %v", commits, err)
	}
	diff, _, err := gh.PullRequests.GetRaw(ctx, "acme", "app", n, github.RawOptions{Type: github.Diff})
	if err != nil || !strings.HasPrefix(diff, "diff --git a/README.md") {
		t.Errorf("diff: %.60s %v", diff, err)
	}
	if patch, _, err := gh.PullRequests.GetRaw(ctx, "acme", "app", n, github.RawOptions{Type: github.Patch}); err != nil || !strings.HasPrefix(patch, "From ") {
		t.Errorf("patch: %.60s %v", patch, err)
	}
	for opt, count := range map[github.PullRequestListOptions]int{
		{}: 1, {State: "closed"}: 0, {Head: "acme:d"}: 1, {Head: "acme:x"}: 0, {Base: "main"}: 1, {Base: "y"}: 0, {State: "all", Sort: "updated", Direction: "asc"}: 1,
	} {
		if prs, _, err := gh.PullRequests.List(ctx, "acme", "app", &opt); err != nil || len(prs) != count {
			t.Errorf("list %+v: %d %v, want %d", opt, len(prs), err, count)
		}
	}
	// Update the branch from a base that moved on.
	c.git("checkout", "--quiet", "main")
	c.commit("newer.txt", "n\n", "base moves")
	c.git("push", "--quiet", "origin", "main")
	if _, _, err := gh.PullRequests.UpdateBranch(ctx, "acme", "app", n, &github.PullRequestBranchUpdateOptions{ExpectedHeadSHA: &head}); err != nil && !strings.Contains(err.Error(), "scheduled") {
		t.Error(err)
	}
	pr, _, err := gh.PullRequests.Get(ctx, "acme", "app", n)
	if err != nil || pr.GetHead().GetSHA() == head {
		t.Errorf("the head did not move: %v", err)
	}
	_, _, err = gh.PullRequests.UpdateBranch(ctx, "acme", "app", n, &github.PullRequestBranchUpdateOptions{ExpectedHeadSHA: &head})
	wantErr(t, err, 422, "expected head sha")
	// Reviews decide, and only those of people with write permission.
	if _, _, err := w.as("stranger").PullRequests.CreateReview(ctx, "acme", "app", n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")}); err != nil {
		t.Error(err)
	}
	decision := func() string {
		var a struct {
			Repository struct {
				PullRequest struct{ ReviewDecision string }
			}
		}
		if errs := w.ask("dev", fmt.Sprintf(`{repository(owner:"acme",name:"app"){pullRequest(number:%d){reviewDecision}}}`, n), nil, &a); len(errs) > 0 {
			t.Fatal(errs)
		}
		return a.Repository.PullRequest.ReviewDecision
	}
	if d := decision(); d != "" {
		t.Errorf("a stranger's review decides: %s", d)
	}
	for _, step := range []struct{ event, want string }{{"APPROVE", "APPROVED"}, {"COMMENT", "APPROVED"}, {"REQUEST_CHANGES", "CHANGES_REQUESTED"}} {
		if _, _, err := w.as("boss").PullRequests.CreateReview(ctx, "acme", "app", n, &github.PullRequestReviewRequest{Event: &step.event, Body: github.Ptr("x")}); err != nil {
			t.Error(err)
		}
		if d := decision(); d != step.want {
			t.Errorf("after %s: %s, want %s", step.event, d, step.want)
		}
	}
	_, _, err = gh.PullRequests.CreateReview(ctx, "acme", "app", n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
	wantErr(t, err, 422, "own pull request")
	_, _, err = gh.PullRequests.RequestReviewers(ctx, "acme", "app", n, github.ReviewersRequest{Reviewers: []string{"stranger"}})
	wantErr(t, err, 422, "not a collaborator")
}

func TestBranchProtection(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	boss, writer := w.as("boss"), w.as("writer")
	_, _, err := boss.Repositories.GetBranchProtection(ctx, "acme", "app", "main")
	if err != github.ErrBranchNotProtected {
		t.Errorf("unprotected: %v", err)
	}
	_, _, err = boss.Repositories.UpdateBranchProtection(ctx, "acme", "app", "main", &github.ProtectionRequest{
		EnforceAdmins: true, RequiredStatusChecks: &github.RequiredStatusChecks{Contexts: &[]string{"unit"}},
		RequiredPullRequestReviews: &github.PullRequestReviewsEnforcementRequest{RequiredApprovingReviewCount: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := w.clone("writer", "acme/app")
	head := c.branch("b", "b.txt", "b\n")
	n := w.pull("writer", "acme/app", "b", "main", "B").GetNumber()
	state := func() string {
		pr, _, err := writer.PullRequests.Get(ctx, "acme", "app", n)
		if err != nil {
			t.Fatal(err)
		}
		return pr.GetMergeableState()
	}
	_, _, err = writer.PullRequests.Merge(ctx, "acme", "app", n, "", nil)
	wantErr(t, err, 405, "At least 1 approving review")
	if s := state(); s != "blocked" {
		t.Errorf("state %s, want blocked", s)
	}
	if _, _, err := boss.PullRequests.CreateReview(ctx, "acme", "app", n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")}); err != nil {
		t.Fatal(err)
	}
	_, _, err = writer.PullRequests.Merge(ctx, "acme", "app", n, "", nil)
	wantErr(t, err, 405, `Required status check "unit" is expected.`)
	if _, _, err := boss.Repositories.CreateStatus(ctx, "acme", "app", head, &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr("unit")}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s != "clean" {
		t.Errorf("state %s, want clean", s)
	}
	if _, _, err = writer.PullRequests.Merge(ctx, "acme", "app", n, "", nil); err != nil {
		t.Error(err)
	}
	if br, _, err := boss.Repositories.ListBranches(ctx, "acme", "app", &github.BranchListOptions{Protected: github.Ptr(true)}); err != nil || len(br) != 1 || !br[0].GetProtected() {
		t.Errorf("protected branches: %v %v", br, err)
	}
	if _, err := boss.Repositories.RemoveBranchProtection(ctx, "acme", "app", "main"); err != nil {
		t.Error(err)
	}
}

func TestPeopleTeamsAndLabels(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	robot := w.as("robot")
	for who, want := range map[string]bool{"dev": true, "writer": false, "stranger": false} {
		if got, _, err := robot.Organizations.IsMember(ctx, "acme", who); err != nil || got != want {
			t.Errorf("%s is a member: %t %v", who, got, err)
		}
	}
	for who, want := range map[string]bool{"dev": true, "writer": true, "stranger": false} {
		if got, _, err := robot.Repositories.IsCollaborator(ctx, "acme", "app", who); err != nil || got != want {
			t.Errorf("%s is a collaborator: %t %v", who, got, err)
		}
	}
	for who, want := range map[string]string{"boss": "admin", "dev": "read", "writer": "write", "stranger": "read"} {
		if got, _, err := robot.Repositories.GetPermissionLevel(ctx, "acme", "app", who); err != nil || got.GetPermission() != want {
			t.Errorf("%s may %s %v, want %s", who, got.GetPermission(), err, want)
		}
	}
	if p, _, err := robot.Repositories.GetPermissionLevel(ctx, "acme", "app", "dev"); err != nil || p.GetRoleName() != "triage" {
		t.Errorf("role of dev: %s %v", p.GetRoleName(), err)
	}
	if all, _, err := robot.Repositories.ListCollaborators(ctx, "acme", "app", nil); err != nil || len(all) != 4 {
		t.Errorf("collaborators: %v %v", all, err)
	}
	if m, _, err := robot.Teams.ListTeamMembersBySlug(ctx, "acme", "core-team", nil); err != nil || len(m) != 2 {
		t.Errorf("team: %v %v", m, err)
	}
	if m, _, err := robot.Teams.ListTeamMembersBySlug(ctx, "acme", "core-team", &github.TeamListTeamMembersOptions{Role: "maintainer"}); err != nil || len(m) != 1 || m[0].GetLogin() != "boss" {
		t.Errorf("maintainers: %v %v", m, err)
	}
	if u, _, err := w.as("dev").Users.Get(ctx, ""); err != nil || u.GetLogin() != "dev" || u.GetName() != "Dev Eloper" {
		t.Errorf("user: %v %v", u, err)
	}
	if u, _, err := robot.Users.Get(ctx, "robot"); err != nil || u.GetType() != "Bot" {
		t.Errorf("bot: %v %v", u, err)
	}

	// Labels with every character that breaks paths.
	i, _, err := robot.Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr("labels")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"area/api server", "50% done?", "c#", "kind/bug+more", "ümlaut"} {
		if _, _, err := robot.Issues.AddLabelsToIssue(ctx, "acme", "app", i.GetNumber(), []string{name}); err != nil {
			t.Fatal(err)
		}
		if _, err := robot.Issues.RemoveLabelForIssue(ctx, "acme", "app", i.GetNumber(), url.PathEscape(name)); err != nil {
			t.Errorf("removing %q: %v", name, err)
		}
		_, err := robot.Issues.RemoveLabelForIssue(ctx, "acme", "app", i.GetNumber(), url.PathEscape(name))
		wantErr(t, err, 404, "Label does not exist")
	}
	if resp, body := w.raw("robot", "DELETE", "/api/v3/repos/acme/app/issues/1/labels/do-not-merge/hold", nil); resp.StatusCode != 404 || !strings.Contains(string(body), `"message":"Label does not exist"`) {
		t.Errorf("unescaped label: %d %s", resp.StatusCode, body)
	}
	if _, _, err := robot.Issues.EditLabel(ctx, "acme", "app", "c%23", &github.Label{Name: github.Ptr("C sharp"), Color: github.Ptr("00FF00")}); err != nil {
		t.Error(err)
	}
	if l, _, err := robot.Issues.GetLabel(ctx, "acme", "app", "c%20sharp"); err != nil || l.GetColor() != "00ff00" {
		t.Errorf("label: %v %v", l, err)
	}
	_, _, err = robot.Issues.CreateLabel(ctx, "acme", "app", &github.Label{Name: github.Ptr("C SHARP")})
	wantErr(t, err, 422, "Validation Failed")

	// Assigning: people without a relation are left out, as on GitHub.
	got, _, err := robot.Issues.AddAssignees(ctx, "acme", "app", i.GetNumber(), []string{"dev", "stranger", "nobody-at-all"})
	if err != nil || len(got.Assignees) != 1 || got.Assignees[0].GetLogin() != "dev" {
		t.Errorf("assignees: %v %v", got.Assignees, err)
	}
	events, _, err := robot.Issues.ListIssueEvents(ctx, "acme", "app", i.GetNumber(), nil)
	if err != nil || events[0].GetEvent() != "labeled" || events[0].GetLabel().GetName() != "area/api server" || events[len(events)-1].GetAssignee().GetLogin() != "dev" {
		t.Errorf("events: %v %v", events, err)
	}
}

func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.branch("x", "x", "x")
	w.pull("writer", "acme/app", "x", "main", "X")
	const app = "/api/v3/repos/acme/app"
	for _, tc := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"a body that is no JSON", "POST", app + "/issues", `{"title":`, 400},
		{"a title of the wrong type", "POST", app + "/issues", `{"title":{}}`, 422},
		{"no title", "POST", app + "/issues", `{}`, 422},
		{"a title that is too long", "POST", app + "/issues", `{"title":"` + strings.Repeat("x", 300) + `"}`, 422},
		{"a comment that is too long", "POST", app + "/issues/1/comments", `{"body":"` + strings.Repeat("x", maxBody+1) + `"}`, 422},
		{"a body beyond the limit", "POST", app + "/issues", `{"title":"` + strings.Repeat("x", maxRequest) + `"}`, 413},
		{"a description that is too long", "POST", app + "/statuses/" + strings.Repeat("0", 40), `{"state":"success","description":"` + strings.Repeat("x", 141) + `"}`, 422},
		{"a status for no commit", "POST", app + "/statuses/HEAD", `{"state":"success"}`, 422},
		{"a number that is none", "GET", app + "/issues/0x1", "", 404},
		{"a huge number", "GET", app + "/issues/99999999999999999999", "", 404},
		{"a negative number", "GET", app + "/pulls/-1", "", 404},
		{"a path that climbs", "GET", app + "/contents/..%2f..%2fetc%2fpasswd", "", 404},
		{"a ref that is an option", "GET", app + "/commits/--output=x", "", 422},
		{"a ref with a reflog", "GET", app + "/commits/main@%7B1%7D", "", 422},
		{"a ref with a path", "GET", app + "/commits/main:README.md", "", 422},
		{"a tree that is an option", "GET", app + "/git/trees/--help", "", 404},
		{"an owner that climbs", "GET", "/api/v3/repos/..%2f/app", "", 404},
		{"a head that is an option", "POST", app + "/pulls", `{"title":"t","head":"--x","base":"main"}`, 422},
		{"a head of a stranger", "POST", app + "/pulls", `{"title":"t","head":"stranger:x","base":"main"}`, 422},
		{"a base that does not exist", "POST", app + "/pulls", `{"title":"t","head":"x","base":"nope"}`, 422},
		{"nothing to merge", "POST", app + "/pulls", `{"title":"t","head":"main","base":"main"}`, 422},
		{"a merge method from the future", "PUT", app + "/pulls/1/merge", `{"merge_method":"octopus"}`, 422},
		{"a hook to a file", "POST", app + "/hooks", `{"config":{"url":"file:///etc/passwd"}}`, 422},
		{"a script as status link", "POST", app + "/statuses/" + strings.Repeat("0", 40), `{"state":"success","target_url":"javascript:alert(1)"}`, 422},
		{"a repository with a bad name", "POST", "/api/v3/orgs/acme/repos", `{"name":"../x"}`, 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var body any
			if tc.body != "" {
				body = tc.body
			}
			if resp, out := w.raw("boss", tc.method, tc.path, body); resp.StatusCode != tc.want {
				t.Errorf("%d, want %d: %.300s", resp.StatusCode, tc.want, out)
			}
		})
	}
	if resp, _ := w.raw("boss", "GET", "/api/v3/user", nil, "Host", "evil.example"); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a foreign host name got %d", resp.StatusCode)
	}
	for _, path := range []string{"/acme/app/info/refs", "/acme/app/info/refs?service=git-upload-archive", "/acme/-app/info/refs?service=git-upload-pack", "/acme/app.git/HEAD", "/acme/app.git/config"} {
		if resp, _ := w.raw("boss", "GET", path, nil); resp.StatusCode < 400 {
			t.Errorf("%s got %d", path, resp.StatusCode)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name                string
		login, repo, branch bool
	}{
		{"plain", true, true, true}, {"-x", false, false, false}, {"a--b", false, true, true}, {"a-b", true, true, true}, {"", false, false, false},
		{"a/b", false, false, true}, {"..", false, false, false}, {"a..b", false, true, false}, {"x.git", false, false, true}, {"api", false, true, true},
		{"a b", false, false, false}, {"x.lock", false, true, false}, {"a\nb", false, false, false}, {"bot[bot]", true, false, false}, {"HEAD", true, true, false},
		{"@{1}", false, false, false}, {"a\\b", false, false, false}, {"ü", false, false, true}, {"under_score", true, true, true}, {".hidden", false, true, false},
	} {
		if got := [3]bool{validLogin(tc.name), validRepoName(tc.name), validBranch(tc.name)}; got != [3]bool{tc.login, tc.repo, tc.branch} {
			t.Errorf("%q: login, repository, branch valid: %v, want %v", tc.name, got, [3]bool{tc.login, tc.repo, tc.branch})
		}
	}
}

func FuzzParseRaw(f *testing.F) {
	f.Add(":100644 100644 a b M\x00x\x001\t2\tx\x00")
	f.Add(":100644 100644 a b R100\x00x\x00y\x000\t0\t\x00x\x00y\x00")
	f.Add(":")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseRaw([]byte(s))
		if err == nil {
			attachPatches(list, []byte(s))
		}
	})
}
