package blunderbuss

import (
	"math/rand/v2"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/owners"
)

// index is what a choice asks about files; *owners.Index answers it.
type index interface {
	FindReviewersOwnersForFile(file string) string
	LeafReviewers(file string) sets.Set[string]
	Reviewers(file string) owners.Layers
	FindApproverOwnersForFile(file string) string
	LeafApprovers(file string) sets.Set[string]
	Approvers(file string) owners.Layers
	RequiredReviewers(file string) sets.Set[string]
}

// people is one kind of owners of files.
type people struct {
	dir    func(file string) string
	leaf   func(file string) sets.Set[string]
	layers func(file string) owners.Layers
}

// choice chooses people, each once, and never the author.
type choice struct {
	random *rand.Rand
	author string
	// busy tells who is not to be chosen; nil: all are free.
	busy func(login string) bool

	chosen []string
}

// choose returns whom to ask. It wants n people, and has at most limit, if that is
// positive; those whose review is required come on top. Where there are too few
// reviewers, and fallback says so, approvers fill up to n.
func (c *choice) choose(x index, files []string, n, limit int, fallback bool) []string {
	c.pick(people{x.FindReviewersOwnersForFile, x.LeafReviewers, x.Reviewers}, files, n, len(files))
	if len(c.chosen) < n && fallback {
		c.pick(people{x.FindApproverOwnersForFile, x.LeafApprovers, x.Approvers}, files, n, n)
	}
	if limit > 0 && len(c.chosen) > limit {
		c.chosen = c.chosen[:limit]
	}
	required := sets.New[string]()
	for _, file := range files {
		required.Insert(x.RequiredReviewers(file).UnsortedList()...)
	}
	required.Delete(append([]string{c.author}, c.chosen...)...)
	return append(c.chosen, sets.List(required)...)
}

// pick adds people until there are n: for each directory one of those closest to
// its files, even beyond n as long as there are no more than most; then any of those
// closest; then those further up.
func (c *choice) pick(p people, files []string, n, most int) {
	dirs, all := sets.New[string](), sets.New[string]()
	for _, file := range files {
		leaf := p.leaf(file)
		all.Insert(leaf.UnsortedList()...)
		if dir := p.dir(file); !dirs.Has(dir) && len(c.chosen) < most {
			dirs.Insert(dir)
			c.one(leaf)
		}
	}
	for len(c.chosen) < n && c.one(all) {
	}
	for _, file := range files {
		for _, level := range p.layers(file) {
			for len(c.chosen) < n && c.one(level) {
			}
		}
	}
}

// one chooses one of some people, and tells whether there was one left.
func (c *choice) one(from sets.Set[string]) bool {
	left := sets.New(from.UnsortedList()...)
	left.Delete(append([]string{c.author}, c.chosen...)...)
	for candidates := sets.List(left); len(candidates) > 0; {
		i := c.random.IntN(len(candidates))
		if login := candidates[i]; c.busy == nil || !c.busy(login) {
			c.chosen = append(c.chosen, login)
			return true
		}
		candidates = append(candidates[:i], candidates[i+1:]...)
	}
	return false
}
