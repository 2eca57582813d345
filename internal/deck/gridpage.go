package deck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/history"
	"prow/internal/deck/testgrid"
	"prow/internal/junit"
	"prow/internal/storage"
)

const (
	// gridBuilds is how many builds a grid has, if nothing is asked for; maxGridBuilds at most.
	gridBuilds    = 20
	maxGridBuilds = 50
	// gridLooks is how many pages of builds are searched for those that have ended.
	gridLooks = 3
	// gridRows is how many tests a page shows, and maxGridRows how many programs may ask for.
	gridRows    = 100
	maxGridRows = 2000
	// gridPatience is how long a page waits for results.
	gridPatience = 5 * time.Second
	// gridsAtOnce is how many grids are made at the same time.
	gridsAtOnce = 4
	// maxGridFilter is how long the text may be that is looked for, in bytes.
	maxGridFilter = 500
)

// gridLink is the page of the tests of a job, whose builds are in a place.
func gridLink(path string) string { return "test-grid/" + escapePath(path) }

// gridOfHistory is the page of the tests of the job with this history; empty without one.
func gridOfHistory(link string) string {
	if rest, ok := strings.CutPrefix(link, "job-history/"); ok {
		return "test-grid/" + rest
	}
	return ""
}

// gridQuery is what is asked for.
type gridQuery struct {
	build  uint64
	builds int
	text   string
	only   testgrid.Only
	from   int
	rows   int
	json   bool
}

