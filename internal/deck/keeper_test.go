package deck

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/store"
	"prow/internal/store/storetest"
)

func finish(pj *v1.ProwJob) {
	pj.Status.State, pj.Status.Description = v1.FailureState, "Two tests failed."
	pj.Status.CompletionTime = &metav1.Time{Time: time.Now().Truncate(time.Second)}
}

func TestRunsOutliveTheirProwJobs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deck.db")
	s := start(t, Options{Store: path}, "")
	ended := s.job("ended", func(pj *v1.ProwJob) { pj.Status.BuildID = "101"; finish(pj) })
	hidden := s.job("concealed", func(pj *v1.ProwJob) { pj.Spec.Hidden = true; pj.Status.BuildID = "102"; finish(pj) })
	later := s.job("later", func(pj *v1.ProwJob) { pj.Spec.Refs.Repo = "later"; pj.Status.BuildID = "103"; finish(pj) })
	broken := s.job("broken-off", func(pj *v1.ProwJob) { pj.Status.BuildID = "104" })
	s.eventually("/prowjobs.js", "ended", "later", "broken-off")
	for _, pj := range []*v1.ProwJob{ended, hidden, later, broken} {
		if err := s.jobs.Delete(t.Context(), pj); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("/prowjobs.js", `{"items":[]}`)
	s.eventually("/data.js", `[]`)

	check := func(s *site, what string) {
		t.Helper()
		list := s.get("/").body
		contains(t, what+", the list", list, "Two tests failed.", "#7", "ann")
		lacks(t, what+", the list", list, "concealed", "broken-off")
		contains(t, what+", a search", s.get("/?repo=o/r&state=failure&author=ANN&pull=7").body, "Two tests failed.")
		lacks(t, what+", a search for another state", s.get("/?state=success").body, "Two tests failed.")
		contains(t, what+", the badge", s.get("/badge.svg?jobs=unit").body, "failing unit")
		for path, code := range map[string]int{"/run/ended": 200, "/view/prowjob/unit/101": 200, "/prowjob?prowjob=ended": 200, "/rerun?prowjob=ended": 200, "/run/concealed": 404, "/prowjob?prowjob=concealed": 404, "/view/prowjob/unit/102": 404, "/run/broken-off": 404} {
			if got := s.get(path); got.StatusCode != code {
				t.Errorf("%s, %s: %s", what, path, got.Status)
			}
		}
		run := s.get("/run/ended").body
		contains(t, what+", the run", run, "Two tests failed.", "o/r", "#7", "Ended", "Fix it")
		contains(t, what+", the YAML", s.get("/prowjob?prowjob=ended").body, "image: img", "kind: ProwJob")
	}
	check(s, "after the cluster")
	contains(t, "another repository", s.get("/run/later").body, "Two tests failed.")

	awaitStored(t, path, 3)
	again := start(t, Options{Store: path}, "")
	again.eventually("/", "Two tests failed.")
	check(again, "after a restart")

	t.Run("and follow the configuration of today", func(t *testing.T) {
		again.configure(deckWith("hidden_repos: [o/later]"))
		deadline := time.Now().Add(10 * time.Second)
		for again.get("/run/later").StatusCode != http.StatusNotFound {
			if time.Now().After(deadline) {
				t.Fatal("it is still shown")
			}
			time.Sleep(20 * time.Millisecond)
		}
		lacks(t, "the list", again.get("/").body, "o/later")
	})
}

// awaitStored waits until so many runs are in a store.
func awaitStored(t *testing.T, dsn string, runs int) {
	t.Helper()
	kept, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n := 0
		if err := kept.EachRun(t.Context(), 1000, func(store.Run) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if n == runs {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d runs are in the store, want %d", n, runs)
		}
	}
}

func TestTwoDecksKeepTheSameRuns(t *testing.T) {
	dsn := storetest.Postgres(t)
	one := start(t, Options{Store: dsn}, "")
	one.job("a", func(pj *v1.ProwJob) { pj.Status.BuildID = "1"; finish(pj) })
	one.eventually("/", "Two tests failed.")
	awaitStored(t, dsn, 1)
	two := start(t, Options{Store: dsn}, "")
	contains(t, "the other deck", two.get("/").body, "Two tests failed.")
}

func TestAStoreThatIsAskedForMustBeThere(t *testing.T) {
	o := &Options{Store: filepath.Join(t.TempDir(), "none", "deck.db")}
	if _, _, err := openStore(t.Context(), o, discard()); err == nil || !strings.Contains(err.Error(), "--store") {
		t.Error(err)
	}
	// /proc is not writable, whoever one is.
	o = &Options{Store: "/proc/deck.db", storeGiven: func() bool { return false }}
	s, done, err := openStore(t.Context(), o, discard())
	if err != nil && !strings.Contains(err.Error(), "no such file") || err == nil && s == nil {
		t.Errorf("%v %v", s, err)
	}
	if err == nil {
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}
