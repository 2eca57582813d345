package local

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *graphCall) label(rp *repo, l *label) (obj, error) {
	return obj{"__typename": "Label", "id": nodeID("LA", l.ID), "name": l.Name, "color": l.Color, "description": orNull(l.Description), "isDefault": false, "createdAt": nil, "updatedAt": nil,
		"url": c.f.web("/%s/pulls?label=%s", rp.fullName(), escapePath(l.Name))}, nil
}

func (c *graphCall) milestone(rp *repo, m *milestone) obj {
	return obj{"__typename": "Milestone", "id": nodeID("MI", m.ID), "number": m.Number, "title": m.Title, "description": orNull(m.Description), "state": upper(m.State),
		"closed": m.State == "closed", "creator": c.actorID(m.CreatorID), "createdAt": m.Created.String(), "updatedAt": m.Updated.String(), "dueOn": m.Due.orNull(), "url": c.f.web("/%s/milestone/%d", rp.fullName(), m.Number)}
}

func (c *graphCall) issueOrPull(rp *repo, i *issue) obj {
	if i.Pull != nil {
		return c.pull(rp, i)
	}
	return c.issue(rp, i)
}

// issueFields holds what issues and pull requests share.
func (c *graphCall) issueFields(rp *repo, i *issue) obj {
	url := c.f.web("/%s/%s/%d", rp.fullName(), i.webKind(), i.Number)
	return with(c.issueExtras(rp, i), obj{
		"databaseId": i.ID, "number": i.Number, "title": i.Title, "body": i.Body, "bodyText": i.Body, "closed": i.State == "closed", "closedAt": i.Closed.orNull(),
		"createdAt": i.Created.String(), "updatedAt": i.Updated.String(), "url": url, "permalink": url, "resourcePath": strings.TrimPrefix(url, c.f.base), "locked": i.Locked,
		"author":     c.actorID(i.AuthorID),
		"repository": lazy(func(map[string]any) (any, error) { return c.repository(rp), nil }),
		"authorAssociation": lazy(func(map[string]any) (any, error) {
			a, err := c.accountID(i.AuthorID)
			if err != nil {
				return nil, err
			}
			return c.association(rp, a)
		}),
		"milestone": lazy(func(map[string]any) (any, error) {
			m, err := one(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.id = ?", i.MilestoneID)
			if err != nil {
				return orNil(nil, err)
			}
			return c.milestone(rp, m), nil
		}),
		"labels": lazy(func(args map[string]any) (any, error) {
			all, err := c.issueLabels(i.ID)
			if err != nil {
				return nil, err
			}
			return connect("labels", args, all, func(l *label) (obj, error) { return c.label(rp, l) })
		}),
		"assignees": lazy(func(args map[string]any) (any, error) {
			all, err := c.assignees(i.ID)
			if err != nil {
				return nil, err
			}
			return connect("assignees", args, all, c.actorOf)
		}),
		"comments": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.issue_id = ? ORDER BY c.id", i.ID)
			if err != nil {
				return nil, err
			}
			return connect("comments", args, all, func(cm *comment) (obj, error) { return c.comment(rp, i, cm), nil })
		}),
	})
}

func (c *graphCall) comment(rp *repo, i *issue, cm *comment) obj {
	return obj{
		"__typename": "IssueComment", "id": nodeID("IC", cm.ID), "databaseId": cm.ID, "author": c.actorID(cm.AuthorID), "body": cm.Body, "createdAt": cm.Created.String(),
		"updatedAt": cm.Updated.String(), "url": c.f.web("/%s/%s/%d#issuecomment-%d", rp.fullName(), i.webKind(), i.Number, cm.ID), "isMinimized": false, "minimizedReason": nil,
		"includesCreatedEdit": cm.Updated != cm.Created, "viewerDidAuthor": cm.AuthorID == c.viewer.ID, "viewerCanUpdate": cm.AuthorID == c.viewer.ID, "viewerCanDelete": cm.AuthorID == c.viewer.ID,
		"reactionGroups": c.reactionGroups("comment", cm.ID),
		"authorAssociation": lazy(func(map[string]any) (any, error) {
			a, err := c.accountID(cm.AuthorID)
			if err != nil {
				return nil, err
			}
			return c.association(rp, a)
		}),
	}
}

