package tide

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/tide/history"
)

func TestProbe02Probe03ConfigurationsThatAreRefused(t *testing.T) {
	const good = "  queries: [{orgs: [a]}]\n"
	for sentence, tc := range map[string]struct{ tide, want string }{
		"a negative number of goroutines":   {"  max_goroutines: -1\n", "tide.max_goroutines"},
		"a policy that is none":             {"  github_merge_blocks_policy: {\"*\": maybe}\n", "tide.github_merge_blocks_policy.*"},
		"pages without one for all others":  {"  pr_status_base_urls: {acme: \"https://x\"}\n", "tide.pr_status_base_urls"},
		"both forms of a target":            {"  target_url: https://x\n  target_urls: {\"*\": \"https://y\"}\n", "tide.target_url"},
		"a repository of a listed org":      {good + "  - {orgs: [a], repos: [a/b]}\n", "tide.queries[1]"},
		"an exception of an org not listed": {good + "  - {orgs: [a], excludedRepos: [z/b]}\n", "tide.queries[1]"},
		"a label required and forbidden":    {good + "  - {orgs: [a], labels: [x], missingLabels: [x]}\n", "tide.queries[1]"},
		"both lists of branches":            {good + "  - {orgs: [a], includedBranches: [x], excludedBranches: [y]}\n", "tide.queries[1]"},
	} {
		text := strings.Replace(tc.tide, "  queries: [{orgs: [a]}]\n  - ", "  queries:\n  - {orgs: [a]}\n  - ", 1)
		if _, err := tryConfig(t, "tide:\n"+text, "{}"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

// answering makes searches answer with a text replaced by another.
func (w *world) answering(old, new string) {
	w.proxy.interpose(func(r *http.Request, body string) (int, string) {
		if r.URL.Path != "/api/graphql" {
			return 0, ""
		}
		answer := httptest.NewRecorder()
		r.Body = readCloser(body)
		w.forge.Handler().ServeHTTP(answer, r)
		return http.StatusOK, strings.ReplaceAll(answer.Body.String(), old, new)
	})
}

func TestProbe09AnUnknownMergeabilityIsNoConflict(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, "{}")
	number, _ := w.pull("one", "lgtm")
	w.answering(`"mergeable":"MERGEABLE"`, `"mergeable":"UNKNOWN"`)
	w.round()
	w.expect(fmt.Sprintf("MERGE #%d", number))
	if !w.merged(number) {
		t.Error("it is not merged")
	}
}

const twoJobs = unitJob + "  - {name: e2e, always_run: true, spec: {containers: [{image: x, command: [x]}]}}\n"

func TestProbe12ResultsOnAnOlderBaseAreMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.configure(baseConfig, twoJobs)
	_, head := w.pull("one", "lgtm")
	w.report(head, "unit", "success", "done")
	w.report(head, "e2e", "success", "done")
	w.round()
	w.expect("TRIGGER #1")
	w.finish(prowv1.SuccessState)
	w.push("main", "main", "moved", "moved\n")
	w.passed(head, "e2e", w.main())
	w.round()
	w.expect("TRIGGER #1")
	if got := w.running(); !slices.Equal(got, []string{"unit #1"}) {
		t.Errorf("only what has no result on the base runs: %v", got)
	}
	for _, job := range w.runs() {
		if !job.Complete() && (job.Labels[prowv1.CreatedByTideLabel] != "true" || job.Spec.Refs.BaseSHA != w.main()) {
			t.Errorf("started %+v", job.Spec.Refs)
		}
	}
}

func TestProbe17NothingIsMergedBesideARunningBatch(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"one", "two", "three"} {
		_, head := w.pull(file, "lgtm")
		w.report(head, "unit", "success", "done")
	}
	w.round()
	w.expect("TRIGGER_BATCH #1 #2 #3")
	w.begin()
	w.round()
	w.expect("TRIGGER #1")
	for _, job := range w.runs() {
		if job.Spec.Type == prowv1.PresubmitJob {
			job.Status.State = prowv1.SuccessState
			job.SetComplete()
			w.update(&job)
			w.passed(job.Spec.Refs.Pulls[0].SHA, "unit", w.main())
		}
	}
	w.round()
	w.expect("WAIT")
	w.finish(prowv1.SuccessState)
	w.slept = nil
	w.round()
	w.expect("MERGE_BATCH #1 #2 #3")
	if !w.merged(1) || !w.merged(2) || !w.merged(3) || !slices.Equal(w.slept, []time.Duration{5 * time.Second, 5 * time.Second}) {
		t.Errorf("waits between merges: %v", w.slept)
	}
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "merges" {
			if h := f.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 3 {
				t.Errorf("the histogram has seen %d merges of %v", h.GetSampleCount(), h.GetSampleSum())
			}
		}
	}
}

func TestProbe19ABatchWithAnOlderHeadIsNoMore(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"one", "two"} {
		_, head := w.pull(file, "lgtm")
		w.report(head, "unit", "success", "done")
	}
	w.round()
	w.expect("TRIGGER_BATCH #1 #2")
	head := w.push("change-two", "main", "two", "otherwise\n")
	w.report(head, "unit", "success", "done")
	w.finish(prowv1.SuccessState)
	w.round()
	w.expect("TRIGGER_BATCH #1 #2")
	if got := w.running(); w.merged(1) || w.merged(2) || !slices.Equal(got, []string{"unit #1 #2"}) {
		t.Errorf("running: %v", got)
	}
}

