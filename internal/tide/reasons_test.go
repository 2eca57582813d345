package tide

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/explainpr"
	"prow/internal/forge/github"
)

// oldBase is a base commit that no branch is at any more.
const oldBase = "0123456789012345678901234567890123456789"

// surfaces compares everything that tells people where pull requests are.
type surfaces struct {
	*world
	said  *lastSaid
	pools string
	args  []string
}

// lastSaid keeps what the log said last of each pull request.
type lastSaid struct {
	slog.Handler
	mu   sync.Mutex
	last map[string]string
}

func (l *lastSaid) Enabled(context.Context, slog.Level) bool { return true }

func (l *lastSaid) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "a pull request has another reason" {
		return nil
	}
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[attrs["pr"]] = fmt.Sprintf("%s: %s (%s)", attrs["state"], attrs["sentence"], attrs["reason"])
	return nil
}

func newSurfaces(t *testing.T, main string) *surfaces {
	t.Helper()
	s := &surfaces{world: newWorld(t), said: &lastSaid{Handler: slog.DiscardHandler, last: map[string]string{}}}
	s.sync.Log = slog.New(s.said)
	s.configure(main, unitJob)
	server := httptest.NewServer(Handler(func() []Pool { return s.sync.Pools() }, s.past))
	t.Cleanup(server.Close)
	s.pools = server.URL
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yaml": main, "jobs.yaml": unitJob, "plugins.yaml": "{}", "token": "token-of-robot"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.args = []string{
		"--config-path=" + filepath.Join(dir, "config.yaml"), "--job-config-path=" + filepath.Join(dir, "jobs.yaml"), "--plugin-config=" + filepath.Join(dir, "plugins.yaml"),
		"--github-token-path=" + filepath.Join(dir, "token"), "--github-endpoint=" + s.forge.APIURL(), "--github-graphql-endpoint=" + s.forge.GraphQLURL(), "-o=json",
	}
	return s
}

// shown is a reason as pages and programs get it.
type shown struct {
	Number                     int
	SHA, State, Code, Sentence string
	Links                      []string
}

