package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// GetRepo reads a repository.
func (c *Client) GetRepo(ctx context.Context, org, repo string) (*Repo, error) {
	var out Repo
	return &out, c.get(ctx, repoPath(org, repo), &out)
}

// GetRepos lists the repositories of an org, or of a user.
func (c *Client) GetRepos(ctx context.Context, org string, isUser bool) ([]Repo, error) {
	kind := "orgs"
	if isUser {
		kind = "users"
	}
	return list[Repo](ctx, c, path(kind, org, "repos"), nil)
}

// Visibility of a repository.
type Visibility string

// The visibilities.
const (
	VisibilityPublic   Visibility = "public"
	VisibilityPrivate  Visibility = "private"
	VisibilityInternal Visibility = "internal"
)

// UnmarshalJSON refuses a visibility that is unknown.
func (v *Visibility) UnmarshalJSON(raw []byte) error {
	return oneOf(raw, v, "visibility", VisibilityPublic, VisibilityPrivate, VisibilityInternal)
}

// oneOf decodes a text that has to be one of some values.
func oneOf[T ~string](raw []byte, out *T, what string, values ...T) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	for _, v := range values {
		if text == string(v) {
			*out = v
			return nil
		}
	}
	return fmt.Errorf("unknown %s %q", what, text)
}

// RepoRequest makes or changes a repository; nil fields stay as they are.
type RepoRequest struct {
	Name                *string     `json:"name,omitempty"`
	Description         *string     `json:"description,omitempty"`
	Homepage            *string     `json:"homepage,omitempty"`
	Visibility          *Visibility `json:"visibility,omitempty"`
	Private             *bool       `json:"private,omitempty"`
	HasIssues           *bool       `json:"has_issues,omitempty"`
	HasProjects         *bool       `json:"has_projects,omitempty"`
	HasWiki             *bool       `json:"has_wiki,omitempty"`
	AllowSquashMerge    *bool       `json:"allow_squash_merge,omitempty"`
	AllowMergeCommit    *bool       `json:"allow_merge_commit,omitempty"`
	AllowRebaseMerge    *bool       `json:"allow_rebase_merge,omitempty"`
	SquashMergeTitle    *string     `json:"squash_merge_commit_title,omitempty"`
	SquashMergeMessage  *string     `json:"squash_merge_commit_message,omitempty"`
	DefaultBranch       *string     `json:"default_branch,omitempty"`
	Archived            *bool       `json:"archived,omitempty"`
	DeleteBranchOnMerge *bool       `json:"delete_branch_on_merge,omitempty"`

	// For new repositories only.
	AutoInit          *bool   `json:"auto_init,omitempty"`
	GitignoreTemplate *string `json:"gitignore_template,omitempty"`
	LicenseTemplate   *string `json:"license_template,omitempty"`
	TeamID            *int64  `json:"team_id,omitempty"`
}

// pretend is the repository that dry-run shows.
func (r RepoRequest) pretend(org, name string) Repo {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	out := Repo{Name: name, Owner: User{Login: org}, AllowMergeCommit: r.AllowMergeCommit, AllowSquashMerge: r.AllowSquashMerge, AllowRebaseMerge: r.AllowRebaseMerge}
	set(&out.Name, r.Name)
	set(&out.Description, r.Description)
	set(&out.Homepage, r.Homepage)
	set(&out.DefaultBranch, r.DefaultBranch)
	if r.Visibility != nil {
		out.Visibility, out.Private = string(*r.Visibility), *r.Visibility != VisibilityPublic
	}
	if r.Private != nil {
		out.Private = *r.Private
	}
	out.Archived = r.Archived != nil && *r.Archived
	out.FullName = org + "/" + out.Name
	return out
}

// CreateRepo makes a repository in an org, or for the account the client acts
// under where isUser is set.
func (c *Client) CreateRepo(ctx context.Context, owner string, isUser bool, repo RepoRequest) (*Repo, error) {
	if repo.Name == nil || *repo.Name == "" {
		return nil, errors.New("a new repository needs a name")
	}
	place := path("orgs", owner, "repos")
	if isUser {
		place = path("user", "repos")
	}
	out := repo.pretend(owner, "")
	return &out, c.change(ctx, http.MethodPost, place, repo, &out, http.StatusCreated)
}

// UpdateRepo changes the settings of a repository.
func (c *Client) UpdateRepo(ctx context.Context, owner, name string, repo RepoRequest) (*Repo, error) {
	out := repo.pretend(owner, name)
	return &out, c.change(ctx, http.MethodPatch, repoPath(owner, name), repo, &out, http.StatusOK)
}

// Tag is a tag of a repository.
type Tag struct {
	Name   string `json:"name"`
	Commit struct {
		SHA string `json:"sha"`
	} `json:"commit"`
}

// ListTags lists the tags of a repository.
func (c *Client) ListTags(ctx context.Context, org, repo string) ([]Tag, error) {
	return list[Tag](ctx, c, repoPath(org, repo, "tags"), nil)
}
