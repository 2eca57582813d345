package deck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// runView is the page of a run: everything about it in one place.
type runView struct {
	Job, Build, Name string
	State            v1.ProwJobState
	// Description is what Prow says about the state; Why what the pod adds to it.
	Description string
	Why         []string
	Type        v1.ProwJobType
	Cluster     string
	refsView
	Started, Pending, Ended *time.Time
	Duration                time.Duration
	// Live tells that the page will change.
	Live bool
	// Known tells that the cluster still has the ProwJob.
	Known     bool
	Pod       *podView
	Artifacts []artifactView
	More      bool
	Storage   string
	Log       logView
	// Same leads to the runs of the same job, Together to those of the same pull request;
	// History and PullHistory to those in storage.
	spyglassView
	Same, Together       string
	History, PullHistory string
	// Grid leads to the tests of the builds of the job.
	Grid  string
	Rerun string
	// CanRerun and CanAbort show what may be done, to some at least. Done tells what was.
	CanRerun, CanAbort bool
	Done               string
}

type podView struct {
	Name, Namespace, Node string
	Phase                 string
	Containers            []containerView
	Events                []eventView
	Problem               string
}

type containerView struct {
	Name, State, Detail string
	Init                bool
	Status              v1.ProwJobState
	Restarts            int32
}

type eventView struct {
	Time                  time.Time
	Type, Reason, Message string
	Count                 int32
}

type artifactView struct {
	Name, Link string
	Size       int64
	ModTime    time.Time
}

type containerLink struct {
	Name, Link string
	Selected   bool
}

// viewPage shows a run by the place of its files.
func (s *server) viewPage(w http.ResponseWriter, r *http.Request) {
	found, rest, err := s.findRun(r.Context(), strings.TrimPrefix(r.URL.Path, "/view/"), true)
	switch {
	case errors.Is(err, errSource):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case errors.Is(err, errAlias):
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	case errors.Is(err, errRefused), err != nil && !errors.Is(err, errNoLog) && !errors.Is(err, fs.ErrNotExist):
		s.fail(w, r, err)
		return
	case err != nil:
		s.notFound(w, r)
		return
	case rest != "":
		http.Redirect(w, r, rootOf(r)+"artifacts/"+escapePath(found.place.path()+"/"+rest), http.StatusFound)
		return
	}
	s.showRun(w, r, found)
}

// runPage shows a run by its ProwJob, which works before it has a build.
func (s *server) runPage(w http.ResponseWriter, r *http.Request) {
	pj := s.find(r.PathValue("prowjob"))
	if pj == nil {
		s.notFound(w, r)
		return
	}
	s.showRun(w, r, s.runOf(pj))
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	s.renderCode(w, r, http.StatusNotFound, "not-found", "Not found", nil)
}

func (s *server) showRun(w http.ResponseWriter, r *http.Request, found run) {
	ctx, cancel := context.WithTimeout(r.Context(), storageTimeout)
	defer cancel()
	view := runView{Job: found.job, Build: found.build}
	if found.pj != nil {
		s.fillKnown(ctx, &view, found.pj)
	}
	all := s.filesOf(ctx, found)
	if found.place != nil {
		view.Storage = found.place.path()
		if found.pj == nil {
			if len(all.items) == 0 {
				s.notFound(w, r)
				return
			}
			s.fillStored(ctx, &view, found)
		}
	}
	if err := s.fillSpyglass(ctx, &view, found, all); err != nil {
		s.fail(w, r, fmt.Errorf("the announcement: %w", err))
		return
	}
	switch r.URL.Query().Get("done") {
	case "rerun":
		view.Done = "The job runs again: this is the new run."
	case "abort":
		view.Done = "The run is being aborted."
	}
	if err := s.fillHistories(&view, found); err != nil {
		s.fail(w, r, fmt.Errorf("the link to the history of a pull request: %w", err))
		return
	}
	s.fillLog(ctx, &view, r, found, all.names)
	// Lenses are frames of this site.
	w.Header().Set("Content-Security-Policy", s.policy()+"; frame-src 'self'")
	s.render(w, r, "run", view.Job+" #"+view.Build, view)
}

