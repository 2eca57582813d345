package statusreconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/prowjob"
)

// Forge is what is asked of and told to the code host.
type Forge interface {
	plugins.TrustClient
	GetPullRequests(ctx context.Context, org, repo string) ([]github.PullRequest, error)
	GetPullRequest(ctx context.Context, org, repo string, number int) (*github.PullRequest, error)
	GetPullRequestChanges(ctx context.Context, org, repo string, number int) ([]github.PullRequestChange, error)
	GetRef(ctx context.Context, org, repo, ref string) (string, error)
	GetCombinedStatus(ctx context.Context, org, repo, ref string) (*github.CombinedStatus, error)
	CreateStatus(ctx context.Context, org, repo, sha string, s github.Status) error
}

// eventGUID is the delivery that the jobs started here seem to come from.
const eventGUID = "none"

const okToTest = "ok-to-test"

// Reconciler carries changes of presubmits to open pull requests.
type Reconciler struct {
	Forge   Forge
	Jobs    client.Writer
	Plugins func() *pluginconfig.Configuration
	Keeper  Keeper
	// NoTrigger and Ignored list orgs and repositories: where nothing is
	// started, and where nothing is done.
	NoTrigger, Ignored []string
	// ContinueOnError deals with the rest after something failed.
	ContinueOnError bool
	DryRun          bool
	Now             func() time.Time
	Log             *slog.Logger
}

// Reconcile deals with all that has changed since the state that is kept. What
// failed stays in it as it was, so that the next call deals with it again.
func (r *Reconciler) Reconcile(ctx context.Context, cfg *config.Config) error {
	before, err := r.Keeper.Load(ctx)
	if err != nil {
		return err
	}
	after := stateOf(cfg)
	if before == nil {
		r.Log.InfoContext(ctx, "nothing to compare with: begins with the configuration as it is", "repositories", len(after.Presubmits))
		return r.save(ctx, after)
	}
	repos := changed(before, after)
	if len(repos) == 0 {
		return nil
	}
	var errs []error
	for i, name := range repos {
		if listed(r.Ignored, name) {
			continue
		}
		err := r.repo(ctx, cfg, name, before.Presubmits[name], after.Presubmits[name])
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
		failed := repos[i : i+1]
		if !r.ContinueOnError || ctx.Err() != nil {
			failed = repos[i:] // the others have not been looked at
		}
		for _, name := range failed {
			after.Presubmits[name] = before.Presubmits[name]
			if _, there := before.Presubmits[name]; !there {
				delete(after.Presubmits, name)
			}
		}
		if len(failed) != 1 || !r.ContinueOnError {
			break
		}
	}
	// What was done is remembered although the end may have been asked for.
	return errors.Join(append(errs, r.save(context.WithoutCancel(ctx), after))...)
}

func (r *Reconciler) save(ctx context.Context, s *State) error {
	if r.DryRun {
		return nil
	}
	return r.Keeper.Save(ctx, s)
}

func listed(list []string, repo string) bool {
	org, _ := config.SplitRepo(repo)
	return slices.Contains(list, repo) || slices.Contains(list, org)
}

