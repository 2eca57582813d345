package deck

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/secret"
	"prow/internal/service"
)

// all are the ProwJobs of the cluster by name.
func (s *site) all() map[string]v1.ProwJob {
	s.t.Helper()
	var list v1.ProwJobList
	if err := s.jobs.List(s.t.Context(), &list, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	out := map[string]v1.ProwJob{}
	for i := range list.Items {
		out[list.Items[i].Name] = list.Items[i]
	}
	return out
}

// made is the one ProwJob that there is now and was not before.
func (s *site) made(before map[string]v1.ProwJob) v1.ProwJob {
	s.t.Helper()
	var out []v1.ProwJob
	for name, pj := range s.all() {
		if _, old := before[name]; !old {
			out = append(out, pj)
		}
	}
	if len(out) != 1 {
		s.t.Fatalf("%d ProwJobs were made, expected one", len(out))
	}
	return out[0]
}

func unit(pj *v1.ProwJob) {
	pj.Labels[v1.GerritReportLabel], pj.Labels["random"] = "Code-Review", "old"
}

const latestJobs = `
presubmits:
  o/r:
  - name: unit
    branches: [main]
    labels: {version: "2"}
    spec: {containers: [{name: test, image: new}]}
  - name: elsewhere
    branches: [release]
    spec: {containers: [{name: test, image: new}]}
periodics:
- name: nightly
  interval: 1h
  spec: {containers: [{name: test, image: new}]}
`

func TestProbe22WhatWouldRun(t *testing.T) {
	s := start(t, Options{}, "")
	s.job("p", func(pj *v1.ProwJob) { pj.Labels[v1.BuildIDLabel], pj.Status.BuildID = "7", "7" })
	s.eventually("/prowjobs.js", `"p"`)
	if got := s.do(http.MethodPost, "/rerun?prowjob=p"); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("without --rerun-creates-job: %s", got.Status)
	}
	for state, extra := range map[v1.ProwJobState]string{v1.TriggeredState: "", v1.SchedulingState: "\nscheduler: {enabled: true}\n"} {
		s.configure(extra)
		s.eventually("/rerun?prowjob=p", "state: "+string(state))
		got := s.get("/rerun?prowjob=p&mode=original")
		var pj v1.ProwJob
		if err := yaml.Unmarshal([]byte(got.body), &pj); err != nil {
			t.Fatal(err)
		}
		if pj.Name == "p" || pj.Name == "" || pj.Namespace != s.namespace || pj.Status.BuildID != "" || pj.Labels[v1.BuildIDLabel] != "" || pj.Labels["a"] != "b" || pj.Annotations["c"] != "d" || pj.Spec.Job != "unit" || pj.Kind != "ProwJob" {
			t.Errorf("%s", got.body)
		}
		if got.Header.Get("Content-Type") != "text/plain" || got.Header.Get("Cache-Control") != "no-store, must-revalidate" {
			t.Errorf("%v", got.Header)
		}
	}
	for path, code := range map[string]int{"/rerun": 400, "/rerun?prowjob=missing": 404, "/rerun?prowjob=../x": 404, "/abort": 400, "/abort?prowjob=missing": 404, "/abort?prowjob=p": 405} {
		if got := s.get(path); got.StatusCode != code {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

func TestProbe23And14AnyoneRunsAJobAgain(t *testing.T) {
	s := start(t, Options{RerunCreatesJob: true, AllowInsecure: true}, deckWith("rerun_auth_configs: {'*': {allow_anyone: true}}"))
	s.job("p", unit)
	s.eventually("/prowjobs.js", `"p"`)
	before := s.all()
	got := s.do(http.MethodPost, "/rerun?mode=original&prowjob=p")
	made := s.made(before)
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, made.Name) || made.Status.Description != "Reran p." || made.Labels["random"] != "old" || made.Status.State != v1.TriggeredState {
		t.Errorf("%s %s: %+v", got.Status, got.body, made)
	}
}

func TestProbe23TheConfigurationAsItIsNow(t *testing.T) {
	s := start(t, Options{RerunCreatesJob: true, AllowInsecure: true}, deckWith("rerun_auth_configs: {'*': {allow_anyone: true}}")+latestJobs)
	s.job("p", unit)
	s.job("batch", func(pj *v1.ProwJob) { pj.Spec.Type = v1.BatchJob })
	s.job("gone", func(pj *v1.ProwJob) { pj.Spec.Job = "gone" })
	s.job("elsewhere", func(pj *v1.ProwJob) { pj.Spec.Job = "elsewhere" })
	s.job("norefs", func(pj *v1.ProwJob) { pj.Spec.Refs = nil })
	s.job("n", func(pj *v1.ProwJob) {
		pj.Spec.Type, pj.Spec.Job, pj.Spec.Refs = v1.PeriodicJob, "nightly", nil
	})
	s.eventually("/prowjobs.js", `"p"`, `"batch"`, `"gone"`, `"elsewhere"`, `"norefs"`, `"n"`)
	s.eventually("/rerun?prowjob=p&mode=latest", "image: new")
	before := s.all()
	if got := s.do(http.MethodPost, "/rerun?mode=latest&prowjob=p"); got.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", got.Status, got.body)
	}
	made := s.made(before)
	if made.Labels["version"] != "2" || made.Labels[v1.GerritReportLabel] != "Code-Review" || made.Labels["random"] != "" || made.Labels["a"] != "" || made.Spec.PodSpec.Containers[0].Image != "new" || made.Spec.Refs.Pulls[0].SHA != strings.Repeat("a", 40) {
		t.Errorf("%+v", made)
	}
	if got := s.get("/rerun?prowjob=n&mode=latest"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "image: new") {
		t.Errorf("%s %s", got.Status, got.body)
	}
	// Probe 24.
	for name, reason := range map[string]string{"gone": "has no presubmit gone of o/r", "elsewhere": "no longer runs on branch main", "batch": "type batch", "norefs": "which repository"} {
		if got := s.do(http.MethodPost, "/rerun?mode=latest&prowjob="+name); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, reason) {
			t.Errorf("%s: %s %s", name, got.Status, got.body)
		}
	}
	page := s.get("/run/gone/rerun").body
	contains(t, "the page", page, "disabled", "has no presubmit gone")
}

