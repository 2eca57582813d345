package checkconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
)

// maxStatusFile bounds the file with the state of the build clusters.
const maxStatusFile = 16 << 20

// reachable is the state of a build cluster that works.
const reachable = "Reachable"

func validateClusterField(ctx context.Context, in *input) ([]config.Problem, error) {
	var out []config.Problem
	for _, job := range in.staticJobs() {
		if job.Agent == string(v1.JenkinsAgent) && job.Cluster != "" && job.Cluster != v1.DefaultClusterAlias {
			out = append(out, ofJob(job, "cluster", "found %q, expected none: a job of the agent jenkins runs in no build cluster", job.Cluster))
		}
	}
	states, err := in.clusterStates(ctx)
	if err != nil || states == nil {
		return out, err
	}
	warned := map[string]bool{}
	for _, job := range in.onKubernetes() {
		state, known := states[job.Cluster]
		switch {
		case !known:
			out = append(out, ofJob(job, "cluster", "there is no build cluster %q, expected one of %q", job.Cluster, sortedKeys(states)))
		case state != reachable && !warned[job.Cluster]:
			warned[job.Cluster] = true
			in.report.note("the build cluster %s is in the state %s", job.Cluster, state)
		}
	}
	return out, nil
}

// clusterStates reads the published state of the build clusters; nil where
// there is none to read.
func (in *input) clusterStates(ctx context.Context) (map[string]string, error) {
	path := in.config.Plank.BuildClusterStatusFile
	if path == "" {
		return nil, nil
	}
	i := strings.LastIndex(path, "/")
	if i < 0 || i == len(path)-1 {
		return nil, fmt.Errorf("plank.build_cluster_status_file: found %q, expected a bucket and a path", path)
	}
	if in.env.Storage == nil {
		in.report.note("the state of the build clusters in %s was not read", path)
		return nil, nil
	}
	bucket, err := in.env.Storage.Open(ctx, path[:max(i, 1)])
	if err != nil {
		return nil, fmt.Errorf("plank.build_cluster_status_file: %w", err)
	}
	defer bucket.Close()
	raw, err := storage.ReadAll(ctx, bucket, path[i+1:], maxStatusFile)
	if errors.Is(err, storage.ErrNotExist) {
		in.report.note("the state of the build clusters was not read: %s does not exist", path)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading plank.build_cluster_status_file: %w", err)
	}
	states := map[string]string{}
	if err := json.Unmarshal(raw, &states); err != nil {
		return nil, fmt.Errorf("decoding plank.build_cluster_status_file %s: %w", path, err)
	}
	return states, nil
}
