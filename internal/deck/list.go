package deck

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
)

// listSize is how many runs a page of the list shows.
const listSize = 100

// maxSuggestions is how many names a field of the filter suggests.
const maxSuggestions = 500

// listView is the page of ProwJobs.
type listView struct {
	Rows   []row
	Total  int
	States []stateCount
	Filter filter
	// Search is a text that could not be understood.
	Search  string
	Problem string
	// Next continues the list; empty on the last page. Newest leads back, empty on the first.
	Next, Newest string
	// Repos, Jobs and Authors are suggested.
	Repos, Jobs, Authors []string
}

// Types are the kinds of jobs and what they are called.
func (listView) Types() map[v1.ProwJobType]string {
	return map[v1.ProwJobType]string{
		v1.PresubmitJob: "presubmit", v1.PostsubmitJob: "postsubmit", v1.PeriodicJob: "periodic", v1.BatchJob: "batch",
	}
}

// Acts tells whether something can be done with some of the runs.
func (v listView) Acts() bool {
	return slices.ContainsFunc(v.Rows, func(r row) bool { return r.CanRerun || r.CanAbort })
}

// filter is what the form holds.
type filter struct {
	Repo, Job, State             string
	Type                         v1.ProwJobType
	Author, Pull, Since, Cluster string
}

// Any tells whether something is asked for.
func (f filter) Any() bool { return f != filter{} }

type stateCount struct {
	State    v1.ProwJobState
	Count    int
	Selected bool
	URL      string
}

// row is a run in the list.
type row struct {
	Name, Job, Link, Log string
	State                v1.ProwJobState
	Type                 v1.ProwJobType
	Description          string
	refsView
	Started  time.Time
	Ended    *time.Time
	Duration time.Duration
	// Grid leads to the tests of the builds of the job; empty without a history.
	Grid string
	// CanRerun and CanAbort show what may be done, to some at least.
	CanRerun, CanAbort bool
}

// refsView says which code a run is about.
type refsView struct {
	Repo, RepoLink   string
	BaseRef, BaseSHA string
	BaseLink         string
	Pulls            []v1.Pull
}

func filterOf(q url.Values) filter {
	out := filter{
		Repo: q.Get("repo"), Job: q.Get("job"), State: q.Get("state"), Type: v1.ProwJobType(q.Get("type")),
		Author: q.Get("author"), Pull: q.Get("pull"), Since: q.Get("since"), Cluster: q.Get("cluster"),
	}
	if out.Pull == "" { // the shorter name
		out.Pull = q.Get("pr")
	}
	return out
}

// values is the filter as parameters.
func (f filter) values() url.Values {
	out := url.Values{}
	for key, value := range map[string]string{
		"repo": f.Repo, "job": f.Job, "state": f.State, "type": string(f.Type), "author": f.Author, "pull": f.Pull, "since": f.Since, "cluster": f.Cluster,
	} {
		if value != "" {
			out.Set(key, value)
		}
	}
	return out
}

