package tide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

var quiet = slog.New(slog.DiscardHandler)

// record is a pull request as a search gives it.
func record(change ...func(*GitHubPullRequest)) *PullRequest {
	g := &GitHubPullRequest{Number: 1, HeadRefName: "change", HeadRefOID: "head", Mergeable: "MERGEABLE", CanBeRebased: true, MergeStateStatus: "CLEAN"}
	g.BaseRef.Name, g.BaseRef.Prefix, g.Author.Login = "main", "refs/heads/", "dev"
	g.Repository.Name, g.Repository.NameWithOwner, g.Repository.Owner.Login = "app", "acme/app", "acme"
	g.Commits.Nodes = []struct{ Commit Commit }{{Commit{OID: "head"}}}
	for _, c := range change {
		c(g)
	}
	return fromGitHub(g)
}

func withLabels(names ...string) func(*GitHubPullRequest) {
	return func(g *GitHubPullRequest) {
		for _, n := range names {
			g.Labels.Nodes = append(g.Labels.Nodes, struct{ Name string }{n})
		}
	}
}

func withMergeState(state string) func(*GitHubPullRequest) {
	return func(g *GitHubPullRequest) { g.MergeStateStatus = state }
}

func tideConfig(t *testing.T, text string) *config.Config {
	t.Helper()
	return loadConfig(t, "prowjob_namespace: default\ntide:\n"+text, "{}")
}

func TestProbe30Probe31WhatKeepsFromAQuery(t *testing.T) {
	const all = "  - {repos: [acme/app], labels: [lgtm, \"a,b\"], missingLabels: [hold], includedBranches: [main], author: dev, milestone: v1, reviewApprovedRequired: true}\n"
	ready := func(g *GitHubPullRequest) {
		withLabels("LGTM", "b")(g)
		g.Milestone, g.ReviewDecision = &struct{ Title string }{"v1"}, "APPROVED"
	}
	for sentence, tc := range map[string]struct {
		queries string
		pr      *PullRequest
		failing []Context
		want    string
	}{
		"one that fulfils it":                       {all, record(ready), nil, ""},
		"the branch comes before everything":        {all, record(func(g *GitHubPullRequest) { g.BaseRef.Name = "dev" }), nil, "branch dev is not open for merging"},
		"the author":                                {strings.Replace(all, "author: dev", "author: \"@Boss\"", 1), record(), nil, "the author must be @Boss"},
		"authors are compared as accounts are":      {strings.Replace(all, "author: dev", "author: \"@DEV\"", 1), record(ready), nil, ""},
		"the milestone":                             {all, record(), nil, "it must be in milestone v1"},
		"missing labels, with alternatives":         {all, record(ready, func(g *GitHubPullRequest) { g.Labels.Nodes = nil }), nil, "it needs the labels a or b, lgtm"},
		"one missing label":                         {all, record(ready, func(g *GitHubPullRequest) { g.Labels.Nodes = g.Labels.Nodes[1:] }), nil, "it needs the label lgtm"},
		"a forbidden label":                         {all, record(ready, withLabels("Hold")), nil, "it must not have the label hold"},
		"failing contexts":                          {all, record(ready), []Context{{Context: "z"}, {Context: "a"}}, "contexts a, z must pass"},
		"a missing approval":                        {all, record(ready, func(g *GitHubPullRequest) { g.ReviewDecision = "" }), nil, "it needs an approving review"},
		"the query that is nearest counts":          {"  - {repos: [acme/app], labels: [x, w]}\n  - {repos: [acme/app], labels: [z]}\n", record(), nil, "it needs the label z"},
		"the first of equals counts":                {"  - {repos: [acme/app], labels: [x]}\n  - {repos: [acme/app], missingLabels: [w], labels: [z]}\n", record(), nil, "it needs the label x"},
		"a query of another repository is no help":  {"  - {repos: [acme/other]}\n", record(), nil, "?"},
		"an org without one of its repositories":    {"  - {orgs: [acme], excludedRepos: [acme/app]}\n", record(), nil, "?"},
		"all queries are shown where that is asked": {"  - {repos: [acme/app], labels: [x]}\n  - {repos: [acme/app], labels: [w]}\n  - {repos: [acme/app], includedBranches: [v2]}\n  display_all_tide_queries_in_status: true\n", record(), nil, "it needs the label w OR it needs the label x"},
		"no query for the branch":                   {"  - {repos: [acme/app], includedBranches: [v2]}\n  display_all_tide_queries_in_status: true\n", record(), nil, "no query is for branch main"},
	} {
		t.Run(sentence, func(t *testing.T) {
			cfg := tideConfig(t, "  queries:\n"+tc.queries)
			reason, fulfilled := unfulfilled(&cfg.Tide, tc.pr, tc.failing)
			switch {
			case tc.want == "" && !fulfilled, tc.want != "" && fulfilled:
				t.Errorf("fulfilled: %v, %+v", fulfilled, reason)
			case tc.want == "?":
				if reason.Sentence != "" || reason.Code != "no-query" {
					t.Errorf("got %+v", reason)
				}
			case reason.Sentence != tc.want:
				t.Errorf("got %q, want %q", reason.Sentence, tc.want)
			}
		})
	}
}

