// Package storagetest is what every provider of storage has to pass.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"prow/internal/storage"
)

// Run tests the buckets that open returns; each must be empty. The sentences that a
// server of somebody else's is known to break are left out.
func Run(t *testing.T, open func(t *testing.T) storage.Bucket, leftOut ...string) {
	for sentence, test := range map[string]func(*testing.T, storage.Bucket){
		"what is put can be got":                       testRoundTrip,
		"a part of an object can be got":               testRanges,
		"attributes are kept":                          testAttributes,
		"attributes go with the object they belong to": testAttributesAreReplaced,
		"metadata can be changed alone":                testSetMetadata,
		"a missing object is told by its error":        testMissing,
		"an object is replaced":                        testReplace,
		"an object is made only once if asked for":     testIfNotExist,
		"a failed or cancelled write leaves no trace":  testFailedWrite,
		"listing is ordered, paged and by level":       testList,
		"names that cannot be are refused":             testBadKeys,
		"odd names are kept":                           testOddKeys,
		"a deleted object is gone":                     testDelete,
		"concurrent writers of one object do not mix":  testConcurrentWriters,
	} {
		t.Run(sentence, func(t *testing.T) {
			if slices.Contains(leftOut, sentence) {
				t.Skip("the server is known to break this")
			}
			b := open(t)
			t.Cleanup(func() { _ = b.Close() })
			test(t, b)
		})
	}
}

func put(t *testing.T, b storage.Bucket, key, content string, opts storage.PutOptions) {
	t.Helper()
	if err := b.Put(t.Context(), key, strings.NewReader(content), opts); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b storage.Bucket, key string, offset, length int64) string {
	t.Helper()
	r, err := b.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func testRoundTrip(t *testing.T, b storage.Bucket) {
	big := strings.Repeat("0123456789abcdef", 1<<17)
	for key, content := range map[string]string{"empty": "", "a/b/c.txt": "hello", "big": big} {
		put(t, b, key, content, storage.PutOptions{})
		if got := get(t, b, key, 0, -1); got != content {
			t.Errorf("%s: got %d bytes, want %d", key, len(got), len(content))
		}
	}
	if got, err := storage.ReadAll(t.Context(), b, "a/b/c.txt", 5); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := storage.ReadAll(t.Context(), b, "a/b/c.txt", 4); err == nil {
		t.Errorf("an object over the limit must be an error, got %q", got)
	}
}

func testRanges(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "0123456789", storage.PutOptions{})
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 3, "012"}, {3, 4, "3456"}, {8, 100, "89"}, {8, -1, "89"}, {10, -1, ""}, {11, 5, ""}, {2, 0, ""}} {
		if got := get(t, b, "x", c.offset, c.length); got != c.want {
			t.Errorf("%d+%d: got %q, want %q", c.offset, c.length, got, c.want)
		}
	}
}

func testAttributes(t *testing.T, b storage.Bucket) {
	want := storage.PutOptions{ContentType: "application/json", ContentEncoding: "gzip", CacheControl: "no-cache", Metadata: map[string]string{"key": "value"}}
	put(t, b, "x", "not really gzip", want)
	got, err := b.Stat(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 15 || got.ContentType != want.ContentType || got.ContentEncoding != want.ContentEncoding || got.CacheControl != want.CacheControl || !maps.Equal(got.Metadata, want.Metadata) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if age := time.Since(got.ModTime); age < -time.Minute || age > time.Minute {
		t.Errorf("modified at %s", got.ModTime)
	}
	put(t, b, "sniffed", "<html><body>", storage.PutOptions{})
	if got, err := b.Stat(t.Context(), "sniffed"); err != nil || got.ContentType != "text/html; charset=utf-8" {
		t.Errorf("sniffed: %+v, %v", got, err)
	}
	put(t, b, "typed.txt", "x", storage.PutOptions{ContentType: "text/plain; charset=utf-8"})
	if got, err := b.Stat(t.Context(), "typed.txt"); err != nil || got.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("by extension: %+v, %v", got, err)
	}
}

