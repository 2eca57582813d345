package tide

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/gerrit"
	"prow/internal/forge/gerrit/gerrittest"
	"prow/internal/statusdesc"
)

func TestAChangeIsTestedAndSubmitted(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	number, head := w.server.Open(project, "main", "", "Add one", map[string]string{"one": "1"})
	w.expect("") // nobody has reviewed it
	w.server.Vote(number, "Code-Review", 2)
	w.expect("") // nor does anybody want it merged
	w.server.Vote(number, "Prow-Auto-Submit", 1)
	base := w.server.Push(project, "main", map[string]string{"before": "x"})
	w.expect("TRIGGER #1")

	pool := w.sync.Pools()[0]
	pr := pool.MissingPRs[0]
	if pool.Org != w.server.URL || pool.Repo != project || pool.Branch != "main" || pr.NameWithOwner != w.server.URL+"/"+project || pr.HeadRefOID != head ||
		pr.BaseRefPrefix != "refs/" || pr.HeadRefName != "not_applicable" || pr.Title != "Add one" || pr.Body != "" || pr.AuthorLogin != gerrittest.Owner ||
		pr.Mergeable != "UNKNOWN" || pr.GitHub != nil || !strings.Contains(string(pr.Gerrit), `"submit_type"`) || pr.UpdatedAtTime.IsZero() {
		t.Errorf("the change is seen as %+v", pr)
	}
	running := w.unfinished()
	if len(running) != 1 {
		t.Fatalf("%d jobs were started", len(running))
	}
	job := running[0]
	if job.Labels[prowv1.GerritRevisionLabel] != head || job.Labels[prowv1.GerritPatchsetLabel] != "1" || job.Labels[prowv1.GerritReportLabel] != "Code-Review" ||
		job.Labels[prowv1.CreatedByTideLabel] != "true" || job.Annotations[prowv1.GerritInstanceAnnotation] != w.server.URL || job.Annotations[prowv1.GerritIDAnnotation] != w.server.ID(number) {
		t.Errorf("labels %v, annotations %v", job.Labels, job.Annotations)
	}
	if refs := job.Spec.Refs; refs.BaseSHA != base || refs.CloneURI != w.server.URL+"/"+project || refs.Pulls[0].Ref != "refs/changes/01/1/1" || refs.Pulls[0].SHA != head {
		t.Errorf("refs: %+v", refs)
	}
	w.expect("WAIT")
	if w.finish(prowv1.SuccessState) != 1 {
		t.Fatal("the job was started again")
	}
	w.server.Requests()
	w.expect("MERGE #1")
	if !w.merged(number) || w.server.File(project, "main", "one") != "1" {
		t.Error("it is not merged")
	}
	if got := w.server.Requests(); !slices.ContainsFunc(got, func(r string) bool { return strings.HasSuffix(r, "/revisions/"+head+"/submit") }) {
		t.Errorf("a submission names the revision: %q", got)
	}
	if said := w.server.Messages(number); len(said) > 0 {
		t.Errorf("what was merged by itself needs no notice: %q", said)
	}
	records := w.past.All()[w.server.URL+"/"+project+":main"]
	if len(records) != 2 || records[0].Action != "MERGE" || records[0].Target[0].SHA != head || records[0].BaseSHA != base {
		t.Errorf("history: %+v", records)
	}
	w.expect("")
}

func TestAFailedJobKeepsAChangeFromBeingSubmitted(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	number, _ := w.open("one")
	w.expect("TRIGGER #1")
	w.finish(prowv1.FailureState)
	w.expect("TRIGGER #1") // it is tested again, as on other forges
	w.finish(prowv1.SuccessState)
	// A success on another base, or of another head, counts for nothing.
	w.server.Push(project, "main", map[string]string{"other": "x"})
	w.expect("TRIGGER #1")
	w.server.Amend(number, "", map[string]string{"one": "2"})
	w.server.Approve(number)
	w.finish(prowv1.SuccessState)
	w.expect("TRIGGER #1")
	if w.merged(number) {
		t.Error("it was merged untested")
	}
	w.finish(prowv1.SuccessState)
	w.expect("MERGE #1")
}

