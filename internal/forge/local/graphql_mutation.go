package local

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// mutation answers with the fields of its payload, clientMutationId left out.
type mutation func(in map[string]any) (obj, error)

// mutationRoot offers what clients do through GraphQL; each field ends in the
// same transactions as its REST counterpart.
func (c *graphCall) mutationRoot() obj {
	root := obj{}
	for name, do := range map[string]mutation{
		"addComment": c.addComment, "updateIssueComment": c.updateComment, "deleteIssueComment": c.removeComment,
		"closePullRequest": c.stateOf("pullRequestId", "pullRequest", "closed"), "reopenPullRequest": c.stateOf("pullRequestId", "pullRequest", "open"),
		"closeIssue": c.stateOf("issueId", "issue", "closed"), "reopenIssue": c.stateOf("issueId", "issue", "open"),
		"convertPullRequestToDraft": c.draft(true), "markPullRequestReadyForReview": c.draft(false),
		"mergePullRequest": c.mergeMutation, "updatePullRequestBranch": c.updateBranchMutation, "createPullRequest": c.createPullMutation,
		"updatePullRequest": c.updateIssueMutation("pullRequestId", "pullRequest"), "updateIssue": c.updateIssueMutation("id", "issue"),
		"createIssue": c.createIssueMutation, "deleteIssue": c.deleteIssueMutation, "transferIssue": c.transferMutation,
		"pinIssue": c.pin(true), "unpinIssue": c.pin(false), "lockLockable": c.lock(true), "unlockLockable": c.lock(false),
		"requestReviews": c.requestReviewsMutation, "addPullRequestReview": c.addReviewMutation, "dismissPullRequestReview": c.dismissMutation,
		"addLabelsToLabelable": c.labelMutation, "removeLabelsFromLabelable": c.labelMutation, "clearLabelsFromLabelable": c.labelMutation,
		"archiveRepository": c.archive(true), "unarchiveRepository": c.archive(false), "changeUserStatus": c.changeStatus,
		"addAssigneesToAssignable": c.assignMutation(true), "removeAssigneesFromAssignable": c.assignMutation(false),
	} {
		root[name] = lazy(func(args map[string]any) (any, error) {
			in, _ := args["input"].(map[string]any)
			c.mutating = name
			o, err := do(in)
			if err != nil {
				return nil, err
			}
			o["clientMutationId"] = in["clientMutationId"]
			return o, nil
		})
	}
	return root
}

func (c *graphCall) denied() error {
	return &graphError{"FORBIDDEN", c.viewer.Login + " does not have the correct permissions to execute `" + strings.ToUpper(c.mutating[:1]) + c.mutating[1:] + "`"}
}

// subject finds the issue or pull request of a global id for somebody with a
// permission; own admits its author too.
func (c *graphCall) subject(id string, need permission, own bool) (*repo, *issue, permission, error) {
	rp, i, err := c.issueNode(id)
	if err != nil {
		return nil, nil, permNone, err
	}
	p, err := c.permission(rp, c.viewer)
	if err != nil {
		return nil, nil, permNone, err
	}
	name := "issues"
	if i.Pull != nil {
		name = "pull_requests"
	}
	if c.mutating == "mergePullRequest" {
		name = "contents"
	}
	if c.viewer.grant != nil && !c.viewer.grant.reaches(rp) || !c.viewer.grant.allows(name, "write") && !(name != "contents" && c.viewer.grant.allows("issues", "write")) {
		return nil, nil, permNone, &graphError{"FORBIDDEN", "Resource not accessible by integration"}
	}
	if p < need && !(own && i.AuthorID == c.viewer.ID) {
		return nil, nil, permNone, c.denied()
	}
	if rp.Archived {
		return nil, nil, permNone, &graphError{"FORBIDDEN", "Repository was archived so is read-only."}
	}
	return rp, i, p, nil
}

func (c *graphCall) write(do func(t *txn) error) error { return c.f.write(c.ctx, do) }

// shown reads an issue again and renders it under a field.
func (c *graphCall) shown(field string, rp *repo, i *issue) (obj, error) {
	i, err := c.issueID(i.ID)
	if err != nil {
		return nil, err
	}
	return obj{field: c.issueOrPull(rp, i)}, nil
}

func (c *graphCall) addComment(in map[string]any) (obj, error) {
	rp, i, p, err := c.subject(strArg(in, "subjectId"), permRead, true)
	if err != nil {
		return nil, err
	}
	if i.Locked && p < permWrite {
		return nil, &graphError{"FORBIDDEN", "Unable to create comment because issue is locked."}
	}
	var cm *comment
	err = c.write(func(t *txn) error {
		cm, err = t.addComment(rp, i, c.viewer, strArg(in, "body"))
		return err
	})
	if err != nil {
		return nil, err
	}
	return obj{"subject": c.issueOrPull(rp, i), "commentEdge": obj{"cursor": cursor(1), "node": c.comment(rp, i, cm)}}, nil
}