func testAttributesAreReplaced(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "one", storage.PutOptions{ContentEncoding: "gzip", Metadata: map[string]string{"a": "b"}})
	put(t, b, "x", "two", storage.PutOptions{})
	if got, err := b.Stat(t.Context(), "x"); err != nil || got.ContentEncoding != "" || len(got.Metadata) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testSetMetadata(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "content", storage.PutOptions{ContentType: "text/css", CacheControl: "no-cache", Metadata: map[string]string{"stays": "1", "changes": "2", "goes": "3"}})
	put(t, b, "plain", "content", storage.PutOptions{})
	err := storage.SetMetadata(t.Context(), b, "x", map[string]string{"changes": "4", "comes": "five", "goes": "", "never-was": ""})
	if errors.Is(err, storage.ErrNoMetadata) {
		t.Skip("this provider cannot do that")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Stat(t.Context(), "x")
	want := map[string]string{"stays": "1", "changes": "4", "comes": "five"}
	if err != nil || !maps.Equal(got.Metadata, want) || got.ContentType != "text/css" || got.CacheControl != "no-cache" || got.Size != 7 {
		t.Errorf("got %+v, %v; want %v", got, err, want)
	}
	if got := get(t, b, "x", 0, -1); got != "content" {
		t.Errorf("the content became %q", got)
	}
	if err := storage.SetMetadata(t.Context(), b, "plain", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Stat(t.Context(), "plain"); err != nil || !maps.Equal(got.Metadata, map[string]string{"a": "b"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := storage.SetMetadata(t.Context(), b, "missing", map[string]string{"a": "b"}); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
	if err := storage.SetMetadata(t.Context(), b, "a/../x", map[string]string{"a": "b"}); err == nil {
		t.Error("a name that cannot be must be refused")
	}
}

func testMissing(t *testing.T, b storage.Bucket) {
	put(t, b, "a/b", "x", storage.PutOptions{})
	for _, key := range []string{"missing", "a", "a/missing", "a/b/c"} {
		if _, err := b.Get(t.Context(), key, 0, -1); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Get %s: %v", key, err)
		}
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Stat %s: %v", key, err)
		}
		if err := b.Delete(t.Context(), key); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Delete %s: %v", key, err)
		}
	}
}

func testReplace(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "first and longer", storage.PutOptions{})
	put(t, b, "x", "second", storage.PutOptions{})
	if got := get(t, b, "x", 0, -1); got != "second" {
		t.Errorf("got %q", got)
	}
}

