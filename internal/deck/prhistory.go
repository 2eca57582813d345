package deck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unique"

	"golang.org/x/sync/errgroup"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/history"
	"prow/internal/storage"
)

const (
	// maxPullJobs is how many jobs of a pull request are looked at, maxPullBuilds how
	// many builds of each, the newest.
	maxPullJobs   = 300
	maxPullBuilds = 30
)

// ownerName is a name of an account or a repository, which becomes a part of a path.
var ownerName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// prHistoryView is the page of a pull request's builds.
type prHistoryView struct {
	Org, Repo string
	Pull      int
	Link      string
	Table     history.Table
	// CommitBase is before the names of commits in links.
	CommitBase string
	// Histories are the pages of the jobs' histories, by job.
	Histories map[string]string
	// More tells that not everything was found, or found in time.
	More bool
}

func (s *server) prHistoryPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	org, repo := q.Get("org"), q.Get("repo")
	pull, err := strconv.Atoi(q.Get("pr"))
	if !ownerName.MatchString(org) || !ownerName.MatchString(repo) || err != nil || pull <= 0 {
		http.Error(w, "the parameters org, repo and pr must name a pull request, such as ?org=o&repo=r&pr=1", http.StatusBadRequest)
		return
	}
	cfg := s.config.Get()
	if cfg.Deck.IsHidden(org, repo) && !s.visible.showsHidden() && len(s.visible.tenants) == 0 {
		s.notFound(w, r)
		return
	}
	base := forgeBase(cfg) + "/" + org + "/" + repo
	view := &prHistoryView{Org: org, Repo: repo, Pull: pull, Link: fmt.Sprintf("%s/pull/%d", base, pull), CommitBase: base + "/commit/", Histories: map[string]string{}}
	s.fillPullHistory(r.Context(), cfg, view)
	noStore(w)
	s.render(w, r, "pr-history", fmt.Sprintf("%s/%s #%d", org, repo, pull), view)
}

// wantedBy tells which runs are about the repository of a page and may be seen.
func (s *server) wantedBy(view *prHistoryView) func(unique.Handle[shape]) bool {
	return func(h unique.Handle[shape]) bool {
		sh := h.Value()
		return sh.hasRefs && sh.about(view.Org, view.Repo) && s.sight().of(h)
	}
}

// pullPlaces are the directories where builds of a pull request may be: as the jobs of
// the configuration store them, as jobs do of which it says nothing, and as the jobs in
// the cluster did, which repositories may have brought themselves.
func (s *server) pullPlaces(cfg *config.Config, view *prHistoryView, known []*v1.ProwJob) []place {
	full := view.Org + "/" + view.Repo
	run := artifacts.Run{Type: v1.PresubmitJob, Refs: &v1.Refs{Org: view.Org, Repo: view.Repo, Pulls: []v1.Pull{{Number: view.Pull}}}}
	var out []place
	add := func(d *v1.DecorationConfig) {
		if d == nil || d.GCSConfiguration == nil {
			return
		}
		dir, err := artifacts.PathForSpec(d.GCSConfiguration, run)
		if err != nil {
			return
		}
		where, err := storage.ParseLocation(d.GCSConfiguration.Bucket)
		if err != nil {
			return
		}
		if where.Prefix != "" {
			dir = where.Prefix + "/" + dir
		}
		p, err := parsePlace(cfg, where.Provider+"/"+strings.Trim(where.Bucket, "/")+"/"+dir)
		if err == nil && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	jobs := cfg.PresubmitsStatic(full)
	for i := range jobs {
		add(jobs[i].DecorationConfig)
	}
	add(cfg.Plank.DecorationDefault(full, v1.DefaultClusterAlias))
	for _, pj := range known {
		add(pj.Spec.DecorationConfig)
	}
	return out
}

func (s *server) fillPullHistory(ctx context.Context, cfg *config.Config, view *prHistoryView) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer s.memory.flush(ctx)
	known := slices.DeleteFunc(s.index.heads(ctx, s.pullRuns(view)), func(pj *v1.ProwJob) bool { return pj == nil })
	var builds []history.Build
	for _, p := range s.pullPlaces(cfg, view, known) {
		found, more, err := s.pullBuilds(ctx, p, view, known)
		if err != nil {
			s.log.InfoContext(ctx, "the builds of a pull request cannot be read", "place", p.path(), "error", err)
			more = true
		}
		builds, view.More = append(builds, found...), view.More || more
	}
	view.Table = history.TableOf(builds)
}

