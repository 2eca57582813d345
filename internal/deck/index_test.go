package deck

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/store"
)

var aDay = time.Unix(1_700_000_000, 0)

// indexedJob is a ProwJob that began so many minutes after aDay.
func indexedJob(name string, minute int, ended bool) *v1.ProwJob {
	pj := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: name}, Spec: v1.ProwJobSpec{Job: "unit", Type: v1.PeriodicJob},
		Status: v1.ProwJobStatus{State: v1.TriggeredState, BuildID: "1" + name, StartTime: metav1.NewTime(aDay.Add(time.Duration(minute) * time.Minute)), Description: "about " + name},
	}
	if ended {
		finish(pj)
		pj.Status.Description = "about " + name
	}
	return pj
}

// withStore is an index with a keeper, whose store is at a path.
func withStore(t *testing.T, path string) (*index, *keeper) {
	t.Helper()
	kept, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	x := newIndex()
	x.store, x.keeps = kept, true
	return x, &keeper{index: x, store: kept, placeOf: func(*v1.ProwJob) string { return "" }, most: 1000, look: time.Second, log: discard(), now: time.Now}
}

func putJob(t *testing.T, x *index, pj *v1.ProwJob) {
	t.Helper()
	(&feeder{into: x, log: discard()}).put(t.Context(), pj)
}

func indexNames(x *index) (out string) {
	x.each(func(e *entry) bool { out += e.name; return true })
	return out
}

func TestWhatTheIndexKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deck.db")
	x, k := withStore(t, path)
	x.begin()
	for i, name := range []string{"a", "b", "c", "d"} {
		putJob(t, x, indexedJob(name, i, name != "b" && name != "d"))
	}
	x.sweep()
	if err := k.saveAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(x.held) != 2 || len(x.unsaved) != 0 {
		t.Errorf("%d bodies in memory, want those of the two that run; %d are not saved", len(x.held), len(x.unsaved))
	}
	// Only d is met in the next round.
	x.begin()
	putJob(t, x, indexedJob("d", 3, false))
	x.sweep()
	if got := indexNames(x); got != "dca" {
		t.Errorf("after a round there are %s, want what has ended and what was met", got)
	}
	for _, name := range []string{"a", "c", "d"} {
		if pj := x.get(name); pj == nil || pj.Status.Description != "about "+name || x.run("unit", "1"+name) == nil {
			t.Errorf("%s: %v", name, pj)
		}
	}
	if x.get("b") != nil || x.run("unit", "1b") != nil || x.run("other", "1a") != nil {
		t.Error("something is found that is not there")
	}
	some := x.inCluster(nil, 10, func(*entry) bool { return true })
	if len(some) != 1 || some[0].name != "d" {
		t.Errorf("%d in the cluster", len(some))
	}

	t.Run("and the next process", func(t *testing.T) {
		next, k := withStore(t, path)
		putJob(t, next, indexedJob("c", 2, true)) // the feed may be first
		if err := k.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		putJob(t, next, indexedJob("a", 0, true))
		if got := indexNames(next); got != "ca" || next.get("a") == nil {
			t.Errorf("it has %s", got)
		}
		if waiting := next.waiting(10); len(waiting) != 1 || waiting[0].name != "c" {
			t.Errorf("what the store has is written again: %d", len(waiting))
		}
	})
	t.Run("until it is too old, or too many", func(t *testing.T) {
		x.prune(aDay.Add(time.Minute).Unix(), 10)
		if got := indexNames(x); got != "dc" || x.get("a") != nil {
			t.Errorf("by age: %s", got)
		}
		x.prune(0, 1)
		if got := indexNames(x); got != "d" {
			t.Errorf("by number: %s", got)
		}
	})
}

func TestAStoreThatSomebodyHasEmptied(t *testing.T) {
	x, k := withStore(t, filepath.Join(t.TempDir(), "deck.db"))
	putJob(t, x, indexedJob("gone", 0, true))
	putJob(t, x, indexedJob("here", 1, true))
	if err := k.saveAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.remove("gone")
	if _, err := k.store.PruneRuns(t.Context(), time.Now(), 0); err != nil {
		t.Fatal(err)
	}
	x.fetch = func(_ context.Context, name string) (*v1.ProwJob, error) { return indexedJob(name, 1, true), nil }
	if x.get("gone") != nil || indexNames(x) != "here" {
		t.Errorf("there is still %s", indexNames(x))
	}
	if pj := x.get("here"); pj == nil || pj.Status.Description != "about here" {
		t.Errorf("what the cluster has is not read there: %v", pj)
	}
}

