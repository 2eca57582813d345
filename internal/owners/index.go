package owners

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
)

// Index answers who owns the files of a commit. It is immutable and may be used
// concurrently. The sets it returns belong to the caller, unless told otherwise.
type Index struct {
	*data
	// collaborators limits approvers and reviewers; nil is no limit.
	collaborators sets.Set[string]
}

type data struct {
	// entries are by directory, the root being "", and for Markdown files by path.
	entries  map[string]*entry
	aliases  Aliases
	names    Settings
	problems []Problem
	// labeled tells that some entry has labels.
	labeled bool
}

// Problem is a file, or a part of one, that was ignored.
type Problem struct {
	Path string
	Err  error
}

// entry is an OWNERS file.
type entry struct {
	options Options
	rules   []rule
	parsed  *Parsed
}

// rule are the owners of the files of an entry whose path, relative to the
// entry's directory, matches; nil matches all.
type rule struct {
	re                                     *regexp.Regexp
	approvers, reviewers, required, labels sets.Set[string]
}

func (r *rule) matches(relative string) bool { return r.re == nil || r.re.MatchString(relative) }

type kind func(*rule) sets.Set[string]

func approversOf(r *rule) sets.Set[string] { return r.approvers }
func reviewersOf(r *rule) sets.Set[string] { return r.reviewers }
func requiredOf(r *rule) sets.Set[string]  { return r.required }
func labelsOf(r *rule) sets.Set[string]    { return r.labels }

// source is a file that says something about owners.
type source struct {
	path    string
	content []byte
}

// build makes an index of files in any order. What is wrong with single files
// ends up in the problems.
func build(files []source, names Settings) *data {
	d := &data{entries: map[string]*entry{}, names: names}
	report := func(file string, err error) { d.problems = append(d.problems, Problem{file, err}) }
	for _, f := range files {
		if f.path == names.Aliases {
			var err error
			if d.aliases, err = ParseAliases(f.content); err != nil {
				report(f.path, err)
			}
		}
	}
	for _, f := range files {
		key, parse := parentDir(f.path), Parse
		switch {
		case path.Base(f.path) == names.Owners:
		case isMarkdown(f.path):
			key, parse = f.path, ParseMarkdown
		default:
			continue
		}
		if f.content == nil {
			report(f.path, fmt.Errorf("more than %d bytes", maxFile))
			continue
		}
		parsed, err := parse(f.content)
		if err != nil {
			report(f.path, err)
		}
		if parsed != nil {
			d.entries[key] = d.entry(parsed, func(err error) { report(f.path, err) })
		}
	}
	slices.SortFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
	return d
}

func (d *data) entry(parsed *Parsed, report func(error)) *entry {
	e := &entry{options: parsed.Options, parsed: parsed}
	for _, filter := range sets.List(sets.KeySet(parsed.Filters)) {
		people := parsed.Filters[filter]
		r := rule{
			approvers: d.aliases.Expand(people.Approvers), reviewers: d.aliases.Expand(people.Reviewers),
			required: d.aliases.Expand(people.RequiredReviewers), labels: sets.New(people.Labels...),
		}
		if filter != MatchAll {
			var err error
			if r.re, err = regexp.Compile(filter); err != nil {
				report(fmt.Errorf("filters: %w", err))
				continue
			}
		}
		e.rules = append(e.rules, r)
		d.labeled = d.labeled || len(r.labels) > 0
	}
	return e
}

func isMarkdown(file string) bool { return strings.HasSuffix(file, ".md") }

// parentDir is the directory of a path; that of the root is "".
func parentDir(file string) string {
	i := strings.LastIndexByte(file, '/')
	return file[:max(i, 0)]
}

// clean makes the form in which paths are looked up.
func clean(file string) string {
	return strings.TrimPrefix(path.Clean("/"+file), "/")
}

// visit walks the entries that count for a path, the closest first, with what
// they contribute. It ends when f returns false.
func (x *Index) visit(file string, of kind, f func(dir string, options Options, found sets.Set[string]) bool) {
	file = clean(file)
	dir := parentDir(file)
	if x.names.Markdown && isMarkdown(file) {
		dir = file
	}
	for ; ; dir = parentDir(dir) {
		if e := x.entries[dir]; e != nil {
			relative := strings.TrimPrefix(file[len(dir):], "/")
			if !f(dir, e.options, x.found(e, relative, of)) {
				return
			}
		}
		if dir == "" {
			return
		}
	}
}

// found is the union of what the matching rules of an entry say, nil if nothing.
func (x *Index) found(e *entry, relative string, of kind) sets.Set[string] {
	var out sets.Set[string]
	for i := range e.rules {
		r := &e.rules[i]
		if len(of(r)) == 0 || !r.matches(relative) {
			continue
		}
		for name := range of(r) {
			if out == nil {
				out = make(sets.Set[string], len(of(r)))
			}
			out.Insert(name)
		}
	}
	return out
}

// people is a kind of owners after the limit to collaborators.
func (x *Index) people(of kind) kind {
	if x.collaborators == nil {
		return of
	}
	return func(r *rule) sets.Set[string] { return of(r).Intersection(x.collaborators) }
}

// Layers are owners by level, the closest to the file first.
type Layers []sets.Set[string]

// Union are the owners of all levels.
func (l Layers) Union() sets.Set[string] {
	out := sets.New[string]()
	for _, level := range l {
		for name := range level {
			out.Insert(name)
		}
	}
	return out
}

