package tide

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"prow/internal/forge/gerrit"
	"prow/internal/tide/planner"
)

// PullRequest is a pull request whatever forge it is on. The names of its fields
// are part of the HTTP output and of the templates of merge commits.
type PullRequest struct {
	NameWithOwner string
	Number        int
	Org           string
	Repo          string
	// BaseRefPrefix is "refs/heads/" for branches.
	BaseRefPrefix string
	BaseRefName   string
	HeadRefName   string
	HeadRefOID    string
	Title         string
	Body          string
	AuthorLogin   string
	UpdatedAtTime time.Time
	// Mergeable is MERGEABLE, CONFLICTING or UNKNOWN.
	Mergeable string

	// GitHub is the record the search gave.
	GitHub *GitHubPullRequest
	// Gerrit is the change on Gerrit; nil on GitHub.
	Gerrit json.RawMessage

	change *gerrit.Change
	// refused is what was found out about a change on Gerrit when it was searched.
	refused *Reason
	read    *readContexts
	// baseOID is where the base branch was at the time of the search; empty where the
	// search did not say.
	baseOID string
}

// States of PullRequest.Mergeable and of mergeStateStatus that matter here.
const (
	mergeableYes         = "MERGEABLE"
	mergeableConflicting = "CONFLICTING"
	mergeableUnsaid      = "UNKNOWN"
	mergeStateBlocked    = "BLOCKED"
)

// GitHubPullRequest is a pull request as the search of GitHub gives it.
type GitHubPullRequest struct {
	Number         int
	Author         struct{ Login string }
	AuthorMetadata struct {
		Typename string `json:"__typename"`
	}
	BaseRef struct {
		Name, Prefix string
		Target       struct{ OID string }
	}
	HeadRefName      string
	HeadRefOID       string
	Mergeable        string
	MergeStateStatus string
	CanBeRebased     bool
	Repository       struct {
		Name          string
		NameWithOwner string
		Owner         struct{ Login string }
	}
	ReviewDecision string
	Commits        struct {
		Nodes []struct{ Commit Commit }
	}
	Labels struct {
		Nodes []struct{ Name string }
	}
	Milestone *struct{ Title string }
	Body      string
	Title     string
	UpdatedAt time.Time
}

// Commit is one of the last commits of a pull request.
type Commit struct {
	OID    string
	Status struct {
		Contexts []Context
	}
	StatusCheckRollup struct {
		Contexts struct {
			Nodes []CheckRun
		}
	}
}

// Context is a commit status, or a check run seen as one.
type Context struct {
	Context     string
	Description string
	State       planner.ContextState
}

// CheckRun is a run of a check. Nodes that are no check runs have no name.
type CheckRun struct {
	Name       string
	Conclusion string
	Status     string
}

// fromGitHub is the neutral record of a search result.
func fromGitHub(g *GitHubPullRequest) *PullRequest {
	return &PullRequest{
		NameWithOwner: g.Repository.NameWithOwner, Number: g.Number, Org: g.Repository.Owner.Login, Repo: g.Repository.Name,
		BaseRefPrefix: g.BaseRef.Prefix, BaseRefName: g.BaseRef.Name, HeadRefName: g.HeadRefName, HeadRefOID: g.HeadRefOID,
		Title: g.Title, Body: g.Body, AuthorLogin: g.Author.Login, UpdatedAtTime: g.UpdatedAt, Mergeable: g.Mergeable,
		GitHub: g,
		read:   &readContexts{}, baseOID: g.BaseRef.Target.OID,
	}
}

// key names a pull request over all repositories.
func (pr *PullRequest) key() string { return prKey(pr.Org, pr.Repo, pr.Number) }

func prKey(org, repo string, number int) string { return fmt.Sprintf("%s/%s#%d", org, repo, number) }

// poolKey names the branch a pull request is for.
func (pr *PullRequest) poolKey() string { return poolKey(pr.Org, pr.Repo, pr.BaseRefName) }

func poolKey(org, repo, branch string) string { return org + "/" + repo + ":" + branch }

// head is the pull request as the planner knows it.
func (pr *PullRequest) head() planner.Head {
	return planner.Head{Number: pr.Number, SHA: pr.HeadRefOID}
}

// labels are the names of the labels.
func (pr *PullRequest) labels() []string {
	if pr.GitHub == nil {
		return nil
	}
	var out []string
	for _, l := range pr.GitHub.Labels.Nodes {
		out = append(out, l.Name)
	}
	return out
}

// hasLabel compares names as GitHub does, without regard to case.
func (pr *PullRequest) hasLabel(label string) bool {
	return slices.ContainsFunc(pr.labels(), func(have string) bool { return strings.EqualFold(have, label) })
}

// hasAnyLabel is hasLabel for a name in which commas separate alternatives.
func (pr *PullRequest) hasAnyLabel(label string) bool {
	return slices.ContainsFunc(strings.Split(label, ","), func(s string) bool { return pr.hasLabel(strings.TrimSpace(s)) })
}
