package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Query asks GraphQL and decodes the data into out. Data that come with errors are
// decoded as well: a search may find some of what was asked for, and the error
// tells the rest.
func (c *Client) Query(ctx context.Context, org, query string, variables map[string]any, out any) error {
	if isMutation(query) {
		return c.Mutate(ctx, org, query, variables, out)
	}
	return c.graphQL(ctx, org, "query", query, variables, out)
}

// Mutate changes something through GraphQL. In dry-run it is not sent, and out
// stays as it is.
func (c *Client) Mutate(ctx context.Context, org, mutation string, variables map[string]any, out any) error {
	if c.dryRun {
		c.used.Store(true)
		c.log.InfoContext(ctx, "dry-run: not sent", "method", "GraphQL mutation", "text", mutation)
		return nil
	}
	if shared := sharedReadsOf(ctx); shared != nil {
		defer shared.forget("")
	}
	return c.graphQL(withMutation(ctx), org, "mutation", mutation, variables, out)
}

// isMutation tells whether a text holds an operation that changes something:
// the word stands outside of all braces, comments and strings.
func isMutation(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case ch == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case ch == '{' || ch == '(':
			depth++
		case ch == '}' || ch == ')':
			depth--
		case ch == '_' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z':
			end := i
			for end < len(text) && isNameByte(text[end]) {
				end++
			}
			if depth == 0 && text[i:end] == "mutation" {
				return true
			}
			i = end - 1
		}
	}
	return false
}

func isNameByte(ch byte) bool {
	return ch == '_' || ch >= '0' && ch <= '9' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z'
}

type mutationKey struct{}

func withMutation(ctx context.Context) context.Context {
	return context.WithValue(ctx, mutationKey{}, true)
}

func (c *Client) graphQL(ctx context.Context, org, kind, text string, variables map[string]any, out any) error {
	c.used.Store(true)
	failed := func(err error) error { return fmt.Errorf("GraphQL %s: %w", kind, err) }
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		return failed(err)
	}
	if org != "" {
		ctx = WithOrg(ctx, org)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.graphql, bytes.NewReader(c.censor(body)))
	if err != nil {
		return failed(err)
	}
	req.Header.Set("Content-Type", "application/json")
	c.identify(req)
	req.Header.Add("Accept", "application/vnd.github.antiope-preview+json")
	req.Header.Add("Accept", "application/vnd.github.merge-info-preview+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	raw, err := readBounded(resp.Body, maxResponse)
	if err != nil {
		return failed(fmt.Errorf("read the answer: %w", err))
	}
	if resp.StatusCode != http.StatusOK {
		return failed(fmt.Errorf("status %d: %w", resp.StatusCode, newRequestError(resp.StatusCode, []int{http.StatusOK}, raw)))
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return failed(fmt.Errorf("decode the answer: %w", err))
	}
	var errs []error
	if len(answer.Data) > 0 && string(answer.Data) != "null" && out != nil {
		if err := json.Unmarshal(answer.Data, out); err != nil {
			errs = append(errs, fmt.Errorf("decode data: %w", err))
		}
	}
	for _, e := range answer.Errors {
		errs = append(errs, errors.New(e.Message))
	}
	if len(errs) > 0 {
		return failed(errors.Join(errs...))
	}
	return nil
}

func firstBytes(b []byte, n int) []byte {
	return b[:min(len(b), n)]
}

// UserIsBusy tells whether a user has said that they have little time.
func (c *Client) UserIsBusy(ctx context.Context, org, login string) (bool, error) {
	var out struct {
		User struct {
			Status *struct {
				Busy bool `json:"indicatesLimitedAvailability"`
			} `json:"status"`
		} `json:"user"`
	}
	const query = `query($login: String!) { user(login: $login) { status { indicatesLimitedAvailability } } }`
	if err := c.Query(ctx, org, query, map[string]any{"login": login}, &out); err != nil {
		return false, fmt.Errorf("ask whether %s is busy: %w", login, err)
	}
	return out.User.Status != nil && out.User.Status.Busy, nil
}

