package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config/yamldec"
)

// Load reads the configuration once. If anything is wrong the error is an
// Errors with every problem found.
func Load(ctx context.Context, opts Options) (*Config, error) {
	return NewLoader(opts).Load(ctx)
}

// Loader reads the configuration again and again; what did not change since
// the last time is neither parsed nor checked again. It is safe for concurrent
// use.
type Loader struct {
	opts    Options
	decoder yamldec.Decoder
	re      regexCache

	mu sync.Mutex
	// jobs are the job files of the last load, by path.
	jobs map[string]*jobFile
	// shards are the shards of the last load, by path.
	shards map[string]*shardFile
}

// NewLoader returns a loader that has read nothing yet.
func NewLoader(opts Options) *Loader {
	return &Loader{opts: opts}
}

// jobFile is a parsed job file, and what became of its jobs.
type jobFile struct {
	path  string
	stamp stamp
	hash  contentHash
	// raw are the jobs as written. They are never changed.
	raw            JobConfig
	errs, warnings []Problem

	// resolvedWith tells the defaults the jobs below were resolved with.
	resolvedWith contentHash
	resolved     resolvedJobs
}

// resolvedJobs are the jobs of one file as they run.
type resolvedJobs struct {
	presubmits  map[string][]Presubmit
	postsubmits map[string][]Postsubmit
	periodics   []Periodic

	errs, warnings []Problem
}

// load is one run of a Loader.
type load struct {
	*Loader
	config   *Config
	errs     problems
	warnings problems
	hashes   map[string]contentHash
	data     map[string][]byte
	// mainErrs are what the decoder found in the main file.
	mainErrs []Problem
}

