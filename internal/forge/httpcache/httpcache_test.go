package httpcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serverFunc answers requests without a network.
type serverFunc func(*http.Request) *http.Response

func (f serverFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func request(t *testing.T, method string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://h/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func get(t *testing.T, rt http.RoundTripper, method string, header ...string) (*http.Response, string) {
	t.Helper()
	req := request(t, method)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestWhatIsStored(t *testing.T) {
	for sentence, c := range map[string]struct {
		answer *http.Response
		method string
		header []string
		stored int
	}{
		"a success":                     {reply(200, "x", "Etag", "1"), "GET", nil, 1},
		"no error":                      {reply(404, "x", "Etag", "1"), "GET", nil, 0},
		"no redirect":                   {reply(301, "x", "Etag", "1"), "GET", nil, 0},
		"not against the server's word": {reply(200, "x", "Etag", "1", "Cache-Control", "private, no-store"), "GET", nil, 0},
		"not against the asker's word":  {reply(200, "x", "Etag", "1"), "GET", []string{"Cache-Control", "no-store"}, 0},
		"no part":                       {reply(206, "x", "Etag", "1"), "GET", []string{"Range", "bytes=0-1"}, 0},
		"nothing of a write":            {reply(200, "x", "Etag", "1"), "POST", nil, 0},
		"nothing too large":             {reply(200, strings.Repeat("x", MaxEntry+1), "Etag", "1"), "GET", nil, 0},
	} {
		store := NewMemory(100 << 20)
		get(t, &Transport{Store: store, Next: serverFunc(func(*http.Request) *http.Response { return c.answer })}, c.method, c.header...)
		if store.Len() != c.stored {
			t.Errorf("%s: %d entries", sentence, store.Len())
		}
	}
}

func TestABodyThatIsNotReadToItsEndIsNotStored(t *testing.T) {
	store := NewMemory(1 << 20)
	rt := &Transport{Store: store, Next: serverFunc(func(*http.Request) *http.Response { return reply(200, "long body", "Etag", "1") })}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://h/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || store.Len() != 0 {
		t.Errorf("%v, %d entries", err, store.Len())
	}
}

func TestRevalidation(t *testing.T) {
	var asked http.Header
	next := reply(200, "one", "Etag", `"1"`, "Last-Modified", "Mon", "Vary", "Accept, Authorization", "X-Rate", "10")
	store := NewMemory(1 << 20)
	rt := &Transport{Store: store, Next: serverFunc(func(r *http.Request) *http.Response { asked = r.Header; return next })}
	get(t, rt, "GET", "Accept", "json", "Authorization", "secret-a")
	for _, e := range store.items {
		if raw := string(e.Value.(*memoryItem).entry.Marshal()); strings.Contains(raw, "secret-a") {
			t.Errorf("the entry holds the credential:\n%s", raw)
		}
	}

	next = reply(304, "", "X-Rate", "9", "Etag", `"1"`)
	resp, body := get(t, rt, "GET", "Accept", "json", "Authorization", "secret-b")
	if resp.StatusCode != 200 || body != "one" || resp.Header.Get("X-Rate") != "9" || resp.Header.Get(FromCache) != "1" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	if asked.Get("If-None-Match") != `"1"` || asked.Get("If-Modified-Since") != "Mon" {
		t.Errorf("asked with %v", asked)
	}

	resp, body = get(t, rt, "GET", "Accept", "json", "If-None-Match", `"1"`)
	if resp.StatusCode != 304 || body != "" || resp.Header.Get(FromCache) != "1" {
		t.Errorf("a question of the asker's own: %d %q", resp.StatusCode, body)
	}

	next = reply(200, "for another", "Etag", `"2"`, "Vary", "Accept")
	if _, body = get(t, rt, "GET", "Accept", "diff"); body != "for another" || asked.Get("If-None-Match") != "" {
		t.Errorf("another variant: %q, asked with %v", body, asked)
	}
	if resp, _ = get(t, rt, "GET", "Accept", "odd", "Cache-Control", "only-if-cached"); resp.StatusCode != 504 {
		t.Errorf("only if cached: %d", resp.StatusCode)
	}
	next = reply(404, "")
	if get(t, rt, "GET", "Accept", "diff"); store.Len() != 0 {
		t.Error("what is gone is still stored")
	}
}

func TestOnlyWordOfTheResourceDropsAnEntry(t *testing.T) {
	for sentence, c := range map[string]struct {
		answer *http.Response // nil: none
		kept   bool
	}{
		"no answer":                {nil, true},
		"a server in trouble":      {reply(502, "", "Cache-Control", "no-store"), true},
		"an overloaded server":     {reply(503, ""), true},
		"too many requests":        {reply(429, ""), true},
		"a budget that is used up": {reply(403, "", "X-Ratelimit-Remaining", "0"), true},
		"a secondary limit":        {reply(403, "", "Retry-After", "60"), true},
		"no right to it":           {reply(403, "", "X-Ratelimit-Remaining", "4000"), false},
		"it is gone":               {reply(404, ""), false},
		"it has moved":             {reply(301, "", "Location", "/y"), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			var asked http.Header
			next, store := reply(200, "one", "Etag", `"1"`), NewMemory(1<<20)
			rt := &Transport{Store: store, Next: serverOrNot(func(r *http.Request) *http.Response { asked = r.Header; return next })}
			get(t, rt, "GET")
			next = c.answer
			if next != nil {
				get(t, rt, "GET")
			} else if _, err := rt.RoundTrip(request(t, "GET")); err == nil {
				t.Fatal("no error")
			}
			if got := store.Len() == 1; got != c.kept {
				t.Fatalf("kept %t, want %t", got, c.kept)
			}
			if !c.kept {
				return
			}
			next = reply(304, "", "Etag", `"1"`)
			if resp, body := get(t, rt, "GET"); resp.StatusCode != 200 || body != "one" || asked.Get("If-None-Match") != `"1"` {
				t.Errorf("afterwards %d %q, asked with %v", resp.StatusCode, body, asked)
			}
		})
	}
}

