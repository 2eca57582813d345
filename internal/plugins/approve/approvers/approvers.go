// Package approvers decides whether a change is approved and whom to ask. It is
// pure: what it needs of OWNERS files and comments is given to it.
//
// The files of a change are grouped under the directories whose OWNERS files are
// needed. A directory below a needed one is not needed itself, since who approves
// above approves below; its files are looked at all the same, because OWNERS files
// can name different people for different files.
package approvers

import (
	"cmp"
	"math/rand"
	"slices"
	"strings"
)

// Set is a set of logins in lower case.
type Set map[string]bool

// SetOf makes a set of logins in any case.
func SetOf(logins ...string) Set {
	s := Set{}
	for _, l := range logins {
		s[strings.ToLower(l)] = true
	}
	return s
}

func (s Set) meets(other Set) bool {
	if len(other) < len(s) {
		s, other = other, s
	}
	for login := range s {
		if other[login] {
			return true
		}
	}
	return false
}

func (s Set) sorted() []string {
	out := make([]string, 0, len(s))
	for login := range s {
		out = append(out, login)
	}
	slices.Sort(out)
	return out
}

// File is a changed file with its owners.
type File struct {
	Path string
	// Dir is the deepest directory that has approvers for the file, "" the root.
	Dir string
	// Approvers are those of all levels, Leaf those of the closest.
	Approvers, Leaf Set
	// AutoApproved files need nobody.
	AutoApproved bool
}

// Approval is somebody's approval.
type Approval struct {
	// Login is as its owner writes it.
	Login string
	// How says what kind of approval it is, and Reference is its page.
	How, Reference string
	// NoIssue waives the requirement of an issue.
	NoIssue bool
}

// Change is what is decided about.
type Change struct {
	Files []File
	// NoParentOwners tells whether the OWNERS file of exactly this directory keeps
	// the owners above away.
	NoParentOwners func(dir string) bool
	Approvals      []Approval
	Assignees      []string
	// Number is the number of the pull request; it decides who of several equally
	// good people is asked.
	Number int
	// IssueRequired asks for an issue, and HasIssue tells that there is one.
	IssueRequired, HasIssue bool
}

// Directory is an OWNERS file whose approval is needed.
type Directory struct {
	// Dir is its directory, or a Markdown file that carries owners.
	Dir      string
	Approved bool
	// ApprovedBy are the logins, as written, who approve some of its files, by lower case.
	ApprovedBy []string
}

// Verdict is the decision.
type Verdict struct {
	// FilesApproved tells that every changed file is approved.
	FilesApproved bool
	// RequirementsMet tells that there is also an issue, where one is required.
	RequirementsMet bool
	// Directories are those whose approval is needed, in order.
	Directories []Directory
	// Approvals are in order of their logins in lower case, and Waivers are those
	// that waive the issue.
	Approvals, Waivers []Approval
	// AssignedCCs and SuggestedCCs are whom to ask, in order: people who are
	// assigned already, and others.
	AssignedCCs, SuggestedCCs []string
}

// CCs are all whom to ask, in order.
func (v *Verdict) CCs() []string {
	out := append(slices.Clone(v.AssignedCCs), v.SuggestedCCs...)
	slices.Sort(out)
	return out
}

// Decide decides.
func Decide(c Change) Verdict {
	groups := group(c)
	current := Set{}
	for _, a := range c.Approvals {
		current[strings.ToLower(a.Login)] = true
	}
	v := Verdict{Approvals: slices.Clone(c.Approvals), FilesApproved: len(c.Files) > 0 && len(unapproved(groups, current)) == 0}
	slices.SortFunc(v.Approvals, func(a, b Approval) int { return cmp.Compare(strings.ToLower(a.Login), strings.ToLower(b.Login)) })
	mayWaive := false
	for _, a := range v.Approvals {
		if a.NoIssue {
			v.Waivers = append(v.Waivers, a)
			login := strings.ToLower(a.Login)
			mayWaive = mayWaive || slices.ContainsFunc(c.Files, func(f File) bool { return f.Approvers[login] })
		}
	}
	v.RequirementsMet = v.FilesApproved && (!c.IssueRequired || c.HasIssue || mayWaive)
	for _, g := range groups {
		d := Directory{Dir: g.dir, Approved: g.approvedBy(current)}
		for _, a := range v.Approvals {
			login := strings.ToLower(a.Login)
			if slices.ContainsFunc(g.files, func(f *File) bool { return f.Approvers[login] }) {
				d.ApprovedBy = append(d.ApprovedBy, a.Login)
			}
		}
		v.Directories = append(v.Directories, d)
	}
	v.AssignedCCs, v.SuggestedCCs = choose(groups, current, SetOf(c.Assignees...), c.Number)
	return v
}

// unit is a needed directory with the files it stands for.
type unit struct {
	dir   string
	files []*File
}

func (u *unit) approvedBy(people Set) bool {
	return !slices.ContainsFunc(u.files, func(f *File) bool { return !f.Approvers.meets(people) })
}

