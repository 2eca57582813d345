package config

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
)

// merge inherits: switches and numbers of the child win where set, lists are
// united, objects are merged field by field.
func (p Policy) merge(child Policy) Policy {
	return Policy{
		Unmanaged:                    childOr(p.Unmanaged, child.Unmanaged),
		Protect:                      childOr(p.Protect, child.Protect),
		EnforceAdmins:                childOr(p.EnforceAdmins, child.EnforceAdmins),
		RequireManuallyTriggeredJobs: childOr(p.RequireManuallyTriggeredJobs, child.RequireManuallyTriggeredJobs),
		RequiredLinearHistory:        childOr(p.RequiredLinearHistory, child.RequiredLinearHistory),
		AllowForcePushes:             childOr(p.AllowForcePushes, child.AllowForcePushes),
		AllowDeletions:               childOr(p.AllowDeletions, child.AllowDeletions),
		RequireSignedCommits:         childOr(p.RequireSignedCommits, child.RequireSignedCommits),
		RequiredStatusChecks:         mergeObjects(p.RequiredStatusChecks, child.RequiredStatusChecks, mergeContexts),
		Restrictions:                 mergeObjects(p.Restrictions, child.Restrictions, mergeRestrictions),
		RequiredPullRequestReviews:   mergeObjects(p.RequiredPullRequestReviews, child.RequiredPullRequestReviews, mergeReviews),
		Include:                      unionOrNil(p.Include, child.Include),
		Exclude:                      unionOrNil(p.Exclude, child.Exclude),
	}
}

func mergeObjects[T any](parent, child *T, merge func(parent, child T) T) *T {
	switch {
	case child == nil:
		return parent
	case parent == nil:
		return child
	}
	merged := merge(*parent, *child)
	return &merged
}

func mergeContexts(p, c StatusChecks) StatusChecks {
	return StatusChecks{Contexts: unionOrNil(p.Contexts, c.Contexts), Strict: childOr(p.Strict, c.Strict)}
}

func mergeRestrictions(p, c Restrictions) Restrictions {
	return Restrictions{
		Apps:  unionOrNil(p.Apps, c.Apps),
		Users: unionOrNil(p.Users, c.Users),
		Teams: unionOrNil(p.Teams, c.Teams),
	}
}

func mergeReviews(p, c ReviewPolicy) ReviewPolicy {
	return ReviewPolicy{
		DismissalRestrictions: mergeObjects(p.DismissalRestrictions, c.DismissalRestrictions, func(p, c DismissalRestrictions) DismissalRestrictions {
			return DismissalRestrictions{mergeObjects(p.Users, c.Users, unionOrNil), mergeObjects(p.Teams, c.Teams, unionOrNil)}
		}),
		BypassRestrictions: mergeObjects(p.BypassRestrictions, c.BypassRestrictions, func(p, c BypassRestrictions) BypassRestrictions {
			return BypassRestrictions{mergeObjects(p.Users, c.Users, unionOrNil), mergeObjects(p.Teams, c.Teams, unionOrNil)}
		}),
		DismissStale:  childOr(p.DismissStale, c.DismissStale),
		RequireOwners: childOr(p.RequireOwners, c.RequireOwners),
		Approvals:     childOr(p.Approvals, c.Approvals),
	}
}

// unionOrNil unites two lists; a null on one side leaves the other unchanged.
func unionOrNil(a, b []string) []string {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// GetOrg returns the policy of an org with what it inherits.
func (bp *BranchProtection) GetOrg(org string) BranchProtectionOrg {
	out := bp.Orgs[org]
	out.Policy = bp.Policy.merge(out.Policy)
	return out
}

// GetRepo returns the policy of a repository with what it inherits.
func (o BranchProtectionOrg) GetRepo(repo string) BranchProtectionRepo {
	out := o.Repos[repo]
	out.Policy = o.Policy.merge(out.Policy)
	return out
}

// GetBranch returns the policy of a branch with what it inherits. A branch
// that has an entry must end up with protect set or unmanaged.
func (r BranchProtectionRepo) GetBranch(branch string) (BranchProtectionBranch, error) {
	out, configured := r.Branches[branch]
	out.Policy = r.Policy.merge(out.Policy)
	if configured && out.Protect == nil && !isTrue(out.Unmanaged) {
		return out, fmt.Errorf("branch %s: protect must be set, or unmanaged be true", branch)
	}
	return out, nil
}

// defined tells whether a policy says anything.
func (p Policy) defined() bool { return !equality.Semantic.DeepEqual(p, Policy{}) }

// BranchPolicy returns the effective protection of a branch given the
// presubmits of its repository; nil where there is none.
func (c *Config) BranchPolicy(org, repo, branch string, presubmits []Presubmit) (*Policy, error) {
	bp := &c.BranchProtection
	if _, ok := bp.Orgs[org]; !ok {
		return nil, nil
	}
	b, err := bp.GetOrg(org).GetRepo(repo).GetBranch(branch)
	if err != nil {
		return nil, fmt.Errorf("branch-protection of %s/%s: %w", org, repo, err)
	}
	policy := b.Policy

	required, ifPresent, optional := BranchRequirements(branch, presubmits, isTrue(policy.RequireManuallyTriggeredJobs))
	managed := len(required) > 0 || isTrue(bp.ProtectReposWithOptionalJobs) && len(ifPresent)+len(optional) > 0
	if managed {
		if policy.Protect != nil && !*policy.Protect {
			if isTrue(bp.AllowDisabledJobPolicies) {
				return nil, nil
			}
			return nil, fmt.Errorf("branch-protection of %s/%s: branch %s has protect: false, but required jobs need it", org, repo, branch)
		}
		if len(required) > 0 {
			policy = policy.merge(Policy{RequiredStatusChecks: &StatusChecks{Contexts: required}})
		}
		if isTrue(bp.ProtectTestedRepos) {
			protect := true
			policy.Protect = &protect
		}
	}
	if policy.Protect != nil && !*policy.Protect {
		rest := policy
		rest.Protect, rest.Unmanaged, rest.Include, rest.Exclude = nil, nil, nil, nil
		if rest.defined() && !isTrue(bp.AllowDisabledPolicies) {
			return nil, fmt.Errorf("branch-protection of %s/%s: branch %s has settings although protect is false", org, repo, branch)
		}
	}
	if !policy.defined() {
		return nil, nil
	}
	return &policy, nil
}
