package plugins

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// people answers by lists; a question about "broken" is an error.
type people struct{ members, collaborators []string }

func (people) BotChecker(context.Context) (func(github.User) bool, error) {
	return func(u github.User) bool { return u.Login == "bot" }, nil
}

func (p people) IsMember(_ context.Context, org, user string) (bool, error) {
	if user == "broken" {
		return false, errors.New("502")
	}
	return slices.Contains(p.members, org+"/"+user), nil
}

func (p people) IsCollaborator(_ context.Context, org, repo, user string) (bool, error) {
	return slices.Contains(p.collaborators, org+"/"+repo+"/"+user), nil
}

// account is a user, or a bot if its name says so; one called fake only has such a name.
func account(login string) github.User {
	name, fake := strings.CutPrefix(login, "fake ")
	if strings.HasSuffix(name, "[bot]") && !fake {
		return github.User{Login: name, Type: "Bot"}
	}
	return github.User{Login: name, Type: "User"}
}

func TestTrustedUser(t *testing.T) {
	forge := people{members: []string{"o/mia", "other/oda"}, collaborators: []string{"o/r/cleo"}}
	for name, tc := range map[string]struct {
		user    string
		cfg     pluginconfig.Trigger
		trusted bool
		reason  string
	}{
		"the bot":        {"bot", pluginconfig.Trigger{}, true, ""},
		"a member":       {"mia", pluginconfig.Trigger{OnlyOrgMembers: true}, true, ""},
		"a collaborator": {"cleo", pluginconfig.Trigger{}, true, ""},
		"a collaborator where only members count": {"cleo", pluginconfig.Trigger{OnlyOrgMembers: true}, false, "not a member of the org o"},
		"a trusted app": {"dependabot[bot]", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, true, ""},
		"a user who is called like a trusted app":    {"dependabot", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, false, "not a collaborator of o/r"},
		"a user whose name ends like that of an app": {"fake dependabot[bot]", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, false, "not a collaborator of o/r"},
		"an app in other case":                       {"Dependabot[bot]", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, false, "not a member"},
		"a member of the other org":                  {"oda", pluginconfig.Trigger{TrustedOrg: "other"}, true, ""},
		"a member of an org that is not trusted":     {"oda", pluginconfig.Trigger{}, false, "not a member"},
		"a stranger, with every reason":              {"eve", pluginconfig.Trigger{TrustedOrg: "other"}, false, "org o and not a collaborator of o/r and not a member of the org other"},
	} {
		got, err := TrustedUser(t.Context(), forge, tc.cfg, "o", "r", account(tc.user))
		if err != nil || got.Trusted != tc.trusted || !strings.Contains(got.Reason, tc.reason) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	if got, err := TrustedUser(t.Context(), forge, pluginconfig.Trigger{}, "o", "r", account("broken")); err == nil || got.Trusted {
		t.Errorf("an error is no trust: %+v", got)
	}
}
