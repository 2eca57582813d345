package label

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// guard tells what a commenter may do, and collects the refusals.
type guard struct {
	agent      *plugins.Agent
	event      *github.CommentEvent
	restricted map[string]pluginconfig.RestrictedLabel
	// known are answers about membership: of the org (""), and of its teams.
	known    map[string]bool
	refusals []string
}

// allows tells whether the commenter may set or take a label.
func (g *guard) allows(ctx context.Context, label string, adding bool) (bool, error) {
	if adding && strings.EqualFold(label, triageAccepted) {
		member, err := g.member(ctx, "")
		if err != nil {
			return false, err
		}
		if !member {
			g.refusals = append(g.refusals, fmt.Sprintf("The label `%s` can only be set by members of the organisation %s.", triageAccepted, g.event.Repo.Owner.Login))
			return false, nil
		}
	}
	r, is := g.restricted[strings.ToLower(label)]
	if !is {
		return true, nil
	}
	login := g.event.User.Login
	if slices.ContainsFunc(r.AllowedUsers, func(u string) bool { return github.NormLogin(u) == github.NormLogin(login) }) {
		return true, nil
	}
	for _, team := range r.AllowedTeams {
		if member, err := g.member(ctx, team); err != nil || member {
			return member, err
		}
	}
	g.refusals = append(g.refusals, refusal(r, g.event.Number))
	return false, nil
}

func (g *guard) member(ctx context.Context, team string) (bool, error) {
	if member, known := g.known[team]; known {
		return member, nil
	}
	org, login := g.event.Repo.Owner.Login, g.event.User.Login
	var member bool
	var err error
	if team == "" {
		member, err = g.agent.GitHub.IsMember(ctx, org, login)
	} else {
		var members []github.User
		members, err = g.agent.GitHub.ListTeamMembersBySlug(ctx, org, team, github.RoleAll)
		member = slices.ContainsFunc(members, func(u github.User) bool { return github.NormLogin(u.Login) == github.NormLogin(login) })
	}
	if err != nil {
		return false, fmt.Errorf("whether %s belongs to %s: %w", login, strings.TrimSuffix(org+"/"+team, "/"), err)
	}
	g.known[team] = member
	return member, nil
}

// refusal says who may set a label: its teams, or some of its users, who differ
// from issue to issue so that not always the same are asked.
func refusal(r pluginconfig.RestrictedLabel, number int) string {
	says := "nobody"
	switch users := r.AllowedUsers; {
	case len(r.AllowedTeams) > 0:
		says = "members of the teams " + codes(r.AllowedTeams)
	case len(users) > 0:
		first := number % len(users)
		says = codes(slices.Concat(users[first:], users[:first]))
	}
	return fmt.Sprintf("The label %s can only be set or taken by %s.", plugins.Code(r.Label), says)
}
