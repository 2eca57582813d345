package inrepo

import (
	"fmt"
	"os"
	"path/filepath"

	"prow/internal/git"
)

// Runner runs git for merges that are made to be looked at and go nowhere; git
// wants a committer all the same, and nobody signs them.
func Runner(environ []string) *git.Runner {
	return git.NewRunner(environ,
		git.Setting{Key: "user.name", Value: "prow"}, git.Setting{Key: "user.email", Value: "prow@localhost"},
		git.Setting{Key: "commit.gpgsign", Value: "false"})
}

// Mirrors keeps mirrors of repositories for a component below dir, which no
// other component shares; without dir below a temporary directory that cleanUp
// removes.
func Mirrors(component, dir string, remotes git.Remotes, environ []string) (mirrors *git.Cache, cleanUp func(), err error) {
	cleanUp = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", component+"-*"); err != nil {
			return nil, nil, fmt.Errorf("make a directory for git mirrors: %w", err)
		}
		cleanUp = func() { _ = os.RemoveAll(dir) } // the system empties its temporary directory as well
	}
	work := filepath.Join(dir, "work")
	// Work trees of a process that was killed are of no use to this one.
	if err := os.RemoveAll(work); err != nil {
		return nil, nil, fmt.Errorf("git mirrors: %w", err)
	}
	if mirrors, err = git.NewCache(filepath.Join(dir, "mirrors"), work, remotes, Runner(environ)); err != nil {
		return nil, nil, fmt.Errorf("git mirrors: %w", err)
	}
	return mirrors, cleanUp, nil
}
