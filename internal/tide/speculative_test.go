package tide

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/tide/planner"
)

// speculativeConfig has the speculative planner for the repository.
const speculativeConfig = baseConfig + `
  planners:
    acme/app: {name: speculative, max_runs: 10, deadline: 2h}
`

// end ends the runs of exactly these pull requests, written as "#1 #2".
func (w *world) end(state prowv1.ProwJobState, pulls string) {
	w.t.Helper()
	for _, j := range w.runs() {
		var names []string
		for _, p := range j.Spec.Refs.Pulls {
			names = append(names, fmt.Sprintf("#%d", p.Number))
		}
		if !j.Complete() && strings.Join(names, " ") == pulls {
			j.SetComplete()
			j.Status.State = state
			w.update(&j)
			return
		}
	}
	w.t.Fatalf("no run of %s among %v", pulls, w.running())
}

// tested opens a pull request whose job has passed before the base moved.
func (w *world) tested(file string) (number int, head string) {
	w.t.Helper()
	number, head = w.pull(file, "lgtm")
	w.passed(head, "unit", "0123456789012345678901234567890123456789")
	return number, head
}

// restart replaces the sync controller by one that remembers nothing but the history.
func (w *world) restart() {
	s := w.sync
	w.sync = &Syncer{
		Provider: s.Provider, Jobs: s.Jobs, InRepo: s.InRepo, Git: s.Git, Changes: NewChanges(s.Provider.ChangedFiles), Board: s.Board,
		History: s.History, Metrics: s.Metrics, Plan: s.Plan, Now: s.Now, Sleep: s.Sleep, Log: s.Log,
	}
}

// refuse answers requests whose path ends so with an error.
func refuse(suffix string, status int, message string) func(*http.Request, string) (int, string) {
	return func(r *http.Request, _ string) (int, string) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			return status, refusal(message)
		}
		return 0, ""
	}
}

func TestCombinationsAreTestedOnTopOfEachOther(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	one, headOne := w.tested("one")
	w.round()
	if got := w.running(); !slices.Equal(got, []string{"unit #1"}) {
		t.Fatalf("the first is tested by itself: %v", got)
	}
	if job := w.runs()[0]; job.Spec.Type != prowv1.BatchJob || job.Labels[prowv1.CreatedByTideLabel] != "true" {
		t.Errorf("a trial must not report to the pull request: %+v", job.Spec)
	}
	w.round()
	w.expectStatus(headOne, "pending: It is being tested on the current base.")
	two, headTwo := w.tested("two")
	w.round()
	if got := w.running(); !slices.Contains(got, "unit #1 #2") || !slices.Contains(got, "unit #1") {
		t.Fatalf("the second is tested on top of the first: %v", got)
	}
	w.round()
	w.expectStatus(headTwo, "pending: It is being tested together with #1.")
	w.end(prowv1.SuccessState, "#1")
	w.round()
	w.expect("MERGE #1")
	runs := len(w.runs())
	w.round()
	if w.end(prowv1.SuccessState, "#1 #2"); len(w.runs()) != runs {
		t.Fatalf("what is tested on top of the first need not be tested again: %v", w.running())
	}
	w.round()
	w.expect("MERGE #2")
	if !w.merged(one) || !w.merged(two) {
		t.Fatal("both are to be merged")
	}
	records := w.past.All()["acme/app:main"]
	if len(records) == 0 || records[0].Action != "MERGE" || records[0].Target[0].Number != two {
		t.Errorf("the history is %+v", records)
	}
}

func TestWhoeverFailsByItselfIsEjectedAndTheOthersAreMerged(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	heads := map[int]string{}
	for _, file := range []string{"one", "two", "three"} {
		number, head := w.tested(file)
		heads[number] = head
	}
	const bad = 2
	for range 20 {
		w.round()
		for _, j := range w.runs() {
			if j.Complete() {
				continue
			}
			j.SetComplete()
			j.Status.State = prowv1.SuccessState
			if slices.ContainsFunc(j.Spec.Refs.Pulls, func(p prowv1.Pull) bool { return p.Number == bad }) {
				j.Status.State = prowv1.FailureState
			}
			w.update(&j)
		}
	}
	if !w.merged(1) || !w.merged(3) || w.merged(bad) {
		t.Fatalf("merged: %v %v %v", w.merged(1), w.merged(bad), w.merged(3))
	}
	if got := w.tide(heads[bad]); !strings.HasPrefix(got, "pending: It fails by itself on the current base") {
		t.Errorf("its author is told %q", got)
	}
	if n := len(w.runs()); n > 12 {
		t.Errorf("%d runs for three pull requests", n)
	}
	// Another head is another chance.
	heads[bad] = w.push("change-two", "main", "two", "mended\n")
	w.passed(heads[bad], "unit", "0123456789012345678901234567890123456789")
	w.round()
	if got := w.running(); !slices.Equal(got, []string{"unit #2"}) {
		t.Fatalf("running %v", got)
	}
	w.finish(prowv1.SuccessState)
	w.round()
	if !w.merged(bad) {
		t.Error("what was mended is to be merged")
	}
}

