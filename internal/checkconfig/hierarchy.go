package checkconfig

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
	"prow/internal/config/yamldec"
	"prow/internal/plugins/pluginconfig"
)

// scope is what a supplemental file says something about.
type scope struct {
	global      bool
	orgs, repos sets.Set[string]
}

// configScope is the scope of a file of the main configuration.
func configScope(data []byte) scope {
	var c config.ProwConfig
	var d yamldec.Decoder
	d.Decode(data, &c, yamldec.Options{})
	s := scope{orgs: sets.New[string](), repos: sets.New[string]()}
	bp := &c.BranchProtection
	for _, set := range []*bool{bp.ProtectTestedRepos, bp.AllowDisabledPolicies, bp.AllowDisabledJobPolicies, bp.ProtectReposWithOptionalJobs} {
		s.global = s.global || set != nil
	}
	nothing := config.Policy{}
	s.global = s.global || !equality.Semantic.DeepEqual(bp.Policy, nothing)
	for name, org := range bp.Orgs {
		if !equality.Semantic.DeepEqual(org.Policy, nothing) {
			s.orgs.Insert(name)
		}
		for repo := range org.Repos {
			s.repos.Insert(name + "/" + repo)
		}
	}
	add := func(key string) {
		// What is said about a branch is said about its repository.
		key, _, _ = strings.Cut(key, "@")
		switch {
		case key == "*":
			s.global = true
		case strings.Contains(key, "/"):
			s.repos.Insert(key)
		default:
			s.orgs.Insert(key)
		}
	}
	for key := range c.Tide.MergeType {
		add(key)
	}
	for key := range c.SlackReporterConfigs {
		add(key)
	}
	for i := range c.Tide.Queries {
		s.orgs.Insert(c.Tide.Queries[i].Orgs...)
		s.repos.Insert(c.Tide.Queries[i].Repos...)
	}
	c.BranchProtection, c.SlackReporterConfigs = config.BranchProtection{}, nil
	c.Tide.MergeType, c.Tide.Queries = nil, nil
	s.global = s.global || len(config.FieldsSet(c, config.ProwConfig{})) > 0
	return s
}

// pluginScope is the scope of a file of the plugin configuration.
func pluginScope(data []byte) scope {
	c, _ := pluginconfig.Parse(data, false)
	s := c.Scope()
	return scope{global: s.Global, orgs: sets.New(s.Orgs...), repos: sets.New(s.Repos...)}
}

func validateHierarchy(in *input) []config.Problem {
	var out []config.Problem
	for _, part := range []struct {
		files   files
		scopeOf func([]byte) scope
	}{{in.files, configScope}, {in.pluginFiles, pluginScope}} {
		for _, f := range part.files {
			if f.dir == "" {
				continue
			}
			rel, err := filepath.Rel(f.dir, f.path)
			if err != nil {
				rel = f.path
			}
			if message := misplaced(filepath.ToSlash(rel), part.scopeOf(f.data)); message != "" {
				out = append(out, config.Problem{File: f.path, Message: message})
			}
		}
	}
	return out
}

// misplaced tells why a file does not belong where it lies, below its root:
// the directory of an org or of a repository holds what is about nothing else.
func misplaced(path string, s scope) string {
	dirs := strings.Split(path, "/")
	dirs = dirs[:len(dirs)-1]
	var where string
	mayOrg, mayRepo := func(string) bool { return false }, func(string) bool { return false }
	switch len(dirs) {
	case 0:
		return ""
	case 1:
		where = "org " + dirs[0]
		mayOrg = func(org string) bool { return org == dirs[0] }
	case 2:
		where = "repository " + dirs[0] + "/" + dirs[1]
		mayRepo = func(repo string) bool { return repo == dirs[0]+"/"+dirs[1] }
	default:
		return fmt.Sprintf("the file lies %d directories deep, expected ORG/REPO at most", len(dirs))
	}
	var others []string
	if s.global {
		others = append(others, "everything")
	}
	for _, org := range sets.List(s.orgs) {
		if !mayOrg(org) {
			others = append(others, "org "+org)
		}
	}
	for _, repo := range sets.List(s.repos) {
		if !mayRepo(repo) {
			others = append(others, "repository "+repo)
		}
	}
	if len(others) == 0 {
		return ""
	}
	if n := len(others); n > 5 {
		others = append(slices.Clone(others[:5]), fmt.Sprintf("%d more", n-5))
	}
	return fmt.Sprintf("the file lies in the directory of %s, but is about %s", where, strings.Join(others, ", "))
}
