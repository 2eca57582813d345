package storage_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"prow/api/artifacts"
	"prow/internal/storage"
	"prow/internal/storage/memory"
)

func TestReadingALogThatGrows(t *testing.T) {
	const key = "logs/j/1/build-log.txt"
	b := &memory.Bucket{}
	put := func(key, content string) {
		t.Helper()
		if err := b.Put(t.Context(), key, strings.NewReader(content), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(offset int64) string {
		t.Helper()
		log, err := storage.StatLog(t.Context(), b, key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := log.Reader(t.Context(), offset)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return string(content)
	}
	if _, err := storage.StatLog(t.Context(), b, key); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("without a log and parts: %v", err)
	}
	whole := ""
	for i := 1; i <= 12; i++ {
		part := fmt.Sprintf("line %d\n", i)
		put(artifacts.LogPart(key, i), part)
		whole += part
	}
	put(artifacts.LogPart(key, 14), "beyond a gap\n")
	put(artifacts.LogPartsDir(key)+"other", "something else\n")
	for _, offset := range []int{0, 1, 7, 8, 20, len(whole) - 1, len(whole), len(whole) + 5} {
		if got, want := read(int64(offset)), whole[min(offset, len(whole)):]; got != want {
			t.Errorf("from %d: got %q, want %q", offset, got, want)
		}
	}
	log, err := storage.StatLog(t.Context(), b, key)
	if err != nil || !log.Growing || log.Size != int64(len(whole)) {
		t.Errorf("got %+v, %v", log, err)
	}

	// The log replaces its parts while they are read.
	r, err := log.Reader(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	put(key, whole+"the end\n")
	for i := 1; i <= 12; i++ {
		if err := b.Delete(t.Context(), artifacts.LogPart(key, i)); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := io.ReadAll(r)
	if got := string(head) + string(rest); err != nil || got != whole[2:] {
		t.Errorf("got %q, %v; want %q", got, err, whole[2:])
	}
	if got := read(3); got != (whole + "the end\n")[3:] {
		t.Errorf("the whole log: got %q", got)
	}
}
