package deck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/history"
	"prow/internal/storage"
)

// historySize is how many builds a page of a history shows.
const historySize = 20

// historyRoot is the directory with the builds of a job.
type historyRoot struct {
	place
	job string
	// aliases tells that it holds objects that lead to the builds, not the builds.
	aliases bool
}

// parseHistoryRoot reads "[<provider>/]<bucket>/<root>". Only directories of jobs have a
// history: ".../logs/<job>" and ".../pr-logs/directory/<job>".
func parseHistoryRoot(cfg *config.Config, path string) (historyRoot, error) {
	path = strings.Trim(path, "/")
	switch provider, _, _ := strings.Cut(path, "/"); provider {
	case "gs", "gcs", "s3", "file":
	default: // without a provider
		path = "gs/" + path
	}
	where, err := parsePlace(cfg, path)
	if err != nil {
		return historyRoot{}, err
	}
	parts := strings.Split(where.key, "/")
	n := len(parts)
	switch {
	case n >= 2 && parts[n-2] == "logs":
		return historyRoot{where, parts[n-1], false}, nil
	case n >= 3 && parts[n-3] == "pr-logs" && parts[n-2] == "directory":
		return historyRoot{where, parts[n-1], true}, nil
	}
	return historyRoot{}, fmt.Errorf("%w: it is not the directory of a job", errRefused)
}

// jobHistoryView is the page of a job's builds.
type jobHistoryView struct {
	Job, Place string
	Builds     []history.Build
	Page       history.Page
	// More tells that not all builds were found in time.
	More           bool
	Chart          history.Chart
	Rate           history.Rate
	Median         string
	Repo, RepoLink string
	// Grid leads to the results of the tests of these builds.
	Grid string
}

// parseBuildID reads a number of a build; none is 0.
func parseBuildID(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, errors.New("the parameter buildId must be a positive number")
	}
	return id, nil
}

