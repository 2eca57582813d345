package deck

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/history"
	"prow/internal/storage"
)

const (
	// listAllAfter is how long a whole list of the builds of a job is believed to hold
	// everything that is older than its newest ones.
	listAllAfter = 24 * time.Hour
	// listPullAfter is how long the list of the builds of a pull request is believed,
	// besides the runs that the index knows.
	listPullAfter = 10 * time.Minute
	// lateBuilds is how many of the newest builds may have come out of order.
	lateBuilds = 20
	// maxListBytes bounds a list that is remembered.
	maxListBytes = 4 << 20
)

// buildList is the builds of a job that storage had at a time, in ascending order.
type buildList struct {
	At  time.Time
	IDs []uint64
}

// listJob finds the builds of a job. Where most of them are known, only the newest are
// looked for: those between the last one that is known and latest, and some before.
func (s *server) listJob(ctx context.Context, bucket storage.Bucket, root historyRoot, latest uint64) (ids []uint64, more bool, err error) {
	ending := "/"
	if root.aliases {
		ending = ".txt"
	}
	key := "builds " + root.path() + ending
	var known buildList
	if s.memory.recall(ctx, key, &known) && len(known.IDs) > 0 && latest != 0 && s.now().Sub(known.At) < listAllAfter {
		newest := known.IDs[len(known.IDs)-1]
		if newest >= latest {
			return known.IDs, false, nil
		}
		late := known.IDs[max(0, len(known.IDs)-lateBuilds)]
		// All numbers between two of one length begin with what both begin with.
		if begin := commonPrefix(strconv.FormatUint(late, 10), strconv.FormatUint(latest, 10)); begin != "" {
			fresh, more, err := listBuildsFrom(ctx, bucket, root.key, begin, ending)
			if err == nil && !more {
				known.IDs = append(known.IDs, fresh...)
				slices.Sort(known.IDs)
				known.IDs = slices.Compact(known.IDs)
				s.memory.remember(key, known, maxListBytes)
				return known.IDs, false, nil
			}
		}
	}
	ids, more, err = listBuilds(ctx, bucket, root.key, ending)
	if err == nil && !more && len(ids) > 0 {
		slices.Sort(ids)
		s.memory.remember(key, buildList{s.now(), ids}, maxListBytes)
	}
	return ids, more, err
}

// commonPrefix is what two numbers of one length begin with.
func commonPrefix(a, b string) string {
	if len(a) != len(b) {
		return ""
	}
	n := 0
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// has tells whether the files of a run belong to the history of a job.
func (root historyRoot) has(where place, job string) bool {
	if where.bucketURL() != root.bucketURL() || job != root.job {
		return false
	}
	if !root.aliases {
		dir, _, _ := strings.Cut(strings.TrimPrefix(where.key, root.key+"/"), "/")
		return where.key == root.key+"/"+dir
	}
	dir, err := parseRunDir(where.key)
	return err == nil && dir.job == job && dir.rest == "" && strings.Contains("/"+where.key, "/pr-logs/pull/")
}

// runsBeyond are the builds of a job that the index knows: at most most of those that are
// newer than a build.
func (s *server) runsBeyond(ctx context.Context, root historyRoot, newerThan uint64, most int) (ids []uint64) {
	var found []*entry
	wanted := decider(func(h unique.Handle[shape]) bool { return h.Value().job == root.job && s.sight().of(h) })
	s.index.each(func(e *entry) bool {
		if wanted(e.shape) {
			if id, err := strconv.ParseUint(e.build, 10, 64); err == nil && id > newerThan {
				found = append(found, e)
			}
		}
		return len(found) < most
	})
	for i, pj := range s.index.heads(ctx, found) {
		if pj == nil {
			continue
		}
		if where, err := s.placeOf(pj); err == nil && root.has(*where, pj.Spec.Job) {
			id, _ := strconv.ParseUint(found[i].build, 10, 64) // it was read before
			ids = append(ids, id)
		}
	}
	return ids
}

// indexed is a build as the index knows it, without a look at its files. known is false
// where it does not know it; the build is nil if it is not to be shown.
func (s *server) indexed(ctx context.Context, job, build string, pull int, belongs func(where place, pj *v1.ProwJob) bool) (b *history.Build, known bool) {
	e := s.index.entryOfRun(job, build)
	if e == nil {
		return nil, false
	}
	if !s.sight().of(e.shape) {
		return nil, true
	}
	pj := s.index.heads(ctx, []*entry{e})[0]
	if pj == nil {
		return nil, false
	}
	where, err := s.placeOf(pj)
	if err != nil || !belongs(*where, pj) {
		return nil, false
	}
	return s.buildOfJob(pj, *where, pull), true
}

func (s *server) buildOfJob(pj *v1.ProwJob, where place, pull int) *history.Build {
	id, err := strconv.ParseUint(pj.Status.BuildID, 10, 64)
	if err != nil {
		return nil
	}
	out := &history.Build{
		ID: id, Job: pj.Spec.Job, Link: "view/" + escapePath(where.path()), Place: where.path(), State: v1.PendingState, Started: pj.Status.StartTime.Time, Refs: pj.Spec.MainRefs(),
		Commit: commitOf(&facts{Job: pj}, pull),
	}
	// What counts is how long it ran, not how long it waited for a node.
	if pending := pj.Status.PendingTime; pending != nil {
		out.Started = pending.Time
	}
	end := s.now()
	if pj.Complete() {
		out.State, end = pj.Status.State, pj.Status.CompletionTime.Time
	}
	out.Duration = max(end.Sub(out.Started).Round(time.Second), 0)
	return out
}

// pullList is the builds of a pull request that storage had at a time, by job.
type pullList struct {
	At   time.Time
	Jobs map[string][]uint64
	More bool
}

// pullRuns are the runs of a pull request that the index knows and that may be seen.
func (s *server) pullRuns(view *prHistoryView) (out []*entry) {
	wanted := decider(s.wantedBy(view))
	s.index.each(func(e *entry) bool {
		if e.build != "" && wanted(e.shape) && e.tests(func(p pullOf) bool { return p.number == view.Pull }) {
			out = append(out, e)
		}
		return len(out) < maxPullJobs*4
	})
	return out
}

// below tells whether the files of a run are in the directory of a pull request.
func below(dir, where place) bool {
	run, err := parseRunDir(where.key)
	return err == nil && where.bucketURL() == dir.bucketURL() && run.rest == "" && where.key == dir.key+"/"+run.job+"/"+run.build
}
