package tide

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/github"
	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

// withTide is the base configuration with more settings of tide.
func withTide(more string) string {
	return strings.TrimRight(baseConfig, "\n") + "\n" + more
}

func TestProbe01AnEmptyConfigurationShowsNothing(t *testing.T) {
	w := newWorld(t)
	w.configure("prowjob_namespace: default\ntide: {}\n", "{}")
	w.round()
	h := Handler(w.sync.Pools, w.past)
	for path, want := range map[string]string{"/": "[]", "/anything": "[]", "/history": "{}"} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
		if r.Code != http.StatusOK || r.Body.String() != want {
			t.Errorf("%s answers %d %s", path, r.Code, r.Body)
		}
	}
}

func TestProbe04Probe05Searches(t *testing.T) {
	w := newWorld(t)
	w.configure(`
prowjob_namespace: default
tide:
  queries:
  - {orgs: [a], excludedRepos: [a/x], labels: ["a,b", "c: yes"]}
  - {orgs: [b], labels: ["c: yes", "a,b"]}
`, "{}")
	w.round()
	calls := w.proxy.calls("POST /api/graphql")
	var texts []string
	for _, c := range calls {
		var body struct{ Variables struct{ Query string } }
		if err := json.Unmarshal([]byte(c), &body); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, body.Variables.Query)
	}
	if len(texts) != 2 {
		t.Fatalf("one search for candidates and one for statuses: %q", texts)
	}
	for _, part := range []string{`label:"a","b"`, `label:"c: yes"`, `org:"a"`, `org:"b"`, `-repo:"a/x"`, "is:pr state:open archived:false", " updated:2007-01-01T00:00:00Z.."} {
		if !strings.Contains(texts[0], part) {
			t.Errorf("%q does not contain %s", texts[0], part)
		}
	}
	if want := `is:pr state:open sort:updated-asc archived:false org:"a" -repo:"a/x" org:"b" updated:2007-01-01T00:00:00Z..`; !strings.HasPrefix(texts[1], want) {
		t.Errorf("statuses are searched by %q", texts[1])
	}
}

func TestProbe07AFailedPageLeavesThoseBefore(t *testing.T) {
	w := newWorld(t)
	number, _ := w.pull("one", "lgtm")
	w.configure(baseConfig, "{}")
	pages := 0
	w.proxy.interpose(func(r *http.Request, body string) (int, string) {
		if r.URL.Path != "/api/graphql" || !strings.Contains(body, "mergeStateStatus") {
			return 0, ""
		}
		if pages++; pages > 1 {
			return http.StatusBadRequest, refusal("broken")
		}
		r2 := httptest.NewRecorder()
		r.Body = readCloser(body)
		w.forge.Handler().ServeHTTP(r2, r)
		return http.StatusOK, strings.NewReplacer(`"hasNextPage":false`, `"hasNextPage":true`, `"endCursor":null`, `"endCursor":"x"`).Replace(r2.Body.String())
	})
	if err := w.sync.Sync(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	if pages != 2 || !w.merged(number) {
		t.Errorf("%d pages, merged %v", pages, w.merged(number))
	}
	if got := w.counted("tidequeryresults", "error"); got != 1 {
		t.Errorf("a partial result counts as an error: %v", got)
	}
}

func TestProbe08AReadyPullRequestIsMergedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, "{}")
	number, head := w.pull("one", "lgtm")
	w.report(head, "ci", "success", "ok")
	w.proxy.forget()
	w.round()
	w.expect(fmt.Sprintf("MERGE #%d", number))
	w.proxy.mu.Lock()
	statusAt := slices.Index(w.proxy.requests, "POST /api/v3/repos/acme/app/statuses/"+head)
	mergeAt := slices.Index(w.proxy.requests, fmt.Sprintf("PUT /api/v3/repos/acme/app/pulls/%d/merge", number))
	w.proxy.mu.Unlock()
	if statusAt < 0 || mergeAt < statusAt {
		t.Errorf("the own status is set at %d, the merge is at %d", statusAt, mergeAt)
	}
	var details map[string]string
	_ = json.Unmarshal([]byte(w.proxy.calls("PUT ")[0]), &details)
	if details["sha"] != head || details["merge_method"] != "merge" || len(details) != 2 {
		t.Errorf("the merge asks for %v", details)
	}
	if got := w.past.All()["acme/app:main"]; len(got) != 1 || got[0].Action != "MERGE" || got[0].Target[0].SHA != head || got[0].Err != "" {
		t.Errorf("the history is %+v", got)
	}
	w.expectStatus(head, "success: ")
}

