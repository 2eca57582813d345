package deck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

func TestProbes1And2And3AnEmptyCluster(t *testing.T) {
	s := start(t, Options{}, "")
	if got := s.get("/"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "<title>Prow Status</title>") {
		t.Errorf("probe 1: %s %s", got.Status, got.body)
	}
	if got := s.get("/nope"); got.StatusCode != http.StatusNotFound {
		t.Errorf("probe 1: %s", got.Status)
	}
	if got := s.get("/prowjobs.js"); got.body != `{"items":[]}` || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store, must-revalidate" {
		t.Errorf("probe 2: %q %v", got.body, got.Header)
	}
	if got := s.get("/prowjobs.js?var=x"); !strings.HasPrefix(got.body, `var x = {"items":`) || !strings.HasSuffix(got.body, ";") || got.Header.Get("Content-Type") != "application/javascript" {
		t.Errorf("probe 3: %q %v", got.body, got.Header)
	}
}

func TestProbes4And5And10TheListOfProwJobs(t *testing.T) {
	s := start(t, Options{}, "")
	s.job("a", func(pj *v1.ProwJob) {
		pj.Spec.Refs = &v1.Refs{Org: "o", Repo: "r", Pulls: []v1.Pull{{Number: 1, Author: "u", SHA: "s"}}}
		pj.Spec.PodSpec.Containers = append(pj.Spec.PodSpec.Containers, corev1.Container{Name: "second", Image: "img"})
	})
	s.job("b", func(pj *v1.ProwJob) {
		pj.Spec.Type, pj.Spec.Refs, pj.Spec.PodSpec, pj.Spec.ExtraRefs = v1.PeriodicJob, nil, nil, []v1.Refs{{Org: "o", Repo: "x"}}
	})
	s.job("c", func(pj *v1.ProwJob) { pj.Spec.Type, pj.Spec.Refs = v1.PeriodicJob, nil })
	s.eventually("/prowjobs.js", `"name":"a"`, `"name":"b"`, `"name":"c"`)

	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(s.get("/prowjobs.js?omit=annotations,labels,decoration_config,pod_spec").body), &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		meta, spec := item["metadata"].(map[string]any), item["spec"].(map[string]any)
		if meta["annotations"] != nil || meta["labels"] != nil || spec["decoration_config"] != nil || meta["managedFields"] != nil {
			t.Errorf("probe 4: %v", item)
		}
		pod, _ := spec["pod_spec"].(map[string]any)
		switch meta["name"] {
		case "a":
			containers := pod["containers"].([]any)
			if len(containers) != 2 || containers[0].(map[string]any)["name"] != "" || containers[0].(map[string]any)["image"] != nil {
				t.Errorf("probe 4: containers %v", containers)
			}
		case "b":
			if pod != nil {
				t.Errorf("probe 4: a pod spec from nowhere: %v", pod)
			}
		}
	}
	for query, want := range map[string][]string{"?org=o": {"a", "b"}, "?repo=x": {"b"}, "?owner=u": {"a"}, "": {"a", "b", "c"}} {
		got := names(t, s.get("/prowjobs.js"+query).body)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("probe 5: %s: %q, want %q", query, got, want)
		}
	}
	for path, code := range map[string]int{"/prowjob": 400, "/prowjob?prowjob=missing": 404, "/prowjob?prowjob=a": 200} {
		got := s.get(path)
		if got.StatusCode != code || code == 200 && (got.Header.Get("Content-Type") != "text/plain" || strings.Contains(got.body, "managedFields") || !strings.Contains(got.body, "name: a")) {
			t.Errorf("probe 10: %s: %s %s", path, got.Status, got.body)
		}
	}
}

func TestProbe6FlagsThatExcludeEachOther(t *testing.T) {
	for _, o := range []Options{{HiddenOnly: true, ShowHidden: true}, {TenantIDs: []string{"t"}, ShowHidden: true}, {TenantIDs: []string{"t"}, HiddenOnly: true}} {
		o.Config.ConfigPath = "x"
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "only one of --hidden-only, --show-hidden and --tenant-id") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestProbe7EightKindsOfJobs(t *testing.T) {
	for flags, tt := range map[string]struct {
		o    Options
		want []string
	}{
		"none":               {Options{}, []string{"absent", "default", "none"}},
		"--tenant-id=tester": {Options{TenantIDs: []string{"tester"}}, []string{"hidden-tester", "tester"}},
		"--show-hidden":      {Options{ShowHidden: true}, []string{"absent", "default", "hidden-absent", "hidden-default", "hidden-none", "hidden-tester", "none"}},
		"--hidden-only":      {Options{HiddenOnly: true}, []string{"hidden-absent", "hidden-default", "hidden-none", "hidden-tester"}},
	} {
		s := start(t, tt.o, "")
		for _, hidden := range []string{"", "hidden-"} {
			for kind, d := range map[string]*v1.ProwJobDefault{"default": {TenantID: v1.GlobalDefaultTenantID}, "none": {}, "absent": nil, "tester": {TenantID: "tester"}} {
				s.job(hidden+kind, func(pj *v1.ProwJob) { pj.Spec.Hidden, pj.Spec.ProwJobDefault = hidden != "", d })
			}
		}
		for _, name := range tt.want {
			s.eventually("/prowjobs.js", `"name":"`+name+`"`)
		}
		got := names(t, s.get("/prowjobs.js").body)
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", flags, got, tt.want)
		}
	}
}

