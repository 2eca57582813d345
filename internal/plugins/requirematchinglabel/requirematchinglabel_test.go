package requirematchinglabel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func load(t *testing.T, text string) []pluginconfig.RequireMatchingLabel {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := pluginconfig.Load(t.Context(), pluginconfig.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.RequireMatchingLabel
}

func TestRules(t *testing.T) {
	all := load(t, `
require_matching_label:
- {org: o, issues: true, regexp: ^kind/, missing_label: issues}
- {org: o, repo: r, prs: true, regexp: ^sig/, missing_label: prs}
- {org: o, prs: true, branch: release, regexp: ^kind/, missing_label: release, grace_period: 90s}
- {org: p, issues: true, prs: true, regexp: ^z, missing_label: other}
`)
	for name, tc := range map[string]struct {
		s    subject
		want string
		wait time.Duration
	}{
		"an issue":                       {subject{org: "o", repo: "r"}, "issues", 5 * time.Second},
		"a pull request":                 {subject{org: "o", repo: "r", isPR: true, branch: "main"}, "prs", 5 * time.Second},
		"a pull request to a branch":     {subject{org: "o", repo: "r", isPR: true, branch: "release"}, "prs release", maxWait},
		"one of another repository":      {subject{org: "o", repo: "q", isPR: true, branch: "release"}, "release", maxWait},
		"a label that matters":           {subject{org: "o", repo: "r", label: "kind/x"}, "issues", 5 * time.Second},
		"a label that does not":          {subject{org: "o", repo: "r", label: "area/x"}, "", 0},
		"one that matters for some":      {subject{org: "o", repo: "r", isPR: true, branch: "release", label: "sig/x"}, "prs", 5 * time.Second},
		"nothing is asked in other orgs": {subject{org: "q", repo: "r"}, "", 0},
	} {
		var got []string
		rules := rulesFor(all, tc.s)
		for _, r := range rules {
			got = append(got, r.MissingLabel)
		}
		if !slices.Equal(got, strings.Fields(tc.want)) || grace(rules) != tc.wait {
			t.Errorf("%s: got %q, wait %s", name, got, grace(rules))
		}
	}
}

func TestDecision(t *testing.T) {
	r := &load(t, "require_matching_label: [{org: o, issues: true, regexp: ^kind/, missing_label: needs-kind}]")[0]
	for name, tc := range map[string]struct {
		labels string
		want   verdict
	}{
		"nothing":                   {"", nowMissing},
		"others":                    {"area/kind/x", nowMissing},
		"told":                      {"Needs-Kind", fine},
		"there":                     {"kind/bug", fine},
		"there, and told otherwise": {"kind/bug needs-kind", nowThere},
	} {
		var labels []github.Label
		for _, name := range strings.Fields(tc.labels) {
			labels = append(labels, github.Label{Name: name})
		}
		if got := decide(r, labels); got != tc.want {
			t.Errorf("%s: got %d", name, got)
		}
	}
}

const config = "require_matching_label: [{org: o, issues: true, prs: true, regexp: ^kind/, missing_label: needs-kind, missing_comment: 'What kind?', grace_period: 7s}]"

func TestProbe34_RequiredLabels(t *testing.T) {
	t.Parallel()
	var waited []time.Duration
	meanwhile := func() {}
	w := plugintest.New(t, plugintest.Options{Plugins: config, Plugin: newPlugin(func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		meanwhile()
		return nil
	})})
	n := w.Issue("eve", "T", "")
	if !slices.Equal(waited, []time.Duration{7 * time.Second}) {
		t.Errorf("waited %v", waited)
	}
	w.WantLabels(n, "needs-kind")
	w.WantComments(n, "What kind?")
	w.HandleAgain("issues/opened")
	w.WantComments(n, "What kind?")
	w.AddLabel("boss", n, "kind/bug")
	w.WantLabels(n, "kind/bug")
	w.WantComments(n)
	w.RemoveLabel("boss", n, "kind/bug")
	w.WantLabels(n, "needs-kind")
	w.RemoveLabel("boss", n, "needs-kind")
	w.WantLabels(n, "")
	if len(waited) != 2 {
		t.Errorf("events about labels wait for nothing, waited %v", waited)
	}
	w.Comment("eve", n, "/check-required-labels\r\n")
	w.WantLabels(n, "needs-kind")

	meanwhile = func() {
		if _, _, err := w.As("boss").Issues.AddLabelsToIssue(t.Context(), "o", "r", n+1, []string{"kind/bug"}); err != nil {
			t.Error(err)
		}
	}
	w.Push("change", map[string]string{"x": "y"})
	pr := w.Pull("eve", "change", "T", "")
	w.WantLabels(pr, "kind/bug") // set by others in time
	w.WantComments(pr)
}

func TestTheEndOfTheContextEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := sleep(t.Context(), 0); err != nil {
		t.Error(err)
	}
}

func TestAskedLabelsAreExplained(t *testing.T) {
	a := &plugins.Agent{Plugins: &pluginconfig.Configuration{RequireMatchingLabel: load(t, config)}}
	pr := &github.PullRequest{}
	pr.Base.Repo.Owner.Login = "o"
	if got, err := explain(t.Context(), a, pr); len(got) != 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	pr.Labels = []github.Label{{Name: "needs-kind"}}
	if got, err := explain(t.Context(), a, pr); len(got) != 1 || !got[0].Waits || !strings.Contains(got[0].Text, "^kind/") || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
