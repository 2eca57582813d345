package deck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/prstatus"
	"prow/internal/deck/signin"
)

const (
	// pullSearchTimeout bounds all questions to GitHub of one page.
	pullSearchTimeout = 30 * time.Second
	// maxRunsOfPull is how many runs of a pull request are looked at.
	maxRunsOfPull = 200
)

// pullsFound is what GitHub says about the pull requests of a visitor.
type pullsFound struct {
	// User is who asks; nil where nobody is signed in.
	User  *signin.User
	Query string
	Items []prstatus.Item
	// More tells that not all are here; Partly why some may be missing.
	More   bool
	Partly string
}

// errNoAccount says that the visitor has no account at GitHub here.
var errNoAccount = errors.New("who signed in has no account of GitHub here")

// findPulls searches the pull requests that a request asks for, as its sender.
func (s *server) findPulls(r *http.Request) (out pullsFound, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), pullSearchTimeout)
	defer cancel()
	user, client, err := s.access.sign.Acting(ctx, r)
	if err != nil {
		return out, err
	}
	out.User = user
	if client == nil {
		return out, errNoAccount
	}
	if out.Query = strings.TrimSpace(r.FormValue("query")); out.Query == "" {
		out.Query = prstatus.DefaultQuery(user.Name)
	}
	if err := prstatus.CheckQuery(out.Query); err != nil {
		return out, fmt.Errorf("%w: %w", errBadQuery, err)
	}
	out.Items, out.More, err = prstatus.Search(ctx, client, out.Query, s.pullRepos(s.config.Get()))
	if err != nil && len(out.Items) > 0 {
		// An org may ask for a further sign-in, which takes only its own away.
		s.log.InfoContext(ctx, "not all pull requests were found", "user", user.Name, "error", err)
		out.Partly, err = "GitHub did not tell all of them.", nil
	}
	return out, err
}

var errBadQuery = errors.New("this cannot be searched for")

// pullRepos are the repositories whose pull requests are searched, as far as they are shown.
func (s *server) pullRepos(cfg *config.Config) []string {
	return slices.DeleteFunc(sets.List(cfg.AllRepos()), func(full string) bool {
		org, repo, ok := splitFullName(full)
		return !ok || strings.Contains(org, "://") || !s.visible.element(repoTenant(cfg, org, repo), nil, cfg.Deck.IsHidden(org, repo))
	})
}

// prDataJS serves what GitHub says as data.
func (s *server) prDataJS(w http.ResponseWriter, r *http.Request) {
	// It is about the visitor: scripts of other sites are not to read it.
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	type answer struct {
		Login                    bool
		PullRequestsWithContexts []prstatus.Item
	}
	found, err := s.findPulls(r)
	switch {
	case errors.Is(err, signin.ErrNotSignedIn), errors.Is(err, errNoAccount):
		if s.access.sign.Claimed(r) != "" && !errors.Is(err, errNoAccount) {
			s.access.sign.Forget(w)
		}
		s.writeData(w, r, jsonBody(answer{}))
	case errors.Is(err, errBadQuery):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		s.fail(w, r, err)
	default:
		if found.Items == nil {
			found.Items = []prstatus.Item{}
		}
		s.writeData(w, r, jsonBody(answer{true, found.Items}))
	}
}

// prView is the page of pull requests.
type prView struct {
	Query, Mine string
	// NoAccount tells that the visitor signed in elsewhere.
	NoAccount             bool
	Problem, Partly, User string
	More                  bool
	Cards                 []pullCard
	// Blocked are branches of these pull requests into which nothing is merged.
	Blocked []blockedBranch
}

type blockedBranch struct {
	Branch   string
	Blockers []tideBlocker
}

// pullCard is a pull request with what it waits for.
type pullCard struct {
	prstatus.PullRequest
	Repo, Number, Link, Branch string
	Why                        prstatus.Reason
	Sources                    []sourceLink
	Jobs                       []prstatus.Job
	Matches                    []prstatus.Match
	// Runs leads to all runs for it, History to their table.
	Runs, History string
}

