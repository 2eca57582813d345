package local

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"
)

func TestSignatureVectors(t *testing.T) {
	for _, tc := range []struct{ secret, body, want string }{
		{"abc", "{}", "sha256=19092633e5aa9a849dfcc9d2df4e76db2df1fcba7f38915f2c7833bd8a510f2f"},
		{"It's a Secret to Everybody", "Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	} {
		if got := sign("sha256", sha256.New, tc.secret, []byte(tc.body)); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.body, got, tc.want)
		}
	}
}

func TestDeliveryHeaders(t *testing.T) {
	w := newWorld(t)
	g := w.hook.wait("push", 0)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(g.body)
	for name, want := range map[string]string{
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "Content-Type": "application/json", "X-Github-Event": "push",
	} {
		if got := g.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(g.header.Get("X-Hub-Signature"), "sha1=") || !strings.HasPrefix(g.header.Get("User-Agent"), "GitHub-Hookshot/") || len(g.guid) != 36 {
		t.Errorf("headers: %v", g.header)
	}
	if _, err := github.ValidatePayloadFromBody("application/json", strings.NewReader(string(g.body)), g.header.Get("X-Hub-Signature-256"), []byte(hookSecret)); err != nil {
		t.Error(err)
	}
	if _, err := github.ParseWebHook(g.event, g.body); err != nil {
		t.Error(err)
	}
}

// TestEventTable makes every event happen once through the API and checks that
// go-github can read it and that it names repository, sender and organisation.
func TestEventTable(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	robot, dev, writer := w.as("robot"), w.as("dev"), w.as("writer")
	c := w.clone("writer", "acme/app")
	head := c.branch("ev", "ev.txt", "1\n")
	c.git("push", "--quiet", "origin", "origin/main:refs/heads/other")
	n := w.pull("writer", "acme/app", "ev", "main", "Events").GetNumber()
	must := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	do := func(name string, call func() error) {
		t.Helper()
		must(name, call())
		g := w.hook.wait(name, 0)
		if _, err := github.ParseWebHook(g.event, g.body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p := g.payload(t)
		if p["sender"] == nil || p["organization"].(map[string]any)["login"] != "acme" || p["repository"].(map[string]any)["full_name"] != "acme/app" {
			t.Errorf("%s: sender, organization or repository is missing", name)
		}
	}
	do("pull_request/labeled", func() error {
		_, _, err := robot.Issues.AddLabelsToIssue(ctx, "acme", "app", n, []string{"area/x y"})
		return err
	})
	if l := w.hook.wait("pull_request/labeled", 0).payload(t)["label"].(map[string]any); l["name"] != "area/x y" {
		t.Errorf("label %v", l)
	}
	do("pull_request/unlabeled", func() error {
		_, err := robot.Issues.RemoveLabelForIssue(ctx, "acme", "app", n, "area/x y")
		return err
	})
	do("pull_request/assigned", func() error {
		_, _, err := robot.Issues.AddAssignees(ctx, "acme", "app", n, []string{"dev"})
		return err
	})
	do("pull_request/unassigned", func() error {
		_, _, err := robot.Issues.RemoveAssignees(ctx, "acme", "app", n, []string{"dev"})
		return err
	})
	do("pull_request/review_requested", func() error {
		_, _, err := writer.PullRequests.RequestReviewers(ctx, "acme", "app", n, github.ReviewersRequest{Reviewers: []string{"dev"}, TeamReviewers: []string{"core-team"}})
		return err
	})
	do("pull_request/review_request_removed", func() error {
		_, err := writer.PullRequests.RemoveReviewers(ctx, "acme", "app", n, github.ReviewersRequest{TeamReviewers: []string{"core-team"}})
		return err
	})
	do("pull_request_review/submitted", func() error {
		_, _, err := dev.PullRequests.CreateReview(ctx, "acme", "app", n, &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE"), Body: github.Ptr("ok"),
			Comments: []*github.DraftReviewComment{{Path: github.Ptr("ev.txt"), Position: github.Ptr(1), Body: github.Ptr("nice line")}}})
		return err
	})
	w.hook.wait("pull_request_review_comment/created", 0)
	do("pull_request_review/dismissed", func() error {
		rs, _, err := robot.PullRequests.ListReviews(ctx, "acme", "app", n, nil)
		if err != nil {
			return err
		}
		_, _, err = robot.PullRequests.DismissReview(ctx, "acme", "app", n, rs[0].GetID(), &github.PullRequestReviewDismissalRequest{Message: github.Ptr("no")})
		return err
	})
	do("pull_request_review_comment/created", func() error {
		_, _, err := dev.PullRequests.CreateComment(ctx, "acme", "app", n, &github.PullRequestComment{Path: github.Ptr("ev.txt"), Position: github.Ptr(1), Body: github.Ptr("line"), CommitID: &head})
		return err
	})
	do("pull_request/edited", func() error {
		_, _, err := writer.PullRequests.Edit(ctx, "acme", "app", n, &github.PullRequest{Title: github.Ptr("WIP: Events"), Base: &github.PullRequestBranch{Ref: github.Ptr("other")}})
		return err
	})
	ch := w.hook.wait("pull_request/edited", 0).payload(t)["changes"].(map[string]any)
	if ch["title"].(map[string]any)["from"] != "Events" || ch["base"].(map[string]any)["ref"].(map[string]any)["from"] != "main" {
		t.Errorf("changes: %v", ch)
	}
	var cm *github.IssueComment
	do("issue_comment/created", func() (err error) {
		cm, _, err = dev.Issues.CreateComment(ctx, "acme", "app", n, &github.IssueComment{Body: github.Ptr("/lgtm\r\n")})
		return err
	})
	issue := w.hook.wait("issue_comment/created", 0).payload(t)["issue"].(map[string]any)
	if issue["pull_request"] == nil || issue["state"] != "open" {
		t.Errorf("comment on a pull request: issue %v", issue["pull_request"])
	}
	do("issue_comment/edited", func() error {
		_, _, err := dev.Issues.EditComment(ctx, "acme", "app", cm.GetID(), &github.IssueComment{Body: github.Ptr("never mind")})
		return err
	})
	do("issue_comment/deleted", func() error {
		_, err := dev.Issues.DeleteComment(ctx, "acme", "app", cm.GetID())
		return err
	})
	do("status", func() error {
		_, _, err := robot.Repositories.CreateStatus(ctx, "acme", "app", head, &github.RepoStatus{State: github.Ptr("success"), Context: github.Ptr("x")})
		return err
	})
	if s := w.hook.wait("status", 0).payload(t); s["sha"] != head || s["context"] != "x" || s["branches"].([]any)[0].(map[string]any)["name"] != "ev" {
		t.Errorf("status payload: %v", s["branches"])
	}
	do("check_run/created", func() error {
		_, _, err := robot.Checks.CreateCheckRun(ctx, "acme", "app", github.CreateCheckRunOptions{Name: "c", HeadSHA: head})
		return err
	})
	do("pull_request/closed", func() error {
		_, _, err := writer.PullRequests.Edit(ctx, "acme", "app", n, &github.PullRequest{State: github.Ptr("closed")})
		return err
	})
	do("pull_request/reopened", func() error {
		_, _, err := writer.PullRequests.Edit(ctx, "acme", "app", n, &github.PullRequest{State: github.Ptr("open")})
		return err
	})
	var is *github.Issue
	do("issues/opened", func() (err error) {
		is, _, err = robot.Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr("Bug"), Labels: &[]string{"bug"}, Assignees: &[]string{"dev"}})
		return err
	})
	do("issues/labeled", func() error { return nil })
	do("issues/assigned", func() error { return nil })
	do("issues/closed", func() error {
		_, _, err := robot.Issues.Edit(ctx, "acme", "app", is.GetNumber(), &github.IssueRequest{State: github.Ptr("closed"), StateReason: github.Ptr("not_planned")})
		return err
	})
	do("issues/reopened", func() error {
		_, _, err := robot.Issues.Edit(ctx, "acme", "app", is.GetNumber(), &github.IssueRequest{State: github.Ptr("open")})
		return err
	})
	m, _, err := writer.Issues.CreateMilestone(ctx, "acme", "app", &github.Milestone{Title: github.Ptr("v1")})
	must("milestone", err)
	do("issues/milestoned", func() error {
		_, _, err := writer.Issues.Edit(ctx, "acme", "app", is.GetNumber(), &github.IssueRequest{Milestone: m.Number})
		return err
	})
}

