package trigger

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Texts by which help is found again; other programs know them too.
const (
	needsTargets   = "The `/test` command needs one or more targets."
	takesNoTargets = "The `/retest` command does not accept any targets."
	notFound       = "The specified target(s) for `/test` were not found."
	nothingForAll  = "No jobs can be run with `/test all`."
	requiredJobs   = "The following commands are available to trigger required jobs:"
	optionalJobs   = "The following commands are available to trigger optional jobs:"
)

var helpTexts = []string{needsTargets, takesNoTargets, notFound, nothingForAll, requiredJobs, optionalJobs}

// needsHelp tells whether a comment is answered with the list of jobs instead of
// starting some, and what the answer begins with.
func needsHelp(text string, chosen bool) (note string, help bool) {
	switch {
	case testHelpRe.MatchString(text):
		return "", true
	case testEmptyRe.MatchString(text):
		return needsTargets, true
	case retestWithTargetRe.MatchString(text):
		return takesNoTargets, true
	case !chosen && config.IsTestAll(text):
		return nothingForAll, true
	case !chosen && testTargetRe.MatchString(text):
		return notFound, true
	}
	return "", false
}

// pruneHelp deletes earlier help.
func (p *pull) pruneHelp(ctx context.Context) {
	pruner := &plugins.Pruner{Client: p.agent.GitHub, Org: p.org, Repo: p.repo, Number: p.number, Log: p.agent.Log}
	pruner.Prune(ctx, func(c github.IssueComment) bool {
		return slices.ContainsFunc(helpTexts, func(text string) bool { return strings.Contains(c.Body, text) })
	})
}

// help replies with the jobs of the pull request, in place of earlier help.
func (p *pull) help(ctx context.Context, e *github.CommentEvent, note string, jobs []config.Presubmit) error {
	p.pruneHelp(ctx)
	automatic, err := config.FilterPresubmits(config.TestAllFilter(), p.pr.Base.Ref, p.changes(ctx), jobs)
	if err != nil {
		return err
	}
	return p.agent.Reply(ctx, e, helpText(note, p.fullName(), p.pr.Base.Ref, jobs, automatic))
}

// helpText lists the commands of the jobs of a branch.
func helpText(note, repo, branch string, jobs []config.Presubmit, automatic []*config.Presubmit) string {
	var required, optional []string
	for i := range jobs {
		j := &jobs[i]
		switch {
		case !j.ShouldRunAtBranch(branch) || !j.TriggerMatches(j.RerunCommand):
		case j.Optional:
			optional = append(optional, j.RerunCommand)
		default:
			required = append(required, j.RerunCommand)
		}
	}
	var b strings.Builder
	if note != "" {
		b.WriteString(note + "\n")
	}
	if len(required)+len(optional) == 0 {
		fmt.Fprintf(&b, "There are no jobs for %s@%s.", repo, branch)
		return b.String()
	}
	list := func(heading string, commands []string) {
		if len(commands) == 0 {
			return
		}
		b.WriteString(heading + "\n")
		slices.Sort(commands)
		for _, c := range slices.Compact(commands) {
			b.WriteString("```\n" + c + "\n```\n")
		}
		b.WriteString("\n")
	}
	all := len(required) + len(optional)
	list(requiredJobs, required)
	list(optionalJobs, optional)
	switch {
	case len(automatic) >= all:
		b.WriteString("Use `/test all` to run all jobs.\n")
	case len(automatic) > 0:
		names := make([]string, len(automatic))
		for i, j := range automatic {
			names[i] = j.Name
		}
		slices.Sort(names)
		b.WriteString("Use `/test all` to run the following jobs that were automatically triggered:\n```\n" + strings.Join(names, "\n") + "\n```\n")
	}
	return b.String()
}
