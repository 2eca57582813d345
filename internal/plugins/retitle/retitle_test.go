package retitle

import (
	"strings"
	"testing"

	"prow/internal/plugins/plugintest"
)

func TestTitles(t *testing.T) {
	for name, tc := range map[string]struct{ text, title, refusal string }{
		"a title":                              {"/retitle New title", "New title", ""},
		"blanks around it":                     {"/Retitle \t New  title \r\nmore", "New  title", ""},
		"no title":                             {"/retitle\nNext line", "", "empty"},
		"nothing but blanks":                   {"/retitle  \r\n", "", "empty"},
		"the first counts":                     {"/retitle a\n/retitle b", "a", ""},
		"an issue that would be closed":        {"/retitle Fixes #1", "Fixes #1", "close an issue"},
		"a mere mention":                       {"/retitle After #1", "After #1", ""},
		"too long":                             {"/retitle " + strings.Repeat("ä", 257), strings.Repeat("ä", 257), "256"},
		"as long as can be":                    {"/retitle " + strings.Repeat("ä", 256), strings.Repeat("ä", 256), ""},
		"what looks like a command is a title": {"/retitle /close", "/close", ""},
	} {
		title := strings.TrimSpace(commandRe.FindStringSubmatch(tc.text)[1])
		if got := decide(title); title != tc.title || (got == "") != (tc.refusal == "") || !strings.Contains(got, tc.refusal) {
			t.Errorf("%s: title %q, refusal %q", name, title, got)
		}
	}
	for _, text := range []string{"/retitles x", "please /retitle x", "/retitlex"} {
		if commandRe.MatchString(text) {
			t.Errorf("%q is no command", text)
		}
	}
}

func TestProbe32_Retitle(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	n := w.Issue("eve", "Old", "")
	w.Comment("bob", n, "/retitle fixes #1")
	w.WantTitle(n, "Old")
	w.WantComments(n, "@bob: A title cannot hold words that would close an issue.")
	w.Comment("bob", n, "/retitle New\r\n")
	w.WantTitle(n, "New")
	w.Comment("eve", n, "/retitle Mine")
	w.WantTitle(n, "New")
	w.WantComments(n, "close an issue", "@eve: Only trusted users can change titles: user is not a member")
	w.CloseIssue("boss", n)
	w.Comment("eve", n, "/retitle Late")
	w.Comment("bob", n, "/retitle Late")
	w.WantTitle(n, "New")
	w.WantComments(n, "close an issue", "@eve")

	w.Push("change", map[string]string{"x": "y"})
	pr := w.Pull("eve", "change", "Old", "")
	w.Comment("alice", pr, "/retitle New")
	w.WantTitle(pr, "New")
}

func TestClosedIssuesIfConfigured(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "retitle: {allow_closed_issues: true}"})
	n := w.Issue("eve", "Old", "")
	w.CloseIssue("boss", n)
	w.Comment("bob", n, "/retitle New")
	w.WantTitle(n, "New")
}
