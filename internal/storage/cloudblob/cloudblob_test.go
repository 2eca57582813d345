package cloudblob

import (
	"testing"

	"gocloud.dev/blob/memblob"

	"prow/internal/storage"
	"prow/internal/storage/storagetest"
)

func TestConformanceOfMemory(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Bucket { return New(memblob.OpenBucket(nil)) })
}