func (s *server) listPage(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	if s.tagged(w, r, queryTag(r)) {
		return
	}
	f := filterOf(params)
	view := listView{Filter: f, Search: params.Get("q")}
	if view.Search != "" {
		found, err := f.search(view.Search)
		if err == nil {
			// The address says what is shown, however it was asked for.
			w.Header().Set("Location", "?"+found.values().Encode()) // wherever deck is mounted
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		view.Problem = err.Error()
	}
	q := query{
		repo: strings.TrimSpace(f.Repo), job: strings.TrimSpace(f.Job), author: strings.TrimSpace(f.Author), cluster: f.Cluster,
		state: v1.ProwJobState(f.State), kind: f.Type, visible: s.sight().of, limit: listSize,
	}
	var err error
	if number := strings.TrimPrefix(strings.TrimSpace(f.Pull), "#"); number != "" {
		if q.pull, err = strconv.Atoi(number); err != nil || q.pull <= 0 {
			view.Problem = "The number of a pull request is expected as a number, such as 12."
		}
	}
	if q.since, err = parseSince(strings.TrimSpace(f.Since), s.now()); err != nil {
		view.Problem = err.Error()
	}
	if cursor := params.Get("after"); cursor != "" {
		after, err := parseCursor(cursor)
		if err != nil {
			view.Problem = err.Error()
		}
		q.after = &after
	}
	if view.Problem == "" {
		s.fillList(r.Context(), &view, q)
	}
	code := http.StatusOK
	if view.Problem != "" {
		code = http.StatusBadRequest
	}
	s.renderCode(w, r, code, "list", "Prow Status", view)
}

func (s *server) fillList(ctx context.Context, view *listView, q query) {
	found := s.index.list(q)
	view.Total = found.total
	base := forgeBase(s.config.Get())
	for i, pj := range s.index.heads(ctx, found.items) {
		if pj == nil {
			pj = found.items[i].sketch()
		}
		view.Rows = append(view.Rows, s.row(pj, base))
	}
	if found.next != "" {
		next := view.Filter.values()
		next.Set("after", found.next)
		view.Next = "?" + next.Encode()
	}
	if q.after != nil {
		view.Newest = "?" + view.Filter.values().Encode()
	}
	for _, state := range []v1.ProwJobState{v1.SchedulingState, v1.TriggeredState, v1.PendingState, v1.SuccessState, v1.FailureState, v1.ErrorState, v1.AbortedState} {
		selected := view.Filter.State == string(state)
		if found.states[state] == 0 && !selected {
			continue
		}
		f := view.Filter
		f.State = string(state)
		if selected {
			f.State = ""
		}
		view.States = append(view.States, stateCount{state, found.states[state], selected, "?" + f.values().Encode()})
	}
	view.Repos, view.Jobs, view.Authors = s.index.names(q.visible, view.Filter.Repo, maxSuggestions)
}

func (s *server) row(pj *v1.ProwJob, base string) row {
	out := row{
		Name: pj.Name, Job: pj.Spec.Job, State: pj.Status.State, Type: pj.Spec.Type, Description: pj.Status.Description,
		Started: pj.Status.StartTime.Time, refsView: viewRefs(pj, base), Link: s.linkOf(pj),
	}
	out.Grid = gridOfHistory(s.historyOfJob(pj))
	out.Ended, out.Duration = s.ended(pj)
	may := s.mayAct(pj)
	out.CanRerun, out.CanAbort = may && s.rerunCreates && !foundInStorage(pj), may && abortable(pj)
	return out
}

// ended is when a run ended, nil if it has not, and how long it took so far.
func (s *server) ended(pj *v1.ProwJob) (*time.Time, time.Duration) {
	if end := pj.Status.CompletionTime; end != nil {
		return &end.Time, end.Sub(pj.Status.StartTime.Time)
	}
	return nil, s.now().Sub(pj.Status.StartTime.Time)
}

// linkOf is the page of a run, relative to the root. Pages of this site are addressed
// without the host they were published under.
func (s *server) linkOf(pj *v1.ProwJob) string {
	if !s.spyglass {
		return pj.Status.URL
	}
	if where, err := s.placeOf(pj); err == nil {
		return "view/" + escapePath(where.path())
	}
	return "run/" + url.PathEscape(pj.Name)
}

func viewRefs(pj *v1.ProwJob, base string) refsView {
	refs := pj.Spec.MainRefs()
	if refs == nil {
		return refsView{}
	}
	out := refsView{
		Repo: refs.Org + "/" + refs.Repo, RepoLink: refs.RepoLink, BaseRef: refs.BaseRef, BaseSHA: refs.BaseSHA, BaseLink: refs.BaseLink,
		Pulls: slices.Clone(refs.Pulls),
	}
	if strings.Contains(refs.Org, "://") { // not on the forge
		return out
	}
	if out.RepoLink == "" {
		out.RepoLink = base + "/" + out.Repo
	}
	if out.BaseLink == "" && refs.BaseSHA != "" {
		out.BaseLink = out.RepoLink + "/commit/" + refs.BaseSHA
	}
	for i := range out.Pulls {
		p := &out.Pulls[i]
		if p.Link == "" {
			p.Link = out.RepoLink + "/pull/" + strconv.Itoa(p.Number)
		}
		if p.CommitLink == "" && p.SHA != "" {
			p.CommitLink = p.Link + "/commits/" + p.SHA
		}
	}
	return out
}
