package tide

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/forge/gerrit"
)

// autoSubmitLabel is how people say whether they want Tide to submit a change.
const autoSubmitLabel = "Prow-Auto-Submit"

// candidateFields are what is asked for about each candidate.
var candidateFields = []string{"CURRENT_REVISION", "CURRENT_COMMIT", "CURRENT_FILES", "MESSAGES", "LABELS", "DETAILED_ACCOUNTS"}

// gerritQuery is the query for one project.
type gerritQuery struct {
	// entry is the place in tide.gerrit.queries.
	entry             int
	instance, project string
	text              string
}

// gerritQueries are the queries for all projects. A project that is listed twice
// has the filters of its last entry.
func gerritQueries(tide *config.Tide) []gerritQuery {
	if tide.Gerrit == nil {
		return nil
	}
	var out []gerritQuery
	at := map[[2]string]int{}
	for i, entry := range tide.Gerrit.Queries {
		for _, project := range entry.Repos {
			q := gerritQuery{entry: i, instance: entry.Org, project: project, text: gerritQueryText(entry.Filters, project)}
			key := [2]string{entry.Org, project}
			if before, twice := at[key]; twice {
				out[before] = q
				continue
			}
			at[key] = len(out)
			out = append(out, q)
		}
	}
	return out
}

// gerritQueryText finds the changes of a project that Gerrit would submit and that
// people want submitted.
func gerritQueryText(filter *config.GerritQueryFilter, project string) string {
	var f config.GerritQueryFilter
	if filter != nil {
		f = *filter
	}
	var terms []string
	branches := func(prefix, between string, names []string) {
		if len(names) == 0 {
			return
		}
		var each []string
		for _, name := range names {
			each = append(each, prefix+quoted(name))
		}
		terms = append(terms, "("+strings.Join(each, between)+")")
	}
	branches("branch:", " OR ", f.Branches)
	branches("-branch:", " AND ", f.ExcludedBranches)
	terms = append(terms, "status:open", "-is:wip", "is:submittable", "-label:"+autoSubmitLabel+"=-1")
	if !f.OptInByDefault {
		terms = append(terms, "label:"+autoSubmitLabel)
	}
	return strings.Join(append(terms, "project:"+quoted(project)), " ")
}

// quoted puts what would end a term into quotes.
func quoted(value string) string {
	if strings.ContainsAny(value, " ()") {
		return `"` + value + `"`
	}
	return value
}

// Candidates queries each project. A project whose query fails is left out of the
// round; the error is that none could be queried.
func (g *GerritProvider) Candidates(ctx context.Context, cfg *config.Config) (map[string]*PullRequest, error) {
	queries := gerritQueries(&cfg.Tide)
	if len(queries) == 0 {
		return nil, nil
	}
	out := map[string]*PullRequest{}
	errs := make([]error, len(queries))
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(maxSearches)
	for i, q := range queries {
		group.Go(func() error {
			changes, err := g.Forge.QueryChanges(ctx, q.instance, q.text, cfg.Tide.Gerrit.RateLimit, candidateFields...)
			outcome := "success"
			if err != nil {
				outcome, errs[i] = "error", err
				g.Log.WarnContext(ctx, "the changes of a project are not known; it is left out of this round", "org", q.instance, "repo", q.project, "error", err)
			}
			g.Metrics.queryResults.WithLabelValues(strconv.Itoa(q.entry), q.instance, outcome).Inc()
			mu.Lock()
			defer mu.Unlock()
			for _, change := range changes {
				pr, err := fromGerrit(q.instance, change)
				if err != nil {
					g.Log.ErrorContext(ctx, "a change is left alone", "org", q.instance, "repo", q.project, "pr", change.Number, "error", err)
					continue
				}
				out[pr.key()] = pr
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through errs
	g.lookForCompany(ctx, out)
	for _, err := range errs {
		if err == nil {
			return out, nil
		}
	}
	return out, errors.Join(errs...)
}

// fromGerrit is the neutral record of a change.
func fromGerrit(instance string, c *gerrit.Change) (*PullRequest, error) {
	switch {
	case c.Status != gerrit.StatusNew:
		return nil, fmt.Errorf("it is not open, but %s", c.Status)
	case c.CurrentRevision == "" || c.Current().Ref == "":
		return nil, errors.New("its current revision is not told")
	}
	return &PullRequest{
		NameWithOwner: instance + "/" + c.Project, Number: c.Number, Org: instance, Repo: c.Project,
		BaseRefPrefix: "refs/", BaseRefName: c.Branch, HeadRefName: noHeadRef, HeadRefOID: c.CurrentRevision,
		Title: c.Subject, AuthorLogin: c.Owner.Username, UpdatedAtTime: c.Updated.Time, Mergeable: gerritMergeable(c),
		Gerrit: c.Raw,
		change: c,
		read:   &readContexts{},
	}, nil
}

// gerritMergeable tells whether git could merge a change. Instances need not
// compute that; then it is unknown until the change is submitted.
func gerritMergeable(c *gerrit.Change) string {
	switch {
	case c.Mergeable != nil && *c.Mergeable:
		return mergeableYes
	case c.Mergeable != nil, c.ContainsGitConflicts:
		return mergeableConflicting
	}
	return mergeableUnsaid
}
