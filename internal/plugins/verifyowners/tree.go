package verifyowners

import (
	"context"
	"fmt"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/owners"
	"prow/internal/plugins"
)

// trees are the files of the base branch and of what a merge would make of it.
// Nothing is checked out: the files are read from git's objects, so that a symbolic
// link leads nowhere.
type trees struct {
	work          *git.Tree
	before, after string
}

func open(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) (*trees, error) {
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	base, err := a.BaseSHA(pr)(ctx)
	if err != nil {
		return nil, err
	}
	work, err := a.Git.Tree(ctx, org, repo, git.Need{Commits: []string{base, pr.Head.SHA}})
	if err != nil {
		return nil, err
	}
	t := &trees{work: work, before: base, after: pr.Head.SHA}
	// Where they conflict, what the author wrote is looked at.
	if merged, err := work.Run(ctx, "merge-tree", "--write-tree", "--no-messages", base, pr.Head.SHA); err == nil {
		t.after = strings.TrimSpace(merged)
	}
	return t, nil
}

func (t *trees) close() { _ = t.work.Close() }

// read is the content of a file; there is false where there is none.
func (t *trees) read(ctx context.Context, tree, file string) (content []byte, there bool, err error) {
	entry, err := t.work.Run(ctx, "ls-tree", "-z", "--full-tree", tree, "--", file)
	if err != nil {
		return nil, false, fmt.Errorf("looking for %s: %w", file, err)
	}
	// MODE SP TYPE SP HASH TAB PATH NUL
	what, _, _ := strings.Cut(entry, "\t")
	fields := strings.Fields(what)
	if len(fields) != 3 || fields[1] != "blob" {
		return nil, false, nil
	}
	text, err := t.work.Run(ctx, "cat-file", "blob", fields[2])
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", file, err)
	}
	return []byte(text), true, nil
}

// aliasFile is the file with the aliases.
type aliasFile struct {
	aliases owners.Aliases
	// broken says why the file cannot be used.
	broken error
}

func aliasesOf(ctx context.Context, t *trees, tree, name string) (aliasFile, error) {
	content, there, err := t.read(ctx, tree, name)
	if err != nil || !there {
		return aliasFile{}, err
	}
	aliases, broken := owners.ParseAliases(content)
	return aliasFile{aliases, broken}, nil
}

// account is what is known of somebody by a login alone. Only the account of an app
// can end like that.
func account(login string) github.User {
	u := github.User{Login: login, Type: "User"}
	if strings.HasSuffix(login, "[bot]") {
		u.Type = "Bot"
	}
	return u
}
