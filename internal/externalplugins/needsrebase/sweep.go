package needsrebase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// writeLimit bounds the writes of one sweep: what is left over is done by the next.
const writeLimit = 5 * time.Minute

// crowded is a repository with more open pull requests than one search answers.
const crowded = "kubernetes/kubernetes"

// crowdedSplit is how the searches for it are divided by age.
const crowdedSplit = 60 * 24 * time.Hour

// searchText finds open pull requests, with whether they can be merged.
const searchText = `query($query: String!, $cursor: String) {
  search(type: ISSUE, first: 100, after: $cursor, query: $query) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on PullRequest {
      number state mergeable author { login }
      repository { name owner { login } }
      labels(first: 100) { nodes { name } }
    } }
  }
}`

type searchAnswer struct {
	Search struct {
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
		Nodes []found
	}
}

// found is a pull request of the search.
type found struct {
	Number    int
	State     string
	Mergeable string
	Author    struct{ Login string }
	Repo      struct {
		Name  string
		Owner struct{ Login string }
	} `json:"repository"`
	Labels struct{ Nodes []struct{ Name string } }
}

func (f found) subject() subject {
	labeled := slices.ContainsFunc(f.Labels.Nodes, func(l struct{ Name string }) bool { return strings.EqualFold(l.Name, Label) })
	return subject{f.Repo.Owner.Login, f.Repo.Name, f.Number, f.Author.Login, f.Mergeable == "MERGEABLE", labeled}
}

// sweepForge is what a sweep asks of the forge.
type sweepForge interface {
	writer
	Query(ctx context.Context, org, query string, variables map[string]any, out any) error
}

// sweeper looks at all open pull requests of those who use the plugin.
type sweeper struct {
	forge   sweepForge
	config  func() *pluginconfig.Configuration
	checked *checked
	// perOrg asks for each org by itself, as an App has to.
	perOrg bool
	now    func() time.Time
	log    *slog.Logger
}

// question is one search.
type question struct{ org, text string }

// questions are the searches for the orgs and repositories that use the plugin.
func (s *sweeper) questions() []question {
	const base = "archived:false is:pr is:open"
	orgs, repos := users(s.config())
	split := s.now().Add(-crowdedSplit).UTC().Format(time.DateOnly)
	var out []question
	for _, org := range orgs {
		owner, _, _ := strings.Cut(crowded, "/")
		if org != owner {
			out = append(out, question{org, fmt.Sprintf(`%s org:"%s"`, base, org)})
			continue
		}
		out = append(out,
			question{org, fmt.Sprintf(`%s org:"%s" -repo:"%s"`, base, org, crowded)},
			question{org, fmt.Sprintf(`%s repo:"%s" created:>=%s`, base, crowded, split)},
			question{org, fmt.Sprintf(`%s repo:"%s" created:<%s`, base, crowded, split)})
	}
	byOrg := map[string][]string{}
	var keys []string
	for _, repo := range repos {
		org, _, _ := strings.Cut(repo, "/")
		if slices.Contains(orgs, org) {
			continue
		}
		key := org
		if !s.perOrg {
			key = ""
		}
		if byOrg[key] == nil {
			keys = append(keys, key)
		}
		byOrg[key] = append(byOrg[key], fmt.Sprintf(`repo:"%s"`, repo))
	}
	for _, key := range keys {
		out = append(out, question{key, base + " " + strings.Join(byOrg[key], " ")})
	}
	return out
}

// users are the orgs and repositories that list the plugin among their external plugins.
func users(cfg *pluginconfig.Configuration) (orgs, repos []string) {
	for key, entries := range cfg.ExternalPlugins {
		if !slices.ContainsFunc(entries, func(e pluginconfig.ExternalPlugin) bool { return e.Name == Name }) {
			continue
		}
		if strings.Contains(key, "/") {
			repos = append(repos, key)
		} else {
			orgs = append(orgs, key)
		}
	}
	slices.Sort(orgs)
	slices.Sort(repos)
	return orgs, repos
}

// sweep asks everything once, and acts on what is found even where some searches
// fail.
func (s *sweeper) sweep(ctx context.Context) error {
	s.checked.forget()
	var errs []error
	var subjects []subject
	for _, q := range s.questions() {
		more, err := s.ask(ctx, q)
		errs = append(errs, err)
		subjects = append(subjects, more...)
	}
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	for _, sub := range subjects {
		if limited.Err() != nil {
			s.log.WarnContext(ctx, "the rest of the pull requests is left to the next look")
			break
		}
		if err := act(limited, s.forge, s.log, sub); err != nil && limited.Err() == nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ask collects the pull requests of one search of which the forge knows whether
// they can be merged.
func (s *sweeper) ask(ctx context.Context, q question) (out []subject, err error) {
	var cursor any
	for {
		var answer searchAnswer
		if err := s.forge.Query(ctx, q.org, searchText, map[string]any{"query": q.text, "cursor": cursor}, &answer); err != nil {
			return out, fmt.Errorf("searching %q: %w", q.text, err)
		}
		for _, f := range answer.Search.Nodes {
			if f.Number != 0 && f.State == "OPEN" && (f.Mergeable == "MERGEABLE" || f.Mergeable == "CONFLICTING") {
				out = append(out, f.subject())
			}
		}
		next := answer.Search.PageInfo
		if !next.HasNextPage || next.EndCursor == "" || next.EndCursor == cursor {
			return out, nil
		}
		cursor = next.EndCursor
	}
}

// run sweeps now and then every period until ctx ends.
func (s *sweeper) run(ctx context.Context, period time.Duration) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "not all pull requests could be looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

var _ sweepForge = (*github.Client)(nil)
