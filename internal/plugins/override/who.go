package override

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
)

// mayOverride asks whether the commenter may override. A check that fails is a no.
func (p *pull) mayOverride(ctx context.Context) bool {
	login := p.event.User.Login
	asked := func(what string, yes bool, err error) bool {
		if err != nil {
			p.agent.Log.ErrorContext(ctx, "whether the commenter may override is not known, so this counts as no", "asked", what, "error", err)
			return false
		}
		return yes
	}
	admin, err := p.agent.GitHub.HasPermission(ctx, p.org, p.repo, login, "admin")
	if asked("permission", admin, err) {
		return true
	}
	for _, team := range p.agent.Plugins.Override.TeamsFor(p.org, p.repo) {
		members, err := p.agent.GitHub.ListTeamMembersBySlug(ctx, p.org, team, github.RoleAll)
		is := slices.ContainsFunc(members, func(u github.User) bool { return github.NormLogin(u.Login) == github.NormLogin(login) })
		if asked("team "+team, is, err) {
			return true
		}
	}
	if !p.agent.Plugins.Override.AllowTopLevelOwners {
		return false
	}
	index, err := p.agent.Owners.LoadRepoOwners(ctx, p.org, p.repo, p.pr.Base.Ref)
	return asked("owners", err == nil && index.TopLevelApprovers().Has(owners.Normalize(login)), err)
}

// refusal says who may.
func (p *pull) refusal() string {
	may := []string{"admins of the repository"}
	for _, team := range p.agent.Plugins.Override.TeamsFor(p.org, p.repo) {
		may = append(may, "members of the team "+plugins.Code(p.org+"/"+team))
	}
	if p.agent.Plugins.Override.AllowTopLevelOwners {
		may = append(may, "approvers of the root OWNERS file")
	}
	return fmt.Sprintf("You are not authorised to override results here. Those who are: %s.", strings.Join(may, ", "))
}