// Has tells whether somebody, in normal form, is on some level.
func (l Layers) Has(login string) bool {
	return slices.ContainsFunc(l, func(s sets.Set[string]) bool { return s.Has(login) })
}

func (x *Index) layers(file string, of kind) Layers {
	var out Layers
	x.visit(file, of, func(_ string, options Options, found sets.Set[string]) bool {
		if len(found) > 0 {
			out = append(out, found)
		}
		return !options.NoParentOwners || len(out) == 0
	})
	return out
}

func (x *Index) leaf(file string, of kind) sets.Set[string] {
	out := sets.New[string]()
	x.visit(file, of, func(_ string, _ Options, found sets.Set[string]) bool {
		if len(found) > 0 {
			out = found
		}
		return len(found) == 0
	})
	return out
}

// Approvers are the approvers of a file. Levels above one with no_parent_owners
// do not count if somebody was found up to it.
func (x *Index) Approvers(file string) Layers { return x.layers(file, x.people(approversOf)) }

// Reviewers are the reviewers of a file, as Approvers are found.
func (x *Index) Reviewers(file string) Layers { return x.layers(file, x.people(reviewersOf)) }

// LeafApprovers are the approvers on the closest level that has any.
func (x *Index) LeafApprovers(file string) sets.Set[string] {
	return x.leaf(file, x.people(approversOf))
}

// LeafReviewers are the reviewers on the closest level that has any.
func (x *Index) LeafReviewers(file string) sets.Set[string] {
	return x.leaf(file, x.people(reviewersOf))
}

// RequiredReviewers are those whose review every change of the file needs.
func (x *Index) RequiredReviewers(file string) sets.Set[string] {
	return x.layers(file, requiredOf).Union()
}

// Labels are the labels for changes of the file.
func (x *Index) Labels(file string) sets.Set[string] { return x.layers(file, labelsOf).Union() }

// HasLabels tells whether any file has labels at all.
func (x *Index) HasLabels() bool { return x.labeled }

func (x *Index) deepest(file string, of kind) string {
	deepest := ""
	x.visit(file, of, func(dir string, _ Options, found sets.Set[string]) bool {
		if len(found) > 0 {
			deepest = dir
		}
		return len(found) == 0
	})
	return deepest
}

// FindApproverOwnersForFile is the deepest directory (for Markdown files that
// carry owners the file itself) with approvers for the file; "" is the root, also
// where there are none.
func (x *Index) FindApproverOwnersForFile(file string) string {
	return x.deepest(file, x.people(approversOf))
}

// FindReviewersOwnersForFile is FindApproverOwnersForFile for reviewers.
func (x *Index) FindReviewersOwnersForFile(file string) string {
	return x.deepest(file, x.people(reviewersOf))
}

// options are those of the OWNERS file in exactly that directory.
func (x *Index) options(dir string) Options {
	if e := x.entries[clean(dir)]; e != nil {
		return e.options
	}
	return Options{}
}

// IsNoParentOwners tells whether the OWNERS file of exactly that directory says so.
func (x *Index) IsNoParentOwners(dir string) bool { return x.options(dir).NoParentOwners }

// IsAutoApproveUnownedSubfolders tells whether the OWNERS file of exactly that
// directory says so.
func (x *Index) IsAutoApproveUnownedSubfolders(dir string) bool {
	return x.options(dir).AutoApproveUnownedSubfolders
}

// TopLevelApprovers are the approvers at the root, for whatever files.
func (x *Index) TopLevelApprovers() sets.Set[string] {
	if e := x.entries[""]; e != nil {
		return x.everybody(map[string]*entry{"": e}, approversOf)
	}
	return sets.New[string]()
}

// AllApprovers are the approvers of any file.
func (x *Index) AllApprovers() sets.Set[string] { return x.everybody(x.entries, approversOf) }

// AllReviewers are the reviewers of any file.
func (x *Index) AllReviewers() sets.Set[string] { return x.everybody(x.entries, reviewersOf) }

// AllOwners are the approvers and reviewers of any file.
func (x *Index) AllOwners() sets.Set[string] { return x.AllApprovers().Union(x.AllReviewers()) }

func (x *Index) everybody(entries map[string]*entry, of kind) sets.Set[string] {
	of = x.people(of)
	out := sets.New[string]()
	for _, e := range entries {
		for i := range e.rules {
			for name := range of(&e.rules[i]) {
				out.Insert(name)
			}
		}
	}
	return out
}

// Parsed is what the OWNERS file of exactly that directory says; nil without one
// that can be read.
func (x *Index) Parsed(dir string) *Parsed {
	if e := x.entries[clean(dir)]; e != nil {
		return e.parsed
	}
	return nil
}

// Aliases are the aliases of the repository; they must not be changed.
func (x *Index) Aliases() Aliases { return x.aliases }

// Filename is the name of OWNERS files in the repository.
func (x *Index) Filename() string { return x.names.Owners }

// Problems are the files that were ignored, by path; the list must not be changed.
func (x *Index) Problems() []Problem { return x.problems }

// limitedTo is the index with only collaborators as approvers and reviewers.
func (x *Index) limitedTo(logins []string) *Index {
	return &Index{data: x.data, collaborators: sets.New(normalizeAll(logins)...)}
}
