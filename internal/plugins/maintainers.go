package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// MilestoneMaintainers may use the command: the members of the team that the
// configuration names for milestones of the repository.
func MilestoneMaintainers() Who {
	return Who{Sentence: "Members of the team that the configuration names for milestones.", Refuse: refuseMilestones}
}

func refuseMilestones(ctx context.Context, a *Agent, e *github.CommentEvent) (string, error) {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	team, ok := a.Plugins.MilestoneFor(org, repo)
	if !ok || team.MaintainersTeam == "" && team.MaintainersID == 0 {
		return "Nobody may use this command here: the configuration names no team for the milestones of this repository.", nil
	}
	members, err := maintainers(ctx, a, org, team)
	if err != nil {
		return "", fmt.Errorf("whether %s maintains the milestones of %s/%s: %w", e.User.Login, org, repo, err)
	}
	if slices.ContainsFunc(members, func(u github.User) bool { return github.NormLogin(u.Login) == github.NormLogin(e.User.Login) }) {
		return "", nil
	}
	return "You must be a member of the team " + Code(MaintainersName(team)) + " of " + org + " to use this command.", nil
}

func maintainers(ctx context.Context, a *Agent, org string, team pluginconfig.Milestone) ([]github.User, error) {
	if team.MaintainersTeam != "" {
		return a.GitHub.ListTeamMembersBySlug(ctx, org, team.MaintainersTeam, github.RoleAll)
	}
	return a.GitHub.ListTeamMembers(ctx, org, int64(team.MaintainersID), github.RoleAll)
}

// MaintainersName is what the team is called in messages.
func MaintainersName(team pluginconfig.Milestone) string {
	switch {
	case team.MaintainersFriendlyName != "":
		return team.MaintainersFriendlyName
	case team.MaintainersTeam != "":
		return team.MaintainersTeam
	}
	return fmt.Sprintf("number %d", team.MaintainersID)
}

// DescribeMaintainers tells, for each repository, who may use commands about milestones.
func DescribeMaintainers(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		if team, ok := cfg.MilestoneFor(org, repo); ok {
			out[full] = "The team for milestones is " + MaintainersName(team) + "."
		}
	}
	return out
}
