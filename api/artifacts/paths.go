package artifacts

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// The roots of the two histories.
const (
	logsRoot      = "logs"
	pullRoot      = "pr-logs/pull"
	directoryRoot = "pr-logs/directory"
)

// Run identifies one run of a job.
type Run struct {
	Type v1.ProwJobType
	Job  string
	// BuildID may be empty where only the job matters.
	BuildID string
	// Refs are needed for presubmits only.
	Refs *v1.Refs
}

// RunOf is the run that a ProwJob stands for.
func RunOf(pj *v1.ProwJob) Run {
	return Run{Type: pj.Spec.Type, Job: pj.Spec.Job, BuildID: pj.Status.BuildID, Refs: pj.Spec.Refs}
}

// JobBasePath is the directory of a run below the path prefix: under
// "pr-logs/pull" for presubmits and batches, under "logs" for the others.
func JobBasePath(g *v1.GCSConfiguration, run Run) (string, error) {
	switch run.Type {
	case v1.PeriodicJob, v1.PostsubmitJob:
		return path.Join(logsRoot, run.Job, run.BuildID), nil
	case v1.BatchJob:
		return path.Join(pullRoot, "batch", run.Job, run.BuildID), nil
	case v1.PresubmitJob:
		dir, err := pullPath(g, run)
		return path.Join(dir, run.Job, run.BuildID), err
	}
	return "", fmt.Errorf("job %s: no storage path for type %q", run.Job, run.Type)
}

// PathForSpec is the directory of a run in its bucket: the path prefix, then
// JobBasePath.
func PathForSpec(g *v1.GCSConfiguration, run Run) (string, error) {
	base, err := JobBasePath(g, run)
	if err != nil {
		return "", err
	}
	return path.Join(g.PathPrefix, base), nil
}

// HistoryRoot is the directory with the pointers of all runs of a job.
func HistoryRoot(jobType v1.ProwJobType, job string) string {
	if jobType == v1.PresubmitJob || jobType == v1.BatchJob {
		return path.Join(directoryRoot, job)
	}
	return path.Join(logsRoot, job)
}

// LatestBuildPaths are the objects that hold the id of the job's latest build.
// The path prefix does not apply to them.
func LatestBuildPaths(g *v1.GCSConfiguration, run Run) ([]string, error) {
	paths := []string{path.Join(HistoryRoot(run.Type, run.Job), LatestBuildFile)}
	if run.Type == v1.PresubmitJob {
		dir, err := pullPath(g, run)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path.Join(dir, run.Job, LatestBuildFile))
	}
	return paths, nil
}

// AliasPath is the object that leads from a presubmit's job and build id to its
// run; other jobs have none and get "". The path prefix does not apply to it.
func AliasPath(run Run) string {
	if run.Type != v1.PresubmitJob {
		return ""
	}
	return path.Join(directoryRoot, run.Job, run.BuildID+".txt")
}

// AliasMetadataKey is the metadata key of an alias that repeats its content.
const AliasMetadataKey = "x-goog-meta-link"

// AliasContent is what an alias holds: the URL of the directory of the run.
func AliasContent(g *v1.GCSConfiguration, run Run) (string, error) {
	if _, err := v1.ParseStoragePath(g.Bucket); err != nil {
		return "", err
	}
	dir, err := PathForSpec(g, run)
	if err != nil {
		return "", err
	}
	bucket := g.Bucket
	if !strings.Contains(bucket, "://") {
		bucket = "gs://" + bucket
	}
	return strings.TrimSuffix(bucket, "/") + "/" + dir, nil
}

// pullPath is the directory of one pull request.
func pullPath(g *v1.GCSConfiguration, run Run) (string, error) {
	if run.Refs == nil || len(run.Refs.Pulls) == 0 {
		return "", fmt.Errorf("presubmit %s: no pull request in its refs", run.Job)
	}
	segment, err := repoSegment(g, run.Refs.Org, run.Refs.Repo)
	if err != nil {
		return "", err
	}
	return path.Join(pullRoot, segment, strconv.Itoa(run.Refs.Pulls[0].Number)), nil
}

// repoSegment names a repository in a path; what may be left out of it is the
// difference between the strategies.
func repoSegment(g *v1.GCSConfiguration, org, repo string) (string, error) {
	isDefault := org == g.DefaultOrg && repo == g.DefaultRepo
	switch g.PathStrategy {
	case v1.PathStrategyExplicit:
		return fullSegment(org, repo), nil
	case v1.PathStrategySingle:
		if isDefault {
			return "", nil
		}
		return fullSegment(org, repo), nil
	case v1.PathStrategyLegacy:
		if isDefault {
			return "", nil
		}
		if org == g.DefaultOrg {
			// Slashes would add path elements and let two repositories share a directory.
			return strings.ReplaceAll(repo, "/", "_"), nil
		}
		return fullSegment(org, repo), nil
	}
	return "", fmt.Errorf("unknown path_strategy %q", g.PathStrategy)
}

// fullSegment is <org>_<repo>, free of schemes and slashes for Gerrit's sake.
func fullSegment(org, repo string) string {
	org = strings.TrimPrefix(strings.TrimPrefix(org, "https://"), "http://")
	return strings.TrimRight(org, "/") + "_" + strings.ReplaceAll(repo, "/", "_")
}