func (c *graphCall) issue(rp *repo, i *issue) obj {
	o := c.issueFields(rp, i)
	o["__typename"], o["id"], o["state"] = "Issue", nodeID("I", i.ID), upper(i.State)
	o["stateReason"] = orNull(upper(i.StateReason))
	return o
}

func (c *graphCall) pull(rp *repo, i *issue) obj {
	p := i.Pull
	state := upper(i.State)
	if !p.Merged.IsZero() {
		state = "MERGED"
	}
	var known *verdict
	judged := func(get func(*verdict) any) lazy {
		return func(map[string]any) (any, error) {
			if known == nil {
				v, err := c.f.judge(c.ctx, rp, i)
				if err != nil {
					return nil, err
				}
				known = v
			}
			return get(known), nil
		}
	}
	head := func(get func(*repo) obj) lazy {
		return func(map[string]any) (any, error) {
			h, err := c.headRepo(rp, p)
			if err != nil || h == nil {
				return nil, err
			}
			return get(h), nil
		}
	}
	o := c.issueFields(rp, i)
	maps.Copy(o, c.pullExtras(rp, i))
	maps.Copy(o, obj{
		"__typename": "PullRequest", "id": nodeID("PR", i.ID), "state": state, "merged": state == "MERGED", "isDraft": p.Draft, "isCrossRepository": p.HeadRepoID != rp.ID,
		"maintainerCanModify": p.Modify, "mergedAt": p.Merged.orNull(), "mergedBy": c.actorID(p.MergedBy),
		"baseRefName": p.BaseRef, "baseRefOid": p.BaseSHA, "headRefName": p.HeadRef, "headRefOid": p.HeadSHA,
		"additions": p.Additions, "deletions": p.Deletions, "changedFiles": p.Files, "potentialMergeCommit": nil,
		"baseRepository":      lazy(func(map[string]any) (any, error) { return c.repository(rp), nil }),
		"headRepository":      head(func(h *repo) obj { return c.repository(h) }),
		"headRepositoryOwner": head(func(h *repo) obj { return c.actor(&h.Owner) }),
		"baseRef":             lazy(func(map[string]any) (any, error) { return c.ref(rp, "refs/heads/"+p.BaseRef) }),
		"headRef": lazy(func(map[string]any) (any, error) {
			h, err := c.headRepo(rp, p)
			if err != nil || h == nil {
				return nil, err
			}
			return c.ref(h, "refs/heads/"+p.HeadRef)
		}),
		"mergeCommit": lazy(func(map[string]any) (any, error) {
			if p.MergeSHA == "" {
				return nil, nil
			}
			return c.commitSHA(rp, p.MergeSHA), nil
		}),
		"mergeable": judged(func(v *verdict) any {
			switch {
			case i.State != "open":
				return "UNKNOWN"
			case v.Mergeable:
				return "MERGEABLE"
			}
			return "CONFLICTING"
		}),
		"mergeStateStatus": judged(func(v *verdict) any { return v.State }),
		"reviewDecision":   judged(func(v *verdict) any { return orNull(v.Decision) }),
		"canBeRebased":     judged(func(v *verdict) any { return v.Mergeable }),
		"statusCheckRollup": lazy(func(map[string]any) (any, error) {
			return c.rollup(rp, p.HeadSHA)
		}),
		"commits": lazy(func(args map[string]any) (any, error) {
			all, err := c.f.pullCommits(c.ctx, rp, i)
			if err != nil {
				return nil, err
			}
			return connect("commits", args, all, func(cm *commit) (obj, error) {
				return obj{"__typename": "PullRequestCommit", "id": fmt.Sprintf("PRC_%d_%s", i.ID, cm.SHA), "url": c.f.web("/%s/commit/%s", rp.fullName(), cm.SHA),
					"commit":      c.commit(rp, cm.SHA, func() (*commit, error) { return cm, nil }),
					"pullRequest": lazy(func(map[string]any) (any, error) { return c.pull(rp, i), nil })}, nil
			})
		}),
		"files": lazy(func(args map[string]any) (any, error) {
			all, err := c.f.pullFiles(c.ctx, rp, i, false)
			if err != nil {
				return nil, err
			}
			return connect("files", args, all, func(ch *change) (obj, error) {
				kind := upper(ch.Status)
				if ch.Status == "removed" {
					kind = "DELETED"
				}
				return obj{"path": ch.Path, "additions": ch.Additions, "deletions": ch.Deletions, "changeType": kind}, nil
			})
		}),
		"reviews": lazy(func(args map[string]any) (any, error) {
			return c.reviewList(rp, i, args, "reviews", func(all []review) []review {
				states := listArg(args, "states")
				return slices.DeleteFunc(all, func(v review) bool { return len(states) > 0 && !slices.Contains(states, v.State) })
			})
		}),
		"latestReviews": lazy(func(args map[string]any) (any, error) {
			return c.reviewList(rp, i, args, "latestReviews", func(all []review) []review {
				last := map[int64]int64{}
				for _, v := range all {
					last[v.AuthorID] = v.ID
				}
				return slices.DeleteFunc(all, func(v review) bool { return last[v.AuthorID] != v.ID })
			})
		}),
		"reviewRequests": lazy(func(args map[string]any) (any, error) {
			users, err := c.reviewers(i.ID)
			if err != nil {
				return nil, err
			}
			teams, err := c.reviewTeams(i.ID)
			if err != nil {
				return nil, err
			}
			var all []obj
			for k := range users {
				all = append(all, c.actor(&users[k]))
			}
			for k := range teams {
				all = append(all, c.teamNode(&rp.Owner, &teams[k]))
			}
			return connect("reviewRequests", args, all, func(o *obj) (obj, error) {
				return obj{"__typename": "ReviewRequest", "id": fmt.Sprintf("RR_%d_%v", i.ID, (*o)["id"]), "asCodeOwner": false, "requestedReviewer": *o}, nil
			})
		}),
	})
	return o
}

