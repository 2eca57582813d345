package prstatus

import (
	"context"
	"fmt"
	"strings"
)

// Querier asks GraphQL. Data that come with an error are decoded, too.
type Querier interface {
	Query(ctx context.Context, org, query string, variables map[string]any, out any) error
}

const (
	// MaxResults is how many pull requests are shown at most.
	MaxResults = 500
	// reposPerSearch is how many repositories one search is limited to.
	reposPerSearch = 50
	// maxQuery bounds what visitors ask for, in bytes.
	maxQuery = 4096
)

// Item is a pull request and what GitHub says about its last commit. Its JSON is that of
// /pr-data.js.
type Item struct {
	Contexts    []Context
	PullRequest PullRequest
}

// Context is a status or a check run of a commit.
type Context struct {
	Context     string
	Description string
	// State is EXPECTED, PENDING, SUCCESS, FAILURE, ERROR, or the conclusion of a check
	// run in upper case.
	State string
	// Link leads to more.
	Link string `json:"-"`
}

// PullRequest is a pull request as GitHub tells it.
type PullRequest struct {
	Number     int
	Merged     bool
	Title      string
	Author     struct{ Login string }
	BaseRef    struct{ Name, Prefix string }
	HeadRefOID string
	Repository struct {
		Name, NameWithOwner string
		Owner               struct{ Login string }
	}
	Labels struct {
		Nodes []struct{ Label Label }
	}
	Milestone *struct{ Title string }
	// Mergeable is MERGEABLE, CONFLICTING or UNKNOWN.
	Mergeable string

	URL string `json:"-"`
	// Approved tells that reviewers have approved; Draft that it is not meant to be merged yet.
	Approved, Draft bool `json:"-"`
}

// Label is a label of a pull request.
type Label struct{ ID, Name string }

// node is a pull request as the search gives it.
type node struct {
	Number     int
	Merged     bool
	IsDraft    bool
	Title, URL string
	Author     struct{ Login string }
	BaseRef    struct{ Name, Prefix string }
	HeadRefOID string
	Repository struct {
		Name, NameWithOwner string
		Owner               struct{ Login string }
	}
	Labels         struct{ Nodes []Label }
	Milestone      *struct{ Title string }
	Mergeable      string
	ReviewDecision string
	Commits        struct {
		Nodes []struct {
			Commit struct {
				OID               string
				StatusCheckRollup *struct {
					Contexts struct{ Nodes []contextNode }
				}
			}
		}
	}
}

type contextNode struct {
	// Of a status.
	Context, Description, State, TargetURL string
	// Of a check run.
	Name, Status, Conclusion, DetailsURL string
}

// The size of a page and of what is asked for below stay within GitHub's limit of nodes.
const searchQuery = `query($query: String!, $cursor: String) {
  search(type: ISSUE, first: 50, after: $cursor, query: $query) {
    pageInfo { hasNextPage endCursor }
    nodes { ... on PullRequest {
      number merged isDraft title url author { login } baseRef { name prefix } headRefOid mergeable reviewDecision
      repository { name nameWithOwner owner { login } } labels(first: 100) { nodes { id name } } milestone { title }
      commits(last: 1) { nodes { commit { oid statusCheckRollup { contexts(first: 100) { nodes {
        ... on StatusContext { context description state targetUrl }
        ... on CheckRun { name status conclusion detailsUrl }
      } } } } } }
    } }
  }
}`

// Search finds pull requests. What was found before a failure is returned with it, and
// more tells that there are more than MaxResults. Of a query that names no repository
// and no org, repos are searched.
func Search(ctx context.Context, q Querier, query string, repos []string) (items []Item, more bool, err error) {
	for _, text := range shards(query, repos) {
		cursor := (*string)(nil)
		for {
			var page struct {
				Search struct {
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
					Nodes []node
				}
			}
			err := q.Query(ctx, "", searchQuery, map[string]any{"query": text, "cursor": cursor}, &page)
			for i := range page.Search.Nodes {
				if item, ok := itemOf(&page.Search.Nodes[i]); ok {
					items = append(items, item)
				}
			}
			if err != nil {
				return items, false, fmt.Errorf("searching pull requests: %w", err)
			}
			if len(items) >= MaxResults {
				return items[:MaxResults], true, nil
			}
			end := page.Search.PageInfo.EndCursor
			if !page.Search.PageInfo.HasNextPage || end == "" || cursor != nil && *cursor == end {
				break
			}
			cursor = &end
		}
	}
	return items, false, nil
}

