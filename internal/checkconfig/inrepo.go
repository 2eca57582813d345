package checkconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/config/yamldec"
)

// checkInRepo judges the jobs a repository brings, as they lie in a directory.
// All mistakes are fatal, because nothing of the repository's would run.
func checkInRepo(c *config.Config, repo, dir string, strict bool) error {
	root, ok := os.DirFS(dir).(fs.ReadLinkFS)
	if !ok {
		return fmt.Errorf("%s: links cannot be followed on this system", dir)
	}
	files := &opened{ReadLinkFS: root}
	raw, err := config.ReadInRepo(files)
	if err != nil {
		return below(dir, err)
	}
	var errs config.Errors
	if strict {
		errs = unknownFieldsInRepo(root, files.names)
	}
	jobs, err := c.ResolveInRepo(repo, raw)
	var more config.Errors
	if errors.As(err, &more) {
		errs = append(errs, more...)
	} else if err != nil {
		return below(dir, err)
	}
	if jobs != nil {
		errs = append(errs, refusedRerunCommands(c, jobs.Presubmits)...)
	}
	if len(errs) == 0 {
		return nil
	}
	return below(dir, errs)
}

// below gives the files of problems the directory they lie in.
func below(dir string, err error) error {
	var errs config.Errors
	if !errors.As(err, &errs) {
		return fmt.Errorf("reading the jobs of the repository in %s: %w", dir, err)
	}
	errs = slices.Clone(errs)
	for i := range errs {
		if errs[i].File != "" && !filepath.IsAbs(errs[i].File) {
			errs[i].File = filepath.Join(dir, errs[i].File)
		}
	}
	return errs
}

// inRepoNotes tells why the jobs of a repository would not run although nothing
// is wrong with them.
func inRepoNotes(c *config.Config, repo, dir string) []string {
	var out []string
	if !c.InRepoConfig.InRepoEnabled(repo) {
		out = append(out, fmt.Sprintf("in_repo_config.enabled is not true for %s: its own jobs do not run", repo))
	}
	_, noDir := os.Stat(filepath.Join(dir, config.InRepoDir))
	_, noFile := os.Stat(filepath.Join(dir, config.InRepoFile))
	if errors.Is(noDir, fs.ErrNotExist) && errors.Is(noFile, fs.ErrNotExist) {
		out = append(out, fmt.Sprintf("%s has neither %s nor %s: %s brings no jobs", dir, config.InRepoDir, config.InRepoFile, repo))
	}
	return out
}

// opened remembers which files were opened.
type opened struct {
	fs.ReadLinkFS
	names []string
}

func (o *opened) Open(name string) (fs.File, error) {
	o.names = append(o.names, name)
	return o.ReadLinkFS.Open(name)
}

// unknownFieldsInRepo finds keys that mean nothing.
func unknownFieldsInRepo(root fs.FS, names []string) config.Errors {
	var errs config.Errors
	for _, name := range names {
		if !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") {
			continue
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			errs = append(errs, config.Problem{File: name, Message: fmt.Sprintf("the file cannot be read: %v", err)})
			continue
		}
		var d yamldec.Decoder
		for _, p := range d.Decode(data, &config.InRepoJobs{}, yamldec.Options{Strict: true}) {
			if p.Kind == yamldec.UnknownField {
				errs = append(errs, config.Problem{File: name, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Kind: p.Kind})
			}
		}
	}
	return errs
}
