package label

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// wish is what a text asks for, in lower case and without repetitions.
type wish struct {
	add, remove []string
	// addListed and removeListed are of /label, for which only listed labels count.
	addListed, removeListed []string
}

func (w wish) empty() bool {
	return len(w.add)+len(w.remove)+len(w.addListed)+len(w.removeListed) == 0
}

func wishOf(text string) wish {
	var w wish
	put := func(list *[]string, label string) {
		if label = strings.ToLower(label); !slices.Contains(*list, label) {
			*list = append(*list, label)
		}
	}
	for _, m := range categoryRe.FindAllStringSubmatch(text, -1) {
		list := &w.add
		if m[1] != "" {
			list = &w.remove
		}
		for _, name := range strings.Fields(m[3]) {
			put(list, m[2]+"/"+name)
		}
	}
	for _, m := range labelRe.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			put(&w.removeListed, m[2])
		} else {
			put(&w.addListed, m[2])
		}
	}
	return w
}

// supported is the wish as one list each, without labels that /label does not know.
func (w wish) supported(additional []string, restricted map[string]pluginconfig.RestrictedLabel) (out wish, unsupported []string) {
	known := func(label string) bool {
		_, is := restricted[label]
		return is || slices.ContainsFunc(additional, func(l string) bool { return strings.EqualFold(l, label) })
	}
	pick := func(list, listed []string) []string {
		out := slices.Clone(list)
		for _, label := range listed {
			switch {
			case !known(label):
				unsupported = append(unsupported, label)
			case !slices.Contains(out, label):
				out = append(out, label)
			}
		}
		return out
	}
	out.add, out.remove = pick(w.add, w.addListed), pick(w.remove, w.removeListed)
	return out, unsupported
}

// set are labels by their name in lower case, with their name.
type set map[string]string

func setOf(labels []github.Label) set {
	s := set{}
	for _, l := range labels {
		s[strings.ToLower(l.Name)] = l.Name
	}
	return s
}

// plan is what a wish leads to, if the commenter may do it.
type plan struct {
	add, remove                       []string
	unsupported, notInRepo, notOnItem []string
}

// decide compares a wish with the labels of the repository and of the issue. What
// is both to be added and removed is removed.
func decide(w wish, inRepo, onIssue set) plan {
	var p plan
	for _, label := range w.add {
		switch name, exists := inRepo[label]; {
		case slices.Contains(w.remove, label) || onIssue[label] != "":
		case !exists:
			p.notInRepo = append(p.notInRepo, label)
		default:
			p.add = append(p.add, name)
		}
	}
	for _, label := range w.remove {
		name, there := onIssue[label]
		if !there {
			p.notOnItem = append(p.notOnItem, label)
			continue
		}
		p.remove = append(p.remove, name)
	}
	return p
}

// needs are the labels that say that one of a category will be missing.
func (p plan) needs(inRepo, onIssue set) (labels []string) {
	for _, category := range needed {
		if name, exists := inRepo["needs-"+category]; exists && onIssue["needs-"+category] == "" && p.empties(category, onIssue) {
			labels = append(labels, name)
		}
	}
	return labels
}

// empties tells whether the plan takes the last label of a category.
func (p plan) empties(category string, onIssue set) bool {
	in := func(label string) bool { return strings.HasPrefix(strings.ToLower(label), category+"/") }
	if !slices.ContainsFunc(p.remove, in) || slices.ContainsFunc(p.add, in) {
		return false
	}
	for _, name := range onIssue {
		if in(name) && !slices.Contains(p.remove, name) {
			return false
		}
	}
	return true
}

// problems says what of the wish is not possible.
func (p plan) problems(additional []string, restricted map[string]pluginconfig.RestrictedLabel) []string {
	var out []string
	if len(p.unsupported) > 0 {
		known := slices.Clone(additional)
		for _, r := range restricted {
			known = append(known, r.Label)
		}
		slices.Sort(known)
		says := "It knows none."
		if known = slices.Compact(known); len(known) > 0 {
			says = "It knows " + codes(known) + "."
		}
		out = append(out, fmt.Sprintf("`/label` and `/remove-label` do not know %s. %s", codes(p.unsupported), says))
	}
	if len(p.notInRepo) > 0 {
		out = append(out, fmt.Sprintf("This repository has no label %s, so it cannot be added.", codes(p.notInRepo)))
	}
	if len(p.notOnItem) > 0 {
		out = append(out, fmt.Sprintf("The label %s is not set, so it cannot be removed.", codes(p.notOnItem)))
	}
	return out
}

// maxNamed is how many names are told at most.
const maxNamed = 20

func codes(names []string) string {
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(names)-maxNamed)
		names = names[:maxNamed]
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = plugins.Code(name)
	}
	return strings.Join(out, ", ") + more
}
