package tide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/storage"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

// StatusForge is what the status controller needs of GitHub.
type StatusForge interface {
	Querier
	StatusReader
	RefReader
	StatusWriter
}

const (
	// overlap is by how much a search goes back behind the last result of the one
	// before, since the index of the forge lags.
	overlap = 30 * time.Second
	// saveEvery is how often the windows are saved.
	saveEvery = time.Hour
	// maxStatusState bounds the file with the windows, in bytes.
	maxStatusState = 8 << 20
)

// Statuses is the status controller: it keeps the own context of pull requests
// current, so that everyone sees why a pull request is not merged yet.
type Statuses struct {
	Forge        StatusForge
	Jobs         client.Reader
	InRepo       *config.InRepo
	Mergeability *Mergeability
	Board        *Board
	Metrics      *Metrics
	Config       func() *config.Config
	PerOrg       bool
	// Place is where the windows are kept; nil is nowhere.
	Place *history.Place
	Now   func() time.Time
	// After is time.After with the clock of the caller.
	After func(time.Duration) <-chan time.Time
	Log   *slog.Logger

	windows map[string]window
}

// window says what the last search of a shard has seen.
type window struct {
	// LatestPR is where the next search begins.
	LatestPR time.Time
	// PreviousQuery is the text without the time; another begins anew.
	PreviousQuery string
}

// Run updates statuses when there are news, at most once in a period, until ctx ends.
func (c *Statuses) Run(ctx context.Context) error {
	c.load(ctx)
	saved := c.Now()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			c.save(ctx)
			return nil
		case <-c.Board.signal:
		}
		// What is signalled meanwhile is part of the news that are read afterwards.
		if wait := c.Config().Tide.StatusUpdatePeriod.Duration - c.Now().Sub(last); !last.IsZero() && wait > 0 {
			select {
			case <-ctx.Done():
				c.save(ctx)
				return nil
			case <-c.After(wait):
			}
		}
		last = c.Now()
		c.Sync(ctx, c.Config())
		if c.Now().Sub(saved) >= saveEvery {
			c.save(ctx)
			saved = c.Now()
		}
	}
}

// Sync makes one round.
func (c *Statuses) Sync(ctx context.Context, cfg *config.Config) {
	start := c.Now()
	defer func() {
		c.Metrics.statusSeconds.Set(c.Now().Sub(start).Seconds())
		c.Metrics.heartbeat.WithLabelValues("status-update").Inc()
	}()
	n, done := c.Board.read()
	defer done()
	prs := c.find(ctx, cfg)
	seen := map[string]bool{}
	for _, pr := range prs {
		seen[pr.key()] = true
	}
	for _, key := range slices.Sorted(maps.Keys(n.pooled)) {
		if !seen[key] {
			prs = append(prs, n.pooled[key])
		}
	}
	judge := judge{forge: c.Forge, jobs: c.Jobs, inRepo: c.InRepo, mergeability: c.Mergeability, log: c.Log}
	bases := map[string]string{}
	for _, pr := range prs {
		if ctx.Err() != nil {
			return
		}
		verdict, err := judge.of(ctx, cfg, pr, n, func(ctx context.Context) (string, error) { return c.base(ctx, n, bases, pr) })
		if err != nil {
			c.Log.WarnContext(ctx, "the status of a pull request is left as it is", "pr", pr.key(), "error", err)
			continue
		}
		c.write(ctx, cfg, pr, verdict)
	}
}

// base is the base commit of a pull request; asked for once in a round.
func (c *Statuses) base(ctx context.Context, n news, known map[string]string, pr *PullRequest) (string, error) {
	if sha := n.bases[pr.poolKey()]; sha != "" {
		return sha, nil
	}
	if sha := known[pr.poolKey()]; sha != "" {
		return sha, nil
	}
	if pr.baseOID != "" {
		known[pr.poolKey()] = pr.baseOID
		return pr.baseOID, nil
	}
	sha, err := c.Forge.GetRef(ctx, pr.Org, pr.Repo, "heads/"+pr.BaseRefName)
	if err == nil {
		known[pr.poolKey()] = sha
	}
	return sha, err
}

