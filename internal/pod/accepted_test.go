package pod_test

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/pod"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// TestARealAPIServerAccepts lets the API server validate every ProwJob and pod
// that the other tests compare with golden files.
func TestARealAPIServerAccepts(t *testing.T) {
	cluster := kubetest.Start(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	namespace := cluster.Namespace(t)
	accepted := func(t *testing.T, pj *v1.ProwJob, opts ...pod.Option) {
		t.Helper()
		pj.Namespace = namespace
		if err := c.Create(t.Context(), pj.DeepCopy(), client.DryRunAll); err != nil {
			t.Errorf("ProwJob of %s: %v", pj.Spec.Job, err)
		}
		if pj.Spec.Agent != v1.KubernetesAgent {
			return
		}
		built, err := pod.Build(pj, opts...)
		if err != nil {
			t.Fatal(err)
		}
		built.Namespace = namespace
		if err := c.Create(t.Context(), built, client.DryRunAll); err != nil {
			t.Errorf("pod of %s: %v", pj.Spec.Job, err)
		}
	}
	files, err := filepath.Glob("testdata/themes/*.config.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := config.Load(t.Context(), config.Options{ConfigPath: file, SupplementalSuffix: config.DefaultShardSuffix})
			if err != nil {
				t.Fatal(err)
			}
			everyRun(cfg, func(pj *v1.ProwJob) { accepted(t, pj) })
		})
	}
	t.Run("combinations", func(t *testing.T) {
		all := aspects()
		for _, row := range pairwise(all) {
			pj := usual()
			pj.Status.State = v1.TriggeredState
			for a, i := range row {
				all[a].ways[i].apply(pj, pj.Spec.DecorationConfig)
			}
			accepted(t, pj)
			accepted(t, pj, pod.WithLocalOutput("/host/out"))
		}
	})
}
