package local

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file resolves fields that the forge knows little about: features it
// does not have are empty, as they are for a project that does not use them.

// nothing is an empty connection.
func nothing(field string) lazy {
	return func(args map[string]any) (any, error) {
		return connect(field, args, []obj{}, func(o *obj) (obj, error) { return *o, nil })
	}
}

func (c *graphCall) repoExtras(rp *repo) obj {
	flag := func(name string) bool { return rp.Settings.flag(repoDefaults, name) }
	home, _ := rp.Settings["homepage"].(string)
	method := "MERGE"
	switch {
	case rp.AllowMerge:
	case rp.AllowSquash:
		method = "SQUASH"
	default:
		method = "REBASE"
	}
	return obj{
		"hasIssuesEnabled": flag("has_issues"), "hasProjectsEnabled": flag("has_projects"), "hasWikiEnabled": flag("has_wiki"), "hasDiscussionsEnabled": flag("has_discussions"),
		"homepageUrl": orNull(home), "sshUrl": c.f.web("/%s.git", rp.fullName()), "isMirror": false, "mirrorUrl": nil, "isTemplate": flag("is_template"), "isBlankIssuesEnabled": true,
		"isSecurityPolicyEnabled": false, "isUserConfigurationRepository": false, "usesCustomOpenGraphImage": false, "openGraphImageUrl": c.f.web("/static/avatar.svg"),
		"securityPolicyUrl": nil, "diskUsage": 0, "stargazerCount": 0, "autoMergeAllowed": flag("allow_auto_merge"), "archivedAt": nil, "viewerHasStarred": false,
		"viewerSubscription": "UNSUBSCRIBED", "viewerDefaultMergeMethod": method, "viewerDefaultCommitEmail": orNull(c.viewer.Email), "viewerPossibleCommitEmails": []any{},
		"watchers": nothing("watchers"), "stargazers": nothing("stargazers"), "primaryLanguage": nil, "licenseInfo": nil, "codeOfConduct": nil, "contactLinks": []any{}, "fundingLinks": []any{},
		"issueTemplates": []any{}, "pullRequestTemplates": []any{}, "latestRelease": nil, "releases": nothing("releases"), "templateRepository": nil,
		"projects": nothing("projects"), "projectsV2": nothing("projectsV2"),
		"languages": lazy(func(map[string]any) (any, error) {
			return obj{"edges": []any{}, "nodes": []any{}, "totalCount": 0, "totalSize": 0, "pageInfo": obj{"hasNextPage": false, "hasPreviousPage": false, "startCursor": nil, "endCursor": nil}}, nil
		}),
		"forkCount": lazy(func(map[string]any) (any, error) {
			return c.count("SELECT count(*) FROM repos WHERE parent_id = ? AND copying = 0", rp.ID)
		}),
		"forks": lazy(func(args map[string]any) (any, error) {
			return c.repoList("forks", args, "r.parent_id = ?", rp.ID)
		}),
		"repositoryTopics": lazy(func(args map[string]any) (any, error) {
			topics := rp.topics()
			return connect("repositoryTopics", args, topics, func(t *string) (obj, error) {
				return obj{"id": "RT_" + *t, "topic": obj{"id": "T_" + *t, "name": *t}}, nil
			})
		}),
		"pinnedIssues": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND i.pinned > 0 ORDER BY i.pinned", rp.ID)
			if err != nil {
				return nil, err
			}
			return connect("pinnedIssues", args, all, func(i *issue) (obj, error) {
				return obj{"id": nodeID("PI", i.ID), "issue": c.issue(rp, i), "pinnedBy": c.actor(c.viewer), "repository": c.repository(rp)}, nil
			})
		}),
		"milestone": lazy(func(args map[string]any) (any, error) {
			n, _ := intArg(args, "number")
			m, err := one(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND m.number = ?", rp.ID, n)
			if err != nil {
				return orNil(nil, err)
			}
			return c.milestone(rp, m), nil
		}),
		"mentionableUsers": lazy(func(args map[string]any) (any, error) {
			all, err := c.reader.collaborators(rp)
			if err != nil {
				return nil, err
			}
			return connect("mentionableUsers", args, all, c.actorOf)
		}),
	}
}