func TestProbe25WhoMay(t *testing.T) {
	g := startGuarded(t, func(o *Options) { o.GitHub.TokenPath = "" }, deckWith(`default_rerun_auth_configs:
  - {repo: "*", rerun_auth_configs: {github_users: [alice]}}
  - {repo: o, rerun_auth_configs: {github_users: ["@BOB"]}}`), "{}")
	g.job("x", func(pj *v1.ProwJob) {
		pj.Spec.Type, pj.Spec.Refs, pj.Spec.ExtraRefs = v1.PeriodicJob, nil, []v1.Refs{{Org: "o", Repo: "r"}}
	})
	g.job("free", func(pj *v1.ProwJob) { pj.Spec.Type, pj.Spec.Refs = v1.PeriodicJob, nil })
	g.job("own", func(pj *v1.ProwJob) { pj.Spec.RerunAuthConfig = &v1.RerunAuthConfig{GitHubUsers: []string{"stranger"}} })
	g.job("open", func(pj *v1.ProwJob) { pj.Spec.RerunAuthConfig = &v1.RerunAuthConfig{AllowAnyone: true} })
	g.eventually("/prowjobs.js", `"x"`, `"free"`, `"own"`, `"open"`)
	people := map[string]*visitor{}
	for _, login := range []string{"alice", "bob", "stranger"} {
		people[login] = g.signIn(login)
	}
	for _, test := range []struct {
		job, login string
		want       int
	}{
		{"x", "alice", 403}, {"x", "bob", 303}, {"x", "stranger", 403},
		{"free", "alice", 303}, {"free", "bob", 403},
		{"own", "stranger", 303}, {"own", "bob", 303}, {"own", "alice", 403},
		{"open", "alice", 303},
	} {
		before := len(g.all())
		got := people[test.login].post("/rerun?prowjob="+test.job, url.Values{"mode": {"original"}})
		created := len(g.all()) - before
		if got.StatusCode != test.want || (created == 1) != (test.want == 303) {
			t.Errorf("%s, %s: %s, %d made: %s", test.job, test.login, got.Status, created, got.body)
		}
	}
	contains(t, "the page for nobody", g.visitor().post("/rerun?prowjob=x", nil).body, `href="./sign-in?dest=run%2fx%2frerun"`)
	// Probe 27, without a cookie.
	if got := g.do(http.MethodPost, "/rerun?prowjob=x", "Origin", g.url); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %s", got.Status)
	}
	if got := g.do(http.MethodPost, "/rerun?prowjob=open", "Origin", g.url); got.StatusCode != http.StatusOK {
		t.Errorf("anyone: %s", got.Status)
	}
	// Probe 29.
	if got := g.do(http.MethodPost, "/rerun?prowjob=open"); got.StatusCode != http.StatusForbidden {
		t.Errorf("without a token: %s", got.Status)
	}
	if got := g.visitor().post("/rerun?prowjob=open", nil, "Origin", "https://evil.example"); got.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %s", got.Status)
	}
	v := g.visitor()
	script := v.get("/csrf.js").body
	token := strings.TrimSuffix(strings.TrimPrefix(script, `var csrfToken = "`), "\";\n")
	for name, got := range map[string]answer{
		"header": v.post("/rerun?prowjob=open", nil, "Origin", "", "X-CSRF-Token", token),
		"form":   v.post("/rerun?prowjob=open", url.Values{"gorilla.csrf.Token": {token}}, "Origin", ""),
	} {
		if got.StatusCode != http.StatusSeeOther {
			t.Errorf("with the token in the %s: %s %s", name, got.Status, got.body)
		}
	}
	contains(t, "the page", g.get("/").body, `<script src="./csrf.js">`)
}

