package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"prow/internal/config/yamldec"
)

// Where a repository keeps its own jobs; the directory goes before the file.
const (
	InRepoDir  = ".prow"
	InRepoFile = ".prow.yaml"
)

// InRepoJobs are the jobs a repository brings. As read they are raw: neither
// defaulted nor checked, and never changed.
type InRepoJobs struct {
	// Presets are for the jobs of the repository only; they come after those of
	// the central files.
	Presets []Preset `json:"presets,omitempty"`
	// Presubmits are the presubmits of the repository; names and contexts must
	// differ from those of the central files.
	Presubmits []Presubmit `json:"presubmits,omitempty"`
	// Postsubmits are the postsubmits of the repository; names and contexts must
	// differ from those of the central files.
	Postsubmits []Postsubmit `json:"postsubmits,omitempty"`
	// ProwIgnored takes any content and is never interpreted.
	ProwIgnored any `json:"prow_ignored,omitempty"`

	// sources are the files, so that mistakes can be placed; nil if they are large.
	sources map[string][]byte
	// memory is an estimate of the bytes of all of this.
	memory int64
}

// Limits of what a repository may bring. Everybody who can open a pull request
// decides about the content, so one that is at these limits must still be
// harmless: reading it takes less than 64 MiB.
const (
	maxInRepoFiles   = 1000
	maxInRepoEntries = 20_000
	maxInRepoDepth   = 20
	maxInRepoFile    = 512 << 10
	maxInRepoTotal   = 4 << 20
	maxInRepoNodes   = 150_000
	maxInRepoMemory  = 16 << 20
	maxInRepoJobs    = 5000
	maxInRepoSources = 128 << 10
)

// TouchesInRepoConfig tells whether a change of the files may change the jobs
// of the repository.
func TouchesInRepoConfig(changed []string) bool {
	return slices.ContainsFunc(changed, func(name string) bool {
		return name == InRepoFile || strings.HasPrefix(name, InRepoDir+"/")
	})
}

// ReadInRepo reads the jobs from the files of a repository: from the directory
// .prow if there is one, else from the file .prow.yaml. A repository with
// neither brings no jobs. Mistakes come as Errors whose files are relative to
// the root of the repository.
//
// Symbolic links are followed only inside the directory, and only by file
// systems that can tell where they lead.
func ReadInRepo(fsys fs.FS) (*InRepoJobs, error) {
	r := &inRepoReader{fs: fsys, jobs: &InRepoJobs{sources: map[string][]byte{}}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the root of the repository: %w", err)
	}
	byName := map[string]fs.DirEntry{}
	for _, e := range entries {
		byName[e.Name()] = e
	}
	if dir, ok := byName[InRepoDir]; ok {
		if !dir.IsDir() {
			return nil, Errors{{File: InRepoDir, Message: "found a file, expected a directory with the jobs of the repository"}}
		}
		var ignores []ignoreRules
		if rules, err := r.content(ignoreFileName, byName[ignoreFileName]); err == nil {
			ignores = append(ignores, parseIgnore("", rules))
		}
		r.dir(InRepoDir, ignores, 0)
	} else if file, ok := byName[InRepoFile]; ok {
		r.file(InRepoFile, file)
	}
	if len(r.errs.list) > 0 {
		return nil, r.errs.sorted(func(name string) []byte { return r.jobs.sources[name] })
	}
	if r.total > maxInRepoSources {
		r.jobs.sources = nil
	}
	r.jobs.memory = r.spent.Memory + int64(min(r.total, maxInRepoSources))
	return r.jobs, nil
}

type inRepoReader struct {
	fs             fs.FS
	decoder        yamldec.Decoder
	jobs           *InRepoJobs
	errs           problems
	entries, files int
	stopped        bool // a limit on everything together is exceeded
	total          int
	spent          yamldec.Spent
}

func (r *inRepoReader) refuse(file, format string, args ...any) {
	r.errs.add(Problem{File: file, Message: fmt.Sprintf(format, args...)})
}

