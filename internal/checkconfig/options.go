package checkconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/storage/providers"
)

// The forms of the report.
const (
	outputText = "text"
	outputJSON = "json"
)

// Options are the settings of checkconfig.
type Options struct {
	Config  config.Options
	Plugins pluginconfig.Options
	GitHub  github.Flags
	// Storage is for the state file of the build clusters.
	Storage providers.Credentials

	// ProwYAMLRepoName is the repository whose own jobs are checked.
	ProwYAMLRepoName string
	// ProwYAMLPath lies in the root of its files; empty is the current directory.
	ProwYAMLPath string
	// Warnings are the checks to run; empty is the default set.
	Warnings []string
	// ExcludeWarnings are left out.
	ExcludeWarnings []string
	// IncludeDefaultWarnings adds the default set to Warnings.
	IncludeDefaultWarnings bool
	// ExpensiveChecks replaces the default set by all checks.
	ExpensiveChecks bool
	// RequiredJobAnnotations must be on every job.
	RequiredJobAnnotations []string
	// Strict makes findings fatal.
	Strict bool
	// Output is text or json.
	Output string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Bind(fs)
	o.GitHub.HourlyTokens, o.GitHub.AllowedBurst = 3000, 100
	o.GitHub.Bind(fs)
	o.Storage.Bind(fs)

	fs.StringVar(&o.ProwYAMLRepoName, "prow-yaml-repo-name", "", "Repository, as org/repo, whose own jobs are to be checked.")
	fs.StringVar(&o.ProwYAMLPath, "prow-yaml-path", "", "Path of that repository's .prow.yaml; .prow is looked for beside it. Default: in the current directory.")
	fs.StringArrayVar(&o.Warnings, "warnings", nil, "Check to run instead of the default ones. May be repeated. The names are below.")
	fs.StringArrayVar(&o.ExcludeWarnings, "exclude-warning", nil, "Check to leave out. May be repeated.")
	fs.BoolVar(&o.IncludeDefaultWarnings, "include-default-warnings", false, "Run the default checks beside those of --warnings.")
	fs.BoolVar(&o.ExpensiveChecks, "expensive-checks", false, "Where the default checks would run, run all.")
	fs.StringArrayVar(&o.RequiredJobAnnotations, "required-job-annotations", nil, "Annotation that every job must have. May be repeated.")
	fs.BoolVar(&o.Strict, "strict", false, "Exit with 1 if there is any warning.")
	fs.StringVarP(&o.Output, "output", "o", outputText, "Form of the report: text or json.")

	accepted := func(name, usage string) {
		if fs.Lookup(name) == nil {
			fs.String(name, "", usage+" Accepted, and of no effect here.")
		}
	}
	accepted("git-signing-key-path", "Key that signs commits.")
	accepted("in-repo-config-cache-size", "Entries in the cache of in-repo configuration.")
	accepted("cache-dir-base", "Directory for mirrors.")
	accepted("moonraker-address", "Address of the service that reads in-repo configuration.")
}

// Validate completes and checks the settings; it reports all problems at once.
func (o *Options) Validate() error {
	o.Plugins.CheckNames = true
	errs := []error{o.Config.Validate(), o.GitHub.Validate()}
	if o.ProwYAMLPath != "" && o.ProwYAMLRepoName == "" {
		errs = append(errs, errors.New("--prow-yaml-path needs --prow-yaml-repo-name"))
	}
	for _, name := range o.Warnings {
		if _, known := lookup(name); !known {
			errs = append(errs, fmt.Errorf("--warnings=%s: there is no such check; the checks are %s", name, strings.Join(names(), ", ")))
		}
	}
	if o.Output != outputText && o.Output != outputJSON {
		errs = append(errs, fmt.Errorf("--output=%s: expected %s or %s", o.Output, outputText, outputJSON))
	}
	return errors.Join(errs...)
}

// enabled are the names of the checks to run.
func (o *Options) enabled() map[string]bool {
	on := map[string]bool{}
	for _, name := range o.Warnings {
		if c, known := lookup(name); known {
			on[c.name] = true
		}
	}
	if len(o.Warnings) == 0 || o.IncludeDefaultWarnings {
		for _, c := range checks {
			if c.set == byDefault || o.ExpensiveChecks {
				on[c.name] = true
			}
		}
	}
	if o.GitHub.AppID != "" && o.GitHub.AppKeyPath != "" {
		on[appInstallation] = true
	}
	for _, name := range o.ExcludeWarnings {
		if c, known := lookup(name); known {
			delete(on, c.name)
		}
	}
	for _, c := range checks {
		if on[c.name] && c.replaces != "" {
			delete(on, c.replaces)
		}
	}
	return on
}

// names are the names of all checks, in the order of the table.
func names() []string {
	out := make([]string, len(checks))
	for i, c := range checks {
		out[i] = c.name
	}
	return out
}

// lookup finds a check by its name, or by an older one.
func lookup(name string) (check, bool) {
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name || c.formerly != "" && c.formerly == name })
	if i < 0 {
		return check{}, false
	}
	return checks[i], true
}
