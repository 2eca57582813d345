package mkpj

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/prowjob"
)

// forge tells about pull requests and branches.
type forge interface {
	GetPullRequest(ctx context.Context, org, repo string, number int) (*github.PullRequest, error)
	// GetRef resolves a ref without its leading "refs/".
	GetRef(ctx context.Context, org, repo, ref string) (string, error)
}

// maker makes one ProwJob.
type maker struct {
	options *Options
	config  *config.Config
	ask     *prompter
	log     *slog.Logger
	now     func() time.Time
	github  func() (forge, error)

	pull *github.PullRequest // once asked for
}

// found is where a job of the wanted name is configured: in one repository, as
// variants for different branches, or as a periodic.
type found struct {
	org, repo   string
	presubmits  []*config.Presubmit
	postsubmits []*config.Postsubmit
	periodic    *config.Periodic
}

func (m *maker) prowJob(ctx context.Context) (*v1.ProwJob, error) {
	job, err := m.find()
	if err != nil {
		return nil, err
	}
	opts := []prowjob.Option{prowjob.RequireScheduling(m.config.Scheduler.Enabled), prowjob.WithClock(m.now)}
	if job.periodic != nil {
		return prowjob.New(prowjob.PeriodicSpec(job.periodic), job.periodic.Labels, job.periodic.Annotations, opts...), nil
	}
	refs, err := m.refs(ctx, job)
	if err != nil {
		return nil, err
	}
	if job.presubmits != nil {
		p := variant(m.log, job.presubmits, refs.BaseRef, func(p *config.Presubmit) *config.Brancher { return &p.Brancher })
		return prowjob.New(prowjob.PresubmitSpec(p, refs), p.Labels, p.Annotations, opts...), nil
	}
	p := variant(m.log, job.postsubmits, refs.BaseRef, func(p *config.Postsubmit) *config.Brancher { return &p.Brancher })
	return prowjob.New(prowjob.PostsubmitSpec(p, refs), p.Labels, p.Annotations, opts...), nil
}

// find looks for the job among presubmits, then postsubmits, then periodics.
// Where several repositories have it, the first by name is taken.
func (m *maker) find() (found, error) {
	name := m.options.Job
	if repo, jobs := named(m, m.config.PresubmitsByRepo, func(p *config.Presubmit) string { return p.Name }); jobs != nil {
		org, repo, _ := strings.Cut(repo, "/")
		return found{org: org, repo: repo, presubmits: jobs}, nil
	}
	if repo, jobs := named(m, m.config.PostsubmitsByRepo, func(p *config.Postsubmit) string { return p.Name }); jobs != nil {
		org, repo, _ := strings.Cut(repo, "/")
		return found{org: org, repo: repo, postsubmits: jobs}, nil
	}
	if m.options.Repo != "" {
		return found{}, fmt.Errorf("no presubmit or postsubmit of %s is named %q in the configuration", m.options.Repo, name)
	}
	for i := range m.config.Periodics {
		if m.config.Periodics[i].Name == name {
			return found{periodic: &m.config.Periodics[i]}, nil
		}
	}
	return found{}, fmt.Errorf("no presubmit, postsubmit or periodic is named %q in the configuration", name)
}

// named returns the first repository with jobs of the wanted name, and these.
func named[J any](m *maker, byRepo map[string][]J, name func(*J) string) (repo string, jobs []*J) {
	others := 0
	for _, key := range slices.Sorted(maps.Keys(byRepo)) {
		if m.options.Repo != "" && key != m.options.Repo {
			continue
		}
		var here []*J
		for i := range byRepo[key] {
			if name(&byRepo[key][i]) == m.options.Job {
				here = append(here, &byRepo[key][i])
			}
		}
		switch {
		case here == nil:
		case strings.Count(key, "/") != 1:
			m.log.Warn("Leaving out a job: its repository is not org/repo.", "repo", key, "job", m.options.Job)
		case jobs == nil:
			repo, jobs = key, here
		default:
			others++
		}
	}
	if others > 0 {
		m.log.Warn("Several repositories have a job of this name; --repo chooses.", "job", m.options.Job, "taken", repo, "others", others)
	}
	return repo, jobs
}

// variant is the one of several jobs of a name that runs on the branch.
func variant[J any](log *slog.Logger, jobs []J, branch string, brancher func(J) *config.Brancher) J {
	for _, j := range jobs {
		if brancher(j).ShouldRunAtBranch(branch) {
			return j
		}
	}
	log.Warn("The job does not run on this branch.", "branch", branch)
	return jobs[0]
}

// refs are the code to test: what flags say, else the pull request, else the
// branch, else the person.
func (m *maker) refs(ctx context.Context, job found) (v1.Refs, error) {
	o := m.options
	refs := v1.Refs{Org: job.org, Repo: job.repo, BaseRef: o.BaseRef, BaseSHA: o.BaseSHA}
	if m.options.GitHub.Host != github.DefaultHost {
		// Elsewhere the clone would go to github.com.
		refs.RepoLink = "https://" + m.options.GitHub.Host + "/" + job.org + "/" + job.repo
	}
	number := o.PullNumber
	if job.presubmits != nil {
		if number == 0 {
			answer, err := m.ask.ask("PR Number: ", "--pull-number")
			if err != nil {
				return refs, err
			}
			if number, err = strconv.Atoi(answer); err != nil || number <= 0 {
				return refs, fmt.Errorf("%q is not the number of a pull request", answer)
			}
		}
		pull := v1.Pull{Number: number, Author: o.PullAuthor, SHA: o.PullSHA, HeadRef: o.PullHeadRef}
		if pull.Author == "" || pull.SHA == "" {
			pr, err := m.pullRequest(ctx, job, number)
			if err != nil {
				return refs, err
			}
			fill(&pull.Author, pr.User.Login)
			fill(&pull.SHA, pr.Head.SHA)
			fill(&pull.HeadRef, pr.Head.Ref)
		}
		refs.Pulls = []v1.Pull{pull}
	}
	if number != 0 && (refs.BaseRef == "" || refs.BaseSHA == "") {
		pr, err := m.pullRequest(ctx, job, number)
		if err != nil {
			return refs, err
		}
		fill(&refs.BaseRef, pr.Base.Ref)
		fill(&refs.BaseSHA, pr.Base.SHA)
	}
	if refs.BaseRef == "" {
		var err error
		if refs.BaseRef, err = m.ask.ask("Base ref (such as main): ", "--base-ref"); err != nil {
			return refs, err
		}
	}
	if refs.BaseSHA == "" {
		host, err := m.github()
		if err != nil {
			return refs, err
		}
		if refs.BaseSHA, err = host.GetRef(ctx, job.org, job.repo, "heads/"+refs.BaseRef); err != nil {
			return refs, fmt.Errorf("find the commit to test against (--base-sha): %w", err)
		}
	}
	return refs, nil
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// pullRequest asks the code host, at most once.
func (m *maker) pullRequest(ctx context.Context, job found, number int) (*github.PullRequest, error) {
	if m.pull != nil {
		return m.pull, nil
	}
	host, err := m.github()
	if err != nil {
		return nil, err
	}
	pr, err := host.GetPullRequest(ctx, job.org, job.repo, number)
	if err != nil {
		return nil, fmt.Errorf("look at pull request %d of %s/%s: %w", number, job.org, job.repo, err)
	}
	m.pull = pr
	return pr, nil
}
