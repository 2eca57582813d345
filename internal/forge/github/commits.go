package github

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// GetSingleCommit reads a commit.
func (c *Client) GetSingleCommit(ctx context.Context, org, repo, sha string) (*RepositoryCommit, error) {
	var out RepositoryCommit
	return &out, c.get(ctx, repoPath(org, repo, "commits", sha), &out)
}

// ListFileCommits lists the commits of the default branch that changed a file,
// newest first.
func (c *Client) ListFileCommits(ctx context.Context, org, repo, file string) ([]RepositoryCommit, error) {
	return list[RepositoryCommit](ctx, c, repoPath(org, repo, "commits"), url.Values{"path": {file}})
}

// Comparison is what lies between two commits.
type Comparison struct {
	// Status is "ahead", "behind", "diverged" or "identical", of the head.
	Status          string              `json:"status"`
	AheadBy         int                 `json:"ahead_by"`
	BehindBy        int                 `json:"behind_by"`
	TotalCommits    int                 `json:"total_commits"`
	MergeBaseCommit RepositoryCommit    `json:"merge_base_commit"`
	Commits         []RepositoryCommit  `json:"commits"`
	Files           []PullRequestChange `json:"files"`
}

// Compare tells what a head has that a base has not. GitHub lists at most 250
// commits and 300 files.
func (c *Client) Compare(ctx context.Context, org, repo, base, head string) (*Comparison, error) {
	var out Comparison
	return &out, c.get(ctx, below(repoPath(org, repo, "compare"), base+"..."+head), &out)
}

// GetMergeBase is the newest commit that base and head have in common.
func (c *Client) GetMergeBase(ctx context.Context, org, repo, base, head string) (string, error) {
	comparison, err := c.Compare(ctx, org, repo, base, head)
	if err == nil && comparison.MergeBaseCommit.SHA == "" {
		err = errors.New("the answer names none")
	}
	if err != nil {
		return "", fmt.Errorf("find the merge base of %s and %s in %s/%s: %w", base, head, org, repo, err)
	}
	return comparison.MergeBaseCommit.SHA, nil
}

// GitCommit is a commit as git has it.
type GitCommit struct {
	SHA     string       `json:"sha"`
	Message string       `json:"message"`
	Author  CommitAuthor `json:"author"`
	Tree    struct {
		SHA string `json:"sha"`
	} `json:"tree"`
	Parents []struct {
		SHA string `json:"sha"`
	} `json:"parents"`
}

// GetGitCommit reads a commit without what GitHub knows about it beyond git.
func (c *Client) GetGitCommit(ctx context.Context, org, repo, sha string) (*GitCommit, error) {
	var out GitCommit
	return &out, c.get(ctx, repoPath(org, repo, "git", "commits", sha), &out)
}

// GetTree lists a tree, with all below it where recursive is set. truncated tells
// that the forge left some out, of a very large one.
func (c *Client) GetTree(ctx context.Context, org, repo, sha string, recursive bool) (entries []TreeEntry, truncated bool, err error) {
	r := request{method: "GET", path: repoPath(org, repo, "git", "trees", sha)}
	if recursive {
		r.query = url.Values{"recursive": {"1"}}
	}
	var out struct {
		Tree      []TreeEntry `json:"tree"`
		Truncated bool        `json:"truncated"`
	}
	_, err = c.send(ctx, r, &out)
	return out.Tree, out.Truncated, err
}
