package horologium_test

import (
	"context"
	"fmt"
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

// A horologium that dies at any of its writes, or whose write is done without an
// answer, leaves it to the next one to start what is missing, once.
func TestAHorologiumThatDiesAtAnyWriteStartsEachPeriodicOnce(t *testing.T) {
	cluster := kubetest.Start(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		writes, effect := n/2, n%2 == 1
		ns, proxy := cluster.Namespace(t), cluster.Proxy(t)
		path := filepath.Join(t.TempDir(), "config.yaml")
		text := "prowjob_namespace: " + ns + "\nhorologium: {tick_interval: 50ms}\nperiodics:\n"
		for _, schedule := range []string{"interval: 1h", `cron: "@every 1h"`, "minimum_interval: 1h"} {
			text += fmt.Sprintf("- name: job-%d\n  %s\n  spec: {containers: [{image: i, command: [c]}]}\n", len(text), schedule)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run := func(ctx context.Context) (ended chan error) {
			cfg := config.DefaultOptions()
			cfg.ConfigPath = path
			rt := service.NewRuntime(horologium.Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
			ended = make(chan error, 1)
			go func() {
				ended <- horologium.Run(ctx, rt, &horologium.Options{
					Config: cfg, Kubernetes: kube.Flags{Kubeconfig: proxy.KubeconfigPath, NoInClusterConfig: true}, ListTimeout: time.Minute, NoLeaderElection: true,
				})
			}()
			return ended
		}
		first, die := context.WithCancel(t.Context())
		cut := proxy.CutAfter(writes, effect)
		ended := run(first)
		<-cut
		die()
		<-ended
		proxy.Heal()
		second, stop := context.WithCancel(t.Context())
		ended = run(second)
		runs := map[string]int{}
		for deadline := time.Now().Add(20 * time.Second); len(runs) < 3; <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after write %d, effect %t: only %v were started", writes, effect, runs)
			}
			var jobs prowv1.ProwJobList
			if err := c.List(t.Context(), &jobs, client.InNamespace(ns)); err != nil {
				t.Fatal(err)
			}
			clear(runs)
			for _, j := range jobs.Items {
				runs[j.Spec.Job]++
			}
		}
		// Some more ticks start nothing.
		settled := len(proxy.Mutations())
		<-time.After(300 * time.Millisecond)
		if more := len(proxy.Mutations()) - settled; more > 0 {
			t.Errorf("after write %d, effect %t: %d further writes", writes, effect, more)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for job, times := range runs {
			if times != 1 {
				t.Errorf("after write %d, effect %t: %s was started %d times", writes, effect, job, times)
			}
		}
	}
}