func (s *server) fillKnown(ctx context.Context, view *runView, pj *v1.ProwJob) {
	view.Known, view.Name, view.State, view.Type = true, pj.Name, pj.Status.State, pj.Spec.Type
	view.Description, view.Cluster = pj.Status.Description, pj.ClusterAlias()
	view.refsView = viewRefs(pj, forgeBase(s.config.Get()))
	view.Started = &pj.Status.StartTime.Time
	if pj.Status.PendingTime != nil {
		view.Pending = &pj.Status.PendingTime.Time
	}
	view.Ended, view.Duration = s.ended(pj)
	view.Live = !pj.Complete()
	view.Rerun = pj.Spec.RerunCommand
	view.CanRerun, view.CanAbort = !foundInStorage(pj), s.mayAct(pj) && abortable(pj)
	view.Same = "?" + url.Values{"job": {pj.Spec.Job}}.Encode()
	if len(view.Pulls) > 0 {
		view.Together = "?" + url.Values{"repo": {view.Repo}, "pull": {strconv.Itoa(view.Pulls[0].Number)}}.Encode()
	}
	if pj.Status.PodName != "" && pj.Spec.Agent == v1.KubernetesAgent {
		view.Pod, view.Why = s.viewPod(ctx, pj)
	}
	// A job with a reason tells in its description what it waits for.
	if pj.Status.PodName == "" && !pj.Complete() && pj.Status.Reason == "" {
		view.Why = append(view.Why, "There is no pod for it yet: it waits until a cluster is chosen, a limit on concurrent runs leaves room, or the controller gets to it.")
	}
}

// podTimeout bounds what a build cluster may hold a page up.
const podTimeout = 3 * time.Second

func (s *server) viewPod(ctx context.Context, pj *v1.ProwJob) (*podView, []string) {
	ctx, cancel := context.WithTimeout(ctx, podTimeout)
	defer cancel()
	pod, err := s.pods.get(ctx, pj)
	switch {
	case apierrors.IsNotFound(err) && pj.Complete():
		return nil, nil
	case apierrors.IsNotFound(err):
		return &podView{Name: pj.Status.PodName, Problem: "The pod does not exist at the moment."}, nil
	case err != nil:
		s.log.InfoContext(ctx, "a pod cannot be read", "prowjob", pj.Name, "cluster", pj.ClusterAlias(), "error", err)
		return &podView{Name: pj.Status.PodName, Problem: "The build cluster does not answer at the moment."}, nil
	}
	out := &podView{Name: pod.Name, Namespace: pod.Namespace, Node: pod.Spec.NodeName, Phase: string(pod.Status.Phase)}
	var why []string
	if pod.Status.Reason != "" || pod.Status.Message != "" {
		why = append(why, joinNonEmpty(": ", "Pod "+pod.Status.Reason, pod.Status.Message))
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			why = append(why, joinNonEmpty(": ", "No node takes the pod", c.Message))
		}
	}
	add := func(init bool, list []corev1.ContainerStatus) {
		for i := range list {
			c := viewContainer(init, &list[i])
			out.Containers = append(out.Containers, c)
			if c.Detail != "" && (c.Status == v1.FailureState || c.Status == v1.TriggeredState && c.State != "PodInitializing" && c.State != "ContainerCreating") {
				why = append(why, "Container "+c.Name+": "+joinNonEmpty(", ", c.State, c.Detail))
			}
		}
	}
	add(true, pod.Status.InitContainerStatuses)
	add(false, pod.Status.ContainerStatuses)
	events, err := s.pods.events(ctx, pj.ClusterAlias(), pod)
	if err != nil {
		s.log.DebugContext(ctx, "the events of a pod cannot be read", "prowjob", pj.Name, "error", err)
	}
	for i := range events {
		e := &events[i]
		out.Events = append(out.Events, eventView{eventTime(e).Time, e.Type, e.Reason, e.Message, e.Count})
	}
	return out, why
}

func joinNonEmpty(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return strings.TrimSpace(p) == "" }), separator)
}

func viewContainer(init bool, c *corev1.ContainerStatus) containerView {
	out := containerView{Name: c.Name, Init: init, Restarts: c.RestartCount}
	switch {
	case c.State.Terminated != nil:
		t := c.State.Terminated
		out.State, out.Status = "finished", v1.SuccessState
		out.Detail = took(t.FinishedAt.Sub(t.StartedAt.Time))
		if t.ExitCode != 0 {
			out.State, out.Status = fmt.Sprintf("exit code %d", t.ExitCode), v1.FailureState
			out.Detail = joinNonEmpty(": ", t.Reason, t.Message)
		}
	case c.State.Running != nil:
		out.State, out.Status = "running", v1.PendingState
	case c.State.Waiting != nil:
		out.State, out.Status = c.State.Waiting.Reason, v1.TriggeredState
		out.Detail = c.State.Waiting.Message
	default:
		out.State, out.Status = "waiting", v1.TriggeredState
	}
	return out
}

