package horologium_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/controller/horologium"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// TestTheProgramStartsPeriodicsInTheCluster runs two replicas against a real
// API server.
func TestTheProgramStartsPeriodicsInTheCluster(t *testing.T) {
	cluster := kubetest.Start(t)
	ns, proxy := cluster.Namespace(t), cluster.Proxy(t)
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "prowjob_namespace: " + ns + "\nhorologium: {tick_interval: 50ms}\nperiodics:\n- name: hourly\n  interval: 1h\n  spec: {containers: [{image: i, command: [c]}]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options := func(dryRun bool) *horologium.Options {
		cfg := config.DefaultOptions()
		cfg.ConfigPath = path
		return &horologium.Options{Config: cfg, Kubernetes: kube.Flags{Kubeconfig: proxy.KubeconfigPath, NoInClusterConfig: true}, ListTimeout: time.Minute, DryRun: dryRun}
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	jobs := func() []prowv1.ProwJob {
		var list prowv1.ProwJobList
		if err := c.List(context.Background(), &list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	run := func(dryRun bool) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		rt := service.NewRuntime(horologium.Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
		go func() { done <- horologium.Run(ctx, rt, options(dryRun)) }()
		select {
		case <-rt.Ready():
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		}
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	// A dry run makes its first tick before it can be stopped, and changes nothing.
	run(true)()
	if got := proxy.Mutations(); len(got) > 0 {
		t.Errorf("a dry run sent requests that change something: %q", got)
	}
	defer run(false)()
	defer run(false)()
	deadline := time.After(20 * time.Second)
	for len(jobs()) == 0 {
		select {
		case <-deadline:
			t.Fatal("no run within 20 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if got := jobs(); len(got) != 1 || got[0].Spec.Job != "hourly" || got[0].Status.State != prowv1.TriggeredState || got[0].Status.StartTime.IsZero() {
		t.Errorf("got %+v", got)
	}
}
