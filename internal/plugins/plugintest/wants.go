package plugintest

import (
	"maps"
	"slices"
	"strings"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/github"
)

// Statuses are the newest statuses of a commit by context, as "state: description".
func (w *World) Statuses(sha string) map[string]string {
	w.tb.Helper()
	combined, err := w.bot.GetCombinedStatus(w.tb.Context(), Org, Repo, sha)
	must(w.tb, err)
	out := map[string]string{}
	for _, s := range combined.Statuses {
		if !strings.HasPrefix(s.Context, "mark-") {
			out[s.Context] = s.State + ": " + s.Description
		}
	}
	return out
}

// Labels are the labels of an issue or pull request, sorted and joined by commas.
func (w *World) Labels(number int) string {
	w.tb.Helper()
	labels, err := w.bot.GetIssueLabels(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, l := range labels {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// BotComments are the texts of the bot's comments, the oldest first.
func (w *World) BotComments(number int) []string {
	w.tb.Helper()
	var out []string
	for _, c := range w.Comments(number) {
		if c.User.Login == "bot" {
			out = append(out, c.Body)
		}
	}
	return out
}

// Comments are all comments of an issue or pull request, the oldest first.
func (w *World) Comments(number int) []github.IssueComment {
	w.tb.Helper()
	comments, err := w.bot.ListIssueComments(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	return comments
}

// WantComments checks that the bot's comments contain these texts, one each.
func (w *World) WantComments(number int, want ...string) {
	w.tb.Helper()
	got := w.BotComments(number)
	if !slices.EqualFunc(got, want, strings.Contains) {
		w.tb.Errorf("comments of the bot:\n%s\nwant %d with:\n%s", strings.Join(got, "\n----\n"), len(want), strings.Join(want, "\n"))
	}
}

// WantLabels checks the labels, given in order and joined by commas.
func (w *World) WantLabels(number int, want string) {
	w.tb.Helper()
	if got := w.Labels(number); got != want {
		w.tb.Errorf("labels %q, want %q", got, want)
	}
}

// Jobs are the ProwJobs in order of their names.
func (w *World) Jobs() []prowv1.ProwJob {
	w.tb.Helper()
	var list prowv1.ProwJobList
	must(w.tb, w.ProwJobs.List(w.tb.Context(), &list))
	slices.SortFunc(list.Items, func(a, b prowv1.ProwJob) int { return strings.Compare(a.Spec.Job+a.Name, b.Spec.Job+b.Name) })
	return list.Items
}

// TakeJobs is "name" or, where it is not triggered, "name:state" of all ProwJobs,
// sorted and joined by commas, and deletes them.
func (w *World) TakeJobs() string {
	w.tb.Helper()
	var names []string
	for _, pj := range w.Jobs() {
		name := pj.Spec.Job
		if pj.Status.State != prowv1.TriggeredState {
			name += ":" + string(pj.Status.State)
		}
		names = append(names, name)
		must(w.tb, w.ProwJobs.Delete(w.tb.Context(), &pj))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// WantJobs checks TakeJobs.
func (w *World) WantJobs(want string) {
	w.tb.Helper()
	if got := w.TakeJobs(); got != want {
		w.tb.Errorf("jobs %q, want %q", got, want)
	}
}

// WantAssignees checks who is assigned, given in order and joined by commas.
func (w *World) WantAssignees(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, u := range issue.Assignees {
		names = append(names, u.Login)
	}
	slices.Sort(names)
	if got := strings.Join(names, ","); got != want {
		w.tb.Errorf("assignees %q, want %q", got, want)
	}
}

// WantReviewers checks whose review is requested, given in order and joined by
// commas; a team is org/slug.
func (w *World) WantReviewers(number int, want string) {
	w.tb.Helper()
	pr, err := w.bot.GetPullRequest(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, u := range pr.RequestedReviewers {
		names = append(names, u.Login)
	}
	for _, team := range pr.RequestedTeams {
		names = append(names, Org+"/"+team.Slug)
	}
	slices.Sort(names)
	if got := strings.Join(names, ","); got != want {
		w.tb.Errorf("requested reviews of %q, want %q", got, want)
	}
}

// WantTitle checks the title of an issue or pull request.
func (w *World) WantTitle(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	if issue.Title != want {
		w.tb.Errorf("title %q, want %q", issue.Title, want)
	}
}

// WantState checks whether an issue or pull request is open or closed.
func (w *World) WantState(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	if issue.State != want {
		w.tb.Errorf("state %q, want %q", issue.State, want)
	}
}

// WantMilestone checks the milestone of an issue or pull request, "" being none.
func (w *World) WantMilestone(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	got := ""
	if issue.Milestone != nil {
		got = issue.Milestone.Title
	}
	if got != want {
		w.tb.Errorf("milestone %q, want %q", got, want)
	}
}

// WantStatuses checks the newest statuses of a commit, as Statuses tells them.
func (w *World) WantStatuses(sha string, want map[string]string) {
	w.tb.Helper()
	if got := w.Statuses(sha); !maps.Equal(got, want) {
		w.tb.Errorf("statuses %q, want %q", got, want)
	}
}

// WantCheckRuns checks the newest check runs of a commit by name, as "conclusion: title".
func (w *World) WantCheckRuns(sha string, want map[string]string) {
	w.tb.Helper()
	runs, err := w.bot.ListCheckRuns(w.tb.Context(), Org, Repo, sha)
	must(w.tb, err)
	got, newest := map[string]string{}, map[string]int64{}
	for _, run := range runs {
		if run.ID >= newest[run.Name] {
			newest[run.Name], got[run.Name] = run.ID, run.Conclusion+": "+run.Output.Title
		}
	}
	if !maps.Equal(got, want) {
		w.tb.Errorf("check runs %q, want %q", got, want)
	}
}