// repo deals with one repository.
func (r *Reconciler) repo(ctx context.Context, cfg *config.Config, name string, before, after []Job) error {
	org, repo := config.SplitRepo(name)
	pulls, err := r.Forge.GetPullRequests(ctx, org, repo)
	if err != nil {
		return fmt.Errorf("list open pull requests: %w", err)
	}
	plans := map[string]Plan{}
	var errs []error
	for i := range pulls {
		branch := pulls[i].Base.Ref
		p, known := plans[branch]
		if !known {
			p = plan(before, after, branch)
			if listed(r.NoTrigger, name) {
				p.Start = nil
			}
			plans[branch] = p
		}
		if p.Empty() {
			continue
		}
		pull := &pull{
			Reconciler: r, cfg: cfg, org: org, repo: repo, pr: &pulls[i], change: digest(before) + "\x00" + digest(after),
			log: r.Log.With("org", org, "repo", repo, "pr", pulls[i].Number),
		}
		if err := pull.act(ctx, p); err != nil {
			errs = append(errs, fmt.Errorf("#%d: %w", pulls[i].Number, err))
			if !r.ContinueOnError {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// pull is a pull request that a change concerns.
type pull struct {
	*Reconciler
	cfg       *config.Config
	org, repo string
	pr        *github.PullRequest
	// change tells one change of the configuration from another.
	change string
	log    *slog.Logger
}

// act does what is planned. That jobs cannot be started does not keep contexts
// from being retired and moved, if errors are to be passed over.
func (p *pull) act(ctx context.Context, plan Plan) error {
	err := p.start(ctx, plan.Start)
	if err != nil && !p.ContinueOnError {
		return err
	}
	return errors.Join(err, p.statuses(ctx, plan))
}

func (p *pull) start(ctx context.Context, names []string) error {
	if len(names) == 0 || p.pr.Draft {
		return nil
	}
	jobs, err := p.wanted(ctx, names)
	if err != nil || len(jobs) == 0 {
		return err
	}
	trusted, err := p.trusted(ctx)
	if err != nil {
		return err
	}
	if !trusted {
		p.log.InfoContext(ctx, "nothing is started: the author is not trusted", "author", p.pr.User.Login)
		return nil
	}
	// The list of pull requests does not say whether they can be merged.
	fresh, err := p.Forge.GetPullRequest(ctx, p.org, p.repo, p.pr.Number)
	if err != nil {
		return fmt.Errorf("read the pull request: %w", err)
	}
	if fresh.State != "open" || fresh.Draft || fresh.Mergable != nil && !*fresh.Mergable {
		return nil
	}
	base, err := p.Forge.GetRef(ctx, p.org, p.repo, "heads/"+fresh.Base.Ref)
	if err != nil {
		return fmt.Errorf("find the head of %s: %w", fresh.Base.Ref, err)
	}
	refs := prowjob.PullRefs(prowjob.PullRequest{
		Org: p.org, Repo: p.repo, RepoURL: fresh.Base.Repo.HTMLURL, BaseRef: fresh.Base.Ref, Number: fresh.Number, Title: fresh.Title, URL: fresh.HTMLURL,
		Author: fresh.User.Login, AuthorURL: fresh.User.HTMLURL, HeadSHA: fresh.Head.SHA, HeadRef: fresh.Head.Ref,
	}, base)
	var errs []error
	for _, job := range jobs {
		name := prowjob.StableName("status-reconciler", p.org, p.repo, fmt.Sprint(fresh.Number), fresh.Head.SHA, job.Name, p.change)
		pj := prowjob.NewPresubmit(job, refs, prowjob.Event{GUID: eventGUID}, prowjob.WithName(name), prowjob.WithClock(p.Now),
			prowjob.InNamespace(p.cfg.ProwJobNamespace), prowjob.RequireScheduling(p.cfg.Scheduler.Enabled))
		if p.DryRun {
			p.log.InfoContext(ctx, "dry-run: not started", "job", job.Name)
			continue
		}
		if err := p.Jobs.Create(ctx, pj); err != nil && !apierrors.IsAlreadyExists(err) {
			errs = append(errs, fmt.Errorf("start %s: %w", job.Name, err))
			continue
		}
		p.log.InfoContext(ctx, "started", "job", job.Name, "name", pj.Name)
	}
	return errors.Join(errs...)
}

// wanted are the named presubmits that run on the branch and the changes.
func (p *pull) wanted(ctx context.Context, names []string) (out []*config.Presubmit, err error) {
	var files []string
	known := false
	changes := func() ([]string, error) {
		if known {
			return files, nil
		}
		list, err := p.Forge.GetPullRequestChanges(ctx, p.org, p.repo, p.pr.Number)
		if err != nil {
			return nil, fmt.Errorf("list the changed files: %w", err)
		}
		for _, c := range list {
			files = append(files, c.Filename)
		}
		known = true
		return files, nil
	}
	for _, job := range p.cfg.AllPresubmits(p.org + "/" + p.repo) {
		if !slices.Contains(names, job.Name) {
			continue
		}
		run, err := job.ShouldRun(p.pr.Base.Ref, changes, false, false)
		if err != nil {
			return nil, err
		}
		if run {
			out = append(out, job)
		}
	}
	return out, nil
}

// trusted tells whether the code of the pull request may run.
func (p *pull) trusted(ctx context.Context) (bool, error) {
	cfg := p.Plugins().TriggerFor(p.org, p.repo)
	trust, err := plugins.TrustedUser(ctx, p.Forge, cfg, p.org, p.repo, p.pr.User)
	if err != nil || trust.Trusted {
		return trust.Trusted, err
	}
	labeled := slices.ContainsFunc(p.pr.Labels, func(l github.Label) bool { return strings.EqualFold(l.Name, okToTest) })
	return labeled && !cfg.IgnoreOkToTest, nil
}

// statuses retires and moves contexts that the head has.
func (p *pull) statuses(ctx context.Context, plan Plan) error {
	if len(plan.Retire)+len(plan.Move) == 0 {
		return nil
	}
	head := p.pr.Head.SHA
	combined, err := p.Forge.GetCombinedStatus(ctx, p.org, p.repo, head)
	if err != nil {
		return fmt.Errorf("read the statuses of %s: %w", head, err)
	}
	have := map[string]github.Status{}
	for _, s := range combined.Statuses {
		have[s.Context] = s
	}
	var errs []error
	set := func(s github.Status) bool {
		if was, there := have[s.Context]; there && was.State == s.State && was.Description == s.Description {
			return true // when this was dealt with before
		}
		p.log.InfoContext(ctx, "sets a status", "context", s.Context, "state", s.State, "description", s.Description, "dry_run", p.DryRun)
		if p.DryRun {
			return true
		}
		if err := p.Forge.CreateStatus(ctx, p.org, p.repo, head, s); err != nil {
			errs = append(errs, fmt.Errorf("set the status %s: %w", s.Context, err))
			return false
		}
		return true
	}
	for _, context := range plan.Retire {
		if _, there := have[context]; there {
			set(github.Status{Context: context, State: github.StatusSuccess, Description: "Context retired without replacement."})
		}
	}
	for _, m := range plan.Move {
		old, there := have[m.From]
		if !there {
			continue
		}
		retired := github.Status{Context: m.From, State: github.StatusSuccess, Description: "Context retired. Status moved to \"" + m.To + "\"."}
		copied := github.Status{Context: m.To, State: old.State, TargetURL: old.TargetURL, Description: old.Description}
		present, moved := have[m.To]
		if !moved {
			moved = set(copied)
		} else if present != copied {
			continue // the job has reported the new context, or this was dealt with before
		}
		// The old one is given up only when the new one is there.
		if moved {
			set(retired)
		}
	}
	return errors.Join(errs...)
}
