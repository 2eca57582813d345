package checkconfig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/storage"
)

// Env is what a run uses of the world, beside files and GitHub.
type Env struct {
	// Stdout takes the report, Stderr notes and logs.
	Stdout, Stderr io.Writer
	// Storage opens the bucket of the state file of the build clusters; nil
	// leaves that file unread.
	Storage *storage.Opener
}

// Run judges the configuration and writes the report. The error tells what is
// wrong with what could not be loaded, or that there are findings and they count.
func Run(ctx context.Context, env Env, o *Options) error {
	report := &Report{}
	err := judge(ctx, env, o, report)
	report.sort()
	report.Errors = problemsOf(err)
	if err == nil && o.Strict && len(report.Findings) > 0 {
		err = fmt.Errorf("%s, and --strict is given", counted(len(report.Findings), "warning"))
	}
	report.Passed = err == nil
	if o.Output == outputJSON {
		return errors.Join(err, report.writeJSON(env.Stdout))
	}
	return errors.Join(err, report.writeText(env.Stdout, env.Stderr))
}

// judge fills the report.
func judge(ctx context.Context, env Env, o *Options, report *Report) error {
	on := o.enabled()
	in := &input{options: o, report: report, env: env}
	var err, pluginErr error
	in.config, in.strict, err = load(ctx, o.Config, on[unknownFieldsAll] || on[duplicateKeys])
	if o.Plugins.Path != "" {
		in.plugins, pluginErr = pluginconfig.Load(ctx, o.Plugins)
	}
	if err := join(err, pluginErr); err != nil {
		return err
	}
	warnings := in.config.Warnings()
	if in.plugins != nil {
		warnings = slices.Concat(warnings, in.plugins.Warnings())
	}
	for _, w := range warnings {
		// Unknown and duplicate keys are findings, of those who ask for them.
		if w.Kind == "" {
			report.Notes = append(report.Notes, w)
		}
	}
	for _, name := range o.ExcludeWarnings {
		if _, known := lookup(name); !known {
			report.note("--exclude-warning=%s: there is no such check", name)
		}
	}
	if in.files, err = readFiles(o.Config.ConfigPath, o.Config.SupplementalDirs, o.Config.SupplementalSuffix); err != nil {
		return err
	}
	if in.plugins != nil {
		if in.pluginFiles, err = readFiles(o.Plugins.Path, o.Plugins.SupplementalDirs, o.Plugins.SupplementalSuffix); err != nil {
			return err
		}
	}

	for _, repo := range sortedKeys(in.config.PresubmitsByRepo) {
		report.add(rerunCommands, refusedRerunCommands(in.config, in.config.PresubmitsByRepo[repo]))
	}
	var errs []error
	if o.ProwYAMLRepoName != "" {
		dir := filepath.Dir(o.ProwYAMLPath)
		for _, n := range inRepoNotes(in.config, o.ProwYAMLRepoName, dir) {
			report.note("%s", n)
		}
		errs = append(errs, checkInRepo(in.config, o.ProwYAMLRepoName, dir, on[unknownFieldsAll]))
	}
	for _, c := range checks {
		if !on[c.name] {
			continue
		}
		if c.needsPlugins && in.plugins == nil {
			if slices.Contains(o.Warnings, c.name) {
				report.note("%s was left out: it needs --plugin-config", c.name)
			}
			continue
		}
		if c.judge != nil {
			report.add(c.name, c.judge(in))
			continue
		}
		found, err := c.ask(ctx, in)
		report.add(c.name, found)
		errs = append(errs, err)
	}
	return join(errs...)
}

func (r *Report) add(warning string, list []config.Problem) {
	for _, p := range list {
		r.Findings = append(r.Findings, Finding{Warning: warning, Problem: p})
	}
}

// join makes one error of several; those that are lists become one list.
func join(list ...error) error {
	var all config.Errors
	var others []error
	for _, err := range list {
		var errs config.Errors
		if errors.As(err, &errs) {
			all = append(all, errs...)
		} else if err != nil {
			others = append(others, err)
		}
	}
	if len(all) > 0 {
		others = append(others, all)
	}
	if len(others) == 1 {
		return others[0]
	}
	return errors.Join(others...)
}

// problemsOf are the parts of an error.
func problemsOf(err error) []config.Problem {
	if err == nil {
		return nil
	}
	if errs, ok := err.(config.Errors); ok {
		return errs
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var out []config.Problem
		for _, e := range several.Unwrap() {
			out = append(out, problemsOf(e)...)
		}
		return out
	}
	return []config.Problem{{Message: err.Error()}}
}
