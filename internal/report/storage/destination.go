package storage

import (
	"fmt"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// Destination is where the files of a run are.
type Destination struct {
	// Bucket is the URL of the bucket, to be opened.
	Bucket string
	// Dir is the directory of the run in it, without a slash at its end.
	Dir string
}

// settings are where the files of a job are: where its own decoration says, else
// where the default decoration for its repository and cluster does, else nil.
func settings(cfg *config.Config, job *prowv1.ProwJob) *prowv1.GCSConfiguration {
	if own := job.Spec.DecorationConfig; own != nil && own.GCSConfiguration != nil {
		return own.GCSConfiguration
	}
	repo := ""
	if refs := job.Spec.MainRefs(); refs != nil {
		repo = refs.OrgRepoString()
	}
	if def := cfg.Plank.DecorationDefault(repo, job.Spec.Cluster); def != nil {
		return def.GCSConfiguration
	}
	return nil
}

// BucketOf is the URL of the bucket with the files of a job, "" where none is
// configured. It may be asked about slim jobs.
func BucketOf(cfg *config.Config, job *prowv1.ProwJob) string {
	if where := settings(cfg, job); where != nil {
		return where.Bucket
	}
	return ""
}

// DestinationOf tells where the files of a run are; ok is false where no storage
// is configured.
func DestinationOf(cfg *config.Config, job *prowv1.ProwJob) (d Destination, ok bool, err error) {
	where := settings(cfg, job)
	if where == nil || where.Bucket == "" {
		return Destination{}, false, nil
	}
	dir, err := artifacts.PathForSpec(where, artifacts.RunOf(job))
	if err != nil {
		return Destination{}, false, fmt.Errorf("the place of run %s in storage: %w", job.Status.BuildID, err)
	}
	return Destination{Bucket: where.Bucket, Dir: dir}, true, nil
}
