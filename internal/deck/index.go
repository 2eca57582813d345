package deck

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "prow/api/prowjobs/v1"
)

// index holds the ProwJobs. The objects are shared with the cache that feeds it
// and are never changed.
type index struct {
	mu     sync.RWMutex
	byName map[string]*v1.ProwJob
	byRun  map[runKey]*v1.ProwJob
	// sorted is newest first. It is made again when it is read after a change, so
	// that a burst of changes costs one sort.
	sorted []*v1.ProwJob
	stale  bool
	// version counts changes; changed is closed at the next one.
	version uint64
	changed chan struct{}
}

// runKey is what URLs call a run.
type runKey struct{ job, build string }

func newIndex() *index {
	return &index{byName: map[string]*v1.ProwJob{}, byRun: map[runKey]*v1.ProwJob{}, changed: make(chan struct{})}
}

// set puts or replaces an object.
func (x *index) set(pj *v1.ProwJob) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forget(x.byName[pj.Name])
	x.byName[pj.Name] = pj
	if pj.Status.BuildID != "" {
		x.byRun[runKey{pj.Spec.Job, pj.Status.BuildID}] = pj
	}
	x.touch()
}

// remove drops an object.
func (x *index) remove(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forget(x.byName[name])
	delete(x.byName, name)
	x.touch()
}

func (x *index) forget(old *v1.ProwJob) {
	if old == nil {
		return
	}
	key := runKey{old.Spec.Job, old.Status.BuildID}
	if now := x.byRun[key]; now != nil && now.Name == old.Name {
		delete(x.byRun, key)
	}
}

func (x *index) touch() {
	x.stale = true
	x.version++
	close(x.changed)
	x.changed = make(chan struct{})
}

// watch returns the version and a channel that is closed when it is outdated.
func (x *index) watch() (version uint64, changed <-chan struct{}) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.version, x.changed
}

// get finds an object by name; nil if there is none.
func (x *index) get(name string) *v1.ProwJob {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byName[name]
}

// run finds an object by the name and the build of its run; nil if there is none.
func (x *index) run(job, build string) *v1.ProwJob {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byRun[runKey{job, build}]
}

// all returns every object, newest first. The result is not to be changed.
func (x *index) all() []*v1.ProwJob {
	x.mu.RLock()
	if !x.stale {
		defer x.mu.RUnlock()
		return x.sorted
	}
	x.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stale {
		// Readers still hold the old slice: never sort in place.
		fresh := make([]*v1.ProwJob, 0, len(x.byName))
		for _, pj := range x.byName {
			fresh = append(fresh, pj)
		}
		slices.SortFunc(fresh, newestFirst)
		x.sorted, x.stale = fresh, false
	}
	return x.sorted
}

// newestFirst orders by start, then job, then name.
func newestFirst(a, b *v1.ProwJob) int { return positionOf(a).compare(positionOf(b)) }

// position is where an object stands in the order. It outlives the object, so a
// page can go on after one that is gone.
type position struct {
	start     int64
	job, name string
}

func positionOf(pj *v1.ProwJob) position {
	return position{pj.Status.StartTime.Unix(), pj.Spec.Job, pj.Name}
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(q.start, p.start), cmp.Compare(p.job, q.job), cmp.Compare(p.name, q.name))
}

// cursor is the position as a URL carries it.
func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.start, 10) + "\x00" + p.job + "\x00" + p.name))
}

func parseCursor(s string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != 3 {
		return position{}, errors.New("the cursor is not one of this list")
	}
	start, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return position{}, errors.New("the cursor is not one of this list")
	}
	return position{start, parts[1], parts[2]}, nil
}

// query chooses ProwJobs. Empty fields choose everything.
type query struct {
	// repo is "org/repo"; job a name, or a pattern with "*".
	repo, job, author, cluster string
	state                      v1.ProwJobState
	kind                       v1.ProwJobType
	// pull is the number of a pull request; 0 is any.
	pull int
	// since limits to objects that started at or after it.
	since time.Time
	// visible decides what the viewer may see.
	visible func(*v1.ProwJob) bool
	// after continues a list; limit is the most objects of a page.
	after *position
	limit int
}

func (q *query) matches(pj *v1.ProwJob) bool {
	switch {
	case !q.visible(pj),
		q.state != "" && pj.Status.State != q.state,
		q.kind != "" && pj.Spec.Type != q.kind,
		q.cluster != "" && pj.ClusterAlias() != q.cluster,
		q.job != "" && !matchJob(q.job, pj.Spec.Job),
		!q.since.IsZero() && pj.Status.StartTime.Time.Before(q.since):
		return false
	}
	if q.repo == "" && q.pull == 0 && q.author == "" {
		return true
	}
	refs := pj.Spec.MainRefs()
	if refs == nil || q.repo != "" && refs.Org+"/"+refs.Repo != q.repo {
		return false
	}
	if q.pull == 0 && q.author == "" {
		return true
	}
	if pj.Spec.Refs == nil {
		return false
	}
	return slices.ContainsFunc(pj.Spec.Refs.Pulls, func(p v1.Pull) bool {
		return (q.pull == 0 || p.Number == q.pull) && (q.author == "" || strings.EqualFold(p.Author, q.author))
	})
}

// matchJob compares a name with a name, or with a pattern in which "*" is any text.
func matchJob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// listing is a page of a list.
type listing struct {
	items []*v1.ProwJob
	// total counts what matches, whatever the page; states counts it by state as if
	// no state were asked for.
	total  int
	states map[v1.ProwJobState]int
	// next continues the list; empty on the last page.
	next string
}

// list answers a query.
func (x *index) list(q query) listing {
	out := listing{states: map[v1.ProwJobState]int{}}
	state := q.state
	q.state = ""
	for _, pj := range x.all() {
		if !q.matches(pj) {
			continue
		}
		out.states[pj.Status.State]++
		if state != "" && pj.Status.State != state {
			continue
		}
		out.total++
		if q.after != nil && positionOf(pj).compare(*q.after) <= 0 {
			continue
		}
		switch {
		case len(out.items) < q.limit:
			out.items = append(out.items, pj)
		case out.next == "":
			out.next = positionOf(out.items[len(out.items)-1]).cursor()
		}
	}
	return out
}

// parseSince reads an age such as "36h" or "7d", or a date.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("since=%q: expected an age such as 36h or 7d, or a date such as 2026-01-31", s)
}