// TestDeliveriesAreOrderedAndRetried: a receiver that fails gets everything in
// order once it works again, across a restart of the forge.
func TestDeliveriesAreOrderedAndRetried(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.hook.wait("push", 1)
	broken := true
	w.hook.mu.Lock()
	w.hook.got = nil
	w.hook.answer = func(int) int {
		if broken {
			return http.StatusBadGateway
		}
		return http.StatusOK
	}
	w.hook.mu.Unlock()
	const total = 12
	for i := range total {
		if _, _, err := w.as("dev").Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
		if i == total/2 {
			w.hook.wait("issues/opened", 0) // was tried and refused
			w.restart()
		}
	}
	w.hook.mu.Lock()
	broken = false
	w.hook.got = nil
	w.hook.mu.Unlock()
	w.hook.wait("issues/opened", total-1)
	var titles []string
	guids := map[string]bool{}
	for _, g := range w.hook.all() {
		if g.event != "issues" { // of the seed: teams and their members
			continue
		}
		titles = append(titles, g.payload(t)["issue"].(map[string]any)["title"].(string))
		guids[g.guid] = true
	}
	if want := "[0 1 2 3 4 5 6 7 8 9 10 11]"; fmt.Sprint(titles) != want || len(guids) != total {
		t.Errorf("got %v with %d ids, want %s", titles, len(guids), want)
	}
	hooks, _, err := w.as("boss").Organizations.ListHooks(ctx, "acme", nil)
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	// The acknowledgement is stored after the receiver answered: wait for it.
	var ds []*github.HookDelivery
	deadline := time.After(20 * time.Second)
	for {
		if ds, _, err = w.as("boss").Organizations.ListHookDeliveries(ctx, "acme", hooks[0].GetID(), &github.ListCursorOptions{PerPage: 100}); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(ds, func(d *github.HookDelivery) bool { return d.GetStatus() != "OK" }) {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("deliveries: %v", ds)
		}
	}
	before := len(titles)
	if _, _, err := w.as("boss").Organizations.RedeliverHookDelivery(ctx, "acme", hooks[0].GetID(), ds[0].GetID()); err != nil && !strings.Contains(err.Error(), "scheduled") {
		t.Fatal(err)
	}
	again := w.hook.wait("issues/opened", before)
	if again.guid != ds[0].GetGUID() {
		t.Errorf("redelivery has id %s, want %s", again.guid, ds[0].GetGUID())
	}
	w.hook.mu.Lock()
	w.hook.answer = nil
	w.hook.mu.Unlock()
}

