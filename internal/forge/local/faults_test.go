package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"
)

const adminToken = "admin-of-this-test"

func withAdmin(o *Options) { o.AdminToken = adminToken }

// admin sends a request to the administration of the forge.
func (w *world) admin(method, path string, body any) (int, []byte) {
	w.t.Helper()
	resp, out := w.raw("", method, "/_admin/"+path, body, "Authorization", "Bearer "+adminToken)
	return resp.StatusCode, out
}

func (w *world) fault(f Fault) {
	w.t.Helper()
	if code, out := w.admin("POST", "faults", f); code != 200 {
		w.t.Fatalf("adding a fault: %d %s", code, out)
	}
}

func TestAdministrationNeedsItsToken(t *testing.T) {
	open := newWorld(t)
	t.Run("without one it does not exist", func(t *testing.T) {
		if resp, _ := open.raw("boss", "GET", "/_admin/faults", nil); resp.StatusCode != 404 {
			t.Errorf("got %d", resp.StatusCode)
		}
	})
	t.Run("others are refused", func(t *testing.T) {
		w := newWorld(t, withAdmin)
		for name, resp := range map[string]func() *http.Response{
			"nobody": func() *http.Response { r, _ := w.raw("", "GET", "/_admin/faults", nil); return r },
			"boss":   func() *http.Response { r, _ := w.raw("boss", "GET", "/_admin/faults", nil); return r },
		} {
			if r := resp(); r.StatusCode != 401 {
				t.Errorf("%s: %d", name, r.StatusCode)
			}
		}
		for body, want := range map[string]string{
			`{"status":99}`: "status 99", `{}`: "does nothing", `{"status":500,"path":"("}`: "path", `{"sttus":500}`: "sttus",
			`{"webhook":"eat"}`: "webhook", `{"webhook":"drop","status":500}`: "cannot answer", `{"drop":true,"probability":2}`: "probability",
		} {
			if code, out := w.admin("POST", "faults", body); code != 400 || !strings.Contains(string(out), want) {
				t.Errorf("%s: %d %s", body, code, out)
			}
		}
	})
}

func TestFaultsHitTheRequestsTheyName(t *testing.T) {
	w := newWorld(t, withAdmin)
	app := "/api/v3/repos/acme/app"
	status := func(login, method, path string) int {
		t.Helper()
		resp, _ := w.raw(login, method, path, nil)
		return resp.StatusCode
	}
	w.fault(Fault{Method: "GET", Path: "^" + app + "$", Login: "dev", Skip: 1, Times: 2, Status: 502, Body: `{"message":"Bad Gateway"}`, Headers: map[string]string{"Retry-After": "1"}})
	got := []int{}
	for range 4 {
		got = append(got, status("dev", "GET", app))
	}
	if !slices.Equal(got, []int{200, 502, 502, 200}) {
		t.Errorf("answers %v", got)
	}
	if code := status("boss", "GET", app); code != 200 {
		t.Errorf("somebody else: %d", code)
	}
	var rules []Fault
	_, out := w.admin("GET", "faults", nil)
	if err := json.Unmarshal(out, &rules); err != nil || len(rules) != 1 || rules[0].Hits != 2 {
		t.Errorf("rules: %s %v", out, err)
	}
	if code, _ := w.admin("DELETE", fmt.Sprintf("faults/%d", rules[0].ID), nil); code != 204 {
		t.Errorf("removing: %d", code)
	}
	if code, _ := w.admin("DELETE", fmt.Sprintf("faults/%d", rules[0].ID), nil); code != 404 {
		t.Errorf("removing twice: %d", code)
	}
}

func TestFaultsOfAProbabilityAreRepeatable(t *testing.T) {
	w := newWorld(t, withAdmin)
	draw := func() (got []int) {
		w.fault(Fault{Path: "/user$", Probability: 0.5, Seed: 7, Status: 503})
		for range 20 {
			resp, _ := w.raw("dev", "GET", "/api/v3/user", nil)
			got = append(got, resp.StatusCode)
		}
		w.admin("DELETE", "faults", nil)
		return got
	}
	first := draw()
	if !slices.Equal(first, draw()) || !slices.Contains(first, 200) || !slices.Contains(first, 503) {
		t.Errorf("drawn %v", first)
	}
}

