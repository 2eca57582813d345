package config

import (
	"path/filepath"
	"testing"
)

func TestChangedJobs(t *testing.T) {
	root := tree(t, map[string]string{
		"config.yaml": "", "jobs/same.yaml": "presubmits:\n  org/same: [" + presubmit("s") + "]\n",
		"jobs/a.yaml": presubmits("stays", "goes", "changes"), "jobs/p.yaml": "periodics: [{name: p, interval: 1h, spec: {containers: [{}]}}]\n",
	})
	l := NewLoader(treeOptions(root))
	before, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "jobs/a.yaml"), "# moved down\n"+presubmits("stays", "comes")+"  - {name: changes, always_run: true, spec: {containers: [{image: alpine}]}}\n")
	write(t, filepath.Join(root, "jobs/p.yaml"), "periodics: [{name: p, interval: 2h, spec: {containers: [{}]}}]\n")
	after, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := ChangedJobs(before, after)
	if err != nil {
		t.Fatal(err)
	}
	pre := d.Presubmits["org/repo"]
	if len(d.Presubmits) != 1 || len(pre.Added) != 1 || pre.Added[0].Name != "comes" || len(pre.Removed) != 1 || pre.Removed[0].Name != "goes" ||
		len(pre.Changed) != 1 || pre.Changed[0][0].AlwaysRun || !pre.Changed[0][1].AlwaysRun {
		t.Errorf("presubmits: %+v", d.Presubmits)
	}
	if len(d.Postsubmits) != 0 || len(d.Periodics.Changed) != 1 || d.Periodics.Changed[0][1].Interval != "2h" {
		t.Errorf("others: %+v, %+v", d.Postsubmits, d.Periodics)
	}
	// Before the first configuration there is none.
	if d, err = ChangedJobs(nil, after); err != nil || len(d.Presubmits["org/repo"].Added) != 3 || len(d.Periodics.Added) != 1 {
		t.Errorf("from nothing: %+v, %v", d, err)
	}
	if d, err = ChangedJobs(after, after); err != nil || len(d.Presubmits) != 0 || !d.Periodics.Empty() {
		t.Errorf("to itself: %+v, %v", d, err)
	}
}
