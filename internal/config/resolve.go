package config

import (
	"fmt"
	"sync"

	v1 "prow/api/prowjobs/v1"
)

// resolver turns jobs as they are written into jobs as they run. It works on
// copies and shares what does not change, so raw jobs can be resolved again
// when the defaults change. It is safe for concurrent use.
type resolver struct {
	config  *ProwConfig
	presets []Preset
	re      *regexCache
	// limit bounds what jobs of a stranger may cost; nil is endless.
	limit *budget

	decorateAll bool
	yes, no     *bool
	namespace   *string

	mu       sync.Mutex
	merged   map[matchKey]*v1.DecorationConfig
	defaults map[matchKey]*v1.ProwJobDefault
	keys     map[string]error
	values   map[string]error
}

// matchKey is what the lists of defaults look at.
type matchKey struct{ repo, cluster string }

func newResolver(c *Config, re *regexCache) *resolver {
	yes, no := true, false
	// Resolved jobs outlive this snapshot, so they must not point into it.
	namespace := c.PodNamespace
	return &resolver{
		config: &c.ProwConfig, presets: c.Presets, re: re, decorateAll: c.DecorateAllJobs,
		yes: &yes, no: &no, namespace: &namespace,
		merged:   map[matchKey]*v1.DecorationConfig{},
		defaults: map[matchKey]*v1.ProwJobDefault{},
		keys:     map[string]error{},
		values:   map[string]error{},
	}
}

// maxJobProblems ends the report of one job; more help nobody.
const maxJobProblems = 50

// jobProblems collects the problems of one job.
type jobProblems struct {
	job *JobBase
	// list are broken rules, warnings are mistakes that do no harm.
	list, warnings []Problem
}

func (p *jobProblems) report(field, format string, args ...any) {
	if len(p.list) < maxJobProblems {
		p.list = append(p.list, problemOf(p.job, field, format, args...))
	}
}

func (p *jobProblems) warn(field, format string, args ...any) {
	if len(p.warnings) >= maxJobProblems {
		return
	}
	// The place of the job is near enough; that of the field would take parsing
	// the file again at every load.
	w := problemOf(p.job, field, format, args...)
	w.Line, w.Column = w.startLine, w.startColumn
	p.warnings = append(p.warnings, w)
}

func problemOf(job *JobBase, field, format string, args ...any) Problem {
	return Problem{
		File: job.file(), Job: job.Name, Field: field, startLine: job.SourceLine, startColumn: job.sourceColumn, within: field,
		Message: fmt.Sprintf(format, args...),
	}
}

// nameless tells that a job has no name, so that nothing else can be told about it.
func nameless(b *JobBase) jobProblems {
	return jobProblems{list: []Problem{problemOf(b, "name", "missing, expected a name")}}
}

// presubmit resolves and checks one presubmit of a repository.
func (r *resolver) presubmit(p Presubmit, repo string) (Presubmit, jobProblems) {
	if p.Name == "" {
		return p, nameless(&p.JobBase)
	}
	problems := jobProblems{job: &p.JobBase}
	r.base(&p.JobBase, repo, problems.report)
	defaultTo(&p.Context, p.Name)
	if p.Trigger == "" && p.RerunCommand == "" {
		p.Trigger, p.RerunCommand = DefaultTrigger(p.Name), DefaultRerunCommand(p.Name)
	}
	r.compileTrigger(&p, problems.report)
	p.Brancher.compile(r.re, problems.report)
	p.RegexpChangeMatcher.compile(r.re, problems.report)
	r.checkBase(&p.JobBase, v1.PresubmitJob, &problems)
	p.RegexpChangeMatcher.check(p.AlwaysRun, problems.report)
	checkReporter(&p.JobBase, &p.Reporter, problems.report)
	return p, problems
}

