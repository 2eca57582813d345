package planner

import (
	"fmt"
	"slices"
	"strings"
)

// queue orders the pool by priority and number, every pull request after those of
// the pool that it depends on. Those that cannot go on by themselves are left out,
// and told why.
func (s *Snapshot) queue(reasons map[int]Reason) []*Pull {
	pool := map[Head]*Pull{}
	for i := range s.Pulls {
		pool[s.Pulls[i].Head] = &s.Pulls[i]
	}
	out := map[Head]bool{} // placed or left out
	leave := func(p *Pull, code Code, with []Head, format string, args ...any) {
		out[p.Head] = true
		reasons[p.Number] = Reason{Code: code, Sentence: fmt.Sprintf(format, args...), With: with}
	}
	var waiting []*Pull
	for _, p := range byPriority(s.Priority, sorted(s.Pulls)) {
		foreign := slices.IndexFunc(p.DependsOn, func(d Dependency) bool { return !d.Merged && (d.Head == nil || pool[*d.Head] == nil) })
		switch said, refused := s.Speculation.Refused[p.Head]; {
		case refused:
			leave(p, CodeRefused, nil, "The forge refused to merge it: %s.", strings.TrimRight(said, "."))
		case !p.Retestable():
			leave(p, CodeNotRetestable, nil, "Some of its contexts do not pass at the moment.")
		case foreign >= 0:
			d := p.DependsOn[foreign]
			leave(p, CodeDepends, nil, "It depends on %s, which %s.", d.Name, orElse(d.Trouble, "is not merged yet"))
		default:
			waiting = append(waiting, p)
		}
	}
	var queue []*Pull
	placed := map[Head]bool{}
	for progress := true; progress; {
		progress = false
		for _, p := range waiting {
			if out[p.Head] || slices.ContainsFunc(p.DependsOn, func(d Dependency) bool { return !d.Merged && !placed[*d.Head] }) {
				continue
			}
			out[p.Head], placed[p.Head], progress = true, true, true
			queue = append(queue, p)
		}
	}
	for _, p := range waiting {
		if !out[p.Head] {
			i := slices.IndexFunc(p.DependsOn, func(d Dependency) bool { return !d.Merged && !placed[*d.Head] })
			d := p.DependsOn[i]
			reasons[p.Number] = Reason{Code: CodeDepends, Sentence: fmt.Sprintf("It depends on %s, which cannot be merged before it.", d.Name), With: []Head{*d.Head}}
		}
	}
	return queue
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// byPriority sorts stably by the first entry whose labels a pull request has.
func byPriority(priority [][]string, pulls []*Pull) []*Pull {
	class := func(p *Pull) int {
		if i := slices.IndexFunc(priority, p.hasLabels); i >= 0 {
			return i
		}
		return len(priority)
	}
	classes := map[*Pull]int{}
	for _, p := range pulls {
		classes[p] = class(p)
	}
	slices.SortStableFunc(pulls, func(a, b *Pull) int { return classes[a] - classes[b] })
	return pulls
}
