package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// TrustClient is what TrustedUser asks of the forge.
type TrustClient interface {
	BotChecker(ctx context.Context) (func(github.User) bool, error)
	IsMember(ctx context.Context, org, user string) (bool, error)
	IsCollaborator(ctx context.Context, org, repo, user string) (bool, error)
}

// Trust is whether the code of a user may run.
type Trust struct {
	Trusted bool
	// Reason says why not.
	Reason string
}

// TrustedUser tells whether the code of a user may run for a repository. The
// cheapest questions come first; the first that is answered yes decides. Bots are
// known by what kind of account they are, not by a name alone.
func TrustedUser(ctx context.Context, c TrustClient, cfg pluginconfig.Trigger, org, repo string, account github.User) (Trust, error) {
	user := account.Login
	isBot, err := c.BotChecker(ctx)
	if err != nil {
		return Trust{}, fmt.Errorf("whether %s is trusted: %w", user, err)
	}
	if isBot(account) {
		return Trust{Trusted: true}, nil
	}
	ask := func(yes bool, err error) (bool, error) {
		if err != nil {
			return false, fmt.Errorf("whether %s is trusted: %w", user, err)
		}
		return yes, nil
	}
	failed := []string{"not a member of the org " + org}
	if yes, err := ask(c.IsMember(ctx, org, user)); err != nil || yes {
		return Trust{Trusted: yes}, err
	}
	if !cfg.OnlyOrgMembers {
		if yes, err := ask(c.IsCollaborator(ctx, org, repo, user)); err != nil || yes {
			return Trust{Trusted: yes}, err
		}
		failed = append(failed, "not a collaborator of "+org+"/"+repo)
	}
	if app, ok := strings.CutSuffix(user, "[bot]"); ok && account.Type == "Bot" && slices.Contains(cfg.TrustedApps, app) {
		return Trust{Trusted: true}, nil
	}
	if cfg.TrustedOrg != "" && cfg.TrustedOrg != org {
		if yes, err := ask(c.IsMember(ctx, cfg.TrustedOrg, user)); err != nil || yes {
			return Trust{Trusted: yes}, err
		}
		failed = append(failed, "not a member of the org "+cfg.TrustedOrg)
	}
	return Trust{Reason: "user is " + strings.Join(failed, " and ")}, nil
}

// VouchContext is the status that says of a commit that a trusted user allowed its
// tests, where the repository wants that for each commit. Who pushes to a fork
// cannot set it.
const VouchContext = "prow/ok-to-test"
