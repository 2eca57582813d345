package approve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

func TestCommands(t *testing.T) {
	for text, want := range map[string]string{
		"/approve":                            "[{1 Approved}]",
		"/APPROVE\r\n":                        "[{1 Approved}]",
		"text\n/approve no-issue ":            "[{2 Approved}]",
		"/approve cancel":                     "[{3 Approved}]",
		"/approve please cancel":              "[{3 Approved}]",
		"/approve cancellation policy":        "[{1 Approved}]",
		"/remove-approve":                     "[{3 Approved}]",
		"/remove-approve no-issue":            "[{3 Approved}]",
		"/approve\n/approve cancel":           "[{1 Approved} {3 Approved}]",
		"/lgtm":                               "[]",
		"/remove-approve\n/lgtm":              "[{3 Approved}]",
		"/approved":                           "[]",
		"> /approve":                          "[]",
		" /approve":                           "[]",
		"/approve no-issue because it is one": "[{1 Approved}]",
	} {
		if got := fmt.Sprint(commandsOf(text, false)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if got := fmt.Sprint(commandsOf("/lgtm\n/lgtm cancel", true)); got != "[{1 LGTM} {3 LGTM}]" {
		t.Errorf("with lgtm as approval: %s", got)
	}
}

func TestCollect(t *testing.T) {
	yes := true
	for name, tc := range map[string]struct {
		remarks []remark
		cfg     pluginconfig.Approve
		want    string
	}{
		"authors approve by opening":              {nil, pluginconfig.Approve{}, "Ann:Author self-approved:url#"},
		"unless they must say so":                 {nil, pluginconfig.Approve{RequireSelfApproval: &yes}, ""},
		"authors withdraw":                        {[]remark{{login: "ann", body: "/approve cancel"}}, pluginconfig.Approve{}, ""},
		"the last word counts":                    {[]remark{{login: "Bob", body: "/approve", url: "1"}, {login: "bob", body: "/remove-approve"}, {login: "bob", body: "/approve", url: "2"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, "bob:Approved:2"},
		"a plain approval does not take a waiver": {[]remark{{login: "bob", body: "/approve no-issue", url: "1"}, {login: "bob", body: "/approve", url: "2"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, "bob:Approved:1!"},
		"a withdrawal takes it":                   {[]remark{{login: "bob", body: "/approve no-issue"}, {login: "bob", body: "/approve cancel\n/approve", url: "2"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, "bob:Approved:2"},
		"a review approves":                       {[]remark{{login: "bob", state: "APPROVED", url: "r"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, "bob:Approved:r"},
		"a review asks for changes":               {[]remark{{login: "bob", state: "APPROVED"}, {login: "bob", state: "CHANGES_REQUESTED"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, ""},
		"reviews that were dismissed say nothing": {[]remark{{login: "bob", state: "DISMISSED"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, ""},
		"reviews can be ignored":                  {[]remark{{login: "bob", state: "APPROVED"}}, pluginconfig.Approve{RequireSelfApproval: &yes, IgnoreReviewState: &yes}, ""},
		"the command of a review decides":         {[]remark{{login: "bob", state: "APPROVED", body: "/approve cancel"}}, pluginconfig.Approve{RequireSelfApproval: &yes}, ""},
	} {
		var got []string
		for _, a := range collect("Ann", "url", tc.remarks, tc.cfg) {
			text := a.Login + ":" + a.How + ":" + a.Reference
			if a.NoIssue {
				text += "!"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestRemarksAreInOrderAndWithoutPrograms(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	user := func(login, kind string) github.User { return github.User{Login: login, Type: kind} }
	got := remarks(
		[]github.IssueComment{{User: user("a", "User"), CreatedAt: at(3)}, {User: user("bot", "User"), CreatedAt: at(1)}, {User: user("robot", "Bot"), CreatedAt: at(4)}},
		[]github.ReviewComment{{User: user("b", "User"), CreatedAt: at(1)}},
		[]github.Review{{User: user("c", "User"), SubmittedAt: at(2), State: "approved"}, {User: user("robot", "Bot"), SubmittedAt: at(2)}},
		func(u github.User) bool { return u.Login == "bot" })
	var logins []string
	for _, r := range got {
		logins = append(logins, r.login+r.state)
	}
	if want := "b cAPPROVED a robot"; strings.Join(logins, " ") != want {
		t.Errorf("got %q, want %q", logins, want)
	}
}

func TestIssues(t *testing.T) {
	for body, want := range map[string]int{
		"fixes #12 and #13": 12, "see https://github.com/o/other/issues/7": 7, "https://github.com/p/other/issues/7": 0, "": 0, "#": 0, "#99999999999999999999": 0,
	} {
		if got := issueOf("o", body); got != want {
			t.Errorf("%q: got %d, want %d", body, got, want)
		}
	}
	if issueOf("a.b", "axb/r/issues/3") != 0 {
		t.Error("the name of an org is no expression")
	}
}

func FuzzCommands(f *testing.F) {
	f.Add("/approve cancel\r\n/lgtm no-issue")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range commandsOf(text, true) {
			if c.opinion == 0 || c.how == "" {
				t.Errorf("%q has a command without a meaning", text)
			}
		}
		issueOf("o", text)
	})
}