func parseGridQuery(q url.Values) (out gridQuery, err error) {
	if out.build, err = parseBuildID(q.Get("buildId")); err != nil {
		return out, err
	}
	number := func(name string, least, most, usual int) int {
		text := q.Get(name)
		if text == "" {
			return usual
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < least || n > most {
			err = errors.Join(err, fmt.Errorf("the parameter %s must be a number from %d to %d", name, least, most))
		}
		return n
	}
	out.builds = number("builds", 1, maxGridBuilds, gridBuilds)
	out.from = number("from", 0, 1<<30, 0)
	switch format := q.Get("format"); format {
	case "", "html":
		out.rows = number("rows", 1, gridRows, gridRows)
	case "json":
		out.json, out.rows = true, number("rows", 1, maxGridRows, gridRows)
	default:
		err = errors.Join(err, errors.New("the parameter format must be json or html"))
	}
	out.text, out.only = strings.TrimSpace(q.Get("tests")), testgrid.Only(q.Get("only"))
	if len(out.text) > maxGridFilter {
		err = errors.Join(err, fmt.Errorf("the parameter tests must not be longer than %d bytes", maxGridFilter))
	}
	if !out.only.Valid() {
		err = errors.Join(err, errors.New("the parameter only must be failed, flaky or all"))
	}
	return out, err
}

// values is the query as parameters, without what is usual.
func (q gridQuery) values() url.Values {
	out := url.Values{}
	set := func(name, value string, usual bool) {
		if !usual {
			out.Set(name, value)
		}
	}
	set("buildId", strconv.FormatUint(q.build, 10), q.build == 0)
	set("builds", strconv.Itoa(q.builds), q.builds == gridBuilds)
	set("tests", q.text, q.text == "")
	set("only", string(q.only), q.only == testgrid.Troubled)
	set("from", strconv.Itoa(q.from), q.from == 0)
	return out
}

// with is the address of the same page with a change.
func (q gridQuery) with(change func(*gridQuery)) string {
	change(&q)
	return "?" + q.values().Encode()
}

func (s *server) testGridPage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, "GET, HEAD")
		return
	}
	cfg := s.config.Get()
	root, err := parseHistoryRoot(cfg, strings.TrimPrefix(r.URL.Path, "/test-grid/"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	q, err := parseGridQuery(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	found, err := s.gridOf(r.Context(), cfg, root, q)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !q.json:
		s.notFound(w, r)
	case err != nil:
		s.fail(w, r, err)
	case q.json:
		s.gridJSON(w, r, found.answer())
	default:
		s.render(w, r, "test-grid", "Tests of "+root.job, found.view())
	}
}

func (s *server) gridJSON(w http.ResponseWriter, r *http.Request, answer *gridAnswer) {
	raw, err := json.Marshal(answer)
	if err != nil {
		s.fail(w, r, fmt.Errorf("writing the results of tests: %w", err))
		return
	}
	h := fnv.New64a()
	_, _ = h.Write(raw)
	tag := `W/"` + strconv.FormatUint(h.Sum64(), 36) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", "application/json")
	for candidate := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimSpace(candidate) == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = w.Write(raw) // a viewer who left is no error
}

// foundGrid is the answer to a query.
type foundGrid struct {
	query  gridQuery
	root   historyRoot
	page   history.Page
	more   bool
	builds []history.Build
	grid   *testgrid.Grid
	// pending and problem are of builds.
	pending, problem []bool
	// running is how many builds have not ended, and are left out.
	running int
	rows    []*testgrid.Row
	counts  testgrid.Counts
	// lens is the index of the lens that shows results of a build; -1 is none.
	lens int
}

// gridOf finds the builds and the results of their tests.
func (s *server) gridOf(ctx context.Context, cfg *config.Config, root historyRoot, q gridQuery) (*foundGrid, error) {
	defer s.memory.flush(ctx)
	bucket, err := s.open(ctx, root.place)
	if err != nil {
		return nil, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	out := &foundGrid{query: q, root: root}
	if err := s.gridBuilds(ctx, cfg, bucket, out); err != nil {
		return nil, err
	}
	files := s.junitFiles()
	out.lens = files.lens
	wanted, at := make([]wantedResults, 0, len(out.builds)), make([]int, 0, len(out.builds))
	commits := make([]string, len(out.builds))
	out.pending, out.problem = make([]bool, len(out.builds)), make([]bool, len(out.builds))
	for i := range out.builds {
		b := &out.builds[i]
		commits[i] = b.Commit
		where, err := parsePlace(cfg, b.Place)
		if b.Place == "" || err != nil {
			out.problem[i] = true // an alias that leads nowhere
			continue
		}
		wanted, at = append(wanted, wantedResults{where, b.Started.Add(b.Duration), files}), append(at, i)
	}
	got := s.results.get(ctx, wanted, gridPatience)
	select {
	case s.grids <- struct{}{}:
		defer func() { <-s.grids }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out.grid = testgrid.New(commits)
	for n, i := range at {
		switch {
		case got[n].pending:
			out.pending[i] = true
		case got[n].problem:
			out.problem[i] = true
		default:
			if err := out.grid.Add(i, got[n].set, got[n].tests, got[n].body); err != nil {
				s.results.forget(&wanted[n])
				s.log.WarnContext(ctx, "what is stored about tests is read anew", "place", out.builds[i].Place, "error", err)
				out.pending[i] = true
			}
		}
	}
	out.rows, out.counts = out.grid.Rows(q.only, q.text), out.grid.Count()
	return out, nil
}

// gridBuilds finds the builds that have ended.
func (s *server) gridBuilds(ctx context.Context, cfg *config.Config, bucket storage.Bucket, out *foundGrid) error {
	found, err := s.findBuilds(ctx, bucket, out.root)
	if err != nil {
		return err
	}
	out.more, out.page = found.more, found.page(out.query.build, out.query.builds)
	seen := 0
	for page, looks := out.page, 1; ; looks++ {
		for _, b := range s.readBuilds(ctx, cfg, bucket, out.root, page.IDs) {
			seen++
			if b.Ended() {
				out.builds = append(out.builds, b)
			} else {
				out.running++
			}
		}
		missing := out.query.builds - len(out.builds)
		if missing == 0 || !page.HasOlder || looks == gridLooks {
			out.page.HasOlder, out.page.Older = page.HasOlder, page.Older
			break
		}
		next, err := strconv.ParseUint(page.Older, 10, 64)
		if err != nil {
			return fmt.Errorf("the next builds: %w", err)
		}
		page = found.page(next, missing)
		out.page.IDs = append(out.page.IDs, page.IDs...)
	}
	// Of a job that is not shown nothing is told, not even that it exists.
	if seen == 0 && (len(out.page.IDs) > 0 || s.hiddenByName(cfg, out.root.job)) {
		return fs.ErrNotExist
	}
	return nil
}

// part is the rows that are shown, with the number of the first.
func (f *foundGrid) part() []*testgrid.Row {
	from := min(f.query.from, len(f.rows))
	return f.rows[from:min(from+f.query.rows, len(f.rows))]
}

// testLink leads to a test on the page of a build, or to the build.
func (f *foundGrid) testLink(b *history.Build, t testgrid.Test) string {
	if b.Link == "" || f.lens < 0 {
		return b.Link
	}
	return b.Link + "#" + strconv.Itoa(f.lens) + ":" + junit.ID(t.Suite, t.Class, t.Name)
}

// pullNumber is the number of the pull request that a build tested; 0 without one.
func pullNumber(refs *v1.Refs) int {
	if refs == nil || len(refs.Pulls) != 1 {
		return 0
	}
	return refs.Pulls[0].Number
}
