package needsrebase

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func noPause(context.Context, time.Duration) error { return nil }

func TestProbe37_ConflictsAreLabeled(t *testing.T) {
	t.Parallel()
	p := newPlugin(0, time.Now, noPause)
	w := plugintest.New(t, plugintest.Options{Plugin: p.describe()})
	w.Push("change", map[string]string{"x": "mine"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, "")
	w.Push("main", map[string]string{"x": "theirs"})
	w.Comment("bob", n, "hm")
	w.WantLabels(n, Label)
	w.WantComments(n, notice)
	w.HandleAgain(github.EventIssueComment)
	w.Comment("bob", n, "hm")
	w.WantComments(n, notice)
	// Once both say the same there is no conflict.
	w.Push("change", map[string]string{"x": "theirs", "y": "more"})
	w.WantLabels(n, "")
	w.WantComments(n)
}

// recorder is a forge that answers searches and records writes.
type recorder struct {
	asked    []string
	wrote    []string
	comments []github.IssueComment
	fails    string
}

func (r *recorder) BotChecker(context.Context) (func(github.User) bool, error) {
	return func(u github.User) bool { return u.Login == "bot" }, nil
}

func (r *recorder) ListIssueComments(context.Context, string, string, int) ([]github.IssueComment, error) {
	return r.comments, nil
}

func (r *recorder) DeleteComment(_ context.Context, _, _ string, id int64) error {
	r.wrote = append(r.wrote, "delete")
	return nil
}

func (r *recorder) AddLabels(_ context.Context, org, repo string, number int, labels ...string) error {
	r.wrote = append(r.wrote, key(org, repo, number)+" +"+labels[0])
	return nil
}

func (r *recorder) RemoveLabel(_ context.Context, org, repo string, number int, label string) error {
	r.wrote = append(r.wrote, key(org, repo, number)+" -"+label)
	return nil
}

func (r *recorder) CreateComment(_ context.Context, org, repo string, number int, body string) error {
	first, _, _ := strings.Cut(body, "\n")
	r.wrote = append(r.wrote, key(org, repo, number)+": "+first)
	return nil
}

func (r *recorder) Query(_ context.Context, org, _ string, variables map[string]any, out any) error {
	text := variables["query"].(string)
	r.asked = append(r.asked, org+"|"+text)
	if r.fails != "" && strings.Contains(text, r.fails) {
		return errors.New("502")
	}
	into := out.(*searchAnswer)
	if variables["cursor"] == nil && strings.Contains(text, `"two-pages"`) {
		into.Search.PageInfo.HasNextPage, into.Search.PageInfo.EndCursor = true, "next"
		return nil
	}
	pull := func(number int, author, mergeable string, labels ...string) {
		f := found{Number: number, State: "OPEN", Mergeable: mergeable}
		f.Author.Login, f.Repo.Name, f.Repo.Owner.Login = author, "r", "o"
		for _, l := range labels {
			f.Labels.Nodes = append(f.Labels.Nodes, struct{ Name string }{l})
		}
		into.Search.Nodes = append(into.Search.Nodes, f)
	}
	pull(1, "alice", "CONFLICTING")
	pull(2, "alice", "MERGEABLE", "Needs-Rebase")
	pull(3, "alice", "UNKNOWN", "needs-rebase")
	pull(4, "alice", "CONFLICTING", "needs-rebase")
	pull(5, "dependabot[bot]", "CONFLICTING")
	return nil
}

func sweeperFor(t *testing.T, yaml string, r *recorder, perOrg bool) *sweeper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	return &sweeper{
		forge: r, config: func() *pluginconfig.Configuration { return cfg }, checked: &checked{at: map[string]time.Time{}}, perOrg: perOrg,
		now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler),
	}
}

func TestProbe37_ASweepLooksAtAllOpenPullRequests(t *testing.T) {
	r := &recorder{comments: []github.IssueComment{{ID: 9, Body: notice, User: github.User{Login: "bot"}}}}
	s := sweeperFor(t, "external_plugins: {two-pages: [{name: needs-rebase}], other: [{name: x}]}", r, false)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"delete", "o/r#1: " + notice, "o/r#1 +needs-rebase",
		"delete", "o/r#2 -needs-rebase",
		"delete", "o/r#5: " + rebaseCommand, "o/r#5 +needs-rebase",
	}
	if !slices.Equal(r.wrote, want) || len(r.asked) != 2 {
		t.Errorf("wrote %q, asked %q", r.wrote, r.asked)
	}
}

func TestTheSearchesOfASweep(t *testing.T) {
	const yaml = "external_plugins: {kubernetes: [{name: needs-rebase}], a/x: [{name: needs-rebase}], b/y: [{name: needs-rebase}], a/z: [{name: needs-rebase}]}"
	for perOrg, want := range map[bool][]string{
		false: {`|archived:false is:pr is:open repo:"a/x" repo:"a/z" repo:"b/y"`},
		true:  {`a|archived:false is:pr is:open repo:"a/x" repo:"a/z"`, `b|archived:false is:pr is:open repo:"b/y"`},
	} {
		want = append([]string{
			`kubernetes|archived:false is:pr is:open org:"kubernetes" -repo:"kubernetes/kubernetes"`,
			`kubernetes|archived:false is:pr is:open repo:"kubernetes/kubernetes" created:>=2026-01-30`,
			`kubernetes|archived:false is:pr is:open repo:"kubernetes/kubernetes" created:<2026-01-30`,
		}, want...)
		r := &recorder{}
		if err := sweeperFor(t, yaml, r, perOrg).sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.asked, want) {
			t.Errorf("asked %q, want %q", r.asked, want)
		}
	}
}

func TestASearchThatFailsDoesNotStopTheOthers(t *testing.T) {
	r := &recorder{fails: `"a"`}
	s := sweeperFor(t, "external_plugins: {a: [{name: needs-rebase}], b: [{name: needs-rebase}]}", r, false)
	if err := s.sweep(t.Context()); err == nil || len(r.wrote) == 0 {
		t.Errorf("error %v, wrote %q", err, r.wrote)
	}
}

func TestALookCountsForAWhile(t *testing.T) {
	now := time.Unix(0, 0)
	c := &checked{valid: time.Minute, now: func() time.Time { return now }, at: map[string]time.Time{}}
	if c.fresh("a") {
		t.Error("never looked at")
	}
	c.note("a")
	if !c.fresh("a") {
		t.Error("just looked at")
	}
	now = now.Add(2 * time.Minute)
	if c.fresh("a") {
		t.Error("looked at too long ago")
	}
}
