package wiring_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/wiring"
)

const kubeconfig = `{apiVersion: v1, kind: Config, current-context: c, users: [{name: u, user: {}}],
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: c, context: {cluster: c, user: u}}]}`

func start(t *testing.T) (base *wiring.Base, kubeconfigPath string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := config.DefaultOptions()
	o.ConfigPath = write("config.yaml", "log_level: warn\n")
	path := write("kubeconfig", kubeconfig)
	rt := service.NewRuntime("x", slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	base, err := wiring.Start(t.Context(), rt, o, kube.Flags{Kubeconfig: path, NoInClusterConfig: true})
	if err != nil {
		t.Fatal(err)
	}
	if rt.Level.Level() != slog.LevelWarn {
		t.Error("the level of the log is not that of the configuration")
	}
	return base, path
}

func TestAChangedKubeconfigEndsTheRunButNotAChangeOfItsPermissions(t *testing.T) {
	base, path := start(t)
	running, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- base.Run(t.Context(), func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			return nil
		})
	}()
	<-running
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("a change of permissions ended the run: %v", err)
	case <-time.After(3 * time.Second): // more than one look
	}
	if err := os.WriteFile(path, []byte(kubeconfig+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a changed kubeconfig did not end the run")
	}
}

func TestARunEndsWithItsParts(t *testing.T) {
	base, _ := start(t)
	if err := base.Run(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}
