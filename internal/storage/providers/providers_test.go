package providers

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/s3"
	"prow/internal/storage/storagetest"
)

func TestEverySchemeOpens(t *testing.T) {
	dir := t.TempDir()
	google := storagetest.NewGCS(t)
	amazon := storagetest.NewS3(t)
	gcsFile, s3File := filepath.Join(dir, "gcs.json"), filepath.Join(dir, "s3.json")
	config, err := json.Marshal(s3.Config{Endpoint: amazon.URL, Region: storagetest.S3Region, PathStyle: true, AccessKey: storagetest.S3AccessKey, SecretKey: storagetest.S3SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{gcsFile: google.ServiceAccount(t), s3File: config} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("STORAGE_EMULATOR_HOST", google.URL)
	var c Credentials
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	c.Bind(fs)
	if err := fs.Parse([]string{"--gcs-credentials-file=" + gcsFile, "--s3-credentials-file=" + s3File}); err != nil {
		t.Fatal(err)
	}
	opener := New(c)
	for _, url := range []string{"gs://test-bucket", "test-bucket", "s3://test-bucket", "file://" + dir, dir, "mem://x", "gs://test-bucket/below", "s3://test-bucket/below"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		b, err := opener.Open(ctx, url)
		if err == nil {
			err = b.Put(ctx, "dir/key", strings.NewReader("x"), storage.PutOptions{})
		}
		if err != nil {
			t.Errorf("%s: %v", url, err)
			cancel()
			continue
		}
		signed, err := storage.SignedURL(ctx, b, "dir/key", time.Minute)
		if onNetwork := strings.Contains(url, "test-bucket"); onNetwork != (err == nil) || onNetwork != strings.Contains(signed, "dir/key") {
			t.Errorf("%s: signed %q, %v", url, signed, err)
		}
		cancel()
	}
}
