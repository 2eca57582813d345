package deck

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
)

const (
	// maxFiles is how many files of a run lenses can be chosen for.
	maxFiles = 20_000
	// maxKnownFiles bounds the files of all runs that are remembered.
	maxKnownFiles = 200_000
	// knownFor is how long the files of a run are remembered: the frames of a page ask
	// for them one after the other.
	knownFor = 5 * time.Second
)

// fileList are the files of a run.
type fileList struct {
	// items are what is in storage, named relative to the directory of the run.
	items []storage.Item
	// names are those of items and of the logs that its pod has, in order.
	names []string
	// more tells that not all were listed.
	more bool
	// err tells why not.
	err error
	at  time.Time
}

// fileLists remembers the files of runs for a moment.
type fileLists struct {
	mu    sync.Mutex
	known map[string]*fileList
	order []string
	total int
}

func (l *fileLists) get(id string, now time.Time) *fileList {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.known[id]; found != nil && now.Sub(found.at) < knownFor {
		return found
	}
	return nil
}

func (l *fileLists) put(id string, found *fileList) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string]*fileList{}
	}
	if old := l.known[id]; old != nil {
		l.forget(id)
	}
	for len(l.order) > 0 && l.total+len(found.names)+1 > maxKnownFiles {
		l.forget(l.order[0])
	}
	l.known[id] = found
	l.order = append(l.order, id)
	l.total += len(found.names) + 1
}

func (l *fileLists) forget(id string) {
	l.total -= len(l.known[id].names) + 1
	delete(l.known, id)
	l.order = slices.DeleteFunc(l.order, func(o string) bool { return o == id })
}

// filesOf lists the files of a run that may be seen.
func (s *server) filesOf(ctx context.Context, r run) *fileList {
	id := r.source()
	if r.pj != nil {
		id += "\x00" + r.pj.ResourceVersion
	}
	if known := s.listings.get(id, s.now()); known != nil {
		return known
	}
	out := &fileList{at: s.now()}
	if r.place != nil {
		out.items, out.more, out.err = s.list(ctx, *r.place)
		if out.err != nil {
			s.log.InfoContext(ctx, "artifacts cannot be listed", "place", r.place.path(), "error", out.err)
		}
	}
	for _, item := range out.items {
		out.names = append(out.names, item.Key)
	}
	out.names = append(out.names, podLogs(r.pj)...)
	slices.Sort(out.names)
	out.names = slices.Compact(out.names)
	if out.err == nil {
		s.listings.put(id, out)
	}
	return out
}

// podLogs are the names that the logs of the containers of a run have in storage, where
// they may not be yet.
func podLogs(pj *v1.ProwJob) []string {
	if pj == nil || pj.Spec.PodSpec == nil {
		return nil
	}
	containers := pj.Spec.PodSpec.Containers
	if len(containers) == 1 {
		return []string{artifacts.BuildLogFile}
	}
	var out []string
	for _, c := range containers {
		out = append(out, artifacts.BuildLogName(c.Name))
	}
	return out
}

// listPauses are the times after which a listing that failed is tried again.
var listPauses = [...]time.Duration{16, 32, 64, 128, 256, 256, 512, 512}

// list lists the files of a run in storage. With an error it returns what it had got.
func (s *server) list(ctx context.Context, p place) (items []storage.Item, more bool, err error) {
	bucket, err := s.open(ctx, p)
	if err != nil {
		return nil, false, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	// The slash keeps builds out whose number begins with this one's.
	prefix := p.key + "/"
	failures := 0
	for token := ""; ; {
		page, err := bucket.List(ctx, storage.ListOptions{Prefix: prefix, Token: token, Limit: min(storage.DefaultPageSize, maxFiles-len(items))})
		if err != nil {
			if failures == len(listPauses) || ctx.Err() != nil || errors.Is(err, fs.ErrPermission) {
				return items, true, fmt.Errorf("listing %s: %w", p.path(), err)
			}
			pause := time.NewTimer(listPauses[failures]*time.Millisecond + rand.N(10*time.Millisecond))
			failures++
			select {
			case <-ctx.Done():
				pause.Stop()
			case <-pause.C:
			}
			continue
		}
		failures = 0
		for _, item := range page.Items {
			item.Key = strings.TrimPrefix(item.Key, prefix)
			// Some tools make objects that stand for directories.
			if !item.IsDir && storage.CheckKey(item.Key) == nil {
				items = append(items, item)
			}
		}
		if page.Next == "" {
			return items, false, nil
		}
		if len(items) >= maxFiles {
			return items, true, nil
		}
		token = page.Next
	}
}

// versionOf changes when one of these files does.
func (l *fileList) versionOf(names []string) string {
	h := fnv.New64a()
	for _, item := range l.items {
		if _, ok := slices.BinarySearch(names, item.Key); ok {
			_, _ = io.WriteString(h, item.Key+"\x00"+strconv.FormatInt(item.Size, 10)+"\x00"+strconv.FormatInt(item.ModTime.UnixNano(), 10)+"\x00")
		}
	}
	return strconv.FormatUint(h.Sum64(), 36)
}