func TestChangesAreBatched(t *testing.T) {
	for _, submitType := range []string{gerrit.SubmitMergeIfNecessary, gerrit.SubmitMergeAlways, gerrit.SubmitRebaseIfNecessary, gerrit.SubmitRebaseAlways} {
		t.Run(submitType, func(t *testing.T) {
			w := newGerritWorld(t, gerrittest.Project{SubmitType: submitType})
			one, _ := w.open("one")
			two, _ := w.open("two")
			conflict, _ := w.server.Open(project, "main", "", "Add one otherwise", map[string]string{"one": "otherwise\n"})
			w.server.Approve(conflict)
			w.expect("TRIGGER_BATCH #1 #2")
			job := w.unfinished()[0]
			if job.Spec.Type != prowv1.BatchJob || len(job.Spec.Refs.Pulls) != 2 || job.Annotations[prowv1.GerritInstanceAnnotation] != w.server.URL ||
				job.Annotations[prowv1.GerritIDAnnotation] != "" || job.Labels[prowv1.GerritRevisionLabel] != "" || job.Spec.Report {
				t.Errorf("the batch is %+v %+v", job.ObjectMeta, job.Spec.Refs)
			}
			w.expect("TRIGGER #1") // beside it, in case it fails
			w.finish(prowv1.SuccessState)
			w.expect("MERGE_BATCH #1 #2")
			if !w.merged(one, two) || w.merged(conflict) || w.server.File(project, "main", "one") != "one" || w.server.File(project, "main", "two") != "two" {
				t.Errorf("merged: %s %s %s", w.server.Status(one), w.server.Status(two), w.server.Status(conflict))
			}
			for number, other := range map[int]string{one: "/+/2", two: "/+/1"} {
				said := w.server.Messages(number)
				if len(said) != 1 || !strings.Contains(said[0], other) || !strings.Contains(said[0], "https://deck.example/tide-history") {
					t.Errorf("on %d it is said %q", number, said)
				}
			}
			// The batch is not kept for the one that is left.
			w.expect("TRIGGER #3")
		})
	}
}

func TestARefusedMemberGetsNoNotice(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	one, _ := w.open("one")
	two, _ := w.open("two")
	three, _ := w.open("three")
	w.expect("TRIGGER_BATCH #1 #2 #3")
	w.finish(prowv1.SuccessState)
	// Between the decision and its turn somebody vetoes the second.
	w.server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/submit") && strings.Contains(r.URL.RequestURI(), w.server.ID(two)[strings.LastIndex(w.server.ID(two), "~"):]) {
			w.server.Vote(two, "Code-Review", -2)
		}
		return false
	}
	w.expect("MERGE_BATCH #1 #2 #3")
	if !w.merged(one, three) || w.merged(two) {
		t.Errorf("the others are merged: %s %s %s", w.server.Status(one), w.server.Status(two), w.server.Status(three))
	}
	if len(w.server.Messages(one)) != 1 || len(w.server.Messages(two)) != 0 || len(w.server.Messages(three)) != 1 {
		t.Errorf("notices: %q %q %q", w.server.Messages(one), w.server.Messages(two), w.server.Messages(three))
	}
	err := w.sync.Pools()[0].Error
	if !strings.Contains(err, "#2: ") || !strings.Contains(err, "label Code-Review is rejected") || !strings.Contains(err, "batch [1 2 3], merged [1 3]") {
		t.Errorf("the error is %q", err)
	}
}

func TestConflictsOnGerrit(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	w.server.ComputeMergeable = true
	number, _ := w.open("one")
	w.server.Push(project, "main", map[string]string{"one": "otherwise\n"})
	w.expect("") // Gerrit says that it conflicts

	w.server.ComputeMergeable = false
	w.expect("TRIGGER #1") // Gerrit does not say
	w.finish(prowv1.SuccessState)
	w.expect("MERGE #1")
	if w.merged(number) || !strings.Contains(w.sync.Pools()[0].Error, "merge conflict") {
		t.Errorf("pools: %+v", w.sync.Pools())
	}
	if got := gathered(t, w.reg, "tidepoolerrors"); got != 0 {
		t.Errorf("a conflict is no error of the system: %v", got)
	}
	w.server.SetProject(project, func(p *gerrittest.Project) { p.NoSubmit = true })
	w.expect("MERGE #1")
	if got := gathered(t, w.reg, "tidepoolerrors"); got != 1 || !strings.Contains(w.sync.Pools()[0].Error, "submit not permitted") {
		t.Errorf("a missing permission is one: %v, %s", got, w.sync.Pools()[0].Error)
	}
}

