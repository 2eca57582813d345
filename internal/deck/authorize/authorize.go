// Package authorize decides who may run a job again or abort one, and who administers.
package authorize

import (
	"context"
	"fmt"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/signin"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/prowjob"
)

// Action is what somebody wants to do with a job.
type Action string

// The actions.
const (
	Rerun Action = "rerun"
	Abort Action = "abort"
)

// Forge answers questions about people and pull requests. It may be used concurrently.
type Forge interface {
	plugins.TrustClient
	TeamBySlugHasMember(ctx context.Context, org, slug, user string) (bool, error)
	ListTeamMembers(ctx context.Context, org string, id int64, role string) ([]github.User, error)
	GetIssueLabels(ctx context.Context, org, repo string, number int) ([]github.Label, error)
	GetCombinedStatus(ctx context.Context, org, repo, ref string) (*github.CombinedStatus, error)
}

// Decider decides by the configuration as it is now.
type Decider struct {
	Config func() *config.Config
	// Plugins is the configuration of plugins; nil without one.
	Plugins func() *pluginconfig.Configuration
	// Forge is nil without credentials: then only names count.
	Forge Forge
}

// Verdict is a decision and its reason, as a part of a sentence.
type Verdict struct {
	Allowed bool
	Reason  string
}

func yes(reason string) Verdict { return Verdict{true, reason} }

// decided is a yes unless something went wrong on the way.
func decided(reason string, err error) (Verdict, error) { return Verdict{err == nil, reason}, err }
func no(reason string) Verdict                          { return Verdict{false, reason} }

// Anyone tells whether nobody needs to say who they are.
func (d *Decider) Anyone(spec *v1.ProwJobSpec) bool {
	deck := d.Config().Deck.RerunAuth(spec)
	return spec.RerunAuthConfig != nil && spec.RerunAuthConfig.AllowAnyone || deck != nil && deck.AllowAnyone
}

// May decides whether a user may do something with a job. An error says that it could
// not be told.
func (d *Decider) May(ctx context.Context, action Action, spec *v1.ProwJobSpec, user *signin.User) (Verdict, error) {
	if d.Anyone(spec) {
		return yes("anyone may"), nil
	}
	members := d.members(user)
	org := ""
	if refs := spec.MainRefs(); refs != nil {
		org = refs.Org
	}
	for _, level := range []struct {
		auth *v1.RerunAuthConfig
		name string
	}{{d.Config().Deck.RerunAuth(spec), "the configuration of deck"}, {spec.RerunAuthConfig, "the job"}} {
		if ok, err := prowjob.MayRerun(ctx, level.auth, org, user.Name, members); err != nil || ok {
			return decided(level.name+" names them", err)
		}
	}
	switch {
	case d.Forge == nil:
		return no("neither the configuration of deck nor the job names them"), nil
	case !user.Forge:
		return no("neither the configuration of deck nor the job names them, and they are not known on the forge"), nil
	case spec.Type != v1.PresubmitJob || spec.Refs == nil || len(spec.Refs.Pulls) == 0:
		return no("neither the configuration of deck nor the job names them, and it is not the job of a pull request"), nil
	}
	return d.trusted(ctx, action, spec.Refs, user)
}

// trusted decides as the command /test of the plugin trigger does: a job of a pull
// request may be run by those who are trusted, and by anybody who is signed in where
// the pull request itself is. To stop a job is more than that command can do, so it
// takes trust, or being the author of the pull request.
func (d *Decider) trusted(ctx context.Context, action Action, refs *v1.Refs, user *signin.User) (Verdict, error) {
	if d.Plugins == nil {
		return no("neither the configuration of deck nor the job names them, and without a configuration of plugins nobody is trusted"), nil
	}
	trigger := d.Plugins().TriggerFor(refs.Org, refs.Repo)
	account := github.User{Login: user.Name}
	if user.Account != nil {
		account = *user.Account
	}
	trust, err := plugins.TrustedUser(ctx, d.Forge, trigger, refs.Org, refs.Repo, account)
	if err != nil || trust.Trusted {
		return decided("they are trusted in "+refs.Org+"/"+refs.Repo, err)
	}
	pull := &refs.Pulls[0]
	if action == Abort && github.NormLogin(pull.Author) != github.NormLogin(user.Name) {
		return no(trust.Reason + " and not the author of the pull request"), nil
	}
	ok, err := d.okToTest(ctx, trigger, refs, pull)
	if err != nil {
		return Verdict{}, fmt.Errorf("whether pull request %d of %s/%s may be tested: %w", pull.Number, refs.Org, refs.Repo, err)
	}
	if !ok {
		return no(trust.Reason + ", and the pull request does not have the label " + plugins.LabelOkToTest + " for this commit"), nil
	}
	return yes("the pull request may be tested"), nil
}

// okToTest tells whether somebody who is trusted has allowed the tests of the pull
// request, or where the repository wants that of each commit, of this one.
func (d *Decider) okToTest(ctx context.Context, trigger pluginconfig.Trigger, refs *v1.Refs, pull *v1.Pull) (bool, error) {
	labels, err := d.Forge.GetIssueLabels(ctx, refs.Org, refs.Repo, pull.Number)
	if github.IsNotFound(err) {
		return false, nil // the pull request is gone, or was never on this forge
	}
	if err != nil || !github.HasLabel(plugins.LabelOkToTest, labels) {
		return false, err
	}
	if !trigger.OkToTestPerCommit || trigger.IgnoreOkToTest {
		return true, nil
	}
	combined, err := d.Forge.GetCombinedStatus(ctx, refs.Org, refs.Repo, pull.SHA)
	if err != nil {
		return false, err
	}
	for _, s := range combined.Statuses {
		if s.Context == plugins.VouchContext {
			return s.State == github.StatusSuccess, nil
		}
	}
	return false, nil
}

// Administers decides whether a user may see and replay the webhooks.
func (d *Decider) Administers(ctx context.Context, user *signin.User) (Verdict, error) {
	auth := d.Config().Deck.Administrators
	if auth == nil {
		return no("deck.administrators is not configured"), nil
	}
	if ok, err := prowjob.MayRerun(ctx, auth, "", user.Name, d.members(user)); err != nil || ok {
		return decided("deck.administrators names them", err)
	}
	return no("deck.administrators does not name them"), nil
}

// members answers about those whose names are logins of the forge; nil for others.
func (d *Decider) members(user *signin.User) prowjob.Membership {
	if d.Forge == nil || !user.Forge {
		return nil
	}
	return membership{d.Forge}
}

type membership struct{ Forge }

func (m membership) TeamHasMember(ctx context.Context, org string, teamID int, user string) (bool, error) {
	all, err := m.ListTeamMembers(ctx, org, int64(teamID), "all")
	if err != nil {
		return false, err
	}
	for _, member := range all {
		if github.NormLogin(member.Login) == github.NormLogin(user) {
			return true, nil
		}
	}
	return false, nil
}