func TestMembersTeamsAndTrust(t *testing.T) {
	g := startGuarded(t, nil, deckWith(`rerun_auth_configs: {friends: {github_orgs: [o]}, o/teams: {github_team_slugs: [{org: o, slug: leads}]}}`), "{}")
	ctx := t.Context()
	issue, _, err := g.as("alice").Issues.Create(ctx, "o", "r", &gogithub.IssueRequest{Title: gogithub.Ptr("x")})
	if err != nil {
		t.Fatal(err)
	}
	number := issue.GetNumber()
	pull := func(pj *v1.ProwJob) { pj.Spec.Refs.Pulls[0].Number = number }
	g.job("pull", pull)
	g.job("of-org", func(pj *v1.ProwJob) { pj.Spec.Refs.Org = "friends" })
	g.job("of-team", func(pj *v1.ProwJob) { pj.Spec.Refs.Repo = "teams" })
	g.job("post", func(pj *v1.ProwJob) { pj.Spec.Type, pj.Spec.Refs.Pulls = v1.PostsubmitJob, nil })
	g.eventually("/prowjobs.js", `"pull"`, `"of-org"`, `"of-team"`, `"post"`)
	people := map[string]*visitor{}
	for _, login := range []string{"alice", "bob", "wendy", "fred", "stranger", "ann"} {
		people[login] = g.signIn(login)
	}
	try := func(action, job string, want map[string]int) {
		t.Helper()
		for login, code := range want {
			name := job
			if action == "abort" { // each ends another run
				name = job + "-" + login
				g.job(name, pull)
				g.eventually("/prowjobs.js", `"`+name+`"`)
			}
			if got := people[login].post("/"+action+"?prowjob="+name, nil); got.StatusCode != code {
				t.Errorf("%s of %s by %s: %s %s", action, job, login, got.Status, got.body)
			}
		}
	}
	try("rerun", "of-org", map[string]int{"alice": 303, "bob": 303, "fred": 303, "stranger": 403}) // fred is trusted in his org
	try("rerun", "of-team", map[string]int{"bob": 303, "stranger": 403})
	try("rerun", "post", map[string]int{"alice": 403, "wendy": 403})
	try("rerun", "pull", map[string]int{"alice": 303, "bob": 303, "wendy": 303, "fred": 403, "stranger": 403, "ann": 403})
	try("abort", "before", map[string]int{"bob": 303, "wendy": 303, "stranger": 403, "ann": 403})
	if _, _, err := g.as("alice").Issues.AddLabelsToIssue(ctx, "o", "r", number, []string{"ok-to-test"}); err != nil {
		t.Fatal(err)
	}
	// The label lets anybody run the tests who can sign in; it stops nobody else's.
	try("rerun", "pull", map[string]int{"fred": 303, "stranger": 303, "ann": 303})
	try("abort", "after", map[string]int{"wendy": 303, "stranger": 403, "ann": 303})
}

