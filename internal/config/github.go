package config

import (
	"fmt"
	"net/url"
	"slices"

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
	// JobTypesToReport holds presubmit, postsubmit or both; others are refused.
	// Default: both.
	JobTypesToReport []v1.ProwJobType `json:"job_types_to_report,omitempty"`
	// NoCommentRepos are orgs and "org/repo"s that get no comments.
	NoCommentRepos []string `json:"no_comment_repos,omitempty"`
	// SummaryCommentRepos are orgs and "org/repo"s that get one summary comment.
	SummaryCommentRepos []string `json:"summary_comment_repos,omitempty"`
	// CheckRunRepos are orgs and "org/repo"s, or "*" for all, whose jobs are reported
	// as check runs instead of commit statuses. That needs a GitHub App. Default: none.
	CheckRunRepos []string `json:"check_run_repos,omitempty"`
}

// LinkURLParsed is the base of links for people, parsed.
func (g *GitHubOptions) LinkURLParsed() *url.URL { return g.linkURL }

func (g *GitHubOptions) resolve(s *sectionContext) {
	defaultTo(&g.LinkURL, "https://github.com")
	g.linkURL = checkURL(s.report, "github.link_url", g.LinkURL)
}

func (g *GitHubReporter) resolve(s *sectionContext) {
	if len(g.JobTypesToReport) == 0 {
		g.JobTypesToReport = []v1.ProwJobType{v1.PresubmitJob, v1.PostsubmitJob}
	}
	for i, t := range g.JobTypesToReport {
		if t != v1.PresubmitJob && t != v1.PostsubmitJob {
			s.report(fmt.Sprintf("github_reporter.job_types_to_report[%d]", i), "found %q, expected presubmit or postsubmit", t)
		}
	}
}

// Reports tells whether jobs of the type are reported to GitHub.
func (g *GitHubReporter) Reports(t v1.ProwJobType) bool {
	return slices.Contains(g.JobTypesToReport, t)
}

// CheckRuns tells whether jobs of a repository are reported as check runs.
func (g *GitHubReporter) CheckRuns(org, repo string) bool {
	return slices.Contains(g.CheckRunRepos, "*") || inRepoList(g.CheckRunRepos, org, repo)
}

// NoComments tells whether a repository gets no comments.
func (g *GitHubReporter) NoComments(org, repo string) bool {
	return inRepoList(g.NoCommentRepos, org, repo)
}

// SummaryComment tells whether a repository gets one summary comment.
func (g *GitHubReporter) SummaryComment(org, repo string) bool {
	return inRepoList(g.SummaryCommentRepos, org, repo)
}