// repoList is a connection of the repositories that meet a condition and that the viewer may read.
func (c *graphCall) repoList(field string, args map[string]any, where string, vals ...any) (any, error) {
	order := "r.name, r.id"
	if by, ok := args["orderBy"].(map[string]any); ok {
		col := map[string]string{"CREATED_AT": "r.created", "UPDATED_AT": "r.updated", "PUSHED_AT": "r.pushed", "NAME": "r.name", "STARGAZERS": "r.id"}[strArg(by, "field")]
		order = col + map[string]string{"DESC": " DESC", "ASC": " ASC"}[strArg(by, "direction")] + ", r.id"
	}
	if fork, ok := args["isFork"].(bool); ok {
		where += map[bool]string{true: " AND r.parent_id != 0", false: " AND r.parent_id = 0"}[fork]
	}
	switch strArg(args, "privacy") {
	case "PRIVATE":
		where += " AND r.private"
	case "PUBLIC":
		where += " AND NOT r.private"
	}
	all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.copying = 0 AND "+where+" ORDER BY "+order, vals...)
	if err != nil {
		return nil, err
	}
	if all, err = c.visible(all, c.viewer); err != nil {
		return nil, err
	}
	return connect(field, args, all, func(rp *repo) (obj, error) { return c.repository(rp), nil })
}

// reactionNodes are the names of reactions in GraphQL.
var reactionNodes = map[string]string{"+1": "THUMBS_UP", "-1": "THUMBS_DOWN", "laugh": "LAUGH", "hooray": "HOORAY", "confused": "CONFUSED", "heart": "HEART", "rocket": "ROCKET", "eyes": "EYES"}

func (c *graphCall) reactionGroups(target string, id int64) lazy {
	return func(map[string]any) (any, error) {
		all, err := list(c.reader, scanReaction, "SELECT "+reactionCols+" FROM reactions e WHERE e.target = ? AND e.target_id = ?", target, id)
		if err != nil {
			return nil, err
		}
		out := []any{}
		for _, name := range reactionNames {
			n, mine := 0, false
			for _, v := range all {
				if v.Content == name {
					n++
					mine = mine || v.UserID == c.viewer.ID
				}
			}
			out = append(out, obj{"content": reactionNodes[name], "users": obj{"totalCount": n}, "reactors": obj{"totalCount": n}, "viewerHasReacted": mine})
		}
		return out, nil
	}
}

// issueExtras belong to issues and pull requests alike.
func (c *graphCall) issueExtras(rp *repo, i *issue) obj {
	return obj{
		"activeLockReason": orNull(strings.ReplaceAll(strings.ReplaceAll(upper(i.LockReason), "-", "_"), " ", "_")), "isPinned": !i.Pinned.IsZero(), "viewerDidAuthor": i.AuthorID == c.viewer.ID,
		"viewerCanUpdate": lazy(func(map[string]any) (any, error) {
			p, err := c.permission(rp, c.viewer)
			return p >= permTriage || i.AuthorID == c.viewer.ID, err
		}),
		"reactionGroups": c.reactionGroups("issue", i.ID), "projectCards": nothing("projectCards"), "projectItems": nothing("projectItems"), "linkedBranches": nothing("linkedBranches"),
		"participants": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.id = ? OR a.id IN (SELECT author_id FROM comments WHERE issue_id = ?) ORDER BY a.id", i.AuthorID, i.ID)
			if err != nil {
				return nil, err
			}
			return connect("participants", args, all, c.actorOf)
		}),
	}
}

func (c *graphCall) pullExtras(rp *repo, i *issue) obj {
	return obj{
		"viewerLatestReviewRequest": nil, "viewerMergeBodyText": i.Title, "viewerCanMergeAsAdmin": false, "viewerCanUpdateBranch": false, "autoMergeRequest": nil,
		"viewerMergeHeadlineText": fmt.Sprintf("Merge pull request #%d from %s/%s", i.Number, rp.Owner.Login, i.Pull.HeadRef), "isInMergeQueue": false, "isMergeQueueEnabled": false,
		"closingIssuesReferences": nothing("closingIssuesReferences"),
		"reviewThreads": lazy(func(args map[string]any) (any, error) {
			all, err := c.reviewComments(i.ID)
			if err != nil {
				return nil, err
			}
			threads := map[int64][]reviewComment{}
			var firsts []reviewComment
			for _, rc := range all {
				root := rc.ReplyTo
				if root == 0 {
					root = rc.ID
					firsts = append(firsts, rc)
				}
				threads[root] = append(threads[root], rc)
			}
			return connect("reviewThreads", args, firsts, func(first *reviewComment) (obj, error) {
				return obj{
					"__typename": "PullRequestReviewThread", "id": nodeID("PRRT", first.ID), "isResolved": false, "isOutdated": false, "isCollapsed": false, "path": first.Path, "line": orZeroInt(first.Line),
					"comments": lazy(func(args map[string]any) (any, error) {
						return connect("comments", args, threads[first.ID], func(rc *reviewComment) (obj, error) { return c.diffComment(rp, i, rc), nil })
					}),
				}, nil
			})
		}),
	}
}

