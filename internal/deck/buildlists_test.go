package deck

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

// watchedStorage notes what is asked of files.
type watchedStorage struct {
	mu    sync.Mutex
	asked []string
}

func (w *watchedStorage) opener() *storage.Opener {
	return storage.NewOpener(map[string]storage.Provider{"file": func(ctx context.Context, l storage.Location) (storage.Bucket, error) {
		b, err := filestore.Provider(ctx, l)
		return watchedBucket{b, w}, err
	}})
}

func (w *watchedStorage) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

// take returns what was asked since it was called last.
func (w *watchedStorage) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.asked
	w.asked = nil
	slices.Sort(out)
	return out
}

type watchedBucket struct {
	storage.Bucket
	by *watchedStorage
}

func (b watchedBucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	b.by.note("get " + key)
	return b.Bucket.Get(ctx, key, offset, length)
}

func (b watchedBucket) Stat(ctx context.Context, key string) (storage.Attributes, error) {
	b.by.note("stat " + key)
	return b.Bucket.Stat(ctx, key)
}

func (b watchedBucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	b.by.note("list " + o.Prefix)
	return b.Bucket.List(ctx, o)
}

// age makes all files of a bucket older than results that may still change.
func (s *site) age() {
	s.t.Helper()
	old := time.Now().Add(-2 * finalAfter)
	err := filepath.Walk(s.bucket, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			err = os.Chtimes(path, old, old)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestHistoriesReadOnlyWhatIsNew(t *testing.T) {
	w := &watchedStorage{}
	dir, dsn := t.TempDir(), filepath.Join(t.TempDir(), "deck.db")
	begin := func() *site {
		t.Helper()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return startIn(t, listener, dir, Options{Store: dsn, Storage: w.opener()}, "\npresubmits:\n  o/r:\n  - {name: unit, spec: {containers: [{name: test, image: x}]}}\n")
	}
	s := begin()
	for i := 1; i <= 45; i++ {
		s.storeBuild(fmt.Sprintf("logs/nightly/%d", 1000+i), 1700000000+int64(i)*3600, "SUCCESS", nil)
		s.storeBuild(fmt.Sprintf("pr-logs/pull/o_r/7/unit/%d", 2000+i), 1700000000+int64(i)*3600, "SUCCESS", nil)
		s.store(fmt.Sprintf("pr-logs/directory/unit/%d.txt", 2000+i), fmt.Sprintf("file://%s/pr-logs/pull/o_r/7/unit/%d", s.bucket, 2000+i))
	}
	s.store("logs/nightly/latest-build.txt", "1045")
	s.store("pr-logs/directory/unit/latest-build.txt", "2045")
	s.age()
	const ofPull = "/pr-history/?org=o&repo=r&pr=7"
	history, unit := "/job-history/file"+s.bucket+"/logs/nightly", "/job-history/file"+s.bucket+"/pr-logs/directory/unit"
	expect := func(s *site, path string, newest string, n int, want ...string) {
		t.Helper()
		w.take()
		if ids := builds(s.get(path).body); len(ids) != n || path != ofPull && ids[0] != newest {
			t.Errorf("%s: %v", path, ids)
		}
		if got := w.take(); want != nil && !slices.Equal(got, want) {
			t.Errorf("%s asked storage for\n%s\nwant\n%s", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	expect(s, history, "1045", 20)
	expect(s, unit, "2045", 20)
	pull := s.get(ofPull).body
	if n := strings.Count(pull, "/pr-logs/pull/o_r/7/unit/20"); n != maxPullBuilds {
		t.Errorf("%d builds of the pull request", n)
	}
	for what, s := range map[string]*site{"the second visit": s, "a restart": begin()} {
		t.Run(what, func(t *testing.T) {
			expect(s, history, "1045", 20, "get logs/nightly/latest-build.txt")
			expect(s, unit, "2045", 20, "get pr-logs/directory/unit/latest-build.txt")
			w.take()
			if got := s.get(ofPull).body; got != pull && strings.Count(got, "/pr-logs/pull/o_r/7/unit/20") != maxPullBuilds {
				t.Error("the page of the pull request has become another")
			}
			if got := w.take(); len(got) > 0 {
				t.Errorf("the pull request asked storage for %v", got)
			}
		})
	}
	t.Run("a new build", func(t *testing.T) {
		s.storeBuild("logs/nightly/1046", 1800000000, "FAILURE", nil)
		s.storeBuild("logs/nightly/1030", 1800000000, "FAILURE", nil) // it was late
		s.store("logs/nightly/latest-build.txt", "1046")
		s.age()
		expect(s, history, "1046", 20, "get logs/nightly/1046/finished.json", "get logs/nightly/1046/prowjob.json", "get logs/nightly/1046/started.json",
			"get logs/nightly/latest-build.txt", "list logs/nightly/10", "stat logs/nightly/1046/finished.json")
	})
	t.Run("runs that the index knows are not read at all", func(t *testing.T) {
		pj := s.job("running", func(pj *v1.ProwJob) { pj.Status.BuildID = "2046" })
		s.eventually("/", "running")
		expect(s, unit, "2046", 20, "get pr-logs/directory/unit/latest-build.txt")
		contains(t, "the history", s.get(unit).body, "running")
		s.update(pj, func(pj *v1.ProwJob) { finish(pj) })
		s.eventually(unit, `class="bar s-failed"`)
		if err := s.jobs.Delete(t.Context(), pj); err != nil {
			t.Fatal(err)
		}
		s.eventually("/prowjobs.js", `{"items":[]}`)
		expect(s, unit, "2046", 20, "get pr-logs/directory/unit/latest-build.txt")
		w.take()
		contains(t, "the pull request", s.get(ofPull).body, "unit/2046", "aaaaaaa")
		if got := w.take(); len(got) > 0 {
			t.Errorf("the pull request asked storage for %v", got)
		}
	})
	t.Run("a build that another job wrote into the history is not taken from the index", func(t *testing.T) {
		s.job("elsewhere", func(pj *v1.ProwJob) {
			pj.Spec.Job, pj.Status.BuildID, pj.Status.StartTime = "nightly", "1047", metav1.Now()
		})
		s.eventually("/", "nightly")
		expect(s, history, "1046", 20)
	})
}

func TestCommonPrefixesOfNumbers(t *testing.T) {
	for pair, want := range map[[2]string]string{{"1045", "1046"}: "104", {"999", "1000"}: "", {"1999", "2000"}: "", {"5", "5"}: "5"} {
		if got := commonPrefix(pair[0], pair[1]); got != want {
			t.Errorf("%v: %q", pair, got)
		}
	}
}
