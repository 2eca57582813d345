package deck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/authorize"
	"prow/internal/deck/csrf"
	"prow/internal/deck/rerun"
	"prow/internal/prowjob"
)

const (
	// modeLatest runs a job again as the configuration has it now; every other mode as
	// it was.
	modeLatest   = "latest"
	modeOriginal = "original"
	// writeTimeout bounds a change in the cluster, which is made even if the viewer
	// goes away meanwhile.
	writeTimeout = 30 * time.Second
	// abortAttempts is how often an abort is tried that meets another change.
	abortAttempts = 5
	// seenWithin is how long a page waits for the index to know a new ProwJob.
	seenWithin = 3 * time.Second
)

// again makes the ProwJob that runs one again.
func (s *server) again(pj *v1.ProwJob, mode string) (*v1.ProwJob, error) {
	if foundInStorage(pj) {
		return nil, errors.New("it is only known from storage, where others may write, too")
	}
	cfg := s.config.Get()
	opts := []prowjob.Option{prowjob.RequireScheduling(cfg.Scheduler.Enabled), prowjob.InNamespace(cfg.ProwJobNamespace), prowjob.WithClock(s.now)}
	if mode == modeLatest {
		return rerun.Latest(cfg, pj, opts...)
	}
	return rerun.Original(pj, opts...), nil
}

// rerunJob shows the ProwJob that would run a job again, or makes it.
func (s *server) rerunJob(w http.ResponseWriter, r *http.Request) {
	pj := s.requested(w, r)
	if pj == nil {
		return
	}
	fresh, err := s.again(pj, r.FormValue("mode"))
	if err != nil {
		s.deny(w, r, http.StatusBadRequest, "It cannot be run again so: "+err.Error()+".")
		return
	}
	if !s.canSee(fresh) { // the configuration has hidden it since
		http.Error(w, "there is no such ProwJob", http.StatusNotFound)
		return
	}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if err := writeYAML(w, fresh); err != nil {
			s.fail(w, r, err)
		}
		return
	case r.Method != http.MethodPost || !s.rerunCreates:
		w.Header().Set("Allow", "GET, HEAD")
		s.deny(w, r, http.StatusMethodNotAllowed, "Jobs are not started from here: create what GET answers with kubectl.")
		return
	}
	user, ok := s.permitted(w, r, authorize.Rerun, fresh)
	if !ok {
		return
	}
	fresh.Status.Description = fmt.Sprintf("Reran %s.", pj.Name)
	if user != "" {
		fresh.Status.Description = fmt.Sprintf("%s reran %s.", user, pj.Name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTimeout)
	defer cancel()
	if err := s.jobs.Create(ctx, fresh); err != nil {
		s.fail(w, r, fmt.Errorf("running %s again: %w", pj.Name, err))
		return
	}
	s.log.InfoContext(ctx, "a job runs again", append(attrs(fresh), "user", user, "again", pj.Name)...)
	if !wantsPage(r) {
		noStore(w)
		_, _ = fmt.Fprintf(w, "Job %s runs again as %s.\n", pj.Spec.Job, fresh.Name)
		return
	}
	s.awaitSeen(r.Context(), fresh.Name)
	seeOther(w, http.StatusSeeOther, s.pageOf(r, fresh.Name, "rerun"))
}

// pageOf is where to see what was done.
func (s *server) pageOf(r *http.Request, name, done string) string {
	if s.spyglass {
		return rootOf(r) + "run/" + url.PathEscape(name) + "?done=" + done
	}
	return rootOf(r)
}

