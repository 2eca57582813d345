package approve

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/plugins/plugintest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newWorld(t *testing.T, config string, files map[string]string) *plugintest.World {
	t.Helper()
	t.Parallel()
	return plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: config, Files: files})
}

// notification is the only comment of the bot.
func notification(t *testing.T, w *plugintest.World, n int) string {
	t.Helper()
	got := w.BotComments(n)
	if len(got) != 1 || !strings.HasPrefix(got[0], "[APPROVALNOTIFIER] ") {
		t.Fatalf("comments of the bot: %q, want one notification", got)
	}
	return got[0]
}

func wantVerdict(t *testing.T, w *plugintest.World, n int, want bool) {
	t.Helper()
	got, labels := strings.HasPrefix(notification(t, w, n), "[APPROVALNOTIFIER] This PR is **APPROVED**\n"), w.Labels(n) == "approved"
	if got != want || labels != want {
		t.Errorf("approved: comment %v, label %v, want %v", got, labels, want)
	}
}

// golden compares a notification with a file, without what differs between runs.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got, "forge")
	path := filepath.Join("testdata", name+".md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestProbe12_ApprovalOfAStrangersChange(t *testing.T) {
	w := newWorld(t, "{}", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "/approve")
	wantVerdict(t, w, n, false)
	golden(t, "not-approved", notification(t, w, n))
	if got := notification(t, w, n); !strings.HasSuffix(got, "\n<!-- META={\"approvers\":[\"alice\"]} -->") || !strings.Contains(got, "<details open>") {
		t.Error("the last line is for programs, the details for people")
	}
	w.Comment("eve", n, "/approve")
	w.Comment("bob", n, "/approve")
	wantVerdict(t, w, n, false)
	w.Comment("alice", n, "nice\r\n/approve\r\n")
	wantVerdict(t, w, n, true)
	golden(t, "approved", notification(t, w, n))
	id := w.Comment("alice", n, "on second thought")
	w.EditComment("alice", id, "/approve cancel")
	wantVerdict(t, w, n, true)
	w.Comment("alice", n, "/approve")
	w.Comment("alice", n, "/approve cancel")
	wantVerdict(t, w, n, false)
	w.EditPull("eve", n, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, false)
}

func TestProbe18_TheSameEventTwice(t *testing.T) {
	w := newWorld(t, "{}", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	before := w.Comments(n)
	w.HandleAgain("pull_request/opened")
	if after := w.Comments(n); len(after) != 1 || after[0].ID != before[0].ID {
		t.Error("the same state must write nothing")
	}
	w.Comment("alice", n, "/approve")
	before = w.Comments(n)
	w.HandleAgain("issue_comment")
	if after := w.Comments(n); len(after) != 2 || after[1].ID != before[1].ID {
		t.Error("the same state must write nothing")
	}
}

func TestProbe13_AuthorsApproveByOpening(t *testing.T) {
	w := newWorld(t, "{}", nil)
	w.Push("change", map[string]string{"x": "y"})
	wantVerdict(t, w, w.Pull("alice", "change", "T", ""), true)
}

func TestProbe13_AuthorsWhoMustSaySo(t *testing.T) {
	w := newWorld(t, "approve: [{repos: [o/r], require_self_approval: true}]", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	wantVerdict(t, w, n, false)
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, true)
}

func TestProbe14_Reviews(t *testing.T) {
	w := newWorld(t, "{}", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Review("alice", n, "APPROVE", "")
	wantVerdict(t, w, n, true)
	w.Review("alice", n, "REQUEST_CHANGES", "hm")
	wantVerdict(t, w, n, false)
	w.Review("alice", n, "APPROVE", "/approve cancel")
	wantVerdict(t, w, n, false)
	id := w.Review("alice", n, "APPROVE", "")
	wantVerdict(t, w, n, true)
	if _, _, err := w.As("boss").PullRequests.DismissReview(t.Context(), "o", "r", n, id, &gogithub.PullRequestReviewDismissalRequest{Message: gogithub.Ptr("no")}); err != nil {
		t.Fatal(err)
	}
	w.Settle()
	wantVerdict(t, w, n, false)
}

func TestProbe14_ReviewsThatAreIgnored(t *testing.T) {
	w := newWorld(t, "approve: [{repos: [o], ignore_review_state: true, lgtm_acts_as_approve: true}]", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Review("alice", n, "APPROVE", "")
	wantVerdict(t, w, n, false)
	w.Review("alice", n, "COMMENT", "/lgtm")
	wantVerdict(t, w, n, true)
	w.Review("alice", n, "REQUEST_CHANGES", "hm")
	wantVerdict(t, w, n, true)
}

func TestProbe15_IssueRequired(t *testing.T) {
	w := newWorld(t, "approve: [{repos: [o/r], issue_required: true}]", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "none")
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, false)
	golden(t, "no-issue", notification(t, w, n))
	w.Comment("alice", n, "/approve no-issue")
	wantVerdict(t, w, n, true)
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, true)
	w.Comment("alice", n, "/approve cancel")
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, false)
	w.EditPull("eve", n, gogithub.PullRequest{Body: gogithub.Ptr("fixes #12")})
	wantVerdict(t, w, n, true)
}

