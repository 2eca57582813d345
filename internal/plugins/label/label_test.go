package label

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestWishes(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want wish
	}{
		"several names":                        {"/kind bug Cleanup bug", wish{add: []string{"kind/bug", "kind/cleanup"}}},
		"the verb is in lower case":            {"/KIND bug", wish{}},
		"an end of line of the web":            {"/kind bug\r\n/remove-sig  net\r\n", wish{add: []string{"kind/bug"}, remove: []string{"sig/net"}}},
		"a name is in the same line":           {"/area\n/kind bug", wish{add: []string{"kind/bug"}}},
		"a longer word is another":             {"/kindness x", wish{}},
		"nothing is missing between the words": {"/kindbug", wish{}},
		"one label":                            {"/label X", wish{addListed: []string{"x"}}},
		"two labels are none":                  {"/label x y", wish{}},
		"taking one":                           {"/remove-label x", wish{removeListed: []string{"x"}}},
		"labels are not label":                 {"/labels x", wish{}},
		"a command begins its line":            {"now /kind bug", wish{}},
	} {
		if got := wishOf(tc.text); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %q: got %+v, want %+v", name, tc.text, got, tc.want)
		}
	}
}

func labels(names string) set {
	var all []github.Label
	for _, name := range strings.Fields(names) {
		all = append(all, github.Label{Name: name})
	}
	return setOf(all)
}

func TestDecision(t *testing.T) {
	const repo = "kind/Bug kind/x area/x needs-kind needs-sig sig/net"
	for name, tc := range map[string]struct {
		text, repo, issue string
		want              plan
		needs             []string
	}{
		"the repository's spelling is added": {"/kind bug", repo, "", plan{add: []string{"kind/Bug"}}, nil},
		"what is there is not added":         {"/kind bug", repo, "KIND/bug", plan{}, nil},
		"what the repository lacks is told":  {"/kind y", repo, "", plan{notInRepo: []string{"kind/y"}}, nil},
		"what is not set cannot be taken":    {"/remove-kind bug", repo, "", plan{notOnItem: []string{"kind/bug"}}, nil},
		"the last one leaves a need":         {"/remove-kind bug", repo, "kind/bug", plan{remove: []string{"kind/bug"}}, []string{"needs-kind"}},
		"not if another stays":               {"/remove-kind bug", repo, "kind/bug kind/x", plan{remove: []string{"kind/bug"}}, nil},
		"not if another comes":               {"/remove-kind bug\n/kind x", repo, "kind/bug", plan{add: []string{"kind/x"}, remove: []string{"kind/bug"}}, nil},
		"not for areas":                      {"/remove-area x", repo + " needs-area", "area/x", plan{remove: []string{"area/x"}}, nil},
		"not if the repository has no need":  {"/remove-kind bug", "kind/bug", "kind/bug", plan{remove: []string{"kind/bug"}}, nil},
		"not if it is there":                 {"/remove-kind bug", repo, "kind/bug needs-kind", plan{remove: []string{"kind/bug"}}, nil},
		"each category by itself":            {"/remove-kind bug\n/remove-sig net", repo, "kind/bug sig/net", plan{remove: []string{"kind/bug", "sig/net"}}, []string{"needs-kind", "needs-sig"}},
		"taking wins over setting":           {"/kind bug\n/remove-kind bug", repo, "kind/bug", plan{remove: []string{"kind/bug"}}, []string{"needs-kind"}},
		"one that the repository lost goes":  {"/remove-kind z", repo, "kind/z kind/x", plan{remove: []string{"kind/z"}}, nil},
	} {
		got := decide(wishOf(tc.text), labels(tc.repo), labels(tc.issue))
		if needs := got.needs(labels(tc.repo), labels(tc.issue)); !reflect.DeepEqual(got, tc.want) || !reflect.DeepEqual(needs, tc.needs) {
			t.Errorf("%s: got %+v, needs %q, want %+v, %q", name, got, needs, tc.want, tc.needs)
		}
	}
}

