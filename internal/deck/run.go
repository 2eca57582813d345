package deck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
)

const (
	// maxMetadata bounds the files about a run that are read, in bytes.
	maxMetadata = 4 << 20
	// storageTimeout bounds what storage may hold a page up.
	storageTimeout = 10 * time.Second
)

// run is one run of a job: what the cluster knows, where its files are, or both.
type run struct {
	job, build string
	// pj is nil when the cluster has forgotten the run.
	pj *v1.ProwJob
	// place is its directory; nil when it has none that may be shown.
	place *place
	// repo and pull come from the path.
	repo, pull string
}

// runOf is the run of a ProwJob that may be seen.
func (s *server) runOf(pj *v1.ProwJob) run {
	out := run{job: pj.Spec.Job, build: pj.Status.BuildID, pj: pj}
	if where, err := s.placeOf(pj); err == nil {
		out.place = where
	}
	return out
}

// placeOf is the directory where a job stores its files. It follows from the
// ProwJob, whose author may be anyone: the bucket is checked as if it were requested.
func (s *server) placeOf(pj *v1.ProwJob) (*place, error) {
	cfg := s.config.Get()
	decoration := pj.Spec.DecorationConfig
	if decoration == nil || decoration.GCSConfiguration == nil {
		repo := ""
		if refs := pj.Spec.MainRefs(); refs != nil {
			repo = refs.OrgRepoString()
		}
		decoration = cfg.Plank.DecorationDefault(repo, pj.ClusterAlias())
	}
	if decoration == nil || decoration.GCSConfiguration == nil || pj.Status.BuildID == "" {
		return nil, errNoLog
	}
	gcs := decoration.GCSConfiguration
	dir, err := artifacts.PathForSpec(gcs, artifacts.RunOf(pj))
	if err != nil {
		return nil, err
	}
	where, err := storage.ParseLocation(gcs.Bucket)
	if err != nil {
		return nil, err
	}
	if where.Prefix != "" {
		dir = where.Prefix + "/" + dir
	}
	out, err := parsePlace(cfg, where.Provider+"/"+strings.Trim(where.Bucket, "/")+"/"+dir)
	return &out, err
}

// resolve finds the run that a path names. rest is what the path says beyond its directory.
func (s *server) resolve(ctx context.Context, path string) (out run, rest string, err error) {
	cfg := s.config.Get()
	where, err := parsePlace(cfg, path)
	if err != nil {
		return run{}, "", err
	}
	dir, err := parseRunDir(where.key)
	if err != nil {
		if dir, err = s.findRunDir(ctx, where); err != nil {
			return run{}, "", err
		}
	}
	where.key = dir.dir
	out = run{job: dir.job, build: dir.build, place: &where, repo: dir.repo, pull: dir.pull}
	if pj := s.index.run(dir.job, dir.build); pj != nil {
		out.pj = pj
		if !s.canSee(pj) {
			return run{}, "", errNoLog
		}
		// A run of another repository may have the same job and build by intention:
		// what is in this directory is only shown as this job's if it is.
		if own, err := s.placeOf(pj); err == nil && *own != where {
			out.pj = nil
		}
	}
	if out.pj == nil && !s.seesForgotten(ctx, cfg, &out) {
		return run{}, "", errNoLog
	}
	return out, dir.rest, nil
}

// seesForgotten tells whether a run may be seen that the cluster has forgotten: as
// its own files say, and as the configuration says about jobs of its name.
func (s *server) seesForgotten(ctx context.Context, cfg *config.Config, r *run) bool {
	if s.visible.showHidden {
		return true
	}
	var stored v1.ProwJob
	if err := s.readJSON(ctx, r.place.at(r.place.key+"/"+artifacts.ProwJobFile), &stored); err == nil && stored.Spec.Job != "" {
		return s.canSee(&stored)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// What cannot be told is not shown where anything is hidden.
		s.log.InfoContext(ctx, "the ProwJob in storage cannot be read", "place", r.place.path(), "error", err)
	}
	if s.hiddenByName(cfg, r.job) {
		return false
	}
	var started artifacts.Started
	_ = s.readJSON(ctx, r.place.at(r.place.key+"/"+artifacts.StartedFile), &started)
	pj := v1.ProwJob{Spec: v1.ProwJobSpec{Job: r.job}}
	for full := range started.Repos {
		if org, repo := splitRepo(full); repo != "" {
			pj.Spec.ExtraRefs = append(pj.Spec.ExtraRefs, v1.Refs{Org: org, Repo: repo})
		}
	}
	for _, hidden := range cfg.Deck.HiddenRepos {
		// The path has org and repo as one word.
		if word := strings.ReplaceAll(hidden, "/", "_"); r.repo == word || strings.HasPrefix(r.repo, word+"_") {
			pj.Spec.Hidden = true
		}
	}
	return s.canSee(&pj)
}

func splitRepo(full string) (org, repo string) {
	i := strings.LastIndexByte(full, '/')
	if i < 0 {
		return full, ""
	}
	return full[:i], full[i+1:]
}

// open opens the bucket of a place; the caller closes it.
func (s *server) open(ctx context.Context, p place) (storage.Bucket, error) {
	return s.storage.Open(ctx, p.bucketURL())
}

func (s *server) readJSON(ctx context.Context, p place, into any) error {
	bucket, err := s.open(ctx, p)
	if err != nil {
		return err
	}
	defer bucket.Close() //nolint:errcheck // only read
	body, err := storage.ReadAll(ctx, bucket, p.key, maxMetadata)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s: %w", p.key, err)
	}
	return nil
}
