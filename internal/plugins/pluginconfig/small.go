package pluginconfig

import "regexp"

// Help configures the plugin help.
type Help struct {
	// HelpGuidelinesURL is linked in messages.
	HelpGuidelinesURL string `json:"help_guidelines_url,omitempty"`
	// HelpGuidelinesSummary is Markdown that is added to messages.
	HelpGuidelinesSummary string `json:"help_guidelines_summary,omitempty"`
}

// Heart configures the plugin heart.
type Heart struct {
	// Adorees are logins that get hearts.
	Adorees []string `json:"adorees,omitempty"`
	// CommentRegexp says which comments get one.
	CommentRegexp string `json:"commentregexp,omitempty"`

	re *regexp.Regexp
}

// CommentRe is CommentRegexp compiled; nil where none is configured.
func (h *Heart) CommentRe() *regexp.Regexp { return h.re }

// Label configures the plugin label.
type Label struct {
	// AdditionalLabels may be set by /label.
	AdditionalLabels []string `json:"additional_labels,omitempty"`
	// RestrictedLabels maps "*", an org or "org/repo" to labels that only some may set.
	RestrictedLabels map[string][]RestrictedLabel `json:"restricted_labels,omitempty"`
}

// RestrictedLabel is a label that only some may set.
type RestrictedLabel struct {
	Label        string     `json:"label"`
	AllowedTeams []string   `json:"allowed_teams,omitempty"`
	AllowedUsers []string   `json:"allowed_users,omitempty"`
	AssignOn     []AssignOn `json:"assign_on,omitempty"`
}

// AssignOn names a label that assigns those who may set another.
type AssignOn struct {
	Label string `json:"label"`
}

// Override configures the plugin override.
type Override struct {
	// AllowTopLevelOwners lets approvers of the root override.
	AllowTopLevelOwners bool `json:"allow_top_level_owners,omitempty"`
	// AllowedGitHubTeams maps an org or "org/repo" to slugs of teams.
	AllowedGitHubTeams map[string][]string `json:"allowed_github_teams,omitempty"`
}

// Retitle configures the plugin retitle.
type Retitle struct {
	AllowClosedIssues bool `json:"allow_closed_issues,omitempty"`
}

// Size holds the numbers of changed lines from which a size label applies.
type Size struct {
	S   int `json:"s,omitempty"`
	M   int `json:"m,omitempty"`
	L   int `json:"l,omitempty"`
	Xl  int `json:"xl,omitempty"`
	Xxl int `json:"xxl,omitempty"`
}

// WithDefaults fills what is not set.
func (s Size) WithDefaults() Size {
	for _, f := range []struct {
		field *int
		value int
	}{{&s.S, 10}, {&s.M, 30}, {&s.L, 100}, {&s.Xl, 500}, {&s.Xxl, 1000}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return s
}

// Welcome configures the plugin welcome.
type Welcome struct {
	// Repos are orgs and "org/repo"s.
	Repos []string `json:"repos,omitempty"`
	// MessageTemplate is a Go template with Org, Repo, AuthorLogin and AuthorName.
	MessageTemplate string `json:"message_template,omitempty"`
	// AlwaysPost welcomes authors every time.
	AlwaysPost bool `json:"always_post,omitempty"`
}

// WelcomeFor is the configuration of welcome for a repository.
func (c *Configuration) WelcomeFor(org, repo string) Welcome {
	w, _ := forRepo(c.Welcome, func(w *Welcome) []string { return w.Repos }, org, repo)
	return w
}

// KeyFile names a file with the key of a service.
type KeyFile struct {
	KeyPath string `json:"key_path,omitempty"`
}

// ReleaseNotes configures the plugin release-note.
type ReleaseNotes struct {
	GuidelinesURL string `json:"guidelines_url,omitempty"`
}

const (
	defaultHelpGuidelines        = "https://git.k8s.io/community/contributors/guide/help-wanted.md"
	defaultReleaseNoteGuidelines = "https://git.k8s.io/community/contributors/guide/release-notes.md"
)

func (c *Configuration) resolveSmall(report reporter) {
	setDefault(&c.Help.HelpGuidelinesURL, defaultHelpGuidelines)
	setDefault(&c.ReleaseNote.GuidelinesURL, defaultReleaseNoteGuidelines)
	if c.Heart.CommentRegexp != "" {
		var err error
		if c.Heart.re, err = regexp.Compile(c.Heart.CommentRegexp); err != nil {
			report("heart.commentregexp", "%v", err)
		}
	}
	s := c.Size
	if s.S > s.M || s.M > s.L || s.L > s.Xl || s.Xl > s.Xxl {
		report("size", "found s %d, m %d, l %d, xl %d, xxl %d, expected them to grow", s.S, s.M, s.L, s.Xl, s.Xxl)
	}
}
