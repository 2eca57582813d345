package tide

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
)

// Names of the indexes of ProwJobs.
const (
	// indexPool finds the presubmits and batches of a base commit.
	indexPool = "tide-pool"
	// indexBranch finds the presubmits and batches of a branch on any base.
	indexBranch = "tide-branch"
	// indexLiveBatch finds batches that run or passed, by job, base and members.
	indexLiveBatch = "tide-live-batch"
	// indexPassing finds the passed runs of a head on a base.
	indexPassing = "tide-passing"
	// indexRetest finds the presubmits that this component started, by pull request.
	indexRetest = "tide-retest"
	// indexHead finds the presubmits of a head, on whatever base.
	indexHead = "tide-head"
)

// Indexes are the indexes the reader of ProwJobs must have, by name.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		indexPool:      byJob(poolKeys),
		indexBranch:    byJob(branchKeys),
		indexLiveBatch: byJob(liveBatchKeys),
		indexPassing:   byJob(passingKeys),
		indexRetest:    byJob(retestKeys),
		indexHead:      byJob(headKeys),
	}
}

// AddIndexes registers the indexes.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for name, f := range Indexes() {
		if err := indexer.IndexField(ctx, &prowv1.ProwJob{}, name, f); err != nil {
			return fmt.Errorf("index ProwJobs as %s: %w", name, err)
		}
	}
	return nil
}

func byJob(f func(*prowv1.ProwJob) []string) client.IndexerFunc {
	return func(o client.Object) []string {
		job, ok := o.(*prowv1.ProwJob)
		if !ok || job.Spec.Refs == nil || job.Spec.Type != prowv1.PresubmitJob && job.Spec.Type != prowv1.BatchJob {
			return nil
		}
		return f(job)
	}
}

func poolKeys(job *prowv1.ProwJob) []string {
	r := job.Spec.Refs
	return []string{poolJobsKey(r.Org, r.Repo, r.BaseRef, r.BaseSHA)}
}

func branchKeys(job *prowv1.ProwJob) []string {
	r := job.Spec.Refs
	return []string{poolKey(r.Org, r.Repo, r.BaseRef)}
}

func poolJobsKey(org, repo, branch, sha string) string { return poolKey(org, repo, branch) + "@" + sha }

// unfailed tells whether a batch runs or passed; one that is being aborted does not
// run any more.
func unfailed(job *prowv1.ProwJob) bool {
	return !job.Complete() && job.Status.State != prowv1.AbortedState || job.Status.State == prowv1.SuccessState
}

func liveBatchKeys(job *prowv1.ProwJob) []string {
	if job.Spec.Type != prowv1.BatchJob || !unfailed(job) {
		return nil
	}
	return []string{liveBatchKey(job.Spec.Job, *job.Spec.Refs)}
}

func liveBatchKey(job string, r prowv1.Refs) string {
	parts := []string{job, r.Org, r.Repo, r.BaseRef, r.BaseSHA}
	for _, p := range slices.SortedFunc(slices.Values(r.Pulls), func(a, b prowv1.Pull) int { return cmp.Compare(a.Number, b.Number) }) {
		parts = append(parts, fmt.Sprint(p.Number), p.SHA)
	}
	return strings.Join(parts, "|")
}

func passingKeys(job *prowv1.ProwJob) []string {
	if job.Status.State != prowv1.SuccessState {
		return nil
	}
	var keys []string
	for _, p := range job.Spec.Refs.Pulls {
		keys = append(keys, passingKey(job.Spec.Refs.Org, job.Spec.Refs.Repo, job.Spec.Refs.BaseSHA, p.SHA))
	}
	return keys
}

func passingKey(org, repo, baseSHA, headSHA string) string {
	return org + "/" + repo + "@" + baseSHA + "+" + headSHA
}

func retestKeys(job *prowv1.ProwJob) []string {
	r := job.Spec.Refs
	if job.Spec.Type != prowv1.PresubmitJob || job.Labels[prowv1.CreatedByTideLabel] != "true" || len(r.Pulls) != 1 {
		return nil
	}
	return []string{retestKey(r.Org, r.Repo, r.BaseRef, r.Pulls[0].Number, r.Pulls[0].SHA)}
}

func retestKey(org, repo, branch string, number int, sha string) string {
	return fmt.Sprintf("%s#%d@%s", poolKey(org, repo, branch), number, sha)
}

func headKeys(job *prowv1.ProwJob) []string {
	r := job.Spec.Refs
	if job.Spec.Type != prowv1.PresubmitJob || len(r.Pulls) != 1 {
		return nil
	}
	return []string{headKey(r.Org, r.Repo, r.Pulls[0].Number, r.Pulls[0].SHA)}
}

func headKey(org, repo string, number int, sha string) string {
	return prKey(org, repo, number) + "@" + sha
}

// jobs lists ProwJobs by an index, by name so that equal clusters give equal lists.
func jobs(ctx context.Context, r client.Reader, namespace, index, key string) ([]prowv1.ProwJob, error) {
	var list prowv1.ProwJobList
	if err := r.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: key}); err != nil {
		return nil, fmt.Errorf("list ProwJobs by %s: %w", index, err)
	}
	slices.SortFunc(list.Items, func(a, b prowv1.ProwJob) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}
