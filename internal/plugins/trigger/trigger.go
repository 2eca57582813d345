// Package trigger starts jobs: presubmits when pull requests change and when
// people ask for them, and postsubmits when branches move.
//
// Code of strangers runs only after somebody the repository trusts has said
// /ok-to-test. Which jobs a comment asks for is decided by the filters of package
// config; this package decides who may ask, and starts what was chosen. ProwJobs
// are named after the delivery, so that handling it again starts none twice.
package trigger

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "trigger"

// askers may ask for tests.
var askers = plugins.Decides("Anyone can use it on the pull request of a trusted author, or after /ok-to-test.")

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The trigger plugin starts tests in reaction to commands and pull request events. " +
			"Tests start by themselves for pull requests of trusted authors; those of others wait until a trusted user comments /ok-to-test.",
		Config:  describeConfig,
		Snippet: "triggers:\n- repos:\n  - org/repo\n  join_org_url: https://github.com/kubernetes/community/blob/master/community-membership.md\n  only_org_members: true\n  ok_to_test_per_commit: true\n",
		Labels: []plugins.ManagedLabel{
			{Name: plugins.LabelNeedsOkToTest, Present: "the author is not trusted, so no tests run until a trusted user comments /ok-to-test"},
			{Name: plugins.LabelOkToTest, Present: "a trusted user has allowed tests"},
		},
		Explain: explain,
		Commands: []plugins.Command{
			{
				Usage: "/ok-to-test [cancel]", Featured: true, Who: plugins.Decides("Members of the trusted organisations of the repository, and its collaborators unless only members are trusted."),
				Description: "Marks a pull request of an untrusted author as safe to test and starts its automatic tests; cancel takes that back.",
				Examples:    []string{"/ok-to-test", "/ok-to-test cancel"},
				Match:       regexp.MustCompile(`(?m)^/ok-to-test(\s+cancel)?\s*$`), Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/test [<job name>|all|?]", Featured: true, Who: askers,
				Description: "Starts jobs by name, all automatic jobs, or lists the jobs of the pull request.",
				Examples:    []string{"/test all", "/test pull-unit pull-verify", "/test ?"},
				Match:       regexp.MustCompile(`(?m)^/test([ \t].*)?\s*$`), Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/test-manual-required", Who: askers,
				Description: "Starts the required jobs that do not start by themselves.",
				Examples:    []string{"/test-manual-required"},
				Match:       regexp.MustCompile(`(?m)^/test-manual-required\s*$`), Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/retest", Featured: true, Who: askers,
				Description: "Runs the jobs again that have failed.",
				Examples:    []string{"/retest"},
				Match:       regexp.MustCompile(`(?m)^/retest\s*$`), Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/retest-required", Who: askers,
				Description: "Runs the required jobs again that have failed.",
				Examples:    []string{"/retest-required"},
				Match:       regexp.MustCompile(`(?m)^/retest-required\s*$`), Scope: plugins.OpenPullRequests,
			},
		},
		Handlers: plugins.Handlers{Comment: handleComment, CommentConcerns: concerns, PullRequest: handlePullRequest, Push: handlePush, CheckRun: handleCheckRun},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		t := cfg.TriggerFor(org, repo)
		trusted := "members of the org " + org
		if t.TrustedOrg != "" && t.TrustedOrg != org {
			trusted += " and of the org " + t.TrustedOrg
		}
		if !t.OnlyOrgMembers {
			trusted += ", and collaborators of the repository"
		}
		out[full] = fmt.Sprintf("Trusted are %s.", trusted)
		if t.OkToTestPerCommit && !t.IgnoreOkToTest {
			out[full] += " /ok-to-test counts for the commits that are there when it is said; later ones need it again."
		}
	}
	return out
}

// pullTrust is whether the code of a pull request may run.
type pullTrust struct {
	trusted bool
	// labels are set if they had to be looked at.
	labels []github.Label
}

// trustOf asks whether a pull request is trusted: for its author or by its label,
// which has to be about the head where the repository wants that.
func (p *pull) trustOf(ctx context.Context, author github.User) (pullTrust, error) {
	trust, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, author)
	if err != nil || trust.Trusted {
		return pullTrust{trusted: trust.Trusted}, err
	}
	labels, err := p.labels(ctx)
	if err != nil {
		return pullTrust{}, err
	}
	trusted := github.HasLabel(plugins.LabelOkToTest, labels)
	if trusted {
		if trusted, err = p.vouchedFor(ctx); err != nil {
			return pullTrust{}, err
		}
	}
	return pullTrust{trusted: trusted, labels: labels}, nil
}
