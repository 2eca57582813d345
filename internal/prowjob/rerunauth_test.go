package prowjob_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/prowjob"
)

// memberships lists who is where, as "org", "org/7" or "org/slug" followed by a
// colon and the user; "broken" is an org that cannot be asked.
type memberships []string

func (m memberships) has(place, user string) (bool, error) {
	if place == "broken" || place == "broken/7" || place == "broken/slug" {
		return false, errors.New("the code host is down")
	}
	return slices.Contains(m, place+":"+user), nil
}

func (m memberships) IsMember(_ context.Context, org, user string) (bool, error) {
	return m.has(org, user)
}

func (m memberships) TeamHasMember(_ context.Context, org string, id int, user string) (bool, error) {
	return m.has(fmt.Sprintf("%s/%d", org, id), user)
}

func (m memberships) TeamBySlugHasMember(_ context.Context, org, slug, user string) (bool, error) {
	return m.has(org+"/"+slug, user)
}

func TestMayRerun(t *testing.T) {
	members := memberships{"x:member", "job-org/7:in-team", "other/slug:in-slug", "other/7:elsewhere"}
	teams := &v1.RerunAuthConfig{GitHubOrgs: []string{"y", "x"}, GitHubTeamIDs: []int{6, 7}, GitHubTeamSlugs: []v1.GitHubTeamSlug{{Slug: "slug", Org: "other"}}}
	for sentence, c := range map[string]struct {
		auth    *v1.RerunAuthConfig
		user    string
		members prowjob.Membership
		want    bool
		err     bool
	}{
		"probe 25: nobody without a config":                    {nil, "gumby", members, false, false},
		"nobody with an empty config":                          {&v1.RerunAuthConfig{}, "gumby", members, false, false},
		"anyone":                                               {&v1.RerunAuthConfig{AllowAnyone: true}, "gumby", nil, true, false},
		"probe 25: @Gumby is gumby":                            {&v1.RerunAuthConfig{GitHubUsers: []string{"x", "@Gumby"}}, "gumby", nil, true, false},
		"@gumby is Gumby":                                      {&v1.RerunAuthConfig{GitHubUsers: []string{"Gumby"}}, "@gumby", nil, true, false},
		"without a code host orgs and teams let nobody in":     {teams, "member", nil, false, false},
		"a member of an org":                                   {teams, "member", members, true, false},
		"a member of a team of the job's org":                  {teams, "in-team", members, true, false},
		"a member of a team of that number elsewhere":          {teams, "elsewhere", members, false, false},
		"a member of a team by name":                           {teams, "in-slug", members, true, false},
		"a stranger":                                           {teams, "stranger", members, false, false},
		"an org that cannot be asked":                          {&v1.RerunAuthConfig{GitHubOrgs: []string{"broken"}}, "u", members, false, true},
		"a team that cannot be asked":                          {&v1.RerunAuthConfig{GitHubTeamSlugs: []v1.GitHubTeamSlug{{Slug: "slug", Org: "broken"}}}, "u", members, false, true},
		"a named user is let in without asking anybody":        {&v1.RerunAuthConfig{GitHubUsers: []string{"u"}, GitHubOrgs: []string{"broken"}}, "u", members, true, false},
		"an org is asked before a team that cannot be asked":   {&v1.RerunAuthConfig{GitHubOrgs: []string{"x"}, GitHubTeamSlugs: []v1.GitHubTeamSlug{{Slug: "slug", Org: "broken"}}}, "member", members, true, false},
		"an error ends the search, even if a team would allow": {&v1.RerunAuthConfig{GitHubOrgs: []string{"broken"}, GitHubTeamIDs: []int{7}}, "in-team", members, false, true},
	} {
		got, err := prowjob.MayRerun(t.Context(), c.auth, "job-org", c.user, c.members)
		if got != c.want || (err != nil) != c.err {
			t.Errorf("%s: %t, %v", sentence, got, err)
		}
	}
}