func TestProbe09AConflictKeepsFromThePool(t *testing.T) {
	w := newWorld(t)
	_, _ = w.pull("same", "lgtm")
	w.push("main", "main", "same", "other\n")
	head := w.git(w.clone, "rev-parse", "origin/change-same")
	w.round()
	w.expect("")
	w.expectStatus(head, "error: Not mergeable: it has a merge conflict.")
}

func TestProbe10Probe11ContextsOfOthers(t *testing.T) {
	for sentence, tc := range map[string]struct {
		tide, context, state string
		want                 string
	}{
		"a failing context keeps from the pool":                      {"", "ci/x", "failure", ""},
		"a pending context of others keeps from the pool":            {"", "ci/x", "pending", ""},
		"a pending required job does not":                            {"", "unit", "pending", "WAIT"},
		"an optional context does not matter":                        {"  context_options: {optional-regex-contexts: [\"^ci/\"]}\n", "ci/x", "failure", "TRIGGER #1"},
		"an unknown context does not matter where these are skipped": {"  context_options: {skip-unknown-contexts: true}\n", "ci/x", "failure", "TRIGGER #1"},
		"a required context must be there":                           {"  context_options: {required-contexts: [cla]}\n", "ci/x", "success", ""},
		"a required context that passes is fine":                     {"  context_options: {required-contexts: [cla]}\n", "cla", "success", "TRIGGER #1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(withTide(tc.tide), unitJob)
			_, head := w.pull("one", "lgtm")
			w.report(head, "unit", "success", "done")
			w.report(head, tc.context, tc.state, "")
			w.round()
			if got := w.action(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestProbe13Probe14ResultsThatStatusesProve(t *testing.T) {
	for sentence, tc := range map[string]struct{ description, want string }{
		"a status without a base":            {"done", "TRIGGER #1"},
		"a status for the base":              {"done BaseSHA:$base", "MERGE #1"},
		"a status for the base, spelled old": {"done Basesha:$base", "MERGE #1"},
		"a status for a cut base":            {"done BaseSHA:$cut", "TRIGGER #1"},
		"a status for another base":          {"done BaseSHA:0123456789012345678901234567890123456789", "TRIGGER #1"},
		"a sticky status":                    {"overridden [prow:skip-retest]", "MERGE #1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, head := w.pull("one", "lgtm")
			base := w.main()
			w.report(head, "unit", "success", strings.NewReplacer("$base", base, "$cut", base[:39]).Replace(tc.description))
			w.round()
			w.expect(tc.want)
		})
	}
}

func TestProbe15Probe18ABatchIsTestedAndMergedTogether(t *testing.T) {
	w := newWorld(t)
	w.configure(withTide("  batch_size_limit: {acme/app: 3}\n"), unitJob)
	base := w.main()
	for _, file := range []string{"one", "two", "three", "four", "five"} {
		_, head := w.pull(file, "lgtm")
		w.report(head, "unit", "success", "done")
	}
	// The second changes the same file as the first.
	head := w.push("change-two", "main", "one", "conflict\n")
	w.report(head, "unit", "success", "done")
	w.round()
	w.expect("TRIGGER_BATCH #1 #3 #4")
	job := w.runs()[0]
	if got := w.running(); !slices.Equal(got, []string{"unit #1 #3 #4"}) || job.Spec.Type != prowv1.BatchJob || job.Spec.Report || job.Spec.RerunCommand != "" ||
		job.Labels[prowv1.CreatedByTideLabel] != "true" || job.Spec.Refs.BaseSHA != base {
		t.Fatalf("started %v: %+v", got, job.Spec)
	}
	w.begin()
	w.round()
	w.expect("TRIGGER #1")
	w.begin()
	w.round()
	w.expect("WAIT")
	if got := w.running(); !slices.Equal(got, []string{"unit #1", "unit #1 #3 #4"}) {
		t.Fatalf("beside the batch one is tested: %v", got)
	}
	w.finish(prowv1.SuccessState)
	w.slept = nil
	w.round()
	w.expect("MERGE_BATCH #1 #3 #4")
	if !w.merged(1) || w.merged(2) || !w.merged(3) || !w.merged(4) || w.merged(5) {
		t.Error("all of the batch are to be merged, and nothing else")
	}
	if !slices.Equal(w.slept, []time.Duration{5 * time.Second, 5 * time.Second}) {
		t.Errorf("waits between merges: %v", w.slept)
	}
	if got := w.past.All()["acme/app:main"][0]; got.Action != "MERGE_BATCH" || len(got.Target) != 3 || got.Err != "" {
		t.Errorf("the history says %+v", got)
	}
	if got := w.counted("tide_retests_total", "TRIGGER_BATCH"); got != 3 {
		t.Errorf("%v pull requests were tested in batches", got)
	}
}

func TestProbe20AnExistingBatchGoesOn(t *testing.T) {
	for sentence, tc := range map[string]struct {
		more    string
		want    string
		running []string
	}{
		"by default":                {"", "TRIGGER_BATCH #1 #2 #3", []string{"e2e #1 #2 #3"}},
		"unless that is not wanted": {"  prioritize_existing_batches: {\"*\": false}\n", "TRIGGER_BATCH #1 #2 #3 #4", []string{"e2e #1 #2 #3 #4", "unit #1 #2 #3 #4"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jobs := unitJob + "  - {name: e2e, always_run: true, spec: {containers: [{image: x, command: [x]}]}}\n"
			w.configure(withTide(tc.more), jobs)
			add := func(file string) {
				_, head := w.pull(file, "lgtm")
				w.report(head, "unit", "success", "done")
				w.report(head, "e2e", "success", "done")
			}
			for _, file := range []string{"one", "two", "three"} {
				add(file)
			}
			w.round()
			w.expect("TRIGGER_BATCH #1 #2 #3")
			for _, j := range w.runs() {
				j.Status.State = map[string]prowv1.ProwJobState{"unit": prowv1.SuccessState, "e2e": prowv1.FailureState}[j.Spec.Job]
				j.SetComplete()
				w.update(&j)
			}
			add("four")
			w.round()
			w.expect(tc.want)
			if got := w.running(); !slices.Equal(got, tc.running) {
				t.Errorf("running: %v", got)
			}
		})
	}
}

func TestProbe16BatchesAreOff(t *testing.T) {
	w := newWorld(t)
	w.configure(withTide("  batch_size_limit: {acme/app: -1}\n"), unitJob)
	for _, file := range []string{"one", "two"} {
		_, head := w.pull(file, "lgtm")
		w.report(head, "unit", "success", "done")
	}
	w.round()
	w.expect("TRIGGER #1")
}

func TestProbe21Probe22Probe23MergesThatAreRefused(t *testing.T) {
	const modified = "Base branch was modified. Review and try the merge again."
	for sentence, tc := range map[string]struct {
		status  int
		message string
		times   int
		merged  []int
		slept   []time.Duration
		err     string
	}{
		"a base that moves twice is met by patience": {405, modified, 2, []int{1, 2, 3}, []time.Duration{5 * time.Second, 4 * time.Second, 8 * time.Second, 5 * time.Second}, ""},
		"three times is too often":                   {405, modified, 3, []int{1, 3}, []time.Duration{5 * time.Second, 4 * time.Second, 8 * time.Second}, "#2: the base branch was modified"},
		"a branch that may not be pushed to ends it": {405, "You're not authorized to push to this branch. Visit ...", 9, []int{1}, []time.Duration{5 * time.Second}, "#2: not authorized to push to the branch"},
		"a forbidden method ends it":                 {405, "Merge commits are not allowed on this repository.", 9, []int{1}, []time.Duration{5 * time.Second}, "#2: the repository forbids"},
		"a head that moved is left out":              {409, "Head branch was modified.", 9, []int{1, 3}, []time.Duration{5 * time.Second}, "#2: the head of the pull request was modified"},
		"another refusal is left out":                {405, "Required status check is expected.", 9, []int{1, 3}, []time.Duration{5 * time.Second}, "#2: the pull request is not mergeable"},
		"trouble of the forge is left out":           {400, "no", 9, []int{1, 3}, []time.Duration{5 * time.Second}, "#2: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			times := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.Contains(r.URL.Path, "/statuses/") {
					w.WriteHeader(http.StatusCreated)
				}
				if !strings.HasSuffix(r.URL.Path, "/pulls/2/merge") || times >= tc.times {
					_, _ = io.WriteString(w, "{}")
					return
				}
				times++
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, refusal(tc.message))
			}))
			defer server.Close()
			client, err := github.NewClient(github.ClientOptions{Endpoints: []string{server.URL}, Retry: github.RetryPolicy{MaxRetries: 1}})
			if err != nil {
				t.Fatal(err)
			}
			var slept []time.Duration
			sleep := func(_ context.Context, d time.Duration) error {
				slept = append(slept, d)
				return nil
			}
			s := &Syncer{Provider: &GitHubProvider{Forge: client, Sleep: sleep, Log: quiet}, Board: NewBoard(), Log: quiet, Sleep: sleep, Now: time.Now}
			p := &pool{Org: "acme", Repo: "app", Branch: "main"}
			for n := 1; n <= 3; n++ {
				p.PRs = append(p.PRs, record(func(g *GitHubPullRequest) { g.Number = n }))
			}
			w := &poolWorld{s: s, cfg: loadConfig(t, baseConfig, "{}"), p: p}
			var targets []planner.Head
			for _, pr := range p.PRs {
				targets = append(targets, pr.head())
			}
			done := executor.Land(t.Context(), w, planner.Action{Kind: planner.MergeBatch, Targets: targets})
			err = w.problem(&done)
			if !slices.Equal(numbersOf(p.prsOf(done.Merged)), tc.merged) || !slices.Equal(slept, tc.slept) {
				t.Errorf("merged %v after waits of %v", numbersOf(p.prsOf(done.Merged)), slept)
			}
			if tc.err == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var problem *MergeError
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), fmt.Sprintf("batch [1 2 3], merged %v", tc.merged)) {
				t.Errorf("the user is told %v", err)
			} else if problem.Operator() != nil {
				t.Errorf("refusals are no errors of the system: %v", problem.Operator())
			}
		})
	}
}

