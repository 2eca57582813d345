package hook

import (
	"context"
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
		"a good delivery":          {"POST", body, signed, nil, 200, true},
		"a GET":                    {"GET", body, signed, nil, 405, false},
		"no event":                 {"POST", body, without("X-GitHub-Event"), nil, 400, false},
		"no delivery id":           {"POST", body, without("X-GitHub-Delivery"), nil, 400, false},
		"no signature":             {"POST", body, without("X-Hub-Signature-256"), nil, 403, false},
		"the old signature only":   {"POST", body, with("X-Hub-Signature", "sha1=x"), nil, 200, true},
		"a charset":                {"POST", body, with("Content-Type", "application/json; charset=utf-8"), nil, 400, false},
		"a form":                   {"POST", body, with("Content-Type", "application/x-www-form-urlencoded"), nil, 400, false},
		"a wrong signature":        {"POST", body, with("X-Hub-Signature-256", Sign([]byte(body), "wrong")), nil, 403, false},
		"a signature that is none": {"POST", body, with("X-Hub-Signature-256", "abc"), nil, 403, false},
		"a body that is no JSON":   {"POST", "nope", with("X-Hub-Signature-256", Sign([]byte("nope"), "abc")), nil, 403, false},
		"a body that was changed":  {"POST", body + " ", signed, nil, 403, false},
		"an oversized body":        {"POST", `"` + strings.Repeat("x", maxBody) + `"`, signed, nil, 413, false},
		"a store that is full is not acknowledged": {"POST", body, signed, errors.New("disk full"), 503, true},
	} {
		t.Run(name, func(t *testing.T) {
			taken := false
			vec := func(label string) *prometheus.CounterVec {
				return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{label})
			}
			a := &acceptor{
				keys: func() Keys { return Keys{"org": {{Value: "abc"}}} },
				take: func(_ context.Context, d store.Delivery) error {
					taken = d.ID == "guid" && d.Event == "push" && string(d.Payload) == body
					return tc.storeErr
				},
				now: time.Now, log: slog.New(slog.DiscardHandler), codes: vec("code"), count: vec("event"),
			}
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
