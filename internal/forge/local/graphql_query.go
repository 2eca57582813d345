package local

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func upper(s string) string { return strings.ToUpper(s) }

// orNil turns "not found" into null.
func orNil(o obj, err error) (any, error) {
	if errors.Is(err, errNotFound) || errors.Is(err, errNoObject) {
		return nil, nil
	}
	if err != nil || o == nil {
		return nil, err
	}
	return o, nil
}

func (w when) orNull() any {
	if w.IsZero() {
		return nil
	}
	return w.String()
}

func (c *graphCall) queryRoot() obj {
	return obj{
		"viewer": c.actor(c.viewer),
		"user": lazy(func(args map[string]any) (any, error) {
			a, err := c.account(strArg(args, "login"))
			if errors.Is(err, errNotFound) || err == nil && a.Kind != kindUser {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a User with the login of '%s'.", strArg(args, "login"))}
			}
			if err != nil {
				return nil, err
			}
			return c.actor(a), nil
		}),
		"organization": lazy(func(args map[string]any) (any, error) {
			a, err := c.org(strArg(args, "login"))
			if errors.Is(err, errNotFound) {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to an Organization with the login of '%s'.", strArg(args, "login"))}
			}
			if err != nil {
				return nil, err
			}
			return c.actor(a), nil
		}),
		"repositoryOwner": lazy(func(args map[string]any) (any, error) {
			a, err := c.account(strArg(args, "login"))
			if err != nil {
				return orNil(nil, err)
			}
			return c.actor(a), nil
		}),
		"repository": lazy(func(args map[string]any) (any, error) {
			owner, name := strArg(args, "owner"), strArg(args, "name")
			rp, err := c.reader.repo(owner, name)
			if err == nil {
				var p permission
				if p, err = c.permission(rp, c.viewer); err == nil && p < permRead {
					err = errNotFound
				}
			}
			if errors.Is(err, errNotFound) {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a Repository with the name '%s/%s'.", owner, name)}
			}
			if err != nil {
				return nil, err
			}
			return c.repository(rp), nil
		}),
		"__schema": lazy(func(map[string]any) (any, error) { return c.schemaObj(), nil }),
		"__type":   lazy(c.typeByName),
		"resource": lazy(c.resource),
		"search":   lazy(c.searchField),
		"node":     lazy(func(args map[string]any) (any, error) { return c.node(strArg(args, "id")) }),
		"nodes": lazy(func(args map[string]any) (any, error) {
			var out []any
			for _, id := range listArg(args, "ids") {
				o, err := c.node(id)
				if err != nil {
					return nil, err
				}
				out = append(out, o)
			}
			return out, nil
		}),
		"rateLimit": lazy(func(map[string]any) (any, error) {
			s, _ := c.f.rates.spend((&caller{account: c.viewer}).who(), "graphql", 0)
			return obj{"cost": 1, "limit": s.Limit, "nodeCount": 0, "remaining": s.Remaining, "used": s.Used, "resetAt": when{s.Reset}.String()}, nil
		}),
	}
}

// node finds an object by its global id.
func (c *graphCall) node(id string) (any, error) {
	kind, num, _ := strings.Cut(id, "_")
	n, err := strconv.ParseInt(num, 10, 64)
	missing := &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", truncate(id, 80))}
	if err != nil {
		return nil, missing
	}
	var o obj
	switch kind {
	case "PR", "I":
		rp, i, err := c.issueNode(id)
		if err != nil {
			return nil, err
		}
		o = c.issueOrPull(rp, i)
	case "R":
		rp, rerr := c.repoID(n)
		if rerr == nil {
			var p permission
			if p, rerr = c.permission(rp, c.viewer); rerr == nil && p < permRead {
				rerr = errNotFound
			}
			o = c.repository(rp)
		}
		err = rerr
	case "U", "O":
		a, aerr := c.accountID(n)
		if aerr == nil && a.ID == 0 {
			aerr = errNotFound
		}
		if aerr == nil {
			o = c.actor(a)
		}
		err = aerr
	default:
		return nil, missing
	}
	if errors.Is(err, errNotFound) {
		return nil, missing
	}
	return o, err
}

// issueNode finds an issue or pull request by global id.
func (c *graphCall) issueNode(id string) (*repo, *issue, error) {
	missing := &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", truncate(id, 80))}
	kind, num, _ := strings.Cut(id, "_")
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || kind != "PR" && kind != "I" {
		return nil, nil, missing
	}
	i, err := c.issueID(n)
	if errors.Is(err, errNotFound) {
		return nil, nil, missing
	}
	if err != nil {
		return nil, nil, err
	}
	rp, err := c.repoID(i.RepoID)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.permission(rp, c.viewer)
	if err == nil && p < permRead {
		err = missing
	}
	return rp, i, err
}