func orZeroInt(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func (c *graphCall) diffComment(rp *repo, i *issue, rc *reviewComment) obj {
	o := obj{
		"__typename": "PullRequestReviewComment", "id": nodeID("PRRC", rc.ID), "databaseId": rc.ID, "author": c.actorID(rc.AuthorID), "body": rc.Body, "createdAt": rc.Created.String(), "updatedAt": rc.Updated.String(),
		"url": c.f.web("/%s/pull/%d#discussion_r%d", rp.fullName(), i.Number, rc.ID), "path": rc.Path, "position": orZeroInt(rc.Position), "line": orZeroInt(rc.Line), "originalLine": orZeroInt(rc.Line),
		"startLine": orZeroInt(rc.StartLine), "diffHunk": rc.Hunk, "commit": c.commitSHA(rp, rc.SHA), "replyTo": nil, "pullRequestReview": nil,
		"authorAssociation": lazy(func(map[string]any) (any, error) {
			a, err := c.accountID(rc.AuthorID)
			if err != nil {
				return nil, err
			}
			return c.association(rp, a)
		}),
	}
	if rc.ReplyTo != 0 {
		o["replyTo"] = lazy(func(map[string]any) (any, error) {
			orig, err := c.replyTarget(rc.ReplyTo, i.ID)
			if err != nil {
				return nil, err
			}
			return c.diffComment(rp, i, orig), nil
		})
	}
	return o
}

// accountExtras belong to people and organisations.
func (c *graphCall) accountExtras(a *account) obj {
	return obj{
		"bio": nil, "company": nil, "location": nil, "projects": nothing("projects"), "projectsV2": nothing("projectsV2"),
		"description": orNull(a.description()),
		"status": lazy(func(map[string]any) (any, error) {
			busy, _ := a.Settings["busy"].(bool)
			message, _ := a.Settings["status"].(string)
			if !busy && message == "" {
				return nil, nil
			}
			at := a.Created.String()
			return obj{"id": nodeID("US", a.ID), "indicatesLimitedAvailability": busy, "message": orNull(message), "emoji": nil, "createdAt": at, "updatedAt": at, "expiresAt": nil, "user": c.actor(a)}, nil
		}),
		"repository": lazy(func(args map[string]any) (any, error) {
			rp, err := c.reader.repo(a.Login, strArg(args, "name"))
			if err == nil {
				var p permission
				if p, err = c.permission(rp, c.viewer); err == nil && p < permRead {
					err = errNotFound
				}
			}
			if err != nil {
				return orNil(nil, err)
			}
			return c.repository(rp), nil
		}),
		"organizations": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.org_id = a.id WHERE m.user_id = ? ORDER BY a.login", a.ID)
			if err != nil {
				return nil, err
			}
			return connect("organizations", args, all, c.actorOf)
		}),
		"organization": lazy(func(args map[string]any) (any, error) {
			org, err := c.org(strArg(args, "login"))
			if err == nil {
				var role string
				if role, err = c.orgRole(org.ID, a.ID); err == nil && role == "" {
					err = errNotFound
				}
			}
			if err != nil {
				return orNil(nil, err)
			}
			return c.actor(org), nil
		}),
		"issues": lazy(func(args map[string]any) (any, error) {
			hits, err := c.search("is:issue author:"+a.Login, c.viewer, "", "")
			if err != nil {
				return nil, err
			}
			return connect("issues", args, hits, func(h *found) (obj, error) { return c.issueOrPull(h.repo, &h.issue), nil })
		}),
		"pendingMembers": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN org_invitations n ON n.user_id = a.id WHERE n.org_id = ? AND n.failed = 0 ORDER BY a.login", a.ID)
			if err != nil {
				return nil, err
			}
			return connect("pendingMembers", args, all, c.actorOf)
		}),
		"team": lazy(func(args map[string]any) (any, error) {
			t, err := c.reader.team(a.ID, strArg(args, "slug"))
			if err != nil {
				return orNil(nil, err)
			}
			return c.teamNode(a, t), nil
		}),
		"teams": lazy(func(args map[string]any) (any, error) {
			return c.teamList(a, args, "teams", "t.org_id = ?", a.ID)
		}),
	}
}

