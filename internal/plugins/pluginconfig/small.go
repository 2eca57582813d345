package pluginconfig

import (
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// Dco configures the plugin that asks for signed-off commits.
type Dco struct {
	// SkipDCOCheckForMembers trusts members of the org. Default: false.
	SkipDCOCheckForMembers bool `json:"skip_dco_check_for_members,omitempty"`
	// TrustedApps are slugs of GitHub apps that are trusted.
	TrustedApps []string `json:"trusted_apps,omitempty"`
	// TrustedOrg is a further org whose members are trusted.
	TrustedOrg string `json:"trusted_org,omitempty"`
	// SkipDCOCheckForCollaborators trusts collaborators. Default: false.
	SkipDCOCheckForCollaborators bool `json:"skip_dco_check_for_collaborators,omitempty"`
	// ContributingRepo is the "org/repo" of the guide for contributors.
	// Default: the repository itself.
	ContributingRepo string `json:"contributing_repo,omitempty"`
	// ContributingBranch is the branch of the guide. Default: master.
	ContributingBranch string `json:"contributing_branch,omitempty"`
	// ContributingPath is the file of the guide. Default: CONTRIBUTING.md.
	ContributingPath string `json:"contributing_path,omitempty"`
}

// DcoFor is the configuration of dco for a repository: that of "org/repo", of
// the org or of "*", whichever is first. The defaults of the guide are set.
func (c *Configuration) DcoFor(org, repo string) Dco {
	var d Dco
	for _, key := range []string{org + "/" + repo, org, "*"} {
		if found := c.Dco[key]; found != nil {
			d = *found
			break
		}
	}
	setDefault(&d.ContributingRepo, org+"/"+repo)
	setDefault(&d.ContributingBranch, "master")
	setDefault(&d.ContributingPath, "CONTRIBUTING.md")
	return d
}

// Golint configures the plugin golint.
type Golint struct {
	// MinimumConfidence is between 0 and 1; findings below are dropped.
	// Default: 0.8.
	MinimumConfidence *float64 `json:"minimum_confidence,omitempty"`
}

// Confidence is MinimumConfidence or its default.
func (g *Golint) Confidence() float64 {
	if g.MinimumConfidence == nil {
		return 0.8
	}
	return *g.MinimumConfidence
}

// Heart configures the plugin heart.
type Heart struct {
	// Adorees are logins that get hearts.
	Adorees []string `json:"adorees,omitempty"`
	// CommentRegexp says which of their comments get one. Default: none.
	CommentRegexp string `json:"commentregexp,omitempty"`

	re *regexp.Regexp
}

// CommentRe is CommentRegexp compiled; nil where none is configured.
func (h *Heart) CommentRe() *regexp.Regexp { return h.re }

// Help configures the plugin help.
type Help struct {
	// HelpGuidelinesURL is linked in messages. Default: the Kubernetes
	// project's guidelines.
	HelpGuidelinesURL string `json:"help_guidelines_url,omitempty"`
	// HelpGuidelinesSummary is Markdown that is added to messages. Default: none.
	HelpGuidelinesSummary string `json:"help_guidelines_summary,omitempty"`
}

// Jira configures the plugin jira.
type Jira struct {
	// DisabledJiraProjects are keys of projects whose issues are not linked,
	// in any case.
	DisabledJiraProjects []string `json:"disabled_jira_projects,omitempty"`
}

// Disabled tells whether issues of a project are not linked.
func (j *Jira) Disabled(project string) bool {
	return j != nil && slices.ContainsFunc(j.DisabledJiraProjects, func(p string) bool { return strings.EqualFold(p, project) })
}

// KeyFile names a file with the key of a service.
type KeyFile struct {
	// KeyPath is the path of the file. Default: the service is used without key.
	KeyPath string `json:"key_path,omitempty"`
}

// Override configures the plugin override.
type Override struct {
	// AllowTopLevelOwners lets approvers of the root override. Default: false.
	AllowTopLevelOwners bool `json:"allow_top_level_owners,omitempty"`
	// AllowedGitHubTeams maps an org or "org/repo" to slugs of teams that may
	// override. Both levels count.
	AllowedGitHubTeams map[string][]string `json:"allowed_github_teams,omitempty"`
}

// TeamsFor are the slugs of the teams that may override in a repository.
func (o *Override) TeamsFor(org, repo string) []string {
	return slices.Concat(o.AllowedGitHubTeams[org], o.AllowedGitHubTeams[org+"/"+repo])
}

// ReleaseNotes configures the plugin release-note.
type ReleaseNotes struct {
	// GuidelinesURL is linked in messages. Default: the Kubernetes project's
	// guidelines.
	GuidelinesURL string `json:"guidelines_url,omitempty"`
}

// Retitle configures the plugin retitle.
type Retitle struct {
	// AllowClosedIssues also retitles what is closed. Default: false.
	AllowClosedIssues bool `json:"allow_closed_issues,omitempty"`
}

// SigMention configures the plugin sigmention.
type SigMention struct {
	// Regexp finds mentions; its first group is the name of the SIG, its
	// optional second the kind of team. Default: teams of the Kubernetes project.
	Regexp string `json:"regexp,omitempty"`

	re *regexp.Regexp
}

// Re is Regexp compiled.
func (s *SigMention) Re() *regexp.Regexp { return s.re }

// Slack configures the plugin slackevents.
type Slack struct {
	// MentionChannels are channels that are told of mentions of SIGs.
	MentionChannels []string `json:"mentionchannels,omitempty"`
	// MergeWarnings say who is told of merges by hand; every entry that
	// applies counts.
	MergeWarnings []MergeWarning `json:"mergewarnings,omitempty"`
}

// MergeWarning says who is told of merges by hand.
type MergeWarning struct {
	// Repos are orgs and "org/repo"s.
	Repos []string `json:"repos,omitempty"`
	// Channels are told.
	Channels []string `json:"channels,omitempty"`
	// ExemptUsers are logins whose merges are fine.
	ExemptUsers []string `json:"exempt_users,omitempty"`
	// ExemptBranches maps an "org/repo" to branches anybody may push to.
	ExemptBranches map[string][]string `json:"exempt_branches,omitempty"`
}

// Welcome configures the plugin welcome.
type Welcome struct {
	// Repos are orgs and "org/repo"s; each may stand in one entry only.
	Repos []string `json:"repos,omitempty"`
	// MessageTemplate is a Go template with Org, Repo, AuthorLogin and
	// AuthorName. Default: a greeting.
	MessageTemplate string `json:"message_template,omitempty"`
	// AlwaysPost welcomes authors every time, not only the first. Default: false.
	AlwaysPost bool `json:"always_post,omitempty"`
}

// WelcomeFor is the configuration of welcome for a repository.
func (c *Configuration) WelcomeFor(org, repo string) Welcome {
	w, _ := forRepo(c.Welcome, func(w *Welcome) []string { return w.Repos }, org, repo)
	return w
}

const (
	defaultHelpGuidelines        = "https://git.k8s.io/community/contributors/guide/help-wanted.md"
	defaultReleaseNoteGuidelines = "https://git.k8s.io/community/contributors/guide/release-notes.md"
	defaultSigMention            = `(?m)@kubernetes/sig-([\w-]*)-(misc|test-failures|bugs|feature-requests|proposals|pr-reviews|api-reviews)`
)

func (c *Configuration) resolveSmall(r *rules) {
	setDefault(&c.Help.HelpGuidelinesURL, defaultHelpGuidelines)
	setDefault(&c.ReleaseNote.GuidelinesURL, defaultReleaseNoteGuidelines)
	setDefault(&c.SigMention.Regexp, defaultSigMention)
	c.SigMention.re = r.regexp("sigmention.regexp", c.SigMention.Regexp)
	if c.Heart.CommentRegexp != "" {
		c.Heart.re = r.regexp("heart.commentregexp", c.Heart.CommentRegexp)
	}
	for i := range c.Welcome {
		if _, err := template.New("welcome").Parse(c.Welcome[i].MessageTemplate); err != nil {
			r.warn(element("welcome", i)+".message_template", "not a Go template, nobody will be welcomed: %v", err)
		}
	}
}