// DirectCollaborators are those to whom a repository itself gives a permission,
// with that permission, by login. Only GraphQL tells them from the others.
func (c *Client) DirectCollaborators(ctx context.Context, org, repo string) (map[string]Permission, error) {
	const query = `query($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    collaborators(affiliation: DIRECT, first: 100, after: $after) {
      edges { permission node { login } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
	found := map[string]Permission{}
	variables := map[string]any{"owner": org, "name": repo, "after": nil}
	for range maxPages {
		var out struct {
			Repository struct {
				Collaborators struct {
					Edges []struct {
						Permission string `json:"permission"`
						Node       User   `json:"node"`
					} `json:"edges"`
					PageInfo struct {
						HasNextPage bool   `json:"hasNextPage"`
						EndCursor   string `json:"endCursor"`
					} `json:"pageInfo"`
				} `json:"collaborators"`
			} `json:"repository"`
		}
		if err := c.Query(ctx, org, query, variables, &out); err != nil {
			return nil, fmt.Errorf("list the direct collaborators of %s/%s: %w", org, repo, err)
		}
		page := out.Repository.Collaborators
		for _, edge := range page.Edges {
			found[edge.Node.Login] = graphQLPermission(edge.Permission)
		}
		if !page.PageInfo.HasNextPage || page.PageInfo.EndCursor == variables["after"] {
			return found, nil
		}
		variables["after"] = page.PageInfo.EndCursor
	}
	return nil, fmt.Errorf("list the direct collaborators of %s/%s: there are more than %d pages", org, repo, maxPages)
}

func graphQLPermission(name string) Permission {
	if p := Permission(strings.ToLower(name)); p.known() {
		return p
	}
	return PermissionRead
}

// Blame is who last changed some lines of a file.
type Blame struct {
	// Start and End are the first and last line, counted from 1.
	Start, End int
	// Login is in lower case; "" where the author has no account.
	Login string
	Date  string
}

// GetBlame tells who last changed the lines of a file at a ref.
func (c *Client) GetBlame(ctx context.Context, org, repo, ref, file string) ([]Blame, error) {
	const query = `query($owner: String!, $name: String!, $ref: String!, $path: String!) {
  repository(owner: $owner, name: $name) {
    object(expression: $ref) {
      ... on Commit {
        blame(path: $path) {
          ranges { startingLine endingLine commit { author { user { login } date } } }
        }
      }
    }
  }
}`
	var out struct {
		Repository struct {
			Object struct {
				Blame struct {
					Ranges []struct {
						Start  int `json:"startingLine"`
						End    int `json:"endingLine"`
						Commit struct {
							Author struct {
								User *User  `json:"user"`
								Date string `json:"date"`
							} `json:"author"`
						} `json:"commit"`
					} `json:"ranges"`
				} `json:"blame"`
			} `json:"object"`
		} `json:"repository"`
	}
	if err := c.Query(ctx, org, query, map[string]any{"owner": org, "name": repo, "ref": ref, "path": file}, &out); err != nil {
		return nil, fmt.Errorf("blame %s of %s/%s: %w", file, org, repo, err)
	}
	var blames []Blame
	for _, r := range out.Repository.Object.Blame.Ranges {
		b := Blame{Start: r.Start, End: r.End, Date: r.Commit.Author.Date}
		if r.Commit.Author.User != nil {
			b.Login = strings.ToLower(r.Commit.Author.User.Login)
		}
		blames = append(blames, b)
	}
	return blames, nil
}

// FindUsersByEmail searches accounts with an address, at most five.
func (c *Client) FindUsersByEmail(ctx context.Context, org, email string) ([]User, error) {
	const query = `query($query: String!) { search(type: USER, query: $query, first: 5) { nodes { ... on User { login } } } }`
	var out struct {
		Search struct {
			Nodes []User `json:"nodes"`
		} `json:"search"`
	}
	if err := c.Query(ctx, org, query, map[string]any{"query": email}, &out); err != nil {
		return nil, fmt.Errorf("search users by address: %w", err)
	}
	var users []User
	for _, u := range out.Search.Nodes {
		if u.Login != "" { // an organization has no place here
			users = append(users, u)
		}
	}
	return users, nil
}

// PinIssue shows an issue on top of the list; node is its node id.
func (c *Client) PinIssue(ctx context.Context, org, node string) error {
	const mutation = `mutation($input: PinIssueInput!) { pinIssue(input: $input) { issue { id } } }`
	return c.Mutate(ctx, org, mutation, map[string]any{"input": map[string]string{"issueId": node}}, nil)
}

// UnpinIssue takes an issue from the top of the list.
func (c *Client) UnpinIssue(ctx context.Context, org, node string) error {
	const mutation = `mutation($input: UnpinIssueInput!) { unpinIssue(input: $input) { issue { id } } }`
	return c.Mutate(ctx, org, mutation, map[string]any{"input": map[string]string{"issueId": node}}, nil)
}

// TransferIssue moves an issue to another repository of the org, both given by
// node id, and returns its new URL, "" in dry-run.
func (c *Client) TransferIssue(ctx context.Context, org, issue, repository string) (string, error) {
	const mutation = `mutation($input: TransferIssueInput!) { transferIssue(input: $input) { issue { url } } }`
	var out struct {
		TransferIssue struct {
			Issue struct {
				URL string `json:"url"`
			} `json:"issue"`
		} `json:"transferIssue"`
	}
	err := c.Mutate(ctx, org, mutation, map[string]any{"input": map[string]string{"issueId": issue, "repositoryId": repository}}, &out)
	return out.TransferIssue.Issue.URL, err
}
