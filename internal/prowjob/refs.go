package prowjob

import (
	"strconv"

	v1 "prow/api/prowjobs/v1"
)

// PullRequest is what refs say about a pull request.
type PullRequest struct {
	// Org, Repo and RepoURL are the base repository; RepoURL is for browsers.
	Org, Repo, RepoURL string
	// BaseRef is the base branch.
	BaseRef string
	Number  int
	Title   string
	// URL is the page of the pull request.
	URL string
	// Author is the login, AuthorURL its page.
	Author, AuthorURL string
	// HeadSHA is the commit to test, HeadRef the branch it is on.
	HeadSHA, HeadRef string
}

// PullRefs are the refs of a pull request on a commit of its base branch. The
// caller finds out the commit: the one a pull request records is old.
func PullRefs(pr PullRequest, baseSHA string) v1.Refs {
	refs := BranchRefs(pr.Org, pr.Repo, pr.RepoURL, pr.BaseRef, baseSHA)
	refs.Pulls = []v1.Pull{{
		Number:     pr.Number,
		Author:     pr.Author,
		SHA:        pr.HeadSHA,
		HeadRef:    pr.HeadRef,
		Title:      pr.Title,
		Link:       pr.URL,
		AuthorLink: pr.AuthorURL,
		CommitLink: pr.RepoURL + "/pull/" + strconv.Itoa(pr.Number) + "/commits/" + pr.HeadSHA,
	}}
	return refs
}

// BranchRefs are the refs of a commit of a branch.
func BranchRefs(org, repo, repoURL, branch, sha string) v1.Refs {
	return v1.Refs{
		Org: org, Repo: repo, RepoLink: repoURL,
		BaseRef: branch, BaseSHA: sha, BaseLink: repoURL + "/commit/" + sha,
	}
}