func TestConnectionsBreakInEveryWay(t *testing.T) {
	w := newWorld(t, withAdmin)
	get := func() (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.addr+"/api/v3/repos/acme/app/issues", strings.NewReader(`{"title":"t"}`))
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "token "+token("dev"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		return string(out), err
	}
	issues := func() int {
		all, _, err := w.as("dev").Issues.ListByRepo(t.Context(), "acme", "app", nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	w.fault(Fault{Method: "POST", Drop: true, Times: 1})
	if _, err := get(); err == nil || issues() != 0 {
		t.Errorf("dropped before: %v, %d issues", err, issues())
	}
	w.fault(Fault{Method: "POST", Lose: true, Times: 1})
	if _, err := get(); err == nil || issues() != 1 {
		t.Errorf("lost after: %v, %d issues", err, issues())
	}
	ten := 10
	w.fault(Fault{Method: "POST", Truncate: &ten, Times: 1})
	if out, err := get(); !errors.Is(err, io.ErrUnexpectedEOF) || len(out) != 10 || issues() != 2 {
		t.Errorf("cut off: %q %v, %d issues", out, err, issues())
	}
	w.fault(Fault{Method: "POST", DelaySeconds: 30, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+w.addr+"/api/v3/repos/acme/app/issues", strings.NewReader(`{"title":"t"}`))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error("the delayed request was answered")
	}
}

func TestStaleReadsShowAnOlderState(t *testing.T) {
	w := newWorld(t, withAdmin)
	dev := w.as("dev")
	titles := func() (out []string) {
		all, _, err := dev.Issues.ListByRepo(t.Context(), "acme", "app", &github.IssueListByRepoOptions{Direction: "asc"})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			out = append(out, i.GetTitle())
		}
		return out
	}
	open := func(title string) {
		if _, _, err := dev.Issues.Create(t.Context(), "acme", "app", &github.IssueRequest{Title: &title}); err != nil {
			t.Fatal(err)
		}
	}
	w.admin("DELETE", "faults", nil)
	// Deliveries write too, and a version is a write: let them come to rest.
	eventually(t, "an empty queue", func() bool {
		_, out := w.admin("GET", "queue", nil)
		return strings.Contains(string(out), `"pending":0`)
	})
	open("one")
	w.fault(Fault{Method: "GET", Path: "/issues", StaleSeconds: 3600})
	open("two")
	if got := titles(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("an hour ago is not before the rule: %v", got)
	}
	if _, resp, _ := dev.Issues.Get(t.Context(), "acme", "app", 2); resp == nil || resp.StatusCode != 404 {
		t.Errorf("the new issue: %v", resp)
	}
	w.admin("DELETE", "faults", nil)
	if got := titles(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("without the rule: %v", got)
	}
}

func TestWebhooksAreDroppedDoubledAndReordered(t *testing.T) {
	w := newWorld(t, withAdmin)
	w.fault(Fault{Event: "issues", Action: "labeled", Webhook: "drop", Times: 1})
	w.fault(Fault{Event: "issues", Action: "opened", Webhook: "duplicate", Times: 1})
	w.fault(Fault{Event: "issue_comment", Webhook: "reorder", Times: 1})
	boss := w.as("boss")
	if _, _, err := boss.Issues.Create(t.Context(), "acme", "app", &github.IssueRequest{Title: github.Ptr("t")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := boss.Issues.AddLabelsToIssue(t.Context(), "acme", "app", 1, []string{"bug"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := boss.Issues.CreateComment(t.Context(), "acme", "app", 1, &github.IssueComment{Body: github.Ptr("c")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := boss.Issues.Edit(t.Context(), "acme", "app", 1, &github.IssueRequest{State: github.Ptr("closed")}); err != nil {
		t.Fatal(err)
	}
	w.hook.wait("issue_comment/created", 0)
	var got []string
	guids := map[string]int{}
	for _, r := range w.hook.all() {
		if r.event == "issues" || r.event == "issue_comment" {
			got = append(got, r.event+"/"+r.action)
			guids[r.guid]++
		}
	}
	if want := []string{"issues/opened", "issues/opened", "issues/closed", "issue_comment/created"}; !slices.Equal(got, want) || len(guids) != 3 {
		t.Errorf("received %v under %d ids", got, len(guids))
	}
}

func TestAdministrationSeedsAndFails(t *testing.T) {
	w := newWorld(t, withAdmin)
	if code, out := w.admin("POST", "seed", "users:\n- login: newcomer\n"); code != 204 {
		t.Errorf("seed: %d %s", code, out)
	}
	if code, out := w.admin("POST", "seed", "users:\n- login: '-'\n"); code != 400 || !strings.Contains(string(out), "login") {
		t.Errorf("a bad seed: %d %s", code, out)
	}
	code, out := w.admin("POST", "workflow-runs", WorkflowRun{Owner: "acme", Repo: "app", Name: "test", Status: "completed", Conclusion: "failure"})
	if code != 200 || !strings.Contains(string(out), `"id":1`) {
		t.Errorf("workflow run: %d %s", code, out)
	}
	if _, _, err := w.as("boss").Organizations.EditOrgMembership(t.Context(), "newcomer", "acme", &github.Membership{Role: github.Ptr("member")}); err != nil {
		t.Fatal(err)
	}
	if code, out := w.admin("POST", "invitations/1/fail", `{"reason":"expired"}`); code != 204 {
		t.Errorf("failing an invitation: %d %s", code, out)
	}
	failed, _, err := w.as("boss").Organizations.ListFailedOrgInvitations(t.Context(), "acme", nil)
	if err != nil || len(failed) != 1 || failed[0].GetFailedReason() != "expired" {
		t.Errorf("failed: %v %v", failed, err)
	}
}

// TestManyClients holds the forge to answering a hundred clients at once.
func TestManyClients(t *testing.T) {
	w := newWorld(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Minute}
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for n := range 100 {
		wg.Go(func() {
			for k := range 10 {
				method, path, body := "GET", "/api/v3/repos/acme/app", ""
				if n%10 == 0 && k == 0 {
					method, path, body = "POST", path+"/issues", `{"title":"t"}`
				}
				req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+w.addr+path, strings.NewReader(body))
				req.Header.Set("Authorization", "token "+token("boss"))
				resp, err := client.Do(req)
				key := fmt.Sprint(err)
				if err == nil {
					key = fmt.Sprint(resp.StatusCode)
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				mu.Lock()
				codes[key]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if codes["200"] != 990 || codes["201"] != 10 {
		t.Errorf("answers: %v", codes)
	}
}
