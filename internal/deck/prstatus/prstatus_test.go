package prstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"prow/internal/config"
)

func TestQueriesAreForPullRequests(t *testing.T) {
	for asked, want := range map[string]string{
		"":                                    "is:pr",
		"author:ann":                          "is:pr author:ann",
		"is:issue type:pr  author:ann\tis:PR": "is:pr author:ann",
		`label:"is:issue really" is:issue`:    `is:pr label:"is:issue really"`,
		`milestone:"v 1`:                      `is:pr milestone:"v 1`,
	} {
		if got := Normalize(asked); got != want {
			t.Errorf("%q becomes %q, want %q", asked, got, want)
		}
	}
}

func TestASearchIsOfTheRepositoriesOfThisSite(t *testing.T) {
	var repos []string
	for i := range 120 {
		repos = append(repos, fmt.Sprintf("o/r%d", i))
	}
	for name, tt := range map[string]struct {
		query string
		want  int
	}{
		"all, in parts":                     {"author:ann", 3},
		"only the one that is named":        {"author:ann repo:x/y", 1},
		"only the org that is named":        {"ORG:x", 1},
		"leaving one out is not naming one": {"-repo:x/y", 3},
		"a text in quotes is not a name":    {`"repo:x/y"`, 3},
	} {
		got := shards(tt.query, repos)
		if len(got) != tt.want {
			t.Errorf("%s: %d searches, want %d", name, len(got), tt.want)
		}
		for _, q := range got {
			if n := strings.Count(q, ` repo:"o/`); tt.want > 1 && (n == 0 || n > reposPerSearch) {
				t.Errorf("%s: a search of %d repositories", name, n)
			}
		}
	}
	if got := shards("author:ann", nil); !slices.Equal(got, []string{"is:pr author:ann"}) {
		t.Errorf("without repositories: %q", got)
	}
}

type answers func(cursor string) (string, error)

func (a answers) Query(_ context.Context, _, _ string, variables map[string]any, out any) error {
	cursor := ""
	if c, _ := variables["cursor"].(*string); c != nil {
		cursor = *c
	}
	text, err := a(cursor)
	return errors.Join(json.Unmarshal([]byte(text), out), err)
}

const found = `{"number":%d,"title":"Fix","headRefOid":"abc","repository":{"name":"r","nameWithOwner":"o/r","owner":{"login":"o"}},"commits":{"nodes":[{"commit":{"oid":"abc","statusCheckRollup":{"contexts":{"nodes":[
  {"context":"ci","state":"failure","description":"No."},{"name":"lint","status":"IN_PROGRESS","detailsUrl":"u"},{"name":"a","status":"COMPLETED","conclusion":"NEUTRAL"},{"name":"b","status":"completed","conclusion":"TIMED_OUT"}]}}}}]}}`

func page(next string, nodes ...string) string {
	return fmt.Sprintf(`{"search":{"pageInfo":{"hasNextPage":%v,"endCursor":%q},"nodes":[%s]}}`, next != "", next, strings.Join(nodes, ","))
}

func TestASearchReadsAllPages(t *testing.T) {
	asked := []string{}
	items, more, err := Search(t.Context(), answers(func(cursor string) (string, error) {
		asked = append(asked, cursor)
		if cursor == "" {
			return page("2", fmt.Sprintf(found, 1), `{"number":9}`, `{}`), nil
		}
		return page("", fmt.Sprintf(found, 2)), nil
	}), "is:open", nil)
	if err != nil || more || len(items) != 2 || items[1].PullRequest.Number != 2 || !slices.Equal(asked, []string{"", "2"}) {
		t.Fatalf("%v %v %v, asked %q", items, more, err, asked)
	}
	want := []Context{{"ci", "No.", "FAILURE", ""}, {"lint", "u", "PENDING", "u"}, {"a", "", "SUCCESS", ""}, {"b", "", "TIMED_OUT", ""}}
	if !slices.Equal(items[0].Contexts, want) {
		t.Errorf("contexts %v", items[0].Contexts)
	}
}

