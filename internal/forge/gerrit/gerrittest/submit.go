package gerrittest

import (
	"context"
	"fmt"
	"net/http"

	"prow/internal/forge/gerrit"
)

// submit merges a change, and those that it depends on before it.
func (s *Server) submit(c *change) error {
	p := s.projects[c.project]
	if p.NoSubmit {
		return httpError{http.StatusForbidden, "submit not permitted"}
	}
	all := append(s.dependencies(c), c)
	for _, one := range all {
		if why := s.blocks(one); why != "" {
			return httpError{http.StatusConflict, why}
		}
	}
	before := s.branch(c.project, c.branch)
	for _, one := range all {
		if err := s.mergeOne(p, one); err != nil {
			// Nothing is submitted unless all is.
			s.must(p.dir, "update-ref", "refs/heads/"+c.branch, before)
			return httpError{http.StatusConflict, fmt.Sprintf("Failed to submit 1 change due to the following problems:\nChange %s: %v", one.changeID, err)}
		}
	}
	for _, one := range all {
		one.status, one.updated = gerrit.StatusMerged, s.tick()
	}
	return nil
}

// mergeOne brings one change into its branch, as the submit type says.
func (s *Server) mergeOne(p *Project, c *change) error {
	tip, head := s.branch(c.project, c.branch), c.current().sha
	forward := s.isAncestor(p, tip, head)
	var steps []string
	switch p.SubmitType {
	case gerrit.SubmitFastForwardOnly:
		if !forward {
			return fmt.Errorf("Project policy requires all submissions to be a fast-forward")
		}
	case gerrit.SubmitMergeAlways:
		steps = []string{"merge", "--no-ff", "-m", "Merge \"" + c.subject + "\"", head}
	case gerrit.SubmitMergeIfNecessary, "":
		if !forward {
			steps = []string{"merge", "--no-ff", "-m", "Merge \"" + c.subject + "\"", head}
		}
	case gerrit.SubmitRebaseIfNecessary:
		if !forward {
			steps = []string{"cherry-pick", head}
		}
	case gerrit.SubmitRebaseAlways, gerrit.SubmitCherryPick:
		steps = []string{"cherry-pick", head}
	default:
		return fmt.Errorf("unknown submit type %s", p.SubmitType)
	}
	after := head
	if steps != nil {
		var err error
		after, err = s.inTree(p, tip, func(run func(args ...string) (string, error), _ string) error {
			_, err := run(steps...)
			return err
		})
		if err != nil {
			return fmt.Errorf("merge conflict: %w", err)
		}
		if steps[0] == "cherry-pick" {
			for number, other := range s.changes {
				if other == c {
					s.addPatchset(number+1, c, after)
				}
			}
		}
	}
	_, err := s.runner.Output(context.Background(), p.dir, "update-ref", "refs/heads/"+c.branch, after, tip)
	return err
}
