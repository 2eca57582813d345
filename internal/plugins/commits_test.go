package plugins

import (
	"strings"
	"testing"

	"prow/internal/forge/github"
)

func TestListsAreBoundedAndMute(t *testing.T) {
	commit := github.RepositoryCommit{SHA: "0123456789", HTMLURL: "http://forge/c"}
	commit.Commit.Message = "\n`@eve` " + strings.Repeat("ä", 200) + "\r\n/hold\n"
	got := ListCommits([]github.RepositoryCommit{commit})
	if !strings.HasPrefix(got, "- [0123456](http://forge/c) `'@eve' ä") || !strings.HasSuffix(got, "ä...`\n") || strings.Count(got, "\n") != 1 || len(got) > 300 {
		t.Errorf("got %q", got)
	}
	got = ListCommits(make([]github.RepositoryCommit, 60))
	if strings.Count(got, "\n") != maxListed+1 || !strings.HasSuffix(got, "- and 10 more\n") {
		t.Errorf("got %q", got)
	}
	got = ListFiles("http://forge/o/r", "abc", []string{"a b/(`@x`)\n/hold"})
	if got != "- [`a b/('@x') /hold`](http://forge/o/r/blob/abc/a%20b/%28%60%40x%60%29%0A/hold)\n" {
		t.Errorf("got %q", got)
	}
	if got = ListFiles("", "", make([]string, 51)); !strings.HasSuffix(got, "- and 1 more\n") {
		t.Errorf("got %q", got)
	}
}
