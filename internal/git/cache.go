package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Remote is where a repository comes from.
type Remote struct {
	// URL is without credentials.
	URL string
	// Settings are for git when it talks to the remote; see BasicAuth.
	Settings []Setting
}

// Remotes tells where repositories are. It is asked each time, since tokens expire.
type Remotes func(ctx context.Context, org, repo string) (Remote, error)

// SSHRemotes finds repositories on a host that is reached by ssh, with the keys
// that ssh itself finds.
func SSHRemotes(host string) Remotes {
	return func(_ context.Context, org, repo string) (Remote, error) {
		return Remote{URL: "git@" + host + ":" + org + "/" + repo + ".git"}, nil
	}
}

// Cache keeps a bare mirror of each repository, and makes work trees from them.
// It may be used concurrently: one lock for each repository keeps updates of its
// mirror apart from each other and from the making of work trees.
//
// A mirror that is damaged, such as by a full disk, is made anew, and what a git
// that was killed left in it is removed. Work trees do not depend on their mirror
// once they are made.
type Cache struct {
	// NetworkLimit bounds one conversation with a remote. Zero: 30 minutes. A remote
	// that sends next to nothing is given up earlier.
	NetworkLimit time.Duration
	// Bound is how many bytes the mirrors may take together; those not used for
	// longest go first. Zero: they all stay.
	Bound int64
	// Observe is told how long steps took; nil where nobody wants to know. It, Bound
	// and NetworkLimit are set before the cache is used.
	Observe func(step Step, org, repo string, took time.Duration)

	dir     string
	workDir string
	remotes Remotes
	runner  *Runner
	pause   func(context.Context, time.Duration) error

	mu       sync.Mutex
	locks    map[string]*sync.RWMutex
	suspects map[string]bool // mirrors of which a tree has complained
	mirrors  map[string]*mirrorState
	uses     int64
	scanned  bool // mirrors of an earlier process are known
}

// Step is a part of making a work tree whose duration is observed.
type Step string

// The steps, by the names of their metrics.
const (
	// StepMirror makes a mirror or brings it up to date.
	StepMirror Step = "git_ensure_fresh_primary_duration"
	// StepFetch gets commits that a mirror lacks.
	StepFetch Step = "git_fetch_by_sha_duration"
	// StepClone makes the work tree from the mirror.
	StepClone Step = "git_secondary_clone_duration"
	// StepSparse limits its files.
	StepSparse Step = "sparse_checkout_duration"
)

func (c *Cache) observe(step Step, org, repo string, began time.Time) {
	if c.Observe != nil {
		c.Observe(step, org, repo, time.Since(began))
	}
}

// NewCache keeps mirrors below dir, which may hold those of an earlier process,
// and work trees below workDir; both are made on demand. Two caches must not
// share a dir.
func NewCache(dir, workDir string, remotes Remotes, runner *Runner) (*Cache, error) {
	for _, d := range []string{dir, workDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("making the git cache: %w", err)
		}
	}
	if err := removeUnfinished(dir); err != nil {
		return nil, fmt.Errorf("tidying the git cache up: %w", err)
	}
	return &Cache{
		dir:     dir,
		workDir: workDir,
		remotes: remotes,
		runner: runner.With(
			Setting{"gc.auto", "0"},           // a gc in between would hold everything up
			Setting{"fetch.unpackLimit", "1"}, // packs are cheap to clone, loose objects are not
			Setting{"safe.directory", "*"},
			// A remote that sends less than a kilobyte a second for a minute is stuck.
			Setting{"http.lowSpeedLimit", "1000"},
			Setting{"http.lowSpeedTime", "60"},
		),
		pause:    pause,
		locks:    map[string]*sync.RWMutex{},
		suspects: map[string]bool{},
		mirrors:  map[string]*mirrorState{},
	}, nil
}

// Need says what a work tree is for.
type Need struct {
	// Commits have to be in it. If all are in the mirror already, the remote is not
	// asked. Without commits the mirror is brought up to date first.
	Commits []string
	// Sparse limits the files to these directories and the top level; nil is all,
	// and an empty list is the top level alone.
	Sparse []string
}

// Tree makes a work tree of a repository, with nothing checked out yet. The
// caller closes it.
func (c *Cache) Tree(ctx context.Context, org, repo string, need Need) (*Tree, error) {
	tree, err := c.tree(ctx, org, repo, need)
	if err != nil {
		return nil, fmt.Errorf("preparing a work tree of %s/%s: %w", org, repo, err)
	}
	return tree, nil
}