// fillStored tells what the files of a forgotten run say.
func (s *server) fillStored(ctx context.Context, view *runView, found run) {
	var started artifacts.Started
	if err := s.readJSON(ctx, found.place.at(found.place.key+"/"+artifacts.StartedFile), &started); err == nil && started.Timestamp > 0 {
		at := time.Unix(started.Timestamp, 0)
		view.Started = &at
	}
	var finished artifacts.Finished
	err := s.readJSON(ctx, found.place.at(found.place.key+"/"+artifacts.FinishedFile), &finished)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		view.Description = "It has not left a result: it was interrupted, or its files are still being stored."
	case err != nil:
		view.Description = "Its result cannot be read."
	default:
		view.State = storedState(finished)
		at := time.Unix(finished.Timestamp, 0)
		view.Ended = &at
		if view.Started != nil {
			view.Duration = at.Sub(*view.Started)
		}
	}
	base := forgeBase(s.config.Get())
	for full := range started.Repos {
		// The path has the repository as one word; it is this one if the words are equal.
		if strings.ReplaceAll(full, "/", "_") == found.repo || len(started.Repos) == 1 {
			view.Repo, view.RepoLink = full, base+"/"+full
			view.BaseRef, _, _ = strings.Cut(started.Repos[full], ":")
		}
	}
	if number, err := strconv.Atoi(found.pull); err == nil && view.Repo != "" {
		pull := v1.Pull{Number: number, SHA: finished.Revision, Link: fmt.Sprintf("%s/%s/pull/%d", base, view.Repo, number)}
		view.Pulls = []v1.Pull{pull}
		view.Together = "?" + url.Values{"repo": {view.Repo}, "pull": {found.pull}}.Encode()
	}
	view.Same = "?" + url.Values{"job": {found.job}}.Encode()
}

func storedState(f artifacts.Finished) v1.ProwJobState {
	switch f.Result {
	case artifacts.ResultSuccess:
		return v1.SuccessState
	case artifacts.ResultFailure:
		return v1.FailureState
	case artifacts.ResultAborted:
		return v1.AbortedState
	}
	switch state := v1.ProwJobState(f.Result); {
	case state == v1.SuccessState || state == v1.FailureState || state == v1.AbortedState || state == v1.ErrorState:
		return state
	case f.Passed:
		return v1.SuccessState
	}
	return v1.FailureState
}

// historyOfJob is the page of the builds of a job; empty without one.
func (s *server) historyOfJob(pj *v1.ProwJob) string {
	repo := ""
	if refs := pj.Spec.MainRefs(); refs != nil {
		repo = refs.OrgRepoString()
	}
	return s.historyOf(s.config.Get(), pj.Spec.DecorationConfig, repo, pj.ClusterAlias(), pj.Spec.Type, pj.Spec.Job)
}

// fillHistories links the pages of builds in storage.
func (s *server) fillHistories(view *runView, found run) (err error) {
	defer func() { view.Grid = gridOfHistory(view.History) }()
	if pj := found.pj; pj != nil {
		view.History = s.historyOfJob(pj)
		view.PullHistory, err = s.pullHistory(pj.Spec.Refs)
		return err
	}
	if found.place == nil {
		return nil
	}
	if before, ok := strings.CutSuffix(found.place.key, "logs/"+found.job+"/"+found.build); ok && !strings.HasSuffix(before, "pr-") {
		view.History = "job-history/" + escapePath(found.place.at(before+"logs/"+found.job).path())
	} else if found.pull != "" {
		view.History = "job-history/" + escapePath(found.place.at("pr-logs/directory/"+found.job).path())
		if org, repo := splitRepo(view.Repo); repo != "" {
			number, _ := strconv.Atoi(found.pull)
			view.PullHistory, err = s.pullHistory(&v1.Refs{Org: org, Repo: repo, Pulls: []v1.Pull{{Number: number}}})
		}
	}
	return err
}
