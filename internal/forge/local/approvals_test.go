package local

import (
	"fmt"
	"testing"

	"github.com/google/go-github/v75/github"
)

// approve makes the last opinion of a person an approval.
func (w *world) approve(login string, number int) {
	w.t.Helper()
	_, _, err := w.as(login).PullRequests.CreateReview(w.t.Context(), "acme", "app", number, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")})
	if err != nil {
		w.t.Fatal(err)
	}
}

// stands checks what GraphQL tells of a pull request.
func (w *world) stands(number int, state, decision string) {
	w.t.Helper()
	var a struct {
		Repository struct {
			PullRequest struct{ MergeStateStatus, ReviewDecision string }
		}
	}
	query := fmt.Sprintf(`{repository(owner:"acme",name:"app"){pullRequest(number:%d){mergeStateStatus reviewDecision}}}`, number)
	if errs := w.ask("robot", query, nil, &a); len(errs) > 0 {
		w.t.Fatal(errs)
	}
	if p := a.Repository.PullRequest; p.MergeStateStatus != state || p.ReviewDecision != decision {
		w.t.Errorf("the pull request is %s, %s; want %s, %s", p.MergeStateStatus, p.ReviewDecision, state, decision)
	}
}

func (w *world) merge(login string, number int) error {
	_, _, err := w.as(login).PullRequests.Merge(w.t.Context(), "acme", "app", number, "", nil)
	return err
}

// reviewed is a world in which writer, dev and boss may approve, and main asks for reviews.
func reviewed(t *testing.T, rules github.PullRequestReviewsEnforcementRequest) *world {
	w := newWorld(t)
	_, err := w.as("boss").Teams.AddTeamRepoBySlug(t.Context(), "acme", "core-team", "acme", "app", &github.TeamAddTeamRepoOptions{Permission: "push"})
	if err != nil {
		t.Fatal(err)
	}
	w.protectMain(&github.ProtectionRequest{EnforceAdmins: true, RequiredPullRequestReviews: &rules})
	return w
}

func (w *world) protectMain(p *github.ProtectionRequest) {
	w.t.Helper()
	if _, _, err := w.as("boss").Repositories.UpdateBranchProtection(w.t.Context(), "acme", "app", "main", p); err != nil {
		w.t.Fatal(err)
	}
}

// putOwners pushes a CODEOWNERS file past the rules of the branch.
func putOwners(w *world, place, text string) {
	w.t.Helper()
	w.protectMain(&github.ProtectionRequest{})
	c := w.clone("writer", "acme/app")
	c.commit(place, text, "Name owners")
	c.git("push", "--quiet", "origin", "HEAD:main")
}

func TestCodeOwnersMustApprove(t *testing.T) {
	w := reviewed(t, github.PullRequestReviewsEnforcementRequest{})
	putOwners(w, "docs/CODEOWNERS", "* @boss\n")
	putOwners(w, ".github/CODEOWNERS", "/lib/ @acme/core-team @nobody\n/free.txt\n/lost.txt @stranger @acme/no-team @else/where\n/mail.txt boss@example.com\n")
	w.protectMain(&github.ProtectionRequest{EnforceAdmins: true, RequiredPullRequestReviews: &github.PullRequestReviewsEnforcementRequest{RequireCodeOwnerReviews: true, RequiredApprovingReviewCount: 1}})

	c := w.clone("writer", "acme/app")
	c.branch("lib", "lib/a.go", "package lib\n")
	n := w.pull("writer", "acme/app", "lib", "main", "Lib").GetNumber()
	w.stands(n, "BLOCKED", "REVIEW_REQUIRED")
	w.approve("robot", n)
	w.stands(n, "BLOCKED", "REVIEW_REQUIRED")
	wantErr(t, w.merge("robot", n), 405, "Waiting on code owner review from acme/core-team.")
	w.approve("dev", n)
	w.stands(n, "CLEAN", "APPROVED")
	if err := w.merge("robot", n); err != nil {
		t.Error(err)
	}

	// What nobody owns, or only who may not write, needs no owner.
	for _, file := range []string{"free.txt", "lost.txt", "other.txt"} {
		c = w.clone("writer", "acme/app")
		c.branch(file, file, "x\n")
		n = w.pull("writer", "acme/app", file, "main", file).GetNumber()
		w.approve("robot", n)
		w.stands(n, "CLEAN", "APPROVED")
	}

	// An owner is asked whose file goes away, and the pull request cannot change that.
	c = w.clone("writer", "acme/app")
	c.git("checkout", "--quiet", "-b", "move")
	c.git("mv", "lib/a.go", "a.go")
	c.commit(".github/CODEOWNERS", "* @robot\n", "Move")
	c.git("push", "--quiet", "origin", "move")
	n = w.pull("writer", "acme/app", "move", "main", "Move").GetNumber()
	w.approve("robot", n)
	wantErr(t, w.merge("boss", n), 405, "Waiting on code owner review from acme/core-team.")

	c = w.clone("writer", "acme/app")
	c.branch("mail", "mail.txt", "x\n")
	n = w.pull("writer", "acme/app", "mail", "main", "Mail").GetNumber()
	w.approve("dev", n)
	wantErr(t, w.merge("robot", n), 405, "Waiting on code owner review from boss.")
	var found struct {
		Search struct{ IssueCount int }
	}
	if errs := w.ask("robot", `{search(type:ISSUE,first:1,query:"repo:acme/app is:pr is:open review:required"){issueCount}}`, nil, &found); len(errs) > 0 || found.Search.IssueCount != 2 {
		t.Errorf("%d pull requests want reviews, want 2; %v", found.Search.IssueCount, errs)
	}
}

func TestRulesetsWantCodeOwnersAndDismissStaleReviews(t *testing.T) {
	w := newWorld(t)
	putOwners(w, "CODEOWNERS", "*.go @boss\n")
	_, _, err := w.as("boss").Repositories.CreateRuleset(t.Context(), "acme", "app", github.RepositoryRuleset{
		Name: "reviews", Target: github.Ptr(github.RulesetTargetBranch), Enforcement: github.RulesetEnforcementActive,
		Conditions: &github.RepositoryRulesetConditions{RefName: &github.RepositoryRulesetRefConditionParameters{Include: []string{"~DEFAULT_BRANCH"}, Exclude: []string{}}},
		Rules: &github.RepositoryRulesetRules{PullRequest: &github.PullRequestRuleParameters{
			RequireCodeOwnerReview: true, DismissStaleReviewsOnPush: true, RequireLastPushApproval: true,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := w.clone("writer", "acme/app")
	c.branch("go", "a.go", "package a\n")
	n := w.pull("writer", "acme/app", "go", "main", "Go").GetNumber()
	w.approve("robot", n)
	wantErr(t, w.merge("robot", n), 405, "Repository rule violations found\n\nWaiting on code owner review from boss.")
	w.approve("boss", n)
	w.stands(n, "CLEAN", "APPROVED")
	c.branch("go", "a.go", "package b\n")
	w.stands(n, "BLOCKED", "REVIEW_REQUIRED")
	wantErr(t, w.merge("robot", n), 405, "Waiting on code owner review from boss.")
}

func TestSomebodyElseMustApproveTheLastPush(t *testing.T) {
	w := reviewed(t, github.PullRequestReviewsEnforcementRequest{RequiredApprovingReviewCount: 1, RequireLastPushApproval: github.Ptr(true)})
	w.clone("writer", "acme/app").branch("topic", "a.txt", "a\n")
	n := w.pull("writer", "acme/app", "topic", "main", "Topic").GetNumber()
	w.approve("boss", n)
	w.stands(n, "CLEAN", "APPROVED")
	// An approval before the push is none of what was pushed, and who pushed does not judge it.
	w.clone("dev", "acme/app").branch("topic", "a.txt", "b\n")
	const why = "New changes require approval from someone other than dev because they were the last pusher."
	wantErr(t, w.merge("robot", n), 405, why)
	w.approve("dev", n)
	wantErr(t, w.merge("robot", n), 405, why)
	w.stands(n, "BLOCKED", "REVIEW_REQUIRED")
	w.approve("robot", n)
	w.stands(n, "CLEAN", "APPROVED")
	if err := w.merge("robot", n); err != nil {
		t.Error(err)
	}
}

func TestWhoMayBypassReviewsMerges(t *testing.T) {
	w := reviewed(t, github.PullRequestReviewsEnforcementRequest{
		RequiredApprovingReviewCount:       1,
		BypassPullRequestAllowancesRequest: &github.BypassPullRequestAllowancesRequest{Users: []string{"robot"}, Teams: []string{}, Apps: []string{}},
	})
	w.clone("writer", "acme/app").branch("topic", "a.txt", "a\n")
	n := w.pull("writer", "acme/app", "topic", "main", "Topic").GetNumber()
	wantErr(t, w.merge("boss", n), 405, "At least 1 approving review is required")
	if err := w.merge("robot", n); err != nil {
		t.Error(err)
	}
}
