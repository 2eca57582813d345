package override

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// candidate is a result that can be overridden, or whose override can be taken back.
type candidate struct {
	plugins.Result
	// job is the presubmit that reports it; nil for those of others.
	job *config.Presubmit
}

// called tells whether a name means the candidate.
func (c *candidate) called(name string) bool {
	return name == c.Context || c.job != nil && name == c.job.Name
}

func (c *candidate) overridden() bool { return strings.Contains(c.Description, prefix) }

// candidates are the results that can be overridden: those that are not green,
// those the branch requires and nobody has reported, and those overridden already,
// which may be asked for again. Check runs that are under way are left to end.
func candidates(results []plugins.Result, required []string, jobs []config.Presubmit, branch string) []candidate {
	byContext := map[string]*config.Presubmit{}
	for i := range jobs {
		if jobs[i].ShouldRunAtBranch(branch) {
			byContext[jobs[i].Context] = &jobs[i]
		}
	}
	var out []candidate
	reported := map[string]bool{}
	for _, r := range results {
		reported[r.Context] = true
		c := candidate{r, byContext[r.Context]}
		if r.Green() && !c.overridden() || r.CheckRun && r.State == github.StatusPending {
			continue
		}
		out = append(out, c)
	}
	for _, name := range required {
		if !reported[name] {
			out = append(out, candidate{plugins.Result{Context: name}, byContext[name]})
		}
	}
	return out
}

// pick are the candidates that are named, and the names of none.
func pick(all []candidate, wanted []string) (chosen []candidate, unknown []string) {
	for _, c := range all {
		if slices.ContainsFunc(wanted, c.called) {
			chosen = append(chosen, c)
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(c candidate) bool { return c.called(name) }) {
			unknown = append(unknown, name)
		}
	}
	return chosen, unknown
}

// maxTold bounds how many names a reply lists.
const maxTold = 100

// list is a list of names in Markdown.
func list(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	var b strings.Builder
	for i, name := range names {
		if i == maxTold {
			fmt.Fprintf(&b, "* and %d more\n", len(names)-i)
			break
		}
		b.WriteString("* " + plugins.Code(name) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// unknownText says which names can be used instead.
func unknownText(unknown []string, all []candidate) string {
	var available []string
	for _, c := range all {
		if c.Green() {
			continue
		}
		available = append(available, c.Context)
		if c.job != nil {
			available = append(available, c.job.Name)
		}
	}
	if len(available) == 0 {
		return "`/override` needs names of results that are not success, and there are none. This is not among them:\n" + list(unknown)
	}
	return "These names are of no result that can be overridden:\n" + list(unknown) + "\n\nThese can be overridden:\n" + list(available)
}
