package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

// protect sets the protection of main.
func (x *target) protect(repo string, p *github.ProtectionRequest) {
	x.t.Helper()
	_, _, err := x.as(x.owner).Repositories.UpdateBranchProtection(x.t.Context(), x.org, repo, "main", p)
	x.must(err)
}

func TestProtectionRefusesMergesUntilItsRulesAreMet(t *testing.T) {
	x := newTarget(t)
	x.localOnly("a member who reviews")
	repo, ctx, c, m := x.repo(), t.Context(), x.as(x.owner), x.as(x.member)
	_, _, err := c.Repositories.GetBranchProtection(ctx, x.org, repo, "main")
	if err != github.ErrBranchNotProtected {
		t.Errorf("got %v, want that the branch is not protected", err)
	}
	_, _, err = c.Repositories.AddCollaborator(ctx, x.org, repo, x.member.login, &github.RepositoryAddCollaboratorOptions{Permission: "push"})
	x.must(err)
	pr := x.pull(repo, "topic")
	n := pr.GetNumber()
	x.protect(repo, &github.ProtectionRequest{
		EnforceAdmins:              true,
		RequiredStatusChecks:       &github.RequiredStatusChecks{Strict: true, Contexts: &[]string{"unit"}},
		RequiredPullRequestReviews: &github.PullRequestReviewsEnforcementRequest{RequiredApprovingReviewCount: 1, DismissStaleReviews: true},
	})
	merge := func() error {
		_, _, err := c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
		return err
	}
	x.refused(merge(), 405, "At least 1 approving review is required by reviewers with write access.")
	x.same("state", x.settled(repo, n).GetMergeableState(), "blocked")
	approve := func() {
		_, _, err := m.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
		x.must(err)
	}
	approve()
	x.refused(merge(), 405, `Required status check "unit" is expected.`)
	// News take the weight from the approval.
	head := x.file(x.owner, repo, "topic", "more.txt", "more\n")
	_, _, err = c.Repositories.CreateStatus(ctx, x.org, repo, head, &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr("unit")})
	x.must(err)
	x.refused(merge(), 405, "approving review")
	approve()
	// Nobody pushes past the rules.
	_, _, err = c.Repositories.CreateFile(ctx, x.org, repo, "direct.txt", &github.RepositoryContentFileOptions{Message: github.Ptr("m"), Content: []byte("x"), Branch: github.Ptr("main")})
	if err == nil {
		t.Error("a file was written to the protected branch")
	}
	_, err = c.Git.DeleteRef(ctx, x.org, repo, "heads/main")
	x.refused(err, 422, "Cannot delete this branch")
	x.must(merge())
}

func TestStrictChecksWantTheTipOfTheBase(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	pr := x.pull(repo, "topic")
	x.file(x.owner, repo, "main", "news.txt", "news\n")
	_, _, err := c.Repositories.CreateStatus(ctx, x.org, repo, pr.GetHead().GetSHA(), &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr("unit")})
	x.must(err)
	x.protect(repo, &github.ProtectionRequest{EnforceAdmins: true, RequiredStatusChecks: &github.RequiredStatusChecks{Strict: true, Contexts: &[]string{"unit"}}})
	x.settled(repo, pr.GetNumber())
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, pr.GetNumber(), "", nil)
	x.refused(err, 405, "")
	x.same("state", x.settled(repo, pr.GetNumber()).GetMergeableState(), "behind")
}