func TestProbe22ARefusedMemberOfABatchIsInTheHistory(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"one", "two"} {
		_, head := w.pull(file, "lgtm")
		w.report(head, "unit", "success", "done")
	}
	w.round()
	w.expect("TRIGGER_BATCH #1 #2")
	w.finish(prowv1.SuccessState)
	w.proxy.interpose(func(r *http.Request, _ string) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/pulls/1/merge") {
			return 409, refusal("Head branch was modified.")
		}
		return 0, ""
	})
	w.round()
	w.expect("MERGE_BATCH #1 #2")
	if w.merged(1) || !w.merged(2) {
		t.Error("one member is refused, the other is merged")
	}
	got := w.past.All()["acme/app:main"][0]
	if got.Action != "MERGE_BATCH" || !strings.Contains(got.Err, "#1: the head of the pull request was modified") || w.sync.Pools()[0].Error != got.Err {
		t.Errorf("the history says %+v", got)
	}
	if n := w.counted("tidepoolerrors", "main"); n != 0 {
		t.Errorf("refusals are no errors of the system, but %v were counted", n)
	}
}

func TestNothingIsMergedOnABaseThatMoved(t *testing.T) {
	w := newWorld(t)
	_, head := w.pull("one", "lgtm")
	w.passed(head, "unit", w.main())
	reads := 0
	w.proxy.interpose(func(r *http.Request, _ string) (int, string) {
		if !strings.HasSuffix(r.URL.Path, "/git/refs/heads/main") {
			return 0, ""
		}
		if reads++; reads == 1 { // the search told where it was before
			return 200, `{"ref":"refs/heads/main","object":{"sha":"0123456789012345678901234567890123456789"}}`
		}
		return 0, ""
	})
	w.round()
	w.expect("WAIT")
	if w.merged(1) || w.sync.Pools()[0].ActionReason.Code != "base-moved" {
		t.Errorf("merged %v: %+v", w.merged(1), w.sync.Pools()[0].ActionReason)
	}
	w.round()
	w.expect("MERGE #1")
}

func TestTroubleWithOnePoolLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, "{}")
	w.push("side", "main", "side", "side\n")
	w.push("change", "side", "more", "more\n")
	number, err := w.gh.CreatePullRequest(t.Context(), "acme", "app", "On a side branch", "", "change", "side")
	if err != nil {
		t.Fatal(err)
	}
	w.label(number, "lgtm")
	two, _ := w.pull("one", "lgtm")
	w.proxy.interpose(func(r *http.Request, _ string) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/git/refs/heads/side") {
			return 400, refusal("no")
		}
		return 0, ""
	})
	w.round()
	if w.merged(number) || !w.merged(two) || w.counted("tidepoolerrors", "side") != 1 {
		t.Errorf("merged %v and %v", w.merged(number), w.merged(two))
	}
}

func TestProbe24Probe25MergeMethods(t *testing.T) {
	for sentence, tc := range map[string]struct {
		labels []string
		forbid string
		method string
		status string
	}{
		"the configuration decides":        {method: "rebase"},
		"a label goes before it":           {labels: []string{"tide/squash"}, method: "squash"},
		"two labels contradict each other": {labels: []string{"tide/squash", "tide/merge"}, status: "error: Not mergeable: its labels ask for more than one merge method."},
		"a method that is not allowed":     {forbid: "allow_rebase_merge", status: "error: Not mergeable: the repository does not allow the merge method rebase."},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(withTide("  squash_label: tide/squash\n  merge_label: tide/merge\n  merge_method: {acme: {app: {\"ma.*\": rebase}}, acme/app: merge}\n"), "{}")
			if tc.forbid != "" {
				w.proxy.interpose(func(r *http.Request, _ string) (int, string) {
					if r.URL.Path != "/api/v3/repos/acme/app" {
						return 0, ""
					}
					return 200, fmt.Sprintf(`{"name":"app",%q:false}`, tc.forbid)
				})
			}
			_, head := w.pull("one", append(tc.labels, "lgtm")...)
			w.round()
			if tc.status != "" {
				w.expect("")
				w.expectStatus(head, tc.status)
				// A setting that changes is soon believed.
				w.proxy.interpose(nil)
				w.round()
				if tc.forbid != "" {
					w.expect("MERGE #1")
				}
				return
			}
			w.expect("MERGE #1")
			if body := w.proxy.calls("PUT ")[0]; !strings.Contains(body, `"merge_method":"`+tc.method+`"`) {
				t.Errorf("merged by %s", body)
			}
		})
	}
}