func (s *surfaces) shown(number int) *shown {
	s.t.Helper()
	resp, err := http.Get(s.pools)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var pools []struct{ Reasons, Refused []shown }
	if err := json.NewDecoder(resp.Body).Decode(&pools); err != nil {
		s.t.Fatal(err)
	}
	for _, p := range pools {
		all := slices.Concat(p.Reasons, p.Refused)
		if i := slices.IndexFunc(all, func(r shown) bool { return r.Number == number }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

// explained is the reason that explain-pr gives.
func (s *surfaces) explained(number int, more ...string) shown {
	s.t.Helper()
	var out bytes.Buffer
	cmd := explainpr.Command(nil, nil)
	cmd.SetArgs(append(slices.Concat(s.args, more), fmt.Sprintf("acme/app#%d", number)))
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var report struct{ Reason shown }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		s.t.Fatal(err)
	}
	return report.Reason
}

// everywhere makes a round and expects one reason of a candidate at every place.
func (s *surfaces) everywhere(number int, head, state, code, text string) *shown {
	s.t.Helper()
	s.round()
	want := state + ": " + text
	r := s.shown(number)
	if r == nil {
		s.t.Fatalf("#%d is not among the pools: %+v", number, s.sync.Pools())
	}
	for place, got := range map[string]string{
		"the pools":  fmt.Sprintf("%s: %s (%s)", r.State, r.Sentence, r.Code),
		"the log":    s.said.last[fmt.Sprintf("acme/app#%d", number)],
		"the status": s.tide(head) + " (" + code + ")",
		"explain-pr that asks Tide": func() string {
			e := s.explained(number, "--tide-url="+s.pools)
			return e.State + ": " + e.Sentence + " (" + e.Code + ")"
		}(),
		"explain-pr without a Tide":     func() string { e := s.explained(number); return e.State + ": " + e.Sentence + " (" + code + ")" }(),
		"the metric of pull requests":   want + " (" + s.counted1(code) + ")",
		"the commit that it is said of": want + " (" + map[bool]string{true: code, false: r.SHA}[r.SHA == head] + ")",
	} {
		if got != want+" ("+code+")" {
			s.t.Errorf("%s: %q, want %q", place, got, want+" ("+code+")")
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
	return r
}

// counted1 is the code if exactly one pull request is counted with it and everyone is
// counted once.
func (s *surfaces) counted1(code string) string {
	s.t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	counts, sum := map[string]float64{}, 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "tide_pull_request_reasons" && l.GetName() == "code" {
					counts[l.GetValue()] += m.GetGauge().GetValue()
					sum += m.GetGauge().GetValue()
				}
			}
		}
	}
	p := s.sync.Pools()[0]
	if all := len(p.Reasons) + len(p.Refused); counts[code] < 1 || int(sum) != all {
		return fmt.Sprintf("%v for %d pull requests", counts, all)
	}
	return code
}

// urls gives runs pages.
func (s *surfaces) urls() {
	s.t.Helper()
	for _, j := range s.runs() {
		j.Status.URL = "https://prow.example/view/" + j.Name
		s.update(&j)
	}
}

func (s *surfaces) body(number int, text string) {
	s.t.Helper()
	if _, err := s.gh.EditPullRequest(s.t.Context(), "acme", "app", number, github.Edit{Body: text}); err != nil {
		s.t.Fatal(err)
	}
}

func TestEveryPlaceGivesTheOneReasonOfAPullRequest(t *testing.T) {
	s := newSurfaces(t, baseConfig+`
  blocker_label: blocker
  planners:
    acme/app: {name: speculative, max_runs: 1}
`)
	// Something that stays in the pool, so that the pool is there, and waits in the queue.
	one, head := s.pull("one")
	s.round()
	s.expectStatus(head, "pending: Not mergeable: it needs the label lgtm.")
	if got := s.explained(one, "--tide-url="+s.pools); got.Sentence != "Not mergeable: it needs the label lgtm." {
		t.Errorf("what is no candidate has its status: %+v", got)
	}
	two, _ := s.tested("two")
	s.label(one, "lgtm")
	s.everywhere(one, head, "pending", "contexts", "Not mergeable: context unit must pass.")
	s.report(head, "cla", "failure", "sign it")
	s.report(head, "lint", "pending", "wait")
	s.passed(head, "unit", oldBase)
	s.everywhere(one, head, "pending", "contexts", "Not mergeable: contexts cla, lint must pass.")
	s.report(head, "cla", "success", "signed")
	s.everywhere(one, head, "pending", "contexts", "Not mergeable: context lint must pass.")

	// The only run there may be goes to the first of the queue, and that is told at once.
	s.report(head, "lint", "success", "fine")
	s.everywhere(one, head, "pending", "queued", "It is number 1 of the queue and waits for a run.")
	if r := s.shown(two); r.Code != "in-trial" {
		t.Errorf("the other one is tested: %+v", r)
	}
	for range 8 {
		if strings.Contains(strings.Join(s.running(), ","), "#1") {
			break
		}
		s.finish(prowv1.FailureState)
		s.round()
	}
	trial := s.shown(one)
	if trial.Code != "in-trial" || !strings.HasPrefix(trial.Sentence, "It is being tested") {
		t.Fatalf("its run has just been started, and is not told: %+v, %v", trial, s.running())
	}
	s.urls()
	if r := s.everywhere(one, head, "pending", "in-trial", trial.Sentence); len(r.Links) != 1 || !strings.HasPrefix(r.Links[0], "https://prow.example/view/") {
		t.Errorf("the run is not linked: %+v", r)
	}
	for range 12 {
		s.urls()
		s.finish(prowv1.FailureState)
		if s.round(); s.shown(one).Code == "ejected" {
			break
		}
	}
	s.urls()
	if r := s.everywhere(one, head, "pending", "ejected", "It fails by itself on the current base, and no flake explains that. It is tested again when it changes, or when its jobs pass."); len(r.Links) == 0 {
		t.Errorf("the runs that failed are not linked: %+v", r)
	}

	head = s.push("change-one", "main", "one", "mended\n")
	s.passed(head, "unit", oldBase)
	s.body(one, "Depends-On: #99")
	s.everywhere(one, head, "pending", "depends", "It depends on acme/app#99, which does not exist.")
	s.body(one, "Alone.")

	s.issue("Stop", "blocker")
	if r := s.everywhere(one, head, "pending", "blocked", "In merge pool, but merging is blocked by issue #3."); len(r.Links) != 1 || !strings.HasSuffix(r.Links[0], "/issues/3") {
		t.Errorf("the issue is not linked: %+v", r)
	}
	if p := s.sync.Pools()[0]; len(p.ActionReason.Links) != 1 || p.ActionReason.Code != "blocked" {
		t.Errorf("the reason of the action is %+v", p.ActionReason)
	}
	if err := s.gh.CloseIssue(t.Context(), "acme", "app", 3, "completed"); err != nil {
		t.Fatal(err)
	}

	s.finish(prowv1.FailureState)
	s.push("main", "main", "one", "in the way\n")
	s.everywhere(one, head, "error", "conflict", "Not mergeable: it has a merge conflict.")
	head = s.push("change-one", "main", "one", "mended again\n")
	s.passed(head, "unit", oldBase)

	s.proxy.interpose(refuse("/pulls/1/merge", 405, "Pull Request is not mergeable"))
	for range 12 {
		if s.round(); s.shown(one).Code == "refused" {
			break
		}
		s.finish(prowv1.SuccessState)
	}
	s.everywhere(one, head, "pending", "refused", "The forge refused to merge it: Pull Request is not mergeable.")
	s.proxy.interpose(nil)
	s.offset += 2 * time.Hour
	for range 12 {
		s.finish(prowv1.SuccessState)
		if s.round(); s.merged(one) {
			break
		}
	}
	if got := s.said.last["acme/app#1"]; got != "success: It was merged. (merged)" {
		t.Errorf("the log says %q", got)
	}
	if err := s.gh.ClosePullRequest(t.Context(), "acme", "app", two); err != nil {
		t.Fatal(err)
	}
	s.round()
	if families, _ := s.reg.Gather(); slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "tide_pull_request_reasons" }) {
		t.Error("nobody is left, but is counted")
	}
}

func TestEveryPlaceGivesTheOneReasonWithTheClassicPlanner(t *testing.T) {
	s := newSurfaces(t, baseConfig)
	one, headOne := s.tested("one")
	s.everywhere(one, headOne, "pending", "testing", "Waiting for unit on the current base.")
	s.urls()
	if r := s.everywhere(one, headOne, "pending", "testing", "Waiting for unit on the current base."); len(r.Links) != 1 {
		t.Errorf("the run is not linked: %+v", r)
	}
	s.proxy.interpose(refuse("/pulls/1/merge", 405, "Pull Request is not mergeable"))
	s.finish(prowv1.SuccessState)
	s.everywhere(one, headOne, "success", "merge-failed", "In merge pool, but merging it failed: Pull Request is not mergeable.")
	s.proxy.forget()
	s.round()
	if calls := s.proxy.calls("POST /api/v3/repos/acme/app/statuses/"); len(calls) != 0 {
		t.Errorf("a merge that fails again and again sets statuses again and again: %q", calls)
	}
	two, headTwo := s.pull("two", "lgtm")
	s.passed(headTwo, "unit", s.main())
	s.everywhere(two, headTwo, "success", "pooled", "In merge pool.")
}
