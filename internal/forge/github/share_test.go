package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestReadsOfAnEventAreMadeOnce(t *testing.T) {
	asked := map[string]int{}
	var mu sync.Mutex
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v3/")+" "+r.URL.Query().Get("page")]++
		mu.Unlock()
		switch {
		case r.Method != http.MethodGet:
			answer(w, 201, `{}`)
		case strings.Contains(r.URL.Path, "/contents/"):
			answer(w, 404, `{"message":"Not Found"}`)
		case strings.HasSuffix(r.URL.Path, "/labels") && r.URL.Query().Get("page") == "":
			answer(w, 200, `[{"name":"a"}]`, "Link", `<http://x/labels?page=2>; rel="next"`)
		case strings.HasSuffix(r.URL.Path, "/labels"):
			answer(w, 200, `[{"name":"b"}]`)
		default:
			answer(w, 200, `{}`)
		}
	})
	ctx := ShareReads(t.Context())
	expect := func(sentence, request string, times int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if asked[request] != times {
			t.Errorf("%s: %s was asked %d times, want %d", sentence, request, asked[request], times)
		}
	}
	read := func(ctx context.Context) {
		t.Helper()
		for _, plugin := range []string{"a", "b", "c"} {
			p := c.For(plugin)
			labels, err1 := p.GetIssueLabels(ctx, "o", "r", 1)
			_, err2 := p.GetPullRequest(ctx, "o", "r", 1)
			_, err3 := p.GetPullRequest(ctx, "o", "other", 1)
			_, err4 := p.GetFile(ctx, "o", "r", "OWNERS", "main")
			if err1 != nil || err2 != nil || err3 != nil || !errors.Is(err4, ErrFileNotFound) || len(labels) != 2 || labels[1].Name != "b" {
				t.Error(labels, err1, err2, err3, err4)
			}
			if !p.Used() {
				t.Error("who gets an answer of others has used the client as well")
			}
		}
	}
	read(ctx)
	expect("several plugins", "GET repos/o/r/pulls/1 ", 1)
	expect("the first page", "GET repos/o/r/issues/1/labels ", 1)
	expect("the second page", "GET repos/o/r/issues/1/labels 2", 1)
	expect("a file that is missing", "GET repos/o/r/contents/OWNERS ", 1)
	if err := c.CreateComment(ctx, "O", "R", 1, "x"); err != nil {
		t.Fatal(err)
	}
	read(ctx)
	expect("after a change", "GET repos/o/r/pulls/1 ", 2)
	expect("what the change has nothing to do with", "GET repos/o/r/issues/1/labels 2", 1)
	expect("what the change has nothing to do with", "GET repos/o/r/contents/OWNERS ", 1)
	expect("a repository that was not changed", "GET repos/o/other/pulls/1 ", 1)
	if _, err := c.GetPullRequest(ReadFresh(ctx), "o", "r", 1); err != nil {
		t.Fatal(err)
	}
	expect("a fresh read", "GET repos/o/r/pulls/1 ", 3)
	if _, err := c.GetPullRequest(t.Context(), "o", "r", 1); err != nil {
		t.Fatal(err)
	}
	expect("a read without sharing", "GET repos/o/r/pulls/1 ", 4)
	read(ShareReads(t.Context()))
	expect("another event", "GET repos/o/r/pulls/1 ", 5)
}

func TestWhatAChangeMayChange(t *testing.T) {
	for _, tc := range []struct {
		change, read string
		want         bool
	}{
		{"repos/o/r/issues/1/labels", "repos/O/R/pulls/1", true},
		{"repos/o/r", "repos/o/r?x=y", true},
		{"repos/o/r/issues/1", "repos/o/other/issues/1", false},
		{"repos/o/r/issues/1", "repos/x/r/issues/1", false},
		{"repos/o/r/issues/1", "search/issues?q=x", true},
		{"repos/o/r/issues/1", "repositories/5/issues", true},
		{"repos/o/r/collaborators/u", "orgs/o/members/u", true},
		{"orgs/o/members/u", "repos/o/r/collaborators/u", true},
		{"orgs/o/members/u", "orgs/x/members/u", false},
		{"", "repos/o/r", true},
		{"user/memberships/orgs/o", "orgs/o/members", true},
		{"repos/o/r/issues/1/labels", "repos/o/r/issues/1/labels?per_page=100", true},
		{"repos/o/r/issues/1/labels/x", "repos/o/r/issues/1", true},
		{"repos/o/r/issues/1/labels", "repos/o/r/labels?page=2", true}, // a label that is new is made
		{"repos/o/r/issues/1/labels", "repos/o/r/issues?state=open", true},
		{"repos/o/r/issues/1/labels", "repos/o/r/issues/1/events", true},
		{"repos/o/r/issues/1/labels", "repos/o/r/issues/1/comments", false},
		{"repos/o/r/issues/1/labels", "repos/o/r/issues/10/labels", false},
		{"repos/o/r/issues/1/labels", "repos/o/r/pulls/1/files?per_page=100", false},
		{"repos/o/r/issues/1/labels", "repos/o/r/pulls/1/commits", false},
		{"repos/o/r/issues/1/labels", "repos/o/r/git/refs/heads/main", false},
		{"repos/o/r/issues/1/comments", "repos/o/r/issues/1/comments", true},
		{"repos/o/r/issues/1/comments", "repos/o/r/issues/1/labels", false},
		{"repos/o/r/issues/1/comments", "repos/o/r/contents/issues/1?ref=x", false},
		{"repos/o/r/issues/comments/5", "repos/o/r/issues/1/comments", true}, // whose comment it is, is not known
		{"repos/o/r/issues/comments/5", "repos/o/r/collaborators?page=1", false},
		{"repos/o/r/issues/1/assignees", "repos/o/r/pulls/1", true},
		{"repos/o/r/pulls/1/requested_reviewers", "repos/o/r/pulls/1/requested_reviewers", true},
		{"repos/o/r/pulls/1/requested_reviewers", "repos/o/r/issues/1/labels", false},
		{"repos/o/r/issues/1/comments", "repos/o/r/pulls/1/reviews", false},
		{"repos/o/r/issues/1/comments", "repos/o/r/pulls/1/comments", false},
		{"repos/o/r/pulls/1/reviews", "repos/o/r/pulls/1/comments", true},            // a review has comments
		{"repos/o/r/pulls/1/reviews", "repos/o/r/pulls/1/requested_reviewers", true}, // and answers a request
		{"repos/o/r/issues/1", "repos/o/r/issues/1/labels", true},                    // an edit may be of anything
		{"repos/o/r/issues/1", "repos/o/r/git/refs/heads/main", true},
		{"repos/o/r/pulls/1/merge", "repos/o/r/git/refs/heads/main", true},
		{"repos/o/r/pulls/1/update-branch", "repos/o/r/pulls/1/files", true},
		{"repos/o/r/collaborators/u", "repos/o/r/collaborators", true},
		{"repos/o/r/statuses/abc", "repos/o/r/commits/abc/status", true},
		{"repos/o/r/git/refs/heads/x", "repos/o/r/git/refs/heads/x", true},
	} {
		if got := mayChange(tc.change, tc.read); got != tc.want {
			t.Errorf("a change of %q and a read of %q: %v", tc.change, tc.read, got)
		}
	}
}

