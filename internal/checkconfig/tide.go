package checkconfig

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
	"prow/internal/config/yamldec"
)

// query is a Tide query as it was written. Loading unites queries that differ
// only in their repositories, so those of the configuration have no place.
type query struct {
	config.TideQuery
	file         string
	field        string
	line, column int
}

// SetPosition is called by the decoder with the place the query starts at.
func (q *query) SetPosition(line, column int) { q.line, q.column = line, column }

func (q *query) problem(format string, args ...any) config.Problem {
	return config.Problem{File: q.file, Line: q.line, Column: q.column, Field: q.field, Message: fmt.Sprintf(format, args...)}
}

// queries are the Tide queries of all files.
func (in *input) queries() []query {
	var out []query
	var d yamldec.Decoder
	for _, f := range in.files {
		var content struct {
			Tide struct {
				Queries []query `json:"queries"`
			} `json:"tide"`
		}
		// What is wrong here was told when the file was loaded.
		d.Decode(f.data, &content, yamldec.Options{})
		for i, q := range content.Tide.Queries {
			q.file, q.field = f.path, fmt.Sprintf("tide.queries[%d]", i)
			out = append(out, q)
		}
	}
	return out
}

// asksFor tells whether a query asks for a label. An element of labels may name
// alternatives, of which the label can be one.
func asksFor(q *config.TideQuery, label string) bool {
	return slices.ContainsFunc(q.Labels, func(element string) bool {
		return slices.Contains(strings.Split(element, ","), label)
	})
}

func forbids(q *config.TideQuery, label string) bool { return slices.Contains(q.MissingLabels, label) }

// tidePlaces is where the queries for which want is true merge.
func tidePlaces(queries config.TideQueries, want func(*config.TideQuery) bool) places {
	var wanted config.TideQueries
	for i := range queries {
		if want(&queries[i]) {
			wanted = append(wanted, queries[i])
		}
	}
	return newPlaces(wanted.OrgExceptionsAndRepos())
}

func needsOkToTest(in *input) []config.Problem {
	var out []config.Problem
	for _, q := range in.queries() {
		if asksFor(&q.TideQuery, "lgtm") && forbids(&q.TideQuery, "needs-ok-to-test") {
			out = append(out, q.problem("asks for lgtm and forbids needs-ok-to-test; leave the latter out: who sets lgtm trusts the change, and its tests must run to be merged"))
		}
	}
	return out
}

func tideStrictBranch(in *input) []config.Problem {
	if len(in.config.Tide.Queries) == 0 {
		return nil
	}
	bp := &in.config.BranchProtection
	const why = "branches that must be up to date with their base before a merge make Tide test every pull request again after each merge; leave it to Tide"
	if isStrict(bp.Policy) {
		return []config.Problem{in.files.at([]string{"branch-protection", "required_status_checks", "strict"}, "%s", why)}
	}
	var out []config.Problem
	for _, p := range tidePlaces(in.config.Tide.Queries, func(*config.TideQuery) bool { return true }).and(strictPlaces(bp)).list() {
		keys := []string{"branch-protection", "orgs", p.name}
		if org, repo, single := strings.Cut(p.name, "/"); single {
			keys = []string{"branch-protection", "orgs", org, "repos", repo}
		}
		out = append(out, in.files.at(keys, "%s: %s", p, why))
	}
	return out
}

func isStrict(p config.Policy) bool {
	return p.Protect != nil && *p.Protect && p.RequiredStatusChecks != nil && p.RequiredStatusChecks.Strict != nil && *p.RequiredStatusChecks.Strict
}

// strictPlaces is where branches must be up to date. One such branch makes its
// repository one; a repository of a strict org that has none is left out.
func strictPlaces(bp *config.BranchProtection) places {
	orgs, repos := map[string]sets.Set[string]{}, sets.New[string]()
	for name := range bp.Orgs {
		org := bp.GetOrg(name)
		whole := isStrict(org.Policy)
		if whole {
			orgs[name] = sets.New[string]()
		}
		for repoName := range org.Repos {
			full, repo := name+"/"+repoName, org.GetRepo(repoName)
			strict := isStrict(repo.Policy)
			for branch := range repo.Branches {
				// The error is that protect is not set, so it is not strict.
				if b, err := repo.GetBranch(branch); err == nil && isStrict(b.Policy) {
					strict = true
				}
			}
			switch {
			case strict && !whole:
				repos.Insert(full)
			case !strict && whole:
				orgs[name].Insert(full)
			}
		}
	}
	return newPlaces(orgs, repos)
}

// contextPolicyBranches are the branches that the files name, by "org/repo".
func (in *input) contextPolicyBranches() map[string]sets.Set[string] {
	out := map[string]sets.Set[string]{}
	add := func(repo string, branches ...string) {
		if out[repo] == nil {
			out[repo] = sets.New[string]()
		}
		out[repo].Insert(branches...)
	}
	for repo, jobs := range in.config.PresubmitsByRepo {
		if strings.Count(repo, "/") != 1 {
			continue
		}
		add(repo)
		for i := range jobs {
			add(repo, jobs[i].Branches...)
		}
	}
	for org, o := range in.config.BranchProtection.Orgs {
		for repo, r := range o.Repos {
			add(org+"/"+repo, sortedKeys(r.Branches)...)
		}
	}
	for org, o := range in.config.Tide.ContextOptions.Orgs {
		for repo, r := range o.Repos {
			add(org+"/"+repo, sortedKeys(r.Branches)...)
		}
	}
	for _, branches := range out {
		if len(branches) == 0 {
			branches.Insert("master")
		}
	}
	return out
}