func TestOutcome(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		d     delivery
		state string
		wait  time.Duration
	}{
		"an acknowledged delivery is done":                  {delivery{Code: 204, Attempts: 1}, "delivered", 0},
		"a first failure is retried soon":                   {delivery{Code: 502, Attempts: 1}, "pending", hookFirstWait},
		"an unreachable receiver is retried":                {delivery{Attempts: 2}, "pending", 2 * hookFirstWait},
		"later attempts wait longer":                        {delivery{Code: 500, Attempts: 5}, "pending", 16 * hookFirstWait},
		"delays are bounded":                                {delivery{Code: 500, Attempts: 39}, "pending", hookMaxWait},
		"attempts are bounded":                              {delivery{Code: 500, Attempts: hookAttempts}, "dead", 0},
		"a redirect is no acknowledgement":                  {delivery{Code: 302, Attempts: 1}, "pending", hookFirstWait},
		"a receiver that refuses is given up early":         {delivery{Code: 403, Attempts: hookRefusals}, "dead", 0},
		"being asked to slow down is no refusal":            {delivery{Code: 429, Attempts: hookRefusals}, "pending", 16 * hookFirstWait},
		"a delivery from long ago is tried once, then dead": {delivery{Code: 500, Attempts: 1, Created: when{now.Add(-2 * hookMaxAge)}}, "dead", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.d.Created.IsZero() {
				tc.d.Created = when{now}
			}
			state, next := outcome(&tc.d, now)
			if state != tc.state || tc.wait > 0 && !next.Equal(now.Add(tc.wait)) {
				t.Errorf("got %s at +%s, want %s at +%s", state, next.Sub(now), tc.state, tc.wait)
			}
		})
	}
}