func TestASearchEnds(t *testing.T) {
	n := 0
	many := make([]string, 60)
	for i := range many {
		many[i] = fmt.Sprintf(found, i+1)
	}
	items, more, err := Search(t.Context(), answers(func(string) (string, error) { n++; return page(fmt.Sprint(n), many...), nil }), "", nil)
	if len(items) != MaxResults || !more || err != nil {
		t.Errorf("%d found, more %v, %v", len(items), more, err)
	}
	n = 0
	items, _, err = Search(t.Context(), answers(func(string) (string, error) { n++; return page("same", many[0]), nil }), "", nil)
	if n != 2 || len(items) != 2 || err != nil {
		t.Errorf("a cursor that does not move was asked for %d times: %v", n, err)
	}
	items, _, err = Search(t.Context(), answers(func(string) (string, error) { return page("", many[0]), errors.New("org x wants more") }), "", nil)
	if len(items) != 1 || err == nil {
		t.Errorf("what came with an error: %d %v", len(items), err)
	}
}

// pull is a pull request of o/r by ann into main, with labels.
func pull(labels ...string) *PullRequest {
	pr := &PullRequest{Number: 1, HeadRefOID: "new"}
	pr.Author.Login, pr.BaseRef.Name, pr.Repository.Name, pr.Repository.NameWithOwner, pr.Repository.Owner.Login = "ann", "main", "r", "o/r", "o"
	for _, l := range labels {
		pr.Labels.Nodes = append(pr.Labels.Nodes, struct{ Label Label }{Label{Name: l}})
	}
	return pr
}

func TestWhatAPullRequestWaitsFor(t *testing.T) {
	q := func(change func(*config.TideQuery)) []config.TideQuery {
		out := config.TideQuery{Repos: []string{"o/r"}, Labels: []string{"lgtm", "fix,feature"}, MissingLabels: []string{"hold"}}
		if change != nil {
			change(&out)
		}
		return []config.TideQuery{out}
	}
	ready := func() *PullRequest { return pull("LGTM", "feature") }
	failed, running, passed := Job{Name: "unit", Outcome: Failed}, Job{Name: "e2e", Outcome: Running}, Job{Name: "lint", Outcome: Passed}
	for name, tt := range map[string]struct {
		pr      *PullRequest
		queries []config.TideQuery
		jobs    []Job
		code    string
		text    string
	}{
		"a repository without query":           {ready(), nil, nil, "no-query", "no query for o/r"},
		"an org of a query":                    {ready(), []config.TideQuery{{Orgs: []string{"o"}}}, []Job{passed}, "ready", "Everything passed"},
		"a repository that a query leaves out": {ready(), []config.TideQuery{{Orgs: []string{"o"}, ExcludedRepos: []string{"o/r"}}}, nil, "no-query", ""},
		"merged":                               {&PullRequest{Merged: true}, nil, nil, "merged", ""},
		"the author goes before the branch":    {ready(), q(func(q *config.TideQuery) { q.Author = "bob"; q.ExcludedBranches = []string{"main"} }), nil, "author", "of bob"},
		"the author in other letters":          {ready(), q(func(q *config.TideQuery) { q.Author = "@Ann" }), []Job{passed}, "ready", ""},
		"an excluded branch":                   {ready(), q(func(q *config.TideQuery) { q.ExcludedBranches = []string{"main"} }), nil, "branch", "branch main"},
		"another branch":                       {ready(), q(func(q *config.TideQuery) { q.IncludedBranches = []string{"v1"} }), nil, "branch", ""},
		"the milestone goes before conflicts":  {conflicting(ready()), q(func(q *config.TideQuery) { q.Milestone = "v2" }), nil, "milestone", "v2"},
		"a conflict goes before labels":        {conflicting(pull()), q(nil), nil, "conflict", ""},
		"labels are missing":                   {pull("feature"), q(nil), []Job{failed}, "labels", "It needs the label lgtm."},
		"one of two labels":                    {pull("lgtm"), q(nil), nil, "labels", "It needs the label fix or feature."},
		"labels are missing, and one is wrong": {pull("Hold"), q(nil), nil, "labels", "It needs the labels lgtm, fix or feature, and it must not have the label hold."},
		"a label is wrong":                     {pull("lgtm", "fix", "hold"), q(nil), nil, "labels", "It must not have the label hold."},
		"a review is missing":                  {ready(), q(func(q *config.TideQuery) { q.ReviewApprovedRequired = true }), nil, "review", ""},
		"a job failed":                         {ready(), q(nil), []Job{failed, running}, "jobs-failed", "Failed: unit."},
		"a job runs":                           {ready(), q(nil), []Job{running, passed}, "jobs-running", "Waits for e2e."},
		"nothing is known about jobs":          {ready(), q(nil), nil, "unknown", ""},
	} {
		got := Conclude(tt.pr, Matches(tt.pr, tt.queries), tt.jobs)
		if got.Code != tt.code || !strings.Contains(got.Sentence, tt.text) {
			t.Errorf("%s: %s, %q; want %s, %q", name, got.Code, got.Sentence, tt.code, tt.text)
		}
	}
}

