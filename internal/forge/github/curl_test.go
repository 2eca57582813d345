package github

import (
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

func TestRequestsAreLoggedWithoutTheirCredentials(t *testing.T) {
	var log strings.Builder
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 201, `{}`) }, func(o *ClientOptions) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Token = func() (string, error) { return "verysecret", nil }
	})
	if err := c.CreateComment(t.Context(), "o", "r", 1, "it's"); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Contains(got, "verysecret") || !strings.Contains(got, "Authorization: Bearer <masked>") || !strings.Contains(got, "repos/o/r/issues/1/comments") {
		t.Errorf("logged %s", got)
	}
}

func TestCredentialsAreMasked(t *testing.T) {
	for value, want := range map[string]string{
		"Bearer x": "Bearer <masked>", "bAsIc x y": "bAsIc <masked>", "NEGOTIATE x": "NEGOTIATE <masked>", "token x": "<masked>", "x": "<masked>", "": "<masked>", "bearer": "bearer <masked>",
	} {
		if got := maskAuthorization(value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func FuzzCurl(f *testing.F) {
	f.Add("it's $(date) `x` \\ \"")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			return // no shell has it
		}
		out, err := exec.CommandContext(t.Context(), "printf", "%s", text).Output()
		if err != nil {
			return
		}
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(got) != string(out) {
			t.Errorf("%q becomes %q, %v", text, got, err)
		}
	})
}