func TestProbe30ListsOfNamesAreCut(t *testing.T) {
	long := strings.Repeat("x", 80)
	for want, names := range map[string][]string{
		"":     nil,
		"a, b": {"b", "a", "b"},
		long:   {long, "y"},
		"aaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbb": {strings.Repeat("b", 24), strings.Repeat("a", 24), "c"},
	} {
		if got := nameList(names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

type settings struct {
	repo github.Repo
	err  error
	n    int
}

func (s *settings) GetRepo(context.Context, string, string) (*github.Repo, error) {
	s.n++
	r := s.repo
	return &r, s.err
}

func TestMergeability(t *testing.T) {
	for sentence, tc := range map[string]struct {
		tide string
		pr   *PullRequest
		want string
	}{
		"one that can be merged":               {"", record(), ""},
		"one of which it is not known yet":     {"", record(func(g *GitHubPullRequest) { g.Mergeable = "UNKNOWN" }), ""},
		"a conflict":                           {"", record(func(g *GitHubPullRequest) { g.Mergeable = "CONFLICTING" }), "conflict"},
		"one that cannot be rebased":           {"  merge_method: {acme: rebase}\n", record(func(g *GitHubPullRequest) { g.CanBeRebased = false }), "rebase"},
		"one that cannot but need not be":      {"", record(func(g *GitHubPullRequest) { g.CanBeRebased = false }), ""},
		"a method that is forbidden":           {"  merge_method: {acme: squash}\n", record(), "method"},
		"blocked where that is permitted":      {"", record(withMergeState("BLOCKED")), ""},
		"blocked where that is ignored":        {"  github_merge_blocks_policy: {\"*\": ignore}\n", record(withMergeState("BLOCKED")), ""},
		"blocked where that counts":            {"  github_merge_blocks_policy: {acme/app: block}\n", record(withMergeState("BLOCKED")), "blocked-by-github"},
		"behind never matters":                 {"  github_merge_blocks_policy: {acme/app: block}\n", record(withMergeState("BEHIND")), ""},
		"two labels for the method contradict": {"  squash_label: s\n  rebase_label: r\n", record(withLabels("s", "r")), "method-labels"},
		"a label whose method is forbidden":    {"  squash_label: s\n", record(withLabels("S")), "method"},
	} {
		t.Run(sentence, func(t *testing.T) {
			no := false
			m := NewMergeability(&settings{repo: github.Repo{AllowSquashMerge: &no}}, time.Now)
			got, err := m.refusal(t.Context(), &tideConfig(t, tc.tide+"  queries: []\n").Tide, tc.pr)
			if err != nil || (got == nil) != (tc.want == "") || got != nil && got.Code != tc.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestSettingsOfRepositoriesAreRemembered(t *testing.T) {
	yes, no := true, false
	now := time.Unix(0, 0)
	forge := &settings{repo: github.Repo{AllowMergeCommit: &no}}
	m := NewMergeability(forge, func() time.Time { return now })
	ask := func(sentence string, want bool, asked int) {
		t.Helper()
		got, err := m.allows(t.Context(), "acme", "app", config.MergeMerge)
		if err != nil || got != want || forge.n != asked {
			t.Errorf("%s: %v, %v after %d questions", sentence, got, err, forge.n)
		}
	}
	ask("at first", false, 1)
	ask("at once", false, 1)
	forge.repo.AllowMergeCommit = &yes
	now = now.Add(refusalAge)
	ask("a refusal is soon doubted", true, 2)
	forge.repo.AllowMergeCommit = &no
	now = now.Add(settingsAge - time.Second)
	ask("a permission is believed for an hour", true, 2)
	now = now.Add(time.Second)
	ask("but not longer", false, 3)
	forge.err = errors.New("down")
	now = now.Add(time.Hour)
	if _, err := m.allows(t.Context(), "acme", "app", config.MergeMerge); err == nil {
		t.Error("trouble must be told")
	}
}

func TestBranchesThatTitlesName(t *testing.T) {
	for title, want := range map[string]struct{ branches, shown string }{
		"fix it":                             {"", "fix it"},
		"branch:foo":                         {"foo", ""},
		"stop branch: foo-bar now":           {"foo-bar", "stop  now"},
		`stop branch:"FOO-bar"`:              {"FOO-bar", `stop "`},
		"BRANCH:foo":                         {"foo", ""},
		"a branch:release-1.0 b branch:x/y":  {"release-1.0 x/y", "a  b "},
		"branch:one branch:one":              {"one", " "},
		"the subbranch:foo is not a mention": {"", "the subbranch:foo is not a mention"},
	} {
		issue := blockerIssue{Number: 3, Title: title}
		issue.Repository.Name, issue.Repository.Owner.Login = "app", "acme"
		b := newBlockers([]blockerIssue{issue})
		var got []string
		for key := range b.branches {
			got = append(got, strings.TrimPrefix(key, "acme/app:"))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want.branches {
			t.Errorf("%q blocks %q", title, got)
		}
		branch := "any"
		if len(got) > 0 {
			branch = got[0]
		}
		if list := b.of("acme", "app", branch); len(list) != 1 || list[0].Title != want.shown {
			t.Errorf("%q is shown as %+v", title, list)
		}
		if want.branches != "" && len(b.of("acme", "app", "other")) != 0 {
			t.Errorf("%q blocks other branches", title)
		}
	}
}

func TestCheckRunsAreSeenAsContexts(t *testing.T) {
	got := fromCheckRuns([]CheckRun{
		{},
		{Name: "best", Status: "COMPLETED", Conclusion: "FAILURE"}, {Name: "best", Status: "COMPLETED", Conclusion: "SUCCESS"}, {Name: "best", Status: "QUEUED"},
		{Name: "neutral", Status: "COMPLETED", Conclusion: "NEUTRAL"}, {Name: "skipped", Status: "COMPLETED", Conclusion: "SKIPPED"},
		{Name: "runs", Status: "IN_PROGRESS"}, {Name: "timed out", Status: "COMPLETED", Conclusion: "TIMED_OUT"},
	})
	var text []string
	for _, c := range got {
		text = append(text, c.Context+"="+string(c.State))
	}
	if got := strings.Join(text, " "); got != "best=SUCCESS neutral=SUCCESS runs=PENDING skipped=SUCCESS timed out=FAILURE" {
		t.Error(got)
	}
}

func TestProbe34TargetURL(t *testing.T) {
	bot := func(g *GitHubPullRequest) { g.Author.Login, g.AuthorMetadata.Typename = "dependabot", "Bot" }
	for sentence, tc := range map[string]struct {
		tide string
		pr   *PullRequest
		want string
	}{
		"none":                        {"", record(), ""},
		"a target":                    {"  target_urls: {\"*\": \"https://all\", acme: \"https://acme\"}\n", record(), "https://acme"},
		"the page of the author":      {"  pr_status_base_urls: {\"*\": \"https://p/pr?x=1\"}\n", record(), "https://p/pr?query=is%3Apr+repo%3Aacme%2Fapp+author%3Adev+head%3Achange&x=1"},
		"the page of a bot":           {"  pr_status_base_urls: {\"*\": \"https://p/pr\"}\n", record(bot), "https://p/pr?query=is%3Apr+repo%3Aacme%2Fapp+author%3Aapp%2Fdependabot+head%3Achange"},
		"a target goes before a page": {"  target_urls: {\"*\": \"https://all\"}\n  pr_status_base_urls: {\"*\": \"https://p/pr\"}\n", record(), "https://all"},
	} {
		if got := targetURL(&tideConfig(t, tc.tide+"  queries: []\n").Tide, tc.pr, quiet); got != tc.want {
			t.Errorf("%s: %q", sentence, got)
		}
	}
}

func TestInPoolTexts(t *testing.T) {
	cfg := tideConfig(t, "  queries: []\n")
	passing := []Context{{Context: "unit", State: "SUCCESS", Description: "ok BaseSHA:" + strings.Repeat("b", 40)}, {Context: "cla", State: "SUCCESS"}}
	base := strings.Repeat("b", 40)
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprint("context-", i)
	}
	for sentence, tc := range map[string]struct {
		pr       *PullRequest
		base     string
		required []string
		own      []string
		want     string
	}{
		"everything passed":                               {record(), base, []string{"unit", "cla"}, []string{"unit"}, "success: In merge pool."},
		"a result for another base is none":               {record(), strings.Repeat("c", 40), []string{"unit", "cla"}, []string{"unit"}, "pending: Waiting for unit on the current base."},
		"without a pool nothing is proven":                {record(), "", []string{"unit", "cla"}, nil, "pending: Waiting for cla, unit on the current base."},
		"many are counted":                                {record(), base, many, many, "pending: Waiting for 40 contexts on the current base."},
		"a block of GitHub is told where it is permitted": {record(withMergeState("BLOCKED")), base, nil, nil, "success: In merge pool, although GitHub blocks the merge at the moment."},
	} {
		j := judge{jobs: newCluster(t), log: quiet}
		got, err := j.inPool(t.Context(), cfg, tc.pr, passing, tc.base, tc.required, tc.own)
		if err != nil || got.State+": "+got.Sentence != tc.want {
			t.Errorf("%s: %s: %s, %v", sentence, got.State, got.Sentence, err)
		}
		if len([]rune(got.Sentence)) > github.StatusDescriptionLimit {
			t.Errorf("%s: too long", sentence)
		}
	}
}

func TestProbe36Windows(t *testing.T) {
	for sentence, tc := range map[string]struct {
		text string
		want string
		err  bool
	}{
		"a map by shard":          {"acme: {LatestPR: 2020-01-02T03:04:05Z, PreviousQuery: q}\n", "map[acme:{2020-01-02 03:04:05 +0000 UTC q}]", false},
		"the older single object": {"LatestPR: 2020-01-02T03:04:05Z\nPreviousQuery: q\n", "map[:{2020-01-02 03:04:05 +0000 UTC q}]", false},
		"an empty file":           {"", "map[]", false},
		"something else":          {"- 1\n", "map[]", true},
	} {
		got, err := parseWindows([]byte(tc.text))
		if fmt.Sprint(got) != tc.want || (err != nil) != tc.err {
			t.Errorf("%s: %v, %v", sentence, got, err)
		}
	}
}

func TestProbe36TheWindowOfTheStatusController(t *testing.T) {
	w := newWorld(t)
	dir, err := filestore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.status.Place = &history.Place{Bucket: dir, Key: "status"}
	w.status.load(t.Context())
	w.pull("one")
	w.round()
	after := w.status.windows[""]
	if age := time.Since(after.LatestPR); age < overlap || age > overlap+time.Minute {
		t.Errorf("the next search begins %s ago", age)
	}
	w.status.save(t.Context())
	w.status.windows = nil
	w.status.load(t.Context())
	if got := w.status.windows[""]; !got.LatestPR.Equal(after.LatestPR) || got.PreviousQuery != after.PreviousQuery {
		t.Errorf("read back %+v", got)
	}
	starts := func() string {
		t.Helper()
		calls := w.proxy.calls("POST /api/graphql")
		for _, c := range slices.Backward(calls) {
			if strings.Contains(c, "updated-asc") {
				_, rest, _ := strings.Cut(c, "updated:")
				start, _, _ := strings.Cut(rest, "..")
				return start
			}
		}
		t.Fatal("no search")
		return ""
	}
	w.round()
	if got := starts(); got != after.LatestPR.UTC().Format("2006-01-02T15:04:05Z") {
		t.Errorf("the search begins at %s", got)
	}
	w.configure(strings.Replace(baseConfig, "[acme/app]", "[acme/app, acme/other]", 1), "{}")
	w.round()
	if got := starts(); got != "2007-01-01T00:00:00Z" {
		t.Errorf("another search begins at %s", got)
	}
	if err := dir.Put(t.Context(), "status", strings.NewReader("- 1"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.status.load(t.Context())
	if len(w.status.windows) != 0 {
		t.Error("what cannot be read is nothing")
	}
}

func TestAHeldPullRequestIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	_, head := w.pull("one")
	w.status.Board.hold(&PullRequest{Org: "acme", Repo: "app", Number: 1})
	w.status.Sync(t.Context(), w.cfg)
	w.expectStatus(head, "")
	w.round()
	w.expectStatus(head, "pending: Not mergeable: it needs the label lgtm.")
}

func TestTheBoardHoldsWhileItIsRead(t *testing.T) {
	b, pr := NewBoard(), &PullRequest{Org: "a", Repo: "b", Number: 1}
	b.hold(pr)
	_, done := b.read()
	b.release(nil)
	if !b.isHeld(pr) {
		t.Error("the status controller still works with what was before the merge")
	}
	done()
	b.release(map[string]bool{pr.key(): true})
	if !b.isHeld(pr) {
		t.Error("searches still find what was merged")
	}
	b.release(nil)
	if b.isHeld(pr) {
		t.Error("another round has begun")
	}
}

func TestMergeErrorsTellEachWhatIsHis(t *testing.T) {
	err := &MergeError{batch: []int{1, 2}, merged: nil, failures: []mergeFailure{
		{number: 1, err: errors.New("labels"), user: true, operator: true},
		{number: 2, err: errors.New("token expired"), operator: true},
	}}
	if got := err.Error(); !strings.Contains(got, "#1: labels") || strings.Contains(got, "token") || !strings.Contains(got, "#2: ") || !strings.Contains(got, "[1 2]") {
		t.Error(got)
	}
	if got := err.Operator().Error(); !strings.Contains(got, "labels") || !strings.Contains(got, "token expired") {
		t.Error(got)
	}
	if (&MergeError{failures: []mergeFailure{{number: 1, err: errors.New("x"), user: true}}}).Operator() != nil {
		t.Error("refusals are no business of operators")
	}
}

var _ planner.Planner = planner.Classic
