// Package storage runs the conformance suite of storage on servers of others, which
// know nothing of our reading of the protocols. It is a module of its own, for they
// bring hundreds of dependencies.
package storage

import (
	"net/http/httptest"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"prow/internal/storage"
	"prow/internal/storage/gcs"
	"prow/internal/storage/s3"
	"prow/internal/storage/storagetest"
)

const bucket = "test-bucket"

func TestGCSOnFakeGCSServer(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucket})
		b, err := gcs.Provider(gcs.Options{Endpoint: server.URL()})(t.Context(), storage.Location{Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
		"listing is ordered, paged and by level", // directories do not count for the limit of a page
	)
}

func TestS3OnGofakes3(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		backend := s3mem.New()
		if err := backend.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(gofakes3.New(backend).Server())
		t.Cleanup(server.Close)
		b, err := s3.Open(bucket, &s3.Config{Endpoint: server.URL, PathStyle: true, AccessKey: "any", SecretKey: "any"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
		"attributes are kept",                          // Cache-Control is not
		"attributes go with the object they belong to", // those of the object before are kept
		"listing is ordered, paged and by level",       // a directory is on several pages
	)
}