// Failing tells whether a job failed, which is what people come to see.
func (c pullCard) Failing() bool { return len(c.Jobs) > 0 && c.Jobs[0].Outcome == prstatus.Failed }

// prPage shows the visitor's pull requests.
func (s *server) prPage(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	if name := s.access.sign.Claimed(r); name != "" && r.URL.RawQuery == "" {
		// The address says whose they are, so it can be kept.
		seeOther(w, http.StatusFound, "?query="+url.QueryEscape(prstatus.DefaultQuery(name)))
		return
	}
	found, err := s.findPulls(r)
	if errors.Is(err, signin.ErrNotSignedIn) {
		if s.access.sign.Claimed(r) != "" {
			s.access.sign.Forget(w) // GitHub has revoked it
		}
		seeOther(w, http.StatusFound, rootOf(r)+"sign-in?dest="+url.QueryEscape(strings.TrimPrefix(r.URL.RequestURI(), "/")))
		return
	}
	view := prView{Query: found.Query, More: found.More, Partly: found.Partly}
	code := http.StatusOK
	switch {
	case errors.Is(err, errNoAccount):
		view.NoAccount = true
	case errors.Is(err, errBadQuery):
		code, view.Problem = http.StatusBadRequest, err.Error()
	case err != nil:
		if r.Context().Err() != nil {
			return
		}
		s.log.WarnContext(r.Context(), "pull requests cannot be searched", "error", err)
		code, view.Problem = http.StatusBadGateway, "GitHub does not answer this search at the moment. If it is one of your own, see whether GitHub understands it."
	}
	if found.User != nil {
		view.User = found.User.Name
		view.Mine = "?query=" + url.QueryEscape(prstatus.DefaultQuery(found.User.Name))
	}
	s.fillPulls(&view, found.Items)
	s.renderCode(w, r, code, "pr", "Pull requests", view)
}

func (s *server) fillPulls(view *prView, items []prstatus.Item) {
	cfg := s.config.Get()
	var pools []tidePool
	if s.tide != nil {
		all, _, _, _ := s.tide.get()
		pools = s.visiblePools(cfg, all)
	}
	queries := s.visibleQueries(cfg)
	blocked := map[string]bool{}
	for i := range items {
		card := s.pullCard(cfg, &items[i], queries, pools)
		view.Cards = append(view.Cards, card)
		if pool := poolOf(pools, &items[i].PullRequest); pool != nil && len(pool.Blockers) > 0 {
			if name := card.Repo + " " + pool.Branch; !blocked[name] {
				blocked[name] = true
				view.Blocked = append(view.Blocked, blockedBranch{name, pool.Blockers})
			}
		}
	}
}

func (s *server) pullCard(cfg *config.Config, item *prstatus.Item, queries []config.TideQuery, pools []tidePool) pullCard {
	pr := item.PullRequest
	out := pullCard{
		PullRequest: pr, Repo: pr.Repository.Owner.Login + "/" + pr.Repository.Name, Number: strconv.Itoa(pr.Number), Branch: pr.BaseRef.Name, Link: pr.URL,
		Jobs: prstatus.Jobs(item, s.runsOf(&pr)), Matches: prstatus.Matches(&pr, queries),
	}
	if out.Link == "" {
		out.Link = forgeBase(cfg) + "/" + out.Repo + "/pull/" + out.Number
	}
	out.Runs = "?" + url.Values{"repo": {out.Repo}, "pull": {out.Number}}.Encode()
	if s.spyglass {
		out.History = "pr-history?" + url.Values{"org": {pr.Repository.Owner.Login}, "repo": {pr.Repository.Name}, "pr": {out.Number}}.Encode()
	}
	said := false
	if pool := poolOf(pools, &pr); pool != nil {
		out.Why, said = saidBy(pool, &pr)
	}
	if !said {
		out.Why = prstatus.Conclude(&pr, out.Matches, out.Jobs)
	}
	out.Sources = sources(out.Why.Links)
	return out
}