func TestProbe27Blockers(t *testing.T) {
	for sentence, tc := range map[string]struct {
		title  string
		action string
		status string
	}{
		"an issue without a branch blocks the repository": {"stop everything", "BLOCKED", "error: Merging is blocked by issue #1."},
		"an issue blocks the branches it names":           {`stop branch:release-1.0 branch:"main"`, "BLOCKED", "error: Merging is blocked by issue #1."},
		"other branches proceed":                          {"stop branch:release-1.0", "MERGE #2", "pending: Not mergeable: it needs the label lgtm."},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(withTide("  blocker_label: tide/blocker\n"), "{}")
			w.issue(tc.title, "tide/blocker")
			_, pooled := w.pull("one", "lgtm")
			_, other := w.pull("two")
			w.round()
			w.expect(tc.action)
			w.expectStatus(other, tc.status)
			if tc.action == "BLOCKED" {
				w.expectStatus(pooled, "success: In merge pool, but merging is blocked by issue #1.")
				if b := w.sync.Pools()[0].Blockers; len(b) != 1 || b[0].Number != 1 || strings.Contains(b[0].Title, "branch:") || b[0].URL == "" {
					t.Errorf("blockers: %+v", b)
				}
				if len(w.past.All()) != 0 {
					t.Error("a blocked pool is not recorded")
				}
			}
		})
	}
}

