package gcs

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/storagetest"
	"prow/internal/storage/wire"
)

// client hardly waits between attempts.
func client(t testing.TB) *wire.Client {
	c := wire.NewClient(wire.NewTransport(nil))
	c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	t.Cleanup(c.HTTP.CloseIdleConnections)
	return c
}

func credentialsFile(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "service-account.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open opens the bucket of a server with its service account.
func open(t testing.TB, server *storagetest.GCS) *Bucket {
	t.Helper()
	return openWith(t, Options{CredentialsFile: credentialsFile(t, server.ServiceAccount(t)), Endpoint: server.URL, Client: client(t)})
}

func openWith(t testing.TB, opts Options) *Bucket {
	t.Helper()
	b, err := Provider(opts)(t.Context(), storage.Location{Bucket: storagetest.GCSBucket})
	if err != nil {
		t.Fatal(err)
	}
	return b.(*Bucket)
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket { return open(t, storagetest.NewGCS(t)) })
}

func TestConformanceUnderFaults(t *testing.T) {
	storagetest.RunFaults(t, func(t *testing.T) (storage.Bucket, *storagetest.Faulty) {
		server := storagetest.NewGCS(t)
		b := open(t, server)
		if err := b.Put(t.Context(), "get a token", strings.NewReader(""), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		b.client.Stall = 300 * time.Millisecond
		return b, &server.Faulty
	})
}

func TestAServerThatKeepsOnlyPartsOfChunks(t *testing.T) {
	server := storagetest.NewGCS(t)
	server.Partial = 768 << 10
	b := open(t, server)
	content := bytes.Repeat([]byte("0123456789abcdef"), 700<<10)
	if err := b.Put(t.Context(), "x", bytes.NewReader(content), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := storage.ReadAll(t.Context(), b, "x", 64<<20); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, want %d: %v", len(got), len(content), err)
	}
}

func TestDamageOnTheWayIsNoticed(t *testing.T) {
	server := storagetest.NewGCS(t)
	server.Damage = true
	b := open(t, server)
	for _, size := range []int{10, 6 << 20} {
		err := b.Put(t.Context(), "x", bytes.NewReader(make([]byte, size)), storage.PutOptions{})
		if err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
		if _, err := b.Stat(t.Context(), "x"); err == nil {
			t.Error("the damaged object must be removed")
		}
	}
}

func TestSignedURL(t *testing.T) {
	server := storagetest.NewGCS(t)
	b := open(t, server)
	const key = "a dir/ü#?+.txt"
	if err := b.Put(t.Context(), key, strings.NewReader("hello"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	signed, err := b.SignedURL(t.Context(), key, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{
		strings.Replace(signed, "https://", "http://", 1):                                     http.StatusOK,
		strings.Replace(strings.Replace(signed, "https://", "http://", 1), "a%20", "b%20", 1): http.StatusForbidden,
	} {
		resp, err := http.Get(url) //nolint:noctx // as a browser would
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want || (want == http.StatusOK && string(body) != "hello") {
			t.Errorf("%s: %s %s %v", url, resp.Status, body, err)
		}
	}
	plain := openWith(t, Options{Endpoint: "https://storage.googleapis.com"})
	if got, err := plain.SignedURL(t.Context(), key, time.Minute); err != nil || got != "https://storage.googleapis.com/test-bucket/a%20dir/%C3%BC%23%3F%2B.txt" {
		t.Errorf("got %s, %v", got, err)
	}
	user := openWith(t, Options{Endpoint: server.URL, CredentialsFile: credentialsFile(t, []byte(`{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c"}`))})
	if _, err := user.SignedURL(t.Context(), key, time.Minute); err == nil || !strings.Contains(err.Error(), "only a service_account") {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	server := storagetest.NewGCS(t)
	put := func(b storage.Bucket) error {
		return b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{})
	}
	t.Run("one token serves many requests", func(t *testing.T) {
		before := server.Tokens()
		b := open(t, server)
		for range 3 {
			if err := put(b); err != nil {
				t.Fatal(err)
			}
		}
		if got := server.Tokens() - before; got != 1 {
			t.Errorf("got %d tokens", got)
		}
	})
	t.Run("of the environment", func(t *testing.T) {
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", credentialsFile(t, server.ServiceAccount(t)))
		b := openWith(t, Options{Client: client(t)})
		b.endpoint = server.URL
		if err := put(b); err != nil {
			t.Error(err)
		}
	})
	t.Run("none, on an emulator", func(t *testing.T) {
		open := storagetest.NewGCS(t)
		open.Anonymous = true
		t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(open.URL, "http://"))
		if err := put(openWith(t, Options{Client: client(t)})); err != nil {
			t.Error(err)
		}
	})
	t.Run("of another account are refused, and that is final", func(t *testing.T) {
		other := storagetest.NewGCS(t)
		file := bytes.ReplaceAll(other.ServiceAccount(t), []byte(other.URL), []byte(server.URL))
		c := client(t)
		c.Wait = func(context.Context, time.Duration) error {
			t.Error("it was tried again")
			return nil
		}
		if err := put(openWith(t, Options{CredentialsFile: credentialsFile(t, file), Endpoint: server.URL, Client: c})); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of a broken file are an error at once", func(t *testing.T) {
		for content, want := range map[string]string{
			`{"type":"service_account","private_key":tops3cret}`: "no JSON object",
			`{"type":"magic"}`:            `unknown type "magic"`,
			``:                            "no JSON object",
			`{"type":"external_account"}`: "GCS credentials",
		} {
			_, err := Provider(Options{CredentialsFile: credentialsFile(t, []byte(content)), Endpoint: server.URL})(t.Context(), storage.Location{Bucket: "bucket"})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "tops3cret") {
				t.Errorf("%s: got %v", content, err)
			}
		}
		if _, err := Provider(Options{CredentialsFile: "/does/not/exist"})(t.Context(), storage.Location{Bucket: "bucket"}); err == nil {
			t.Error("a missing file must be an error")
		}
	})
}
