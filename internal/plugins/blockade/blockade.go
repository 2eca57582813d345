// Package blockade keeps pull requests from being merged that change protected files.
package blockade

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "blockade"

// marker begins the comment, and finds it again.
const marker = "Adding label: `" + plugins.LabelBlockedPaths + "` because PR changes some protected file paths."

const defaultExplanation = "Files are protected."

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The blockade plugin keeps pull requests from being merged that change files which the configuration protects, " +
			"by the '" + plugins.LabelBlockedPaths + "' label.",
		Config: describeConfig,
		Snippet: "blockades:\n- repos:\n  - org/repo\n  branchregexp: ^release-\n  blockregexps:\n  - ^docs/\n  exceptionregexps:\n  - \\.md$\n" +
			"  explanation: The documentation of releases is frozen.\n",
		Labels:   []plugins.ManagedLabel{{Name: plugins.LabelBlockedPaths, Present: "it changes files that are protected; the comment of blockade lists them"}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		var says []string
		for i := range cfg.Blockades {
			b := &cfg.Blockades[i]
			if !appliesTo(b, org, repo) {
				continue
			}
			where := "all branches"
			if b.BranchRegexp != nil {
				where = "branches " + *b.BranchRegexp
			}
			says = append(says, fmt.Sprintf("On %s paths are blocked that match %q and not %q: %s", where, b.BlockRegexps, b.ExceptionRegexps, explanation(b)))
		}
		if len(says) > 0 {
			out[full] = strings.Join(says, " ")
		}
	}
	return out
}

func explanation(b *pluginconfig.Blockade) string {
	if b.Explanation == "" {
		return defaultExplanation
	}
	return b.Explanation
}

func appliesTo(b *pluginconfig.Blockade, org, repo string) bool {
	return slices.Contains(b.Repos, org) || slices.Contains(b.Repos, org+"/"+repo)
}

// rule is an entry of the configuration that applies, with its valid expressions.
type rule struct {
	block, except []*regexp.Regexp
	explanation   string
}

// rulesFor are the entries for a branch that can block something. Expressions that
// are not valid are left out: the configuration warns of them.
func rulesFor(blockades []pluginconfig.Blockade, org, repo, branch string) []rule {
	var out []rule
	for i := range blockades {
		b := &blockades[i]
		if !appliesTo(b, org, repo) || b.BranchRe() != nil && !b.BranchRe().MatchString(branch) {
			continue
		}
		if block := compile(b.BlockRegexps); len(block) > 0 {
			out = append(out, rule{block, compile(b.ExceptionRegexps), explanation(b)})
		}
	}
	return out
}

func compile(exprs []string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, expr := range exprs {
		if re, err := regexp.Compile(expr); err == nil {
			out = append(out, re)
		}
	}
	return out
}

func (r *rule) blocks(file string) bool {
	matches := func(re *regexp.Regexp) bool { return re.MatchString(file) }
	return slices.ContainsFunc(r.block, matches) && !slices.ContainsFunc(r.except, matches)
}

// reason is an explanation with the files it is about.
type reason struct {
	explanation string
	files       []string
}

// decide tells why changes are blocked; nil if they are not. A renamed file is
// changed at both places.
func decide(rules []rule, changes []github.PullRequestChange) []reason {
	var out []reason
	for i := range rules {
		r := &rules[i]
		var files []string
		for _, c := range changes {
			if r.blocks(c.Filename) || c.PreviousFilename != "" && r.blocks(c.PreviousFilename) {
				files = append(files, c.Filename)
			}
		}
		if len(files) == 0 {
			continue
		}
		if same := slices.IndexFunc(out, func(o reason) bool { return o.explanation == r.explanation }); same >= 0 {
			out[same].files = append(out[same].files, files...)
			continue
		}
		out = append(out, reason{r.explanation, files})
	}
	for i := range out {
		slices.Sort(out[i].files)
		out[i].files = slices.Compact(out[i].files)
	}
	return out
}

func comment(reasons []reason, repoURL, commit string) string {
	var b strings.Builder
	b.WriteString(marker + "\nThe reasons for blocking each path are:\n\n")
	for _, r := range reasons {
		b.WriteString(r.explanation + "\n\n" + plugins.ListFiles(repoURL, commit, r.files) + "\n")
	}
	return plugins.Say(strings.TrimRight(b.String(), "\n"))
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	case github.ActionEdited:
		if !e.BaseChanged() {
			return nil
		}
	default:
		return nil
	}
	org, repo, pr := e.Repo.Owner.Login, e.Repo.Name, &e.PullRequest
	rules := rulesFor(a.Plugins.Blockades, org, repo, pr.Base.Ref)
	if len(rules) == 0 && !github.HasLabel(plugins.LabelBlockedPaths, pr.Labels) {
		return nil
	}
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	var reasons []reason
	if len(rules) > 0 {
		changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, e.Number)
		if err != nil {
			return fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, e.Number, err)
		}
		reasons = decide(rules, changes)
	}
	blocked, has := len(reasons) > 0, github.HasLabel(plugins.LabelBlockedPaths, labels)
	if blocked == has {
		return nil
	}
	text := ""
	if blocked {
		text = comment(reasons, pr.Base.Repo.HTMLURL, pr.Head.SHA)
	}
	// The label comes last: while it is not as it should be, the comment is looked at.
	return errors.Join(a.KeepComment(ctx, org, repo, e.Number, marker, text), a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelBlockedPaths, blocked))
}