func TestRefusalsNameNotAlwaysTheSame(t *testing.T) {
	r := pluginconfig.RestrictedLabel{Label: "x"}
	if got := refusal(r, 3); !strings.Contains(got, "nobody") {
		t.Error(got)
	}
	for i := range 30 {
		r.AllowedUsers = append(r.AllowedUsers, fmt.Sprint("u", i))
	}
	one, other := refusal(r, 1), refusal(r, 25)
	if !strings.Contains(one, "by `u1`, `u2`") || !strings.Contains(other, "by `u25`") || !strings.Contains(other, "`u0`") || !strings.Contains(one, "and 10 more") || strings.Count(one, "`u") != maxNamed {
		t.Errorf("%s\n%s", one, other)
	}
	r.AllowedTeams = []string{"team"}
	if got := refusal(r, 1); !strings.Contains(got, "`team`") || strings.Contains(got, "u1") {
		t.Error(got)
	}
}

func FuzzWishes(f *testing.F) {
	f.Add("/kind bug\r\n/remove-label x")
	f.Add("/area " + strings.Repeat("\u202e ", 1<<15))
	f.Add("/triage `@eve`\u0085accepted")
	f.Fuzz(func(t *testing.T, text string) {
		w, _ := wishOf(plugins.CommandText(text)).supported([]string{"x"}, nil)
		p := decide(w, set{}, set{})
		for _, says := range p.problems(nil, nil) {
			if strings.Count(says, "`")%2 != 0 || strings.Contains(says, "\n") {
				t.Errorf("%q is not quoted", says)
			}
		}
	})
}

func TestProbe26_Labels(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: `
label:
  additional_labels: [api-review]
  restricted_labels:
    o/r:
    - {label: Secret, allowed_teams: [sticky-ones], assign_on: [{label: call}], allowed_users: [BOB]}
`})
	w.RepoLabels("kind/bug", "kind/cleanup", "needs-kind", "triage/accepted", "api-review", "secret", "call", "area/x")
	n := w.Issue("eve", "T", "/kind bug cleanup")
	w.WantLabels(n, "kind/bug,kind/cleanup")
	w.Comment("eve", n, "/remove-kind bug")
	w.WantLabels(n, "kind/cleanup")
	w.Comment("eve", n, "/remove-kind cleanup")
	w.WantLabels(n, "needs-kind")
	w.HandleAgain("issue_comment")
	w.WantLabels(n, "needs-kind")
	w.WantComments(n)
	w.Comment("eve", n, "<!-- a\r\n/area x\r\n-->")
	w.WantLabels(n, "needs-kind")
	w.WantComments(n)

	w.Comment("eve", n, "/triage accepted")
	w.WantComments(n, "@eve: The label `triage/accepted` can only be set by members")
	w.Comment("alice", n, "/triage accepted\n/label api-review")
	w.WantLabels(n, "api-review,needs-kind,triage/accepted")
	w.Comment("eve", n, "/label x")
	w.WantComments(n, "triage/accepted", "do not know `x`. It knows `Secret`, `api-review`.")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "triage/accepted", "do not know")

	pr := w.Issue("eve", "T", "/area y\n/remove-area x\n/label secret")
	w.WantLabels(pr, "")
	w.WantComments(pr, "The label `Secret` can only be set or taken by members of the teams `sticky-ones`.\n\nThis repository has no label `area/y`, so it cannot be added.\n\nThe label `area/x` is not set")
	w.Comment("bob", pr, "/label SECRET")
	w.WantLabels(pr, "secret")
	w.Comment("eve", pr, "/remove-label secret")
	w.WantLabels(pr, "secret")
	w.Comment("alice", pr, "/remove-label secret")
	w.WantLabels(pr, "")
}

func TestALabelCallsThoseWhoMaySetAnother(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "label: {restricted_labels: {o: [{label: secret, assign_on: [{label: Call}], allowed_users: [bob, alice]}]}}"})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.AddLabel("boss", n, "other")
	w.WantAssignees(n, "")
	w.AddLabel("boss", n, "call")
	w.WantAssignees(n, "alice,bob")
	w.HandleAgain("pull_request/labeled")
	w.WantAssignees(n, "alice,bob")
}
