package tide

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/gerrit/gerrittest"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

// gerritComponent is what a component on Gerrit is started with: a cluster, files of
// configuration, and the cookie, without which the repository cannot be cloned.
func gerritComponent(t *testing.T) (*gerritWorld, Options) {
	t.Helper()
	cluster := kubetest.Start(t)
	w := newGerritWorld(t, gerrittest.Project{Private: true})
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.jobs, err = client.NewWithWatch(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, "INSTANCE", w.server.URL)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := strings.Replace(gerritConfig, "prowjob_namespace: default", "prowjob_namespace: "+cluster.Namespace(t), 1)
	return w, Options{
		Config: config.Options{
			ConfigPath:    write("config.yaml", strings.Replace(main, "tide:\n", "tide:\n  sync_period: 1h\n", 1)),
			JobConfigPath: write("jobs.yaml", gerritJobs),
		},
		Kubernetes: kube.Flags{Kubeconfig: cluster.KubeconfigPath, NoInClusterConfig: true},
		CookieFile: write("cookies", "127.0.0.1\tFALSE\t/\tFALSE\t2147483647\to\t"+gerrittest.Cookie+"\n"),
		MaxRecords: 10, ListingTimeout: time.Minute, GerritMaxQPS: 100, GerritMaxBurst: 10,
	}
}

func TestTheComponentMergesOnGerrit(t *testing.T) {
	w, o := gerritComponent(t)
	one, _ := w.open("one")
	two, _ := w.open("two")
	c := startComponent(t, o)
	var pools []Pool
	c.get("/", &pools)
	if len(pools) != 1 || pools[0].Action != "TRIGGER_BATCH" || pools[0].Org != w.server.URL || len(pools[0].Target) != 2 {
		t.Fatalf("the first round comes before the first answer: %+v", pools)
	}
	running := w.unfinished()
	if len(running) != 1 {
		t.Fatalf("%d jobs", len(running))
	}
	if w.finish(prowv1.SuccessState) != 1 {
		t.Fatal("there is no job")
	}
	// The period is an hour: the end of the job brings the round about.
	eventually(t, "the merge", func() bool { return w.merged(one, two) })
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestOneRoundOnGerritEnds(t *testing.T) {
	for _, dry := range []bool{true, false} {
		w, o := gerritComponent(t)
		o.RunOnce, o.DryRun = true, dry
		// Without jobs nothing is needed for a merge.
		if err := os.WriteFile(o.Config.JobConfigPath, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		number, _ := w.open("one")
		rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := Run(ctx, rt, &o)
		cancel()
		if err != nil || ctx.Err() == context.DeadlineExceeded {
			t.Fatalf("dry %t: %v", dry, err)
		}
		if w.merged(number) == dry {
			t.Errorf("dry %t, merged %t", dry, w.merged(number))
		}
	}
}

func TestJobsOfRepositoriesComeFromAServiceOnGerrit(t *testing.T) {
	asked := 0
	moonraker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inrepoconfig" {
			asked++
			_ = json.NewEncoder(w).Encode(map[string]any{"presubmits": []map[string]any{{
				"name": "remote", "always_run": true, "spec": map[string]any{"containers": []map[string]any{{"image": "x", "command": []string{"x"}}}},
			}}})
		}
	}))
	defer moonraker.Close()
	cfg := loadConfig(t, "in_repo_config: {enabled: {\"*\": true}}\n", "{}")
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	o := Options{MoonrakerAddress: moonraker.URL}
	inRepo, err := o.openInRepo(t.Context(), rt, onGerrit, nil, func() time.Duration { return time.Minute })
	if err != nil {
		t.Fatal(err)
	}
	sha := config.SHA(strings.Repeat("a", 40))
	found, err := inRepo.Presubmits(t.Context(), cfg, "https://g/p", "main", sha, sha)
	if err != nil || len(found) != 1 || found[0].Name != "remote" || asked != 1 {
		t.Errorf("%v, %v, asked %d times", fmt.Sprint(found), err, asked)
	}
	o.MoonrakerAddress = "http://127.0.0.1:1"
	if _, err := o.openInRepo(t.Context(), rt, onGitHub, nil, nil); err != nil {
		t.Errorf("on GitHub the service is not asked: %v", err)
	}
}