func TestAStoreThatDoesNotWork(t *testing.T) {
	x, k := withStore(t, filepath.Join(t.TempDir(), "deck.db"))
	putJob(t, x, indexedJob("a", 0, true))
	if err := k.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.saveAll(t.Context()); err == nil {
		t.Error("it was written to a closed store")
	}
	x.remove("a")
	if x.get("a") == nil {
		t.Error("a run that waits for the store is lost")
	}
	// The list does without what it cannot read.
	k2 := newIndex()
	k2.store, k2.keeps = k.store, true
	k2.addStored([]*entry{entryOf(indexedJob("b", 0, true))})
	page := k2.list(query{visible: func(unique.Handle[shape]) bool { return true }, limit: 10})
	if heads := k2.heads(t.Context(), page.items); len(page.items) != 1 || heads[0] != nil || page.items[0].sketch().Spec.Job != "unit" {
		t.Errorf("%v %v", page, heads)
	}
}

func TestWithoutAStoreRunsEndWithTheirProwJobs(t *testing.T) {
	x := newIndex()
	putJob(t, x, indexedJob("a", 0, true))
	if x.get("a") == nil {
		t.Fatal("it is not there")
	}
	x.remove("a")
	if x.get("a") != nil || x.size() != 0 || len(x.held) != 0 {
		t.Error("it is still there")
	}
}

func TestTheBoundOfBodiesThatWait(t *testing.T) {
	x, _ := withStore(t, filepath.Join(t.TempDir(), "deck.db"))
	for i := range maxUnsaved + 50 {
		x.put(entryOf(indexedJob(fmt.Sprintf("n%05d", i), i, true)), []byte("x"))
	}
	if len(x.held) != maxUnsaved {
		t.Errorf("%d bodies are held", len(x.held))
	}
}

func TestBodies(t *testing.T) {
	pj := scaleFinished("/b", 3, aDay)
	body, err := packBody(pj)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := unpackBody(body, false)
	if err != nil || whole.Spec.PodSpec == nil || whole.Spec.PodSpec.Containers[1].Env[3] != pj.Spec.PodSpec.Containers[1].Env[3] {
		t.Errorf("%v %v", whole, err)
	}
	head, err := unpackBody(body, true)
	if err != nil || head.Spec.PodSpec != nil || head.Status.Description != pj.Status.Description || pj.Spec.PodSpec == nil {
		t.Errorf("%v %v", head, err)
	}
	for _, bad := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "\x05ab", "\x02abc"} {
		if _, err := unpackBody([]byte(bad), false); err == nil {
			t.Errorf("%q is a body", bad)
		}
	}
	if _, err := unpack(pack([]byte(strings.Repeat("x", maxBody+1)))); err == nil {
		t.Error("a bomb was unpacked")
	}
}

func FuzzBodies(f *testing.F) {
	body, err := packBody(indexedJob("a", 0, true))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = unpackBody(raw, true)
		_, _ = unpackBody(raw, false)
	})
}

func TestGuessedRunsAreShownOnlyIfAllJobsOfTheNameAre(t *testing.T) {
	cfg := watchConfig(t, "\nperiodics:\n- {name: twice, interval: 1h, hidden: true, spec: {containers: [{name: test, image: x}]}}\npresubmits:\n  o/r:\n  - {name: twice, spec: {containers: [{name: test, image: x}]}}\n").Get()
	for job, shown := range map[string][3]bool{ // plain, --hidden-only, --show-hidden
		"twice":   {false, false, true},
		"unknown": {true, false, true},
	} {
		for i, v := range []visibility{{}, {hiddenOnly: true}, {showHidden: true}} {
			sh := guessedShape(job, "", nil)
			if got := (&sight{cfg: cfg, visible: v}).decide(&sh); got != shown[i] {
				t.Errorf("%s with %+v: %t", job, v, got)
			}
		}
	}
}
