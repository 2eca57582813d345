package joblabels

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "prow/api/prowjobs/v1"
)

func TestFor(t *testing.T) {
	longName := "job-created-by-someone-who-loves-very-very-very-long-names-so-long-that-it-does-not-fit-into-a-label-" + strings.Repeat("x", 56)
	for name, c := range map[string]struct {
		spec                     v1.ProwJobSpec
		extraLabels, extraAnnots map[string]string
		labels, annotations      map[string]string
	}{
		"a presubmit names its repository and its pull": {
			spec: v1.ProwJobSpec{Type: v1.PresubmitJob, Job: "unit", Context: "ci/prow/unit",
				Refs: &v1.Refs{Org: "org", Repo: "repo", BaseRef: "main", Pulls: []v1.Pull{{Number: 1}, {Number: 2}}}},
			labels: map[string]string{
				"created-by-prow": "true", "prow.k8s.io/type": "presubmit", "prow.k8s.io/job": "unit", "prow.k8s.io/context": "unit",
				"prow.k8s.io/refs.org": "org", "prow.k8s.io/refs.repo": "repo", "prow.k8s.io/refs.base_ref": "main", "prow.k8s.io/refs.pull": "1",
			},
			annotations: map[string]string{"prow.k8s.io/job": "unit", "prow.k8s.io/context": "ci/prow/unit"},
		},
		"a job without refs is found by its first extra ref": {
			spec: v1.ProwJobSpec{Type: v1.PeriodicJob, Job: "nightly", ExtraRefs: []v1.Refs{{Org: "org", Repo: "first", BaseRef: "main"}, {Org: "org", Repo: "second"}}},
			labels: map[string]string{
				"created-by-prow": "true", "prow.k8s.io/type": "periodic", "prow.k8s.io/job": "nightly", "prow.k8s.io/context": "",
				"prow.k8s.io/refs.org": "org", "prow.k8s.io/refs.repo": "first", "prow.k8s.io/refs.base_ref": "main",
			},
			annotations: map[string]string{"prow.k8s.io/job": "nightly", "prow.k8s.io/context": ""},
		},
		"a long name is cut, and the annotation has it in full": {
			spec: v1.ProwJobSpec{Type: v1.PeriodicJob, Job: longName},
			labels: map[string]string{"created-by-prow": "true", "prow.k8s.io/type": "periodic", "prow.k8s.io/context": "",
				"prow.k8s.io/job": "job-created-by-someone-who-loves-very-very-very-long-names-so-l"},
			annotations: map[string]string{"prow.k8s.io/job": longName, "prow.k8s.io/context": ""},
		},
		"a context cut at dashes loses the dashes": {
			spec: v1.ProwJobSpec{Type: v1.PeriodicJob, Job: "j", Context: strings.Repeat("c", 60) + "-.__tail"},
			labels: map[string]string{"created-by-prow": "true", "prow.k8s.io/type": "periodic", "prow.k8s.io/job": "j",
				"prow.k8s.io/context": strings.Repeat("c", 60)},
			annotations: map[string]string{"prow.k8s.io/job": "j", "prow.k8s.io/context": strings.Repeat("c", 60) + "-.__tail"},
		},
		"an invalid value gives way to its last path element": {
			spec: v1.ProwJobSpec{Type: v1.PostsubmitJob, Job: "j", Refs: &v1.Refs{Org: "https://some-gerrit-instance.foo.com", Repo: "some/invalid/repo", BaseRef: "main"}},
			labels: map[string]string{"created-by-prow": "true", "prow.k8s.io/type": "postsubmit", "prow.k8s.io/job": "j", "prow.k8s.io/context": "",
				"prow.k8s.io/refs.org": "some-gerrit-instance.foo.com", "prow.k8s.io/refs.repo": "repo", "prow.k8s.io/refs.base_ref": "main"},
			annotations: map[string]string{"prow.k8s.io/job": "j", "prow.k8s.io/context": ""},
		},
		"a label that cannot be made valid is dropped": {
			spec:        v1.ProwJobSpec{Type: v1.PostsubmitJob, Job: "j", Refs: &v1.Refs{Org: "o", Repo: "r", BaseRef: "-odd-"}},
			extraLabels: map[string]string{"bad": "not valid!"},
			labels: map[string]string{"created-by-prow": "true", "prow.k8s.io/type": "postsubmit", "prow.k8s.io/job": "j", "prow.k8s.io/context": "",
				"prow.k8s.io/refs.org": "o", "prow.k8s.io/refs.repo": "r"},
			annotations: map[string]string{"prow.k8s.io/job": "j", "prow.k8s.io/context": ""},
		},
		"extras win": {
			spec:        v1.ProwJobSpec{Type: v1.PostsubmitJob, Job: "j"},
			extraLabels: map[string]string{"prow.k8s.io/job": "mine", "x": "y"},
			extraAnnots: map[string]string{"prow.k8s.io/job": "not valid as a label!", "a": "b"},
			labels: map[string]string{"created-by-prow": "true", "prow.k8s.io/type": "postsubmit", "prow.k8s.io/context": "",
				"prow.k8s.io/job": "mine", "x": "y"},
			annotations: map[string]string{"prow.k8s.io/job": "not valid as a label!", "prow.k8s.io/context": "", "a": "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			labels, annotations := For(c.spec, c.extraLabels, c.extraAnnots)
			if diff := cmp.Diff(c.labels, labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.annotations, annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzForMakesValidLabels(f *testing.F) {
	f.Add("job", "context", "org", "repo/with/slash", "main")
	f.Add(strings.Repeat("é", 80), "a/b/", "https://x//", "..", "-")
	f.Fuzz(func(t *testing.T, job, context, org, repo, ref string) {
		labels, _ := For(v1.ProwJobSpec{Type: v1.BatchJob, Job: job, Context: context, Refs: &v1.Refs{Org: org, Repo: repo, BaseRef: ref}}, nil, nil)
		for k, v := range labels {
			if problems := validation.IsValidLabelValue(v); len(problems) > 0 {
				t.Errorf("label %s=%q: %s", k, v, problems)
			}
		}
	})
}