func TestARestartBetweenTheSubmissionsOfABatch(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	one, _ := w.open("one")
	two, _ := w.open("two")
	w.expect("TRIGGER_BATCH #1 #2")
	w.start()
	w.expect("TRIGGER #1") // the batch is not started again
	if n := w.finish(prowv1.SuccessState); n != 2 {
		t.Fatalf("%d jobs", n)
	}
	w.start()
	submissions := 0
	w.server.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/submit") {
			return false
		}
		if submissions++; submissions > 1 {
			rw.WriteHeader(http.StatusServiceUnavailable) // as if the process had been killed here
			return true
		}
		return false
	}
	w.expect("MERGE_BATCH #1 #2")
	if !w.merged(one) || w.merged(two) {
		t.Fatalf("merged: %s %s", w.server.Status(one), w.server.Status(two))
	}
	w.start()
	w.expect("TRIGGER #2") // on the base that has the first by now
	w.finish(prowv1.SuccessState)
	submissions = -9
	w.start()
	w.expect("MERGE #2")
	if !w.merged(two) {
		t.Error("it is not merged")
	}
}

func TestProbe40WhatPeopleSayAboutSubmission(t *testing.T) {
	for _, byDefault := range []bool{false, true} {
		w := newGerritWorld(t, gerrittest.Project{})
		main := gerritConfig
		if byDefault {
			main = strings.Replace(main, "repos: [dir/app]", "repos: [dir/app], filters: {opt_in_by_default: true}", 1)
		}
		w.configure(main, "{}")
		wanted, _ := w.open("wanted")
		unsaid, _ := w.open("unsaid")
		w.server.Vote(unsaid, "Prow-Auto-Submit", 0)
		refused, _ := w.open("refused")
		w.server.Vote(refused, "Prow-Auto-Submit", -1)
		for range 3 {
			w.round()
		}
		if !w.merged(wanted) || w.merged(unsaid) != byDefault || w.merged(refused) {
			t.Errorf("by default %t: wanted %s, unsaid %s, refused %s", byDefault, w.server.Status(wanted), w.server.Status(unsaid), w.server.Status(refused))
		}
		asks := slices.ContainsFunc(w.server.Requests(), func(r string) bool {
			return strings.HasPrefix(r, "GET /a/changes/?n=2&") && strings.Contains(r, "label%3AProw-Auto-Submit+project%3Adir%2Fapp")
		})
		if asks == byDefault {
			t.Errorf("by default %t, but asks for the label: %t", byDefault, asks)
		}
	}
}

func TestTheQueryOfAProject(t *testing.T) {
	for sentence, tc := range map[string]struct {
		filter *config.GerritQueryFilter
		want   string
	}{
		"without filters":    {nil, "status:open -is:wip is:submittable -label:Prow-Auto-Submit=-1 label:Prow-Auto-Submit project:p"},
		"opted in":           {&config.GerritQueryFilter{OptInByDefault: true}, "status:open -is:wip is:submittable -label:Prow-Auto-Submit=-1 project:p"},
		"branches":           {&config.GerritQueryFilter{Branches: []string{"a", "b"}}, "(branch:a OR branch:b) status:open -is:wip is:submittable -label:Prow-Auto-Submit=-1 label:Prow-Auto-Submit project:p"},
		"excluded branches":  {&config.GerritQueryFilter{ExcludedBranches: []string{"c", "d"}}, "(-branch:c AND -branch:d) status:open -is:wip is:submittable -label:Prow-Auto-Submit=-1 label:Prow-Auto-Submit project:p"},
		"names with a blank": {&config.GerritQueryFilter{Branches: []string{"a b"}, OptInByDefault: true}, `(branch:"a b") status:open -is:wip is:submittable -label:Prow-Auto-Submit=-1 project:p`},
	} {
		if got := gerritQueryText(tc.filter, "p"); got != tc.want {
			t.Errorf("%s: %q", sentence, got)
		}
	}
	tide := tideConfig(t, "  gerrit: {queries: [{org: \"https://g\", repos: [a, b], filters: {branches: [x]}}, {org: \"https://g\", repos: [a]}]}\n").Tide
	got := gerritQueries(&tide)
	if len(got) != 2 || got[0].project != "a" || strings.Contains(got[0].text, "branch:x") || got[0].entry != 1 || !strings.Contains(got[1].text, "branch:x") {
		t.Errorf("a project that is listed twice has the last filters: %+v", got)
	}
}

func TestAProjectThatCannotBeQueriedLeavesTheOthers(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	w.server.AddProject("other", gerrittest.Project{})
	w.configure(strings.Replace(gerritConfig, "repos: [dir/app]", "repos: [other, dir/app]", 1), "{}")
	number, _ := w.open("one")
	failing := "project%3Aother"
	w.server.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, failing) {
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	w.expect("MERGE #1")
	if !w.merged(number) {
		t.Error("it is not merged")
	}
	if got := gathered(t, w.reg, "tidequeryresults", "error", w.server.URL, "0"); got != 1 {
		t.Errorf("%v failed queries are counted", got)
	}
	failing = "project"
	if err := w.sync.Sync(t.Context(), w.cfg); err == nil || !strings.Contains(err.Error(), "other") || !strings.Contains(err.Error(), "dir/app") {
		t.Errorf("no project can be queried: %v", err)
	}
}