// actor renders a user, bot or organisation.
func (c *graphCall) actor(a *account) obj {
	if a == nil || a.ID == 0 {
		return nil
	}
	kind, id := a.Kind, "U"
	if kind == kindOrg {
		id = "O"
	}
	return with(c.accountExtras(a), obj{
		"__typename": kind, "id": nodeID(id, a.ID), "databaseId": a.ID, "login": a.Login, "name": orNull(a.Name), "email": a.Email,
		"avatarUrl": c.f.web("/static/avatar.svg"), "resourcePath": "/" + a.Login, "url": c.f.web("/%s", a.Login), "createdAt": a.Created.String(),
		"isSiteAdmin": a.Admin, "isViewer": a.ID == c.viewer.ID,
		"viewerCanAdminister": lazy(func(map[string]any) (any, error) {
			role, err := c.orgRole(a.ID, c.viewer.ID)
			return role == "admin", err
		}),
		"membersWithRole": lazy(func(args map[string]any) (any, error) {
			return c.memberList("membersWithRole", args, "SELECT "+accountCols+", upper(m.role) FROM accounts a JOIN members m ON m.user_id = a.id WHERE m.org_id = ? ORDER BY a.login", a.ID)
		}),
		"repositories": lazy(func(args map[string]any) (any, error) {
			return c.repoList("repositories", args, "r.owner_id = ?", a.ID)
		}),
	})
}

func (c *graphCall) actorOf(a *account) (obj, error) { return c.actor(a), nil }

func (c *graphCall) actorID(id int64) lazy {
	return func(map[string]any) (any, error) {
		if id == 0 {
			return nil, nil
		}
		a, err := c.accountID(id)
		if err != nil {
			return nil, err
		}
		if o := c.actor(a); o != nil {
			return o, nil
		}
		return nil, nil
	}
}

