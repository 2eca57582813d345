package prowjob

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// Membership tells who belongs where at the code host.
type Membership interface {
	IsMember(ctx context.Context, org, user string) (bool, error)
	// TeamHasMember asks by the id of a team of the org.
	TeamHasMember(ctx context.Context, org string, teamID int, user string) (bool, error)
	TeamBySlugHasMember(ctx context.Context, org, slug, user string) (bool, error)
}

// MayRerun tells whether a config lets a user run a job of the org again, or
// abort it. Nobody may without a config. Names are asked for first; members is
// needed for orgs and teams only, and without it (nil) these let nobody in. An
// error says that membership could not be told.
func MayRerun(ctx context.Context, auth *v1.RerunAuthConfig, org, user string, members Membership) (bool, error) {
	switch {
	case auth == nil:
		return false, nil
	case auth.AllowAnyone:
		return true, nil
	case slices.ContainsFunc(auth.GitHubUsers, func(u string) bool { return login(u) == login(user) }):
		return true, nil
	case members == nil:
		return false, nil
	}
	for _, o := range auth.GitHubOrgs {
		if is, err := members.IsMember(ctx, o, user); err != nil {
			return false, fmt.Errorf("is %s a member of %s: %w", user, o, err)
		} else if is {
			return true, nil
		}
	}
	for _, id := range auth.GitHubTeamIDs {
		if is, err := members.TeamHasMember(ctx, org, id, user); err != nil {
			return false, fmt.Errorf("is %s in team %d of %s: %w", user, id, org, err)
		} else if is {
			return true, nil
		}
	}
	for _, team := range auth.GitHubTeamSlugs {
		if is, err := members.TeamBySlugHasMember(ctx, team.Org, team.Slug, user); err != nil {
			return false, fmt.Errorf("is %s in team %s of %s: %w", user, team.Slug, team.Org, err)
		} else if is {
			return true, nil
		}
	}
	return false, nil
}

// login is the form in which logins are compared.
func login(user string) string { return strings.TrimPrefix(strings.ToLower(user), "@") }
