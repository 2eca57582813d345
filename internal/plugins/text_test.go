package plugins

import (
	"strings"
	"testing"
)

func TestCommandText(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"plain text":                      {"a\n/b\r\nc", "a\n/b\r\nc"},
		"a fence":                         {"a\n```\n/b\n```\nc", "a\nc"},
		"a fence with a language":         {"```go\r\n/b\r\n```\r\nc", "c"},
		"tildes":                          {"~~~\n/b\n~~~ \nc", "c"},
		"a fence that is not closed":      {"```\n/b", "```\n/b"},
		"a fence within the other":        {"~~~\n```\n/b\n~~~\n/c", "/c"},
		"a fence that begins later":       {"a ```\n/b\n```", "a ```\n/b\n```"},
		"an HTML comment":                 {"<!-- \n/b\n-->\n/c", "\n/c"},
		"an HTML comment that stays open": {"<!-- \n/b", "<!-- \n/b"},
		"two HTML comments":               {"<!---->/b<!-- x -->", "/b"},
	} {
		if got := CommandText(tc.body); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func FuzzCommandText(f *testing.F) {
	for _, s := range []string{"```\n/a\n```\n/b", "<!-- ``` -->\n~~~\r\n/x\r\n~~~", strings.Repeat("```\n", 50)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		text := CommandText(body)
		if len(text) > len(body) {
			t.Errorf("%q became longer: %q", body, text)
		}
		if strings.HasPrefix(text, "/") && !mayHoldCommand(body) && !strings.Contains(body, "\n") {
			t.Errorf("a command in %q was overlooked", body)
		}
	})
}

func BenchmarkCommandTextOfOpenFences(b *testing.B) {
	body := strings.Repeat("```x\n", 64<<10/5)
	for b.Loop() {
		CommandText(body)
	}
}

func TestReplyMentionsOnlyWhoIsAnswered(t *testing.T) {
	got := Reply("@org/everyone look\n/close\nmail@example.com", "https://x", "eve", "no")
	if strings.Count(got, "@") != 3 || !strings.Contains(got, "mail@example.com") || !strings.HasPrefix(got, "@eve: no\n") {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"@org", "\n/close", "> /close"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q contains %q", got, bad)
		}
	}
	if long := Reply(strings.Repeat("ü", 64<<10), "l", "eve", "no"); len(long) > 10<<10 || !strings.Contains(long, "[...]") {
		t.Errorf("a long comment is quoted in %d bytes", len(long))
	}
}