func TestPushesToProtectedBranchesAreDeclined(t *testing.T) {
	x := newTarget(t)
	repo := x.repo()
	dir := x.clone(x.owner, repo)
	x.protect(repo, &github.ProtectionRequest{EnforceAdmins: true, RequireLinearHistory: github.Ptr(true)})
	push := func(args ...string) string {
		out, err := x.git(x.owner, dir, append([]string{"push", "origin"}, args...)...)
		if err == nil {
			return "accepted"
		}
		return out
	}
	x.commit(dir, "a.txt", "a\n")
	x.same("a fast-forward", push("HEAD:main"), "accepted")
	run := func(args ...string) {
		if out, err := x.git(x.owner, dir, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	run("commit", "--quiet", "--amend", "-m", "rewritten")
	if out := push("--force", "HEAD:main"); !strings.Contains(out, "GH006") || !strings.Contains(out, "force-push") || !strings.Contains(out, "remote rejected") {
		t.Errorf("a force push: %s", out)
	}
	if out := push(":main"); !strings.Contains(out, "remote rejected") {
		t.Errorf("a deletion: %s", out)
	}
	run("fetch", "--quiet", "origin")
	run("reset", "--hard", "--quiet", "origin/main")
	run("checkout", "--quiet", "-b", "side")
	x.commit(dir, "b.txt", "b\n")
	run("checkout", "--quiet", "-")
	run("merge", "--quiet", "--no-ff", "-m", "merge", "side")
	if out := push("HEAD:main"); !strings.Contains(out, "merge commits") {
		t.Errorf("a merge commit: %s", out)
	}
	x.same("other branches", push("HEAD:elsewhere"), "accepted")
	x.same("no rule any more", func() string {
		_, err := x.as(x.owner).Repositories.RemoveBranchProtection(t.Context(), x.org, repo, "main")
		x.must(err)
		return push("--force", "HEAD:main")
	}(), "accepted")
}

func TestRestrictionsLetOnlyTheNamedPush(t *testing.T) {
	x := newTarget(t)
	x.localOnly("a member who pushes")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	_, _, err := c.Repositories.AddCollaborator(ctx, x.org, repo, x.member.login, &github.RepositoryAddCollaboratorOptions{Permission: "push"})
	x.must(err)
	x.protect(repo, &github.ProtectionRequest{Restrictions: &github.BranchRestrictionsRequest{Users: []string{}, Teams: []string{}, Apps: []string{}}})
	n := x.pull(repo, "topic").GetNumber()
	_, _, err = x.as(x.member).PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.refused(err, 405, "You're not authorized to push to this branch")
	users, _, err := c.Repositories.AddUserRestrictions(ctx, x.org, repo, "main", []string{x.member.login})
	x.must(err)
	x.same("named", names(users, (*github.User).GetLogin), "["+x.member.login+"]")
	_, _, err = x.as(x.member).PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.must(err)
}

func TestProtectionHasParts(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	resp, body := x.do(x.owner, "PUT", "/repos/"+x.org+"/"+repo+"/branches/main/protection", `{"enforce_admins":null}`)
	if resp.StatusCode != 422 || !strings.Contains(string(body), "weren't supplied") {
		t.Errorf("missing keys: %d %s", resp.StatusCode, body)
	}
	x.protect(repo, &github.ProtectionRequest{RequiredStatusChecks: &github.RequiredStatusChecks{Contexts: &[]string{"a"}}})
	_, _, err := c.Repositories.AddAdminEnforcement(ctx, x.org, repo, "main")
	x.must(err)
	_, _, err = c.Repositories.RequireSignaturesOnProtectedBranch(ctx, x.org, repo, "main")
	x.must(err)
	contexts, _, err := c.Repositories.ListRequiredStatusChecksContexts(ctx, x.org, repo, "main")
	x.must(err)
	x.same("contexts", contexts, "[a]")
	_, _, err = c.Repositories.UpdateRequiredStatusChecks(ctx, x.org, repo, "main", &github.RequiredStatusChecksRequest{Strict: github.Ptr(true), Checks: []*github.RequiredStatusCheck{{Context: "b"}}})
	x.must(err)
	p, _, err := c.Repositories.GetBranchProtection(ctx, x.org, repo, "main")
	x.must(err)
	x.same("protection", []any{p.GetEnforceAdmins().Enabled, p.GetRequiredSignatures().GetEnabled(), p.GetRequiredStatusChecks().Strict, (*p.GetRequiredStatusChecks().Checks)[0].Context}, "[true true true b]")
	_, err = c.Repositories.OptionalSignaturesOnProtectedBranch(ctx, x.org, repo, "main")
	x.must(err)
	_, err = c.Repositories.RemoveRequiredStatusChecks(ctx, x.org, repo, "main")
	x.must(err)
	_, _, err = c.Repositories.UpdateBranchProtection(ctx, x.org, repo, "no-such-branch", &github.ProtectionRequest{})
	x.refused(err, 404, "Branch not found")
}

func TestRulesetsCoverBranchesByPattern(t *testing.T) {
	x := newTarget(t)
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	set, _, err := c.Repositories.CreateRuleset(ctx, x.org, repo, github.RepositoryRuleset{
		Name: "releases", Target: github.Ptr(github.RulesetTargetBranch), Enforcement: github.RulesetEnforcementActive,
		Conditions: &github.RepositoryRulesetConditions{RefName: &github.RepositoryRulesetRefConditionParameters{Include: []string{"refs/heads/release-*", "~DEFAULT_BRANCH"}, Exclude: []string{}}},
		Rules:      &github.RepositoryRulesetRules{Deletion: &github.EmptyRuleParameters{}, NonFastForward: &github.EmptyRuleParameters{}, RequiredStatusChecks: &github.RequiredStatusChecksRuleParameters{RequiredStatusChecks: []*github.RuleStatusCheck{{Context: "unit"}}}},
	})
	x.must(err)
	rules, _, err := c.Repositories.GetRulesForBranch(ctx, x.org, repo, "release-1", nil)
	x.must(err)
	x.same("rules of release-1", []int{len(rules.Deletion), len(rules.RequiredStatusChecks)}, "[1 1]")
	rules, _, err = c.Repositories.GetRulesForBranch(ctx, x.org, repo, "topic", nil)
	x.must(err)
	x.same("rules of topic", len(rules.Deletion), 0)
	n := x.pull(repo, "topic").GetNumber()
	x.settled(repo, n)
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.refused(err, 405, "unit")
	all, _, err := c.Repositories.GetAllRulesets(ctx, x.org, repo, nil)
	x.must(err)
	x.same("rulesets", []any{len(all), all[0].Name}, "[1 releases]")
	_, _, err = c.Repositories.UpdateRuleset(ctx, x.org, repo, set.GetID(), github.RepositoryRuleset{Name: "releases", Enforcement: github.RulesetEnforcementDisabled})
	x.must(err)
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.must(err)
	_, err = c.Repositories.DeleteRuleset(ctx, x.org, repo, set.GetID())
	x.must(err)
}

func TestCodeOwnersOfTheBaseBranchMustApprove(t *testing.T) {
	x := newTarget(t)
	x.localOnly("a member who reviews")
	repo, ctx, c, m := x.repo(), t.Context(), x.as(x.owner), x.as(x.member)
	_, _, err := c.Repositories.AddCollaborator(ctx, x.org, repo, x.member.login, &github.RepositoryAddCollaboratorOptions{Permission: "push"})
	x.must(err)
	x.file(x.owner, repo, "main", ".github/CODEOWNERS", "* @"+x.owner.login+"\n*.txt @"+x.member.login+"\n")
	n := x.pull(repo, "topic").GetNumber()
	x.protect(repo, &github.ProtectionRequest{
		EnforceAdmins:              true,
		RequiredPullRequestReviews: &github.PullRequestReviewsEnforcementRequest{RequireCodeOwnerReviews: true, RequiredApprovingReviewCount: 1},
	})
	stands := func(want string) {
		t.Helper()
		x.settled(repo, n)
		var a struct {
			Repository struct {
				PullRequest struct{ MergeStateStatus, ReviewDecision string }
			}
		}
		if errs := x.graph(x.owner, `query($o:String!,$r:String!,$n:Int!){repository(owner:$o,name:$r){pullRequest(number:$n){mergeStateStatus reviewDecision}}}`, map[string]any{"o": x.org, "r": repo, "n": n}, &a); len(errs) > 0 {
			t.Fatal(errs)
		}
		x.same("pull request", a.Repository.PullRequest, want)
	}
	stands("{BLOCKED REVIEW_REQUIRED}")
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.refused(err, 405, "")
	_, _, err = m.PullRequests.CreateReview(ctx, x.org, repo, n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
	x.must(err)
	stands("{CLEAN APPROVED}")
	_, _, err = c.PullRequests.Merge(ctx, x.org, repo, n, "", nil)
	x.must(err)
}
