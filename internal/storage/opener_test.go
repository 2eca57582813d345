package storage_test

import (
	"context"
	"strings"
	"testing"

	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/storage/storagetest"
)

func TestParseLocation(t *testing.T) {
	for in, want := range map[string]storage.Location{
		"name":              {Provider: "gs", Bucket: "name"},
		"gs://name/a/dir/":  {Provider: "gs", Bucket: "name", Prefix: "a/dir"},
		"s3://name":         {Provider: "s3", Bucket: "name"},
		"/abs/path":         {Provider: "file", Bucket: "/abs/path"},
		"file:///abs/path":  {Provider: "file", Bucket: "/abs/path"},
		"mem://name/prefix": {Provider: "mem", Bucket: "name", Prefix: "prefix"},
	} {
		if got, err := storage.ParseLocation(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "gs://", "://x", "file://host/path", "file://"} {
		if got, err := storage.ParseLocation(in); err == nil {
			t.Errorf("%q must be an error, got %+v", in, got)
		}
	}
}

func TestOpen(t *testing.T) {
	opener := storage.NewOpener(map[string]storage.Provider{"file": filestore.Provider})
	_, err := opener.Open(t.Context(), "gs://bucket")
	if want := `the storage provider "gs" is not built into this program, only file`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	dir := t.TempDir()
	b, err := opener.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "x", strings.NewReader("x"), storage.PutOptions{}); err != nil {
		t.Error(err)
	}
}

// A bucket whose URL goes on after its name is as good as any other.
func TestConformanceOfPrefix(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		dir := t.TempDir()
		opener := storage.NewOpener(map[string]storage.Provider{
			"any": func(context.Context, storage.Location) (storage.Bucket, error) { return filestore.Open(dir) },
		})
		b, err := opener.Open(t.Context(), "any://bucket/some/prefix/")
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