func tideContextPolicy(in *input) []config.Problem {
	var out []config.Problem
	branches := in.contextPolicyBranches()
	for _, repo := range sortedKeys(branches) {
		org, name, _ := strings.Cut(repo, "/")
		// Most branches of a repository are wrong for the same reason.
		byError := map[string][]string{}
		for _, branch := range sets.List(branches[repo]) {
			if _, err := in.config.ContextPolicy(org, name, branch, in.config.PresubmitsStatic(repo)); err != nil {
				byError[err.Error()] = append(byError[err.Error()], branch)
			}
		}
		for _, text := range sortedKeys(byError) {
			p := in.files.at([]string{"tide", "context_options", "orgs", org, "repos", name}, "%s, %s: %s", repo, branchList(byError[text]), text)
			out = append(out, p)
		}
	}
	return out
}

func branchList(branches []string) string {
	const most = 5
	word := "branches "
	if len(branches) == 1 {
		word = "branch "
	}
	if n := len(branches) - most; n > 0 {
		return fmt.Sprintf("%s%s and %d more", word, strings.Join(branches[:most], ", "), n)
	}
	return word + strings.Join(branches, ", ")
}

// relation is a label and the plugin that sets it.
type relation struct {
	plugin, label string
	// forbidden tells that the label keeps from merging; others are asked for.
	forbidden bool
	// external tells that the plugin is a service. That it is enabled obliges
	// Tide to nothing.
	external bool
}

// relations are the labels that plugins set for Tide.
var relations = []relation{
	{plugin: "lgtm", label: "lgtm"},
	{plugin: "approve", label: "approved"},
	{plugin: "hold", label: "do-not-merge/hold", forbidden: true},
	{plugin: "wip", label: "do-not-merge/work-in-progress", forbidden: true},
	{plugin: "bugzilla", label: "bugzilla/invalid-bug", forbidden: true},
	{plugin: "verify-owners", label: "do-not-merge/invalid-owners-file", forbidden: true},
	{plugin: "release-note", label: "do-not-merge/release-note-label-needed", forbidden: true},
	{plugin: "cherry-pick-unapproved", label: "do-not-merge/cherry-pick-not-approved", forbidden: true},
	{plugin: "blockade", label: "do-not-merge/blocked-paths", forbidden: true},
	{plugin: "needs-rebase", label: "needs-rebase", forbidden: true, external: true},
}

func mismatchedTide(in *input) []config.Problem {
	return in.mismatches(relations)
}

func mismatchedTideLenient(in *input) []config.Problem {
	return in.mismatches(slices.DeleteFunc(slices.Clone(relations), func(r relation) bool { return r.forbidden }))
}

func (in *input) mismatches(relations []relation) []config.Problem {
	var out []config.Problem
	written := in.queries()
	merges := tidePlaces(in.config.Tide.Queries, func(*config.TideQuery) bool { return true })
	for _, r := range relations {
		named, all, one := asksFor, "ask for", "asks for"
		if r.forbidden {
			named, all, one = forbids, "forbid", "forbids"
		}
		asked := tidePlaces(in.config.Tide.Queries, func(q *config.TideQuery) bool { return named(q, r.label) })
		enabled := in.enabled(r)
		for _, p := range asked.minus(enabled).list() {
			i := slices.IndexFunc(written, func(q query) bool { return named(&q.TideQuery, r.label) && speaksOf(&q.TideQuery, p) })
			problem := config.Problem{File: in.options.Config.ConfigPath}
			if i >= 0 {
				problem = written[i].problem("")
			}
			kind := "plugin"
			if r.external {
				kind = "external plugin"
			}
			problem.Message = fmt.Sprintf("%s: Tide's queries %s the label %s, but the %s %s, which sets it, is not enabled", p, all, r.label, kind, r.plugin)
			out = append(out, problem)
		}
		if r.external {
			continue
		}
		for _, p := range enabled.and(merges).minus(asked).list() {
			out = append(out, in.pluginFiles.at(in.whereEnabled(r.plugin, p), "%s: the plugin %s sets the label %s, but no query of Tide there %s it",
				p, r.plugin, r.label, one))
		}
	}
	return out
}

// speaksOf tells whether a query speaks of a place.
func speaksOf(q *config.TideQuery, p place) bool {
	return slices.Contains(q.Orgs, orgOf(p.name)) || slices.Contains(q.Repos, p.name)
}

// enabled is where a plugin is used.
func (in *input) enabled(r relation) places {
	if !r.external {
		return in.pluginPlaces(r.plugin)
	}
	var keys []string
	for key, list := range in.plugins.ExternalPlugins {
		for _, e := range list {
			if e.Name == r.plugin {
				keys = append(keys, key)
			}
		}
	}
	return placesOf(keys...)
}

// pluginPlaces is where a plugin is used.
func (in *input) pluginPlaces(plugin string) places {
	orgNames, repos, excluded := in.plugins.EnabledFor(plugin)
	orgs := map[string]sets.Set[string]{}
	for _, org := range orgNames {
		orgs[org] = sets.New(excluded[org]...)
	}
	return newPlaces(orgs, sets.New(repos...))
}

// whereEnabled are the keys of the entry that enables a plugin at a place.
func (in *input) whereEnabled(plugin string, p place) []string {
	key := p.name
	if !slices.Contains(in.plugins.Plugins[key].Plugins, plugin) {
		key = orgOf(p.name)
	}
	return []string{"plugins", key}
}
