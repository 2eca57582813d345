package tide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
)

// Querier runs GraphQL queries, as the installation of an org where there is one.
// Where the forge answers with data and errors both are returned.
type Querier interface {
	Query(ctx context.Context, org, query string, variables map[string]any, out any) error
}

const (
	// searchTimeout bounds all pages of one search.
	searchTimeout = 5 * time.Minute
	// maxPages bounds the pages of one search; GitHub gives 1000 results at most.
	maxPages = 200
	// maxSearches bounds the searches that run at once.
	maxSearches = 20
)

// The size of a page and of the window of commits keep the query below GitHub's
// limit of 50,000 nodes.
const pullRequestQuery = `query($query: String!, $searchCursor: String) {
  rateLimit { cost remaining }
  search(type: ISSUE, first: 37, after: $searchCursor, query: $query) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on PullRequest {
      number author { login } authorMetadata: author { __typename } baseRef { name prefix target { oid } } headRefName headRefOid
      mergeable mergeStateStatus canBeRebased repository { name nameWithOwner owner { login } } reviewDecision
      commits(last: 4) { nodes { commit {
        oid status { contexts { context description state } }
        statusCheckRollup { contexts(last: 100) { nodes { ... on CheckRun { name conclusion status } } } }
      } } }
      labels(first: 100) { nodes { name } } milestone { title } body title updatedAt
    } }
  }
}`

type searchAnswer[T any] struct {
	RateLimit struct{ Cost, Remaining int }
	Search    struct {
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
		Nodes []T
	}
}

// search reads all pages of one search. Pages that came before a failure are
// returned with it.
func search[T any](ctx context.Context, q Querier, log *slog.Logger, org, query, text string) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	var out []T
	var cursor *string
	cost := 0
	for range maxPages {
		var page searchAnswer[T]
		err := q.Query(ctx, org, query, map[string]any{"query": text, "searchCursor": cursor}, &page)
		out = append(out, page.Search.Nodes...)
		cost += page.RateLimit.Cost
		if err != nil {
			return out, fmt.Errorf("search %q: %w", text, err)
		}
		if !page.Search.PageInfo.HasNextPage {
			log.DebugContext(ctx, "searched", "query", text, "results", len(out), "cost", cost, "remaining", page.RateLimit.Remaining)
			return out, nil
		}
		end := page.Search.PageInfo.EndCursor
		if end == "" || cursor != nil && *cursor == end {
			return out, fmt.Errorf("search %q: the forge promises a next page but does not say where", text)
		}
		cursor = &end
	}
	return out, fmt.Errorf("search %q: more than %d pages", text, maxPages)
}

// earliest is the first date that GitHub searches: it silently finds nothing for
// dates before its own time.
var earliest = time.Date(2007, 1, 1, 0, 0, 0, 0, time.UTC)

// updatedBetween limits a search by the time of the last update.
func updatedBetween(start, end time.Time) string {
	format := func(t time.Time) string {
		if t.Before(earliest) {
			t = earliest
		}
		return t.UTC().Format("2006-01-02T15:04:05Z")
	}
	return "updated:" + format(start) + ".." + format(end)
}

// searchPullRequests searches pull requests, leaving out what is no longer one,
// such as where the base branch was deleted.
func searchPullRequests(ctx context.Context, q Querier, log *slog.Logger, org, text string) ([]*PullRequest, error) {
	nodes, err := search[GitHubPullRequest](ctx, q, log, org, pullRequestQuery, text)
	var out []*PullRequest
	for i := range nodes {
		if n := &nodes[i]; n.Number > 0 && n.BaseRef.Name != "" && n.Repository.Name != "" && n.HeadRefOID != "" {
			out = append(out, fromGitHub(n))
		}
	}
	return out, err
}

// Candidates searches what every query wants. Results of several queries are
// united. The error tells of the searches that found nothing because they failed.
func (g *GitHubProvider) Candidates(ctx context.Context, cfg *config.Config) (map[string]*PullRequest, error) {
	type shard struct {
		query     int
		org, text string
	}
	var shards []shard
	for i := range cfg.Tide.Queries {
		q := &cfg.Tide.Queries[i]
		if !g.PerOrg {
			shards = append(shards, shard{i, "", q.Query()})
			continue
		}
		texts := q.OrgQueries()
		for _, org := range slices.Sorted(maps.Keys(texts)) {
			shards = append(shards, shard{i, org, texts[org]})
		}
	}
	results := make([][]*PullRequest, len(shards))
	errs := make([]error, len(shards))
	now := g.Now()
	var group errgroup.Group
	group.SetLimit(maxSearches)
	for i, sh := range shards {
		group.Go(func() error {
			prs, err := searchPullRequests(ctx, g.Forge, g.Log, sh.org, sh.text+" "+updatedBetween(time.Time{}, now))
			results[i] = prs
			outcome := "success"
			switch {
			case err != nil && len(prs) == 0:
				outcome = "error"
				errs[i] = fmt.Errorf("query %d: %w", sh.query, err)
			case err != nil:
				outcome = "error"
				g.Log.WarnContext(ctx, "a search failed half-way; what it found is used", "query", sh.query, "org", sh.org, "error", err)
			}
			g.Metrics.queryResults.WithLabelValues(strconv.Itoa(sh.query), sh.org, outcome).Inc()
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through errs
	out := map[string]*PullRequest{}
	for _, prs := range results {
		for _, pr := range prs {
			out[pr.key()] = pr
		}
	}
	return out, errors.Join(errs...)
}

// scopeTokens limit searches to what the queries cover, by org.
func scopeTokens(queries config.TideQueries) map[string][]string {
	exceptions, repos := queries.OrgExceptionsAndRepos()
	out := map[string][]string{}
	for org, excluded := range exceptions {
		out[org] = append(out[org], `org:"`+org+`"`)
		for _, repo := range sets.List(excluded) {
			out[org] = append(out[org], `-repo:"`+repo+`"`)
		}
	}
	for _, repo := range sets.List(repos) {
		org, _ := config.SplitRepo(repo)
		out[org] = append(out[org], `repo:"`+repo+`"`)
	}
	return out
}

// scopedSearches are the texts of a search over everything the queries cover: one
// for each org, or a single one under the empty name.
func scopedSearches(queries config.TideQueries, perOrg bool, tokens ...string) map[string]string {
	scopes := scopeTokens(queries)
	out := map[string]string{}
	all := slices.Clone(tokens)
	for _, org := range slices.Sorted(maps.Keys(scopes)) {
		if perOrg {
			out[org] = strings.Join(slices.Concat(tokens, scopes[org]), " ")
		}
		all = append(all, scopes[org]...)
	}
	if !perOrg && len(scopes) > 0 {
		out[""] = strings.Join(all, " ")
	}
	return out
}
