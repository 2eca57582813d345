package config

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Revision says which content of a repository is meant: the base commit with
// the heads merged into it, in order.
type Revision struct {
	Org, Repo string
	// BaseRef is the branch, where the caller knows it.
	BaseRef string
	BaseSHA string
	// HeadSHAs are the heads to merge; none for a push.
	HeadSHAs []string
	// MergeMethod is how Tide would merge them.
	MergeMethod MergeMethod
}

// TreeOpener reads repositories. The tree holds at least the directory .prow
// and the files at the root; release frees what it needs. A merge conflict is
// an error. Both may be called concurrently.
type TreeOpener interface {
	OpenTree(ctx context.Context, rev Revision) (tree fs.FS, release func(), err error)
}

// SHAGetter finds out a commit; it is called only where it is needed.
type SHAGetter func(ctx context.Context) (string, error)

// SHA returns a getter for a commit that is known.
func SHA(sha string) SHAGetter {
	return func(context.Context) (string, error) { return sha, nil }
}

// RawSource reads what a revision of a repository declares, neither defaulted
// nor checked. It may be called concurrently; what it returns is never changed.
type RawSource interface {
	RawJobs(ctx context.Context, identifier string, rev Revision) (*InRepoJobs, error)
}

// DefaultInRepoCacheSize is how many revisions are remembered.
const DefaultInRepoCacheSize = 200

// inRepoCacheBytes bounds the memory of remembered revisions, which strangers
// write.
const inRepoCacheBytes = 128 << 20

// InRepo finds the jobs of repositories, static and in-repo. It remembers the
// raw content of revisions; defaults and rules are applied at every lookup, so
// a change of the configuration is never missed.
type InRepo struct {
	trees   TreeOpener
	remote  RawSource
	size    int
	metrics *inRepoMetrics

	mu      sync.Mutex
	entries map[string]*list.Element // of *inRepoEntry, most recently used first
	order   *list.List
	// bytes is the memory of what is remembered; room is how much it may be.
	bytes, room int64
}

type inRepoEntry struct {
	key, org, repo string
	ready          chan struct{}
	raw            *InRepoJobs
	err            error
	counted        int64 // bytes, once they are known
}

// InRepoOptions tune an InRepo.
type InRepoOptions struct {
	// CacheSize is how many revisions are remembered. Default: DefaultInRepoCacheSize.
	CacheSize int
	// Registerer takes the metrics; nil is nobody.
	Registerer prometheus.Registerer
}

// NewInRepo returns an InRepo that reads repositories from trees. Without
// trees, lookups for repositories that bring their own jobs fail.
func NewInRepo(trees TreeOpener, opts InRepoOptions) *InRepo {
	if opts.CacheSize <= 0 {
		opts.CacheSize = DefaultInRepoCacheSize
	}
	return &InRepo{
		trees: trees, size: opts.CacheSize, metrics: newInRepoMetrics(opts.Registerer),
		entries: map[string]*list.Element{}, order: list.New(), room: inRepoCacheBytes,
	}
}

// NewRemoteInRepo returns an InRepo that asks a source which remembers by itself.
func NewRemoteInRepo(source RawSource) *InRepo { return &InRepo{remote: source} }

// Presubmits returns all presubmits of a repository for the base with the
// heads merged: the static ones, then its own. Commits are asked for only if
// the repository may bring jobs. Where its own jobs are refused, the static
// ones come with the error.
func (r *InRepo) Presubmits(ctx context.Context, c *Config, identifier, baseRef string, base SHAGetter, heads ...SHAGetter) ([]Presubmit, error) {
	static := c.PresubmitsStatic(identifier)
	own, err := r.Jobs(ctx, c, identifier, baseRef, base, heads...)
	if err != nil || own == nil || len(own.Presubmits) == 0 {
		return static, err
	}
	return slices.Concat(static, own.Presubmits), nil
}

// Postsubmits returns all postsubmits of a repository, as Presubmits does.
func (r *InRepo) Postsubmits(ctx context.Context, c *Config, identifier, baseRef string, base SHAGetter, heads ...SHAGetter) ([]Postsubmit, error) {
	static := c.PostsubmitsStatic(identifier)
	own, err := r.Jobs(ctx, c, identifier, baseRef, base, heads...)
	if err != nil || own == nil || len(own.Postsubmits) == 0 {
		return static, err
	}
	return slices.Concat(static, own.Postsubmits), nil
}

// Jobs returns the jobs a repository brings, ready to run; nil if it may not
// bring any.
func (r *InRepo) Jobs(ctx context.Context, c *Config, identifier, baseRef string, base SHAGetter, heads ...SHAGetter) (*InRepoJobs, error) {
	if !c.InRepoConfig.InRepoEnabled(identifier) {
		return nil, nil
	}
	org, repo := SplitRepo(identifier)
	switch {
	case repo == "":
		return nil, fmt.Errorf("in-repo configuration of %q: expected a repository, found only an org", identifier)
	case r == nil || r.trees == nil && r.remote == nil:
		return nil, fmt.Errorf("in-repo configuration of %s: there is no git client to read it with", identifier)
	}
	rev := Revision{Org: org, Repo: repo, BaseRef: baseRef, MergeMethod: c.Tide.MergeMethod(org, repo, baseRef)}
	var err error
	if rev.BaseSHA, err = base(ctx); err != nil {
		return nil, fmt.Errorf("finding the base commit of %s: %w", identifier, err)
	}
	if rev.BaseSHA == "" {
		return nil, fmt.Errorf("in-repo configuration of %s: the base commit is empty", identifier)
	}
	for _, get := range heads {
		head, err := get(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding a head commit of %s: %w", identifier, err)
		}
		if head != "" {
			rev.HeadSHAs = append(rev.HeadSHAs, head)
		}
	}
	raw, err := r.RawJobs(ctx, identifier, rev)
	if err != nil {
		return nil, fmt.Errorf("in-repo configuration of %s: %w", identifier, err)
	}
	jobs, err := c.ResolveInRepo(identifier, raw)
	if err != nil {
		return nil, fmt.Errorf("in-repo configuration of %s: %w", identifier, err)
	}
	return jobs, nil
}

