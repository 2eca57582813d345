package tide

import (
	"slices"
	"strings"
	"testing"

	prowv1 "prow/api/prowjobs/v1"
)

func TestTwoPullRequestsAreMergedOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	base := w.main()
	one, headOne := w.pull("one", "lgtm")
	two, headTwo := w.pull("two")
	for _, head := range []string{headOne, headTwo} {
		w.passed(head, "unit", base)
	}
	w.round()
	w.expect("MERGE #1")
	if !w.merged(one) || w.merged(two) {
		t.Fatal("only the first is to be merged: the second has no label")
	}
	w.expectStatus(headTwo, "pending: Not mergeable: it needs the label lgtm.")

	w.label(two, "lgtm")
	w.round()
	w.expect("TRIGGER #2")
	if got := w.running(); !slices.Equal(got, []string{"unit #2"}) {
		t.Fatalf("the base moved, so the second is tested again: %v", got)
	}
	job := w.runs()[0]
	if job.Labels[prowv1.CreatedByTideLabel] != "true" || job.Spec.Refs.BaseSHA != w.main() || job.Spec.Refs.Pulls[0].SHA != headTwo ||
		job.Spec.Refs.Pulls[0].Link != "https://forge.example/acme/app/pull/2" || !strings.HasPrefix(job.Spec.Refs.BaseLink, "https://forge.example/acme/app/tree/") {
		t.Errorf("the job is %+v", job)
	}
	w.expectStatus(headTwo, "pending: Waiting for unit on the current base.")
	w.round()
	w.expect("WAIT")
	w.begin()
	w.round()
	w.expect("WAIT")
	if got := w.running(); len(got) != 1 {
		t.Fatalf("nothing is started twice: %v", got)
	}
	w.finish(prowv1.SuccessState)
	w.round()
	w.expect("MERGE #2")
	if !w.merged(two) {
		t.Fatal("the second is to be merged")
	}
	w.round()
	if got := w.action(); got != "" {
		t.Errorf("no pool is left, but %s", got)
	}
	records := w.past.All()["acme/app:main"]
	var actions []string
	for _, r := range records {
		actions = append(actions, r.Action)
	}
	if !slices.Equal(actions, []string{"MERGE", "TRIGGER", "MERGE"}) || records[0].Target[0].Number != two || records[2].BaseSHA != base {
		t.Errorf("the history is %+v", records)
	}
}
