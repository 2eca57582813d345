package owners

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// cacheSize is how many commits, and how many contents, are remembered.
const cacheSize = 256

// loadTimeout bounds the reading of one commit.
const loadTimeout = 10 * time.Minute

// Settings say how a repository tells its owners.
type Settings struct {
	// Owners and Aliases are the names of the files. Empty: OWNERS and OWNERS_ALIASES.
	Owners, Aliases string
	// Markdown lets Markdown files carry owners of their own.
	Markdown bool
	// DenyDirs are expressions of directories that are ignored with all below
	// them, matched anywhere in the path. The root is never ignored.
	DenyDirs []string
	// SkipCollaborators lets people own files who are no collaborators.
	SkipCollaborators bool
}

// Tree is the regular files of a commit.
type Tree interface {
	// List calls visit for every file with its path and the id of its content.
	List(ctx context.Context, visit func(path, blob string)) error
	// Read calls visit with each content in order; nil for one larger than limit bytes.
	Read(ctx context.Context, blobs []string, limit int64, visit func(i int, content []byte)) error
}

// Trees lets read look at a commit; the Tree is of no use afterwards.
type Trees func(ctx context.Context, org, repo, commit string, read func(Tree) error) error

// Forge is what a Client asks of the forge.
type Forge interface {
	// GetRef resolves "heads/BRANCH" to a commit.
	GetRef(ctx context.Context, org, repo, ref string) (string, error)
	// CollaboratorLogins lists those who may work on a repository.
	CollaboratorLogins(ctx context.Context, org, repo string) ([]string, error)
}

// Cache makes indexes of commits and remembers them: by commit, and by content,
// so that only a commit that changes owners costs more than a listing. It may be
// used concurrently; one commit is read once.
type Cache struct {
	trees Trees

	mu      sync.Mutex
	entries map[string]*list.Element // of *cached, the most recently used first
	order   *list.List
}

type cached struct {
	key   string
	ready chan struct{}
	data  *data
	err   error
}

// NewCache reads commits from trees.
func NewCache(trees Trees) *Cache {
	return &Cache{trees: trees, entries: map[string]*list.Element{}, order: list.New()}
}

// Client asks for owners on behalf of one handler.
type Client struct {
	Cache *Cache
	Forge Forge
	// Settings are those of a repository.
	Settings func(org, repo string) Settings
	Log      *slog.Logger
}

// LoadRepoOwners returns the owners at a commit, given by its hash, or at the
// head of a branch. Unless the settings say otherwise only collaborators are
// approvers and reviewers; where they cannot be listed the error says so, rather
// than that strangers would count.
func (c *Client) LoadRepoOwners(ctx context.Context, org, repo, commitish string) (*Index, error) {
	index, err := c.load(ctx, org, repo, commitish)
	if err != nil {
		return nil, fmt.Errorf("loading the owners of %s/%s at %s: %w", org, repo, commitish, err)
	}
	return index, nil
}

// LoadLabels returns the labels of the files at a commit, given as for
// LoadRepoOwners. Approvers and reviewers are as the files name them: who
// collaborates is not asked.
func (c *Client) LoadLabels(ctx context.Context, org, repo, commitish string) (*Index, error) {
	data, err := c.data(ctx, org, repo, commitish)
	if err != nil {
		return nil, fmt.Errorf("loading the owners of %s/%s at %s: %w", org, repo, commitish, err)
	}
	return &Index{data: data}, nil
}

func (c *Client) load(ctx context.Context, org, repo, commit string) (*Index, error) {
	data, err := c.data(ctx, org, repo, commit)
	if err != nil {
		return nil, err
	}
	index := &Index{data: data}
	if c.Settings(org, repo).SkipCollaborators {
		return index, nil
	}
	logins, err := c.Forge.CollaboratorLogins(ctx, org, repo)
	if err != nil {
		return nil, fmt.Errorf("listing collaborators: %w", err)
	}
	return index.limitedTo(logins), nil
}

// data is the index of a commit, without regard to who collaborates.
func (c *Client) data(ctx context.Context, org, repo, commit string) (*data, error) {
	if !isHash(commit) {
		sha, err := c.Forge.GetRef(ctx, org, repo, "heads/"+commit)
		if err != nil {
			return nil, err
		}
		if commit = sha; commit == "" {
			return nil, errors.New("the branch has no head")
		}
	}
	settings := c.Settings(org, repo)
	if settings.Owners == "" {
		settings.Owners = "OWNERS"
	}
	if settings.Aliases == "" {
		settings.Aliases = "OWNERS_ALIASES"
	}
	return c.Cache.get(ctx, org, repo, commit, settings, c.Log)
}