// RawJobs returns what a revision declares, reading it if nobody has.
// Concurrent lookups of one revision share one reading.
func (r *InRepo) RawJobs(ctx context.Context, identifier string, rev Revision) (*InRepoJobs, error) {
	if r.remote != nil {
		return r.remote.RawJobs(ctx, identifier, rev)
	}
	start := time.Now()
	defer func() { r.metrics.duration.WithLabelValues(rev.Org, rev.Repo).Observe(time.Since(start).Seconds()) }()
	r.metrics.lookups.WithLabelValues(rev.Org, rev.Repo).Inc()
	key, err := cacheKey(identifier, rev)
	if err != nil {
		return nil, err
	}
	for {
		entry, mine := r.entry(key, rev)
		if mine {
			r.metrics.misses.WithLabelValues(rev.Org, rev.Repo).Inc()
			r.construct(ctx, entry, rev)
			return entry.raw, entry.err
		}
		select {
		case <-entry.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// The one who read it may have been called off; that is not our fate.
		if errors.Is(entry.err, context.Canceled) || errors.Is(entry.err, context.DeadlineExceeded) {
			continue
		}
		r.metrics.hits.WithLabelValues(rev.Org, rev.Repo).Inc()
		return entry.raw, entry.err
	}
}

func cacheKey(identifier string, rev Revision) (string, error) {
	key, err := json.Marshal(struct {
		Identifier string   `json:"identifier"`
		BaseSHA    string   `json:"baseSHA"`
		HeadSHAs   []string `json:"headSHAs"`
	}{identifier, rev.BaseSHA, rev.HeadSHAs})
	return string(key), err
}

// entry returns the entry of a key; the caller that it is new to reads it.
func (r *InRepo) entry(key string, rev Revision) (entry *inRepoEntry, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[key]; ok {
		r.order.MoveToFront(e)
		return e.Value.(*inRepoEntry), false
	}
	entry = &inRepoEntry{key: key, org: rev.Org, repo: rev.Repo, ready: make(chan struct{})}
	r.entries[key] = r.order.PushFront(entry)
	r.metrics.usage.WithLabelValues(rev.Org, rev.Repo).Inc()
	r.shrinkLocked()
	return entry, true
}

// shrinkLocked forgets what was not asked for longest, as long as there is too
// much; the newest stays.
func (r *InRepo) shrinkLocked() {
	for r.order.Len() > r.size || r.bytes > r.room && r.order.Len() > 1 {
		oldest := r.order.Back().Value.(*inRepoEntry)
		r.metrics.forced.WithLabelValues(oldest.org, oldest.repo).Inc()
		r.removeLocked(oldest)
	}
}

func (r *InRepo) construct(ctx context.Context, entry *inRepoEntry, rev Revision) {
	defer close(entry.ready)
	entry.raw, entry.err = r.read(ctx, rev)
	r.mu.Lock()
	defer r.mu.Unlock()
	if entry.err == nil {
		// It may have been forgotten in the meantime.
		if e, ok := r.entries[entry.key]; ok && e.Value == any(entry) {
			entry.counted = entry.raw.memory
			r.bytes += entry.counted
			r.shrinkLocked()
		}
	} else {
		r.metrics.manual.WithLabelValues(rev.Org, rev.Repo).Inc()
		r.removeLocked(entry)
	}
}

func (r *InRepo) read(ctx context.Context, rev Revision) (jobs *InRepoJobs, err error) {
	// The content is a stranger's.
	err = guarded("the files of "+rev.Org+"/"+rev.Repo, func() error {
		tree, release, err := r.trees.OpenTree(ctx, rev)
		if err != nil {
			return err
		}
		defer release()
		jobs, err = ReadInRepo(tree)
		return err
	})
	return jobs, err
}

func (r *InRepo) removeLocked(entry *inRepoEntry) {
	if e, ok := r.entries[entry.key]; ok && e.Value == any(entry) {
		r.order.Remove(e)
		delete(r.entries, entry.key)
		r.bytes -= entry.counted
		r.metrics.usage.WithLabelValues(entry.org, entry.repo).Dec()
	}
}

type inRepoMetrics struct {
	lookups, hits, misses, forced, manual *prometheus.CounterVec
	usage                                 *prometheus.GaugeVec
	duration                              *prometheus.HistogramVec
}

func newInRepoMetrics(reg prometheus.Registerer) *inRepoMetrics {
	labels := []string{"org", "repo"}
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "inRepoConfigCache_" + name, Help: help}, labels)
		if reg != nil {
			reg.MustRegister(c)
		}
		return c
	}
	m := &inRepoMetrics{
		lookups: counter("lookups", "Lookups of in-repo configuration."),
		hits:    counter("hits", "Lookups that found the revision, or somebody reading it."),
		misses:  counter("misses", "Lookups that had to read the revision."),
		forced:  counter("evictions_forced", "Revisions forgotten for want of room."),
		manual:  counter("evictions_manual", "Revisions forgotten because they could not be read."),
		usage: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "inRepoConfigCache_cache_usage_size", Help: "Revisions that are remembered."}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inRepoConfigCache_GetProwYAML_duration", Help: "Seconds a lookup takes.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600}}, labels),
	}
	if reg != nil {
		reg.MustRegister(m.usage, m.duration)
	}
	return m
}