func (c *graphCall) reviewList(rp *repo, i *issue, args map[string]any, field string, choose func([]review) []review) (any, error) {
	all, err := c.reviews(i.ID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v review) bool { return v.State == "PENDING" && v.AuthorID != c.viewer.ID })
	return connect(field, args, choose(all), func(v *review) (obj, error) {
		return c.review(rp, i, v), nil
	})
}

func (c *graphCall) review(rp *repo, i *issue, v *review) obj {
	at := v.Submitted.String()
	return obj{
		"includesCreatedEdit": false, "viewerDidAuthor": v.AuthorID == c.viewer.ID, "reactionGroups": c.reactionGroups("review", v.ID),
		"comments": lazy(func(args map[string]any) (any, error) {
			all, err := c.reviewComments(i.ID)
			if err != nil {
				return nil, err
			}
			all = slices.DeleteFunc(all, func(rc reviewComment) bool { return rc.ReviewID != v.ID })
			return connect("comments", args, all, func(rc *reviewComment) (obj, error) { return c.diffComment(rp, i, rc), nil })
		}),
		"__typename": "PullRequestReview", "id": nodeID("PRR", v.ID), "databaseId": v.ID, "author": c.actorID(v.AuthorID), "body": v.Body, "createdAt": at, "updatedAt": at,
		"submittedAt": at, "state": v.State, "url": c.f.web("/%s/pull/%d#pullrequestreview-%d", rp.fullName(), i.Number, v.ID), "commit": c.commitSHA(rp, v.SHA),
		"authorAssociation": lazy(func(map[string]any) (any, error) {
			a, err := c.accountID(v.AuthorID)
			if err != nil {
				return nil, err
			}
			return c.association(rp, a)
		}),
	}
}

