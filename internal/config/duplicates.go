package config

import (
	"fmt"
	"maps"
	"slices"
)

// checkRepoPresubmits refuses two presubmits of a repository that would be one
// on some branch: they share their name, or report under one context.
func checkRepoPresubmits(repo string, jobs []Presubmit, ps *problems) {
	checkDuplicates(repo, "presubmit", jobs, func(p *Presubmit) (*JobBase, *Brancher, string) { return &p.JobBase, &p.Brancher, p.Context }, ps)
}

// checkRepoPostsubmits does so for postsubmits.
func checkRepoPostsubmits(repo string, jobs []Postsubmit, ps *problems) {
	checkDuplicates(repo, "postsubmit", jobs, func(p *Postsubmit) (*JobBase, *Brancher, string) { return &p.JobBase, &p.Brancher, p.Context }, ps)
}

func checkDuplicates[J any](repo, typ string, jobs []J, of func(*J) (*JobBase, *Brancher, string), ps *problems) {
	names, contexts := make(map[string][]int, len(jobs)), make(map[string][]int, len(jobs))
	for i := range jobs {
		base, branches, context := of(&jobs[i])
		if base.Name == "" {
			continue
		}
		for _, j := range names[base.Name] {
			other, otherBranches, _ := of(&jobs[j])
			if branches.Intersects(otherBranches) {
				ps.add(problemOf(base, "name", "another %s of %s has this name for the same branch (%s); "+
					"central and in-repo definitions count together", typ, repo, place(other)))
				break
			}
		}
		for _, j := range contexts[context] {
			other, otherBranches, _ := of(&jobs[j])
			if other.Name != base.Name && branches.Intersects(otherBranches) {
				ps.add(problemOf(base, "context", "the %s %s of %s reports under the context %q for the same branch (%s)",
					typ, other.Name, repo, context, place(other)))
				break
			}
		}
		names[base.Name] = append(names[base.Name], i)
		contexts[context] = append(contexts[context], i)
	}
}

func checkPeriodicNames(jobs []Periodic, ps *problems) {
	first := make(map[string]*JobBase, len(jobs))
	for i := range jobs {
		base := &jobs[i].JobBase
		if base.Name == "" {
			continue
		}
		if other, dup := first[base.Name]; dup {
			ps.add(problemOf(base, "name", "another periodic has this name (%s)", place(other)))
			continue
		}
		first[base.Name] = base
	}
}

// place tells a person where a job stands.
func place(b *JobBase) string {
	switch {
	case b.file() == "":
		return "in-repo"
	case b.SourceLine == 0:
		return b.file()
	}
	return fmt.Sprintf("%s:%d", b.file(), b.SourceLine)
}

// checkJobSets checks what only the jobs of all files together can break.
func checkJobSets(c *JobConfig, ps *problems) {
	for _, repo := range slices.Sorted(maps.Keys(c.PresubmitsByRepo)) {
		checkRepoPresubmits(repo, c.PresubmitsByRepo[repo], ps)
	}
	for _, repo := range slices.Sorted(maps.Keys(c.PostsubmitsByRepo)) {
		checkRepoPostsubmits(repo, c.PostsubmitsByRepo[repo], ps)
	}
	checkPeriodicNames(c.Periodics, ps)
}