// TestKilledBetweenGitAndDatabase: refs that moved without a record are told
// to the world at the next start, merges included.
func TestKilledBetweenGitAndDatabase(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.clone("writer", "acme/app")
	c.branch("one", "one.txt", "1\n")
	n := w.pull("writer", "acme/app", "one", "main", "Half merged").GetNumber()
	two := c.branch("two", "two.txt", "2\n")
	m := w.pull("writer", "acme/app", "two", "main", "Half pushed").GetNumber()
	rp, err := w.forge.read(ctx).repo("acme", "app")
	if err != nil {
		t.Fatal(err)
	}
	// What merge does before the base branch moves, and then the move itself.
	b := w.forge.bare(rp.ID)
	i, err := w.forge.read(ctx).pull(rp.ID, n)
	if err != nil {
		t.Fatal(err)
	}
	robot, err := w.forge.read(ctx).account("robot")
	if err != nil {
		t.Fatal(err)
	}
	tip := c.git("rev-parse", "origin/main")
	sha, err := w.forge.mergeCommit(ctx, w.forge.read(ctx), b, rp, i, robot, tip, "squash", mergeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.forge.write(ctx, func(tx *txn) error {
		_, err := tx.exec("UPDATE pulls SET intent_sha = ?, intent_by = ? WHERE issue_id = ?", sha, robot.ID, i.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.updateRef(ctx, "refs/heads/main", sha, tip); err != nil {
		t.Fatal(err)
	}
	// A push that was stored by git only.
	c.git("checkout", "--quiet", "two")
	three := c.commit("two.txt", "3\n", "more")
	if out, err := exec.Command("git", "-C", c.dir, "push", "--quiet", b.dir, "two").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.restart()
	closed := w.hook.wait("pull_request/closed", 0).payload(t)
	if pr := closed["pull_request"].(map[string]any); pr["merged"] != true || pr["merge_commit_sha"] != sha || pr["merged_by"].(map[string]any)["login"] != "robot" {
		t.Errorf("recovered merge: %v by %v", pr["merge_commit_sha"], pr["merged_by"])
	}
	syn := w.hook.wait("pull_request/synchronize", 0).payload(t)
	if syn["before"] != two || syn["after"] != three || int(syn["number"].(float64)) != m {
		t.Errorf("recovered push: %v to %v", syn["before"], syn["after"])
	}
	count := func() int {
		ids := map[string]bool{} // a delivery under way at the restart comes again, with its id
		for _, g := range w.hook.all() {
			if g.event == "pull_request" && (g.action == "closed" || g.action == "synchronize") {
				ids[g.guid] = true
			}
		}
		return len(ids)
	}
	w.restart()
	if _, _, err := w.as("dev").Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr("after")}); err != nil {
		t.Fatal(err)
	}
	w.hook.wait("issues/opened", 0)
	if k := count(); k != 2 {
		t.Errorf("recovery was repeated: %d events", k)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	w := newWorld(t)
	if _, err := Open(t.Context(), Options{Dir: w.dir, BaseURL: "http://127.0.0.1:1"}); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v", err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(t.Context(), Options{Dir: dir, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.wdb.ExecContext(context.Background(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir, BaseURL: "http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("opening: %v", err)
	}
}
