package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
)

// ContextPolicy is the policy of one branch, with every context that some
// job or the branch protection brings, ready to judge contexts. Lists are sorted.
type ContextPolicy struct {
	TideContextPolicy

	optional []*regexp.Regexp
}

// ContextPolicy merges the levels of context_options for a branch, adds the
// contexts the branch protection requires where from-branch-protection asks
// for it, and classifies the presubmits of the repository (static and in-repo,
// which the caller has). An error tells that the result contradicts itself.
func (c *Config) ContextPolicy(org, repo, branch string, presubmits []Presubmit) (*ContextPolicy, error) {
	merged := c.Tide.ContextOptions.merge(org, repo, branch)
	var manualRequired bool
	if isTrue(merged.FromBranchProtection) {
		// A policy that cannot be had leaves the rest in force.
		if policy, err := c.BranchPolicy(org, repo, branch, presubmits); err == nil && policy != nil {
			manualRequired = isTrue(policy.RequireManuallyTriggeredJobs)
			if isTrue(policy.Protect) && policy.RequiredStatusChecks != nil {
				merged.RequiredContexts = union(merged.RequiredContexts, policy.RequiredStatusChecks.Contexts)
			}
		}
	}
	required, ifPresent, optional := BranchRequirements(branch, presubmits, manualRequired)
	merged.RequiredContexts = union(merged.RequiredContexts, required)
	merged.RequiredIfPresentContexts = union(merged.RequiredIfPresentContexts, ifPresent)
	merged.OptionalContexts = union(merged.OptionalContexts, optional)
	return merged.build()
}

// RequireManuallyTriggeredJobs tells whether a merge to the branch needs the
// required jobs that only run on request. It counts only where
// from-branch-protection is on.
func (c *Config) RequireManuallyTriggeredJobs(org, repo, branch string, presubmits []Presubmit) bool {
	if !isTrue(c.Tide.ContextOptions.merge(org, repo, branch).FromBranchProtection) {
		return false
	}
	policy, err := c.BranchPolicy(org, repo, branch, presubmits)
	return err == nil && policy != nil && isTrue(policy.RequireManuallyTriggeredJobs)
}

// BranchRequirements classifies the contexts of the presubmits of a branch:
// those a merge needs, those it needs where they exist, and those that do not matter.
func BranchRequirements(branch string, presubmits []Presubmit, manualRequired bool) (required, requiredIfPresent, optional []string) {
	for i := range presubmits {
		p := &presubmits[i]
		switch {
		case !p.ShouldRunAtBranch(branch):
		case !p.ContextRequired():
			optional = append(optional, p.Context)
		case manualRequired && p.NeedsExplicitTrigger():
			required = append(required, p.Context)
		case p.TriggersConditionally():
			requiredIfPresent = append(requiredIfPresent, p.Context)
		default:
			required = append(required, p.Context)
		}
	}
	return required, requiredIfPresent, optional
}

func (o *TideContextPolicyOptions) merge(org, repo, branch string) TideContextPolicy {
	out := mergeContextPolicy(TideContextPolicy{}, o.TideContextPolicy)
	ofOrg, ok := o.Orgs[org]
	if !ok {
		return out
	}
	out = mergeContextPolicy(out, ofOrg.TideContextPolicy)
	ofRepo, ok := ofOrg.Repos[repo]
	if !ok {
		return out
	}
	out = mergeContextPolicy(out, ofRepo.TideContextPolicy)
	if ofBranch, ok := ofRepo.Branches[branch]; ok {
		out = mergeContextPolicy(out, ofBranch)
	}
	return out
}

func mergeContextPolicy(parent, child TideContextPolicy) TideContextPolicy {
	return TideContextPolicy{
		SkipUnknownContexts:       childOr(parent.SkipUnknownContexts, child.SkipUnknownContexts),
		FromBranchProtection:      childOr(parent.FromBranchProtection, child.FromBranchProtection),
		OverwritePendingContexts:  childOr(parent.OverwritePendingContexts, child.OverwritePendingContexts),
		RequiredContexts:          union(parent.RequiredContexts, child.RequiredContexts),
		RequiredIfPresentContexts: union(parent.RequiredIfPresentContexts, child.RequiredIfPresentContexts),
		OptionalContexts:          union(parent.OptionalContexts, child.OptionalContexts),
		OptionalRegexContexts:     union(parent.OptionalRegexContexts, child.OptionalRegexContexts),
	}
}

// build checks that the policy does not contradict itself.
func (p TideContextPolicy) build() (*ContextPolicy, error) {
	var errs []error
	clash := func(a, b []string, nameA, nameB string) {
		if both := sets.New(a...).Intersection(sets.New(b...)); len(both) > 0 {
			errs = append(errs, fmt.Errorf("contexts %q are both %s and %s", sets.List(both), nameA, nameB))
		}
	}
	clash(p.RequiredContexts, p.OptionalContexts, "required", "optional")
	clash(p.RequiredContexts, p.RequiredIfPresentContexts, "required", "required if present")
	clash(p.OptionalContexts, p.RequiredIfPresentContexts, "optional", "required if present")
	out := &ContextPolicy{TideContextPolicy: p}
	for _, expr := range p.OptionalRegexContexts {
		re, err := regexp.Compile(expr)
		if err != nil {
			errs = append(errs, fmt.Errorf("optional-regex-contexts: %w", err))
			continue
		}
		out.optional = append(out.optional, re)
		for _, context := range slices.Concat(p.RequiredContexts, p.RequiredIfPresentContexts) {
			if re.MatchString(context) {
				errs = append(errs, fmt.Errorf("context %q is required but matches the optional expression %q", context, expr))
			}
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("context policy: %w", errors.Join(errs...))
	}
	return out, nil
}

// IsOptional tells whether a context may fail without harm.
func (p *ContextPolicy) IsOptional(context string) bool {
	if slices.Contains(p.OptionalContexts, context) ||
		slices.ContainsFunc(p.optional, func(re *regexp.Regexp) bool { return re.MatchString(context) }) {
		return true
	}
	if slices.Contains(p.RequiredContexts, context) || slices.Contains(p.RequiredIfPresentContexts, context) {
		return false
	}
	return isTrue(p.SkipUnknownContexts)
}

// MissingRequiredContexts returns the required contexts that are not among the
// present ones, sorted.
func (p *ContextPolicy) MissingRequiredContexts(present []string) []string {
	return sets.List(sets.New(p.RequiredContexts...).Difference(sets.New(present...)))
}

// Overwrites tells whether Tide may set its own context although it is pending.
func (p *ContextPolicy) Overwrites() bool { return isTrue(p.OverwritePendingContexts) }

func isTrue(b *bool) bool { return b != nil && *b }

// childOr returns the child's value where it is set.
func childOr[T any](parent, child *T) *T {
	if child != nil {
		return child
	}
	return parent
}

// union returns the sorted union; nil lists leave the other as it is.
func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 && slices.IsSorted(b) {
		return b
	}
	return sets.List(sets.New(a...).Insert(b...))
}