func (c *graphCall) repository(rp *repo) obj {
	visibility := "PUBLIC"
	if rp.Private {
		visibility = "PRIVATE"
	}
	viewerPerm := func() (permission, error) { return c.permission(rp, c.viewer) }
	return with(c.repoExtras(rp), obj{
		"__typename": "Repository", "id": nodeID("R", rp.ID), "databaseId": rp.ID, "name": rp.Name, "nameWithOwner": rp.fullName(), "owner": c.actor(&rp.Owner),
		"description": orNull(rp.Description), "url": c.f.web("/%s", rp.fullName()), "resourcePath": "/" + rp.fullName(), "isPrivate": rp.Private, "isArchived": rp.Archived,
		"isFork": rp.ParentID != 0, "isDisabled": false, "isInOrganization": rp.Owner.Kind == kindOrg, "visibility": visibility,
		"createdAt": rp.Created.String(), "updatedAt": rp.Updated.String(), "pushedAt": rp.Pushed.orNull(),
		"mergeCommitAllowed": rp.AllowMerge, "squashMergeAllowed": rp.AllowSquash, "rebaseMergeAllowed": rp.AllowRebase, "deleteBranchOnMerge": rp.DeleteBranch,
		"isEmpty": lazy(func(map[string]any) (any, error) {
			n, err := c.count("SELECT count(*) FROM refs WHERE repo_id = ?", rp.ID)
			return n == 0, err
		}),
		"viewerPermission": lazy(func(map[string]any) (any, error) {
			p, err := viewerPerm()
			return upper(p.String()), err
		}),
		"viewerCanAdminister": lazy(func(map[string]any) (any, error) {
			p, err := viewerPerm()
			return p == permAdmin, err
		}),
		"parent": lazy(func(map[string]any) (any, error) {
			parent, err := c.repoID(rp.ParentID)
			if err != nil {
				return orNil(nil, err)
			}
			return c.repository(parent), nil
		}),
		"defaultBranchRef": lazy(func(map[string]any) (any, error) { return c.ref(rp, "refs/heads/"+rp.DefaultBranch) }),
		"ref": lazy(func(args map[string]any) (any, error) {
			name := strArg(args, "qualifiedName")
			if !strings.HasPrefix(name, "refs/") {
				if o, err := c.ref(rp, "refs/heads/"+name); o != nil || err != nil {
					return o, err
				}
				return c.ref(rp, "refs/tags/"+name)
			}
			return c.ref(rp, name)
		}),
		"refs": lazy(func(args map[string]any) (any, error) {
			rows, err := c.refsLike(rp.ID, strArg(args, "refPrefix"))
			if err != nil {
				return nil, err
			}
			if q := strArg(args, "query"); q != "" {
				rows = slices.DeleteFunc(rows, func(r refRow) bool { return !strings.Contains(lower(r.Name), lower(q)) })
			}
			return connect("refs", args, rows, func(r *refRow) (obj, error) { return c.refObj(rp, *r), nil })
		}),
		"object": lazy(func(args map[string]any) (any, error) {
			rev := strArg(args, "oid")
			if rev == "" {
				rev = strArg(args, "expression")
			}
			return orNil(c.gitObject(rp, rev))
		}),
		"issue": lazy(func(args map[string]any) (any, error) {
			n, _ := intArg(args, "number")
			i, err := c.reader.issue(rp.ID, n)
			if err == nil && i.Pull != nil {
				err = errNotFound
			}
			if errors.Is(err, errNotFound) {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to an Issue with the number of %d.", n)}
			}
			if err != nil {
				return nil, err
			}
			return c.issue(rp, i), nil
		}),
		"pullRequest": lazy(func(args map[string]any) (any, error) {
			n, _ := intArg(args, "number")
			i, err := c.reader.pull(rp.ID, n)
			if errors.Is(err, errNotFound) {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a PullRequest with the number of %d.", n)}
			}
			if err != nil {
				return nil, err
			}
			return c.pull(rp, i), nil
		}),
		"issueOrPullRequest": lazy(func(args map[string]any) (any, error) {
			n, _ := intArg(args, "number")
			i, err := c.reader.issue(rp.ID, n)
			if errors.Is(err, errNotFound) {
				return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to an issue or pull request with the number of %d.", n)}
			}
			if err != nil {
				return nil, err
			}
			return c.issueOrPull(rp, i), nil
		}),
		"issues":       lazy(func(args map[string]any) (any, error) { return c.issueList(rp, args, "issues") }),
		"pullRequests": lazy(func(args map[string]any) (any, error) { return c.issueList(rp, args, "pullRequests") }),
		"label": lazy(func(args map[string]any) (any, error) {
			l, err := c.reader.label(rp.ID, strArg(args, "name"))
			if err != nil {
				return orNil(nil, err)
			}
			return c.label(rp, l)
		}),
		"labels": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND l.name LIKE ? ESCAPE '\\' ORDER BY "+orderOf(args, map[string]string{"NAME": "l.name", "CREATED_AT": "l.id"}, "l.name"), rp.ID, like(strArg(args, "query")))
			if err != nil {
				return nil, err
			}
			return connect("labels", args, all, func(l *label) (obj, error) { return c.label(rp, l) })
		}),
		"milestones": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? ORDER BY "+orderOf(args, map[string]string{"NUMBER": "m.number", "CREATED_AT": "m.id", "DUE_DATE": "m.due", "UPDATED_AT": "m.updated"}, "m.number"), rp.ID)
			if err != nil {
				return nil, err
			}
			if states := listArg(args, "states"); len(states) > 0 {
				all = slices.DeleteFunc(all, func(m milestone) bool { return !slices.Contains(states, upper(m.State)) })
			}
			return connect("milestones", args, all, func(m *milestone) (obj, error) { return c.milestone(rp, m), nil })
		}),
		"assignableUsers": lazy(func(args map[string]any) (any, error) {
			all, err := c.reader.collaborators(rp)
			if err != nil {
				return nil, err
			}
			if q := strArg(args, "query"); q != "" {
				all = slices.DeleteFunc(all, func(a account) bool { return !strings.Contains(lower(a.Login+" "+a.Name), lower(q)) })
			}
			return connect("assignableUsers", args, all, c.actorOf)
		}),
		"collaborators": lazy(func(args map[string]any) (any, error) { return c.collaboratorList(rp, args) }),
		"branchProtectionRules": lazy(func(args map[string]any) (any, error) {
			type row struct{ branch, rules string }
			all, err := list(c.reader, func(s scanner, v *row) error { return s.Scan(&v.branch, &v.rules) }, "SELECT branch, rules FROM protections WHERE repo_id = ? ORDER BY branch", rp.ID)
			if err != nil {
				return nil, err
			}
			return connect("branchProtectionRules", args, all, func(v *row) (obj, error) {
				p, err := parseProtection(v.branch, v.rules)
				if err != nil {
					return nil, err
				}
				return protectionRule(rp, v.branch, p), nil
			})
		}),
	})
}

// orderOf turns an orderBy argument into an ORDER BY clause of fixed words.
func orderOf(args map[string]any, columns map[string]string, fallback string) string {
	by, ok := args["orderBy"].(map[string]any)
	if !ok || columns[strArg(by, "field")] == "" {
		return fallback
	}
	if strArg(by, "direction") == "DESC" {
		return columns[strArg(by, "field")] + " DESC"
	}
	return columns[strArg(by, "field")] + " ASC"
}

