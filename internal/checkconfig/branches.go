package checkconfig

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"prow/internal/config"
)

// policyNode is a level of the branch protection.
type policyNode struct {
	keys     []string
	policy   config.Policy
	children []policyNode
}

func (n policyNode) child(key, name string, p config.Policy) policyNode {
	return policyNode{keys: append(n.keys[:len(n.keys):len(n.keys)], key, name), policy: p}
}

func policyTree(bp *config.BranchProtection) policyNode {
	root := policyNode{keys: []string{"branch-protection"}, policy: bp.Policy}
	for _, orgName := range sortedKeys(bp.Orgs) {
		org := root.child("orgs", orgName, bp.Orgs[orgName].Policy)
		for _, repoName := range sortedKeys(bp.Orgs[orgName].Repos) {
			r := bp.Orgs[orgName].Repos[repoName]
			repo := org.child("repos", repoName, r.Policy)
			for _, branch := range sortedKeys(r.Branches) {
				repo.children = append(repo.children, repo.child("branches", branch, r.Branches[branch].Policy))
			}
			org.children = append(org.children, repo)
		}
		root.children = append(root.children, org)
	}
	return root
}

// managedBelow tells whether a deeper level is managed again, and so inherits.
func (n policyNode) managedBelow() bool {
	for _, c := range n.children {
		if c.policy.Unmanaged != nil && !*c.policy.Unmanaged || c.managedBelow() {
			return true
		}
	}
	return false
}

// unmanagedBranches finds settings that nobody applies: those of a level that
// is unmanaged, by itself or from above, unless a deeper one is managed again.
func unmanagedBranches(in *input) []config.Problem {
	var out []config.Problem
	var visit func(n policyNode, unmanaged bool)
	visit = func(n policyNode, unmanaged bool) {
		if n.policy.Unmanaged != nil {
			unmanaged = *n.policy.Unmanaged
		}
		settings := n.policy
		settings.Unmanaged = nil
		if unmanaged && !n.managedBelow() && !equality.Semantic.DeepEqual(settings, config.Policy{}) {
			out = append(out, in.files.at(n.keys, "the settings have no effect, because unmanaged is true %s", aboveOrHere(n)))
		}
		for _, c := range n.children {
			visit(c, unmanaged)
		}
	}
	visit(policyTree(&in.config.BranchProtection), false)
	return out
}

func aboveOrHere(n policyNode) string {
	if n.policy.Unmanaged != nil {
		return "here"
	}
	return "further up"
}
