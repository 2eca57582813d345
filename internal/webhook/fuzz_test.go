package webhook

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/store"
)

// FuzzParseKeys holds the secret file to secrets that are some: an empty one would
// let everybody sign.
func FuzzParseKeys(f *testing.F) {
	for _, s := range []string{"secret", "'*':\n- value: a\no/r:\n- value: b\n  created_at: 2020-01-01T00:00:00Z\n", "a: [{value: ''}]", "- value: x\n", "{}", "\x00", "a:\n  value: b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		keys, err := ParseKeys(file)
		if err != nil {
			return
		}
		if len(keys) == 0 {
			t.Errorf("%q has no keys and is no mistake", file)
		}
		for sender, list := range keys {
			for _, k := range list {
				if k.Value == "" {
					t.Errorf("%q has an empty secret for %q", file, sender)
				}
			}
		}
	})
}

// FuzzAccept holds the receiver to what is signed: nothing else is taken, and what
// is taken is said to be of a sender whose secret signed it.
func FuzzAccept(f *testing.F) {
	f.Add("issue_comment", []byte(`{"action":"created","repository":{"full_name":"o/r","owner":{"login":"o"},"name":"r"}}`), []byte(nil))
	f.Add("push", []byte(`{"repository":{"full_name":"o/r","owner":{"name":"o"}},"organization":{"login":"o"}}`), []byte(" "))
	f.Add("ping", []byte(`{"organization":{"login":"else"}}`), []byte(nil))
	f.Add("x", []byte("null"), []byte("x"))
	f.Add("\x00", []byte(`{"repository":7}`), []byte(nil))
	keys := Keys{"o": {{Value: "of o"}}}
	f.Fuzz(func(t *testing.T, event string, body, more []byte) {
		var taken []store.Delivery
		a := NewAcceptor(func() Keys { return keys }, func(_ context.Context, d store.Delivery) error { taken = append(taken, d); return nil },
			time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook", bytes.NewReader(append(bytes.Clone(body), more...)))
		r.Header = http.Header{"X-Github-Event": {event}, "X-Github-Delivery": {"id"}, "X-Hub-Signature-256": {Sign(body, "of o")}, "Content-Type": {"application/json"}}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != (len(taken) == 1) {
			t.Fatalf("answered %d, %d taken", w.Code, len(taken))
		}
		if len(taken) == 0 {
			return
		}
		d := taken[0]
		if len(more) > 0 {
			t.Errorf("%q was not signed", d.Payload)
		}
		if plain(d.Event) != d.Event || plain(d.Repo) != d.Repo || plain(d.Action) != d.Action {
			t.Errorf("taken as %q of %q, %q", d.Event, d.Repo, d.Action)
		}
		if _, ok := keys.Signature(d.Payload, d.Signature, d.Repo); !ok {
			t.Errorf("it is of %q, who has no secret: %q", d.Repo, body)
		}
	})
}
