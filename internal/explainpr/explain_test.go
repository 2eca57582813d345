package explainpr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/approve"
	"prow/internal/plugins/hold"
	"prow/internal/plugins/plugintest"
	"prow/internal/statusdesc"
)

func TestParsePull(t *testing.T) {
	for s, ok := range map[string]bool{
		"kubernetes/kubernetes#123": true, "o/a.b-c_d#1": true, "o/r": false, "o/r#0": false, "o/r#x": false, "r#1": false, "o/r/s#1": false, "o/r#99999999999": false, "https://github.com/o/r/pull/1": false,
	} {
		if _, _, _, err := ParsePull(s); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestMissing(t *testing.T) {
	pr := &github.PullRequest{User: github.User{Login: "alice"}}
	pr.Base.Ref = "main"
	labels := []github.Label{{Name: "LGTM"}, {Name: "do-not-merge/hold"}}
	for name, tc := range map[string]struct {
		query config.TideQuery
		want  string
	}{
		"nothing is asked for":      {config.TideQuery{}, ""},
		"labels in any case":        {config.TideQuery{Labels: []string{"lgtm"}}, ""},
		"one of several labels":     {config.TideQuery{Labels: []string{"approved,lgtm"}}, ""},
		"a label that is missing":   {config.TideQuery{Labels: []string{"approved,cherry"}}, "it needs the label approved or cherry"},
		"a label that must not be":  {config.TideQuery{MissingLabels: []string{"do-not-merge/hold", "x"}}, "it must not have the label do-not-merge/hold"},
		"another branch":            {config.TideQuery{IncludedBranches: []string{"release"}}, "branch main is not open for merging"},
		"a branch that is left out": {config.TideQuery{ExcludedBranches: []string{"main"}}, "branch main is not open for merging"},
		"another author":            {config.TideQuery{Author: "bob"}, "the author must be bob"},
		"a milestone":               {config.TideQuery{Milestone: "v1"}, "it must be in milestone v1"},
		"a review":                  {config.TideQuery{ReviewApprovedRequired: true}, "it needs an approving review, which only Tide looks up"},
	} {
		if got := strings.Join(missing(&tc.query, pr, labels), "; "); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{
		Plugin: hold.New(), Config: "tide: {queries: [{repos: [o/r], labels: [approved], missingLabels: [do-not-merge/hold]}]}",
		Plugins: "plugins: {o: {plugins: [approve, hold, panics, unknown]}}\nexternal_plugins: {o/r: [{name: needs-rebase}]}",
	})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "A change", "/hold")
	head := w.Head("change")
	w.Status(head, "tide", "pending")
	w.Status(head, "unit", "failure")
	panics := &plugins.Plugin{Name: "panics", Explain: func(context.Context, *plugins.Agent, *github.PullRequest) ([]plugins.Explanation, error) {
		panic("boom")
	}}
	agent := w.Agent("explain")
	x := &explainer{
		forge: agent.GitHub, config: w.Config, plugins: w.Plugins, agent: func(string) *plugins.Agent { return agent },
		known:    map[string]*plugins.Plugin{"approve": approve.New(), "hold": hold.New(), "panics": panics},
		external: map[string]*plugins.Plugin{"needs-rebase": {Labels: []plugins.ManagedLabel{{Name: "needs-rebase", Absent: "it can be merged"}}}},
	}
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[{"Org":"o","Repo":"other","Reasons":[{"Number":%[1]d,"SHA":"%[2]s","Sentence":"wrong"}]},{"Org":"o","Repo":"r","Reasons":[{"Number":%[1]d,"SHA":"older","Sentence":"wrong"}],
			"Refused":[{"Number":%[1]d,"SHA":"%[2]s","State":"pending","Code":"contexts","Sentence":"Not mergeable: context unit must pass.","Links":["https://prow.example/view/7"]}]}]`, n, head)
	}))
	defer tide.Close()
	x.ask = func(ctx context.Context, org, repo, head string, number int) (*Reason, error) {
		return askTide(ctx, tide.URL, org, repo, head, number)
	}
	r, err := x.explain(t.Context(), plugintest.Org, plugintest.Repo, n)
	if err != nil {
		t.Fatal(err)
	}
	got := text(r, false)
	for _, want := range []string{
		"o/r#", "A change", "open, by eve, to main",
		"\ntide\n", "! it needs the label approved", "! it must not have the label do-not-merge/hold", "! Not mergeable: context unit must pass.", "https://prow.example/view/7", "context unit is failure",
		"\napprove\n", "! OWNERS needs the approval of one of its owners", "who can approve what is missing: alice",
		"\nhold\n", "label do-not-merge/hold: somebody holds",
		"\npanics\n  ? panic: boom", "\nunknown\n  ? this program has no such plugin", "needs-rebase (external)", "it can be merged",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	w.Comment("alice", n, "/approve")
	r, err = x.explain(t.Context(), plugintest.Org, plugintest.Repo, n)
	if err != nil || !strings.Contains(text(r, false), "OWNERS is approved by alice") {
		t.Errorf("after the approval: %v\n%s", err, text(r, false))
	}
	tide.Close()
	if r, err = x.explain(t.Context(), plugintest.Org, plugintest.Repo, n); err != nil || !strings.Contains(text(r, false), "? asking Tide") {
		t.Errorf("where Tide does not answer: %v\n%s", err, text(r, false))
	}
	if raw, err := json.Marshal(r); err != nil || !strings.Contains(string(raw), `"plugins":[{"name":"approve"`) {
		t.Errorf("%s, %v", raw, err)
	}
	if _, err := x.explain(t.Context(), plugintest.Org, plugintest.Repo, 999); !github.IsNotFound(err) && !errors.Is(err, context.Canceled) {
		t.Errorf("a pull request that is not there: %v", err)
	}
}

func TestTheStatusIsTheReasonWhereTideIsNotAsked(t *testing.T) {
	sha := strings.Repeat("a", 40)
	statuses := &github.CombinedStatus{Statuses: []github.Status{{Context: "unit", State: "failure", Description: "no"}, {Context: "tide", State: "pending", Description: statusdesc.Description("Waits.", sha)}}}
	if r := statusReason(statuses); r == nil || r.Sentence != "Waits." || r.State != "pending" {
		t.Errorf("%+v", r)
	}
	statuses.Statuses[1].Description = ""
	if r := statusReason(statuses); r != nil {
		t.Errorf("a status that says nothing is no reason: %+v", r)
	}
}

func TestWords(t *testing.T) {
	sha := strings.Repeat("a", 40)
	for _, text := range []string{"Job triggered.", strings.Repeat("x", 200)} {
		if got := words(statusdesc.Description(text, sha)); strings.Contains(got, sha) || strings.Contains(got, "BaseSHA") || !strings.HasPrefix(got, text[:10]) || strings.TrimSpace(got) != got {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := words("Not mergeable."); got != "Not mergeable." {
		t.Error(got)
	}
}
