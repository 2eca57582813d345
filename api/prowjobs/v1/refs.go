package v1

import (
	"fmt"
	"strings"
)

// Refs is the code of one repository: a base and the changes to merge into it, in order.
type Refs struct {
	// Org is the owner; for Gerrit the URL of the instance with its scheme.
	Org string `json:"org"`
	// Repo is the repository; it may hold slashes on Gerrit.
	Repo string `json:"repo"`
	// RepoLink is the browser URL. It decides clone host and path when neither alias nor URI is given.
	RepoLink string `json:"repo_link,omitempty"`
	// BaseRef is the branch.
	BaseRef string `json:"base_ref,omitempty"`
	// BaseSHA is the commit of the branch to test against.
	BaseSHA string `json:"base_sha,omitempty"`
	// BaseLink is the browser URL of BaseSHA.
	BaseLink string `json:"base_link,omitempty"`
	// Pulls are the changes to merge, in order.
	Pulls []Pull `json:"pulls,omitempty"`
	// PathAlias is the location below <root>/src. Default: github.com/<org>/<repo>.
	PathAlias string `json:"path_alias,omitempty"`
	// WorkDir makes this repository the working directory of the test.
	WorkDir bool `json:"workdir,omitempty"`
	// Auxiliary marks a repository that only supplies helper files.
	Auxiliary bool `json:"auxiliary,omitempty"`
	// CloneURI overrides the URL to fetch from.
	CloneURI string `json:"clone_uri,omitempty"`
	// SkipSubmodules leaves submodules alone.
	SkipSubmodules bool `json:"skip_submodules,omitempty"`
	// CloneDepth is the depth of a shallow clone; 0 is the full history.
	CloneDepth int `json:"clone_depth,omitempty"`
	// SkipFetchHead skips the first fetch of HEAD and tags; the base is fetched all the same.
	SkipFetchHead bool `json:"skip_fetch_head,omitempty"`
	// BloblessFetch fetches with --filter=blob:none; nil inherits from the decoration config.
	BloblessFetch *bool `json:"blobless_fetch,omitempty"`
	// SparseCheckoutFiles restricts the work tree to these patterns.
	SparseCheckoutFiles []string `json:"sparse_checkout_files,omitempty"`
	// SparseCheckout restricts the work tree to these directories, in git's cone
	// mode. It excludes SparseCheckoutFiles.
	SparseCheckout []string `json:"sparse_checkout,omitempty"`
}

// Pull is one proposed change.
type Pull struct {
	// Number is that of the change.
	Number int `json:"number"`
	// Author is the login; on Gerrit the name of the commit's author.
	Author string `json:"author"`
	// SHA is the head commit.
	SHA string `json:"sha"`
	// Title is the change's title when the job was made.
	Title string `json:"title,omitempty"`
	// Ref is an explicit ref to fetch, such as refs/changes/00/123/1.
	Ref string `json:"ref,omitempty"`
	// HeadRef is the name of the source branch.
	HeadRef string `json:"head_ref,omitempty"`
	// Link, CommitLink and AuthorLink are browser URLs.
	Link       string `json:"link,omitempty"`
	CommitLink string `json:"commit_link,omitempty"`
	AuthorLink string `json:"author_link,omitempty"`
}

// Validate tells why clonerefs could not restrict the work tree as r says.
func (r Refs) Validate() error {
	if err := validateSparse(r.SparseCheckoutFiles, r.SparseCheckout); err != nil {
		return fmt.Errorf("%s: %w", r.OrgRepoString(), err)
	}
	return nil
}

// String is the form of PULL_REFS: base[:sha]{,number:sha[:ref]}.
func (r Refs) String() string {
	var b strings.Builder
	b.WriteString(r.BaseRef)
	if r.BaseSHA != "" {
		b.WriteString(":" + r.BaseSHA)
	}
	for _, p := range r.Pulls {
		fmt.Fprintf(&b, ",%d:%s", p.Number, p.SHA)
		if p.Ref != "" {
			b.WriteString(":" + p.Ref)
		}
	}
	return b.String()
}

// OrgRepoString is "org/repo", or "org" without a repository.
func (r Refs) OrgRepoString() string {
	if r.Repo == "" {
		return r.Org
	}
	return r.Org + "/" + r.Repo
}

// ClonePath is the directory of the repository below the root of a Go
// workspace: by its alias, else by its link without the scheme, else by its
// place on GitHub.
func (r Refs) ClonePath(root string) string {
	place := r.PathAlias
	if place == "" {
		place = r.RepoLink
		if _, rest, found := strings.Cut(place, "://"); found {
			place = rest
		}
	}
	if place == "" {
		place = "github.com/" + r.Org + "/" + r.Repo
	}
	return root + "/src/" + place
}