func (r *resolver) compileTrigger(p *Presubmit, report fieldReporter) {
	switch {
	case p.Trigger == "":
		report("trigger", "missing, expected trigger and rerun_command together or neither")
		return
	case p.RerunCommand == "":
		report("rerun_command", "missing, expected trigger and rerun_command together or neither")
		return
	case p.Trigger == DefaultTrigger(p.Name):
		p.trigger = triggerMatcher{name: p.Name}
	default:
		re, err := r.re.compile(p.Trigger)
		if err != nil {
			report("trigger", "%v", err)
			return
		}
		p.trigger = triggerMatcher{re: re}
	}
	if !p.trigger.matches(p.RerunCommand) {
		report("rerun_command", "found %q, expected a comment that the trigger %q matches", p.RerunCommand, p.Trigger)
	}
}

// postsubmit resolves and checks one postsubmit of a repository.
func (r *resolver) postsubmit(p Postsubmit, repo string) (Postsubmit, jobProblems) {
	if p.Name == "" {
		return p, nameless(&p.JobBase)
	}
	problems := jobProblems{job: &p.JobBase}
	r.base(&p.JobBase, repo, problems.report)
	defaultTo(&p.Context, p.Name)
	p.Brancher.compile(r.re, problems.report)
	p.RegexpChangeMatcher.compile(r.re, problems.report)
	r.checkBase(&p.JobBase, v1.PostsubmitJob, &problems)
	p.RegexpChangeMatcher.check(isTrue(p.AlwaysRun), problems.report)
	checkReporter(&p.JobBase, &p.Reporter, problems.report)
	return p, problems
}

// periodic resolves and checks one periodic.
func (r *resolver) periodic(p Periodic) (Periodic, jobProblems) {
	if p.Name == "" {
		return p, nameless(&p.JobBase)
	}
	problems := jobProblems{job: &p.JobBase}
	var repo string
	if len(p.ExtraRefs) > 0 {
		repo = p.ExtraRefs[0].OrgRepoString()
	}
	r.base(&p.JobBase, repo, problems.report)
	r.checkBase(&p.JobBase, v1.PeriodicJob, &problems)
	p.resolveSchedule(problems.report)
	return p, problems
}

// base sets the defaults all jobs share.
func (r *resolver) base(b *JobBase, repo string, report fieldReporter) {
	defaultTo(&b.Agent, string(v1.KubernetesAgent))
	defaultTo(&b.Cluster, v1.DefaultClusterAlias)
	if b.Namespace == nil || *b.Namespace == "" {
		b.Namespace = r.namespace
	}
	if b.Decorate == nil {
		b.Decorate = r.no
		if r.decorateAll {
			b.Decorate = r.yes
		}
	}
	if *b.Decorate {
		if b.DecorationConfig != nil && !r.limit.spend(decorationBytes) {
			report("decoration_config", "%v", errOverBudget)
			return
		}
		b.DecorationConfig = r.decoration(b.DecorationConfig, matchKey{repo, b.Cluster})
	}
	b.ProwJobDefault = r.prowJobDefault(b.ProwJobDefault, matchKey{repo, b.Cluster})
	b.Spec = applyPresets(b.Spec, b.Labels, r.presets, r.limit, report)
}

// decoration merges the defaults and the job's own; never nil. Jobs without
// one of their own share the merged defaults.
func (r *resolver) decoration(own *v1.DecorationConfig, key matchKey) *v1.DecorationConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	def, known := r.merged[key]
	if !known {
		if def = r.config.Plank.DecorationDefault(key.repo, key.cluster); def == nil {
			def = &v1.DecorationConfig{}
		}
		r.merged[key] = def
	}
	if own == nil {
		return def
	}
	return own.ApplyDefault(def)
}

func (r *resolver) prowJobDefault(own *v1.ProwJobDefault, key matchKey) *v1.ProwJobDefault {
	if own != nil {
		return r.config.mergeProwJobDefault(own, key.repo, key.cluster)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	def := r.defaults[key]
	if def == nil {
		def = r.config.GetProwJobDefault(key.repo, key.cluster)
		r.defaults[key] = def
	}
	return def
}