// Load reads the configuration. If anything is wrong the error is an Errors
// with every problem found, and the loader keeps what it learned.
func (l *Loader) Load(ctx context.Context) (c *Config, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = guarded(l.opts.ConfigPath, func() error {
		l.re.newGeneration()
		run := &load{Loader: l, config: &Config{}, hashes: map[string]contentHash{}, data: map[string][]byte{}}
		c, err = run.load(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// guarded makes an error of a panic. A file that finds a mistake in a rule must
// not take a component down.
func guarded(path string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("loading %s: %v", path, r)
		}
	}()
	return f()
}

func (l *load) load(ctx context.Context) (*Config, error) {
	c := l.config
	if !l.readMain() {
		return nil, l.problems()
	}
	l.readShards()

	// What stands in the main file is reported there; merged shards are small
	// and their sections have no rules of their own beyond those of the merge.
	section := &sectionContext{re: &l.re, report: l.errs.inFile(l.opts.ConfigPath), warn: l.warnings.inFile(l.opts.ConfigPath), now: time.Now()}
	c.ProwConfig.resolve(section)
	l.checkQueries()
	version, err := versionFromFile(l.opts.ConfigPath)
	if err != nil {
		l.errs.add(Problem{File: l.opts.ConfigPath, Message: fmt.Sprintf("the file VERSION beside it cannot be read: %v", err)})
	}
	if version != "" {
		c.ConfigVersionSHA = version
	}

	files, err := l.readJobFiles(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.resolveJobs(ctx, files); err != nil {
		return nil, err
	}
	checkJobSets(&c.JobConfig, &l.errs)
	c.index = index{allRepos: l.allRepos(), buckets: knownBuckets(c), version: l.version()}
	if len(l.errs.list) == 0 {
		for _, check := range l.opts.Checks {
			l.errs.add(check(c)...)
		}
	}
	c.index.warnings = l.warnings.sorted(l.read)
	if len(l.errs.list) > 0 {
		return nil, l.problems()
	}
	return c, nil
}

func (l *load) problems() error { return l.errs.sorted(l.read) }

// read returns the content of a file for the places of its problems.
func (l *load) read(path string) []byte {
	if data, ok := l.data[path]; ok {
		return data
	}
	file, err := readFile(path)
	if err != nil || file.hash != l.hashes[path] {
		return nil
	}
	return file.data
}

// readMain reads the main file; false ends the load.
func (l *load) readMain() bool {
	path := l.opts.ConfigPath
	file, err := readFile(path)
	if err != nil {
		l.errs.add(Problem{File: path, Message: fmt.Sprintf("the main configuration cannot be read: %v", pathError(err))})
		return false
	}
	l.hashes[path], l.data[path] = file.hash, file.data
	errs, warnings := fromDecoder(path, l.decoder.Decode(file.data, l.config, yamldec.Options{Strict: l.opts.Strict, QuotedStrings: true}))
	l.mainErrs = errs
	l.errs.add(errs...)
	l.warnings.add(warnings...)
	for i := range l.config.Presets {
		l.config.Presets[i].source.file = path
	}
	for i := range l.config.Tide.Queries {
		l.config.Tide.Queries[i].source.file = path
	}
	return !slices.ContainsFunc(errs, func(p Problem) bool { return p.Kind == yamldec.Syntax })
}

// checkQueries checks the queries where they were written, and merges
// duplicates if all are well.
func (l *load) checkQueries() {
	bad := false
	queries := l.config.Tide.Queries
	for i := range queries {
		queries[i].check(func(field, format string, args ...any) {
			bad = true
			full := fmt.Sprintf("tide.queries[%d]", i)
			if field != "" {
				full += "." + field
			}
			l.errs.add(Problem{
				File: queries[i].source.file, Field: full, within: field,
				startLine: queries[i].source.line, startColumn: queries[i].source.column,
				Message: fmt.Sprintf(format, args...),
			})
		})
	}
	if !bad {
		l.config.Tide.Queries = l.config.deduplicateQueries(queries)
	}
}

// readJobFiles reads the files behind the job path, in parallel, and gathers
// their presets.
func (l *load) readJobFiles(ctx context.Context) ([]*jobFile, error) {
	if l.opts.JobConfigPath == "" {
		l.jobs = nil
		return nil, nil
	}
	paths, errs, warnings := jobFilePaths(l.opts.JobConfigPath)
	l.errs.add(errs...)
	l.warnings.add(warnings...)

	files := make([]*jobFile, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range paths {
		group.Go(func() error {
			return guarded(path, func() error {
				files[i] = l.readJobFile(path, l.jobs[path])
				return ctx.Err()
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	l.jobs = make(map[string]*jobFile, len(files))
	for _, f := range files {
		l.jobs[f.path] = f
		l.hashes[f.path] = f.hash
		l.errs.add(f.errs...)
		l.warnings.add(f.warnings...)
		l.config.Presets = append(l.config.Presets, f.raw.Presets...)
	}
	checkPresets(l.config.Presets, &l.errs)
	return files, nil
}

// readJobFile reads and parses one job file, or returns the last result if the
// file did not change.
func (l *Loader) readJobFile(path string, last *jobFile) *jobFile {
	file, err := readFile(path)
	if err != nil {
		return &jobFile{path: path, errs: []Problem{{File: path, Message: fmt.Sprintf("the job file cannot be read: %v", pathError(err))}}}
	}
	if last != nil && last.hash == file.hash {
		return last
	}
	out := &jobFile{path: path, stamp: file.stamp, hash: file.hash}
	out.errs, out.warnings = fromDecoder(path, l.decoder.Decode(file.data, &out.raw, yamldec.Options{Strict: l.opts.Strict, QuotedStrings: true}))
	if out.raw.DecorateAllJobs {
		out.warnings = append(out.warnings, Problem{File: path, Field: "decorate_all_jobs", Message: "has no effect in a job file; set it in the main file"})
	}
	out.raw.ProwIgnored = nil
	out.warnings = append(out.warnings, orgKeys(&out.raw, path)...)
	locate(out.warnings, func(string) []byte { return file.data })
	setSource(&out.raw, path)
	return out
}

// orgKeys warns of jobs that can never run, because their key is not that of a
// repository.
func orgKeys(c *JobConfig, path string) (warnings []Problem) {
	warn := func(field, key string) {
		if _, repo := SplitRepo(key); repo == "" {
			warnings = append(warnings, Problem{File: path, Field: field + "." + key, Message: "the key names no repository, so these jobs never run; expected org/repo"})
		}
	}
	for key := range c.PresubmitsByRepo {
		warn("presubmits", key)
	}
	for key := range c.PostsubmitsByRepo {
		warn("postsubmits", key)
	}
	return warnings
}

// setSource tells jobs and presets the file they come from.
func setSource(c *JobConfig, path string) {
	for i := range c.Presets {
		c.Presets[i].source.file = path
	}
	for _, jobs := range c.PresubmitsByRepo {
		for i := range jobs {
			jobs[i].SourcePath = path
		}
	}
	for _, jobs := range c.PostsubmitsByRepo {
		for i := range jobs {
			jobs[i].SourcePath = path
		}
	}
	for i := range c.Periodics {
		c.Periodics[i].SourcePath = path
	}
}

// resolveJobs turns the jobs of all files into those of the configuration.
// Files whose content and defaults are those of the last load keep their jobs.
func (l *load) resolveJobs(ctx context.Context, files []*jobFile) error {
	c := l.config
	resolver := newResolver(c, &l.re)
	with, err := l.defaultsHash()
	if err != nil {
		return err
	}
	l.warnings.add(orgKeys(&c.JobConfig, l.opts.ConfigPath)...)
	setSource(&c.JobConfig, l.opts.ConfigPath)
	main := &jobFile{path: l.opts.ConfigPath, errs: l.mainErrs, raw: JobConfig{PresubmitsByRepo: c.PresubmitsByRepo, PostsubmitsByRepo: c.PostsubmitsByRepo, Periodics: c.Periodics}}
	all := append([]*jobFile{main}, files...)

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range all {
		if f.resolvedWith == with && f != main {
			continue
		}
		group.Go(func() error {
			return guarded(f.path, func() error {
				f.resolved, f.resolvedWith = resolver.jobs(&f.raw), with
				return ctx.Err()
			})
		})
	}
	if err := group.Wait(); err != nil {
		for _, f := range all {
			f.resolvedWith = contentHash{}
		}
		return err
	}
	c.PresubmitsByRepo, c.PostsubmitsByRepo, c.Periodics = nil, nil, nil
	presubmits, postsubmits := map[string][][]Presubmit{}, map[string][][]Postsubmit{}
	var periodics [][]Periodic
	for _, f := range all {
		// Where a file was not understood, rules about its jobs would speak of
		// what is missing only because of that.
		if len(f.errs) > 0 {
			continue
		}
		l.errs.add(f.resolved.errs...)
		l.warnings.add(f.resolved.warnings...)
		for repo, jobs := range f.resolved.presubmits {
			presubmits[repo] = append(presubmits[repo], jobs)
		}
		for repo, jobs := range f.resolved.postsubmits {
			postsubmits[repo] = append(postsubmits[repo], jobs)
		}
		periodics = append(periodics, f.resolved.periodics)
	}
	c.PresubmitsByRepo, c.PostsubmitsByRepo = joinAll(presubmits), joinAll(postsubmits)
	c.Periodics = slices.Concat(periodics...)
	return nil
}

// joinAll concatenates the jobs of each repository. Most repositories have all
// their jobs in one file; these share its list.
func joinAll[J any](parts map[string][][]J) map[string][]J {
	if len(parts) == 0 {
		return nil
	}
	out := make(map[string][]J, len(parts))
	for repo, lists := range parts {
		if len(lists) == 1 {
			out[repo] = slices.Clip(lists[0])
			continue
		}
		out[repo] = slices.Concat(lists...)
	}
	return out
}

// jobs resolves the jobs of one file.
func (r *resolver) jobs(raw *JobConfig) resolvedJobs {
	out := resolvedJobs{
		presubmits:  make(map[string][]Presubmit, len(raw.PresubmitsByRepo)),
		postsubmits: make(map[string][]Postsubmit, len(raw.PostsubmitsByRepo)),
		periodics:   make([]Periodic, len(raw.Periodics)),
	}
	for repo, jobs := range raw.PresubmitsByRepo {
		resolved := make([]Presubmit, len(jobs))
		for i := range jobs {
			var found jobProblems
			resolved[i], found = r.presubmit(jobs[i], repo)
			out.add(found)
		}
		out.presubmits[repo] = resolved
	}
	for repo, jobs := range raw.PostsubmitsByRepo {
		resolved := make([]Postsubmit, len(jobs))
		for i := range jobs {
			var found jobProblems
			resolved[i], found = r.postsubmit(jobs[i], repo)
			out.add(found)
		}
		out.postsubmits[repo] = resolved
	}
	for i := range raw.Periodics {
		var found jobProblems
		out.periodics[i], found = r.periodic(raw.Periodics[i])
		out.add(found)
	}
	return out
}

func (r *resolvedJobs) add(found jobProblems) {
	r.errs = append(r.errs, found.list...)
	r.warnings = append(r.warnings, found.warnings...)
}

// defaultsHash identifies everything outside a job file that its jobs depend on.
func (l *load) defaultsHash() (contentHash, error) {
	h := sha256.New()
	main := l.hashes[l.opts.ConfigPath]
	h.Write(main[:])
	if err := json.NewEncoder(h).Encode(l.config.Presets); err != nil {
		return contentHash{}, fmt.Errorf("encoding presets: %w", err)
	}
	return contentHash(h.Sum(nil)), nil
}

// version identifies the content of all files.
func (l *load) version() string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(l.hashes)) {
		hash := l.hashes[path]
		_, _ = io.WriteString(h, path+"\x00")
		h.Write(hash[:])
	}
	_, _ = io.WriteString(h, l.config.ConfigVersionSHA)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (l *load) allRepos() sets.Set[string] {
	out := sets.New[string]()
	for i := range l.config.Tide.Queries {
		out.Insert(l.config.Tide.Queries[i].Repos...)
	}
	for repo := range l.config.PresubmitsByRepo {
		out.Insert(repo)
	}
	for repo := range l.config.PostsubmitsByRepo {
		out.Insert(repo)
	}
	return out
}