func testIfNotExist(t *testing.T, b storage.Bucket) {
	once := storage.PutOptions{IfNotExist: true, Metadata: map[string]string{"who": "first"}}
	put(t, b, "x", "first", once)
	once.Metadata = map[string]string{"who": "other"}
	if err := b.Put(t.Context(), "x", strings.NewReader("other"), once); !errors.Is(err, storage.ErrExist) {
		t.Errorf("got %v", err)
	}
	if got := get(t, b, "x", 0, -1); got != "first" {
		t.Errorf("got %q", got)
	}
	if got, err := b.Stat(t.Context(), "x"); err != nil || got.Metadata["who"] != "first" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testFailedWrite(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "old", storage.PutOptions{})
	broken := errors.New("source broke")
	for _, key := range []string{"x", "new"} {
		src := io.MultiReader(strings.NewReader(strings.Repeat("part", 1000)), iotest.ErrReader(broken))
		if err := b.Put(t.Context(), key, src, storage.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", key, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	src := io.MultiReader(strings.NewReader("part"), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), strings.NewReader("rest"))
	if err := b.Put(ctx, "cancelled", src, storage.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if got := get(t, b, "x", 0, -1); got != "old" {
		t.Errorf("got %q", got)
	}
	if page := list(t, b, storage.ListOptions{}); !slices.Equal(keys(page), []string{"x"}) {
		t.Errorf("objects after failed writes: %v", keys(page))
	}
}

func list(t *testing.T, b storage.Bucket, opts storage.ListOptions) storage.Page {
	t.Helper()
	page, err := b.List(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func keys(page storage.Page) []string {
	var out []string
	for _, item := range page.Items {
		out = append(out, item.Key)
	}
	return out
}

func testList(t *testing.T, b storage.Bucket) {
	all := []string{"a-b/x", "a/1", "a/2/deep", "a/2/deeper/still", "a/3", "a0", "b"}
	for _, key := range all {
		put(t, b, key, key, storage.PutOptions{Metadata: map[string]string{"make": "attributes"}})
	}
	for sentence, c := range map[string]struct {
		prefix, delimiter string
		want              []string
	}{
		"everything":                 {"", "", all},
		"the first level":            {"", "/", []string{"a-b/", "a/", "a0", "b"}},
		"a directory":                {"a/", "/", []string{"a/1", "a/2/", "a/3"}},
		"a directory with all below": {"a/2/", "", []string{"a/2/deep", "a/2/deeper/still"}},
		"a prefix within a name":     {"a/2/deep", "/", []string{"a/2/deep", "a/2/deeper/"}},
		"a prefix of a directory":    {"a", "/", []string{"a-b/", "a/", "a0"}},
		"nothing":                    {"c/", "/", nil},
		"below an object":            {"b/", "", nil},
	} {
		for _, limit := range []int{0, 1, 2} {
			var got []string
			opts := storage.ListOptions{Prefix: c.prefix, Delimiter: c.delimiter, Limit: limit}
			for pages := 0; ; pages++ {
				page := list(t, b, opts)
				for _, item := range page.Items {
					if isDir := strings.HasSuffix(item.Key, "/"); item.IsDir != isDir {
						t.Errorf("%s: %+v", sentence, item)
					} else if !isDir && (item.Size != int64(len(item.Key)) || item.ModTime.IsZero()) {
						t.Errorf("%s: %+v", sentence, item)
					}
				}
				if limit > 0 && len(page.Items) > limit {
					t.Errorf("%s: %d items on a page of %d", sentence, len(page.Items), limit)
				}
				got = append(got, keys(page)...)
				if opts.Token = page.Next; page.Next == "" || pages > 2*len(all) {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d at a time: got %v, want %v", sentence, limit, got, c.want)
			}
		}
	}
}

func testBadKeys(t *testing.T, b storage.Bucket) {
	for _, key := range []string{"", "/abs", "a//b", "a/", "..", "../x", "a/../../x", ".", "a/./b", "nul\x00", "line\nbreak", "\xff", strings.Repeat("x", 2000)} {
		if err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{}); err == nil {
			t.Errorf("Put %q must be an error", key)
		}
		if r, err := b.Get(t.Context(), key, 0, -1); err == nil {
			_ = r.Close()
			t.Errorf("Get %q must be an error", key)
		}
	}
}

func testOddKeys(t *testing.T, b storage.Bucket) {
	for _, key := range []string{"a b", "a%23b", `back\slash`, "tab\t", "ünïcödé/日本", "-rf", "a:b?c*d", "...", "..a/b.."} {
		put(t, b, key, key, storage.PutOptions{})
		if got := get(t, b, key, 0, -1); got != key {
			t.Errorf("%q: got %q", key, got)
		}
	}
	if got := list(t, b, storage.ListOptions{Prefix: "tab"}); !slices.Equal(keys(got), []string{"tab\t"}) {
		t.Errorf("got %q", keys(got))
	}
}

func testDelete(t *testing.T, b storage.Bucket) {
	put(t, b, "x", "x", storage.PutOptions{ContentEncoding: "gzip"})
	if err := b.Delete(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "x"); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	put(t, b, "x", "x", storage.PutOptions{})
	if got, err := b.Stat(t.Context(), "x"); err != nil || got.ContentEncoding != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testConcurrentWriters(t *testing.T, b storage.Bucket) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{'a' + byte(i)}, 1<<16)
			if err := b.Put(t.Context(), "x", bytes.NewReader(content), storage.PutOptions{}); err != nil {
				t.Error(err)
			}
			if err := b.Put(t.Context(), fmt.Sprintf("own/dir/%d", i), bytes.NewReader(content), storage.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := get(t, b, "x", 0, -1)
	if len(got) != 1<<16 || strings.Count(got, got[:1]) != len(got) {
		t.Errorf("the object is mixed from several writers, or has %d bytes", len(got))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	n, err := f(p)
	if n == 0 && err == nil {
		return 0, io.EOF // end this part; the next read sees the effect
	}
	return n, err
}