// itemOf leaves out what is no pull request with a branch and a commit, such as one whose
// base was deleted.
func itemOf(n *node) (Item, bool) {
	if n.Number == 0 || n.Repository.Owner.Login == "" || n.Repository.Name == "" || n.HeadRefOID == "" {
		return Item{}, false
	}
	out := Item{Contexts: []Context{}, PullRequest: PullRequest{
		Number: n.Number, Merged: n.Merged, Title: n.Title, Author: n.Author, BaseRef: n.BaseRef, HeadRefOID: n.HeadRefOID, Repository: n.Repository,
		Milestone: n.Milestone, Mergeable: n.Mergeable, URL: n.URL, Approved: n.ReviewDecision == "APPROVED", Draft: n.IsDraft,
	}}
	out.PullRequest.Labels.Nodes = []struct{ Label Label }{}
	for _, l := range n.Labels.Nodes {
		out.PullRequest.Labels.Nodes = append(out.PullRequest.Labels.Nodes, struct{ Label Label }{l})
	}
	for _, c := range n.Commits.Nodes {
		if c.Commit.OID != n.HeadRefOID || c.Commit.StatusCheckRollup == nil {
			continue
		}
		for _, x := range c.Commit.StatusCheckRollup.Contexts.Nodes {
			out.Contexts = append(out.Contexts, contextOf(x))
		}
	}
	return out, true
}

func contextOf(n contextNode) Context {
	if n.Context != "" {
		return Context{Context: n.Context, Description: n.Description, State: strings.ToUpper(n.State), Link: n.TargetURL}
	}
	out := Context{Context: n.Name, Description: n.DetailsURL, State: strings.ToUpper(n.Conclusion), Link: n.DetailsURL}
	switch {
	case !strings.EqualFold(n.Status, "completed"):
		out.State = "PENDING"
	case out.State == "NEUTRAL", out.State == "SKIPPED":
		out.State = "SUCCESS"
	}
	return out
}

// DefaultQuery finds the open pull requests of somebody.
func DefaultQuery(login string) string { return "is:pr state:open author:" + login }

// CheckQuery tells why a query is not asked; nil if it is.
func CheckQuery(query string) error {
	switch {
	case len(query) > maxQuery:
		return fmt.Errorf("the query has %d bytes, more than %d", len(query), maxQuery)
	case strings.ContainsFunc(query, func(r rune) bool { return r < ' ' && r != '\t' }):
		return fmt.Errorf("the query has control characters")
	}
	return nil
}

// Normalize makes a query one for pull requests.
func Normalize(query string) string {
	out := []string{"is:pr"}
	for _, term := range terms(query) {
		switch strings.ToLower(term) {
		case "is:issue", "type:issue", "is:pr", "type:pr":
		default:
			out = append(out, term)
		}
	}
	return strings.Join(out, " ")
}

// terms splits a query at blanks outside of quotes.
func terms(query string) []string {
	var out []string
	var term strings.Builder
	quoted := false
	flush := func() {
		if term.Len() > 0 {
			out = append(out, term.String())
			term.Reset()
		}
	}
	for _, r := range query {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && (r == ' ' || r == '\t'):
			flush()
			continue
		}
		term.WriteRune(r)
	}
	flush()
	return out
}

// shards are the searches that answer a query.
func shards(query string, repos []string) []string {
	query = Normalize(query)
	for _, term := range terms(query) {
		key, _, _ := strings.Cut(strings.ToLower(term), ":")
		if key == "repo" || key == "org" || key == "user" {
			return []string{query}
		}
	}
	if len(repos) == 0 {
		return []string{query}
	}
	var out []string
	for len(repos) > 0 {
		n := min(len(repos), reposPerSearch)
		text := query
		for _, repo := range repos[:n] {
			text += ` repo:"` + repo + `"`
		}
		out, repos = append(out, text), repos[n:]
	}
	return out
}
