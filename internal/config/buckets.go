package config

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	v1 "prow/api/prowjobs/v1"
)

// knownBuckets are the buckets that may be shown: those that are configured so,
// those of the default decoration configs, and those of all static jobs.
func knownBuckets(c *Config) sets.Set[string] {
	out := sets.New[string]()
	add := func(bucket string) {
		if _, rest, found := strings.Cut(bucket, "://"); found {
			bucket = rest
		}
		if bucket != "" {
			out.Insert(bucket)
		}
	}
	addOf := func(d *v1.DecorationConfig) {
		if d != nil && d.GCSConfiguration != nil {
			add(d.GCSConfiguration.Bucket)
		}
	}
	for _, bucket := range c.Deck.AdditionalAllowedBuckets {
		add(bucket)
	}
	for _, entry := range c.Plank.DecorationDefaults() {
		addOf(entry.Config)
	}
	for _, jobs := range c.PresubmitsByRepo {
		for i := range jobs {
			addOf(jobs[i].DecorationConfig)
		}
	}
	for _, jobs := range c.PostsubmitsByRepo {
		for i := range jobs {
			addOf(jobs[i].DecorationConfig)
		}
	}
	for i := range c.Periodics {
		addOf(c.Periodics[i].DecorationConfig)
	}
	return out
}

// StorageBuckets are the buckets that jobs or deck.additional_allowed_buckets
// name, without scheme, in order. Those with an absolute path are directories.
func (c *Config) StorageBuckets() []string { return sets.List(c.index.buckets) }

// ValidateStorageBucket tells why a bucket may not be shown, given its name or
// an alias of it.
func (c *Config) ValidateStorageBucket(bucket string) error {
	if !c.Deck.ValidatesBuckets() {
		return nil
	}
	if real, ok := c.Deck.Spyglass.BucketAliases[bucket]; ok {
		bucket = real
	}
	if !c.index.buckets.Has(bucket) {
		return fmt.Errorf("bucket %q is not one that jobs or deck.additional_allowed_buckets name", bucket)
	}
	return nil
}