func TestProbe26TheMergeMethodOfABranch(t *testing.T) {
	cfg := tideConfig(t, "  queries: []\n  merge_method: {o/r@main: squash, o: {r: {\"ma.*\": rebase}}, o/r: merge}\n")
	for branch, want := range map[string]string{"main": "squash", "master": "rebase", "dev": "merge"} {
		pr := record(func(g *GitHubPullRequest) {
			g.Repository.Owner.Login, g.Repository.Name, g.BaseRef.Name = "o", "r", branch
		})
		if got := mergeMethod(&cfg.Tide, pr); string(got) != want {
			t.Errorf("%s: %s, want %s", branch, got, want)
		}
	}
}

func TestProbe28PriorityGoesBeforeTheNumber(t *testing.T) {
	w := newWorld(t)
	w.configure(withTide("  priority: [{labels: [p0]}, {labels: [\"x,y\"]}]\n"), "{}")
	w.pull("one", "lgtm")
	w.pull("two", "lgtm", "y")
	w.pull("three", "lgtm", "p0")
	for _, want := range []string{"MERGE #3", "MERGE #2", "MERGE #1"} {
		w.round()
		w.expect(want)
	}
}

func TestProbe30NoDescriptionIsTooLong(t *testing.T) {
	w := newWorld(t)
	var labels []string
	for i := range 12 {
		labels = append(labels, fmt.Sprintf("a-label-with-a-long-name-%02d", i))
	}
	w.configure("prowjob_namespace: default\ntide:\n  queries:\n  - {repos: [acme/app], labels: ["+strings.Join(labels, ", ")+"]}\n", "{}")
	_, head := w.pull("one", labels[2:]...)
	w.round()
	w.expectStatus(head, "pending: Not mergeable: it needs the labels "+labels[0]+".")
	w.configure("prowjob_namespace: default\ntide:\n  display_all_tide_queries_in_status: true\n  queries:\n"+
		"  - {repos: [acme/app], labels: [\"first-"+strings.Repeat("w", 60)+"\"]}\n"+
		"  - {repos: [acme/app], labels: [\"second-"+strings.Repeat("x", 60)+"\"]}\n  - {repos: [acme/app], labels: [\"third-"+strings.Repeat("y", 60)+"\"]}\n", "{}")
	w.round()
	if got := strings.TrimPrefix(w.tide(head), "pending: "); len([]rune(got)) != 140 || !strings.HasSuffix(got, "...") {
		t.Errorf("%d characters: %s", len([]rune(got)), got)
	}
}

func TestProbe31TheQueriesOfTheBranchAreShown(t *testing.T) {
	w := newWorld(t)
	w.configure("prowjob_namespace: default\ntide:\n  display_all_tide_queries_in_status: true\n  queries:\n"+
		"  - {repos: [acme/app], labels: [first], includedBranches: [main]}\n  - {repos: [acme/app], labels: [second]}\n  - {repos: [acme/app], labels: [third], includedBranches: [other]}\n", "{}")
	_, head := w.pull("one")
	w.round()
	got := w.tide(head)
	if !strings.Contains(got, "first") || !strings.Contains(got, " OR ") || !strings.Contains(got, "second") || strings.Contains(got, "third") {
		t.Errorf("the status is %q", got)
	}
}

func TestProbe32WhatABlockOfGitHubMeans(t *testing.T) {
	for policy, tc := range map[string]struct {
		merged bool
		pooled string
	}{
		"block":  {false, "error: Not mergeable: GitHub blocks it, by branch protection or a ruleset."},
		"permit": {true, "success: In merge pool, although GitHub blocks the merge at the moment."},
		"ignore": {true, "success: In merge pool."},
	} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t)
			w.configure(withTide("  github_merge_blocks_policy: {\"*\": "+policy+"}\n"), "{}")
			number, head := w.pull("one", "lgtm")
			w.answering(`"mergeStateStatus":"`, `"mergeStateStatus":"BLOCKED","x":"`)
			// What it says while it is in the pool, and nothing is merged yet.
			w.sync.DryRun = true
			w.round()
			w.expectStatus(head, tc.pooled)
			w.sync.DryRun = false
			w.round()
			if w.merged(number) != tc.merged {
				t.Errorf("merged %t: %+v", w.merged(number), w.sync.Pools())
			}
		})
	}
}

func TestProbe36AnOlderStateOfTheStatusController(t *testing.T) {
	for same, want := range map[bool]string{true: "2020-01-02T03:04:05Z", false: "2007-01-01T00:00:00Z"} {
		w := newWorld(t)
		w.configure(baseConfig, "{}")
		text := `is:pr state:open sort:updated-asc archived:false repo:"acme/app"`
		if !same {
			text += ` org:"other"`
		}
		dir, err := filestore.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		state := "LatestPR: 2020-01-02T03:04:05Z\nPreviousQuery: '" + text + "'\n"
		if err := dir.Put(t.Context(), "status", strings.NewReader(state), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		w.status.Place = &history.Place{Bucket: dir, Key: "status"}
		w.status.load(t.Context())
		w.status.Sync(t.Context(), w.cfg)
		calls := w.proxy.calls("POST /api/graphql")
		if len(calls) != 1 || !strings.Contains(calls[0], "updated:"+want+"..") {
			t.Errorf("the same text %t: %q", same, calls)
		}
	}
}
