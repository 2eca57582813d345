package invalidcommitmsg

import (
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestDecision(t *testing.T) {
	for name, tc := range map[string]struct {
		title, off string
		messages   []string
		want       string
	}{
		"fine":                       {"T", "", []string{"A", "B\n\nsee #1"}, ""},
		"a closing title":            {"Fixes #1", "", nil, "title"},
		"a closing message":          {"T", "", []string{"A\n\ncloses: o/r-x#2", "B"}, "closing"},
		"a fixup":                    {"T", "", []string{"fixup! A", "squash! A", "amend! B", "A\n\nfixup! is in the text"}, "fixup fixup fixup"},
		"all of them":                {"fix #1", "", []string{"fixup! fix #1"}, "closing fixup title"},
		"closing words switched off": {"fix #1", pluginconfig.CheckIssueClosingKeyword, []string{"fixup! fix #1"}, "fixup"},
		"fixups switched off":        {"fix #1", pluginconfig.CheckFixupPrefix, []string{"fixup! fix #1"}, "closing title"},
	} {
		var commits []github.RepositoryCommit
		for _, m := range tc.messages {
			c := github.RepositoryCommit{SHA: "0123456789"}
			c.Commit.Message = m
			commits = append(commits, c)
		}
		f := decide(tc.title, commits, func(check string) bool { return check != tc.off })
		got := strings.Repeat("closing ", len(f.closing)) + strings.Repeat("fixup ", len(f.fixup))
		if f.title {
			got += "title"
		}
		if got = strings.TrimSpace(got); got != tc.want || f.any() != (tc.want != "") {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
		if text := f.notice(); !strings.HasPrefix(text, marker+"\n") || strings.Contains(text, "/retitle") != f.title || strings.Contains(text, "autosquash") != (len(f.fixup) > 0) {
			t.Errorf("%s: notice %q", name, text)
		}
	}
}

func TestProbe36_InvalidCommitMessages(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Commit("change", "Fixes #1\n\nfor @eve", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelInvalidCommitMessage)
	w.WantComments(n, "`Fixes #1`")
	first := w.Comments(n)[0].ID
	w.HandleAgain("pull_request/opened")
	w.EditPull("alice", n, gogithub.PullRequest{Body: gogithub.Ptr("text")})
	if all := w.Comments(n); len(all) != 1 || all[0].ID != first {
		t.Error("a notice that says the same stays")
	}
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("Closes #1")})
	w.WantComments(n, "/retitle")
	w.Reword("change")
	w.WantLabels(n, plugins.LabelInvalidCommitMessage)
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("After #1")})
	w.WantLabels(n, "")
	w.WantComments(n)
	w.Commit("change", "fixup! Reworded", map[string]string{"x": "z"})
	w.WantLabels(n, plugins.LabelInvalidCommitMessage)
	w.WantComments(n, "autosquash")
}