// resource finds what an address of the forge's pages shows.
func (c *graphCall) resource(args map[string]any) (any, error) {
	path := strings.Trim(strings.TrimPrefix(strArg(args, "url"), c.f.base), "/")
	p := strings.Split(path, "/")
	if len(p) == 1 && validLogin(p[0]) {
		a, err := c.account(p[0])
		if err != nil {
			return orNil(nil, err)
		}
		return c.actor(a), nil
	}
	if len(p) < 2 {
		return nil, nil
	}
	rp, err := c.reader.repo(p[0], p[1])
	if err == nil {
		var perm permission
		if perm, err = c.permission(rp, c.viewer); err == nil && perm < permRead {
			err = errNotFound
		}
	}
	if err != nil {
		return orNil(nil, err)
	}
	if len(p) == 2 {
		return c.repository(rp), nil
	}
	n, err := strconv.Atoi(p[len(p)-1])
	if err != nil || len(p) != 4 || p[2] != "issues" && p[2] != "pull" {
		return nil, nil //nolint:nilerr // not an address of something
	}
	i, err := c.reader.issue(rp.ID, n)
	if err != nil {
		return orNil(nil, err)
	}
	return c.issueOrPull(rp, i), nil
}

func (c *graphCall) collaboratorList(rp *repo, args map[string]any) (any, error) {
	all, err := c.reader.collaborators(rp)
	if err != nil {
		return nil, err
	}
	if strArg(args, "affiliation") == "DIRECT" {
		direct, err := list(c.reader, scalar[int64], "SELECT user_id FROM collaborators WHERE repo_id = ?", rp.ID)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(a account) bool { return !slices.Contains(direct, a.ID) })
	}
	return connect("collaborators", args, all, func(a *account) (obj, error) {
		p, err := c.granted(rp, a)
		o := c.actor(a) // the permission belongs to the edge
		o["permission"] = upper(p.String())
		return o, err
	})
}

func protectionRule(rp *repo, branch string, p *protection) obj {
	o := obj{
		"__typename": "BranchProtectionRule", "id": fmt.Sprintf("BPR_%d_%s", rp.ID, branch), "pattern": branch, "isAdminEnforced": p.EnforceAdmins,
		"allowsForcePushes": p.AllowForcePushes, "allowsDeletions": p.AllowDeletions, "requiresLinearHistory": p.RequiredLinearHistory,
		"requiresStatusChecks": p.RequiredStatusChecks != nil, "requiresStrictStatusChecks": false, "requiredStatusCheckContexts": []any{},
		"requiresApprovingReviews": p.RequiredPullRequestReviews != nil, "requiredApprovingReviewCount": nil, "requiresCodeOwnerReviews": false, "dismissesStaleReviews": false, "requireLastPushApproval": false,
	}
	if s := p.RequiredStatusChecks; s != nil {
		contexts := []any{}
		for _, x := range s.Contexts {
			contexts = append(contexts, x)
		}
		o["requiresStrictStatusChecks"], o["requiredStatusCheckContexts"] = s.Strict, contexts
	}
	if s := p.RequiredPullRequestReviews; s != nil {
		o["requiredApprovingReviewCount"], o["requiresCodeOwnerReviews"] = s.RequiredApprovingReviewCount, s.RequireCodeOwnerReviews
		o["dismissesStaleReviews"], o["requireLastPushApproval"] = s.DismissStaleReviews, s.RequireLastPushApproval
	}
	return o
}

func (c *graphCall) searchField(args map[string]any) (any, error) {
	q := strArg(args, "query")
	var conn any
	var err error
	counts := obj{"issueCount": 0, "repositoryCount": 0, "userCount": 0}
	switch strArg(args, "type") {
	case "ISSUE", "ISSUE_ADVANCED":
		var hits []found
		if hits, err = c.search(q, c.viewer, "", ""); err != nil {
			return nil, err
		}
		counts["issueCount"] = len(hits)
		conn, err = connect("search", args, hits[:min(len(hits), searchHits)], func(h *found) (obj, error) { return c.issueOrPull(h.repo, &h.issue), nil })
	case "REPOSITORY":
		var all []repo
		if all, err = c.reposLike(q, c.viewer); err != nil {
			return nil, err
		}
		counts["repositoryCount"] = len(all)
		conn, err = connect("search", args, all, func(rp *repo) (obj, error) { return c.repository(rp), nil })
	default:
		var all []account
		if all, err = c.accountsLike(q); err != nil {
			return nil, err
		}
		counts["userCount"] = len(all)
		conn, err = connect("search", args, all, c.actorOf)
	}
	if o, ok := conn.(obj); ok {
		for k, v := range counts {
			o[k] = v
		}
	}
	return conn, err
}
