package dco

import (
	"context"
	"strings"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

const signoff = "\n\nSigned-off-by: Alice <alice@example.com>"

func commit(sha, message, author string, parents int) github.RepositoryCommit {
	c := github.RepositoryCommit{SHA: sha, Commit: github.Commit{Message: message}, Author: github.User{Login: author}}
	for range parents {
		c.Parents = append(c.Parents, struct {
			SHA string `json:"sha"`
		}{"p"})
	}
	return c
}

func shas(commits []github.RepositoryCommit) string {
	var out []string
	for _, c := range commits {
		out = append(out, c.SHA)
	}
	return strings.Join(out, " ")
}

func TestSignOffs(t *testing.T) {
	got := shas(unsigned([]github.RepositoryCommit{
		commit("signed", "A"+signoff, "", 1), commit("lower", "A\r\nsigned-off-by: x", "", 1), commit("none", "A", "", 1),
		commit("inline", "A\n\nnot Signed-off-by: x", "", 1), commit("merge", "A", "", 2), commit("root", "A", "", 0),
	}))
	if got != "none inline root" {
		t.Error(got)
	}
}

// people answers who is who.
type people struct{ asked *[]string }

func (people) BotChecker(context.Context) (func(github.User) bool, error) {
	return func(u github.User) bool { return u.Login == "bot" }, nil
}

func (p people) IsMember(_ context.Context, org, user string) (bool, error) {
	*p.asked = append(*p.asked, user)
	return org == "o" && user == "alice" || org == "friends" && user == "fred", nil
}

func (people) IsCollaborator(_ context.Context, _, _, user string) (bool, error) {
	return user == "carl", nil
}

func TestTrustedAuthors(t *testing.T) {
	commits := []github.RepositoryCommit{
		commit("member", "", "alice", 1), commit("collaborator", "", "carl", 1), commit("friend", "", "fred", 1), commit("stranger", "", "eve", 1),
		commit("again", "", "eve", 1), commit("nobody", "", "", 1), commit("bot", "", "bot", 1),
	}
	for name, tc := range map[string]struct {
		cfg  pluginconfig.Dco
		want string
	}{
		"members":                     {pluginconfig.Dco{SkipDCOCheckForMembers: true}, "collaborator friend stranger again nobody"},
		"collaborators":               {pluginconfig.Dco{SkipDCOCheckForCollaborators: true}, "friend stranger again nobody"},
		"members of another org, too": {pluginconfig.Dco{SkipDCOCheckForMembers: true, TrustedOrg: "friends"}, "collaborator stranger again nobody"},
	} {
		var asked []string
		got, err := byStrangers(t.Context(), people{&asked}, &tc.cfg, "o", "r", commits)
		if err != nil || shas(got) != tc.want {
			t.Errorf("%s: %s, %v", name, shas(got), err)
		}
		if all := strings.Join(asked, " "); strings.Count(all, "eve") > 2 || strings.Contains(" "+all+" ", "  ") {
			t.Errorf("%s: asked about %q", name, all)
		}
	}
	if exempts(&pluginconfig.Dco{TrustedOrg: "x"}) || !exempts(&pluginconfig.Dco{TrustedApps: []string{"x"}}) {
		t.Error("a trusted org alone exempts nobody, an app does")
	}
}

func TestTheGuideIsOnTheSameForge(t *testing.T) {
	cfg := (&pluginconfig.Configuration{}).DcoFor("o", "r")
	for url, want := range map[string]string{
		"https://git.example.com/o/r": "https://git.example.com/o/r/blob/master/CONTRIBUTING.md", "": "https://github.com/o/r/blob/master/CONTRIBUTING.md",
	} {
		if got := guide(&cfg, github.Repo{Owner: github.User{Login: "o"}, Name: "r", HTMLURL: url}); got != want {
			t.Error(got)
		}
	}
}

func TestProbe36_SignOffs(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	first := w.Commit("change", "One @alice", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelDCONo)
	w.WantComments(n, marker)
	w.WantStatuses(first, map[string]string{"dco": "failure: Commits are missing a DCO signoff."})
	w.HandleAgain("pull_request")
	w.WantComments(n, marker)
	if text := w.BotComments(n)[0]; !strings.Contains(text, "- ["+first[:7]+"]") || !strings.Contains(text, "`One @alice`") || !strings.Contains(text, "/o/r/blob/master/CONTRIBUTING.md") {
		t.Error(text)
	}
	w.Commit("change", "Two"+signoff, map[string]string{"x": "z"})
	w.WantComments(n, marker)
	w.RemoveLabel("boss", n, plugins.LabelDCONo)
	w.Comment("eve", n, "/check-dco\r\n")
	w.WantLabels(n, plugins.LabelDCONo)
}

func TestARepairedPushClearsEverything(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Commit("change", "One", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelDCONo)
	head := w.Amend("change", "One"+signoff)
	w.WantLabels(n, plugins.LabelDCOYes)
	w.WantComments(n)
	w.WantStatuses(head, map[string]string{"dco": "success: All commits are signed off."})
	w.HandleAgain("pull_request")
	w.Comment("alice", n, "/check-dco")
	w.WantLabels(n, plugins.LabelDCOYes)
	w.WantComments(n)

	pr, err := w.Agent("").GitHub.GetPullRequest(t.Context(), "o", "r", n)
	if err != nil {
		t.Fatal(err)
	}
	late := *pr
	late.Head.SHA = w.Parent(head)
	if err := check(t.Context(), w.Agent("late"), &late); err != nil {
		t.Error(err)
	}
	w.WantStatuses(late.Head.SHA, map[string]string{}) // it is the head no longer
	commits, err := gitCommits(t.Context(), w.Agent("").Git, pr)
	if err != nil || len(commits) != 1 || commits[0].SHA != head || len(unsigned(commits)) != 0 {
		t.Errorf("git says %+v, %v", commits, err)
	}
}
