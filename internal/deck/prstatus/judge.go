package prstatus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
)

// Job is a context of a pull request: what GitHub says, or the newest run of the job that
// reports it.
type Job struct {
	Name, Description, Link string
	Outcome                 Outcome
	// Outdated tells that the run was for an older commit.
	Outdated bool
}

// Outcome is how a job stands.
type Outcome int

// The outcomes, in the order in which they count: the first one of a pull request's jobs
// is that of all.
const (
	Failed Outcome = iota
	Running
	Aborted
	Passed
)

// String is the outcome in one word.
func (o Outcome) String() string { return [...]string{"failed", "running", "aborted", "passed"}[o] }

// Run is a run of a job for a pull request.
type Run struct {
	Job, Context, SHA, Base string
	Description, Link       string
	Outcome                 Outcome
}

// outcomeOf reads the state of a context.
func outcomeOf(state string) Outcome {
	switch strings.ToUpper(state) {
	case "SUCCESS", "EXPECTED":
		return Passed
	case "PENDING", "":
		return Running
	case "CANCELLED", "STALE":
		return Aborted
	}
	return Failed
}

// Jobs unites contexts with runs, which come newest first. Tide's own context is left out.
func Jobs(item *Item, runs []Run) []Job {
	byName := map[string]Job{}
	for _, c := range item.Contexts {
		if c.Context != "tide" {
			byName[c.Context] = Job{Name: c.Context, Description: c.Description, Link: c.Link, Outcome: outcomeOf(c.State)}
		}
	}
	pr, seen := &item.PullRequest, map[string]bool{}
	for _, run := range runs {
		if run.Base != pr.BaseRef.Name || seen[run.Job] {
			continue
		}
		seen[run.Job] = true
		name := cmp.Or(run.Context, run.Job)
		job := Job{Name: name, Description: run.Description, Link: run.Link, Outcome: run.Outcome, Outdated: run.SHA != pr.HeadRefOID}
		// What GitHub says about the commit goes before what ran for an older one.
		if _, known := byName[name]; !known || !job.Outdated {
			byName[name] = job
		}
	}
	out := make([]Job, 0, len(byName))
	for _, job := range byName {
		out = append(out, job)
	}
	slices.SortFunc(out, func(a, b Job) int {
		return cmp.Or(cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Match tells how far a pull request fulfils a query of Tide.
type Match struct {
	Query config.TideQuery
	// Branch, Author, Milestone and Review tell that the query wants another one.
	Branch, Author, Milestone, Review bool
	// Missing are labels that the query wants, alternatives with commas; Forbidden those
	// that it must not have.
	Missing, Forbidden []string
	// score is the share of the conditions on labels that are fulfilled.
	score float64
}

// Fulfilled tells whether nothing of the query is left open.
func (m *Match) Fulfilled() bool {
	return !m.Branch && !m.Author && !m.Milestone && !m.Review && len(m.Missing) == 0 && len(m.Forbidden) == 0
}

// Matches compares a pull request with the queries for its repository, the nearest first.
func Matches(pr *PullRequest, queries []config.TideQuery) []Match {
	var out []Match
	for i := range queries {
		if queries[i].ForRepo(pr.Repository.Owner.Login, pr.Repository.Name) {
			out = append(out, match(pr, &queries[i]))
		}
	}
	slices.SortStableFunc(out, func(a, b Match) int {
		return cmp.Or(falseFirst(a.Branch, b.Branch), falseFirst(a.Author, b.Author), falseFirst(a.Milestone, b.Milestone), cmp.Compare(b.score, a.score))
	})
	return out
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func match(pr *PullRequest, q *config.TideQuery) Match {
	base := pr.BaseRef.Name
	out := Match{
		Query:     *q,
		Branch:    slices.Contains(q.ExcludedBranches, base) || len(q.IncludedBranches) > 0 && !slices.Contains(q.IncludedBranches, base),
		Author:    q.Author != "" && !strings.EqualFold(strings.TrimPrefix(q.Author, "@"), pr.Author.Login),
		Milestone: q.Milestone != "" && (pr.Milestone == nil || !strings.EqualFold(pr.Milestone.Title, q.Milestone)),
		Review:    q.ReviewApprovedRequired && !pr.Approved,
	}
	for _, wanted := range q.Labels {
		if !slices.ContainsFunc(strings.Split(wanted, ","), pr.has) {
			out.Missing = append(out.Missing, wanted)
		}
	}
	for _, unwanted := range q.MissingLabels {
		if pr.has(unwanted) {
			out.Forbidden = append(out.Forbidden, unwanted)
		}
	}
	out.score = 1
	if all := len(q.Labels) + len(q.MissingLabels); all > 0 {
		out.score = 1 - float64(len(out.Missing)+len(out.Forbidden))/float64(all)
	}
	return out
}

// has compares labels as GitHub does.
func (pr *PullRequest) has(label string) bool {
	label = strings.TrimSpace(label)
	return slices.ContainsFunc(pr.Labels.Nodes, func(n struct{ Label Label }) bool { return strings.EqualFold(n.Label.Name, label) })
}

// Reason is the one thing to know about a pull request: what it waits for.
type Reason struct {
	// Code names the reason, State is passed, running, waiting or failed.
	Code, State, Sentence string
	Links                 []string
}

// Conclude tells the reason where Tide says nothing about a pull request.
func Conclude(pr *PullRequest, matches []Match, jobs []Job) Reason {
	waits := func(code, format string, args ...any) Reason {
		return Reason{Code: code, State: "waiting", Sentence: fmt.Sprintf(format, args...)}
	}
	if pr.Merged {
		return Reason{Code: "merged", State: "passed", Sentence: "It was merged."}
	}
	if len(matches) == 0 {
		return waits("no-query", "Tide has no query for %s: somebody has to merge it.", pr.Repository.NameWithOwner)
	}
	m := &matches[0]
	switch {
	case m.Author:
		return waits("author", "Only pull requests of %s are merged by Tide here.", m.Query.Author)
	case m.Branch:
		return waits("branch", "Tide does not merge into the branch %s.", pr.BaseRef.Name)
	case m.Milestone:
		return waits("milestone", "It must be in milestone %s.", m.Query.Milestone)
	case pr.Mergeable == "CONFLICTING":
		return Reason{Code: "conflict", State: "failed", Sentence: "It has a merge conflict."}
	case len(m.Missing) > 0 || len(m.Forbidden) > 0:
		return waits("labels", "%s", labelSentence(m))
	case pr.Draft:
		return waits("draft", "It is a draft.")
	case m.Review:
		return waits("review", "It needs an approving review.")
	}
	return jobSentence(jobs)
}

func labelSentence(m *Match) string {
	var parts []string
	if len(m.Missing) > 0 {
		parts = append(parts, "It needs "+labelList(m.Missing))
	}
	if len(m.Forbidden) > 0 {
		verb := "it must not have "
		if len(parts) == 0 {
			verb = "It must not have "
		}
		parts = append(parts, verb+labelList(m.Forbidden))
	}
	return strings.Join(parts, ", and ") + "."
}

func labelList(labels []string) string {
	names := make([]string, len(labels))
	for i, l := range labels {
		names[i] = strings.ReplaceAll(l, ",", " or ")
	}
	if len(names) == 1 {
		return "the label " + names[0]
	}
	return "the labels " + strings.Join(names, ", ")
}

func jobSentence(jobs []Job) Reason {
	if len(jobs) == 0 {
		return Reason{Code: "unknown", State: "waiting", Sentence: "Everything is there; Tide has not taken it up yet."}
	}
	var names []string
	first := jobs[0].Outcome
	for _, job := range jobs {
		if job.Outcome == first {
			names = append(names, job.Name)
		}
	}
	text := strings.Join(names[:min(len(names), 3)], ", ")
	if len(names) > 3 {
		text += fmt.Sprintf(" and %d more", len(names)-3)
	}
	switch first {
	case Failed:
		return Reason{Code: "jobs-failed", State: "failed", Sentence: "Failed: " + text + "."}
	case Running:
		return Reason{Code: "jobs-running", State: "running", Sentence: "Waits for " + text + "."}
	case Aborted:
		return Reason{Code: "jobs-aborted", State: "waiting", Sentence: "Aborted: " + text + "."}
	}
	return Reason{Code: "ready", State: "passed", Sentence: "Everything passed; Tide has not taken it up yet."}
}
