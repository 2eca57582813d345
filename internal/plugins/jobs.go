package plugins

import (
	"context"

	"prow/internal/config"
)

// JobSource answers which jobs a repository has. baseSHA is the commit of the
// base branch; heads are the commits of the changes merged into it, in order.
// Implementations are safe for concurrent use and cache by content.
type JobSource interface {
	Presubmits(ctx context.Context, org, repo, baseBranch, baseSHA string, heads ...string) ([]config.Presubmit, error)
	Postsubmits(ctx context.Context, org, repo, branch, sha string) ([]config.Postsubmit, error)
}
