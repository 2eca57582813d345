package memory

import (
	"testing"

	"prow/internal/storage"
	"prow/internal/storage/storagetest"
)

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Bucket { return &Bucket{} })
}

func TestBucketsOfOneProviderAreKept(t *testing.T) {
	provider := Provider()
	first, err := provider(t.Context(), storage.Location{Bucket: "a"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := provider(t.Context(), storage.Location{Bucket: "a"})
	if err != nil || first != again {
		t.Errorf("got another bucket, %v", err)
	}
	if other, err := provider(t.Context(), storage.Location{Bucket: "b"}); err != nil || other == first {
		t.Errorf("got the same bucket, %v", err)
	}
}
