package config

import (
	"regexp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Gerrit configures the Gerrit adapter and reporter.
type Gerrit struct {
	// TickInterval is the time between two queries. Default: 1m.
	TickInterval *metav1.Duration `json:"tick_interval,omitempty"`
	// RateLimit is the number of changes per query. Default: 5.
	RateLimit int `json:"ratelimit,omitempty"`
	// DeckURL is where Deck is for people.
	DeckURL string `json:"deck_url,omitempty"`
	// OrgReposConfig lists the repositories to watch.
	OrgReposConfig []GerritOrgRepos `json:"org_repos_config,omitempty"`
	// AllowedPresubmitTriggerRe is a regular expression of the comments that count
	// as commands. Default: empty, which is all.
	AllowedPresubmitTriggerRe string `json:"allowed_presubmit_trigger_re,omitempty"`

	allowedTrigger *regexp.Regexp
}

// GerritOrgRepos lists repositories of one host. Several entries may name the
// same host; their repositories are united.
type GerritOrgRepos struct {
	// Org is the host with its scheme.
	Org string `json:"org,omitempty"`
	// Repos are repositories of the host.
	Repos []string `json:"repos,omitempty"`
	// OptOutHelp keeps help messages away.
	OptOutHelp bool `json:"opt_out_help,omitempty"`
	// Filters belong to each listed repository.
	Filters *GerritQueryFilter `json:"filters,omitempty"`
}

// GerritQueryFilter limits the changes that are looked at.
type GerritQueryFilter struct {
	// Branches are the only branches to look at. Default: all.
	Branches []string `json:"branches,omitempty"`
	// ExcludedBranches are branches to leave out.
	ExcludedBranches []string `json:"excluded_branches,omitempty"`
	// OptInByDefault makes Tide take changes that do not say whether they want it.
	// Default: false.
	OptInByDefault bool `json:"opt_in_by_default,omitempty"`
}

func (g *Gerrit) resolve(s *sectionContext) {
	defaultDuration(&g.TickInterval, time.Minute)
	defaultTo(&g.RateLimit, 5)
	if g.DeckURL != "" {
		checkURL(s.report, "gerrit.deck_url", g.DeckURL)
	}
	if g.AllowedPresubmitTriggerRe != "" {
		var err error
		if g.allowedTrigger, err = s.re.compile(g.AllowedPresubmitTriggerRe); err != nil {
			s.report("gerrit.allowed_presubmit_trigger_re", "%v", err)
		}
	}
}

// IsAllowedPresubmitTrigger tells whether a comment may count as a command.
func (g *Gerrit) IsAllowedPresubmitTrigger(comment string) bool {
	return g.allowedTrigger == nil || g.allowedTrigger.MatchString(comment)
}

// GerritRepos lists the repositories of entries by host, each with the filter
// of its entry, nil where it has none.
func GerritRepos(entries []GerritOrgRepos) map[string]map[string]*GerritQueryFilter {
	out := map[string]map[string]*GerritQueryFilter{}
	for _, e := range entries {
		if out[e.Org] == nil {
			out[e.Org] = map[string]*GerritQueryFilter{}
		}
		for _, repo := range e.Repos {
			out[e.Org][repo] = e.Filters
		}
	}
	return out
}

// GerritReposWithoutHelp lists the repositories that get no help messages, by host.
func GerritReposWithoutHelp(entries []GerritOrgRepos) map[string]sets.Set[string] {
	out := map[string]sets.Set[string]{}
	for _, e := range entries {
		if !e.OptOutHelp {
			continue
		}
		if out[e.Org] == nil {
			out[e.Org] = sets.New[string]()
		}
		out[e.Org].Insert(e.Repos...)
	}
	return out
}
