package config

import (
	"net/url"

	v1 "prow/api/prowjobs/v1"
)

// GitHubOptions says where GitHub is for people.
type GitHubOptions struct {
	// LinkURL is the base of links for people. Default: https://github.com.
	LinkURL string `json:"link_url,omitempty"`

	linkURL *url.URL
}

// GitHubReporter configures reports to GitHub.
type GitHubReporter struct {
	// JobTypesToReport holds presubmit, postsubmit or both. Default: both.
	JobTypesToReport []v1.ProwJobType `json:"job_types_to_report,omitempty"`
	// NoCommentRepos are orgs and "org/repo"s that get no comments.
	NoCommentRepos []string `json:"no_comment_repos,omitempty"`
	// SummaryCommentRepos are orgs and "org/repo"s that get one summary comment.
	SummaryCommentRepos []string `json:"summary_comment_repos,omitempty"`
}
