package store_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/store"
	"prow/internal/store/storetest"
)

func run(name string, minute int) store.Run {
	return store.Run{
		Name: name, Job: "unit", Build: "10" + name, Type: "presubmit", State: "success", Cluster: "default", Tenant: "t", Hidden: true,
		Repos: []store.Repo{{Org: "https://gerrit", Repo: "a/b"}, {Org: "o", Repo: "r"}}, HasRefs: true, Pulls: []store.Pull{{Number: 7, Author: "ann"}, {Number: 8}},
		Started: start.Add(time.Duration(minute) * time.Minute), Completed: start.Add(time.Duration(minute+1) * time.Minute),
		Place: "gs/b/logs/unit/10" + name, Version: 1<<63 + 1, Body: []byte("body of " + name),
	}
}

func runs(t *testing.T, s *store.Store) (out []store.Run) {
	t.Helper()
	must(t, s.EachRun(t.Context(), 1000, func(r store.Run) error {
		out = append(out, r)
		return nil
	}))
	return out
}

func runNames(all []store.Run) (out string) {
	for _, r := range all {
		out += r.Name
	}
	return out
}

func TestRunsComeBackAsTheyWereWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		want := run("a", 0)
		must(t, s.PutRuns(t.Context(), []store.Run{run("b", -1), want, run("c", 1)}, start))
		must(t, s.Close())
		s = open()
		all := runs(t, s)
		if runNames(all) != "cab" {
			t.Fatalf("%v", all)
		}
		want.Body, want.Written = nil, start
		if !reflect.DeepEqual(all[1], want) {
			t.Errorf("got  %+v\nwant %+v", all[1], want)
		}
		bodies, err := s.RunBodies(t.Context(), []string{"a", "x"})
		must(t, err)
		if len(bodies) != 1 || string(bodies["a"]) != "body of a" {
			t.Errorf("%q", bodies)
		}
	})
}

func TestARunIsReplacedByAnotherVersionOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s, other := open(), open() // two processes that see the same cluster
		r := run("a", 0)
		must(t, s.PutRuns(t.Context(), []store.Run{r, r}, start))
		r.State, r.Body = "failure", []byte("not taken")
		must(t, other.PutRuns(t.Context(), []store.Run{r}, start.Add(time.Hour)))
		if got := runs(t, s); len(got) != 1 || got[0].State != "success" || !got[0].Written.Equal(start) {
			t.Errorf("the same version: %+v", got)
		}
		r.Version, r.Body = 2, []byte("taken")
		must(t, other.PutRuns(t.Context(), []store.Run{r}, start.Add(time.Hour)))
		bodies, err := s.RunBodies(t.Context(), []string{"a"})
		must(t, err)
		if got := runs(t, s); got[0].State != "failure" || string(bodies["a"]) != "taken" {
			t.Errorf("another version: %+v %q", got, bodies)
		}
		var since []store.Run
		must(t, s.EachRunSince(t.Context(), start.Add(time.Minute), func(r store.Run) error { since = append(since, r); return nil }))
		if runNames(since) != "a" {
			t.Errorf("written since: %v", since)
		}
	})
}

func TestRunsByPlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		other, nested := run("b", 0), run("c", 0)
		other.Place, nested.Place = "gs/b/logs/unit-2/1", "gs/b/logs/unit/deeper/1"
		must(t, s.PutRuns(t.Context(), []store.Run{run("a", 0), other, nested}, start))
		got, err := s.RunPlaces(t.Context(), "gs/b/logs/unit/")
		must(t, err)
		if len(got) != 2 || got["gs/b/logs/unit/10a"] != "a" {
			t.Errorf("%v", got)
		}
	})
}

func TestHostileRunsAreWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		r := run("a", 0)
		r.Job, r.Repos, r.Pulls = "x\x00\xff", []store.Repo{{Org: "o\tp\nq", Repo: "\x00"}}, []store.Pull{{Number: -1, Author: "a\tb\n9\tc"}}
		must(t, s.PutRuns(t.Context(), []store.Run{r}, start))
		if got := runs(t, s); len(got) != 1 || len(got[0].Repos) != 1 || len(got[0].Pulls) != 1 || got[0].Repos[0].Org != "o p q" || got[0].Job != "x??" {
			t.Errorf("%+v", got)
		}
	})
}

func TestPruneRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		var all []store.Run
		for i := range 1201 {
			all = append(all, run(fmt.Sprintf("n%04d", i), i))
		}
		must(t, s.PutRuns(t.Context(), all, start))
		prune := func(before time.Time, newest int, want int64, left int) {
			t.Helper()
			n, err := s.PruneRuns(t.Context(), before, newest)
			if err != nil || n != want {
				t.Errorf("%d pruned, %v; want %d", n, err, want)
			}
			var names []string
			for _, r := range all {
				names = append(names, r.Name)
			}
			bodies, err := s.RunBodies(t.Context(), names)
			if err != nil || len(bodies) != left {
				t.Errorf("%d bodies are left, %v; want %d", len(bodies), err, left)
			}
		}
		prune(time.Time{}, 0, 0, 1201)
		prune(time.Time{}, 1201, 0, 1201)
		prune(start.Add(100*time.Minute), 0, 100, 1101)
		prune(start, 300, 801, 300)
		if got := runs(t, s); len(got) != 300 || got[0].Name != "n1200" || got[299].Name != "n0901" {
			t.Errorf("%d are left", len(got))
		}
	})
}

func TestWhatIsRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		ctx, s := t.Context(), open()
		must(t, s.Remember(ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2"), "c": {}}, start))
		must(t, s.Remember(ctx, map[string][]byte{"b": []byte("3")}, start.Add(time.Hour)))
		recall := func() string {
			t.Helper()
			got, err := s.Recall(ctx, []string{"a", "b", "c", "d"})
			must(t, err)
			var out []string
			for key, value := range got {
				out = append(out, key+string(value))
			}
			slices.Sort(out)
			return strings.Join(out, " ")
		}
		if got := recall(); got != "a1 b3 c" {
			t.Errorf("recalled %s", got)
		}
		must(t, s.KeepRemembered(ctx, []string{"a"}, start.Add(2*time.Hour)))
		if n, err := s.Forget(ctx, start.Add(time.Minute), 10); n != 1 || err != nil || recall() != "a1 b3" {
			t.Errorf("by age %d %v: %s", n, err, recall())
		}
		if n, err := s.Forget(ctx, start, 1); n != 1 || err != nil || recall() != "a1" {
			t.Errorf("by number %d %v: %s", n, err, recall())
		}
	})
}
