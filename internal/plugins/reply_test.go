package plugins_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestCommentsOfTheBot(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: &plugins.Plugin{Name: "hold"}})
	a, ctx := w.Agent("delivery"), t.Context()
	n := w.Issue("eve", "T", "")
	w.Comment("eve", n, "mark: one") // somebody else's words are not the bot's
	once := func(text string) {
		t.Helper()
		if err := a.SayOnce(ctx, plugintest.Org, plugintest.Repo, n, text); err != nil {
			t.Fatal(err)
		}
	}
	keep := func(text string) {
		t.Helper()
		if err := a.KeepComment(ctx, plugintest.Org, plugintest.Repo, n, "mark", text); err != nil {
			t.Fatal(err)
		}
	}
	once("mark: one")
	once("mark: one\r\n")
	once("mark: two")
	w.WantComments(n, "mark: one", "mark: two")
	second := w.Comments(n)[2].ID
	keep("mark: two")
	w.WantComments(n, "mark: two")
	if got := w.Comments(n); got[1].ID != second {
		t.Error("the comment that says the same stays")
	}
	keep("mark: three")
	w.WantComments(n, "mark: three")
	once("other")
	keep("")
	w.WantComments(n, "other")
	if got := w.Comments(n); len(got) != 2 {
		t.Errorf("comments %+v, want eve's and one of the bot", got)
	}
}

func TestLabelsAreWrittenOnlyWhereTheyDiffer(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: &plugins.Plugin{Name: "hold"}})
	n := w.Issue("eve", "T", "")
	for _, tc := range []struct {
		label  string
		wanted bool
		used   bool
		want   string
	}{{"Kind", true, true, "Kind"}, {"kind", true, false, "Kind"}, {"kind", false, true, ""}, {"kind", false, false, ""}} {
		labels, err := w.Agent("").IssueLabels(t.Context(), plugintest.Org, plugintest.Repo, n)
		if err != nil {
			t.Fatal(err)
		}
		a := w.Agent("")
		if err := a.SetLabel(t.Context(), plugintest.Org, plugintest.Repo, n, labels, tc.label, tc.wanted); err != nil || a.GitHub.Used() != tc.used {
			t.Errorf("%+v: used %v, error %v", tc, a.GitHub.Used(), err)
		}
		w.WantLabels(n, tc.want)
	}
}

func FuzzReply(f *testing.F) {
	f.Add("@eve\n/hold\r\n<!-- x", "@bob")
	f.Add(strings.Repeat("\n/approve @x\u202e", 5000), "m")
	f.Fuzz(func(t *testing.T, body, word string) {
		reply := plugins.Reply(body, "link", "login", "about "+plugins.Code(word))
		if utf8.ValidString(body) && utf8.ValidString(word) && !utf8.ValidString(reply) {
			t.Error("a character is cut")
		}
		for _, line := range strings.Split(reply, "\n") {
			if strings.HasPrefix(line, "/") {
				t.Errorf("%q is a command", line)
			}
		}
		if code := plugins.Code(word); strings.Count(code, "`") != 2 || strings.ContainsAny(code, "\r\n") {
			t.Errorf("%q can be left", code)
		}
	})
}
