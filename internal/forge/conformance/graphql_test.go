package conformance

import (
	"fmt"
	"testing"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/local"
)

func TestGraphQLTellsWhatMergeBotsAskFor(t *testing.T) {
	x := newTarget(t)
	x.localOnly("an index without delay")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	pr := x.pull(repo, "topic")
	head := pr.GetHead().GetSHA()
	_, _, err := c.Repositories.CreateStatus(ctx, x.org, repo, head, &github.RepoStatus{State: github.Ptr("pending"), Context: github.Ptr("unit")})
	x.must(err)
	_, _, err = c.Checks.CreateCheckRun(ctx, x.org, repo, github.CreateCheckRunOptions{Name: "lint", HeadSHA: head, Status: github.Ptr("completed"), Conclusion: github.Ptr("success")})
	x.must(err)
	_, _, err = c.Issues.AddLabelsToIssue(ctx, x.org, repo, pr.GetNumber(), []string{"lgtm"})
	x.must(err)
	var out struct {
		Search struct {
			PageInfo struct {
				HasNextPage bool
				EndCursor   string
			}
			Nodes []struct {
				Number                                                          int
				Mergeable, MergeStateStatus, ReviewDecision, State, HeadRefName string
				Author                                                          struct{ Login string }
				Labels                                                          struct{ Nodes []struct{ Name string } }
				Commits                                                         struct {
					Nodes []struct {
						Commit struct {
							OID               string `json:"oid"`
							StatusCheckRollup struct {
								State    string
								Contexts struct {
									Nodes []struct {
										Typename                         string `json:"__typename"`
										Context, State, Name, Conclusion string
									}
								}
							}
						}
					}
				}
			}
		}
	}
	errs := x.graph(x.owner, `query($q: String!, $cursor: String) {
		rateLimit { cost remaining }
		search(type: ISSUE, first: 37, after: $cursor, query: $q) {
			pageInfo { hasNextPage endCursor }
			nodes { ... on PullRequest {
				number author { login } baseRef { name prefix } headRefName headRefOid mergeable mergeStateStatus reviewDecision state isDraft
				repository { name nameWithOwner owner { login } } labels(first: 100) { nodes { name } } milestone { title } body title updatedAt
				commits(last: 4) { nodes { commit { oid statusCheckRollup { state contexts(last: 100) { nodes {
					__typename ... on StatusContext { context description state } ... on CheckRun { name status conclusion } } } } } } } } } } }`,
		map[string]any{"q": "is:pr state:open label:lgtm repo:" + x.org + "/" + repo}, &out)
	x.same("errors", errs, "[]")
	if len(out.Search.Nodes) != 1 {
		t.Fatalf("found %d", len(out.Search.Nodes))
	}
	n := out.Search.Nodes[0]
	x.same("pull request", []any{n.Number, n.Author.Login, n.Mergeable, n.MergeStateStatus, n.State, n.HeadRefName, n.Labels.Nodes[0].Name}, fmt.Sprintf("[%d %s MERGEABLE UNSTABLE OPEN topic lgtm]", pr.GetNumber(), x.owner.login))
	roll := n.Commits.Nodes[len(n.Commits.Nodes)-1].Commit.StatusCheckRollup
	x.same("rollup", []any{roll.State, len(roll.Contexts.Nodes)}, "[PENDING 2]")
}