// The first to ask goes away; the others must get the answer all the same.
func TestAFirstReaderWhoGoesAwayTakesNobodyAlong(t *testing.T) {
	var asked atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			close(arrived)
			<-release
		}
		answer(w, 200, `{"name":"r"}`)
	})
	defer close(release)
	ctx := ShareReads(t.Context())
	first, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.GetRepo(first, "o", "r"); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	})
	<-arrived
	for range 5 {
		wg.Go(func() {
			if repo, err := c.GetRepo(ctx, "o", "r"); err != nil || repo.Name != "r" {
				t.Errorf("another: %v", err)
			}
		})
	}
	cancel()
	wg.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestTroubleIsNotShared(t *testing.T) {
	status := 403
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, status, `{}`) }, func(o *ClientOptions) { o.Retry.MaxRetries = 1 })
	ctx := ShareReads(t.Context())
	for _, status = range []int{403, 500, 422} {
		if _, err := c.GetRepo(ctx, "o", "r"); StatusCode(err) != status {
			t.Errorf("want %d: %v", status, err)
		}
	}
	status = 200
	if _, err := c.GetRepo(ctx, "o", "r"); err != nil {
		t.Error(err)
	}
}

// A read that began before a change must not be taken for what was there after it.
func TestAReadThatAChangeOvertakesIsNotKept(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var gets atomic.Int32
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			answer(w, 200, `[]`)
			return
		}
		n := gets.Add(1)
		if n == 1 {
			close(arrived)
			<-release
		}
		answer(w, 200, fmt.Sprintf(`{"name":"%d"}`, n))
	})
	ctx := ShareReads(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.GetRepo(ctx, "o", "r"); err != nil {
			t.Error(err)
		}
	})
	<-arrived
	if err := c.AddLabels(ctx, "o", "r", 1, "l"); err != nil {
		t.Fatal(err)
	}
	close(release)
	wg.Wait()
	if repo, err := c.GetRepo(ctx, "o", "r"); err != nil || repo.Name != "2" {
		t.Errorf("got %+v, %v", repo, err)
	}
	s := sharedReadsOf(ctx)
	if s.forget(""); s.used != 0 {
		t.Errorf("%d bytes are counted that nobody holds", s.used)
	}
}

func TestSharedReadsKeepTheirBound(t *testing.T) {
	s := &sharedReads{bound: 3000, reads: map[readKey]*sharedRead{}}
	for i := range 5 {
		_, err := s.read(t.Context(), readKey{target: fmt.Sprint(i)}, func() (fetched, error) { return fetched{status: 200, body: make([]byte, 300)}, nil })
		if err != nil || s.used > s.bound {
			t.Errorf("%d: used %d, %v", i, s.used, err)
		}
	}
	if len(s.reads) != 2 {
		t.Errorf("%d are kept", len(s.reads))
	}
	s.forget("")
	if s.used != 0 || len(s.reads) != 0 {
		t.Errorf("used %d by %d", s.used, len(s.reads))
	}
}

// BenchmarkReadsOfAnEvent is ten plugins that read the same three things.
func BenchmarkReadsOfAnEvent(b *testing.B) {
	c := benchForge(b, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/1") {
			answer(w, 200, `{"number":1}`)
			return
		}
		answer(w, 200, `[]`)
	})
	for _, shared := range []bool{false, true} {
		b.Run(fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
			for b.Loop() {
				ctx := b.Context()
				if shared {
					ctx = ShareReads(ctx)
				}
				for range 10 {
					_, err1 := c.GetPullRequest(ctx, "o", "r", 1)
					_, err2 := c.GetIssueLabels(ctx, "o", "r", 1)
					_, err3 := c.ListReviews(ctx, "o", "r", 1)
					if err := errors.Join(err1, err2, err3); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
