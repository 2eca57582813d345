package config

import (
	"maps"
	"slices"
	"strings"
)

// mergeShard adds a shard of the main configuration. A shard may say
// something about branch protection, Slack and two fields of Tide; what it
// says must not be said elsewhere, except queries, which add up.
func (c *ProwConfig) mergeShard(shard *ProwConfig, report fieldReporter) {
	if extra := shard.unshardable(); len(extra) > 0 {
		report("", "found %s; a supplemental file may only set branch-protection, slack_reporter_configs, tide.merge_method and tide.queries",
			strings.Join(extra, ", "))
	}
	c.BranchProtection.mergeShard(&shard.BranchProtection, report)
	c.Tide.Queries = append(c.Tide.Queries, shard.Tide.Queries...)
	shardKeys(&c.Tide.MergeType, shard.Tide.MergeType, "tide.merge_method", report)
	shardKeys(&c.SlackReporterConfigs, shard.SlackReporterConfigs, "slack_reporter_configs", report)
}

func (bp *BranchProtection) mergeShard(shard *BranchProtection, report fieldReporter) {
	const field = "branch-protection"
	mergeOnce(&bp.ProtectTestedRepos, shard.ProtectTestedRepos, field+".protect-tested-repos", report)
	mergeOnce(&bp.AllowDisabledPolicies, shard.AllowDisabledPolicies, field+".allow_disabled_policies", report)
	mergeOnce(&bp.AllowDisabledJobPolicies, shard.AllowDisabledJobPolicies, field+".allow_disabled_job_policies", report)
	mergeOnce(&bp.ProtectReposWithOptionalJobs, shard.ProtectReposWithOptionalJobs, field+".protect_repos_with_optional_jobs", report)
	mergePolicy(&bp.Policy, shard.Policy, field, report)
	mergeNodes(&bp.Orgs, shard.Orgs, field+".orgs", func(into *BranchProtectionOrg, from BranchProtectionOrg, field string) {
		mergePolicy(&into.Policy, from.Policy, field, report)
		mergeNodes(&into.Repos, from.Repos, field+".repos", func(into *BranchProtectionRepo, from BranchProtectionRepo, field string) {
			mergePolicy(&into.Policy, from.Policy, field, report)
			mergeNodes(&into.Branches, from.Branches, field+".branches", func(into *BranchProtectionBranch, from BranchProtectionBranch, field string) {
				mergePolicy(&into.Policy, from.Policy, field, report)
			})
		})
	})
}

func mergeOnce[T any](into **T, from *T, field string, report fieldReporter) {
	switch {
	case from == nil:
	case *into != nil:
		report(field, "set in another file as well")
	default:
		*into = from
	}
}

func mergePolicy(into *Policy, from Policy, field string, report fieldReporter) {
	switch {
	case !from.defined():
	case into.defined():
		report(field, "the policy is set in another file as well")
	default:
		*into = from
	}
}

func mergeNodes[T any](into *map[string]T, from map[string]T, field string, merge func(into *T, from T, field string)) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if *into == nil {
			*into = map[string]T{}
		}
		node := (*into)[key]
		merge(&node, from[key], field+"."+key)
		(*into)[key] = node
	}
}
