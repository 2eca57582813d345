package gerrit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/gerrit"
	"prow/internal/forge/gerrit/gerrittest"
	"prow/internal/secret"
)

func newClient(s *gerrittest.Server, change func(*gerrit.Options)) *gerrit.Client {
	o := gerrit.Options{
		Instances: func() []string { return []string{s.URL + "/"} }, Component: "test",
		Cookie: func() secret.Value { return secret.New(gerrittest.Cookie) },
	}
	if change != nil {
		change(&o)
	}
	return gerrit.NewClient(o)
}

func TestQueriesReadAllPages(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("p", gerrittest.Project{})
	for range 5 {
		s.Open("p", "main", "", "Change", map[string]string{"x": "x"})
	}
	c := newClient(s, nil)
	s.Requests()
	found, err := c.QueryChanges(t.Context(), s.URL, "status:open project:p", 2, "CURRENT_REVISION")
	if err != nil || len(found) != 5 {
		t.Fatalf("%d changes, %v", len(found), err)
	}
	want := []string{
		"GET /a/changes/?n=2&o=CURRENT_REVISION&q=status%3Aopen+project%3Ap",
		"GET /a/changes/?n=2&o=CURRENT_REVISION&q=status%3Aopen+project%3Ap&start=2",
		"GET /a/changes/?n=2&o=CURRENT_REVISION&q=status%3Aopen+project%3Ap&start=4",
	}
	if got := s.Requests(); !slices.Equal(got, want) {
		t.Errorf("the requests are %q", got)
	}
	// While pages are read a change is updated, and comes to the front.
	pages := 0
	s.Intercept = func(_ http.ResponseWriter, _ *http.Request) bool {
		if pages++; pages == 2 {
			s.Vote(1, "Code-Review", 1)
		}
		return false
	}
	if found, err = c.QueryChanges(t.Context(), s.URL, "status:open", 2); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, change := range found {
		numbers = append(numbers, change.Number)
	}
	// 5 4 were on the first page; then 4 3 and 2.
	if !slices.Equal(numbers, []int{5, 4, 3, 2}) {
		t.Errorf("found %v", numbers)
	}
	if found[0].Raw == nil || !strings.Contains(string(found[0].Raw), `"_number":5`) {
		t.Errorf("the change as it was sent: %s", found[0].Raw)
	}
	if _, err := c.QueryChanges(t.Context(), s.URL, "status:open", 0); err == nil {
		t.Error("pages of nothing never end")
	}
}

