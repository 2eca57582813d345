package inrepo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/pflag"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// service answers as the real one does, from a tree in memory.
func service(t *testing.T, content string, down *atomic.Int32) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) {
		if down != nil && down.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("pong"))
	})
	mux.HandleFunc("/inrepoconfig", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Refs v1.Refs `json:"refs"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost ||
			r.Header.Get("Content-Type") != "application/json; charset=UTF-8" || r.Header.Get("User-Agent") != "gerrit/1" {
			t.Errorf("request: %v, %s %v", err, r.Method, r.Header)
		}
		refs := body.Refs
		if refs.Org != "org" || refs.Repo != "repo" || refs.BaseRef != "main" || refs.BaseSHA != "base" || len(refs.Pulls) != 1 || refs.Pulls[0].SHA != "head" {
			t.Errorf("refs: %+v", refs)
		}
		jobs, err := config.ReadInRepo(fstest.MapFS{".prow.yaml": {Data: []byte(content)}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jobs)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func client(t *testing.T, address string) *config.InRepo {
	t.Helper()
	var o Options
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse([]string{"--moonraker-address", address}); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := o.Open(t.Context(), func() (config.TreeOpener, error) { t.Error("mirrors are not needed"); return nil, nil }, config.InRepoOptions{},
		MoonrakerOptions{UserAgent: "gerrit/1", Timeout: func() time.Duration { return 10 * time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func enabled() *config.Config {
	yes := true
	c := &config.Config{}
	c.InRepoConfig.Enabled = map[string]*bool{"*": &yes}
	c.InRepoConfig.AllowedClusters = map[string][]string{"*": {"default"}}
	c.PodNamespace = "pods"
	return c
}

func TestMoonrakerReplacesMirrors(t *testing.T) {
	server := service(t, "presets: [{labels: {p: x}, env: [{name: E, value: v}]}]\npresubmits: [{name: a, labels: {p: x}, spec: {containers: [{image: i}]}}]\n", nil)
	jobs, err := client(t, server.URL).Presubmits(t.Context(), enabled(), "org/repo", "main", config.SHA("base"), config.SHA("head"), config.SHA(""))
	if err != nil {
		t.Fatal(err)
	}
	// Defaults and presets are applied here.
	if len(jobs) != 1 || jobs[0].RerunCommand != "/test a" || *jobs[0].Namespace != "pods" || len(jobs[0].Spec.Containers[0].Env) != 1 {
		t.Errorf("found %+v", jobs)
	}
}

func TestMoonrakerTellsWhatIsWrong(t *testing.T) {
	for content, want := range map[string]string{
		"presubmits: {}": "status 400: .prow.yaml:1:13: presubmits: found a map, expected a list",
		"presubmits: [{name: a, cluster: secret, spec: {containers: [{}]}}]": `found "secret", which jobs of org/repo may not use`,
	} {
		_, err := client(t, service(t, content, nil).URL).Jobs(t.Context(), enabled(), "org/repo", "main", config.SHA("base"), config.SHA("head"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: found %v, expected %q", content, err, want)
		}
	}
}

func TestMoonrakerIsWaitedFor(t *testing.T) {
	var down atomic.Int32
	down.Store(1)
	client(t, service(t, "", &down).URL)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	down.Store(1000)
	if _, err := NewMoonraker(ctx, service(t, "", &down).URL, MoonrakerOptions{}); err == nil || !strings.Contains(err.Error(), "does not answer: status 503") {
		t.Errorf("found %v", err)
	}
}

func TestMoonrakerAddressIsChecked(t *testing.T) {
	for _, address := range []string{"moonraker:8080", "ftp://x", "http://", ":"} {
		if err := (&Options{MoonrakerAddress: address}).Validate(); err == nil {
			t.Errorf("%s is accepted", address)
		}
	}
	if slices.ContainsFunc([]string{"http://moonraker:8080", "https://x/path", ""}, func(a string) bool { return (&Options{MoonrakerAddress: a}).Validate() != nil }) {
		t.Error("a good address is refused")
	}
}
