package lgtm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// view is what is looked at when the tree of a pull request is written down.
type view struct {
	// tree is that of the head commit.
	tree     string
	comments []github.IssueComment
	isBot    func(github.User) bool
}

// maxLook is how many comments one question answers.
const maxLook = 100

// lookText asks for both at once.
const lookText = `query($org: String!, $repo: String!, $number: Int!) {
  repository(owner: $org, name: $repo) { pullRequest(number: $number) {
    commits(last: 1) { nodes { commit { tree { oid } } } }
    comments(last: 100) { totalCount nodes { databaseId body createdAt updatedAt author { login } } }
  } }
}`

type lookAnswer struct {
	Repository struct {
		PullRequest struct {
			Commits struct {
				Nodes []struct {
					Commit struct{ Tree struct{ OID string } }
				}
			}
			Comments struct {
				TotalCount int
				Nodes      []struct {
					DatabaseID           int64
					Body                 string
					CreatedAt, UpdatedAt time.Time
					Author               struct{ Login string }
				}
			}
		}
	}
}

// look reads the tree of the head and the comments: with one question where there
// are not too many of these, else, or where the forge does not answer such
// questions, one by one.
func look(ctx context.Context, a *plugins.Agent, org, repo string, number int) (*view, error) {
	v, err := lookAtOnce(ctx, a, org, repo, number)
	if err == nil {
		return v, nil
	}
	a.Log.DebugContext(ctx, "tree and comments are asked for one by one", "why", err)
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("reading the pull request: %w", err)
	}
	tree, err := treeOf(ctx, a, org, repo, pr.Head.SHA)
	if err != nil {
		return nil, err
	}
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil {
		return nil, err
	}
	comments, err := a.GitHub.ListIssueComments(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("listing comments: %w", err)
	}
	return &view{tree: tree, comments: comments, isBot: isBot}, nil
}

func lookAtOnce(ctx context.Context, a *plugins.Agent, org, repo string, number int) (*view, error) {
	// Accounts are known by their logins here.
	isBot, err := a.GitHub.BotUserChecker(ctx)
	if err != nil {
		return nil, err
	}
	var answer lookAnswer
	if err := a.GitHub.Query(ctx, org, lookText, map[string]any{"org": org, "repo": repo, "number": number}, &answer); err != nil {
		return nil, err
	}
	pr := answer.Repository.PullRequest
	if len(pr.Commits.Nodes) == 0 || pr.Commits.Nodes[0].Commit.Tree.OID == "" {
		return nil, errors.New("the answer has no tree")
	}
	if pr.Comments.TotalCount > maxLook {
		return nil, errors.New("there are too many comments")
	}
	v := &view{tree: pr.Commits.Nodes[0].Commit.Tree.OID, isBot: func(u github.User) bool { return isBot(u.Login) }}
	for _, c := range pr.Comments.Nodes {
		v.comments = append(v.comments, github.IssueComment{ID: c.DatabaseID, Body: c.Body, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, User: github.User{Login: c.Author.Login}})
	}
	return v, nil
}
