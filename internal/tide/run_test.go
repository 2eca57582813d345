package tide

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/tide/history"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(kubetest.Run(m))
}

// component is a running tide on a real cluster.
type component struct {
	t    *testing.T
	url  string
	stop func() error
}

func startComponent(t *testing.T, o Options) *component {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Listener = listener
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, rt, &o) }()
	stop := func() error {
		cancel()
		return <-done
	}
	select {
	case <-rt.Ready():
	case err := <-done:
		cancel()
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatalf("not ready: %v", stop())
	}
	return &component{t, "http://" + listener.Addr().String(), stop}
}

func (c *component) get(path string, out any) {
	c.t.Helper()
	resp, err := http.Get(c.url + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, out)
	}
	if err != nil {
		c.t.Fatalf("%s: %v: %s", path, err, body)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestTheComponentMergesWithoutWaitingForThePeriod(t *testing.T) {
	cluster := kubetest.Start(t)
	w := newWorld(t)
	ns := cluster.Namespace(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	real, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w.jobs = real

	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	forge := strings.TrimSuffix(w.forge.APIURL(), "/api/v3")
	o := Options{
		Config: config.Options{
			ConfigPath:    write("config.yaml", strings.Replace(withTide("  sync_period: 1h\n  status_update_period: 1s\n"), "prowjob_namespace: default", "prowjob_namespace: "+ns, 1)),
			JobConfigPath: write("jobs.yaml", unitJob),
		},
		Kubernetes: kube.Flags{Kubeconfig: cluster.KubeconfigPath, NoInClusterConfig: true},
		GitHub: github.Flags{
			Host: strings.TrimPrefix(forge, "http://"), Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), TokenPath: write("token", "token-of-robot"),
		},
		MaxRecords: 10, HistoryURI: filepath.Join(dir, "state", "history.json"), StatusURI: "file://" + filepath.Join(dir, "state", "status.yaml"),
		ListingTimeout: time.Minute,
	}
	number, head := w.pull("one", "lgtm")
	w.report(head, "unit", "success", "done")

	c := startComponent(t, o)
	var pools []Pool
	c.get("/", &pools)
	if len(pools) != 1 || pools[0].Action != "TRIGGER" || pools[0].MissingPRs[0].HeadRefOID != head || pools[0].Reasons[0].Sentence == "" {
		t.Fatalf("the first round comes before the first answer: %+v", pools)
	}
	eventually(t, "the status", func() bool { return w.tide(head) == "pending: Waiting for unit on the current base." })
	// The pull request waits for a job; the period is an hour.
	job := w.jobsIn(ns)[0]
	job.Status.State = prowv1.SuccessState
	job.SetComplete()
	w.update(&job)
	w.passed(head, "unit", w.main())
	job.Status.PrevReportStates = map[string]prowv1.ProwJobState{prowv1.GitHubReporterName: prowv1.SuccessState}
	w.update(&job)
	eventually(t, "the merge", func() bool { return w.merged(number) })
	var records map[string][]history.Record
	eventually(t, "the history", func() bool {
		c.get("/history", &records)
		return len(records["acme/app:main"]) == 2 && records["acme/app:main"][0].Action == "MERGE"
	})
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"history.json", "status.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, "state", name)); err != nil {
			t.Error(err)
		}
	}
	// The next process knows what the last one did.
	c = startComponent(t, o)
	records = nil
	c.get("/history", &records)
	if len(records["acme/app:main"]) != 2 {
		t.Errorf("the history is %v", records)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
}

