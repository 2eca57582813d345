package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
)

// lookAtStorage writes an object into each bucket, reads and removes it.
func lookAtStorage(ctx context.Context, p *patient) []Finding {
	if p.config == nil {
		return []Finding{leftOut("The configuration, which names the buckets, does not load")}
	}
	var out []Finding
	for _, bucket := range p.bucketURLs() {
		out = append(out, lookAtBucket(ctx, p.storage, bucket))
	}
	if len(out) == 0 {
		out = append(out, leftOut("No bucket is configured"))
	}
	return out
}

// bucketURLs are the buckets of the configuration, with their scheme, once each.
func (p *patient) bucketURLs() []string {
	var out []string
	seen := map[string]bool{}
	add := func(bucket string) {
		if bucket == "" {
			return
		}
		if !strings.Contains(bucket, "://") {
			bucket = "gs://" + bucket
		}
		if !seen[bucket] {
			seen[bucket] = true
			out = append(out, bucket)
		}
	}
	addOf := func(d *v1.DecorationConfig) {
		if d != nil && d.GCSConfiguration != nil {
			add(d.GCSConfiguration.Bucket)
		}
	}
	for _, entry := range p.config.Plank.DecorationDefaults() {
		addOf(entry.Config)
	}
	for _, repo := range slices.Sorted(maps.Keys(p.config.PresubmitsByRepo)) {
		for i := range p.config.PresubmitsByRepo[repo] {
			addOf(p.config.PresubmitsByRepo[repo][i].DecorationConfig)
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(p.config.PostsubmitsByRepo)) {
		for i := range p.config.PostsubmitsByRepo[repo] {
			addOf(p.config.PostsubmitsByRepo[repo][i].DecorationConfig)
		}
	}
	for i := range p.config.Periodics {
		addOf(p.config.Periodics[i].DecorationConfig)
	}
	return out
}

func lookAtBucket(ctx context.Context, opener *storage.Opener, url string) Finding {
	const mend = "Look at the credentials (--gcs-credentials-file, --s3-credentials-file) and at who may write there; jobs upload with those of their decoration config."
	bucket, err := opener.Open(ctx, url)
	if err != nil {
		return bad(mend, "%s cannot be opened: %v", url, err)
	}
	defer bucket.Close() //nolint:errcheck // what was written is removed again
	where, err := storage.ParseLocation(url)
	if err != nil {
		return bad(mend, "%s: %v", url, err)
	}
	key := "prow-doctor/" + rand.Text()
	if where.Prefix != "" {
		key = strings.Trim(where.Prefix, "/") + "/" + key
	}
	text := []byte("written by prow doctor\n")
	if err := bucket.Put(ctx, key, bytes.NewReader(text), storage.PutOptions{ContentType: "text/plain"}); err != nil {
		return bad(mend, "%s cannot be written: %v", url, err)
	}
	read, err := storage.ReadAll(ctx, bucket, key, 1024)
	if err == nil && !bytes.Equal(read, text) {
		err = fmt.Errorf("it has %q instead of what was written", read)
	}
	if err != nil {
		return bad(mend, "%s was written, but cannot be read: %v", url, errors.Join(err, bucket.Delete(ctx, key)))
	}
	if err := bucket.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return warn("Remove the object "+key+". Deleting is not needed to keep logs, but to put parts of live ones together.", "%s is written and read, but nothing can be deleted: %v", url, err)
	}
	return good("%s is written and read", url)
}
