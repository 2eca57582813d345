package checkconfig

import (
	"context"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

// set says when a check runs.
type set string

const (
	// byDefault checks run unless they are switched off.
	byDefault set = "default"
	// expensive checks ask a forge about every repository.
	expensive set = "expensive"
	// optional checks run where they are asked for.
	optional set = "optional"
)

// check is a line of the table.
type check struct {
	name string
	set  set
	// finds is the documentation in one line.
	finds string
	// needsPlugins tells that the check runs only with a plugin configuration.
	needsPlugins bool
	// replaces names a check that finds a part of what this one does.
	replaces string
	// formerly is an older spelling of the name.
	formerly string

	// judge decides from what is loaded; it is pure.
	judge func(*input) []config.Problem
	// ask is judge for checks that need more than files. An error is fatal.
	ask func(context.Context, *input) ([]config.Problem, error)
}

// appInstallation is switched on by the flags of the app.
const appInstallation = "validate-github-app-installation"

// Names of checks that the load looks at.
const (
	unknownFields    = "unknown-fields"
	unknownFieldsAll = "unknown-fields-all"
	duplicateKeys    = "duplicate-keys"
)

// rerunCommands names findings that cannot be switched off.
const rerunCommands = "allowed-presubmit-trigger"

// checks is the table.
var checks = []check{
	{name: "mismatched-tide", set: byDefault, needsPlugins: true, replaces: "mismatched-tide-lenient",
		finds: "labels that Tide asks for or forbids and no plugin sets, and the reverse", judge: mismatchedTide},
	{name: "mismatched-tide-lenient", set: byDefault, needsPlugins: true,
		finds: "the same for labels that Tide asks for", judge: mismatchedTideLenient},
	{name: "tide-strict-branch", set: byDefault,
		finds: "branches that must be up to date although Tide merges to them", judge: tideStrictBranch},
	{name: "tide-context-policy", set: byDefault,
		finds: "branches whose required and optional contexts contradict each other", judge: tideContextPolicy},
	{name: "non-decorated-jobs", set: byDefault,
		finds: "jobs without pod utilities", judge: nonDecoratedJobs},
	{name: "valid-decoration-config", set: optional,
		finds: "jobs whose pod utilities are not configured well", judge: validDecorationConfig},
	{name: "long-job-names", set: byDefault,
		finds: "names of jobs of more than 63 bytes", judge: longJobNames},
	{name: "duplicate-job-refs", set: byDefault,
		finds: "presubmits that clone a repository twice", judge: duplicateJobRefs},
	{name: "periodic-default-clone-config", set: byDefault,
		finds: "clone settings of periodics that have no effect", judge: periodicCloneConfig},
	{name: "needs-ok-to-test", set: byDefault,
		finds: "Tide queries that ask for lgtm and forbid needs-ok-to-test", judge: needsOkToTest},
	{name: "managed-webhooks", set: byDefault,
		finds: "webhooks of an org and of one of its repositories", judge: managedWebhooks},
	{name: "validate-owners", set: byDefault, needsPlugins: true,
		finds: "plugins that use OWNERS without verify-owners", judge: validateOwners},
	{name: "verify-owners-presence", set: expensive, needsPlugins: true,
		finds: "repositories of those plugins that have no OWNERS", ask: verifyOwnersPresence},
	{name: "missing-trigger", set: byDefault, needsPlugins: true,
		finds: "repositories with jobs and without the plugin trigger", judge: missingTrigger},
	{name: "validate-urls", set: byDefault,
		finds: "a status_error_link that is not a URL", judge: validateURLs},
	{name: unknownFields, set: byDefault,
		finds: "unknown keys in the main file and in the plugin file", judge: unknownFieldsOfMain},
	{name: unknownFieldsAll, set: optional, replaces: unknownFields,
		finds: "unknown keys in all files", judge: unknownFieldsOfAll},
	{name: duplicateKeys, set: optional,
		finds: "keys that stand twice in a map, of which only the last counts", judge: findDuplicateKeys},
	{name: "validate-cluster-field", set: byDefault,
		finds: "clusters that are not known", ask: validateClusterField},
	{name: "validate-supplemental-prow-config-hierarchy", formerly: "validate-supplemental-prow-config-hirarchy", set: byDefault,
		finds: "supplemental files in the directory of another org or repository", judge: validateHierarchy},
	{name: "validate-unmanaged-branchconfig-has-no-subconfig", set: byDefault,
		finds: "branch protection that is configured and not managed", judge: unmanagedBranches},
	{name: "validate-label", set: byDefault, needsPlugins: true,
		finds: "restricted labels without name, or that everybody may set", judge: validateLabel},
	{name: "validate-config-updater-acls", set: byDefault, needsPlugins: true,
		finds: "allowed and denied repositories that are none", judge: validateACLs},
	{name: "required-job-annotations", set: byDefault,
		finds: "jobs without an annotation of --required-job-annotations", judge: requiredAnnotations},
	{name: appInstallation, set: optional,
		finds: "orgs in which the GitHub app is not installed", ask: appIsInstalled},
}

// input is what checks judge.
type input struct {
	options *Options
	config  *config.Config
	// plugins is nil where there is no plugin configuration.
	plugins *pluginconfig.Configuration
	// files are the main file and its supplemental files; pluginFiles those of
	// the plugin configuration.
	files, pluginFiles files
	// report takes notes.
	report *Report
	env    Env

	// strict is set where a check needs it.
	strict *strictLoad
}