func TestProbe28Abort(t *testing.T) {
	g := startGuarded(t, nil, deckWith(`rerun_auth_configs: {'*': {github_users: [alice]}}`), "{}")
	ended := v1.ProwJob{}
	g.job("ended", func(pj *v1.ProwJob) {
		now := metav1.Now()
		pj.Status.State, pj.Status.CompletionTime = v1.SuccessState, &now
	})
	g.job("running", func(pj *v1.ProwJob) { pj.Status.State = v1.PendingState })
	g.eventually("/prowjobs.js", `"ended"`, `"running"`)
	alice, stranger := g.signIn("alice"), g.signIn("stranger")
	page := alice.get("/run/running/abort").body
	contains(t, "the page that asks", page, `action="../../abort?prowjob=running"`, `name="gorilla.csrf.Token"`)
	contains(t, "the list", alice.get("/").body, `href="./run/running/abort"`, `href="./run/running/rerun"`)
	lacks(t, "the list", alice.get("/").body, `href="./run/ended/abort"`)
	for name, test := range map[string]struct {
		got  answer
		want int
	}{
		"one that has ended": {alice.post("/abort?prowjob=ended", nil), 400},
		"by reading":         {alice.get("/abort?prowjob=running"), 405},
		"by nobody":          {g.do(http.MethodPost, "/abort?prowjob=running", "Origin", g.url), 401},
		"by somebody else":   {stranger.post("/abort?prowjob=running", nil), 403},
		"from another site":  {alice.post("/abort?prowjob=running", nil, "Origin", "https://evil.example"), 403},
	} {
		if test.got.StatusCode != test.want {
			t.Errorf("%s: %s %s", name, test.got.Status, test.got.body)
		}
	}
	if pj := g.all()["running"]; pj.Status.State != v1.PendingState {
		t.Fatalf("it is %s", pj.Status.State)
	}
	// The object changes between the look and the write, and all the time.
	stop := make(chan struct{})
	moved := make(chan int)
	go func() {
		n := 0
		defer func() { moved <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			pj := &v1.ProwJob{}
			if g.jobs.Get(t.Context(), client.ObjectKey{Namespace: g.namespace, Name: "running"}, pj) == nil {
				pj.Labels["moved"] = time.Now().Format("150405.000000000")
				if g.jobs.Update(t.Context(), pj) == nil {
					n++
				}
			}
		}
	}()
	got := alice.post("/abort?prowjob=running", nil)
	close(stop)
	t.Logf("it was changed %d times meanwhile", <-moved)
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "./run/running?done=abort" {
		t.Fatalf("%s %s %s", got.Status, got.Header.Get("Location"), got.body)
	}
	ended = g.all()["running"]
	if ended.Status.State != v1.AbortedState || ended.Status.Description != "alice aborted running." || ended.Status.CompletionTime != nil || ended.Labels["a"] != "b" {
		t.Errorf("%+v", ended)
	}
	contains(t, "the page of the run", g.eventually("/run/running?done=abort", "being aborted", "alice aborted running.").body, `role="status"`)
}

