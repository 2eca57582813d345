package plugintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func (w *World) cloneURL() string { return w.urlFor("boss") }

func (w *World) urlFor(login string) string {
	return "http://" + login + ":" + token(login) + "@" + w.addr + "/" + Org + "/" + Repo + ".git"
}

// run runs git in a directory.
func (w *World) run(dir string, args ...string) string {
	w.tb.Helper()
	cmd := exec.CommandContext(w.tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Boss", "GIT_AUTHOR_EMAIL=boss@example.com", "GIT_COMMITTER_NAME=Boss", "GIT_COMMITTER_EMAIL=boss@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Push adds a commit with files to a branch, which is made from main if there is
// none, and returns it. Files without content are removed.
func (w *World) Push(branch string, files map[string]string) string {
	w.tb.Helper()
	return w.Commit(branch, "Change "+branch, files)
}

// Commit is Push with a message.
func (w *World) Commit(branch, message string, files map[string]string) string {
	w.tb.Helper()
	from := "origin/main"
	w.run(w.clone, "fetch", "--quiet", "origin")
	if branch != "main" && strings.Contains(w.run(w.clone, "branch", "--remotes", "--list", "origin/"+branch), branch) {
		from = "origin/" + branch
	}
	w.run(w.clone, "checkout", "--quiet", "-B", branch, from)
	for name, content := range files {
		path := filepath.Join(w.clone, name)
		if content == "" {
			must(w.tb, os.RemoveAll(path))
			continue
		}
		must(w.tb, os.MkdirAll(filepath.Dir(path), 0o755))
		must(w.tb, os.WriteFile(path, []byte(content), 0o600))
	}
	w.run(w.clone, "add", "--all")
	w.run(w.clone, "commit", "--quiet", "--allow-empty", "-m", message)
	return w.pushed(branch)
}

// PushAs is Push by somebody who may write to the repository.
func (w *World) PushAs(login, branch string, files map[string]string) string {
	w.tb.Helper()
	w.pusher = login
	defer func() { w.pusher = "" }()
	return w.Push(branch, files)
}

// Reword replaces the last commit of a branch by one with the same files.
func (w *World) Reword(branch string) string {
	w.tb.Helper()
	return w.Amend(branch, "Reworded")
}

// Amend is Reword with a message.
func (w *World) Amend(branch, message string) string {
	w.tb.Helper()
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "commit", "--quiet", "--amend", "--allow-empty", "-m", message)
	return w.pushed(branch)
}

// MergeInto merges a branch into another with a merge commit.
func (w *World) MergeInto(branch, other string) string {
	w.tb.Helper()
	w.run(w.clone, "fetch", "--quiet", "origin")
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "merge", "--quiet", "--no-ff", "-m", "Merge "+other, "origin/"+other)
	return w.pushed(branch)
}

// Rebase puts the commits of a branch on top of another.
func (w *World) Rebase(branch, other string) string {
	w.tb.Helper()
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "rebase", "--quiet", "origin/"+other)
	return w.pushed(branch)
}

// Parent is the first parent of a commit.
func (w *World) Parent(commit string) string {
	w.tb.Helper()
	return w.run(w.clone, "rev-parse", commit+"^")
}

func (w *World) pushed(branch string) string {
	w.tb.Helper()
	to := "origin"
	if w.pusher != "" {
		to = w.urlFor(w.pusher)
	}
	w.run(w.clone, "push", "--quiet", "--force", to, branch)
	sha := w.run(w.clone, "rev-parse", "HEAD")
	w.Settle()
	return sha
}

// DeleteBranch deletes a branch.
func (w *World) DeleteBranch(branch string) {
	w.tb.Helper()
	w.run(w.clone, "push", "--quiet", "origin", ":"+branch)
	w.Settle()
}

// Head is the commit of a branch.
func (w *World) Head(branch string) string {
	w.tb.Helper()
	ref, _, err := w.As("boss").Git.GetRef(w.tb.Context(), Org, Repo, "heads/"+branch)
	must(w.tb, err)
	return ref.GetObject().GetSHA()
}

// WantBranch checks whether the repository has a branch.
func (w *World) WantBranch(branch string, want bool) {
	w.tb.Helper()
	got := w.run(".", "ls-remote", "--heads", w.cloneURL(), "refs/heads/"+branch) != ""
	if got != want {
		w.tb.Errorf("branch %s: there %v, want %v", branch, got, want)
	}
}
