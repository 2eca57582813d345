package upload

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"prow/internal/pod/options"
	"prow/internal/storage"
	"prow/internal/storage/providers"
)

// Opener opens buckets with the credentials of the options.
func Opener(opts *options.Upload) func(ctx context.Context, bucket string) (storage.Bucket, error) {
	return providers.New(providers.Credentials{GCSFile: opts.GCSCredentialsFile, S3File: opts.S3CredentialsFile}).Open
}

// OpenFile opens a regular file of the test for reading. A link is followed only
// within the file's directory: the test may have put one to a secret of the
// container that reads.
func OpenFile(path string) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return openRegular(root, filepath.Base(path))
}

// openRoot opens a directory of the test, with the same caution.
func openRoot(path string) (*os.Root, error) {
	parent, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	return parent.OpenRoot(filepath.Base(path))
}

func openRegular(root *os.Root, name string) (*os.File, error) {
	// Opening a pipe would otherwise wait for its other end.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("it is no regular file but %s", info.Mode().Type())}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
