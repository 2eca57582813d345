package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"prow/internal/storage/storagetest"
)

// server counts requests and can fail; the client only notes how long it would wait.
func server(t *testing.T, handler http.HandlerFunc) (*storagetest.Faulty, *Client, string, *[]time.Duration) {
	t.Helper()
	f := &storagetest.Faulty{Handler: handler}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c := NewClient(NewTransport(nil))
	t.Cleanup(c.HTTP.CloseIdleConnections)
	var waits []time.Duration
	c.Wait = func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}
	return f, c, s.URL, &waits
}

func everything(*http.Request) bool { return true }

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

func TestWaitsGrowAndAreRandomWithinBounds(t *testing.T) {
	f, c, url, waits := server(t, echo)
	f.FailTimes(100, everything, storagetest.Fault{Status: http.StatusServiceUnavailable})
	_, err := c.Do(t.Context(), &Request{Method: http.MethodPut, URL: url + "/path?secret=signature", Body: [][]byte{[]byte("x")}}, http.StatusOK)
	if !IsStatus(err, http.StatusServiceUnavailable) || strings.Contains(err.Error(), "signature") || !strings.Contains(err.Error(), "/path: 503") {
		t.Errorf("got %v", err)
	}
	if f.Faults() != Attempts || len(*waits) != Attempts-1 {
		t.Errorf("%d attempts, waits %v", f.Faults(), *waits)
	}
	for i, d := range *waits {
		if most := firstWait << i; d < most/2 || d > most {
			t.Errorf("wait %d is %s, not between %s and %s", i, d, most/2, most)
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	f, c, url, waits := server(t, echo)
	for seconds, want := range map[int]time.Duration{5: 5 * time.Second, 3600: maxRetryAfter} {
		*waits = nil
		f.FailTimes(1, everything, storagetest.Fault{Status: http.StatusTooManyRequests, RetryAfter: seconds})
		resp, err := c.Do(t.Context(), &Request{Method: http.MethodGet, URL: url}, http.StatusOK)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if len(*waits) != 1 || (*waits)[0] != want {
			t.Errorf("%d seconds: waited %v", seconds, *waits)
		}
	}
	const now = "Mon, 02 Jan 2006 15:04:05 GMT"
	for value, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "Mon, 02 Jan 2006 15:05:05 GMT": time.Minute, "Mon, 02 Jan 2006 15:00:00 GMT": 0} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func TestABodyIsSentWholeOnEveryAttempt(t *testing.T) {
	f, c, url, _ := server(t, echo)
	f.FailTimes(3, everything, storagetest.Fault{ResetAfter: 2})
	resp, err := c.Do(t.Context(), &Request{Method: http.MethodPut, URL: url, Body: [][]byte{[]byte("one "), nil, []byte("two "), []byte("three")}}, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "one two three" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrorsThatAreFinal(t *testing.T) {
	f, c, url, waits := server(t, echo)
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusPreconditionFailed, http.StatusMovedPermanently} {
		f.FailTimes(1, everything, storagetest.Fault{Status: status})
		if _, err := c.Do(t.Context(), &Request{Method: http.MethodGet, URL: url}, http.StatusOK); !IsStatus(err, status) {
			t.Errorf("%d: got %v", status, err)
		}
	}
	f.Fail(nil)
	refused := errors.New("no such key")
	_, err := c.Do(t.Context(), &Request{Method: http.MethodGet, URL: url, Prepare: func(*http.Request) error { return Final(refused) }}, http.StatusOK)
	if !errors.Is(err, refused) || !errors.Is(err, ErrFinal) {
		t.Errorf("got %v", err)
	}
	tls := httptest.NewTLSServer(f)
	defer tls.Close()
	if _, err := c.Do(t.Context(), &Request{Method: http.MethodGet, URL: tls.URL}, http.StatusOK); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: got %v", err)
	}
	if len(*waits) > 0 {
		t.Errorf("waited %v", *waits)
	}
}

func TestAStalledAnswerIsGivenUp(t *testing.T) {
	_, c, url, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c.Stall = 50 * time.Millisecond
	resp, err := c.Do(t.Context(), &Request{Method: http.MethodGet, URL: url}, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != "begin" || err == nil || !strings.Contains(err.Error(), "no progress in 50ms") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestParseError(t *testing.T) {
	for body, want := range map[string]StatusError{
		`<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Less!</Message><Region>eu</Region></Error>`: {Code: "SlowDown", Message: "Less!", Region: "eu"},
		`{"error":{"message":"Gone","errors":[{"reason":"notFound"}]}}`:                                        {Code: "notFound", Message: "Gone"},
		"plain words":              {Message: "plain words"},
		"<html>Bad gateway</html>": {}, "{": {}, "": {},
		"<CompleteMultipartUploadResult/>": {},
	} {
		if got := ParseError([]byte(body)); *got != want {
			t.Errorf("%s: got %+v, want %+v", body, *got, want)
		}
	}
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte("<Error><Code>x</Code></Error>"))
	f.Add([]byte(`{"error":{"errors":[{}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := ParseError(body)
		_, _ = e.Error(), e.Transient()
	})
}

func TestChunksAreUsedAgain(t *testing.T) {
	var c Chunks
	first := c.Get()
	c.Put(first[:10])
	if second := c.Get(); &second[0] != &first[0] || len(second) != ChunkSize {
		t.Error("the buffer is not the same, or not whole")
	}
	c.Put(make([]byte, 2*ChunkSize))
	if got := c.Get(); len(got) != ChunkSize {
		t.Errorf("got %d bytes", len(got))
	}
}