func TestWhichJobsAMergeOnGerritNeeds(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{Labels: []gerrittest.LabelType{
		{Name: "Code-Review", Min: -2, Max: 2}, {Name: "Prow-Auto-Submit", Min: -1, Max: 1, Optional: true}, {Name: "Lint", Min: -1, Max: 1, Optional: true},
	}})
	job := func(name, rest string) string {
		return "  - {name: " + name + ", spec: {containers: [{image: x, command: [x]}]}, " + rest + "}\n"
	}
	w.configure(gerritConfig, "presubmits:\n  INSTANCE/dir/app:\n"+
		job("needed", "always_run: true, optional: true, labels: {prow.k8s.io/gerrit-report-label: Code-Review}")+
		job("changed", "run_if_changed: one, labels: {prow.k8s.io/gerrit-report-label: Code-Review}")+
		job("unchanged", "run_if_changed: two, labels: {prow.k8s.io/gerrit-report-label: Code-Review}")+
		job("manual", "always_run: false, labels: {prow.k8s.io/gerrit-report-label: Code-Review}")+
		job("optional-label", "always_run: true, labels: {prow.k8s.io/gerrit-report-label: Lint}")+
		job("no-label", "always_run: true")+
		job("unknown-label", "always_run: true, labels: {prow.k8s.io/gerrit-report-label: Nothing}")+
		job("before-merge", "always_run: false, run_before_merge: true, skip_report: true"))
	number, _ := w.open("one")
	w.expect("TRIGGER #1")
	var started []string
	for _, j := range w.unfinished() {
		started = append(started, j.Spec.Job)
	}
	if slices.Sort(started); !slices.Equal(started, []string{"before-merge", "changed", "needed"}) {
		t.Errorf("started: %q", started)
	}
	w.finish(prowv1.SuccessState)
	w.expect("MERGE #1")
	if !w.merged(number) {
		t.Error("it is not merged")
	}
}

func TestAChangeIsRereadWhereItsFilesAreUnknown(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	number, head := w.open("one")
	provider := w.sync.Provider
	pr := &PullRequest{Org: w.server.URL, Repo: project, Number: number, HeadRefOID: head, change: &gerrit.Change{ID: w.server.ID(number)}}
	if files, err := provider.ChangedFiles(t.Context(), pr); err != nil || !slices.Equal(files, []string{"one"}) {
		t.Errorf("%q, %v", files, err)
	}
	w.server.Amend(number, "", map[string]string{"two": "2"})
	if _, err := provider.ChangedFiles(t.Context(), pr); err == nil {
		t.Error("the files are of another revision")
	}
}