func TestAFailureThatRepeatsItselfEjectsTheOnlyOneOfTheQueue(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	_, head := w.tested("one")
	for range 10 {
		w.round()
		w.finish(prowv1.FailureState)
	}
	if got := w.tide(head); !strings.HasPrefix(got, "pending: It fails by itself") {
		t.Errorf("its author is told %q", got)
	}
	if n := len(w.runs()); n < 2 || n > 3 {
		t.Errorf("%d runs, want one and another that rules out a flake", n)
	}
}

func TestWhatIsTestedOnceMoreKnowsWhatHasPassed(t *testing.T) {
	list := attempts{latest: map[string]int{}}
	of := planner.Trial{Base: "b", Pulls: []planner.Head{{Number: 1, SHA: "x"}}, Required: []string{"lint", "unit"}}
	for _, r := range []planner.BatchRun{{Context: "lint", State: planner.RunSuccess}, {Context: "unit", State: planner.RunFailure}, {Context: "unit", State: planner.RunPending}} {
		list.add(of, r)
	}
	if len(list.trials) != 2 || len(list.trials[0].Runs) != 2 || fmt.Sprint(list.trials[1].Runs) != "[{lint success} {unit pending}]" || list.trials[0].ID == list.trials[1].ID {
		t.Errorf("%+v", list.trials)
	}
}

func TestAnotherProcessGoesOnWhereASpeculationWas(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	w.tested("one")
	w.round()
	w.tested("two")
	w.round()
	w.end(prowv1.SuccessState, "#1")
	w.round()
	w.expect("MERGE #1")
	w.restart()
	runs := len(w.runs())
	w.end(prowv1.SuccessState, "#1 #2")
	w.round()
	if w.round(); !w.merged(2) {
		t.Fatalf("the result is there, and names what is on the branch: %s, %v", w.action(), w.running())
	}
	if len(w.runs()) != runs {
		t.Errorf("%d runs, before %d", len(w.runs()), runs)
	}
}

func TestNothingIsMergedBeforeWhatItDependsOn(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	first, firstHead := w.tested("first")
	if _, err := w.gh.EditPullRequest(w.t.Context(), "acme", "app", first, github.Edit{Body: "Needs another.\n\nDepends-On: #2\n"}); err != nil {
		t.Fatal(err)
	}
	w.round()
	if got := w.running(); len(got) != 0 {
		t.Fatalf("it waits for one that does not exist: %v", got)
	}
	w.expectStatus(firstHead, "pending: It depends on acme/app#2, which does not exist.")
	second, secondHead := w.pull("second")
	w.passed(secondHead, "unit", "0123456789012345678901234567890123456789")
	w.offset += time.Hour
	w.round()
	w.expectStatus(firstHead, "pending: It depends on acme/app#2, which is not merged yet.")
	w.label(second, "lgtm")
	w.round()
	if got := w.running(); !slices.Contains(got, "unit #2") && !slices.Contains(got, "unit #2 #1") {
		t.Fatalf("running %v", got)
	}
	for range 3 {
		w.finish(prowv1.SuccessState)
		w.round()
	}
	if !w.merged(first) || !w.merged(second) {
		t.Fatal("both are to be merged")
	}
	w.git(w.clone, "fetch", "--quiet", "origin")
	log := w.git(w.clone, "log", "--first-parent", "--reverse", "--format=%s", "origin/main")
	if strings.Index(log, fmt.Sprintf("#%d ", second)) > strings.Index(log, fmt.Sprintf("#%d ", first)) {
		t.Errorf("merged in the order\n%s", log)
	}
}

func TestWhatWasMergedInAnotherBranchIsKnownAtOnce(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	w.push("release", "main", "README.md", "released\n")
	w.push("fix", "release", "fix", "fix\n")
	fix, err := w.gh.CreatePullRequest(t.Context(), "acme", "app", "Fix", "please", "fix", "release")
	if err != nil {
		t.Fatal(err)
	}
	w.passed(w.git(w.clone, "rev-parse", "HEAD"), "unit", w.git(w.clone, "rev-parse", "origin/release"))
	port, head := w.tested("port")
	if _, err := w.gh.EditPullRequest(t.Context(), "acme", "app", port, github.Edit{Body: fmt.Sprintf("Depends-On: #%d", fix)}); err != nil {
		t.Fatal(err)
	}
	w.round()
	w.expectStatus(head, "pending: It depends on acme/app#1, which is not merged yet.")
	w.label(fix, "lgtm")
	w.offset -= time.Minute // no time passes
	if w.round(); !w.merged(fix) {
		t.Fatalf("the fix is to be merged: %+v", w.sync.Pools())
	}
	w.offset -= time.Minute
	if w.round(); len(w.running()) != 1 {
		t.Errorf("what depends on it is to be tested: %s", w.tide(head))
	}
}

func TestARefusedMergeDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	_, head := w.tested("one")
	w.tested("two")
	w.round()
	w.proxy.interpose(refuse("/pulls/1/merge", 405, "Pull Request is not mergeable"))
	for range 6 {
		w.finish(prowv1.SuccessState)
		w.round()
	}
	if w.merged(1) || !w.merged(2) {
		t.Fatalf("merged: %v %v", w.merged(1), w.merged(2))
	}
	if got := w.tide(head); !strings.HasPrefix(got, "pending: The forge refused to merge it") {
		t.Errorf("its author is told %q", got)
	}
	w.proxy.interpose(nil)
	w.offset += 2 * time.Hour
	for range 3 {
		w.round()
		w.finish(prowv1.SuccessState)
	}
	if w.round(); !w.merged(1) {
		t.Error("a refusal is not believed for ever")
	}
}

func TestARunThatTakesTooLongIsStoppedAndStartedAgain(t *testing.T) {
	w := newWorld(t)
	w.configure(speculativeConfig, unitJob)
	w.tested("one")
	w.round()
	w.offset += 3 * time.Hour
	w.round()
	w.round()
	runs := w.runs()
	if len(runs) != 2 || runs[0].Status.State != prowv1.AbortedState || runs[1].Complete() {
		t.Fatalf("the runs are %+v", runs)
	}
	w.end(prowv1.SuccessState, "#1")
	if w.round(); !w.merged(1) {
		t.Error("the second run counts")
	}
}

func TestDependenciesThatADescriptionNames(t *testing.T) {
	pr := &PullRequest{Org: "acme", Repo: "app", Number: 7}
	for body, want := range map[string]string{
		"Depends-On: #3":            "[acme/app#3]",
		"depends-on: other/lib#12 ": "[other/lib#12]",
		"x\r\nDepends-On: https://github.com/acme/lib/pull/4\r\nDepends-On: #3": "[acme/lib#4 acme/app#3]",
		"Depends-On: #7":                               "[]", // itself
		"Depends-On: #3\nDepends-On: acme/app#3":       "[acme/app#3]",
		"See Depends-On: #3":                           "[]",
		"Depends-On: three":                            "[]",
		"Depends-On: https://x/y":                      "[]",
		"Depends-On: #99999999999999":                  "[]",
		strings.Repeat("Depends-On: a/b#1\n", 100_000): "[a/b#1]",
	} {
		pr.Body = body
		if got := fmt.Sprint(dependencies(pr)); got != want {
			t.Errorf("%.60q names %s, want %s", body, got, want)
		}
	}
	var many strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&many, "Depends-On: #%d\n", n+10)
	}
	if pr.Body = many.String(); len(dependencies(pr)) != maxDependencies {
		t.Errorf("%d dependencies", len(dependencies(pr)))
	}
}

func TestThePlannerOfABranch(t *testing.T) {
	cfg := loadConfig(t, baseConfig+`
  planners:
    "*": {name: classic}
    acme: {name: speculative}
    acme/app@release: {name: classic}
`, "{}")
	for branch, want := range map[string]config.PlannerName{"main": config.PlannerSpeculative, "release": config.PlannerClassic} {
		if got := cfg.Tide.Planner("acme", "app", branch); got.Name != want {
			t.Errorf("%s has %s", branch, got.Name)
		}
	}
	if got := cfg.Tide.Planner("other", "app", "main"); got.Name != config.PlannerClassic || got.MaxRuns != 20 || got.Deadline.Duration != 24*time.Hour {
		t.Errorf("%+v", got)
	}
	if _, err := tryConfig(t, baseConfig+"\n  planners: {acme: {name: clever, max_runs: -1}}\n", "{}"); err == nil || !strings.Contains(err.Error(), "tide.planners.acme") || !strings.Contains(err.Error(), "classic or speculative") {
		t.Error(err)
	}
}

func TestARoundInWhichNothingChangedAsksNothingButItsSearches(t *testing.T) {
	for name, cfg := range map[string]string{"classic": baseConfig, "speculative": speculativeConfig} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.configure(cfg+"  blocker_label: blocker\n", unitJob)
			w.tested("one")
			w.tested("two")
			w.pull("three")
			for range 3 {
				w.round()
			}
			w.proxy.forget()
			w.round()
			w.proxy.mu.Lock()
			defer w.proxy.mu.Unlock()
			searches := 0
			for i, r := range w.proxy.requests {
				if !strings.HasSuffix(r, "/graphql") || !strings.Contains(w.proxy.bodies[i], "search(") {
					t.Errorf("asks for %s %.100s", r, w.proxy.bodies[i])
				}
				searches++
			}
			// One for candidates, one for blocking issues, one for statuses.
			if searches != 3 {
				t.Errorf("%d searches", searches)
			}
		})
	}
}
