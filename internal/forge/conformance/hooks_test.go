package conformance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/local"
)

// receiver verifies and keeps webhooks.
type receiver struct {
	url  string
	got  chan *http.Request
	body chan []byte
	fail chan int // statuses to answer with, 200 when empty
}

func (x *target) receiver(secret string) *receiver {
	x.localOnly("a receiver that the server reaches")
	r := &receiver{got: make(chan *http.Request, 1000), body: make(chan []byte, 1000), fail: make(chan int, 10)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err == nil && secret != "" {
			err = github.ValidateSignature(req.Header.Get(github.SHA256SignatureHeader), raw, []byte(secret))
		}
		if err != nil {
			x.t.Errorf("a webhook that cannot be trusted: %v", err)
		}
		r.got <- req
		r.body <- raw
		select {
		case code := <-r.fail:
			w.WriteHeader(code)
		default:
		}
	}))
	x.t.Cleanup(srv.Close)
	r.url = srv.URL + "/hook"
	return r
}

// next waits for the next webhook of a kind.
func (r *receiver) next(t *testing.T, event string) (*http.Request, []byte) {
	t.Helper()
	for {
		select {
		case req := <-r.got:
			body := <-r.body
			if req.Header.Get("X-GitHub-Event") == event {
				return req, body
			}
		case <-t.Context().Done():
			t.Fatalf("no webhook %s", event)
		}
	}
}

func TestHooksPingDeliverAndRepeat(t *testing.T) {
	x := newTarget(t)
	r := x.receiver("s3cret")
	repo, ctx, c := x.repo(), t.Context(), x.as(x.owner)
	hook, resp, err := c.Repositories.CreateHook(ctx, x.org, repo, &github.Hook{Config: &github.HookConfig{URL: &r.url, ContentType: github.Ptr("json"), Secret: github.Ptr("s3cret")}, Events: []string{"issues"}, Active: github.Ptr(true)})
	x.must(err)
	x.same("created", resp.StatusCode, 201)
	x.same("the secret is masked", hook.GetConfig().GetSecret(), "********")
	req, body := r.next(t, "ping")
	var ping github.PingEvent
	x.must(json.Unmarshal(body, &ping))
	x.same("ping", []any{ping.GetHookID(), ping.GetZen() != "", req.Header.Get("X-GitHub-Hook-ID") != ""}, []any{hook.GetID(), true, true})
	_, _, err = c.Repositories.CreateHook(ctx, x.org, repo, &github.Hook{Config: &github.HookConfig{URL: &r.url}, Events: []string{"issues"}})
	x.refused(err, 422, "Hook already exists on this repository")
	_, _, err = c.Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("one")})
	x.must(err)
	req, body = r.next(t, "issues")
	event, err := github.ParseWebHook(req.Header.Get("X-GitHub-Event"), body)
	x.must(err)
	x.same("event", event.(*github.IssuesEvent).GetAction()+" "+event.(*github.IssuesEvent).GetIssue().GetTitle(), "opened one")
	guid := req.Header.Get("X-GitHub-Delivery")
	var first *github.HookDelivery
	x.eventually("the delivery in the list", func() bool {
		all, _, err := c.Repositories.ListHookDeliveries(ctx, x.org, repo, hook.GetID(), &github.ListCursorOptions{PerPage: 1})
		x.must(err)
		if len(all) == 1 && all[0].GetGUID() == guid && all[0].GetStatusCode() == 200 {
			first = all[0]
		}
		return first != nil
	})
	all, resp, err := c.Repositories.ListHookDeliveries(ctx, x.org, repo, hook.GetID(), &github.ListCursorOptions{PerPage: 1})
	x.must(err)
	if len(all) != 1 || resp.Cursor == "" {
		t.Errorf("no cursor to the ping: %v", resp.Response.Header)
	}
	all, _, err = c.Repositories.ListHookDeliveries(ctx, x.org, repo, hook.GetID(), &github.ListCursorOptions{PerPage: 1, Cursor: resp.Cursor})
	x.must(err)
	x.same("before it", all[0].GetEvent(), "ping")
	full, _, err := c.Repositories.GetHookDelivery(ctx, x.org, repo, hook.GetID(), first.GetID())
	x.must(err)
	x.same("request", full.GetRequest().GetHeaders()["X-GitHub-Delivery"], guid)
	_, _, err = c.Repositories.RedeliverHookDelivery(ctx, x.org, repo, hook.GetID(), first.GetID())
	if _, accepted := err.(*github.AcceptedError); !accepted {
		t.Errorf("got %v, want 202", err)
	}
	req, _ = r.next(t, "issues")
	x.same("repeated", req.Header.Get("X-GitHub-Delivery"), guid)
	_, _, err = c.Repositories.EditHook(ctx, x.org, repo, hook.GetID(), &github.Hook{Active: github.Ptr(false)})
	x.must(err)
	_, err = c.Repositories.DeleteHook(ctx, x.org, repo, hook.GetID())
	x.must(err)
	_, _, err = c.Repositories.GetHook(ctx, x.org, repo, hook.GetID())
	x.refused(err, 404, "Not Found")
}

func TestHooksOfOrganisationsHearOfPeople(t *testing.T) {
	x := newTarget(t)
	r := x.receiver("")
	ctx, c := t.Context(), x.as(x.owner)
	_, _, err := c.Organizations.CreateHook(ctx, x.org, &github.Hook{Name: github.Ptr("web"), Config: &github.HookConfig{URL: &r.url, ContentType: github.Ptr("form")}, Events: []string{"*"}})
	x.must(err)
	_, _, err = c.Organizations.EditOrgMembership(ctx, x.other.login, x.org, &github.Membership{Role: github.Ptr("member")})
	x.must(err)
	req, body := r.next(t, "organization")
	x.same("form", req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	form, err := url.ParseQuery(string(body))
	x.must(err)
	if !strings.Contains(form.Get("payload"), `"action":"member_invited"`) {
		t.Errorf("payload: %.200s", form.Get("payload"))
	}
	_, _, err = x.as(x.member).Organizations.ListHooks(ctx, x.org, nil)
	x.refused(err, 403, "")
}

func TestAppsReceiveEventsOfTheirInstallations(t *testing.T) {
	x := newTarget(t)
	r := x.receiver("hook-secret")
	repo, ctx := x.repo(), t.Context()
	a := x.application(map[string]string{"issues": "write"})
	_, err := x.forge.CreateApp(ctx, local.App{Slug: "robo", Owner: x.owner.login, Key: a.publicKey(), Permissions: map[string]string{"issues": "write"}, WebhookURL: r.url, WebhookSecret: "hook-secret", Events: []string{"issues"}, Installations: []local.Installation{{Account: x.org}}})
	x.must(err)
	req, _ := r.next(t, "installation")
	x.same("target", req.Header.Get("X-GitHub-Hook-Installation-Target-Type"), "integration")
	_, _, err = x.as(x.owner).Issues.Create(ctx, x.org, repo, &github.IssueRequest{Title: github.Ptr("for the app")})
	x.must(err)
	_, body := r.next(t, "issues")
	var e github.IssuesEvent
	x.must(json.Unmarshal(body, &e))
	if e.GetInstallation().GetID() == 0 {
		t.Errorf("no installation in %.200s", body)
	}
	x.eventually("the deliveries of the App", func() bool {
		all, _, err := a.self().Apps.ListHookDeliveries(ctx, nil)
		x.must(err)
		return len(all) == 2 && all[0].GetEvent() == "issues" && all[0].GetInstallationID() != 0
	})
}
