package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/store"
)

func TestAccept(t *testing.T) {
	const body = `{"repository":{"full_name":"org/repo"}}`
	signed := map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "guid", "X-Hub-Signature-256": Sign([]byte(body), "abc"), "Content-Type": "application/json"}
	without := func(key string) map[string]string {
		out := map[string]string{}
		for k, v := range signed {
			if k != key {
				out[k] = v
			}
		}
		return out
	}
	with := func(key, value string) map[string]string {
		out := without(key)
		out[key] = value
		return out
	}
	for name, tc := range map[string]struct {
		method, body string
		headers      map[string]string
		storeErr     error
		want         int
		taken        bool
	}{
		"a good delivery":               {"POST", body, signed, nil, 200, true},
		"a GET":                         {"GET", body, signed, nil, 405, false},
		"no event":                      {"POST", body, without("X-GitHub-Event"), nil, 400, false},
		"no delivery id":                {"POST", body, without("X-GitHub-Delivery"), nil, 400, false},
		"no signature":                  {"POST", body, without("X-Hub-Signature-256"), nil, 403, false},
		"the old signature only":        {"POST", body, with("X-Hub-Signature", "sha1=x"), nil, 200, true},
		"a charset":                     {"POST", body, with("Content-Type", "application/json; charset=utf-8"), nil, 400, false},
		"a form":                        {"POST", body, with("Content-Type", "application/x-www-form-urlencoded"), nil, 400, false},
		"a wrong signature":             {"POST", body, with("X-Hub-Signature-256", Sign([]byte(body), "wrong")), nil, 403, false},
		"a signature that is none":      {"POST", body, with("X-Hub-Signature-256", "abc"), nil, 403, false},
		"a body that is no JSON":        {"POST", "nope", with("X-Hub-Signature-256", Sign([]byte("nope"), "abc")), nil, 403, false},
		"a body that was changed":       {"POST", body + " ", signed, nil, 403, false},
		"a delivery id that is no text": {"POST", body, with("X-GitHub-Delivery", "a\x00b"), nil, 400, false},
		"a very long event":             {"POST", body, with("X-GitHub-Event", strings.Repeat("x", 101)), nil, 400, false},
		"an oversized body":             {"POST", `"` + strings.Repeat("x", maxBody) + `"`, signed, nil, 413, false},
		"a store that is full is not acknowledged": {"POST", body, signed, errors.New("disk full"), 503, true},
	} {
		t.Run(name, func(t *testing.T) {
			taken := false
			a := NewAcceptor(func() Keys { return Keys{"org": {{Value: "abc"}}} }, func(_ context.Context, d store.Delivery) error {
				taken = d.ID == "guid" && d.Event == "push" && d.Repo == "org/repo" && string(d.Payload) == body
				return tc.storeErr
			}, time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			r := httptest.NewRequest(tc.method, "/hook", strings.NewReader(tc.body))
			for k, v := range tc.headers {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != tc.want || taken != tc.taken {
				t.Errorf("status %d (%s), taken %v", w.Code, strings.TrimSpace(w.Body.String()), taken)
			}
			if w.Body.Len() == 0 {
				t.Error("an answer without a word")
			}
		})
	}
}

func TestADeliveryIsOfOneRepository(t *testing.T) {
	for payload, want := range map[string]string{
		`{"repository":{"full_name":"o/r","name":"r","owner":{"login":"o"}},"organization":{"login":"O"}}`:                                                                "o/r",
		`{"repository":{"full_name":"o/r","name":"r","owner":{"login":"o","name":"o"}}}`:                                                                                  "o/r",
		`{"repository":{"full_name":"o/r"},"pull_request":{"base":{"repo":{"full_name":"o/r","name":"r","owner":{"login":"o"}}},"head":{"repo":{"full_name":"fork/r"}}}}`: "o/r",
		`{"organization":{"login":"o"}}`: "o",
		`{"zen":"x"}`:                    "",
		`{"repository":{"full_name":"o/r","name":"r","owner":{"login":"victim"}}}`:                                    "!repository.owner.login",
		`{"repository":{"full_name":"o/r","name":"other","owner":{"login":"o"}}}`:                                     "!repository.owner.login",
		`{"repository":{"full_name":"o/r","owner":{"name":"victim","login":"o"},"name":"r"}}`:                         "!repository.owner.name",
		`{"repository":{"full_name":"o/r"},"organization":{"login":"victim"}}`:                                        "!organization.login",
		`{"repository":{"full_name":"o/r"},"pull_request":{"base":{"repo":{"full_name":"victim/r"}}}}`:                "!pull_request.base.repo.full_name",
		`{"repository":{"full_name":"o/r"},"pull_request":{"base":{"repo":{"name":"r","owner":{"login":"victim"}}}}}`: "!pull_request.base.repo.owner.login",
		`{"organization":{"login":"o"},"repository":{"name":"r","owner":{"login":"victim"}}}`:                         "!full_name is missing",
		`{"organization":{"login":"o"},"pull_request":{"base":{"repo":{"full_name":"victim/r"}}}}`:                    "!full_name is missing",
	} {
		var s sender
		if err := json.Unmarshal([]byte(payload), &s); err != nil {
			t.Fatal(err)
		}
		got, err := s.name()
		if message, bad := strings.CutPrefix(want, "!"); bad != (err != nil) || bad && !strings.Contains(err.Error(), message) || !bad && got != want {
			t.Errorf("%s: got %q, error %v", payload, got, err)
		}
	}
}