// jobsIn lists the ProwJobs of a namespace.
func (w *world) jobsIn(namespace string) []prowv1.ProwJob {
	w.t.Helper()
	var list prowv1.ProwJobList
	if err := w.jobs.List(w.t.Context(), &list, client.InNamespace(namespace)); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{Config: config.Options{ConfigPath: "x"}, MaxRecords: 1}
	}
	for sentence, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"good ones":           {func(*Options) {}, ""},
		"the provider github": {func(o *Options) { o.Provider = "github" }, ""},
		"an unknown provider": {func(o *Options) { o.Provider = "gitlab" }, "--provider=gitlab"},
		"the provider gerrit": {func(o *Options) { o.Provider = "gerrit" }, ""},
		"gerrit needs no GitHub": {func(o *Options) {
			o.Provider, o.GitHub.AppID = "gerrit", "half of it"
		}, ""},
		"GitHub after the provider":     {func(o *Options) { o.Provider, o.GitHub.AppID = "gitlab", "half of it" }, "--provider=gitlab: expected github or gerrit\n--github-app-id"},
		"a negative limit":              {func(o *Options) { o.GerritMaxQPS = -1 }, "--gerrit-max-qps"},
		"a cookie file that is not":     {func(o *Options) { o.CookieFile = "/nowhere/cookies" }, "--cookiefile"},
		"an odd moonraker":              {func(o *Options) { o.MoonrakerAddress = "moon" }, "--moonraker-address"},
		"no configuration":              {func(o *Options) { o.Config.ConfigPath = "" }, "--config-path"},
		"a history of nothing":          {func(o *Options) { o.MaxRecords = 0 }, "--max-records-per-pool"},
		"no port":                       {func(o *Options) { o.Port = 70000 }, "--port"},
		"a negative number of requests": {func(o *Options) { o.SyncTokens = -1 }, "tokens"},
	} {
		o := good()
		tc.change(&o)
		err := o.Validate()
		if (err == nil) != (tc.want == "") || !strings.Contains(fmt.Sprint(err), tc.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestFlags(t *testing.T) {
	var o Options
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.Bind(fs)
	// Two clients have limits of their own.
	for _, name := range []string{"github-hourly-tokens", "github-allowed-burst", "github-throttle-org"} {
		if fs.Lookup(name) != nil {
			t.Errorf("there is a flag --%s", name)
		}
	}
	for name, want := range map[string]string{
		"port": "8888", "dry-run": "true", "run-once": "false", "sync-hourly-tokens": "800", "status-hourly-tokens": "400", "max-records-per-pool": "1000",
		"history-uri": "", "status-path": "", "provider": "", "cookiefile": "", "timeout-listing-prowjobs": "30s", "gerrit-max-qps": "0", "gerrit-max-burst": "0",
		"in-repo-config-cache-size": "200", "cache-dir-base": "", "moonraker-address": "", "github-app-id": "", "github-app-private-key-path": "",
	} {
		if f := fs.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("--%s: %+v", name, f)
		}
	}
}

func TestTheProviderFollowsFromTheConfiguration(t *testing.T) {
	both := "  queries: [{orgs: [a]}]\n  gerrit: {queries: [{org: \"https://g\", repos: [r]}]}\n"
	for sentence, tc := range map[string]struct {
		flag, tide string
		want       string
	}{
		"nothing":                        {"", "  queries: []\n", "github"},
		"queries for GitHub":             {"", "  queries: [{orgs: [a]}]\n", "github"},
		"both":                           {"", both, ""},
		"both, with a choice":            {"github", both, "github"},
		"both, with the other choice":    {"gerrit", both, "gerrit"},
		"queries for Gerrit only":        {"", "  gerrit: {queries: [{org: \"https://g\", repos: [r]}]}\n", "gerrit"},
		"empty settings of Gerrit":       {"", "  gerrit: {}\n", "github"},
		"those, with queries for GitHub": {"", "  queries: [{orgs: [a]}]\n  gerrit: {}\n", "github"},
		"a choice without queries":       {"gerrit", "  queries: []\n", "gerrit"},
		"a choice against the queries":   {"gerrit", "  queries: [{orgs: [a]}]\n", "gerrit"},
	} {
		got, err := chooseProvider(tc.flag, &tideConfig(t, tc.tide).Tide)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v", sentence, got, err)
		}
	}
}

func TestObjectsArePathsOrURLs(t *testing.T) {
	for uri, want := range map[string]string{
		"/a/b/c.json": "/a/b c.json", "gs://bucket/x/y": "gs://bucket/x y", "s3://bucket/y": "s3://bucket y",
		"gs://bucket/": "", "gs://bucket": "", "/": "",
	} {
		dir, key, err := splitObject(uri)
		if got := strings.TrimSpace(dir + " " + key); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", uri, got, err)
		}
	}
	if dir, key, err := splitObject("h.json"); err != nil || !filepath.IsAbs(dir) || key != "h.json" {
		t.Errorf("a relative path: %s %s %v", dir, key, err)
	}
}

func TestWhichJobsAreOfNoMoreNews(t *testing.T) {
	job := func(typ prowv1.ProwJobType, report, complete bool, reported prowv1.ProwJobState) *prowv1.ProwJob {
		j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Type: typ, Report: report}, Status: prowv1.ProwJobStatus{State: prowv1.FailureState}}
		if reported != "" {
			j.Status.PrevReportStates = map[string]prowv1.ProwJobState{prowv1.GitHubReporterName: reported}
		}
		if complete {
			j.SetComplete()
		}
		return j
	}
	for sentence, tc := range map[string]struct {
		job  *prowv1.ProwJob
		want bool
	}{
		"a presubmit that runs":                  {job(prowv1.PresubmitJob, true, false, "pending"), false},
		"one that ended and is not reported yet": {job(prowv1.PresubmitJob, true, true, "pending"), false},
		"one that ended and is reported":         {job(prowv1.PresubmitJob, true, true, "failure"), true},
		"one that is never reported":             {job(prowv1.PresubmitJob, false, true, ""), true},
		"a batch that ended":                     {job(prowv1.BatchJob, false, true, ""), true},
		"a periodic":                             {job(prowv1.PeriodicJob, true, true, "failure"), false},
	} {
		if got := ended(tc.job); got != tc.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
}