func TestProbe16_SeveralOwners(t *testing.T) {
	w := newWorld(t, "{}", map[string]string{
		"OWNERS": "approvers: [alice]\n", "a/OWNERS": "approvers: [bob]\noptions: {no_parent_owners: true}\n", "a/old": "content that is moved\n",
	})
	w.Push("change", map[string]string{"a/x": "y", "x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Comment("alice", n, "/approve")
	wantVerdict(t, w, n, false)
	golden(t, "several-owners", notification(t, w, n))
	w.Comment("bob", n, "/approve")
	wantVerdict(t, w, n, true)

	w.Push("move", map[string]string{"a/old": "", "new": "content that is moved\n"})
	n = w.Pull("alice", "move", "T", "")
	wantVerdict(t, w, n, false) // the file leaves a directory that is bob's

	w.Push("claim", map[string]string{"b/OWNERS": "approvers: [eve]\n", "b/x": "y"})
	n = w.Pull("eve", "claim", "T", "")
	w.Comment("eve", n, "/approve")
	wantVerdict(t, w, n, false) // the owners of the base branch count
}

func TestUnownedFoldersThatNeedNobody(t *testing.T) {
	w := newWorld(t, "{}", map[string]string{"OWNERS": "approvers: [alice]\n", "a/OWNERS": "approvers: [alice]\noptions: {auto_approve_unowned_subfolders: true}\n"})
	w.Push("below", map[string]string{"a/b/x": "y"})
	wantVerdict(t, w, w.Pull("eve", "below", "T", ""), true)
	w.Push("in", map[string]string{"a/x": "y", "a/b/x": "y"})
	wantVerdict(t, w, w.Pull("eve", "in", "T", ""), false)
	w.Push("beside", map[string]string{"ab/c/x": "y"})
	wantVerdict(t, w, w.Pull("eve", "beside", "T", ""), false)
}

func TestProbe17_ALabelSetByHandStays(t *testing.T) {
	w := newWorld(t, "{}", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.AddLabel("boss", n, "approved")
	wantVerdict(t, w, n, true)
	golden(t, "by-hand", notification(t, w, n))
	w.Push("change", map[string]string{"z": "y"})
	wantVerdict(t, w, n, true)
}

func TestOneEvaluationAtATime(t *testing.T) {
	v := &evaluator{running: map[string]*turn{}}
	inside := 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			release, err := v.acquire(t.Context(), "o/r#1")
			if err != nil {
				t.Error(err)
				return
			}
			inside++
			if inside != 1 {
				t.Error("two at a time")
			}
			inside--
			release()
		})
	}
	wg.Wait()
	release, err := v.acquire(t.Context(), "o/r#1")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.acquire(ended, "o/r#1"); err == nil {
		t.Error("who waits can be called off")
	}
	release()
	if len(v.running) != 0 {
		t.Errorf("turns stay behind: %v", v.running)
	}
}