func (c *graphCall) teamList(org *account, args map[string]any, field, where string, vals ...any) (any, error) {
	all, err := list(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE "+where+" ORDER BY t.slug", vals...)
	if err != nil {
		return nil, err
	}
	if q := lower(strArg(args, "query")); q != "" {
		all = slices.DeleteFunc(all, func(t team) bool { return !strings.Contains(lower(t.Name+" "+t.Slug), q) })
	}
	return connect(field, args, all, func(t *team) (obj, error) { return c.teamNode(org, t), nil })
}

func (c *graphCall) teamNode(org *account, t *team) obj {
	privacy := "VISIBLE"
	if t.Privacy == "secret" {
		privacy = "SECRET"
	}
	return obj{
		"__typename": "Team", "id": nodeID("T", t.ID), "databaseId": t.ID, "name": t.Name, "slug": t.Slug, "combinedSlug": org.Login + "/" + t.Slug, "description": orNull(t.Description),
		"privacy": privacy, "url": c.f.web("/orgs/%s/teams/%s", org.Login, t.Slug), "resourcePath": fmt.Sprintf("/orgs/%s/teams/%s", org.Login, t.Slug),
		"organization": lazy(func(map[string]any) (any, error) { return c.actor(org), nil }),
		"parentTeam": lazy(func(map[string]any) (any, error) {
			if t.ParentID == 0 {
				return nil, nil
			}
			p, err := c.teamID(t.ParentID)
			if err != nil {
				return orNil(nil, err)
			}
			return c.teamNode(org, p), nil
		}),
		"members": lazy(func(args map[string]any) (any, error) {
			return c.memberList("members", args, "SELECT "+accountCols+", upper("+teamRole+") FROM accounts a JOIN team_members m ON m.user_id = a.id JOIN teams t ON t.id = m.team_id WHERE t.id = ? ORDER BY a.login", t.ID)
		}),
		"repositories": lazy(func(args map[string]any) (any, error) {
			return c.repoList("repositories", args, "r.id IN (SELECT repo_id FROM team_repos WHERE team_id = ?)", t.ID)
		}),
		"childTeams": lazy(func(args map[string]any) (any, error) {
			return c.teamList(org, args, "childTeams", "t.parent_id = ?", t.ID)
		}),
	}
}

// memberList is a connection of accounts whose edges carry a role.
func (c *graphCall) memberList(field string, args map[string]any, query string, vals ...any) (any, error) {
	type row struct {
		account
		role string
	}
	all, err := list(c.reader, func(s scanner, v *row) error { return s.Scan(append(v.fields(), &v.role)...) }, query, vals...)
	if err != nil {
		return nil, err
	}
	if want := strArg(args, "role"); want != "" {
		all = slices.DeleteFunc(all, func(v row) bool { return v.role != want })
	}
	return connect(field, args, all, func(v *row) (obj, error) {
		o := c.actor(&v.account)
		o["role"] = v.role
		return o, nil
	})
}

// blame attributes the lines of a file.
func (c *graphCall) blame(rp *repo, sha, file string) (any, error) {
	ranges, err := c.f.bare(rp.ID).blame(c.ctx, sha, file)
	if err != nil {
		if errors.Is(err, errNoObject) {
			return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve file for path '%s'.", truncate(file, 100))}
		}
		return nil, err
	}
	out := []any{}
	for _, r := range ranges {
		out = append(out, obj{"age": 1, "startingLine": r.Start, "endingLine": r.End, "commit": c.commitSHA(rp, r.SHA)})
	}
	return obj{"ranges": out}, nil
}

func (c *graphCall) commitExtras(rp *repo, sha string, load func() (*commit, error), actor func(signature) obj) obj {
	size := func(get func(stats) int) lazy {
		return func(map[string]any) (any, error) {
			cm, err := load()
			if err != nil {
				return nil, err
			}
			parent := ""
			if len(cm.Parents) > 0 {
				parent = cm.Parents[0]
			}
			files, err := c.f.bare(rp.ID).diff(c.ctx, parent, sha, false)
			s := stats{Files: len(files)}
			for _, f := range files {
				s.Additions, s.Deletions = s.Additions+f.Additions, s.Deletions+f.Deletions
			}
			return get(s), err
		}
	}
	return obj{
		"additions": size(func(s stats) int { return s.Additions }), "deletions": size(func(s stats) int { return s.Deletions }), "changedFilesIfAvailable": size(func(s stats) int { return s.Files }),
		"blame": lazy(func(args map[string]any) (any, error) { return c.blame(rp, sha, strArg(args, "path")) }),
		"authors": lazy(func(args map[string]any) (any, error) {
			cm, err := load()
			if err != nil {
				return nil, err
			}
			return connect("authors", args, []signature{cm.Author}, func(s *signature) (obj, error) { return actor(*s), nil })
		}),
	}
}

// with joins objects; later ones win.
func with(parts ...obj) obj {
	out := obj{}
	for _, p := range parts {
		maps.Copy(out, p)
	}
	return out
}
