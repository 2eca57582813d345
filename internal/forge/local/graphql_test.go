package local

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"
)

// ask sends a GraphQL query and decodes data into v; it returns the errors.
func (w *world) ask(login, query string, vars map[string]any, v any) []map[string]any {
	w.t.Helper()
	resp, body := w.raw(login, "POST", "/api/graphql", map[string]any{"query": query, "variables": vars},
		"Accept", "application/vnd.github.antiope-preview+json, application/vnd.github.merge-info-preview+json")
	if resp.StatusCode != 200 {
		w.t.Fatalf("GraphQL answered %d: %s", resp.StatusCode, body)
	}
	var out struct {
		Data   json.RawMessage
		Errors []map[string]any
	}
	if err := json.Unmarshal(body, &out); err != nil {
		w.t.Fatal(err)
	}
	if v != nil && len(out.Data) > 0 {
		if err := json.Unmarshal(out.Data, v); err != nil {
			w.t.Fatalf("%v in %s", err, body)
		}
	}
	return out.Errors
}

// tideQuery has the shape merge automation sends.
const tideQuery = `query($query:String!$searchCursor:String){
  rateLimit{cost,remaining},
  search(type: ISSUE, first: 37, after: $searchCursor, query: $query){
    pageInfo{hasNextPage,endCursor},
    nodes{...on PullRequest{
      number, author{login}, authorMetadata: author{__typename}, baseRef{name,prefix}, headRefName, headRefOid, mergeable, mergeStateStatus, canBeRebased,
      repository{name,nameWithOwner,owner{login}}, reviewDecision,
      commits(last: 4){nodes{commit{status{contexts{context,description,state}}, statusCheckRollup{contexts(last: 100){nodes{...on CheckRun{name,conclusion,status}}}}, oid}}},
      labels(first: 100){nodes{name}}, milestone{title}, body, title, updatedAt}}}}`

type tideAnswer struct {
	RateLimit struct{ Cost, Remaining int }
	Search    struct {
		PageInfo struct {
			HasNextPage bool
			EndCursor   *string
		}
		Nodes []struct {
			Number         int
			Author         struct{ Login string }
			AuthorMetadata struct {
				Typename string `json:"__typename"`
			}
			BaseRef          struct{ Name, Prefix string }
			HeadRefName      string
			HeadRefOid       string
			Mergeable        string
			MergeStateStatus string
			CanBeRebased     bool
			ReviewDecision   *string
			Repository       struct {
				Name, NameWithOwner string
				Owner               struct{ Login string }
			}
			Commits struct {
				Nodes []struct {
					Commit struct {
						Oid    string
						Status struct {
							Contexts []struct{ Context, Description, State string }
						}
						StatusCheckRollup struct {
							Contexts struct {
								Nodes []struct{ Name, Conclusion, Status string }
							}
						}
					}
				}
			}
			Labels    struct{ Nodes []struct{ Name string } }
			Milestone *struct{ Title string }
			Title     string
			Body      string
			UpdatedAt github.Timestamp
		}
	}
}

