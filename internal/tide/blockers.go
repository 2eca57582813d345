package tide

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/tide/planner"
)

const blockerQuery = `query($query: String!, $searchCursor: String) {
  rateLimit { cost remaining }
  search(type: ISSUE, first: 100, after: $searchCursor, query: $query) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on Issue { number title url repository { name owner { login } } } }
  }
}`

type blockerIssue struct {
	Number     int
	Title, URL string
	Repository struct {
		Name  string
		Owner struct{ Login string }
	}
}

// branchToken is how a title names a branch. Without any, the issue blocks the
// whole repository.
var branchToken = regexp.MustCompile(`(?im)\bbranch:[^\w-]*([\w-./]+)\b`)

// blockers are the issues that stop repositories and branches.
type blockers struct {
	repos    map[string][]planner.Blocker // by org/repo
	branches map[string][]planner.Blocker // by pool key
}

// of returns the issues that stop a branch, by number.
func (b blockers) of(org, repo, branch string) []planner.Blocker {
	out := slices.Concat(b.repos[org+"/"+repo], b.branches[poolKey(org, repo, branch)])
	slices.SortFunc(out, func(a, b planner.Blocker) int { return a.Number - b.Number })
	return out
}

func newBlockers(issues []blockerIssue) blockers {
	out := blockers{repos: map[string][]planner.Blocker{}, branches: map[string][]planner.Blocker{}}
	for _, issue := range issues {
		org, repo := issue.Repository.Owner.Login, issue.Repository.Name
		b := planner.Blocker{Number: issue.Number, URL: issue.URL, Title: branchToken.ReplaceAllString(issue.Title, "")}
		matches := branchToken.FindAllStringSubmatch(issue.Title, -1)
		if len(matches) == 0 {
			out.repos[org+"/"+repo] = append(out.repos[org+"/"+repo], b)
		}
		for _, m := range matches {
			key := poolKey(org, repo, m[1])
			if !slices.Contains(out.branches[key], b) {
				out.branches[key] = append(out.branches[key], b)
			}
		}
	}
	return out
}

// Blockers searches blocking issues. Per org, the orgs whose search failed are
// returned with their errors, and their pull requests must be left alone; over
// everything, a failure is the error.
func (g *GitHubProvider) Blockers(ctx context.Context, cfg *config.Config) (_ blockers, failed map[string]error, _ error) {
	if cfg.Tide.BlockerLabel == "" {
		return blockers{}, nil, nil
	}
	texts := scopedSearches(cfg.Tide.Queries, g.PerOrg, "is:issue", "state:open", `label:"`+cfg.Tide.BlockerLabel+`"`)
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	failed = map[string]error{}
	var all []blockerIssue
	for _, org := range slices.Sorted(maps.Keys(texts)) {
		issues, err := search[blockerIssue](ctx, g.Forge, g.Log, org, blockerQuery, texts[org])
		switch {
		case err != nil && org == "":
			return blockers{}, nil, fmt.Errorf("find blocking issues: %w", err)
		case err != nil:
			failed[org] = err
		}
		all = append(all, issues...)
	}
	all = slices.DeleteFunc(all, func(i blockerIssue) bool { return i.Number == 0 })
	return newBlockers(all), failed, nil
}

// describeFailed names orgs and what went wrong with them.
func describeFailed(failed map[string]error) error {
	var errs []error
	for _, org := range slices.Sorted(maps.Keys(failed)) {
		errs = append(errs, fmt.Errorf("org %s: %w", org, failed[org]))
	}
	return errors.Join(errs...)
}

// issueList names blocking issues as people write them.
func issueList(list []planner.Blocker) string {
	words := make([]string, len(list))
	for i, b := range list {
		words[i] = fmt.Sprintf("#%d", b.Number)
	}
	noun := "issue "
	if len(list) > 1 {
		noun = "issues "
	}
	return noun + strings.Join(words, ", ")
}