func TestWithoutSignIn(t *testing.T) {
	s := start(t, Options{}, "")
	s.job("p", nil)
	s.eventually("/prowjobs.js", `"p"`)
	if got := s.do(http.MethodPost, "/abort?prowjob=p"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("probe 27: %s", got.Status)
	}
	contains(t, "the page", s.get("/run/p/abort").body, "Nobody can sign in here")
	for _, path := range []string{"/github-login", "/sign-in", "/github-login/redirect"} {
		if got := s.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

func TestHiddenAndTenantJobsOnEveryEndpoint(t *testing.T) {
	g := startGuarded(t, nil, deckWith(`rerun_auth_configs: {'*': {allow_anyone: true}}`), "{}")
	g.job("seen", nil)
	for name, change := range map[string]func(*v1.ProwJob){
		"hidden":    func(pj *v1.ProwJob) { pj.Spec.Hidden = true },
		"hidden-in": func(pj *v1.ProwJob) { pj.Spec.Refs.Org = "secret-org" },
		"extra":     func(pj *v1.ProwJob) { pj.Spec.ExtraRefs = []v1.Refs{{Org: "o", Repo: "secret"}} },
		"tenant":    func(pj *v1.ProwJob) { pj.Spec.ProwJobDefault = &v1.ProwJobDefault{TenantID: "t"} },
	} {
		g.job(name, func(pj *v1.ProwJob) { pj.Spec.Job = "job-" + name; change(pj) })
	}
	g.eventually("/prowjobs.js", `"seen"`)
	alice := g.signIn("alice")
	for _, name := range []string{"hidden", "hidden-in", "extra", "tenant"} {
		// The index has it as soon as the API server tells; nothing says so here.
		deadline := time.Now().Add(time.Second)
		for time.Now().Before(deadline) {
			for path, got := range map[string]answer{
				"rerun, read": alice.get("/rerun?prowjob=" + name), "latest, read": alice.get("/rerun?mode=latest&prowjob=" + name),
				"rerun": alice.post("/rerun?prowjob="+name, nil), "abort": alice.post("/abort?prowjob="+name, nil),
				"prowjob": alice.get("/prowjob?prowjob=" + name), "page of rerun": alice.get("/run/" + name + "/rerun"), "page of abort": alice.get("/run/" + name + "/abort"), "run": alice.get("/run/" + name),
			} {
				if got.StatusCode != http.StatusNotFound || strings.Contains(got.body, "job-"+name) {
					t.Fatalf("%s of %s: %s %s", path, name, got.Status, got.body)
				}
			}
			time.Sleep(250 * time.Millisecond)
		}
		if got := alice.get("/badge.svg?jobs=job-" + name); !strings.Contains(got.body, "no results") {
			t.Errorf("the badge tells of %s", name)
		}
	}
	if n := len(g.all()); n != 5 {
		t.Errorf("there are %d ProwJobs", n)
	}
}

func watchConfig(t *testing.T, extra string) *config.Watcher {
	t.Helper()
	o := config.DefaultOptions()
	o.ConfigPath = write(t, "config.yaml", configText("default", t.TempDir(), extra))
	cfg, err := config.NewWatcher(t.Context(), o, live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// startError is why a Deck with these options does not start.
func startError(t *testing.T, o Options, extra string) error {
	t.Helper()
	_, err := newAccess(t.Context(), service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store)), &o, watchConfig(t, extra))
	return err
}

func TestStartIsRefusedWhereAnybodyCouldStartJobs(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		extra   string
		want    string
	}{
		"a short secret":            {Options{RerunCreatesJob: true, CookieSecretFile: cookieSecret(t, 16)}, deckWith("rerun_auth_configs: {'*': {allow_anyone: true}}"), "at least 32 bytes"},
		"no secret":                 {Options{RerunCreatesJob: true}, "", "allow_anyone"},
		"allow_anyone of one org":   {Options{RerunCreatesJob: true}, deckWith("rerun_auth_configs: {o: {allow_anyone: true}}"), "allow_anyone"},
		"allow_anyone":              {Options{RerunCreatesJob: true}, deckWith("rerun_auth_configs: {'*': {allow_anyone: true}}"), ""},
		"a secret that is none":     {Options{CookieSecretFile: write(t, "x", "%%%")}, "", "base64"},
		"an empty secret":           {Options{OAuthURL: "x", OAuthConfigFile: write(t, "y", "{}"), CookieSecretFile: write(t, "x", "\n")}, "", "it is empty"},
		"a file that says nothing":  {Options{OAuthURL: "x", OAuthConfigFile: write(t, "y", "{}"), CookieSecretFile: cookieSecret(t, 32)}, "", "client_id is missing"},
		"a short secret, no reruns": {Options{CookieSecretFile: cookieSecret(t, 16)}, "", ""},
	} {
		err := startError(t, test.options, test.extra)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]Options{
		"--oauth-url needs --cookie-secret":            {OAuthURL: "x", OAuthConfigFile: "y"},
		"--oauth-url needs --github-oauth-config-file": {OAuthURL: "x", CookieSecretFile: "y"},
		"is not the name of a host":                    {RedirectHTTPTo: "a/b"},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLabelOfACommit(t *testing.T) {
	g := startGuarded(t, nil, "", "triggers:\n- {repos: [o/r], ok_to_test_per_commit: true}\n")
	ctx := t.Context()
	issue, _, err := g.as("alice").Issues.Create(ctx, "o", "r", &gogithub.IssueRequest{Title: gogithub.Ptr("x"), Labels: &[]string{"ok-to-test"}})
	if err != nil {
		t.Fatal(err)
	}
	branch, _, err := g.as("alice").Repositories.GetBranch(ctx, "o", "r", "main", 1)
	if err != nil {
		t.Fatal(err)
	}
	sha := branch.GetCommit().GetSHA()
	g.job("p", func(pj *v1.ProwJob) { pj.Spec.Refs.Pulls[0].Number, pj.Spec.Refs.Pulls[0].SHA = issue.GetNumber(), sha })
	g.eventually("/prowjobs.js", `"p"`)
	stranger := g.signIn("stranger")
	for _, test := range []struct {
		status string
		want   int
	}{{"", 403}, {"failure", 403}, {"success", 303}} {
		if test.status != "" {
			if _, _, err := g.as("robot").Repositories.CreateStatus(ctx, "o", "r", sha, &gogithub.RepoStatus{Context: gogithub.Ptr("prow/ok-to-test"), State: &test.status}); err != nil {
				t.Fatal(err)
			}
		}
		if got := stranger.post("/rerun?prowjob=p", nil); got.StatusCode != test.want {
			t.Errorf("%q: %s %s", test.status, got.Status, got.body)
		}
	}
}

func TestTeamsByNumberAndNoPlugins(t *testing.T) {
	g := startGuarded(t, func(o *Options) { o.Plugins.Path = "" }, "", "{}")
	team, _, err := g.as("alice").Teams.GetTeamBySlug(t.Context(), "o", "leads")
	if err != nil {
		t.Fatal(err)
	}
	g.job("p", func(pj *v1.ProwJob) {
		pj.Spec.RerunAuthConfig = &v1.RerunAuthConfig{GitHubTeamIDs: []int{int(team.GetID())}}
	})
	g.eventually("/prowjobs.js", `"p"`)
	for login, want := range map[string]int{"bob": 303, "alice": 403} {
		got := g.signIn(login).post("/rerun?prowjob=p", nil)
		if got.StatusCode != want {
			t.Errorf("%s: %s %s", login, got.Status, got.body)
		}
		if want == 403 {
			contains(t, "the refusal", got.body, "without a configuration of plugins nobody is trusted")
		}
	}
}

func TestAudit(t *testing.T) {
	var lines lockedLines
	g := startGuarded(t, nil, deckWith("rerun_auth_configs: {'*': {github_users: [alice]}}"), "{}")
	g.job("p", nil)
	g.eventually("/prowjobs.js", `"p"`)
	g.log.Store(&lines)
	g.signIn("alice").post("/rerun?prowjob=p", url.Values{"mode": {"original"}})
	g.signIn("stranger").post("/abort?prowjob=p", nil)
	text := lines.String()
	contains(t, "the log", text, "msg=audit component=deck action=rerun allowed=true user=alice", "mode=original", "action=abort allowed=false user=stranger", "prowjob=p job=unit")
	lacks(t, "the log", text, "gho_", "a-secret-of-deck")
}