func conflicting(pr *PullRequest) *PullRequest {
	pr.Mergeable = "CONFLICTING"
	return pr
}

func TestTheNearestQueryComesFirst(t *testing.T) {
	far := config.TideQuery{Repos: []string{"o/r"}, Labels: []string{"a", "b", "c"}}
	near := config.TideQuery{Repos: []string{"o/r"}, Labels: []string{"lgtm", "b"}}
	other := config.TideQuery{Repos: []string{"o/r"}, Labels: []string{"lgtm"}, IncludedBranches: []string{"v1"}}
	got := Matches(pull("lgtm"), []config.TideQuery{other, far, near})
	var order []string
	for _, m := range got {
		order = append(order, strings.Join(m.Query.Labels, "+"))
	}
	if !slices.Equal(order, []string{"lgtm+b", "a+b+c", "lgtm"}) || got[0].Fulfilled() || got[2].Fulfilled() {
		t.Errorf("order %q", order)
	}
}

func TestRunsAndContextsAreUnited(t *testing.T) {
	item := &Item{PullRequest: *pull(), Contexts: []Context{{Context: "tide", State: "PENDING"}, {Context: "unit", State: "PENDING"}, {Context: "old", State: "SUCCESS"}, {Context: "cla", State: "EXPECTED"}}}
	runs := []Run{
		{Job: "pull-unit", Context: "unit", SHA: "new", Base: "main", Outcome: Failed},
		{Job: "pull-unit", Context: "unit", SHA: "new", Base: "main", Outcome: Passed}, // the run before
		{Job: "pull-old", Context: "old", SHA: "before", Base: "main", Outcome: Failed},
		{Job: "pull-slow", Context: "slow", SHA: "before", Base: "main", Outcome: Running},
		{Job: "pull-v1", Context: "v1", SHA: "new", Base: "v1", Outcome: Failed},
	}
	var got []string
	for _, j := range Jobs(item, runs) {
		got = append(got, fmt.Sprintf("%s %v %v", j.Name, j.Outcome, j.Outdated))
	}
	if want := []string{"unit failed false", "slow running true", "cla passed false", "old passed false"}; !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add(`is:issue label:"a b" -repo:x`)
	f.Fuzz(func(t *testing.T, query string) {
		got := Normalize(query)
		if Normalize(got) != got || !strings.HasPrefix(got, "is:pr") {
			t.Errorf("%q becomes %q, and that %q", query, got, Normalize(got))
		}
	})
}
