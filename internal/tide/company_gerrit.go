package tide

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"prow/internal/forge/gerrit"
)

// company remembers which heads are submitted by themselves: what a commit is made
// on never changes, and what was merged stays merged.
type company struct {
	mu    sync.Mutex
	alone map[string]bool
}

// lookForCompany refuses changes that Gerrit would submit together with others that
// are no candidates: nobody has asked for those, or Gerrit would refuse all of
// them, round after round.
func (g *GerritProvider) lookForCompany(ctx context.Context, candidates map[string]*PullRequest) {
	var group errgroup.Group
	group.SetLimit(maxSearches)
	g.company.mu.Lock()
	known := g.company.alone
	g.company.alone = map[string]bool{}
	g.company.mu.Unlock()
	for _, pr := range candidates {
		key := headKey(pr.Org, pr.Repo, pr.Number, pr.HeadRefOID)
		topical := pr.change.Topic != "" // others may be given the topic at any time
		if known[key] && !topical {
			g.company.remember(key)
			continue
		}
		group.Go(func() error {
			others, hidden, err := g.Forge.SubmittedTogether(ctx, pr.Org, pr.change.ID)
			switch {
			case err != nil:
				g.Log.WarnContext(ctx, "it is not known what a change would be submitted with; it is left alone", "pr", pr.key(), "error", err)
				pr.refused = &mergeableUnknown
			case len(others) > 0 || hidden > 0:
				pr.refused = strangers(pr, others, hidden, candidates)
			case !topical:
				g.company.remember(key)
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through the records
}

func (c *company) remember(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alone[key] = true
}

// strangers is the reason that some of the changes that would be submitted with one
// are no candidates for the same branch; nil where all are.
func strangers(pr *PullRequest, others []*gerrit.Change, hidden int, candidates map[string]*PullRequest) *Reason {
	var names, links []string
	for _, other := range others {
		if c := candidates[prKey(pr.Org, other.Project, other.Number)]; c != nil && c.poolKey() == pr.poolKey() {
			continue
		}
		names = append(names, fmt.Sprint(other.Number))
		links = append(links, fmt.Sprintf("%s/c/%s/+/%d", pr.Org, other.Project, other.Number))
	}
	if hidden > 0 {
		names = append(names, "others that cannot be seen")
	}
	if len(names) == 0 {
		return nil
	}
	return &Reason{Code: "company", Sentence: "it would be submitted together with " + strings.Join(names, ", ") + ", which may not be merged yet", Links: links}
}