// commentNode finds a comment by global id, for its author and people with write access.
func (c *graphCall) commentNode(id string) (*repo, *issue, *comment, error) {
	n, err := numberOf(id, "IC")
	if err != nil {
		return nil, nil, nil, err
	}
	cm, err := one(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.id = ?", n)
	if errors.Is(err, errNotFound) {
		return nil, nil, nil, missingNode(id)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	i, err := c.issueID(cm.IssueID)
	if err != nil {
		return nil, nil, nil, err
	}
	rp, i, p, err := c.subject(issueNodeID(i), permRead, true)
	if err == nil && cm.AuthorID != c.viewer.ID && p < permWrite {
		err = c.denied()
	}
	return rp, i, cm, err
}

func issueNodeID(i *issue) string {
	if i.Pull != nil {
		return nodeID("PR", i.ID)
	}
	return nodeID("I", i.ID)
}

func missingNode(id string) error {
	return &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", truncate(id, 80))}
}

// numberOf takes the number out of a global id of a kind.
func numberOf(id, kind string) (int64, error) {
	num, ok := strings.CutPrefix(id, kind+"_")
	n, err := strconv.ParseInt(num, 10, 64)
	if !ok || err != nil {
		return 0, missingNode(id)
	}
	return n, nil
}

func (c *graphCall) updateComment(in map[string]any) (obj, error) {
	rp, i, cm, err := c.commentNode(strArg(in, "id"))
	if err != nil {
		return nil, err
	}
	if err := c.write(func(t *txn) error { return t.editComment(rp, i, cm, c.viewer, strArg(in, "body")) }); err != nil {
		return nil, err
	}
	return obj{"issueComment": c.comment(rp, i, cm)}, nil
}

func (c *graphCall) removeComment(in map[string]any) (obj, error) {
	rp, i, cm, err := c.commentNode(strArg(in, "id"))
	if err != nil {
		return nil, err
	}
	return obj{}, c.write(func(t *txn) error { return t.deleteComment(rp, i, cm, c.viewer) })
}

// repoNode finds a repository by global id.
func (c *graphCall) repoNode(id string) (*repo, permission, error) {
	n, err := numberOf(id, "R")
	if err != nil {
		return nil, permNone, err
	}
	rp, err := c.repoID(n)
	if errors.Is(err, errNotFound) {
		return nil, permNone, missingNode(id)
	}
	if err != nil {
		return nil, permNone, err
	}
	p, err := c.permission(rp, c.viewer)
	if err == nil && p < permRead {
		err = missingNode(id)
	}
	return rp, p, err
}

// labelNamesOf turns global ids of labels of a repository into names.
func (c *graphCall) labelNamesOf(rp *repo, ids []string) ([]string, error) {
	var names []string
	for _, id := range ids {
		n, err := numberOf(id, "LA")
		if err != nil {
			return nil, err
		}
		l, err := one(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND l.id = ?", rp.ID, n)
		if errors.Is(err, errNotFound) {
			return nil, missingNode(id)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, l.Name)
	}
	return names, nil
}

func (c *graphCall) loginsOf(ids []string) ([]string, error) {
	var logins []string
	for _, id := range ids {
		n, err := numberOf(id, "U")
		if err != nil {
			return nil, err
		}
		a, err := c.accountID(n)
		if err != nil {
			return nil, err
		}
		if a.ID == 0 {
			return nil, missingNode(id)
		}
		logins = append(logins, a.Login)
	}
	return logins, nil
}

// milestoneOf returns the number of a milestone by global id, 0 for none.
func (c *graphCall) milestoneOf(rp *repo, id string) (int, error) {
	if id == "" {
		return 0, nil
	}
	n, err := numberOf(id, "MI")
	if err != nil {
		return 0, err
	}
	m, err := one(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.id = ? AND m.repo_id = ?", n, rp.ID)
	if errors.Is(err, errNotFound) {
		return 0, missingNode(id)
	}
	if err != nil {
		return 0, err
	}
	return m.Number, nil
}

func (c *graphCall) archive(on bool) mutation {
	return func(in map[string]any) (obj, error) {
		rp, p, err := c.repoNode(strArg(in, "repositoryId"))
		if err != nil {
			return nil, err
		}
		if p < permAdmin || !c.viewer.grant.allows("administration", "write") {
			return nil, c.denied()
		}
		if rp.Archived != on {
			rp.Archived = on
			err = c.write(func(t *txn) error {
				return t.saveRepo(rp, c.viewer, map[bool]string{true: "archived", false: "unarchived"}[on], obj{"changes": obj{}})
			})
		}
		return obj{"repository": c.repository(rp)}, err
	}
}

// changeStatus says whether the viewer is busy.
func (c *graphCall) changeStatus(in map[string]any) (obj, error) {
	if c.viewer.grant != nil {
		return nil, c.denied()
	}
	a := *c.viewer
	a.Settings = with(a.Settings)
	a.Settings["busy"], _ = in["limitedAvailability"].(bool)
	a.Settings["status"] = truncate(strArg(in, "message"), 80)
	err := c.write(func(t *txn) error {
		_, err := t.exec("UPDATE accounts SET settings = ? WHERE id = ?", a.Settings, a.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return obj{"status": c.accountExtras(&a)["status"]}, nil
}
