package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"prow/internal/storage"
	"prow/internal/storage/storagetest"
)

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		b, err := Open(filepath.Join(t.TempDir(), "made", "on", "demand"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func open(t *testing.T) (*Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, dir
}

func TestPlainObjectsArePlainFiles(t *testing.T) {
	b, dir := open(t)
	if err := b.Put(t.Context(), "a/log.txt", strings.NewReader("x"), storage.PutOptions{ContentType: "text/plain; charset=utf-8"}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "a"))
	if err != nil || len(entries) != 1 {
		t.Errorf("only the file itself is expected, got %v, %v", entries, err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	b, dir := open(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret"), "up": "../../.."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file", "up/etc/passwd"} {
		if r, err := b.Get(t.Context(), key, 0, -1); err == nil {
			_ = r.Close()
			t.Errorf("Get %s leads out of the directory", key)
		}
	}
	if err := b.Put(t.Context(), "dir/new", strings.NewReader("x"), storage.PutOptions{}); err == nil {
		t.Error("Put wrote outside of the directory")
	}
	if _, err := os.Stat(filepath.Join(outside, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("outside: %v", err)
	}
	page, err := b.List(t.Context(), storage.ListOptions{})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("links are no objects: %v, %v", page, err)
	}
}

func TestSpecialFilesAreNoObjects(t *testing.T) {
	b, dir := open(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := b.Get(t.Context(), "fifo", 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestHiddenNamesAreReserved(t *testing.T) {
	b, _ := open(t)
	for _, key := range []string{".attrs.x", ".tmp.x", "a/.tmp.x/b"} {
		if err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{}); err == nil {
			t.Errorf("%s must be refused", key)
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Put(t.Context(), "x", strings.NewReader("old"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	err = b.Put(t.Context(), "x", strings.NewReader(strings.Repeat("x", 1<<20)), storage.PutOptions{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "writing x") {
		t.Errorf("got %v", err)
	}
	if got, err := storage.ReadAll(t.Context(), b, "x", 10); err != nil || string(got) != "old" {
		t.Errorf("the old object must survive: %q, %v", got, err)
	}
	if err := b.Put(t.Context(), "y", strings.NewReader(strings.Repeat("x", 1<<15)), storage.PutOptions{}); err != nil {
		t.Errorf("the room must be free again: %v", err)
	}
}

// A process that is killed between the two renames leaves new attributes beside
// old content.
func TestAttributesOfAnotherContentAreIgnored(t *testing.T) {
	b, dir := open(t)
	if err := b.Put(t.Context(), "x", strings.NewReader("plain"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".attrs.x"), []byte(`{"size":77,"contentEncoding":"gzip"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Stat(t.Context(), "x"); err != nil || got.ContentEncoding != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What is acknowledged must survive a crash: the content is on disk before the
// name, and the name, with every directory that leads to it, before Put returns.
func TestPutPersistsBeforeItAcknowledges(t *testing.T) {
	b, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var synced []string
	first := true
	b.sync = func(f *os.File) error {
		name := filepath.Base(f.Name())
		if strings.HasPrefix(name, tempPrefix) {
			if _, err := b.root.Lstat("a/b/x"); first && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the name is there before its content: %v", err)
			}
			name = "content"
		} else if info, err := f.Stat(); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", name, err)
		} else if _, err := b.root.Lstat("a/b/x"); err != nil {
			t.Errorf("a directory is synced before the name is in it: %v", err)
		}
		synced = append(synced, name)
		return f.Sync()
	}
	put := func(key string, opts storage.PutOptions) {
		t.Helper()
		synced = nil
		if err := b.Put(t.Context(), key, strings.NewReader("x"), opts); err != nil {
			t.Fatal(err)
		}
	}
	put("a/b/x", storage.PutOptions{})
	if want := []string{"content", "b", "a"}; len(synced) != 4 || !slices.Equal(synced[:3], want) {
		t.Errorf("synced %v, want %v and the root", synced, want)
	}
	first = false
	put("a/b/x", storage.PutOptions{ContentEncoding: "gzip"})
	if want := []string{"content", "content", "b"}; !slices.Equal(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}

	full := errors.New("no space left")
	b.sync = func(*os.File) error { return full }
	if err := b.Put(t.Context(), "a/b/x", strings.NewReader("other"), storage.PutOptions{}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if got, err := storage.ReadAll(t.Context(), b, "a/b/x", 10); err != nil || string(got) != "x" {
		t.Errorf("what could not be persisted must not replace anything: %q, %v", got, err)
	}
}
