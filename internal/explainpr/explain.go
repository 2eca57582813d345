package explainpr

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/statusdesc"
)

// Report is what is said about a pull request.
type Report struct {
	Org    string   `json:"org"`
	Repo   string   `json:"repo"`
	Number int      `json:"number"`
	Title  string   `json:"title"`
	Author string   `json:"author"`
	State  string   `json:"state"`
	Base   string   `json:"base"`
	Head   string   `json:"head"`
	Labels []string `json:"labels"`
	// Plugins are those the repository enables, in order of their names.
	Plugins []Section `json:"plugins"`
	Tide    Section   `json:"tide"`
	// Reason is the one that Tide gives; nil where it gives none.
	Reason *Reason `json:"reason,omitempty"`
}

// Section is what one of them says.
type Section struct {
	Name string `json:"name"`
	// External plugins run elsewhere; what they say is known by their labels alone.
	External bool                  `json:"external,omitempty"`
	Says     []plugins.Explanation `json:"says,omitempty"`
	// Error tells why it cannot say anything.
	Error string `json:"error,omitempty"`
}

// Waits tells whether something is missing.
func (s *Section) Waits() bool {
	return s.Error != "" || slices.ContainsFunc(s.Says, func(e plugins.Explanation) bool { return e.Waits })
}

// forge is what is asked about the pull request itself.
type forge interface {
	GetPullRequest(ctx context.Context, org, repo string, number int) (*github.PullRequest, error)
	GetIssueLabels(ctx context.Context, org, repo string, number int) ([]github.Label, error)
	GetCombinedStatus(ctx context.Context, org, repo, ref string) (*github.CombinedStatus, error)
}

// explainer knows the plugins and the configurations.
type explainer struct {
	forge    forge
	config   *config.Config
	plugins  *pluginconfig.Configuration
	known    map[string]*plugins.Plugin
	external map[string]*plugins.Plugin
	// agent makes what a plugin gets.
	agent func(plugin string) *plugins.Agent
	// ask asks Tide; nil where it is not known where that is.
	ask func(ctx context.Context, org, repo, head string, number int) (*Reason, error)
}

func (x *explainer) explain(ctx context.Context, org, repo string, number int) (*Report, error) {
	pr, err := x.forge.GetPullRequest(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("reading the pull request: %w", err)
	}
	labels, err := x.forge.GetIssueLabels(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("reading the labels: %w", err)
	}
	statuses, err := x.forge.GetCombinedStatus(ctx, org, repo, pr.Head.SHA)
	if err != nil {
		return nil, fmt.Errorf("reading the statuses: %w", err)
	}
	out := &Report{Org: org, Repo: repo, Number: number, Title: pr.Title, Author: pr.User.Login, State: pr.State, Base: pr.Base.Ref, Head: pr.Head.SHA}
	for _, l := range labels {
		out.Labels = append(out.Labels, l.Name)
	}
	slices.Sort(out.Labels)
	names := x.plugins.EnabledPlugins(org, repo)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		out.Plugins = append(out.Plugins, x.section(ctx, name, pr, labels))
	}
	for _, e := range x.plugins.EnabledExternalPlugins(org, repo) {
		s := Section{Name: e.Name, External: true}
		if p := x.external[e.Name]; p != nil {
			s.Says = p.ExplainLabels(labels)
		}
		out.Plugins = append(out.Plugins, s)
	}
	var problem error
	if x.ask != nil {
		out.Reason, problem = x.ask(ctx, org, repo, pr.Head.SHA, number)
	}
	if out.Reason == nil {
		out.Reason = statusReason(statuses)
	}
	out.Tide = x.tide(pr, org, repo, labels, statuses, out.Reason)
	if problem != nil {
		out.Tide.Error = problem.Error()
	}
	return out, nil
}

func (x *explainer) section(ctx context.Context, name string, pr *github.PullRequest, labels []github.Label) Section {
	s := Section{Name: name}
	p := x.known[name]
	if p == nil {
		s.Error = "this program has no such plugin"
		return s
	}
	s.Says = p.ExplainLabels(labels)
	if p.Explain == nil {
		return s
	}
	var more []plugins.Explanation
	err := plugins.Protect(func() (err error) {
		more, err = p.Explain(ctx, x.agent(name), pr)
		return err
	})
	s.Says = append(s.Says, more...)
	if err != nil {
		s.Error = err.Error()
	}
	return s
}

// tide says what Tide itself says, and how far the pull request is from each query
// that is for it.
func (x *explainer) tide(pr *github.PullRequest, org, repo string, labels []github.Label, statuses *github.CombinedStatus, reason *Reason) Section {
	s := Section{Name: "tide"}
	if reason != nil {
		s.Says = append(s.Says, plugins.Explanation{Waits: reason.State != github.StatusSuccess, Text: reason.Sentence})
		for _, link := range reason.Links {
			s.Says = append(s.Says, plugins.Explanation{Text: link})
		}
	}
	queries := x.config.Tide.Queries.ForRepo(org, repo)
	if len(queries) == 0 {
		s.Says = append(s.Says, plugins.Explanation{Waits: true, Text: "no query is for this repository, so nothing is merged"})
		return s
	}
	best := missing(&queries[0], pr, labels)
	for i := range queries[1:] {
		if m := missing(&queries[i+1], pr, labels); len(m) < len(best) {
			best = m
		}
	}
	for _, text := range best {
		s.Says = append(s.Says, plugins.Explanation{Waits: true, Text: text})
	}
	if len(best) == 0 {
		s.Says = append(s.Says, plugins.Explanation{Text: "it fulfills a query; what is left are contexts and its turn"})
	}
	for _, c := range statuses.Statuses {
		if c.Context != tideContext && c.State != github.StatusSuccess {
			s.Says = append(s.Says, plugins.Explanation{Text: fmt.Sprintf("context %s is %s: %s", c.Context, c.State, words(c.Description))})
		}
	}
	return s
}

// words are what a description says to people, without the base commit at its end.
func words(description string) string {
	if sha := statusdesc.BaseSHA(description); sha != "" {
		description = strings.TrimSuffix(strings.TrimSuffix(description, sha), "BaseSHA:")
	}
	return strings.TrimRightFunc(description, unicode.IsSpace)
}

// tideContext is the status in which Tide says what it waits for.
const tideContext = "tide"

// missing is what keeps a pull request from fulfilling a query.
func missing(q *config.TideQuery, pr *github.PullRequest, labels []github.Label) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if slices.Contains(q.ExcludedBranches, pr.Base.Ref) || len(q.IncludedBranches) > 0 && !slices.Contains(q.IncludedBranches, pr.Base.Ref) {
		add("branch %s is not open for merging", pr.Base.Ref)
	}
	if q.Author != "" && !strings.EqualFold(q.Author, pr.User.Login) {
		add("the author must be %s", q.Author)
	}
	if q.Milestone != "" && (pr.Milestone == nil || pr.Milestone.Title != q.Milestone) {
		add("it must be in milestone %s", q.Milestone)
	}
	for _, label := range q.Labels {
		alternatives := strings.Split(label, ",")
		if !slices.ContainsFunc(alternatives, func(l string) bool { return github.HasLabel(l, labels) }) {
			add("it needs the label %s", strings.Join(alternatives, " or "))
		}
	}
	for _, label := range q.MissingLabels {
		if github.HasLabel(label, labels) {
			add("it must not have the label %s", label)
		}
	}
	if q.ReviewApprovedRequired {
		add("it needs an approving review, which only Tide looks up")
	}
	return out
}
