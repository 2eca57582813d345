package plugins

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"prow/internal/plugins/pluginconfig"
)

// people answers by lists; a question about "broken" is an error.
type people struct{ members, collaborators []string }

func (people) BotUserChecker(context.Context) (func(string) bool, error) {
	return func(login string) bool { return login == "bot" }, nil
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
		"a user who is called like a trusted app": {"dependabot", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, false, "not a collaborator of o/r"},
		"an app in other case":                    {"Dependabot[bot]", pluginconfig.Trigger{TrustedApps: []string{"dependabot"}}, false, "not a member"},
		"a member of the other org":               {"oda", pluginconfig.Trigger{TrustedOrg: "other"}, true, ""},
		"a member of an org that is not trusted":  {"oda", pluginconfig.Trigger{}, false, "not a member"},
		"a stranger, with every reason":           {"eve", pluginconfig.Trigger{TrustedOrg: "other"}, false, "org o and not a collaborator of o/r and not a member of the org other"},
	} {
		got, err := TrustedUser(t.Context(), forge, tc.cfg, "o", "r", tc.user)
		if err != nil || got.Trusted != tc.trusted || !strings.Contains(got.Reason, tc.reason) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	if got, err := TrustedUser(t.Context(), forge, pluginconfig.Trigger{}, "o", "r", "broken"); err == nil || got.Trusted {
		t.Errorf("an error is no trust: %+v", got)
	}
}
