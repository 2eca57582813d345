package checkconfig

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
)

// contextPolicyBranches are the branches that the files name, by "org/repo".
func (in *input) contextPolicyBranches() map[string]sets.Set[string] {
	out := map[string]sets.Set[string]{}
	add := func(repo string, branches ...string) {
		if out[repo] == nil {
			out[repo] = sets.New[string]()
		}
		out[repo].Insert(branches...)
	}
	for repo, jobs := range in.config.PresubmitsByRepo {
		if strings.Count(repo, "/") != 1 {
			continue
		}
		add(repo)
		for i := range jobs {
			add(repo, jobs[i].Branches...)
		}
	}
	for org, o := range in.config.BranchProtection.Orgs {
		for repo, r := range o.Repos {
			add(org+"/"+repo, sortedKeys(r.Branches)...)
		}
	}
	for org, o := range in.config.Tide.ContextOptions.Orgs {
		for repo, r := range o.Repos {
			add(org+"/"+repo, sortedKeys(r.Branches)...)
		}
	}
	for _, branches := range out {
		if len(branches) == 0 {
			branches.Insert("master")
		}
	}
	return out
}

func tideContextPolicy(in *input) []config.Problem {
	var out []config.Problem
	branches := in.contextPolicyBranches()
	for _, repo := range sortedKeys(branches) {
		org, name, _ := strings.Cut(repo, "/")
		// Most branches of a repository are wrong for the same reason.
		byError := map[string][]string{}
		for _, branch := range sets.List(branches[repo]) {
			if _, err := in.config.ContextPolicy(org, name, branch, in.config.PresubmitsStatic(repo)); err != nil {
				byError[err.Error()] = append(byError[err.Error()], branch)
			}
		}
		for _, text := range sortedKeys(byError) {
			p := in.files.at([]string{"tide", "context_options", "orgs", org, "repos", name}, "%s, %s: %s", repo, branchList(byError[text]), text)
			out = append(out, p)
		}
	}
	return out
}

func branchList(branches []string) string {
	const most = 5
	word := "branches "
	if len(branches) == 1 {
		word = "branch "
	}
	if n := len(branches) - most; n > 0 {
		return fmt.Sprintf("%s%s and %d more", word, strings.Join(branches[:most], ", "), n)
	}
	return word + strings.Join(branches, ", ")
}
