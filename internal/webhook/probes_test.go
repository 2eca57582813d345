package webhook

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/store"
)

func TestProbe22TheVectorVerifies(t *testing.T) {
	const secret, vector = "It's a Secret to Everybody", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := Sign([]byte("Hello, World!"), secret); got != vector {
		t.Errorf("signed %s", got)
	}
	const body = `{"zen":"Keep it logically awesome."}`
	signature := Sign([]byte(body), secret)
	for sentence, tc := range map[string]struct {
		body, contentType string
		want              int
	}{
		"what was signed":    {body, "application/json", 200},
		"a changed byte":     {strings.Replace(body, "Keep", "Beep", 1), "application/json", 403},
		"a type with a more": {body, "application/json; charset=utf-8", 400},
	} {
		a := NewAcceptor(func() Keys { return Keys{"*": {{Value: secret}}} }, func(context.Context, store.Delivery) error { return nil }, time.Now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		r := httptest.NewRequest("POST", "/hook", strings.NewReader(tc.body))
		for key, value := range map[string]string{"X-GitHub-Event": "ping", "X-GitHub-Delivery": "guid", "X-Hub-Signature-256": signature, "Content-Type": tc.contentType} {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		if a.ServeHTTP(w, r); w.Code != tc.want {
			t.Errorf("%s: %d", sentence, w.Code)
		}
	}
}