func (s *server) jobHistoryPage(w http.ResponseWriter, r *http.Request) {
	cfg := s.config.Get()
	root, err := parseHistoryRoot(cfg, strings.TrimPrefix(r.URL.Path, "/job-history/"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	wanted, err := parseBuildID(r.URL.Query().Get("buildId"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	bucket, err := s.open(r.Context(), root.place)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	view, err := s.jobHistory(r.Context(), cfg, bucket, root, wanted)
	if errors.Is(err, fs.ErrNotExist) {
		s.notFound(w, r)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	noStore(w)
	s.render(w, r, "job-history", "History of "+root.job, view)
}

func (s *server) jobHistory(ctx context.Context, cfg *config.Config, bucket storage.Bucket, root historyRoot, wanted uint64) (*jobHistoryView, error) {
	defer s.memory.flush(ctx)
	found, err := s.findBuilds(ctx, bucket, root)
	if err != nil {
		return nil, err
	}
	view := &jobHistoryView{Job: root.job, Place: root.path(), More: found.more, Page: found.page(wanted, historySize), Grid: gridLink(root.path())}
	if wanted != 0 {
		view.Grid += "?buildId=" + strconv.FormatUint(wanted, 10)
	}
	view.Builds = s.readBuilds(ctx, cfg, bucket, root, view.Page.IDs)
	// Of a job that is not shown nothing is told, not even that it exists.
	if len(view.Builds) == 0 && (len(view.Page.IDs) > 0 || s.hiddenByName(cfg, root.job)) {
		return nil, fs.ErrNotExist
	}
	view.Chart, view.Rate, view.Median = history.ChartOf(view.Builds), history.RateOf(view.Builds), took(history.Median(view.Builds))
	return view, nil
}

// foundBuilds are the builds of a job.
type foundBuilds struct {
	ids    []uint64
	latest uint64
	// more tells that not all were found in time.
	more bool
}

// page is that which begins with a build; 0 is the newest.
func (f *foundBuilds) page(wanted uint64, size int) history.Page {
	if wanted == 0 || wanted > f.latest {
		wanted = f.latest
	}
	return history.PageOf(f.ids, wanted, f.latest, size)
}

// findBuilds finds the builds of a job in storage and in the index.
func (s *server) findBuilds(ctx context.Context, bucket storage.Bucket, root historyRoot) (out foundBuilds, err error) {
	latest := s.latestBuild(ctx, bucket, root)
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	ids, more, err := s.listJob(limited, bucket, root, latest)
	if err != nil {
		return out, err
	}
	if more && latest != 0 { // storage lists the oldest first
		ids = append(ids, latest)
	}
	// Those that run, and those that have not stored anything yet, only the index knows.
	newerThan := uint64(0)
	if len(ids) > 0 {
		newerThan = slices.Max(ids)
	}
	ids = append(ids, s.runsBeyond(ctx, root, newerThan, 2*historySize)...)
	if len(ids) > 0 && (latest == 0 || newerThan < slices.Max(ids)) {
		latest = slices.Max(ids)
	}
	if latest == 0 {
		return out, fs.ErrNotExist
	}
	return foundBuilds{ids, latest, more}, nil
}

// latestBuild is the newest build as storage notes it; 0 without a note. The note of a
// job whose builds are below a prefix is not.
func (s *server) latestBuild(ctx context.Context, bucket storage.Bucket, root historyRoot) uint64 {
	for _, dir := range []string{root.key, "logs/" + root.job} {
		text, err := storage.ReadAll(ctx, bucket, dir+"/"+artifacts.LatestBuildFile, 64)
		if err == nil {
			if id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
				return id
			}
		}
		if root.aliases {
			break
		}
	}
	return 0
}

// readBuilds reads builds at the same time, and leaves out those that are not shown.
func (s *server) readBuilds(ctx context.Context, cfg *config.Config, bucket storage.Bucket, root historyRoot, ids []uint64) []history.Build {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	read := make([]*history.Build, len(ids))
	var group errgroup.Group
	group.SetLimit(buildReaders)
	for i, id := range ids {
		group.Go(func() error {
			read[i] = s.readBuild(ctx, cfg, bucket, root, id)
			return nil
		})
	}
	_ = group.Wait() // a build that cannot be read is shown as such
	var out []history.Build
	for _, b := range read {
		if b != nil {
			out = append(out, *b)
		}
	}
	return out
}

// readBuild reads one; nil if it is not shown.
func (s *server) readBuild(ctx context.Context, cfg *config.Config, bucket storage.Bucket, root historyRoot, id uint64) *history.Build {
	build := strconv.FormatUint(id, 10)
	if b, known := s.indexed(ctx, root.job, build, 0, func(where place, pj *v1.ProwJob) bool { return root.has(where, pj.Spec.Job) }); known {
		return b
	}
	dir, word := root.at(root.key+"/"+build), ""
	if root.aliases {
		target, err := s.followBuild(ctx, cfg, bucket, root, build)
		if err != nil {
			s.log.DebugContext(ctx, "the way to a build cannot be read", "place", root.path(), "build", build, "error", err)
			if !s.sees(root.job, "", &facts{}) {
				return nil
			}
			return &history.Build{ID: id, Job: root.job}
		}
		dir = target.place
		word = target.repo
	}
	f := s.factsOf(ctx, bucket, dir)
	if !s.sees(root.job, word, f) {
		return nil
	}
	out := s.buildOf(root.job, id, f, 0)
	out.Link, out.Place = "view/"+escapePath(dir.path()), dir.path()
	return &out
}

// aliased is a run that an alias leads to.
type aliased struct {
	place
	repo string
}

// followBuild reads where a build of a presubmit is.
func (s *server) followBuild(ctx context.Context, cfg *config.Config, bucket storage.Bucket, root historyRoot, build string) (aliased, error) {
	key, text := "alias "+root.path()+"/"+build, ""
	if !s.memory.recall(ctx, key, &text) {
		raw, err := storage.ReadAll(ctx, bucket, root.key+"/"+build+".txt", maxAlias)
		if err != nil {
			return aliased{}, err
		}
		text = string(raw)
	}
	target, err := leadsTo(cfg, root, build, text)
	if err == nil {
		s.memory.remember(key, text, 2*maxAlias)
	}
	return target, err
}