func TestProbe29MergeTemplates(t *testing.T) {
	for sentence, tc := range map[string]struct{ template, want string }{
		"a template gives the title":            {`"{{.Number}} {{.Title}} {{.GitHub.Author.Login}}"`, `"commit_title":"1 Change one robot[bot]"`},
		"one that fails leaves it to the forge": {`"{{.Nothing}}"`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			w.configure(withTide("  merge_commit_template: {acme/app: {title: "+tc.template+"}}\n"), "{}")
			w.pull("one", "lgtm")
			w.round()
			w.expect("MERGE #1")
			body := w.proxy.calls("PUT ")[0]
			if tc.want == "" && strings.Contains(body, "commit_title") || !strings.Contains(body, strings.TrimSuffix(tc.want, `robot[bot]"`)) {
				t.Errorf("merged by %s", body)
			}
		})
	}
}

func TestProbe33AStatusIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	_, head := w.pull("one")
	w.round()
	w.expectStatus(head, "pending: Not mergeable: it needs the label lgtm.")
	w.proxy.forget()
	w.round()
	if got := w.proxy.calls("POST /api/v3/repos/acme/app/statuses"); len(got) != 0 {
		t.Errorf("written again: %v", got)
	}
	w.configure(baseConfig, "{}")
	w.report(head, "tide", "success", "In merge pool.")
	w.label(1, "lgtm")
	w.proxy.forget()
	w.round()
	w.expect("MERGE #1")
	if got := w.proxy.calls("POST /api/v3/repos/acme/app/statuses"); len(got) != 0 {
		t.Errorf("the own context passed already: %v", got)
	}
}

func TestProbe37Probe38RunBeforeMerge(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, `
presubmits:
  acme/app:
  - {name: last, run_before_merge: true, optional: true, always_run: false, spec: {containers: [{image: x, command: [x]}]}}
  - {name: maybe, optional: true, always_run: true, spec: {containers: [{image: x, command: [x]}]}}
  - {name: silent, skip_report: true, always_run: true, spec: {containers: [{image: x, command: [x]}]}}
  - {name: docs, run_if_changed: '\.md$', spec: {containers: [{image: x, command: [x]}]}}
  - {name: release, always_run: true, branches: [release], spec: {containers: [{image: x, command: [x]}]}}
  - {name: manual, spec: {containers: [{image: x, command: [x]}]}}
`)
	w.pull("one", "lgtm")
	w.round()
	w.expect("TRIGGER #1")
	if got := w.running(); !slices.Equal(got, []string{"last #1"}) {
		t.Fatalf("running: %v", got)
	}
	w.finish(prowv1.FailureState)
	w.round()
	if w.merged(1) {
		t.Fatal("merged without the job that comes before every merge")
	}
	w.expect("TRIGGER #1")
	if got := w.running(); !slices.Equal(got, []string{"last #1"}) || len(w.runs()) != 2 {
		t.Fatalf("a failure has a successor: %v", w.runs())
	}
	w.finish(prowv1.SuccessState)
	w.round()
	w.expect("MERGE #1")
}