func TestReadingABranch(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("dir/p", gerrittest.Project{})
	sha := s.Push("dir/p", "release/1+2", map[string]string{"x": "x"})
	c := newClient(s, nil)
	if got, err := c.BranchRevision(t.Context(), s.URL, "dir/p", "release/1+2"); err != nil || got != sha {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := c.BranchRevision(t.Context(), s.URL, "dir/p", "none"); !errors.Is(err, gerrit.ErrNotFound) || !strings.Contains(err.Error(), "none") {
		t.Errorf("a branch that is not there: %v", err)
	}
}

func TestAReadOnlyClientSendsNothingThatChanges(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("p", gerrittest.Project{})
	number, head := s.Open("p", "main", "", "Change", map[string]string{"x": "x"})
	s.Approve(number)
	c := newClient(s, func(o *gerrit.Options) { o.ReadOnly = true })
	if err := c.Submit(t.Context(), s.URL, s.ID(number), head); !errors.Is(err, gerrit.ErrReadOnly) {
		t.Errorf("submit: %v", err)
	}
	if err := c.SetReview(t.Context(), s.URL, s.ID(number), head, "hello", nil); !errors.Is(err, gerrit.ErrReadOnly) {
		t.Errorf("review: %v", err)
	}
	if s.Status(number) != gerrit.StatusNew || len(s.Messages(number)) > 0 {
		t.Error("something was changed")
	}
	if _, err := c.GetChange(t.Context(), s.URL, s.ID(number)); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestOnlyConfiguredInstancesGetTheCookie(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("p", gerrittest.Project{})
	c := newClient(s, func(o *gerrit.Options) { o.Instances = func() []string { return []string{"https://else"} } })
	if _, err := c.QueryChanges(t.Context(), s.URL, "status:open", 5); err == nil || !strings.Contains(err.Error(), "is not configured") || len(s.Requests()) > 0 {
		t.Errorf("an instance that is not configured: %v", err)
	}
	// Without a cookie nothing is asked below /a/, and nobody may submit.
	number, head := s.Open("p", "main", "", "Change", map[string]string{"x": "x"})
	s.Approve(number)
	anonymous := newClient(s, func(o *gerrit.Options) { o.Cookie = nil })
	if _, err := anonymous.GetChange(t.Context(), s.URL, s.ID(number)); err != nil {
		t.Error(err)
	}
	var refused *gerrit.StatusError
	if err := anonymous.Submit(t.Context(), s.URL, s.ID(number), head); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Errorf("submitting as nobody: %v", err)
	}
	for _, r := range s.Requests() {
		if strings.Contains(r, "/a/") {
			t.Errorf("%s without a cookie", r)
		}
	}
	wrong := newClient(s, func(o *gerrit.Options) { o.Cookie = func() secret.Value { return secret.New("wrong") } })
	if _, err := wrong.GetChange(t.Context(), s.URL, s.ID(number)); !errors.As(err, &refused) || refused.Code != http.StatusUnauthorized {
		t.Errorf("a wrong cookie: %v", err)
	}
}

func TestRequestsAreThrottled(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("p", gerrittest.Project{})
	c := newClient(s, func(o *gerrit.Options) { o.QPS, o.Burst = 20, 2 })
	began := time.Now()
	for range 6 {
		if _, err := c.BranchRevision(t.Context(), s.URL, "p", "main"); err != nil {
			t.Fatal(err)
		}
	}
	// Two at once; each of the four others waits for a twentieth of a second.
	if took := time.Since(began); took < 190*time.Millisecond {
		t.Errorf("six requests took %s", took)
	}
}

func TestALostAnswerOfASubmissionIsNoFailure(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("p", gerrittest.Project{SubmitType: gerrit.SubmitRebaseAlways})
	number, head := s.Open("p", "main", "", "Change", map[string]string{"x": "x"})
	s.Approve(number)
	s.Push("p", "main", map[string]string{"y": "y"})
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		s.Intercept = nil
		s.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	c := newClient(s, nil)
	if err := c.Submit(t.Context(), s.URL, s.ID(number), head); err == nil || !strings.Contains(err.Error(), "status 502") {
		t.Fatalf("the answer is lost: %v", err)
	}
	if err := c.Submit(t.Context(), s.URL, s.ID(number), head); err != nil {
		t.Errorf("submitted again: %v", err)
	}
	// A patch set that was replaced before somebody merged the change is not merged.
	other, old := s.Open("p", "main", "", "Other", map[string]string{"z": "1"})
	s.Amend(other, "", map[string]string{"z": "2"})
	last := s.Amend(other, "", map[string]string{"z": "3"})
	s.Approve(other)
	if err := c.Submit(t.Context(), s.URL, s.ID(other), last); err != nil {
		t.Fatal(err)
	}
	if err := c.Submit(t.Context(), s.URL, s.ID(other), old); err == nil {
		t.Error("an old patch set counts as merged")
	}
}

func TestJobsForChanges(t *testing.T) {
	s := gerrittest.Start(t)
	s.AddProject("dir/p", gerrittest.Project{})
	c := newClient(s, nil)
	var changes []*gerrit.Change
	for _, file := range []string{"a", "b"} {
		number, _ := s.Open("dir/p", "main", "", "Change "+file, map[string]string{file: file})
		s.Amend(number, "", map[string]string{file: file + file})
		change, err := c.GetChange(t.Context(), s.URL, s.ID(number), "CURRENT_REVISION", "CURRENT_COMMIT", "CURRENT_FILES")
		if err != nil {
			t.Fatal(err)
		}
		if files, ok := change.ChangedFiles(); !ok || !slices.Equal(files, []string{file}) {
			t.Errorf("changed files: %q, %t", files, ok)
		}
		changes = append(changes, change)
	}
	refs := gerrit.Refs("https://foo-review.example.com", "dir/p", "main", "base", changes...)
	if refs.Org != "https://foo-review.example.com" || refs.Repo != "dir/p" || refs.BaseRef != "main" || refs.BaseSHA != "base" ||
		refs.CloneURI != "https://foo-review.example.com/dir/p" || refs.RepoLink != "https://foo.example.com/dir/p" || refs.BaseLink != "https://foo.example.com/dir/p/+/base" {
		t.Errorf("refs: %+v", refs)
	}
	head := changes[0].CurrentRevision
	if want := (prowv1.Pull{
		Number: 1, Author: gerrittest.OwnerName, SHA: head, Ref: "refs/changes/01/1/2", Link: "https://foo-review.example.com/c/dir/p/+/1",
		CommitLink: "https://foo.example.com/dir/p/+/" + head, AuthorLink: "https://foo-review.example.com/q/" + gerrittest.OwnerEmail,
	}); refs.Pulls[0] != want || len(refs.Pulls) != 2 || refs.Pulls[1].Ref != "refs/changes/02/2/2" {
		t.Errorf("pulls: %+v", refs.Pulls)
	}
	labels, annotations := gerrit.Marks(map[string]string{"x": "y"}, map[string]string{"v": "w"}, s.URL, changes[0])
	if labels["x"] != "y" || labels[prowv1.GerritRevisionLabel] != head || labels[prowv1.GerritPatchsetLabel] != "2" || labels[prowv1.GerritReportLabel] != "Code-Review" ||
		annotations["v"] != "w" || annotations[prowv1.GerritInstanceAnnotation] != s.URL || annotations[prowv1.GerritIDAnnotation] != s.ID(1) {
		t.Errorf("labels %v, annotations %v", labels, annotations)
	}
	labels, _ = gerrit.Marks(map[string]string{prowv1.GerritReportLabel: "Verified"}, nil, s.URL, changes[0])
	if labels[prowv1.GerritReportLabel] != "Verified" {
		t.Errorf("a label of the job's own: %v", labels)
	}
	labels, annotations = gerrit.Marks(nil, nil, s.URL, changes...)
	if len(labels) != 0 || len(annotations) != 1 {
		t.Errorf("a batch reports to no change: %v %v", labels, annotations)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"https://a/": "https://a", "a": "https://a", "http://a": "http://a", "/a/": "https://a",
	} {
		if got := gerrit.Normalize(in); got != want {
			t.Errorf("Normalize(%s) = %s", in, got)
		}
	}
	for in, want := range map[string]string{
		"https://foo-review.googlesource.com": "https://foo.googlesource.com", "https://foo.example.com": "https://foo.example.com",
		"https://gerrit-review": "https://gerrit-review", "https://x.foo-review.com": "https://x.foo-review.com",
	} {
		if got := gerrit.CodeHost(in); got != want {
			t.Errorf("CodeHost(%s) = %s", in, got)
		}
	}
	if got := gerrit.CloneURI("https://a/", "/dir/p/"); got != "https://a/dir/p" {
		t.Errorf("CloneURI: %s", got)
	}
}