// find searches the pull requests that were updated since the last round.
func (c *Statuses) find(ctx context.Context, cfg *config.Config) []*PullRequest {
	texts := scopedSearches(cfg.Tide.Queries, c.PerOrg, "is:pr", "state:open", "sort:updated-asc", "archived:false")
	now := c.Now()
	var mu sync.Mutex
	var out []*PullRequest
	var group sync.WaitGroup
	if c.windows == nil {
		c.windows = map[string]window{}
	}
	for _, shard := range slices.Sorted(maps.Keys(texts)) {
		w := c.windows[shard]
		if w.PreviousQuery != texts[shard] {
			w = window{PreviousQuery: texts[shard]}
		}
		group.Go(func() {
			prs, err := searchPullRequests(ctx, c.Forge, c.Log, shard, texts[shard]+" "+updatedBetween(w.LatestPR, now))
			if err != nil {
				c.Log.WarnContext(ctx, "the search for pull requests failed; what it found is used", "org", shard, "results", len(prs), "error", err)
			}
			if len(prs) > 0 {
				if at := prs[len(prs)-1].UpdatedAtTime; !at.IsZero() {
					w.LatestPR = at.Add(-overlap)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			c.windows[shard] = w
			out = append(out, prs...)
		})
	}
	group.Wait()
	slices.SortFunc(out, func(a, b *PullRequest) int { return strings.Compare(a.key(), b.key()) })
	return slices.CompactFunc(out, func(a, b *PullRequest) bool { return a.key() == b.key() })
}

// write sets the status if it is not as it should be.
func (c *Statuses) write(ctx context.Context, cfg *config.Config, pr *PullRequest, verdict judgement) {
	description := verdict.Sentence
	if runes := []rune(description); len(runes) > github.StatusDescriptionLimit {
		c.Log.WarnContext(ctx, "a description is too long and was cut", "pr", pr.key(), "description", description)
		description = string(runes[:github.StatusDescriptionLimit-3]) + "..."
	}
	contexts, err := headContexts(ctx, c.Forge, c.Log, pr)
	if err != nil {
		return // it was read before
	}
	for _, have := range contexts {
		if have.Context == planner.OwnContext && strings.ToLower(string(have.State)) == verdict.State && have.Description == description {
			return
		}
	}
	if c.Board.isHeld(pr) {
		return
	}
	err = c.Forge.CreateStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID, github.Status{
		Context: planner.OwnContext, State: verdict.State, Description: description, TargetURL: targetURL(&cfg.Tide, pr, c.Log),
	})
	switch {
	case github.IsNotFound(err): // the pull request vanished
	case err != nil:
		c.Log.ErrorContext(ctx, "the status of a pull request cannot be set", "pr", pr.key(), "error", err)
	default:
		c.Log.InfoContext(ctx, "set a status", "pr", pr.key(), "sha", pr.HeadRefOID, "state", verdict.State, "reason", verdict.Code, "sentence", description)
	}
}

// load reads the windows of an earlier process. Without them more is searched,
// which is no reason to fail.
func (c *Statuses) load(ctx context.Context) {
	c.windows = map[string]window{}
	if c.Place == nil {
		return
	}
	content, err := storage.ReadAll(ctx, c.Place.Bucket, c.Place.Key, maxStatusState)
	if err == nil {
		c.windows, err = parseWindows(content)
	}
	if err != nil && !errors.Is(err, storage.ErrNotExist) {
		c.Log.WarnContext(ctx, "the state of the status controller cannot be read; every pull request is looked at", "error", err)
	}
}

// parseWindows reads a map by shard, or the older form: one window without a shard.
func parseWindows(content []byte) (map[string]window, error) {
	var one window
	if err := yaml.UnmarshalStrict(content, &one); err == nil && one != (window{}) {
		return map[string]window{"": one}, nil
	}
	out := map[string]window{}
	if err := yaml.Unmarshal(content, &out); err != nil {
		return map[string]window{}, fmt.Errorf("parse the windows of searches: %w", err)
	}
	if out == nil { // the text is "null"
		out = map[string]window{}
	}
	return out, nil
}

func (c *Statuses) save(ctx context.Context) {
	if c.Place == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	content, err := yaml.Marshal(c.windows)
	if err == nil {
		err = c.Place.Bucket.Put(ctx, c.Place.Key, bytes.NewReader(content), storage.PutOptions{ContentType: "application/yaml"})
	}
	if err != nil {
		c.Log.ErrorContext(ctx, "the state of the status controller is not stored", "error", err)
	}
}