func (r *inRepoReader) dir(name string, ignores []ignoreRules, depth int) {
	if depth > maxInRepoDepth {
		r.refuse(name, "directories are nested deeper than %d levels", maxInRepoDepth)
		return
	}
	if ignored(ignores, name, true) {
		return
	}
	entries, err := fs.ReadDir(r.fs, name)
	if err != nil {
		r.refuse(name, "the directory cannot be read: %v", pathError(err))
		return
	}
	if r.entries += len(entries); r.entries > maxInRepoEntries {
		r.stopped = true
		r.refuse(name, "more than %d files", maxInRepoEntries)
		return
	}
	for _, e := range entries {
		if e.Name() == ignoreFileName {
			if rules, err := r.content(path.Join(name, ignoreFileName), e); err == nil {
				ignores = append(ignores[:len(ignores):len(ignores)], parseIgnore(name, rules))
			}
		}
	}
	for _, e := range entries {
		full := path.Join(name, e.Name())
		switch {
		case e.IsDir():
			r.dir(full, ignores, depth+1)
		case isYAML(full) && !ignored(ignores, full, false):
			r.file(full, e)
		}
		if r.stopped || len(r.errs.list) >= maxInRepoProblems {
			return
		}
	}
}

var errOutside = errors.New("a symbolic link that leads out of the configuration")

// content reads a file that is not larger than a repository may bring.
func (r *inRepoReader) content(name string, e fs.DirEntry) ([]byte, error) {
	if e == nil {
		return nil, fs.ErrNotExist
	}
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(r.fs, name)
		if err != nil {
			return nil, errOutside
		}
		name = path.Join(path.Dir(name), target)
		if path.IsAbs(target) || !strings.HasPrefix(name, InRepoDir+"/") {
			return nil, errOutside
		}
		// A link to a link could lead anywhere.
		info, err := fs.Lstat(r.fs, name)
		if err != nil {
			return nil, pathError(err)
		}
		if !info.Mode().IsRegular() {
			return nil, errOutside
		}
	} else if !e.Type().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := r.fs.Open(name)
	if err != nil {
		return nil, pathError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInRepoFile+1))
	if err != nil {
		return nil, pathError(err)
	}
	if len(data) > maxInRepoFile {
		return nil, fmt.Errorf("more than %d bytes", maxInRepoFile)
	}
	if r.total += len(data); r.total > maxInRepoTotal {
		r.stopped = true
		return nil, fmt.Errorf("more than %d bytes in all files together", maxInRepoTotal)
	}
	return data, nil
}

func (r *inRepoReader) file(name string, e fs.DirEntry) {
	if r.files++; r.files > maxInRepoFiles {
		r.stopped = true
		r.refuse(name, "more than %d files", maxInRepoFiles)
		return
	}
	data, err := r.content(name, e)
	if err != nil {
		r.refuse(name, "the file cannot be read: %v", err)
		return
	}
	if r.total <= maxInRepoSources {
		r.jobs.sources[name] = data
	}
	var part InRepoJobs
	errs, _ := fromDecoder(name, r.decoder.Decode(data, &part, yamldec.Options{
		QuotedStrings: true,
		Limits: yamldec.Limits{
			Bytes: maxInRepoFile, Depth: 100,
			Nodes: max(1, maxInRepoNodes-r.spent.Nodes), Memory: max(1, maxInRepoMemory-r.spent.Memory),
		},
		Spent: &r.spent,
	}))
	r.errs.add(errs...)
	if r.spent.Nodes > maxInRepoNodes || r.spent.Memory > maxInRepoMemory {
		r.stopped = true
	}
	for i := range part.Presets {
		part.Presets[i].source.file = name
	}
	for i := range part.Presubmits {
		part.Presubmits[i].inRepoPath = name
	}
	for i := range part.Postsubmits {
		part.Postsubmits[i].inRepoPath = name
	}
	r.jobs.Presets = append(r.jobs.Presets, part.Presets...)
	r.jobs.Presubmits = append(r.jobs.Presubmits, part.Presubmits...)
	r.jobs.Postsubmits = append(r.jobs.Postsubmits, part.Postsubmits...)
	if len(r.jobs.Presubmits)+len(r.jobs.Postsubmits) > maxInRepoJobs {
		r.stopped = true
		r.refuse(name, "more than %d jobs", maxInRepoJobs)
	}
}