// awaitSeen waits until the index knows a ProwJob, but not for long.
func (s *server) awaitSeen(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	for {
		_, changed := s.index.watch()
		if s.index.get(name) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func attrs(pj *v1.ProwJob) (out []any) {
	for _, a := range prowjob.LogAttrs(pj) {
		out = append(out, a)
	}
	return out
}

// abortable tells whether a run has not ended in one way or another.
func abortable(pj *v1.ProwJob) bool {
	switch pj.Status.State {
	case v1.SchedulingState, v1.TriggeredState, v1.PendingState:
		return !pj.Complete()
	}
	return false
}

var errNotAbortable = errors.New("it is no longer running")

// abortJob ends a run before it has ended.
func (s *server) abortJob(w http.ResponseWriter, r *http.Request) {
	seen := s.requested(w, r)
	if seen == nil {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		s.deny(w, r, http.StatusMethodNotAllowed, "A run is aborted by POST.")
		return
	}
	pj := &v1.ProwJob{}
	// The index may be a moment behind.
	err := s.jobs.Get(r.Context(), client.ObjectKeyFromObject(seen), pj)
	switch {
	case apierrors.IsNotFound(err) || err == nil && !s.canSee(pj):
		http.Error(w, "there is no such ProwJob", http.StatusNotFound)
		return
	case err != nil:
		s.fail(w, r, fmt.Errorf("aborting %s: %w", seen.Name, err))
		return
	case !abortable(pj):
		s.deny(w, r, http.StatusBadRequest, fmt.Sprintf("It cannot be aborted: its state is %q.", pj.Status.State))
		return
	}
	user, ok := s.permitted(w, r, authorize.Abort, pj)
	if !ok {
		return
	}
	description := fmt.Sprintf("Aborted %s.", pj.Name)
	if user != "" {
		description = fmt.Sprintf("%s aborted %s.", user, pj.Name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), writeTimeout)
	defer cancel()
	switch err := s.abort(ctx, pj, description); {
	case errors.Is(err, errNotAbortable):
		s.deny(w, r, http.StatusBadRequest, "It ended before it could be aborted.")
		return
	case err != nil:
		s.fail(w, r, fmt.Errorf("aborting %s: %w", pj.Name, err))
		return
	}
	s.log.InfoContext(ctx, "a job is aborted", append(attrs(pj), "user", user)...)
	if !wantsPage(r) {
		noStore(w)
		_, _ = fmt.Fprintf(w, "Job %s (%s) is aborted.\n", pj.Spec.Job, pj.Name)
		return
	}
	seeOther(w, http.StatusSeeOther, s.pageOf(r, pj.Name, "abort"))
}

// abort says that a run is aborted; the controller ends it. Somebody else may change the
// object meanwhile: then it is looked at again.
func (s *server) abort(ctx context.Context, pj *v1.ProwJob, description string) error {
	var err error
	for range abortAttempts {
		if !abortable(pj) {
			return errNotAbortable
		}
		changed := pj.DeepCopy()
		changed.Status.State, changed.Status.Description = v1.AbortedState, description
		err = s.jobs.Patch(ctx, changed, client.MergeFromWithOptions(pj, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return err
		}
		if err := s.jobs.Get(ctx, client.ObjectKeyFromObject(pj), pj); err != nil {
			return err
		}
	}
	return err
}

// actView asks whether something is really to be done.
type actView struct {
	Name, Job, Build string
	State            v1.ProwJobState
	refsView
	// Creates tells that jobs are started from here.
	Creates bool
	// Anyone tells that nobody needs to sign in for it.
	Anyone bool
	// CanSignIn tells that people can sign in, User who has.
	CanSignIn bool
	User      string
	// Abortable tells that the run has not ended.
	Abortable bool
	// Latest tells why it cannot be run as the configuration has it now; empty if it can.
	Latest string
	// Field and Token are the token of the form.
	Field, Token string
	// Here is this page, to come back to after signing in; Back where it is linked.
	Here, Back string
}

func (s *server) actPage(w http.ResponseWriter, r *http.Request, page, title string) {
	pj := s.find(r.PathValue("prowjob"))
	if pj == nil {
		s.notFound(w, r)
		return
	}
	view := actView{
		Name: pj.Name, Job: pj.Spec.Job, Build: pj.Status.BuildID, State: pj.Status.State, refsView: viewRefs(pj, forgeBase(s.config.Get())),
		Creates: s.rerunCreates, Anyone: s.access.decide.Anyone(&pj.Spec), CanSignIn: s.access.sign != nil, Abortable: abortable(pj),
		Field: csrf.Field, Token: s.access.guard.Token(w, r), Here: "run/" + url.PathEscape(pj.Name) + "/" + page,
	}
	if s.spyglass {
		view.Back = "run/" + url.PathEscape(pj.Name)
	}
	if s.access.sign != nil {
		view.User = s.access.sign.Claimed(r)
	}
	if _, err := s.again(pj, modeLatest); err != nil {
		view.Latest = err.Error()
	}
	noStore(w)
	s.render(w, r, page, title+" "+pj.Spec.Job, view)
}

func (s *server) rerunPage(w http.ResponseWriter, r *http.Request) { s.actPage(w, r, "rerun", "Rerun") }
func (s *server) abortPage(w http.ResponseWriter, r *http.Request) { s.actPage(w, r, "abort", "Abort") }

// mayAct tells whether anybody at all may do something with a job from here.
func (s *server) mayAct(pj *v1.ProwJob) bool {
	return s.access.sign != nil || s.access.decide.Anyone(&pj.Spec)
}