// issueList resolves Repository.issues and Repository.pullRequests.
func (c *graphCall) issueList(rp *repo, args map[string]any, field string) (any, error) {
	pulls := field == "pullRequests"
	where, vals := "i.repo_id = ? AND i.is_pull = ?", []any{rp.ID, pulls}
	if states := listArg(args, "states"); len(states) > 0 {
		var parts []string
		for _, s := range states {
			switch s {
			case "OPEN":
				parts = append(parts, "i.state = 'open'")
			case "MERGED":
				parts = append(parts, "p.merged > 0")
			case "CLOSED":
				parts = append(parts, "i.state = 'closed' AND coalesce(p.merged,0) = 0")
			}
		}
		where += " AND (" + strings.Join(parts, " OR ") + ")"
	}
	if labels := listArg(args, "labels"); len(labels) > 0 {
		var parts []string
		for _, l := range labels {
			parts = append(parts, "l.name = ?")
			vals = append(vals, l)
		}
		where += " AND EXISTS (SELECT 1 FROM issue_labels x JOIN labels l ON l.id = x.label_id WHERE x.issue_id = i.id AND (" + strings.Join(parts, " OR ") + "))"
	}
	if by, ok := args["filterBy"].(map[string]any); ok {
		var more []any
		var err error
		if where, more, err = c.issueFilter(by, where); err != nil {
			return nil, err
		}
		vals = append(vals, more...)
	}
	for arg, col := range map[string]string{"headRefName": "p.head_ref", "baseRefName": "p.base_ref"} {
		if v := strArg(args, arg); v != "" {
			where, vals = where+" AND "+col+" = ?", append(vals, v)
		}
	}
	order := "i.id ASC"
	if by, ok := args["orderBy"].(map[string]any); ok {
		col := map[string]string{"CREATED_AT": "i.created", "UPDATED_AT": "i.updated", "COMMENTS": "(SELECT count(*) FROM comments c WHERE c.issue_id = i.id)"}[strArg(by, "field")]
		dir := "ASC"
		if strArg(by, "direction") == "DESC" {
			dir = "DESC"
		}
		order = col + " " + dir + ", i.id " + dir
	}
	all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE "+where+" ORDER BY "+order, vals...)
	if err != nil {
		return nil, err
	}
	return connect(field, args, all, func(i *issue) (obj, error) { return c.issueOrPull(rp, i), nil })
}

// issueFilter adds the conditions of a filterBy argument.
func (c *graphCall) issueFilter(by map[string]any, where string) (string, []any, error) {
	var vals []any
	login := func(s string) string {
		if s == "@me" {
			return c.viewer.Login
		}
		return s
	}
	for _, s := range listArg(by, "states") {
		where, vals = where+" AND i.state = ?", append(vals, lower(s))
	}
	for _, l := range listArg(by, "labels") {
		where += " AND EXISTS (SELECT 1 FROM issue_labels x JOIN labels l ON l.id = x.label_id WHERE x.issue_id = i.id AND l.name = ?)"
		vals = append(vals, l)
	}
	switch s := strArg(by, "assignee"); s {
	case "":
	case "*":
		where += " AND EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id)"
	default:
		where, vals = where+" AND EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id AND x.user_id = "+byLogin+")", append(vals, login(s))
	}
	if s := strArg(by, "createdBy"); s != "" {
		where, vals = where+" AND i.author_id = "+byLogin, append(vals, login(s))
	}
	if s := strArg(by, "mentioned"); s != "" {
		where, vals = where+" AND i.body LIKE ? ESCAPE '\\'", append(vals, like("@"+login(s)))
	}
	number := strArg(by, "milestoneNumber")
	if number == "" {
		number = strArg(by, "milestone")
	}
	switch number {
	case "":
	case "*":
		where += " AND i.milestone_id != 0"
	default:
		where, vals = where+" AND i.milestone_id = (SELECT id FROM milestones WHERE repo_id = i.repo_id AND number = ?)", append(vals, number)
	}
	if s := strArg(by, "since"); s != "" {
		c, err := dateCondition(term{Key: "updated", Value: ">=" + s})
		if err != nil {
			return "", nil, err
		}
		where, vals = where+" AND "+c.sql, append(vals, c.args...)
	}
	return where, vals, nil
}
