package local

import (
	"strings"
)

func (c *graphCall) stateOf(arg, field, to string) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, _, err := c.subject(strArg(in, arg), permTriage, true)
		if err != nil {
			return nil, err
		}
		if (i.Pull != nil) != (field == "pullRequest") {
			return nil, missingNode(strArg(in, arg))
		}
		err = c.write(func(t *txn) error {
			if to == "open" && i.Pull != nil && i.State == "closed" {
				if err := t.mayReopen(rp, i); err != nil {
					return err
				}
			}
			return t.setState(rp, i, c.viewer, to, lower(strArg(in, "stateReason")))
		})
		if err != nil {
			return nil, err
		}
		return c.shown(field, rp, i)
	}
}

func (c *graphCall) createIssueMutation(in map[string]any) (obj, error) {
	rp, p, err := c.repoNode(strArg(in, "repositoryId"))
	if err != nil {
		return nil, err
	}
	if !c.viewer.grant.allows("issues", "write") || rp.Archived {
		return nil, c.denied()
	}
	n := newIssue{Title: strArg(in, "title"), Body: strArg(in, "body")}
	if p >= permTriage { // as by REST: dropped without a word otherwise
		if n.Labels, err = c.labelNamesOf(rp, listArg(in, "labelIds")); err != nil {
			return nil, err
		}
		if n.Assignees, err = c.loginsOf(listArg(in, "assigneeIds")); err != nil {
			return nil, err
		}
		if n.Milestone, err = c.milestoneOf(rp, strArg(in, "milestoneId")); err != nil {
			return nil, err
		}
	}
	var i *issue
	err = c.write(func(t *txn) error {
		i, err = t.openIssue(rp, c.viewer, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.shown("issue", rp, i)
}

// updateIssueMutation edits as PATCH does; absent fields stay.
func (c *graphCall) updateIssueMutation(arg, field string) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, p, err := c.subject(strArg(in, arg), permRead, true)
		if err != nil {
			return nil, err
		}
		var e issueEdit
		text := func(name string) *string {
			if s, ok := in[name].(string); ok {
				return &s
			}
			return nil
		}
		e.Title, e.Body = text("title"), text("body")
		if s := text("state"); s != nil {
			v := lower(*s)
			e.State = &v
		}
		if in["labelIds"] != nil {
			names, err := c.labelNamesOf(rp, listArg(in, "labelIds"))
			if err != nil {
				return nil, err
			}
			labels := labelNames(names)
			e.Labels = &labels
		}
		if in["assigneeIds"] != nil {
			logins, err := c.loginsOf(listArg(in, "assigneeIds"))
			if err != nil {
				return nil, err
			}
			e.Assignees = &logins
		}
		if id, ok := in["milestoneId"]; ok {
			s, _ := id.(string)
			n, err := c.milestoneOf(rp, s)
			if err != nil {
				return nil, err
			}
			e.Milestone = nullableInt{set: true, value: n}
		}
		base, err := c.f.newBase(c.reader, rp, i, text("baseRefName"))
		if err != nil {
			return nil, err
		}
		if err := c.write(func(t *txn) error { return t.applyEdit(rp, i, c.viewer, p, e, base) }); err != nil {
			return nil, err
		}
		return c.shown(field, rp, i)
	}
}

func (c *graphCall) deleteIssueMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "issueId"), permAdmin, false)
	if err != nil {
		return nil, err
	}
	if i.Pull != nil {
		return nil, missingNode(strArg(in, "issueId"))
	}
	return obj{"repository": c.repository(rp)}, c.write(func(t *txn) error { return t.deleteIssue(rp, i, c.viewer) })
}

func (c *graphCall) transferMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "issueId"), permWrite, false)
	if err != nil {
		return nil, err
	}
	to, p, err := c.repoNode(strArg(in, "repositoryId"))
	if err != nil {
		return nil, err
	}
	switch {
	case i.Pull != nil:
		return nil, missingNode(strArg(in, "issueId"))
	case p < permWrite:
		return nil, c.denied()
	case to.Owner.ID != rp.Owner.ID || to.ID == rp.ID:
		return nil, &graphError{"UNPROCESSABLE", "Issues can only be transferred to another repository of the same owner."}
	}
	if err := c.write(func(t *txn) error { return t.transferIssue(rp, to, i, c.viewer) }); err != nil {
		return nil, err
	}
	return c.shown("issue", to, i)
}

// maxPinned is GitHub's.
const maxPinned = 3

func (c *graphCall) pin(on bool) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, _, err := c.subject(strArg(in, "issueId"), permWrite, false)
		if err != nil {
			return nil, err
		}
		if i.Pull != nil {
			return nil, missingNode(strArg(in, "issueId"))
		}
		err = c.write(func(t *txn) error {
			n, err := t.count("SELECT count(*) FROM issues WHERE repo_id = ? AND pinned > 0 AND id != ?", rp.ID, i.ID)
			if err != nil {
				return err
			}
			if on && n >= maxPinned {
				return &graphError{"UNPROCESSABLE", "Maximum 3 pinned issues per repository"}
			}
			if i.Pinned.IsZero() != on {
				return nil
			}
			at, action := when{}, "unpinned"
			if on {
				at, action = t.now, "pinned"
			}
			if _, err := t.exec("UPDATE issues SET pinned = ? WHERE id = ?", at, i.ID); err != nil {
				return err
			}
			if err := t.record(i, c.viewer, event{Event: action}); err != nil {
				return err
			}
			return t.emitIssue(rp, i, c.viewer, action, nil)
		})
		if err != nil {
			return nil, err
		}
		return c.shown("issue", rp, i)
	}
}

func (c *graphCall) lock(on bool) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, _, err := c.subject(strArg(in, "lockableId"), permWrite, false)
		if err != nil {
			return nil, err
		}
		reason := strings.ReplaceAll(lower(strArg(in, "lockReason")), "_", " ")
		if reason == "off topic" {
			reason = "off-topic"
		}
		if err := c.write(func(t *txn) error { return t.setLocked(rp, i, c.viewer, on, reason) }); err != nil {
			return nil, err
		}
		return c.shown(map[bool]string{true: "lockedRecord", false: "unlockedRecord"}[on], rp, i)
	}
}

func (c *graphCall) labelMutation(in map[string]any) (obj, error) {
	rp, i, _, err := c.subject(strArg(in, "labelableId"), permTriage, false)
	if err != nil {
		return nil, err
	}
	names, err := c.labelNamesOf(rp, listArg(in, "labelIds"))
	if err != nil {
		return nil, err
	}
	mutating := c.mutating
	err = c.write(func(t *txn) error {
		switch mutating {
		case "addLabelsToLabelable":
			return t.addLabels(rp, i, c.viewer, names)
		case "clearLabelsFromLabelable":
			return t.setLabels(rp, i, c.viewer, nil)
		}
		for _, n := range names {
			if _, err := t.removeLabel(rp, i, c.viewer, n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.shown("labelable", rp, i)
}

func (c *graphCall) assignMutation(add bool) mutation {
	return func(in map[string]any) (obj, error) {
		rp, i, _, err := c.subject(strArg(in, "assignableId"), permTriage, false)
		if err != nil {
			return nil, err
		}
		logins, err := c.loginsOf(listArg(in, "assigneeIds"))
		if err != nil {
			return nil, err
		}
		err = c.write(func(t *txn) error {
			if !add {
				return t.unassign(rp, i, c.viewer, logins)
			}
			_, err := t.assign(rp, i, c.viewer, logins)
			return err
		})
		if err != nil {
			return nil, err
		}
		return c.shown("assignable", rp, i)
	}
}