func TestGraphQLForAdministrationAndPlugins(t *testing.T) {
	x := newTarget(t)
	x.localOnly("people")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	x.must(x.forge.CreateUser(ctx, local.User{Login: x.member.login, Email: "member@example.com", Busy: true}))
	x.must(x.forge.AddCollaborator(ctx, x.org, repo, x.member.login, "triage"))
	x.file(x.owner, repo, "main", "lines.txt", "a\nb\n")
	i, _, err := c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("moves"), Labels: &[]string{"bug"}})
	x.must(err)
	elsewhere := x.repo()
	to, _, err := c.Repositories.Get(ctx, x.org, elsewhere)
	x.must(err)
	var out struct {
		Repository struct {
			Collaborators struct {
				Edges []struct {
					Permission string
					Node       struct{ Login string }
				}
			}
			Object struct {
				Blame struct {
					Ranges []struct {
						StartingLine, EndingLine int
						Commit                   struct {
							Author struct{ User struct{ Login string } }
						}
					}
				}
			}
			Issue struct{ ID string }
		}
		User struct {
			Status struct{ IndicatesLimitedAvailability bool }
		}
		Search struct{ Nodes []struct{ Login string } }
	}
	errs := x.graph(x.owner, `query($o: String!, $r: String!, $n: Int!) {
		repository(owner: $o, name: $r) {
			collaborators(affiliation: DIRECT, first: 100) { edges { permission node { login } } pageInfo { hasNextPage endCursor } }
			object(expression: "main") { ... on Commit { blame(path: "lines.txt") { ranges { startingLine endingLine commit { author { user { login } date } } } } } }
			issue(number: $n) { id }
		}
		user(login: "member") { status { indicatesLimitedAvailability } }
		search(type: USER, query: "member@example.com", first: 5) { nodes { ... on User { login } } } }`,
		map[string]any{"o": x.org, "r": repo, "n": i.GetNumber()}, &out)
	x.same("errors", errs, "[]")
	x.same("collaborators", out.Repository.Collaborators.Edges, "[{TRIAGE {member}}]")
	x.same("blame", out.Repository.Object.Blame.Ranges, "[{1 2 {{{owner}}}}]")
	x.same("busy", out.User.Status.IndicatesLimitedAvailability, true)
	x.same("by e-mail", out.Search.Nodes, "[{member}]")
	for _, mutation := range []string{"pinIssue", "unpinIssue"} {
		x.same(mutation, x.graph(x.owner, `mutation($id: ID!) { `+mutation+`(input: {issueId: $id}) { issue { isPinned } } }`, map[string]any{"id": out.Repository.Issue.ID}, nil), "[]")
	}
	var moved struct {
		TransferIssue struct {
			Issue struct {
				Number     int
				Repository struct{ Name string }
			}
		}
	}
	x.same("transfer", x.graph(x.owner, `mutation($id: ID!, $to: ID!) { transferIssue(input: {issueId: $id, repositoryId: $to}) { issue { number repository { name } } } }`, map[string]any{"id": out.Repository.Issue.ID, "to": to.GetNodeID()}, &moved), "[]")
	x.same("moved to", moved.TransferIssue.Issue, fmt.Sprintf("{1 {%s}}", elsewhere))
	resp, _ := x.do(x.owner, "GET", fmt.Sprintf("/repos/%s/%s/issues/%d", x.org, repo, i.GetNumber()), nil)
	x.same("the old address", resp.StatusCode, 301)
	got, _, err := c.Issues.Get(ctx, x.org, repo, i.GetNumber())
	x.must(err)
	x.same("followed", got.GetNumber(), 1)
	if errs := x.graph(x.other, `mutation($id: ID!) { pinIssue(input: {issueId: $id}) { issue { id } } }`, map[string]any{"id": out.Repository.Issue.ID}, nil); len(errs) == 0 {
		t.Error("a stranger pins an issue")
	}
}

func TestGraphQLDescribesItself(t *testing.T) {
	x := newTarget(t)
	var out struct {
		Type struct {
			Kind   string
			Fields []struct {
				Name string
				Type struct {
					Kind   string
					OfType struct{ Name string }
				}
			}
		} `json:"__type"`
		Schema struct{ QueryType struct{ Name string } } `json:"__schema"`
	}
	x.same("errors", x.graph(x.owner, `{ __schema { queryType { name } types { name kind } } __type(name: "PullRequest") { kind fields(includeDeprecated: true) { name type { kind ofType { name } } } } }`, nil, &out), "[]")
	x.same("query type", out.Schema.QueryType.Name, "Query")
	for _, f := range out.Type.Fields {
		if f.Name == "number" {
			x.same("number", f.Type.Kind+" "+f.Type.OfType.Name, "NON_NULL Int")
			return
		}
	}
	t.Error("PullRequest has no number")
}