func TestJobsForChangedFiles(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, `
presubmits:
  acme/app:
  - {name: docs, run_if_changed: '\.md$', spec: {containers: [{image: x, command: [x]}]}}
`)
	w.pull("README.md", "lgtm")
	w.round()
	w.expect("TRIGGER #1")
	if got := w.running(); !slices.Equal(got, []string{"docs #1"}) {
		t.Fatalf("running: %v", got)
	}
	w.proxy.forget()
	w.round()
	if got := w.proxy.calls("GET /api/v3/repos/acme/app/pulls/1/files"); len(got) != 0 {
		t.Error("the files of a head are asked for once")
	}
}

func TestProbe39ABrokenInRepoConfigIsOnePullRequestsOwn(t *testing.T) {
	w := newWorld(t)
	w.configure(withTide("in_repo_config: {enabled: {acme/app: true}}\n"), "{}")
	const good = "presubmits:\n- {name: own, always_run: true, spec: {containers: [{image: x, command: [x]}]}}\n"
	broken := w.push("broken", "main", ".prow.yaml", "presubmits: [{name: 'no such name', always_run: true}]\n")
	w.label(w.open("broken", "Broken"), "lgtm")
	head := w.push("good", "main", ".prow.yaml", good)
	w.label(w.open("good", "Good"), "lgtm")
	w.report(head, "own", "success", "done")
	w.round()
	w.expect("TRIGGER #2")
	if got := w.running(); !slices.Equal(got, []string{"own #2"}) {
		t.Errorf("running: %v", got)
	}
	w.expectStatus(broken, "error: Not mergeable: the jobs in the repository are invalid.")
}

func TestNothingIsDoneInDryRun(t *testing.T) {
	w := newWorld(t)
	w.sync.DryRun = true
	_, head := w.pull("one", "lgtm")
	w.report(head, "unit", "success", "done")
	w.round()
	w.expect("TRIGGER #1")
	if len(w.runs()) != 0 || len(w.past.All()) != 0 {
		t.Error("something was started or recorded")
	}
	w.passed(head, "unit", w.main())
	w.round()
	w.expect("MERGE #1")
	if w.merged(1) {
		t.Error("merged")
	}
}

func TestTwoProcessesStartAJobOnce(t *testing.T) {
	w := newWorld(t)
	_, head := w.pull("one", "lgtm")
	w.report(head, "unit", "success", "done")
	w.round()
	w.expect("TRIGGER #1")
	// The second process does not see what the first started.
	job := w.runs()[0]
	first := w.sync
	plain := &Syncer{
		Provider: first.Provider, Jobs: &blindCluster{WithWatch: newCluster(t), creates: w.jobs}, InRepo: first.InRepo, Git: first.Git,
		Changes: NewChanges(w.provider.ChangedFiles), Board: NewBoard(), History: first.History, Metrics: first.Metrics,
		Plan: first.Plan, Now: first.Now, Sleep: first.Sleep, Log: first.Log,
	}
	if err := plain.Sync(t.Context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	if got := plain.Pools(); len(got) != 1 || got[0].Error != "" || got[0].Action != "TRIGGER" {
		t.Fatalf("pools: %+v", got)
	}
	if runs := w.runs(); len(runs) != 1 || runs[0].Name != job.Name {
		t.Errorf("%d jobs were started", len(runs))
	}
}