// serverOrNot is a serverFunc that fails where there is no answer.
type serverOrNot func(*http.Request) *http.Response

func (f serverOrNot) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := f(req); resp != nil {
		return resp, nil
	}
	return nil, io.ErrUnexpectedEOF
}

func entry(size int) *Entry {
	return &Entry{Status: 200, Header: http.Header{"Etag": {"x"}}, Body: bytes.Repeat([]byte("x"), size)}
}

func TestMemoryForgetsWhatWasNotUsedForLongest(t *testing.T) {
	ctx, m := context.Background(), NewMemory(10_000)
	for i := range 5 {
		m.Put(ctx, fmt.Sprint(i), entry(1500))
	}
	m.Get(ctx, "0")
	for i := 5; i < 8; i++ {
		m.Put(ctx, fmt.Sprint(i), entry(1500))
	}
	if m.Get(ctx, "0") == nil || m.Get(ctx, "1") != nil || m.Get(ctx, "7") == nil || m.Size() > 10_000 {
		t.Errorf("0 %t, 1 %t, 7 %t, %d bytes", m.Get(ctx, "0") != nil, m.Get(ctx, "1") != nil, m.Get(ctx, "7") != nil, m.Size())
	}
	m.Put(ctx, "0", entry(20_000))
	if m.Get(ctx, "0") != nil {
		t.Error("an entry beyond the bound is stored")
	}
	for i := range 10 {
		m.Delete(ctx, fmt.Sprint(i))
	}
	if m.Size() != 0 || m.Len() != 0 {
		t.Errorf("%d bytes, %d entries are left", m.Size(), m.Len())
	}
}

func disk(t *testing.T, root string, bound int64) *Disk {
	t.Helper()
	d, err := NewDisk(root, bound, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func onDisk(t *testing.T, root string) (files int, size int64) {
	t.Helper()
	err := filepath.Walk(root, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files++
			size += blocks(info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, size
}

func TestDiskKeepsItsBoundAcrossRestarts(t *testing.T) {
	ctx, root := context.Background(), t.TempDir()
	const block = 4096 // each entry takes one, whatever is in it
	d := disk(t, root, 10*block+100)
	for i := range 20 {
		d.Part("p").Put(ctx, fmt.Sprint(i), entry(1500))
	}
	if _, size := onDisk(t, root); size != 10*block || size != d.Used() {
		t.Errorf("%d bytes on disk, %d are known", size, d.Used())
	}
	if d.Part("p").Get(ctx, "19") == nil || d.Part("p").Get(ctx, "0") != nil || d.Part("other").Get(ctx, "19") != nil {
		t.Error("the newest must be there, the oldest not, and nothing in another part")
	}
	if err := os.WriteFile(filepath.Join(root, "temp", "p", "unfinished"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(root, "data", "p", fileName("19")), time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	d = disk(t, root, 2*block)
	files, size := onDisk(t, root)
	if files != 2 || size > 2*block || d.Part("p").Get(ctx, "19") == nil {
		t.Errorf("after a restart with a smaller bound: %d files, %d bytes", files, size)
	}
	want := entry(1500)
	if diff := cmp.Diff(want, d.Part("p").Get(ctx, "19")); diff != "" {
		t.Error(diff)
	}
	if err := d.RemovePart("p"); err != nil || d.Used() != 0 || d.Part("p").Get(ctx, "19") != nil {
		t.Errorf("%v, %d bytes", err, d.Used())
	}
}

func TestADamagedFileIsAMiss(t *testing.T) {
	ctx, root := context.Background(), t.TempDir()
	p := disk(t, root, 10_000).Part("p")
	p.Put(ctx, "k", entry(100))
	path := filepath.Join(root, "data", "p", fileName("k"))
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{nil, raw[:len(raw)-10], []byte("HTTP/1.1 x\r\n\r\n")} {
		p.Put(ctx, "k", entry(100))
		if err := os.WriteFile(path, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := p.Get(ctx, "k"); e != nil {
			t.Errorf("%q is read as %v", damage, e)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the damaged file is still there")
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(entry(10).Marshal())
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Unmarshal(data)
		if err != nil {
			return
		}
		again, err := Unmarshal(e.Marshal())
		if err != nil || !bytes.Equal(again.Body, e.Body) || again.Status != e.Status {
			t.Errorf("%q: %v", data, err)
		}
	})
}