func TestTheNewestRunOfAHeadIsItsResult(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	number, head := w.open("one")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := strings.Repeat("b", 40)
	for i, run := range []struct {
		context string
		state   prowv1.ProwJobState
		after   time.Duration
		kind    prowv1.ProwJobType
		sha     string
	}{
		{"unit", prowv1.FailureState, 0, prowv1.PresubmitJob, head}, {"unit", prowv1.SuccessState, 2 * time.Minute, prowv1.PresubmitJob, head},
		{"unit", prowv1.AbortedState, time.Minute, prowv1.PresubmitJob, head}, {"unit", prowv1.FailureState, time.Hour, prowv1.PresubmitJob, "older"},
		{"unit", prowv1.FailureState, time.Hour, prowv1.BatchJob, head}, {"lint", prowv1.SchedulingState, 0, prowv1.PresubmitJob, head},
		{"e2e", prowv1.AbortedState, 0, prowv1.PresubmitJob, head}, {"", prowv1.SuccessState, 0, prowv1.PresubmitJob, head},
	} {
		job := &prowv1.ProwJob{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("run-", i), Namespace: "default", CreationTimestamp: metav1.NewTime(at.Add(run.after))},
			Spec: prowv1.ProwJobSpec{Type: run.kind, Context: run.context, Refs: &prowv1.Refs{
				Org: w.server.URL, Repo: project, BaseRef: "main", BaseSHA: base, Pulls: []prowv1.Pull{{Number: number, SHA: run.sha}},
			}},
			Status: prowv1.ProwJobStatus{State: run.state, Description: "told"},
		}
		if err := w.jobs.Create(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	pr := &PullRequest{Org: w.server.URL, Repo: project, Number: number, HeadRefOID: head}
	contexts, err := w.sync.Provider.Contexts(t.Context(), w.cfg, pr)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range contexts {
		got = append(got, c.Context+"="+string(c.State))
		if statusdesc.BaseSHA(c.Description) != base || !strings.HasPrefix(c.Description, "told") {
			t.Errorf("%s is described as %q", c.Context, c.Description)
		}
	}
	if !slices.Equal(got, []string{"e2e=FAILURE", "lint=PENDING", "unit=SUCCESS"}) {
		t.Errorf("the results are %q", got)
	}
}

func TestADryRunSubmitsNothing(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	w.configure(gerritConfig, "{}")
	number, _ := w.open("one")
	w.sync.DryRun = true
	w.expect("MERGE #1")
	if w.merged(number) || len(w.past.All()) > 0 {
		t.Error("something was done")
	}
}

func TestJobsOfAChangeInItsRepository(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	w.configure(gerritConfig+"in_repo_config: {enabled: {INSTANCE: true}}\n", "{}")
	bring := func(name string) map[string]string {
		return map[string]string{".prow.yaml": "presubmits:\n- {name: " + name + ", always_run: true, labels: {prow.k8s.io/gerrit-report-label: Code-Review}, spec: {containers: [{image: x, command: [x]}]}}\n"}
	}
	w.server.Push(project, "main", bring("base"))
	w.open("one")
	number, _ := w.server.Open(project, "main", "", "Break jobs", map[string]string{".prow.yaml": "presubmits: 7\n"})
	w.server.Approve(number)
	w.expect("TRIGGER #1") // the other is left alone
	if job := w.unfinished()[0]; job.Spec.Job != "base" {
		t.Errorf("started %s", job.Spec.Job)
	}
	if pool := w.sync.Pools()[0]; len(pool.MissingPRs) != 1 {
		t.Errorf("the pool has %d changes", len(pool.MissingPRs))
	}
}

func TestAChangeWaitsForWhatItDependsOn(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	w.configure(gerritConfig, "{}")
	parent, head := w.server.Open(project, "main", "", "Parent", map[string]string{"parent": "1"})
	child, _ := w.server.Open(project, "main", head, "Child", map[string]string{"child": "1"})
	other, _ := w.open("other")
	w.server.Approve(child)
	// Gerrit would refuse the child as long as the parent is not reviewed.
	w.expect("MERGE #3")
	if !w.merged(other) || w.merged(child) {
		t.Fatalf("merged: %s %s", w.server.Status(other), w.server.Status(child))
	}
	w.expect("")
	// Nor may it take along what somebody does not want submitted.
	w.server.Vote(parent, "Code-Review", 2)
	w.server.Vote(parent, "Prow-Auto-Submit", -1)
	w.expect("")
	if w.merged(parent) {
		t.Fatal("the parent is merged against somebody's will")
	}
	w.server.Vote(parent, "Prow-Auto-Submit", 1)
	w.expect("MERGE #1")
	w.expect("MERGE #2")
	if !w.merged(parent, child) {
		t.Errorf("merged: %s %s", w.server.Status(parent), w.server.Status(child))
	}
}

func TestDependentChangesAreBatched(t *testing.T) {
	w := newGerritWorld(t, gerrittest.Project{})
	parent, head := w.server.Open(project, "main", "", "Parent", map[string]string{"parent": "1"})
	child, _ := w.server.Open(project, "main", head, "Child", map[string]string{"child": "1"})
	w.server.Approve(parent)
	w.server.Approve(child)
	w.expect("TRIGGER_BATCH #1 #2")
	asked := func() int {
		n := 0
		for _, r := range w.server.Requests() {
			if strings.Contains(r, "/submitted_together") {
				n++
			}
		}
		return n
	}
	if n := asked(); n != 2 {
		t.Errorf("%d questions about company", n)
	}
	w.expect("TRIGGER #1")
	if n := asked(); n != 1 {
		t.Errorf("%d questions: that the parent is alone is known", n)
	}
	w.finish(prowv1.SuccessState)
	w.expect("MERGE_BATCH #1 #2")
	if !w.merged(parent, child) {
		t.Errorf("merged: %s %s", w.server.Status(parent), w.server.Status(child))
	}
	// What is not known is left alone.
	third, _ := w.open("third")
	w.server.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/submitted_together") {
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	w.expect("")
	if w.merged(third) {
		t.Error("merged with what nobody knows")
	}
}
