package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

func TestSearch(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	robot := w.as("robot")
	c := w.clone("writer", "acme/app")
	pulls := map[string]int{}
	heads := map[string]string{}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		heads[name] = c.branch(name, name+".txt", name+"\n")
		pulls[name] = w.pull("writer", "acme/app", name, "main", "Pull "+name).GetNumber()
	}
	label := func(n int, names ...string) {
		t.Helper()
		if _, _, err := robot.Issues.AddLabelsToIssue(ctx, "acme", "app", n, names); err != nil {
			t.Fatal(err)
		}
	}
	label(pulls["alpha"], "lgtm", "approved")
	label(pulls["beta"], "lgtm", "do-not-merge/hold")
	if _, _, err := robot.PullRequests.Merge(ctx, "acme", "app", pulls["gamma"], "", nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.as("boss").PullRequests.CreateReview(ctx, "acme", "app", pulls["alpha"], &github.PullRequestReviewRequest{Event: github.Ptr("APPROVE")}); err != nil {
		t.Fatal(err)
	}
	bug, _, err := w.as("dev").Issues.Create(ctx, "acme", "app", &github.IssueRequest{Title: github.Ptr("Broken branch:main"), Body: github.Ptr("needs 100% care")})
	if err != nil {
		t.Fatal(err)
	}
	label(bug.GetNumber(), "tide/merge-blocker")
	if _, _, err := w.as("boss").Issues.Create(ctx, "acme", "safe", &github.IssueRequest{Title: github.Ptr("Secret")}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		q    string
		as   string
		want string // titles, sorted
	}{
		"pull requests":                          {q: "is:pr", want: "Pull alpha,Pull beta,Pull gamma"},
		"open pull requests of a repository":     {q: "is:pr is:open repo:acme/app", want: "Pull alpha,Pull beta"},
		"state and type as words":                {q: "type:pr state:closed", want: "Pull gamma"},
		"merged":                                 {q: "is:merged org:acme author:writer", want: "Pull gamma"},
		"closed but not merged":                  {q: "is:pr is:unmerged", want: ""},
		"issues":                                 {q: "is:issue", want: "Broken branch:main"},
		"a member sees private repositories":     {q: "is:issue", as: "dev", want: "Broken branch:main,Secret"},
		"blockers":                               {q: `is:issue state:open label:"tide/merge-blocker" org:"acme"`, want: "Broken branch:main"},
		"all labels":                             {q: "is:pr label:lgtm label:approved", want: "Pull alpha"},
		"one of several labels":                  {q: "label:approved,do-not-merge/hold", want: "Pull alpha,Pull beta"},
		"without a label":                        {q: "is:pr is:open label:lgtm -label:do-not-merge/hold", want: "Pull alpha"},
		"labels do not mind case":                {q: "label:LGTM", want: "Pull alpha,Pull beta"},
		"two repositories":                       {q: "is:issue repo:acme/app repo:acme/safe", as: "dev", want: "Broken branch:main,Secret"},
		"an organisation but not one repository": {q: "org:acme -repo:acme/safe is:issue", as: "dev", want: "Broken branch:main"},
		"approved by review":                     {q: "is:pr review:approved", want: "Pull alpha"},
		"not yet reviewed":                       {q: "is:pr is:open review:none", want: "Pull beta"},
		"by head branch":                         {q: "is:pr head:beta", want: "Pull beta"},
		"by base branch":                         {q: "is:pr is:open base:main", want: "Pull alpha,Pull beta"},
		"by another base branch":                 {q: "is:pr base:release", want: ""},
		"drafts":                                 {q: "is:pr draft:true", want: ""},
		"no drafts":                              {q: "is:pr is:open draft:false", want: "Pull alpha,Pull beta"},
		"words in title and body":                {q: "care is:issue", want: "Broken branch:main"},
		"a percent sign is not a pattern":        {q: `"100% care"`, want: "Broken branch:main"},
		"by commit":                              {q: "HEAD-alpha repo:acme/app type:pr state:open", want: "Pull alpha"},
		"by time":                                {q: "is:pr is:open updated:2007-01-01T00:00:00Z..2099-01-01T00:00:00Z archived:false", want: "Pull alpha,Pull beta"},
		"before everything":                      {q: "is:pr updated:<2010-01-01", want: ""},
		"since a day":                            {q: "is:open is:pr created:>=2010-01-01", want: "Pull alpha,Pull beta"},
		"an open end":                            {q: "is:open is:pr updated:2010-01-01..*", want: "Pull alpha,Pull beta"},
		"the unknown author":                     {q: "author:nobody-here", want: ""},
		"several authors":                        {q: "is:open author:writer author:dev", want: "Broken branch:main,Pull alpha,Pull beta"},
		"nothing assigned":                       {q: "is:pr is:open no:assignee no:milestone", want: "Pull alpha,Pull beta"},
		"quotes around the repository":           {q: `is:pr is:open repo:"acme/app"`, want: "Pull alpha,Pull beta"},
		"a stranger's injection":                 {q: `author:"x') OR 1=1 --"`, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			as := tc.as
			if as == "" {
				as = "stranger"
			}
			res, _, err := w.as(as).Search.Issues(ctx, strings.ReplaceAll(tc.q, "HEAD-alpha", heads["alpha"]), nil)
			if err != nil {
				t.Fatal(err)
			}
			var titles []string
			for _, i := range res.Issues {
				titles = append(titles, i.GetTitle())
			}
			slices.Sort(titles)
			if got := strings.Join(titles, ","); got != tc.want || res.GetTotal() != len(titles) {
				t.Errorf("%s: got %q (%d), want %q", tc.q, got, res.GetTotal(), tc.want)
			}
		})
	}
	order := func(q string, opts *github.SearchOptions) string {
		res, _, err := w.as("stranger").Search.Issues(ctx, q, opts)
		if err != nil {
			t.Fatal(err)
		}
		var n []string
		for _, i := range res.Issues {
			n = append(n, fmt.Sprint(i.GetNumber()))
		}
		return strings.Join(n, " ")
	}
	if got := order("is:pr sort:created-asc", nil); got != "1 2 3" {
		t.Errorf("sort:created-asc: %s", got)
	}
	if got := order("is:pr", &github.SearchOptions{Sort: "created", Order: "desc"}); got != "3 2 1" {
		t.Errorf("created desc: %s", got)
	}
	label(pulls["beta"], "late")
	if got := order("is:pr is:open sort:updated-asc", nil); got != "1 2" {
		t.Errorf("sort:updated-asc: %s", got)
	}
	for _, q := range []string{"is:wat", "frob:x", "updated:yesterday", "sort:karma", strings.Repeat("a", 5000)} {
		_, _, err := w.as("stranger").Search.Issues(ctx, q, nil)
		wantErr(t, err, 422, "Validation Failed")
	}
}

func FuzzParseSearch(f *testing.F) {
	for _, s := range []string{`is:pr repo:"a/b" -label:"x y" word`, `"`, `-`, `a:`, `:b`, `-:`, "a:\"b\\\"c", `label:a,b,`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, q string) {
		terms, err := parseSearch(q)
		if err != nil {
			return
		}
		for _, term := range terms {
			if term.Value == "" {
				t.Errorf("empty term in %q", q)
			}
		}
		s, err := compile(terms, &account{Login: "me"})
		if err != nil {
			return
		}
		for _, c := range s.where {
			if strings.Count(c.sql, "?") != len(c.args) {
				t.Errorf("%q: %q has %d arguments", q, c.sql, len(c.args))
			}
		}
	})
}
