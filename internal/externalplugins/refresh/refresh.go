// Package refresh is the external plugin refresh: on a command it reports the jobs of
// a pull request on GitHub again, for the case that a report was lost.
//
// The jobs are read from deck, so that it needs no access to the cluster.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	reportgithub "prow/internal/report/github"
)

// Name of the plugin.
const Name = "refresh"

var commandRe = regexp.MustCompile(`(?mi)^/refresh[ \t]*\r?$`)

// plugin is what handlers share.
type plugin struct{ deck deck }

func newPlugin(address string, client *http.Client) *plugin {
	return &plugin{deck{strings.TrimRight(address, "/"), client}}
}

// Describe is the plugin as data.
func Describe() *plugins.Plugin { return newPlugin("", nil).describe() }

func (p *plugin) describe() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The refresh plugin reports the jobs of a pull request again, where statuses on GitHub are missing or out of date.",
		Commands: []plugins.Command{{
			Usage: "/refresh", Description: "Reports the newest run of each job of the pull request's head again.", Who: plugins.Anyone(),
			Examples: []string{"/refresh"},
			Match:    commandRe, Scope: plugins.OpenPullRequests, Run: p.run,
		}},
	}
}

func (p *plugin) run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	of := pull{e.Repo.Owner.Login, e.Repo.Name, e.Number}
	pr, err := a.GitHub.GetPullRequest(ctx, of.org, of.repo, of.number)
	if err != nil {
		return fmt.Errorf("reading %s/%s#%d: %w", of.org, of.repo, of.number, err)
	}
	jobs, err := p.deck.jobsOf(ctx, of)
	if err != nil {
		return err
	}
	reporter := &reportgithub.Reporter{
		Forge: a.GitHub, Checks: a.GitHub, Config: func() *config.Config { return a.Config }, Jobs: reader(jobs), Whole: reader(jobs), Log: a.Log,
	}
	var errs []error
	reported := 0
	for _, pj := range choose(jobs, pr.Head.SHA) {
		if !reporter.ShouldReport(ctx, pj) {
			continue
		}
		if _, _, err := reporter.Report(ctx, pj); err != nil {
			errs = append(errs, fmt.Errorf("reporting %s of %s/%s#%d: %w", pj.Spec.Job, of.org, of.repo, of.number, err))
			continue
		}
		reported++
	}
	a.Log.InfoContext(ctx, "reported jobs again", "jobs", reported)
	return errors.Join(errs...)
}
