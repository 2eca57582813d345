package pod_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/pod"
	"prow/internal/prowjob"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

const buildID = "1549129474832863232"

// everyRun makes a ProwJob of each job of a configuration, and a batch of the
// first presubmit of each repository, as the creators would.
func everyRun(c *config.Config, each func(*v1.ProwJob)) {
	options := func(name string) []prowjob.Option {
		return []prowjob.Option{
			prowjob.WithName(prowjob.StableName(name)), prowjob.InNamespace(c.ProwJobNamespace), prowjob.RequireScheduling(c.Scheduler.Enabled),
			prowjob.WithClock(func() time.Time { return time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC) }),
		}
	}
	give := func(pj *v1.ProwJob) { pj.Status.BuildID = buildID; each(pj) }
	for _, key := range sortedKeys(c.PresubmitsByRepo) {
		for i := range c.PresubmitsByRepo[key] {
			job := &c.PresubmitsByRepo[key][i]
			give(prowjob.NewPresubmit(job, pullRefs(key, 7), prowjob.Event{GUID: "guid", Retest: i%2 == 1}, options("presubmit "+key+job.Name)...))
			if i == 0 {
				refs := pullRefs(key, 7)
				refs.Pulls = append(refs.Pulls, pullRefs(key, 8).Pulls...)
				give(prowjob.New(prowjob.BatchSpec(job, refs), job.Labels, job.Annotations, options("batch "+key+job.Name)...))
			}
		}
	}
	for _, key := range sortedKeys(c.PostsubmitsByRepo) {
		for i := range c.PostsubmitsByRepo[key] {
			job, refs := &c.PostsubmitsByRepo[key][i], pullRefs(key, 0)
			refs.Pulls = nil
			give(prowjob.NewPostsubmit(job, refs, prowjob.Event{GUID: "guid"}, options("postsubmit "+key+job.Name)...))
		}
	}
	for i := range c.Periodics {
		job := &c.Periodics[i]
		give(prowjob.NewPeriodic(job, i%2, options("periodic "+job.Name)...))
	}
}

// pullRefs are the refs of a pull request on a repository key of the
// configuration: of GitHub, or of Gerrit for one with a scheme.
func pullRefs(key string, number int) v1.Refs {
	if strings.Contains(key, "://") {
		at := strings.Index(key[8:], "/") + 8
		return v1.Refs{Org: key[:at], Repo: key[at+1:], BaseRef: "main", BaseSHA: "base", CloneURI: key,
			Pulls: []v1.Pull{{Number: number, Author: "An Author", SHA: "head", Ref: "refs/changes/07/7/1"}}}
	}
	org, repo, _ := strings.Cut(key, "/")
	return prowjob.PullRefs(prowjob.PullRequest{
		Org: org, Repo: repo, RepoURL: "https://github.com/" + key, BaseRef: "main", Number: number, Title: `Fix "it" & more`, URL: "https://github.com/" + key + "/pull/7",
		Author: "author", AuthorURL: "https://github.com/author", HeadSHA: "head", HeadRef: "fix",
	}, "base")
}

// TestThemes makes the ProwJob and the pod of every job of a few configurations
// that are written in the manner of real installations.
func TestThemes(t *testing.T) {
	files, err := filepath.Glob("testdata/themes/*.config.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v: %v", files, err)
	}
	total := 0
	for _, file := range files {
		theme := strings.TrimSuffix(filepath.Base(file), ".config.yaml")
		t.Run(theme, func(t *testing.T) {
			c, err := config.Load(t.Context(), config.Options{ConfigPath: file, SupplementalSuffix: config.DefaultShardSuffix})
			if err != nil {
				t.Fatal(err)
			}
			var golden bytes.Buffer
			everyRun(c, func(pj *v1.ProwJob) {
				total++
				document(t, &golden, pj)
				if pj.Spec.Agent != v1.KubernetesAgent {
					return
				}
				built := buildAlike(t, pj)
				checkPod(t, pj, built, "")
				document(t, &golden, built)
			})
			compareGolden(t, filepath.Join("testdata", "themes", theme+".golden.yaml"), golden.Bytes())
		})
	}
	t.Logf("%d runs", total)
}

func document(t *testing.T, w *bytes.Buffer, v any) {
	t.Helper()
	raw, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	w.WriteString("---\n")
	w.Write(raw)
}

// buildAlike builds a pod many times, which must give the same bytes each time
// and leave the ProwJob alone.
func buildAlike(t *testing.T, pj *v1.ProwJob, opts ...pod.Option) *corev1.Pod {
	t.Helper()
	const times = 50
	var built *corev1.Pod
	var first []byte
	before := jsonOf(t, pj)
	for range times {
		p, err := pod.Build(pj, opts...)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			built, first = p, raw
		}
		if !bytes.Equal(first, raw) {
			t.Fatalf("two builds differ:\n%s\n%s", first, raw)
		}
	}
	if after := jsonOf(t, pj); before != after {
		t.Errorf("Build changed the ProwJob:\n%s\n%s", before, after)
	}
	return built
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if updating() {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", file, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
	}
}

// TestRealJobs holds every run of a large real configuration against the rules.
func TestRealJobs(t *testing.T) {
	root := os.Getenv("PROW_REAL_CONFIG")
	if root == "" {
		t.Skip("PROW_REAL_CONFIG is not set: pods of the real configuration are NOT tested")
	}
	c, err := config.Load(context.Background(), config.Options{ConfigPath: filepath.Join(root, "config", "config.yaml"), JobConfigPath: filepath.Join(root, "jobs"), SupplementalSuffix: config.DefaultShardSuffix})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	everyRun(c, func(pj *v1.ProwJob) {
		runs++
		built, err := pod.Build(pj)
		if err != nil {
			t.Error(err)
			return
		}
		checkPod(t, pj, built, "")
		if again, err := pod.Build(pj); err != nil || jsonOf(t, again) != jsonOf(t, built) {
			t.Errorf("%s: two builds differ (%v)", pj.Spec.Job, err)
		}
	})
	t.Logf("%d runs", runs)
}
