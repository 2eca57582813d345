package local

// mutationRoot offers what has no REST counterpart (drafts) and the most used others.
func (c *graphCall) mutationRoot() obj {
	// change runs do on the pull request named by the input, for its author or people with write permission.
	change := func(do func(t *txn, rp *repo, i *issue) error) lazy {
		return func(args map[string]any) (any, error) {
			in, _ := args["input"].(map[string]any)
			rp, i, err := c.issueNode(strArg(in, "pullRequestId"))
			if err != nil {
				return nil, err
			}
			p, err := c.permission(rp, c.viewer)
			if err != nil {
				return nil, err
			}
			if i.Pull == nil || p < permTriage && i.AuthorID != c.viewer.ID {
				return nil, &graphError{"FORBIDDEN", c.viewer.Login + " does not have the correct permissions to execute this mutation."}
			}
			if err := c.f.write(c.ctx, func(t *txn) error { return do(t, rp, i) }); err != nil {
				return nil, err
			}
			return obj{"clientMutationId": in["clientMutationId"], "pullRequest": c.pull(rp, i)}, nil
		}
	}
	state := func(to string) lazy {
		return change(func(t *txn, rp *repo, i *issue) error {
			if to == "open" && i.State == "closed" {
				if err := t.mayReopen(rp, i); err != nil {
					return err
				}
			}
			return t.setState(rp, i, c.viewer, to, "")
		})
	}
	draft := func(to bool) lazy {
		return change(func(t *txn, rp *repo, i *issue) error { return t.setDraft(rp, i, c.viewer, to) })
	}
	return obj{
		"closePullRequest": state("closed"), "reopenPullRequest": state("open"),
		"convertPullRequestToDraft": draft(true), "markPullRequestReadyForReview": draft(false),
		"addComment": lazy(func(args map[string]any) (any, error) {
			in, _ := args["input"].(map[string]any)
			rp, i, err := c.issueNode(strArg(in, "subjectId"))
			if err != nil {
				return nil, err
			}
			var cm *comment
			err = c.f.write(c.ctx, func(t *txn) error {
				var err error
				cm, err = t.addComment(rp, i, c.viewer, strArg(in, "body"))
				return err
			})
			if err != nil {
				return nil, err
			}
			return obj{"clientMutationId": in["clientMutationId"], "subject": c.issueOrPull(rp, i), "commentEdge": obj{"cursor": cursor(1), "node": c.comment(rp, i, cm)}}, nil
		}),
		"addLabelsToLabelable": lazy(func(args map[string]any) (any, error) {
			in, _ := args["input"].(map[string]any)
			rp, i, err := c.issueNode(strArg(in, "labelableId"))
			if err != nil {
				return nil, err
			}
			p, err := c.permission(rp, c.viewer)
			if err != nil {
				return nil, err
			}
			if p < permTriage {
				return nil, &graphError{"FORBIDDEN", c.viewer.Login + " does not have the correct permissions to execute this mutation."}
			}
			var names []string
			for _, id := range listArg(in, "labelIds") {
				l, err := one(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND 'LA_' || l.id = ?", rp.ID, id)
				if err != nil {
					return nil, err
				}
				names = append(names, l.Name)
			}
			err = c.f.write(c.ctx, func(t *txn) error { return t.addLabels(rp, i, c.viewer, names) })
			return obj{"clientMutationId": in["clientMutationId"]}, err
		}),
		"mergePullRequest": lazy(func(args map[string]any) (any, error) {
			in, _ := args["input"].(map[string]any)
			rp, i, err := c.issueNode(strArg(in, "pullRequestId"))
			if err != nil {
				return nil, err
			}
			p, err := c.permission(rp, c.viewer)
			if err != nil {
				return nil, err
			}
			if p < permWrite {
				return nil, &graphError{"FORBIDDEN", c.viewer.Login + " does not have the correct permissions to execute this mutation."}
			}
			req := mergeRequest{Method: lower(strArg(in, "mergeMethod")), Title: strArg(in, "commitHeadline"), Message: strArg(in, "commitBody"), SHA: strArg(in, "expectedHeadOid")}
			if _, err := c.f.merge(c.ctx, rp, i.Number, c.viewer, req); err != nil {
				return nil, err
			}
			if i, err = c.issueID(i.ID); err != nil {
				return nil, err
			}
			return obj{"clientMutationId": in["clientMutationId"], "pullRequest": c.pull(rp, i)}, nil
		}),
	}
}