// group finds the needed directories, in order, and the files of each.
func group(c Change) []*unit {
	dirs := map[string]bool{}
	for i := range c.Files {
		if f := &c.Files[i]; !f.AutoApproved {
			dirs[f.Dir] = true
		}
	}
	byDir := map[string]*unit{}
	var units []*unit
	for i := range c.Files {
		f := &c.Files[i]
		if f.AutoApproved {
			continue
		}
		dir := needed(f.Dir, dirs, c.NoParentOwners)
		u := byDir[dir]
		if u == nil {
			u = &unit{dir: dir}
			byDir[dir] = u
			units = append(units, u)
		}
		u.files = append(u.files, f)
	}
	slices.SortFunc(units, func(a, b *unit) int { return cmp.Compare(a.dir, b.dir) })
	return units
}

// needed is the directory that stands for dir: the highest one of dirs on the way
// up, as far as owners above count.
func needed(dir string, dirs map[string]bool, noParentOwners func(string) bool) string {
	stands := dir
	for at := dir; at != "" && !noParentOwners(at); {
		at = parent(at)
		if dirs[at] {
			stands = at
		}
	}
	return stands
}

func parent(dir string) string { return dir[:max(strings.LastIndexByte(dir, '/'), 0)] }

// unapproved are the units with a file that none of the people approves.
func unapproved(units []*unit, people Set) []*unit {
	var out []*unit
	for _, u := range units {
		if !u.approvedBy(people) {
			out = append(out, u)
		}
	}
	return out
}

// who tells the people that count for a file of a unit.
type who func(u *unit, f *File) Set

func leaves(_ *unit, f *File) Set    { return f.Leaf }
func everybody(_ *unit, f *File) Set { return f.Approvers }

// helps tells whether somebody approves a file of the unit that the chosen do not.
// Files in directories below count only when nothing else is left: most of the
// time they are approved together with the directory.
func (u *unit) helps(login string, chosen Set, of who) bool {
	own, below := false, false
	ownLeft := false
	for _, f := range u.files {
		if f.Approvers.meets(chosen) {
			continue
		}
		yes := of(u, f)[login]
		if f.Dir == u.dir {
			ownLeft = true
			own = own || yes
		} else {
			below = below || yes
		}
	}
	return own || !ownLeft && below
}

// cover chooses people, the one who helps most units first and of equals the
// first in the list, until every unit is approved or nobody helps.
func cover(units []*unit, candidates []string, of who) Set {
	chosen := Set{}
	for {
		left := unapproved(units, chosen)
		best, most := "", 0
		for _, login := range candidates {
			if chosen[login] {
				continue
			}
			n := 0
			for _, u := range left {
				if u.helps(login, chosen, of) {
					n++
				}
			}
			if n > most {
				best, most = login, n
			}
		}
		if most == 0 {
			return chosen
		}
		chosen[best] = true
	}
}

// missing are those of the chosen who approve a file that the people do not.
func missing(units []*unit, chosen, people Set, of who) Set {
	out := Set{}
	for _, u := range units {
		for _, f := range u.files {
			if f.Approvers.meets(people) {
				continue
			}
			for login := range of(u, f) {
				if chosen[login] {
					out[login] = true
				}
			}
		}
	}
	return out
}

func union(sets ...Set) Set {
	out := Set{}
	for _, s := range sets {
		for login := range s {
			out[login] = true
		}
	}
	return out
}

// choose finds whom to ask: people who would cover what is left, beside those who
// have approved or are assigned; and of the assignees those who are still of use.
func choose(units []*unit, current, assignees Set, number int) (assigned, suggested []string) {
	proposed := missing(units, cover(units, candidates(units, number), leaves), union(current, assignees), leaves)
	kept := missing(units, cover(units, union(current, proposed, assignees).sorted(), everybody), union(current, proposed), everybody)
	for _, login := range union(proposed, kept).sorted() {
		if assignees[login] {
			assigned = append(assigned, login)
		} else {
			suggested = append(suggested, login)
		}
	}
	return assigned, suggested
}

// candidates are the leaf approvers of all units, in an order that depends on the
// number only. Somebody who owns several stands there several times. Owners of
// directories below follow.
func candidates(units []*unit, number int) []string {
	var own, below []string
	for _, u := range units {
		mine, others := Set{}, Set{}
		for _, f := range u.files {
			into := mine
			if f.Dir != u.dir {
				into = others
			}
			for login := range f.Leaf {
				into[login] = true
			}
		}
		own, below = append(own, mine.sorted()...), append(below, others.sorted()...)
	}
	return append(permute(own, number), permute(below, number)...)
}

func permute(logins []string, number int) []string {
	slices.Sort(logins)
	out := make([]string, len(logins))
	// The order must be the same for every evaluation of a pull request, not secret.
	for i, at := range rand.New(rand.NewSource(int64(number))).Perm(len(logins)) { //nolint:gosec
		out[i] = logins[at]
	}
	return out
}
