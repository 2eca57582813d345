package tide

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
)

// Scores of what keeps a pull request from fulfilling a query. They make the query
// whose reason helps most come first.
const (
	scoreBranch    = 2000
	scoreAuthor    = 1000
	scoreMilestone = 100
	scoreReview    = 50
	scoreBlocked   = 100
	scoreEach      = 1
)

// difference says how far a pull request is from fulfilling a query: 0 is
// fulfilled. The reason names one kind of obstacle, the first in the order of the
// checks. failing are the contexts that keep it from being merged.
func difference(tide *config.Tide, pr *PullRequest, failing []Context, q *config.TideQuery) (score int, reason Reason) {
	add := func(n int, code, format string, args ...any) {
		if n > 0 && score == 0 {
			reason = Reason{Code: code, Sentence: fmt.Sprintf(format, args...)}
		}
		score += n
	}
	if slices.Contains(q.ExcludedBranches, pr.BaseRefName) || len(q.IncludedBranches) > 0 && !slices.Contains(q.IncludedBranches, pr.BaseRefName) {
		add(scoreBranch, "branch", "branch %s is not open for merging", pr.BaseRefName)
	}
	if q.Author != "" && normLogin(q.Author) != normLogin(pr.AuthorLogin) {
		add(scoreAuthor, "author", "the author must be %s", q.Author)
	}
	if q.Milestone != "" && (pr.GitHub == nil || pr.GitHub.Milestone == nil || pr.GitHub.Milestone.Title != q.Milestone) {
		add(scoreMilestone, "milestone", "it must be in milestone %s", q.Milestone)
	}
	var missing, forbidden, contexts []string
	for _, label := range q.Labels {
		if !pr.hasAnyLabel(label) {
			missing = append(missing, strings.ReplaceAll(label, ",", " or "))
		}
	}
	for _, label := range q.MissingLabels {
		if pr.hasLabel(label) {
			forbidden = append(forbidden, label)
		}
	}
	for _, c := range failing {
		contexts = append(contexts, c.Context)
	}
	add(len(missing)*scoreEach, "labels-missing", "it needs the %s %s", plural("label", missing), nameList(missing))
	add(len(forbidden)*scoreEach, "labels-forbidden", "it must not have the %s %s", plural("label", forbidden), nameList(forbidden))
	add(len(contexts)*scoreEach, codeContexts, "%s %s must pass", plural("context", contexts), nameList(contexts))
	if q.ReviewApprovedRequired && (pr.GitHub == nil || pr.GitHub.ReviewDecision != "APPROVED") {
		add(scoreReview, "review", "it needs an approving review")
	}
	if pr.GitHub != nil && pr.GitHub.MergeStateStatus == mergeStateBlocked &&
		tide.GitHubMergeBlocksPolicy(pr.Org, pr.Repo) == config.MergeBlocksBlock {
		add(scoreBlocked, "blocked-by-github", "GitHub blocks it, by branch protection or a ruleset")
	}
	return score, reason
}

// unfulfilled says which query keeps a pull request from the pool; fulfilled is
// true if one does not.
func unfulfilled(tide *config.Tide, pr *PullRequest, failing []Context) (reason Reason, fulfilled bool) {
	queries := tide.Queries.ForRepo(pr.Org, pr.Repo)
	best := -1
	var near []string
	for i := range queries {
		score, r := difference(tide, pr, failing, &queries[i])
		if score == 0 {
			return Reason{}, true
		}
		if best < 0 || score < best {
			best, reason = score, r
		}
		if score < scoreBranch && !slices.Contains(near, r.Sentence) {
			near = append(near, r.Sentence)
		}
	}
	switch {
	case len(queries) == 0:
		return Reason{Code: codeNoQuery}, false
	case !tide.DisplayAllQueriesInStatus:
		return reason, false
	case len(near) == 0:
		return Reason{Code: "branch", Sentence: fmt.Sprintf("no query is for branch %s", pr.BaseRefName)}, false
	}
	reason.Sentence = strings.Join(near, " OR ")
	return reason, false
}

func normLogin(login string) string { return strings.TrimPrefix(strings.ToLower(login), "@") }

func plural(noun string, list []string) string {
	if len(list) == 1 {
		return noun
	}
	return noun + "s"
}

// maxNames is about how long a list of names gets in a description, in bytes.
const maxNames = 50

// nameList lists names, sorted and each once, as many as are short enough
// together, but at least one.
func nameList(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 0 {
		return ""
	}
	length, n := len(names[0]), 1
	for n < len(names) && length+2+len(names[n]) <= maxNames {
		length += 2 + len(names[n])
		n++
	}
	return strings.Join(names[:n], ", ")
}