// runsOf are the runs for a pull request that the visitor may see, newest first.
func (s *server) runsOf(pr *prstatus.PullRequest) []prstatus.Run {
	found := s.index.list(query{
		repo: pr.Repository.Owner.Login + "/" + pr.Repository.Name, pull: pr.Number, kind: v1.PresubmitJob, visible: s.canSee, limit: maxRunsOfPull,
	})
	var out []prstatus.Run
	for _, pj := range found.items {
		if !pj.Spec.Report && pj.Spec.Context == "" { // nobody waits for it
			continue
		}
		run := prstatus.Run{Job: pj.Spec.Job, Context: pj.Spec.Context, Base: pj.Spec.Refs.BaseRef, Description: pj.Status.Description, Link: s.linkOf(pj)}
		for _, p := range pj.Spec.Refs.Pulls {
			if p.Number == pr.Number {
				run.SHA = p.SHA
			}
		}
		switch pj.Status.State {
		case v1.SuccessState:
			run.Outcome = prstatus.Passed
		case v1.FailureState, v1.ErrorState:
			run.Outcome = prstatus.Failed
		case v1.AbortedState:
			run.Outcome = prstatus.Aborted
		default:
			run.Outcome = prstatus.Running
		}
		out = append(out, run)
	}
	return out
}

// poolOf is the pool of a pull request's branch; nil if there is none.
func poolOf(pools []tidePool, pr *prstatus.PullRequest) *tidePool {
	for i := range pools {
		p := &pools[i]
		if strings.EqualFold(p.Org, pr.Repository.Owner.Login) && strings.EqualFold(p.Repo, pr.Repository.Name) && p.Branch == pr.BaseRef.Name {
			return p
		}
	}
	return nil
}

// saidBy is what Tide says about a pull request: its reason, or of a Tide that gives none
// what follows from where the pull request is in its pool.
func saidBy(pool *tidePool, pr *prstatus.PullRequest) (prstatus.Reason, bool) {
	for _, r := range slices.Concat(pool.Reasons, pool.Refused) {
		if r.Number == pr.Number && (r.SHA == "" || r.SHA == pr.HeadRefOID) {
			state := stateIcon(v1.ProwJobState(r.rowState()))
			return prstatus.Reason{Code: r.Code, State: state, Sentence: r.Sentence, Links: r.Links}, true
		}
	}
	in := func(list []tidePR) bool {
		return slices.ContainsFunc(list, func(p tidePR) bool { return p.Number == pr.Number })
	}
	member := in(pool.BatchPending) || in(pool.SuccessPRs) || in(pool.PendingPRs) || in(pool.MissingPRs)
	merging := strings.HasPrefix(pool.Action, "MERGE") && in(pool.Target)
	switch {
	case !member && !merging:
		return prstatus.Reason{}, false
	case len(pool.Blockers) > 0:
		return prstatus.Reason{Code: "blocked", State: "waiting", Sentence: "In merge pool, but merges into this branch are blocked."}, true
	case merging:
		return prstatus.Reason{Code: "merging", State: "passed", Sentence: "In merge pool: it is being merged."}, true
	case in(pool.BatchPending):
		return prstatus.Reason{Code: "batch-pending", State: "running", Sentence: "In merge pool: it is tested together with others."}, true
	case in(pool.SuccessPRs):
		return prstatus.Reason{Code: "passing", State: "passed", Sentence: "In merge pool: it passed and waits for its turn."}, true
	case in(pool.PendingPRs):
		return prstatus.Reason{Code: "pending", State: "running", Sentence: "In merge pool: its jobs run against the newest base."}, true
	}
	return prstatus.Reason{Code: "queued", State: "waiting", Sentence: "In merge pool: its jobs will be run against the newest base."}, true
}
