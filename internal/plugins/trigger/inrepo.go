package trigger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"prow/internal/config"
	"prow/internal/forge/github"
)

// ConfigContext is the status by which the author of a pull request learns that
// the jobs it brings cannot be used.
const ConfigContext = "prow/config"

// configMarker finds the comment that goes with the status.
const configMarker = "<!-- prow: in-repo config -->"

// maxProblems bounds how many problems a comment tells.
const maxProblems = 20

const configFine = "The repository's own jobs are valid."

func contains(text, part string) bool { return strings.Contains(text, part) }

// reportConfig makes status and comment say what err says about the repository's
// own jobs, whatever they said before.
func (p *pull) reportConfig(ctx context.Context, err error) error {
	var problems config.Errors
	if err != nil && !errors.As(err, &problems) {
		// A conflict, or a forge that does not answer, says nothing about the jobs.
		return nil
	}
	if len(problems) > 0 {
		return p.refuseConfig(ctx, problems)
	}
	if !p.fresh {
		combined, err := p.statuses(ctx)
		if err != nil {
			return err
		}
		if have := find(combined, ConfigContext); have == nil || have.State == github.StatusSuccess {
			return nil
		}
		if err := p.setStatus(ctx, github.Status{Context: ConfigContext, State: github.StatusSuccess, Description: configFine}); err != nil {
			return err
		}
	}
	return p.agent.KeepComment(ctx, p.org, p.repo, p.number, configMarker, "")
}

func (p *pull) refuseConfig(ctx context.Context, problems config.Errors) error {
	head, err := p.headSHA(ctx)
	if err != nil {
		return err
	}
	combined, err := p.statuses(ctx)
	if err != nil {
		return err
	}
	want := github.Status{
		Context: ConfigContext, State: github.StatusFailure, Description: clip(problems[0].String(), github.StatusDescriptionLimit),
		TargetURL: p.problemURL(head, problems[0]),
	}
	var errs []error
	if have := find(combined, ConfigContext); have == nil || have.State != want.State || have.Description != want.Description {
		errs = append(errs, p.setStatus(ctx, want))
	}
	return errors.Join(append(errs, p.agent.KeepComment(ctx, p.org, p.repo, p.number, configMarker, configComment(problems)))...)
}

func find(combined *github.CombinedStatus, name string) *github.Status {
	for i := range combined.Statuses {
		if combined.Statuses[i].Context == name {
			return &combined.Statuses[i]
		}
	}
	return nil
}

func (p *pull) setStatus(ctx context.Context, s github.Status) error {
	head, err := p.headSHA(ctx)
	if err != nil {
		return err
	}
	if err := p.agent.GitHub.CreateStatus(ctx, p.org, p.repo, head, s); err != nil {
		return fmt.Errorf("setting the status %s: %w", s.Context, err)
	}
	return nil
}

func (p *pull) problemURL(head string, problem config.Problem) string {
	if problem.File == "" || p.pr.Head.Repo.HTMLURL == "" {
		return p.pr.HTMLURL
	}
	u := p.pr.Head.Repo.HTMLURL + "/blob/" + head + "/" + problem.File
	if problem.Line > 0 {
		u += fmt.Sprintf("#L%d", problem.Line)
	}
	return u
}

// clip cuts a text to a number of characters, on one line.
func clip(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// configComment lists the problems. What they quote is a stranger's: it stands in
// a code block, where it can mention nobody and do nothing.
func configComment(problems config.Errors) string {
	var b strings.Builder
	b.WriteString("The jobs that this repository brings itself cannot be used. Only the jobs of the central configuration run until this is fixed:\n\n```\n")
	for i, problem := range problems {
		if i == maxProblems {
			fmt.Fprintf(&b, "and %d more\n", len(problems)-i)
			break
		}
		b.WriteString(strings.ReplaceAll(clip(problem.String(), 500), "`", "'") + "\n")
	}
	b.WriteString("```\n\n" + configMarker)
	return b.String()
}