func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// get returns the index of a commit, reading it if nobody has.
func (c *Cache) get(ctx context.Context, org, repo, commit string, settings Settings, log *slog.Logger) (*data, error) {
	// Whether people must be collaborators changes nothing about the files.
	settings.SkipCollaborators = false
	fingerprint, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	repoKey := org + "/" + repo + " " + string(fingerprint)
	return c.once(ctx, "commit "+repoKey+" "+commit, func(ctx context.Context) (*data, error) {
		var found *data
		err := c.trees(ctx, org, repo, commit, func(tree Tree) error {
			var err error
			found, err = c.read(ctx, tree, repoKey, settings, log.With("org", org, "repo", repo, "commit", commit))
			return err
		})
		return found, err
	})
}

func (c *Cache) read(ctx context.Context, tree Tree, repoKey string, settings Settings, log *slog.Logger) (*data, error) {
	denied := newDenyList(settings.DenyDirs, log)
	var paths, blobs []string
	content := sha256.New()
	err := tree.List(ctx, func(file, blob string) {
		wanted := path.Base(file) == settings.Owners || file == settings.Aliases || settings.Markdown && isMarkdown(file)
		if wanted && !denied.has(parentDir(file)) {
			paths, blobs = append(paths, file), append(blobs, blob)
			fmt.Fprintf(content, "%s %s\x00", blob, file)
		}
	})
	if err != nil {
		return nil, err
	}
	return c.once(ctx, fmt.Sprintf("content %s %x", repoKey, content.Sum(nil)), func(ctx context.Context) (*data, error) {
		sources := make([]source, len(blobs))
		if err := tree.Read(ctx, blobs, maxFile, func(i int, b []byte) { sources[i] = source{paths[i], b} }); err != nil {
			return nil, err
		}
		d := build(sources, settings)
		for _, p := range d.problems {
			log.WarnContext(ctx, "owners are ignored", "path", p.Path, "error", p.Err)
		}
		return d, nil
	})
}

// once makes what a key stands for if nobody has made it. Failures are not remembered.
//
// The key is forgotten before others learn of a failure, so that they may try again.
func (c *Cache) once(ctx context.Context, key string, read func(context.Context) (*data, error)) (*data, error) {
	entry, mine := c.entry(key)
	if mine {
		// Others may wait for it when the one who came first is called off.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		defer func() {
			if entry.err != nil {
				c.forget(entry)
			}
			close(entry.ready)
		}()
		entry.data, entry.err = read(ctx)
		return entry.data, entry.err
	}
	select {
	case <-entry.ready:
		return entry.data, entry.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Cache) entry(key string) (e *cached, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.entries[key]; ok {
		c.order.MoveToFront(have)
		return have.Value.(*cached), false
	}
	e = &cached{key: key, ready: make(chan struct{}), err: errors.New("the reading was cut short")}
	c.entries[key] = c.order.PushFront(e)
	for c.order.Len() > 2*cacheSize {
		c.remove(c.order.Back())
	}
	return e, true
}

func (c *Cache) forget(e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.entries[e.key]; ok && have.Value == any(e) {
		c.remove(have)
	}
}

func (c *Cache) remove(element *list.Element) {
	delete(c.entries, c.order.Remove(element).(*cached).key)
}

// denyList tells which directories are ignored, and remembers.
type denyList struct {
	res   []*regexp.Regexp
	known map[string]bool
}

func newDenyList(exprs []string, log *slog.Logger) *denyList {
	d := &denyList{known: map[string]bool{"": false}}
	for _, expr := range exprs {
		re, err := regexp.Compile(expr)
		if err != nil {
			log.Warn("an expression of owners_dir_denylist is ignored", "error", err)
			continue
		}
		d.res = append(d.res, re)
	}
	return d
}

// Denied tells whether a file is in a directory that is ignored.
func (s Settings) Denied(file string, log *slog.Logger) bool {
	return newDenyList(s.DenyDirs, log).has(parentDir(file))
}

// has tells whether a directory or one above it is denied.
func (d *denyList) has(dir string) bool {
	if denied, ok := d.known[dir]; ok {
		return denied
	}
	denied := d.has(parentDir(dir))
	for _, re := range d.res {
		denied = denied || re.MatchString(dir)
	}
	d.known[dir] = denied
	return denied
}