func TestProbes11And12Configuration(t *testing.T) {
	s := start(t, Options{}, "")
	if got := s.get("/config?key=disabled-clusters").body; got != "- build01\n- build08\n" {
		t.Errorf("probe 11: %q", got)
	}
	if got := s.get("/config?key=zzz"); got.StatusCode != http.StatusInternalServerError || !strings.Contains(got.body, "zzz") {
		t.Errorf("probe 11: %s %s", got.Status, got.body)
	}
	if got := s.get("/plugin-config"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("probe 12: %s", got.Status)
	}
	raw, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, []byte(strings.Replace(string(raw), "disabled_clusters: [build08, build08, build01]\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.eventually("/config?key=disabled-clusters", "[]\n")

	with := start(t, Options{Plugins: pluginconfig.Options{Path: write(t, "plugins.yaml", "plugins: {o: {plugins: [hold]}}\n"), SupplementalSuffix: pluginconfig.DefaultSuffix}}, "")
	if got := with.get("/plugin-config"); got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "text/plain" || !strings.Contains(got.body, "- hold") {
		t.Errorf("with plugins: %s %s", got.Status, got.body)
	}
}

func TestProbe13TheHelpOfPlugins(t *testing.T) {
	var asked atomic.Int32
	var down atomic.Bool
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, `{"AllRepos":["o/r"],"RepoPlugins":{"":["hold"]}}`)
	}))
	defer hook.Close()
	s := start(t, Options{HookURL: hook.URL}, "")
	for range 2 {
		if got := s.get("/plugin-help.js"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"AllRepos":["o/r"]`) {
			t.Errorf("%s %s", got.Status, got.body)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("hook was asked %d times", n)
	}
	down.Store(true)
	other := start(t, Options{HookURL: hook.URL}, "")
	if got := other.get("/plugin-help.js"); got.StatusCode != http.StatusOK || got.body != `{"AllRepos":[],"RepoPlugins":{},"RepoExternalPlugins":{},"PluginHelp":{},"ExternalPluginHelp":{}}` {
		t.Errorf("hook is down: %s %s", got.Status, got.body)
	}
}

func TestProbes18And19And20And21Tide(t *testing.T) {
	var answers atomic.Int32
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := answers.Add(1)
		if n == 1 || n > 40 {
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
		if r.URL.Path == "/history" {
			fmt.Fprint(w, `{"k/docs:main":[{"time":"2026-01-01T00:00:04Z","action":"MERGE","tenantids":["GlobalDefaultID"]},{"time":"2026-01-01T00:00:03Z","action":"MERGE","tenantids":["GlobalDefaultID","private"]},{"time":"2026-01-01T00:00:02Z","action":"MERGE","tenantids":["private"]},{"time":"2026-01-01T00:00:01Z","action":"MERGE","tenantids":null}],"k/website:main":[{"time":"2026-01-01T00:00:00Z","action":"TRIGGER","tenantids":null}]}`)
			return
		}
		fmt.Fprint(w, `[{"Org":"k","Repo":"docs","Branch":"main","Action":"WAIT","SuccessPRs":[{"Number":1,"Title":"t","HeadRefOID":"s","Mergeable":"MERGEABLE","Author":{"Login":"ann"},"Body":"long"}]},{"Org":"k","Repo":"website","Branch":"main","Action":"WAIT"}]`)
	}))
	defer tide.Close()
	// Queries with the same conditions are one, so these differ.
	const extra = deckMark + "  tide_update_period: 100ms\ntide: {queries: [{repos: [k/website, k/docs], labels: [lgtm]}, {repos: [a/b]}]}\n"
	type answer struct {
		Queries     []string
		TideQueries []struct{ Repos []string }
		Pools       []struct {
			Repo       string
			SuccessPRs []map[string]any
		}
	}
	read := func(s *site) (out answer) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.get("/tide.js").body), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	configureHidden := func(s *site) {
		raw, err := os.ReadFile(s.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.config+".new", []byte(strings.Replace(string(raw), "hidden_repos: [secret-org, o/secret]", "hidden_repos: [k/website]", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.config+".new", s.config); err != nil {
			t.Fatal(err)
		}
		s.eventually("/config", "- k/website")
	}
	plain := start(t, Options{TideURL: tide.URL}, extra)
	configureHidden(plain)
	plain.eventually("/tide.js", `"Number":1`) // probe 21: after an error it is asked again
	got := read(plain)
	if len(got.Pools) != 1 || got.Pools[0].Repo != "docs" || len(got.Pools[0].SuccessPRs[0]) != 4 {
		t.Errorf("probes 18 and 19: %+v", got.Pools)
	}
	if !slices.Contains(got.Queries, `is:pr state:open archived:false repo:"a/b"`) || !slices.Equal(got.TideQueries[0].Repos, []string{"k/docs"}) {
		t.Errorf("probes 18 and 19: %+v", got)
	}
	if history := plain.get("/tide-history.js").body; strings.Contains(history, "k/website") || !strings.Contains(history, "k/docs:main") {
		t.Errorf("probe 19: %s", history)
	}
	hidden := start(t, Options{TideURL: tide.URL, HiddenOnly: true}, extra)
	configureHidden(hidden)
	hidden.eventually("/tide.js", `"Repo":"website"`)
	if got := read(hidden); len(got.Pools) != 1 || got.Pools[0].Repo != "website" || !slices.Equal(got.TideQueries[0].Repos, []string{"k/website", "k/docs"}) {
		t.Errorf("probe 19, --hidden-only: %+v", got)
	}
	tenant := start(t, Options{TideURL: tide.URL, TenantIDs: []string{v1.GlobalDefaultTenantID}}, extra)
	tenant.eventually("/tide-history.js", "k/docs:main")
	var history struct {
		History map[string][]struct{ Time time.Time }
	}
	if err := json.Unmarshal([]byte(tenant.get("/tide-history.js").body), &history); err != nil {
		t.Fatal(err)
	}
	if kept := history.History["k/docs:main"]; len(kept) != 2 || kept[0].Time.Second() != 4 || kept[1].Time.Second() != 1 {
		t.Errorf("probe 20: %+v", history)
	}
	for answers.Load() <= 44 { // from the 41st on Tide is down
		time.Sleep(20 * time.Millisecond)
	}
	if got := read(plain); len(got.Pools) != 1 {
		t.Errorf("probe 21: what was known is gone: %+v", got.Pools)
	}
}

func TestProbe26AnyoneAndSomebodyExcludeEachOther(t *testing.T) {
	o := config.DefaultOptions()
	o.ConfigPath = write(t, "config.yaml", "deck: {default_rerun_auth_configs: [{repo: o, rerun_auth_configs: {allow_anyone: true, github_users: [u]}}]}\n")
	if _, err := config.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "allow_anyone is true") {
		t.Errorf("it is accepted: %v", err)
	}
}

func TestBranding(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "extensions"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"our.ico": "icon", "extensions/style.css": "h1{}", "extensions/script.js": "1", ".secret": "s"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, Options{StaticFiles: dir}, deckMark+`  branding: {logo: "https://img.example/logo.png", favicon: our.ico, background_color: "#fafafa", header_color: "red;} body{display:none"}
  google_analytics: G-123
`)
	page := s.get("/")
	contains(t, "the page", page.body, `src="https://img.example/logo.png"`, `href="./branding.css?`, `href="./static/extensions/style.css"`, `src="./static/extensions/script.js"`, "gtag/js?id=G-123", `data-id="G-123"`)
	policy := page.Header.Get("Content-Security-Policy")
	contains(t, "the policy", policy, "img-src 'self' https://*.google-analytics.com https://www.googletagmanager.com https://img.example", "script-src 'self' https://www.googletagmanager.com;")
	lacks(t, "the policy", policy, "unsafe")
	if css := s.get("/branding.css").body; css != "html, body { background-color: #fafafa; }\n" {
		t.Errorf("colours: %q", css)
	}
	if got := s.get("/favicon.ico"); got.Header.Get("Location") != "/static/our.ico" {
		t.Errorf("the icon: %s %s", got.Status, got.Header.Get("Location"))
	}
	for path, code := range map[string]int{"/static/our.ico": 200, "/static/extensions/style.css": 200, "/static/deck.css": 200, "/static/.secret": 404, "/static/%2e%2e/x": 404, "/static/extensions": 404} {
		if got := s.get(path); got.StatusCode != code {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	plain := start(t, Options{}, "")
	lacks(t, "a page without branding", plain.get("/").body, "google", "branding", "extensions")
	lacks(t, "its policy", plain.get("/").Header.Get("Content-Security-Policy"), "google", "http")
}