// pullBuilds tells of the builds below the directory of a pull request: of those that the
// index knows, and of others that storage has.
func (s *server) pullBuilds(ctx context.Context, dir place, view *prHistoryView, known []*v1.ProwJob) (out []history.Build, more bool, err error) {
	bucket, err := s.open(ctx, dir)
	if err != nil {
		return nil, false, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	list, err := s.listPull(ctx, bucket, dir)
	// What the index knows is not read. Only the newest builds of each job are shown.
	fromIndex := map[runKey]*history.Build{}
	for _, pj := range known {
		where, err := s.placeOf(pj)
		if err != nil || !below(dir, *where) {
			continue
		}
		if b := s.buildOfJob(pj, *where, view.Pull); b != nil {
			fromIndex[runKey{b.Job, pj.Status.BuildID}] = b
			list.Jobs[b.Job] = append(list.Jobs[b.Job], b.ID)
		}
	}
	more = list.More
	// Where a path has no repository, it is the one of the configuration.
	word := view.Org + "_" + view.Repo
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(buildReaders)
	for job, ids := range list.Jobs {
		newest := history.PageOf(ids, ^uint64(0), 0, maxPullBuilds)
		more = more || newest.HasOlder
		for _, id := range newest.IDs {
			group.Go(func() error {
				build := strconv.FormatUint(id, 10)
				b := fromIndex[runKey{job, build}]
				if b == nil {
					b = s.readPullBuild(ctx, bucket, dir.at(dir.key+"/"+job+"/"+build), job, word, id, view)
				}
				mu.Lock()
				defer mu.Unlock()
				if b != nil {
					out = append(out, *b)
					view.Histories[job] = "job-history/" + escapePath(dir.at("pr-logs/directory/"+job).path())
				}
				return nil
			})
		}
	}
	_ = group.Wait() // a build that cannot be read is shown as such
	return out, more, err
}

// readPullBuild reads a build; nil if it is not shown.
func (s *server) readPullBuild(ctx context.Context, bucket storage.Bucket, at place, job, word string, id uint64, view *prHistoryView) *history.Build {
	f := s.factsOf(ctx, bucket, at)
	if e := s.index.entryOfRun(job, strconv.FormatUint(id, 10)); e != nil && !s.sight().of(e.shape) || !s.sees(job, word, f) || !aboutPull(f, view) {
		return nil
	}
	b := s.buildOf(job, id, f, view.Pull)
	b.Link = "view/" + escapePath(at.path())
	return &b
}

// listPull lists the builds in the directory of a pull request, or remembers them.
func (s *server) listPull(ctx context.Context, bucket storage.Bucket, dir place) (pullList, error) {
	key := "pull " + dir.path()
	out := pullList{}
	if s.memory.recall(ctx, key, &out) && s.now().Sub(out.At) < listPullAfter && out.Jobs != nil {
		return out, nil
	}
	out = pullList{At: s.now(), Jobs: map[string][]uint64{}}
	listed, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	page, err := bucket.List(listed, storage.ListOptions{Prefix: dir.key + "/", Delimiter: "/", Limit: maxPullJobs})
	if err != nil {
		return out, fmt.Errorf("listing %s: %w", dir.path(), err)
	}
	out.More = page.Next != ""
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(buildReaders)
	for _, item := range page.Items {
		if !item.IsDir {
			continue
		}
		job := strings.TrimSuffix(strings.TrimPrefix(item.Key, dir.key+"/"), "/")
		group.Go(func() error {
			ids, more, err := listBuilds(listed, bucket, dir.key+"/"+job, "/")
			mu.Lock()
			defer mu.Unlock()
			out.More = out.More || more
			if len(ids) > 0 {
				out.Jobs[job] = ids
			}
			return err
		})
	}
	err = group.Wait()
	if err == nil && !out.More && len(out.Jobs) > 0 {
		s.memory.remember(key, out, maxListBytes)
	}
	return out, err
}

// aboutPull tells whether a build is one of the pull request: two repositories may share
// a directory, because their names become one word.
func aboutPull(f *facts, view *prHistoryView) bool {
	if f.Job == nil || f.Job.Spec.Refs == nil {
		return true
	}
	refs := f.Job.Spec.Refs
	return strings.EqualFold(refs.Org, view.Org) && strings.EqualFold(refs.Repo, view.Repo)
}

// prHistoryLink is the page of a pull request's history; empty for other forges.
func prHistoryLink(refs *v1.Refs) string {
	if refs == nil || len(refs.Pulls) == 0 || !ownerName.MatchString(refs.Org) || !ownerName.MatchString(refs.Repo) {
		return ""
	}
	return "pr-history/?" + url.Values{"org": {refs.Org}, "repo": {refs.Repo}, "pr": {strconv.Itoa(refs.Pulls[0].Number)}}.Encode()
}