func TestTideQuery(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	robot := w.as("robot")
	c := w.clone("writer", "acme/app")
	head := c.branch("tide", "tide.txt", "x\n")
	pr := w.pull("writer", "acme/app", "tide", "main", "Merge me")
	for i, s := range []string{"pending", "success"} { // the newest counts
		if _, _, err := robot.Repositories.CreateStatus(ctx, "acme", "app", head, &github.RepoStatus{Context: github.Ptr("unit"), State: github.Ptr(s), Description: github.Ptr(fmt.Sprint("run ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := robot.Checks.CreateCheckRun(ctx, "acme", "app", github.CreateCheckRunOptions{Name: "lint", HeadSHA: head, Status: github.Ptr("completed"), Conclusion: github.Ptr("success")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := robot.Issues.AddLabelsToIssue(ctx, "acme", "app", pr.GetNumber(), []string{"lgtm", "approved"}); err != nil {
		t.Fatal(err)
	}
	var got tideAnswer
	q := `is:pr state:open archived:false repo:"acme/app" label:lgtm label:"approved" -label:do-not-merge/hold updated:2007-01-01T00:00:00Z..2099-01-01T00:00:00Z`
	if errs := w.ask("robot", tideQuery, map[string]any{"query": q, "searchCursor": nil}, &got); len(errs) > 0 {
		t.Fatal(errs)
	}
	if len(got.Search.Nodes) != 1 {
		t.Fatalf("found %d pull requests, want 1", len(got.Search.Nodes))
	}
	n := got.Search.Nodes[0]
	if n.Number != pr.GetNumber() || n.Author.Login != "writer" || n.AuthorMetadata.Typename != "User" || n.BaseRef.Name != "main" || n.BaseRef.Prefix != "refs/heads/" ||
		n.HeadRefOid != head || n.Mergeable != "MERGEABLE" || n.MergeStateStatus != "CLEAN" || !n.CanBeRebased || n.ReviewDecision != nil ||
		n.Repository.NameWithOwner != "acme/app" || n.Repository.Owner.Login != "acme" || n.Title != "Merge me" || n.Body != "please" || n.Milestone != nil {
		t.Errorf("node: %+v", n)
	}
	commit := n.Commits.Nodes[0].Commit
	if commit.Oid != head || len(commit.Status.Contexts) != 1 || commit.Status.Contexts[0].State != "SUCCESS" || commit.Status.Contexts[0].Description != "run 1" {
		t.Errorf("commit: %+v", commit)
	}
	// Classic statuses show as empty nodes, as on GitHub.
	rollup := commit.StatusCheckRollup.Contexts.Nodes
	if len(rollup) != 2 || rollup[0].Name != "lint" || rollup[0].Conclusion != "SUCCESS" || rollup[0].Status != "COMPLETED" || rollup[1].Name != "" {
		t.Errorf("rollup: %+v", rollup)
	}
	if len(n.Labels.Nodes) != 2 || got.RateLimit.Remaining == 0 {
		t.Errorf("labels %v remaining %d", n.Labels, got.RateLimit.Remaining)
	}
}

func TestGraphQLPages(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		if _, _, err := w.as("dev").Issues.Create(t.Context(), "acme", "app", &github.IssueRequest{Title: github.Ptr(fmt.Sprint("issue ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	const q = `query($after:String){repository(owner:"acme",name:"app"){issues(first:2,after:$after,states:[OPEN]){totalCount nodes{number} pageInfo{hasNextPage endCursor}}}}`
	var numbers []int
	var after *string
	for {
		var a struct {
			Repository struct {
				Issues struct {
					TotalCount int
					Nodes      []struct{ Number int }
					PageInfo   struct {
						HasNextPage bool
						EndCursor   *string
					}
				}
			}
		}
		if errs := w.ask("dev", q, map[string]any{"after": after}, &a); len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, n := range a.Repository.Issues.Nodes {
			numbers = append(numbers, n.Number)
		}
		if len(a.Repository.Issues.Nodes) > 2 {
			t.Errorf("a page of %d", len(a.Repository.Issues.Nodes))
		}
		if a.Repository.Issues.TotalCount != 5 {
			t.Errorf("total %d", a.Repository.Issues.TotalCount)
		}
		if !a.Repository.Issues.PageInfo.HasNextPage {
			break
		}
		after = a.Repository.Issues.PageInfo.EndCursor
	}
	if fmt.Sprint(numbers) != "[1 2 3 4 5]" {
		t.Errorf("pages gave %v", numbers)
	}
}

func TestGraphQLErrors(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct{ query, message string }{
		"an unknown field":              {`{viewer{login nonsense}}`, "Field 'nonsense' doesn't exist on type 'User'"},
		"a missing repository":          {`{repository(owner:"acme",name:"nope"){name}}`, "Could not resolve to a Repository with the name 'acme/nope'."},
		"a private repository":          {`{repository(owner:"acme",name:"safe"){name}}`, "Could not resolve to a Repository with the name 'acme/safe'."},
		"a connection without bounds":   {`{repository(owner:"acme",name:"app"){labels{nodes{name}}}}`, "You must provide a `first` or `last` value to properly paginate the `labels` connection."},
		"too large a page":              {`{repository(owner:"acme",name:"app"){labels(first:101){totalCount}}}`, "exceeds the `first` limit of 100 records"},
		"a syntax error":                {`{viewer{login}`, "Expected Name"},
		"a bad search":                  {`{search(type:ISSUE,query:"frob:x",first:1){issueCount}}`, "frob:x is not understood"},
		"a foreign cursor":              {`{search(type:ISSUE,query:"is:pr",first:1,after:"zzz"){issueCount}}`, "does not appear to be a valid cursor"},
		"a deep query":                  {strings.Repeat(`{repository(owner:"acme",name:"app"){`, 1) + strings.Repeat(`parent{`, 3000) + `name` + strings.Repeat("}", 3002), "nesting depth"},
		"a mutation without permission": {`mutation{mergePullRequest(input:{pullRequestId:"PR_999"}){pullRequest{number}}}`, "Could not resolve to a node"},
		"a variable of the wrong type":  {`query($n:Int!){repository(owner:"acme",name:"app"){issue(number:$n){title}}}`, "must be defined"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := w.ask("stranger", tc.query, nil, nil)
			if len(errs) == 0 || !strings.Contains(fmt.Sprint(errs[0]["message"]), tc.message) {
				t.Errorf("got %v, want %q", errs, tc.message)
			}
		})
	}
	if resp, _ := w.raw("", "POST", "/api/graphql", map[string]any{"query": "{viewer{login}}"}); resp.StatusCode != 401 {
		t.Errorf("anonymous GraphQL answered %d", resp.StatusCode)
	}
}

func TestGraphQLObjectsAndMutations(t *testing.T) {
	w := newWorld(t)
	c := w.clone("writer", "acme/app")
	c.branch("m", "dir/m.txt", "text\n")
	pr := w.pull("writer", "acme/app", "m", "main", "Draft me")
	var a struct {
		Repository struct {
			DefaultBranchRef struct {
				Name   string
				Target struct {
					Oid    string
					Author struct{ Email string }
				}
			}
			Object struct {
				Text     string
				ByteSize int
			}
			Missing     *struct{ Oid string }
			PullRequest struct {
				ID    string
				Files struct {
					Nodes []struct {
						Path       string
						ChangeType string
					}
				}
				HeadRepository struct{ NameWithOwner string }
				Labels         struct{ TotalCount int }
			}
			Collaborators struct {
				Edges []struct {
					Permission string
					Node       struct{ Login string }
				}
			}
		}
	}
	const q = `query($n:Int!){repository(owner:"acme",name:"app"){
		defaultBranchRef{name target{oid ...on Commit{author{email}}}}
		object(expression:"m:dir/m.txt"){...on Blob{text byteSize}}
		missing: object(expression:"nope"){oid}
		pullRequest(number:$n){...P labels(first:1){totalCount}}
		collaborators(affiliation:DIRECT,first:100){edges{permission node{login}}}}}
		fragment P on PullRequest{id files(first:5){nodes{path changeType}} headRepository{nameWithOwner}}`
	if errs := w.ask("dev", q, map[string]any{"n": pr.GetNumber()}, &a); len(errs) > 0 {
		t.Fatal(errs)
	}
	r := a.Repository
	if r.DefaultBranchRef.Name != "main" || r.DefaultBranchRef.Target.Author.Email == "" || r.Object.Text != "text\n" || r.Object.ByteSize != 5 || r.Missing != nil ||
		r.PullRequest.Files.Nodes[0].Path != "dir/m.txt" || r.PullRequest.Files.Nodes[0].ChangeType != "ADDED" || r.PullRequest.HeadRepository.NameWithOwner != "acme/app" ||
		len(r.Collaborators.Edges) != 1 || r.Collaborators.Edges[0].Permission != "WRITE" || r.Collaborators.Edges[0].Node.Login != "writer" {
		t.Errorf("answer: %+v", r)
	}
	if errs := w.ask("stranger", `mutation($i:ConvertPullRequestToDraftInput!){convertPullRequestToDraft(input:$i){pullRequest{isDraft}}}`, map[string]any{"i": map[string]any{"pullRequestId": r.PullRequest.ID}}, nil); len(errs) == 0 {
		t.Error("a stranger made a draft of somebody else's pull request")
	}
	for _, m := range []struct{ mutation, event string }{
		{`mutation($i:ConvertPullRequestToDraftInput!){convertPullRequestToDraft(input:$i){pullRequest{isDraft}}}`, "pull_request/converted_to_draft"},
		{`mutation($i:MarkPullRequestReadyForReviewInput!){markPullRequestReadyForReview(input:$i){pullRequest{isDraft}}}`, "pull_request/ready_for_review"},
		{`mutation($i:ClosePullRequestInput!){closePullRequest(input:$i){pullRequest{state}}}`, "pull_request/closed"},
		{`mutation($i:ReopenPullRequestInput!){reopenPullRequest(input:$i){pullRequest{state}}}`, "pull_request/reopened"},
	} {
		if errs := w.ask("writer", m.mutation, map[string]any{"i": map[string]any{"pullRequestId": r.PullRequest.ID}}, nil); len(errs) > 0 {
			t.Fatal(errs)
		}
		w.hook.wait(m.event, 0)
	}
}