func (c *Cache) tree(ctx context.Context, org, repo string, need Need) (*Tree, error) {
	mirror, lock, err := c.mirror(org, repo)
	if err != nil {
		return nil, err
	}
	for _, commit := range need.Commits {
		if !isHash(commit) {
			return nil, fmt.Errorf("%q is not the hash of a commit", commit)
		}
	}
	// With everything there already, work trees are made side by side.
	lock.RLock()
	if len(need.Commits) > 0 && !c.suspected(mirror) && len(c.missing(ctx, mirror, need.Commits)) == 0 {
		tree, err := c.checkoutless(ctx, org, repo, mirror, need)
		lock.RUnlock()
		if err == nil || ctx.Err() != nil {
			return tree, err
		}
	} else {
		lock.RUnlock()
	}

	lock.Lock()
	defer lock.Unlock()
	var tree *Tree
	err = c.repaired(ctx, mirror, func() (err error) {
		if err = c.update(ctx, org, repo, mirror, need.Commits); err == nil {
			tree, err = c.checkoutless(ctx, org, repo, mirror, need)
		}
		return err
	})
	return tree, err
}

// mirror returns the directory of a mirror and its lock.
func (c *Cache) mirror(org, repo string) (string, *sync.RWMutex, error) {
	org = strings.TrimPrefix(strings.TrimPrefix(org, "https://"), "http://") // Gerrit's orgs are addresses
	name := org + "/" + repo
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || strings.HasPrefix(element, ".") || strings.HasPrefix(element, "-") {
			return "", nil, fmt.Errorf("%q is no name of a repository", name)
		}
	}
	// The suffix keeps a repository apart from the directory of one named below it.
	mirror := filepath.Join(c.dir, filepath.FromSlash(name)+".git")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch(mirror)
	return mirror, c.lock(mirror), nil
}

// lock is the lock of a mirror. The caller holds c.mu.
func (c *Cache) lock(mirror string) *sync.RWMutex {
	if c.locks[mirror] == nil {
		c.locks[mirror] = &sync.RWMutex{}
	}
	return c.locks[mirror]
}

// missing returns the commits that a mirror lacks.
func (c *Cache) missing(ctx context.Context, mirror string, commits []string) []string {
	return slices.DeleteFunc(slices.Clone(commits), func(commit string) bool {
		_, err := c.runner.Output(ctx, mirror, "--git-dir=.", "cat-file", "-e", commit+"^{commit}")
		return err == nil
	})
}

// update makes the mirror if there is none, and brings what is needed into it.
// The caller holds the lock.
func (c *Cache) update(ctx context.Context, org, repo, mirror string, commits []string) error {
	remote, err := c.remotes(ctx, org, repo)
	if err != nil {
		return err
	}
	fetchAll := []string{"--git-dir=.", "fetch", "--prune", "--no-write-fetch-head", remote.URL, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}

	began := time.Now()
	_, err = os.Stat(filepath.Join(mirror, "HEAD"))
	switch isNew := errors.Is(err, os.ErrNotExist); {
	case isNew:
		if err := c.initialize(ctx, remote, mirror, fetchAll); err != nil {
			return err
		}
		c.observe(StepMirror, org, repo, began)
	default:
		if err := removeLeftovers(mirror); err != nil {
			return fmt.Errorf("tidying the mirror up: %w", err)
		}
		if len(commits) == 0 {
			if _, err := c.talk(ctx, remote, mirror, fetchAll...); err != nil {
				return err
			}
			c.observe(StepMirror, org, repo, began)
		}
	}
	if missing := c.missing(ctx, mirror, commits); len(missing) > 0 {
		began := time.Now()
		args := append([]string{"--git-dir=.", "fetch", "--no-write-fetch-head", "--no-tags", remote.URL}, missing...)
		if _, err := c.talk(ctx, remote, mirror, args...); err != nil {
			return err
		}
		c.observe(StepFetch, org, repo, began)
	}
	return c.keepBound(mirror)
}

// initialize makes a mirror, which appears only when it is complete.
func (c *Cache) initialize(ctx context.Context, remote Remote, mirror string, fetchAll []string) error {
	if err := os.MkdirAll(filepath.Dir(mirror), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(mirror), unfinished+"*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if _, err := c.runner.Output(ctx, temp, "init", "--bare", "--quiet"); err != nil {
		return err
	}
	if _, err := c.talk(ctx, remote, temp, fetchAll...); err != nil {
		return err
	}
	if err := os.RemoveAll(mirror); err != nil { // the rest of one that was damaged
		return err
	}
	return os.Rename(temp, mirror)
}

// checkoutless clones a mirror without a checkout. Git links the packs, so this
// takes hardly any time or room.
func (c *Cache) checkoutless(ctx context.Context, org, repo, mirror string, need Need) (*Tree, error) {
	dir, err := os.MkdirTemp(c.workDir, "tree-*")
	if err != nil {
		return nil, err
	}
	t := &Tree{dir: dir, runner: c.runner, cache: c, mirror: mirror, org: org, repo: repo}
	if err := t.make(ctx, need); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func isHash(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
