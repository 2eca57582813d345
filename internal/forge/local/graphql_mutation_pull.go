package local

import (
	"errors"
	"slices"
	"strings"
)

func (c *graphCall) draft(to bool) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, _, err := c.subject(strArg(in, "pullRequestId"), permWrite, true)
		if err != nil {
			return nil, err
		}
		if i.Pull == nil {
			return nil, missingNode(strArg(in, "pullRequestId"))
		}
		if err := c.write(func(t *txn) error { return t.setDraft(rp, i, c.viewer, to) }); err != nil {
			return nil, err
		}
		return c.shown("pullRequest", rp, i)
	}
}

func (c *graphCall) mergeMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "pullRequestId"), permWrite, false)
	if err != nil {
		return nil, err
	}
	req := mergeRequest{Method: lower(strArg(in, "mergeMethod")), Title: strArg(in, "commitHeadline"), Message: strArg(in, "commitBody"), SHA: strArg(in, "expectedHeadOid")}
	if _, err := c.f.merge(c.ctx, rp, i.Number, c.viewer, req); err != nil {
		return nil, err
	}
	return c.shown("pullRequest", rp, i)
}

func (c *graphCall) updateBranchMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "pullRequestId"), permRead, true)
	if err != nil {
		return nil, err
	}
	if i.Pull == nil {
		return nil, missingNode(strArg(in, "pullRequestId"))
	}
	if err := c.f.updatePull(c.ctx, rp, i, c.viewer, strArg(in, "expectedHeadOid")); err != nil {
		return nil, err
	}
	return c.shown("pullRequest", rp, i)
}

func (c *graphCall) createPullMutation(in map[string]any) (obj, error) {
	rp, _, err := c.repoNode(strArg(in, "repositoryId"))
	if err != nil {
		return nil, err
	}
	if !c.viewer.grant.allows("pull_requests", "write") {
		return nil, &graphError{"FORBIDDEN", "Resource not accessible by integration"}
	}
	head := strArg(in, "headRefName")
	if id := strArg(in, "headRepositoryId"); id != "" && !strings.Contains(head, ":") {
		from, _, err := c.repoNode(id)
		if err != nil {
			return nil, err
		}
		head = from.Owner.Login + ":" + head
	}
	n := newPull{Title: strArg(in, "title"), Body: strArg(in, "body"), Head: head, Base: strArg(in, "baseRefName")}
	n.Draft, _ = in["draft"].(bool)
	if modify, ok := in["maintainerCanModify"].(bool); ok {
		n.Modify = &modify
	}
	i, err := c.f.openPull(c.ctx, rp, c.viewer, n)
	if err != nil {
		return nil, err
	}
	return c.shown("pullRequest", rp, i)
}

func (c *graphCall) requestReviewsMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "pullRequestId"), permTriage, true)
	if err != nil {
		return nil, err
	}
	if i.Pull == nil {
		return nil, missingNode(strArg(in, "pullRequestId"))
	}
	logins, err := c.loginsOf(listArg(in, "userIds"))
	if err != nil {
		return nil, err
	}
	var slugs []string
	for _, id := range listArg(in, "teamIds") {
		n, err := numberOf(id, "T")
		if err != nil {
			return nil, err
		}
		t, err := c.teamID(n)
		if err != nil {
			return nil, err
		}
		slugs = append(slugs, t.Slug)
	}
	err = c.write(func(t *txn) error {
		if union, _ := in["union"].(bool); !union { // the given ones replace all others
			have, err := t.reviewers(i.ID)
			if err != nil {
				return err
			}
			var gone []string
			for _, a := range have {
				if !slices.Contains(logins, a.Login) {
					gone = append(gone, a.Login)
				}
			}
			if err := t.unrequestReviews(rp, i, c.viewer, gone, nil); err != nil {
				return err
			}
		}
		return t.requestReviews(rp, i, c.viewer, logins, slugs)
	})
	if err != nil {
		return nil, err
	}
	return c.shown("pullRequest", rp, i)
}

func (c *graphCall) addReviewMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "pullRequestId"), permRead, true)
	if err != nil {
		return nil, err
	}
	if i.Pull == nil {
		return nil, missingNode(strArg(in, "pullRequestId"))
	}
	var v *review
	err = c.write(func(t *txn) error {
		v, err = t.addReview(rp, i, c.viewer, newReview{Event: strArg(in, "event"), Body: strArg(in, "body"), SHA: strArg(in, "commitOID")})
		return err
	})
	if err != nil {
		return nil, err
	}
	return obj{"pullRequestReview": c.review(rp, i, v)}, nil
}

func (c *graphCall) dismissMutation(in map[string]any) (obj, error) {
	id := strArg(in, "pullRequestReviewId")
	n, err := numberOf(id, "PRR")
	if err != nil {
		return nil, err
	}
	v, err := one(c.reader, scanReview, "SELECT "+reviewCols+" FROM reviews v WHERE v.id = ?", n)
	if errors.Is(err, errNotFound) {
		return nil, missingNode(id)
	}
	if err != nil {
		return nil, err
	}
	rp, i, _, err := c.subject(nodeID("PR", v.IssueID), permWrite, false)
	if err != nil {
		return nil, err
	}
	if err := c.write(func(t *txn) error { return t.dismissReview(rp, i, v, c.viewer, strArg(in, "message")) }); err != nil {
		return nil, err
	}
	return obj{"pullRequestReview": c.review(rp, i, v)}, nil
}
