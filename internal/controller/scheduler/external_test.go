package scheduler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAnswersAreKeptForTheirTimeOnly(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		var question struct{ Job string }
		if err := json.NewDecoder(r.Body).Decode(&question); err != nil || r.Method != http.MethodPost {
			t.Errorf("asked by %s: %v", r.Method, err)
		}
		_, _ = fmt.Fprintf(w, `{"cluster":"%s-%d"}`, question.Job, asked)
	}))
	defer server.Close()
	now := time.Unix(0, 0)
	e := newExternal(settings{url: server.URL, valid: time.Minute, cleanup: time.Hour}, func() time.Time { return now })
	expect := func(sentence, job, want string) {
		t.Helper()
		if got, err := e.cluster(t.Context(), job); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", sentence, got, err, want)
		}
	}
	expect("the first question", "a", "a-1")
	expect("the same within its time", "a", "a-1")
	expect("another job", "b", "b-2")
	now = now.Add(time.Minute)
	expect("the same after its time", "a", "a-3")
	now = now.Add(2 * time.Hour)
	expect("after a clean-up", "a", "a-4")
	if len(e.answers) != 1 {
		t.Errorf("%d answers are kept after a clean-up", len(e.answers))
	}
	e.settings.valid = 0
	expect("without a time", "c", "c-5")
	expect("without a time again", "c", "c-6")
}

func TestTheNumberOfKeptAnswersIsBounded(t *testing.T) {
	e := newExternal(settings{valid: time.Hour}, time.Now)
	for i := range maxAnswers + 100 {
		e.keep(fmt.Sprint(i), "x")
	}
	if len(e.answers) != maxAnswers {
		t.Errorf("%d answers are kept", len(e.answers))
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for sentence, c := range map[string]struct {
		status     int
		body, want string
	}{
		"an error":       {http.StatusInternalServerError, "", "status 500"},
		"no JSON":        {http.StatusOK, "x", "read the answer"},
		"no cluster":     {http.StatusOK, "{}", "names no cluster"},
		"an endless one": {http.StatusOK, `{"cluster":"` + strings.Repeat("x", 2*maxAnswer), "read the answer"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = fmt.Fprint(w, c.body)
		}))
		e := newExternal(settings{url: server.URL, valid: time.Hour}, time.Now)
		if _, err := e.cluster(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), c.want) || len(e.answers) > 0 {
			t.Errorf("%s: %v, %d answers are kept", sentence, err, len(e.answers))
		}
		server.Close()
	}
}
