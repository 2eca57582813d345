package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
		"search": lazy(c.searchField),
		"node":   lazy(func(args map[string]any) (any, error) { return c.node(strArg(args, "id")) }),
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
			s, _ := c.f.rates.spend(c.viewer.Login, "graphql", 0)
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
	return obj{
		"__typename": kind, "id": nodeID(id, a.ID), "databaseId": a.ID, "login": a.Login, "name": orNull(a.Name), "email": a.Email, "description": orNull(a.Name),
		"avatarUrl": c.f.web("/static/avatar.svg"), "resourcePath": "/" + a.Login, "url": c.f.web("/%s", a.Login), "createdAt": a.Created.String(),
		"isSiteAdmin": a.Admin, "isViewer": a.ID == c.viewer.ID, "status": nil,
		"viewerCanAdminister": lazy(func(map[string]any) (any, error) {
			role, err := c.orgRole(a.ID, c.viewer.ID)
			return role == "admin", err
		}),
		"membersWithRole": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.user_id = a.id WHERE m.org_id = ? ORDER BY a.login", a.ID)
			if err != nil {
				return nil, err
			}
			return connect("membersWithRole", args, all, c.actorOf)
		}),
		"repositories": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.owner_id = ? ORDER BY r.name", a.ID)
			if err != nil {
				return nil, err
			}
			if all, err = c.visible(all, c.viewer); err != nil {
				return nil, err
			}
			if fork, ok := args["isFork"].(bool); ok {
				all = slices.DeleteFunc(all, func(rp repo) bool { return (rp.ParentID != 0) != fork })
			}
			return connect("repositories", args, all, func(rp *repo) (obj, error) { return c.repository(rp), nil })
		}),
	}
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
	return obj{
		"__typename": "Repository", "id": nodeID("R", rp.ID), "databaseId": rp.ID, "name": rp.Name, "nameWithOwner": rp.fullName(), "owner": c.actor(&rp.Owner),
		"description": orNull(rp.Description), "url": c.f.web("/%s", rp.fullName()), "resourcePath": "/" + rp.fullName(), "isPrivate": rp.Private, "isArchived": rp.Archived,
		"isFork": rp.ParentID != 0, "isDisabled": false, "isInOrganization": rp.Owner.Kind == kindOrg, "visibility": visibility, "hasIssuesEnabled": true,
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
			all, err := list(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND l.name LIKE ? ESCAPE '\\' ORDER BY l.name", rp.ID, like(strArg(args, "query")))
			if err != nil {
				return nil, err
			}
			return connect("labels", args, all, func(l *label) (obj, error) { return c.label(rp, l) })
		}),
		"milestones": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? ORDER BY m.number", rp.ID)
			if err != nil {
				return nil, err
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
				var p protection
				err := json.Unmarshal([]byte(v.rules), &p)
				return protectionRule(rp, v.branch, &p), err
			})
		}),
	}
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
		o := c.actor(a)
		o["permission"] = upper(p.String())
		return o, err
	})
}

func protectionRule(rp *repo, branch string, p *protection) obj {
	o := obj{
		"__typename": "BranchProtectionRule", "id": fmt.Sprintf("BPR_%d_%s", rp.ID, branch), "pattern": branch, "isAdminEnforced": p.EnforceAdmins,
		"allowsForcePushes": p.AllowForcePushes, "allowsDeletions": p.AllowDeletions, "requiresLinearHistory": p.RequiredLinearHistory,
		"requiresStatusChecks": p.RequiredStatusChecks != nil, "requiresStrictStatusChecks": false, "requiredStatusCheckContexts": []any{},
		"requiresApprovingReviews": p.RequiredPullRequestReviews != nil, "requiredApprovingReviewCount": nil, "requiresCodeOwnerReviews": false, "dismissesStaleReviews": false,
	}
	if s := p.RequiredStatusChecks; s != nil {
		contexts := []any{}
		for _, x := range s.Contexts {
			contexts = append(contexts, x)
		}
		o["requiresStrictStatusChecks"], o["requiredStatusCheckContexts"] = s.Strict, contexts
	}
	if s := p.RequiredPullRequestReviews; s != nil {
		o["requiredApprovingReviewCount"], o["requiresCodeOwnerReviews"], o["dismissesStaleReviews"] = s.RequiredApprovingReviewCount, s.RequireCodeOwnerReviews, s.DismissStaleReviews
	}
	return o
}

func (c *graphCall) ref(rp *repo, name string) (any, error) {
	sha, err := c.refSHA(rp.ID, name)
	if err != nil {
		return orNil(nil, err)
	}
	return c.refObj(rp, refRow{name, sha}), nil
}

func (c *graphCall) refObj(rp *repo, r refRow) obj {
	prefix := "refs/heads/"
	if strings.HasPrefix(r.Name, "refs/tags/") {
		prefix = "refs/tags/"
	}
	short := strings.TrimPrefix(r.Name, prefix)
	return obj{
		"__typename": "Ref", "id": fmt.Sprintf("REF_%d_%s", rp.ID, r.Name), "name": short, "prefix": prefix,
		"target":     lazy(func(map[string]any) (any, error) { return orNil(c.gitObject(rp, r.SHA)) }),
		"repository": lazy(func(map[string]any) (any, error) { return c.repository(rp), nil }),
		"branchProtectionRule": lazy(func(map[string]any) (any, error) {
			p, err := c.protection(rp.ID, short)
			if err != nil || p == nil {
				return nil, err
			}
			return protectionRule(rp, short, p), nil
		}),
	}
}

// gitObject resolves an object name or an expression like "main:dir/file".
func (c *graphCall) gitObject(rp *repo, rev string) (obj, error) {
	b := c.f.bare(rp.ID)
	rev, file, hasPath := strings.Cut(rev, ":")
	if !hasPath && validSHA(rev) {
		kind, sha, size, err := b.object(c.ctx, rev)
		if err != nil {
			return nil, err
		}
		if kind != "commit" {
			return c.rawObject(rp, b, kind, sha, size), nil
		}
	}
	sha, err := b.resolve(c.ctx, rev)
	if err != nil {
		return nil, err
	}
	if hasPath {
		kind, object, size, err := b.pathObject(c.ctx, sha, file)
		if err != nil {
			return nil, err
		}
		return c.rawObject(rp, b, kind, object, size), nil
	}
	return c.commitSHA(rp, sha), nil
}

func (c *graphCall) objectFields(rp *repo, kind, sha string) obj {
	return obj{
		"__typename": kind, "id": fmt.Sprintf("%s_%d_%s", kind[:1], rp.ID, sha), "oid": sha, "abbreviatedOid": sha[:7], "commitUrl": c.f.web("/%s/commit/%s", rp.fullName(), sha),
		"repository": lazy(func(map[string]any) (any, error) { return c.repository(rp), nil }),
	}
}

// maxText is the largest blob whose text GraphQL shows.
const maxText = 512 << 10

func (c *graphCall) rawObject(rp *repo, b bare, kind, sha string, size int64) obj {
	switch kind {
	case "tree":
		o := c.objectFields(rp, "Tree", sha)
		o["entries"] = lazy(func(map[string]any) (any, error) {
			entries, err := b.tree(c.ctx, sha, false)
			if err != nil {
				return nil, err
			}
			out := []any{}
			for _, e := range entries {
				mode, err := strconv.ParseInt(e.Mode, 8, 32)
				if err != nil {
					return nil, fmt.Errorf("tree %s: mode %q: %w", sha, e.Mode, err)
				}
				out = append(out, obj{"name": e.Path, "path": e.Path, "type": e.Type, "mode": mode, "oid": e.SHA, "size": max(0, e.Size),
					"object": lazy(func(map[string]any) (any, error) { return c.rawObject(rp, b, e.Type, e.SHA, e.Size), nil })})
			}
			return out, nil
		})
		return o
	case "blob":
		o := c.objectFields(rp, "Blob", sha)
		text := func() (string, bool, error) {
			if size > maxText {
				return "", false, nil
			}
			data, err := b.blob(c.ctx, sha, maxText+1)
			return string(data), utf8.Valid(data) && !slices.Contains(data, 0), err
		}
		o["byteSize"], o["isTruncated"] = size, size > maxText
		o["isBinary"] = lazy(func(map[string]any) (any, error) {
			_, ok, err := text()
			return !ok, err
		})
		o["text"] = lazy(func(map[string]any) (any, error) {
			s, ok, err := text()
			if err != nil || !ok {
				return nil, err
			}
			return s, nil
		})
		return o
	}
	return c.objectFields(rp, "Tag", sha)
}

// commitSHA renders a commit that is read when something beyond its name is asked for.
func (c *graphCall) commitSHA(rp *repo, sha string) obj {
	var cached *commit
	return c.commit(rp, sha, func() (*commit, error) {
		if cached == nil {
			cm, err := c.f.bare(rp.ID).commit(c.ctx, sha)
			if err != nil {
				return nil, err
			}
			cached = cm
		}
		return cached, nil
	})
}

func (c *graphCall) commitOf(rp *repo) func(*commit) (obj, error) {
	return func(cm *commit) (obj, error) {
		return c.commit(rp, cm.SHA, func() (*commit, error) { return cm, nil }), nil
	}
}

func (c *graphCall) commit(rp *repo, sha string, load func() (*commit, error)) obj {
	from := func(get func(*commit) (any, error)) lazy {
		return func(map[string]any) (any, error) {
			cm, err := load()
			if err != nil {
				return nil, err
			}
			return get(cm)
		}
	}
	actor := func(s signature) obj {
		return obj{"name": s.Name, "email": s.Email, "date": when{s.When}.String(), "user": lazy(func(map[string]any) (any, error) {
			u, err := c.userByEmail(s.Email)
			uo, ok := u.(obj)
			if err != nil || !ok {
				return nil, err
			}
			a, err := c.account(uo["login"].(string))
			if err != nil {
				return nil, err
			}
			return c.actor(a), nil
		})}
	}
	o := c.objectFields(rp, "Commit", sha)
	maps.Copy(o, obj{
		"url": c.f.web("/%s/commit/%s", rp.fullName(), sha), "resourcePath": fmt.Sprintf("/%s/commit/%s", rp.fullName(), sha),
		"message":         from(func(cm *commit) (any, error) { return cm.Message, nil }),
		"messageHeadline": from(func(cm *commit) (any, error) { return cm.subject(), nil }),
		"messageBody": from(func(cm *commit) (any, error) {
			_, body, _ := strings.Cut(cm.Message, "\n")
			return strings.TrimSpace(body), nil
		}),
		"author":        from(func(cm *commit) (any, error) { return actor(cm.Author), nil }),
		"committer":     from(func(cm *commit) (any, error) { return actor(cm.Committer), nil }),
		"authoredDate":  from(func(cm *commit) (any, error) { return when{cm.Author.When}.String(), nil }),
		"committedDate": from(func(cm *commit) (any, error) { return when{cm.Committer.When}.String(), nil }),
		"tree": from(func(cm *commit) (any, error) {
			return c.rawObject(rp, c.f.bare(rp.ID), "tree", cm.Tree, 0), nil
		}),
		"parents": lazy(func(args map[string]any) (any, error) {
			cm, err := load()
			if err != nil {
				return nil, err
			}
			return connect("parents", args, cm.Parents, func(p *string) (obj, error) { return c.commitSHA(rp, *p), nil })
		}),
		"history": lazy(func(args map[string]any) (any, error) {
			// Bounded: a connection counts what it could show.
			all, err := c.f.bare(rp.ID).log(c.ctx, sha, logQuery{Path: strArg(args, "path"), Max: 10_000})
			if err != nil {
				return nil, err
			}
			return connect("history", args, all, c.commitOf(rp))
		}),
		"status":            lazy(func(map[string]any) (any, error) { return c.status(rp, sha) }),
		"statusCheckRollup": lazy(func(map[string]any) (any, error) { return c.rollup(rp, sha) }),
		"checkSuites": lazy(func(args map[string]any) (any, error) {
			runs, err := c.latestCheckRuns(rp.ID, sha)
			if err != nil {
				return nil, err
			}
			return connect("checkSuites", args, runs, func(k *checkRun) (obj, error) { return c.suite(rp, k), nil })
		}),
		"associatedPullRequests": lazy(func(args map[string]any) (any, error) {
			all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND (p.head_sha = ? OR p.merge_sha = ?) ORDER BY i.number", rp.ID, sha, sha)
			if err != nil {
				return nil, err
			}
			return connect("associatedPullRequests", args, all, func(i *issue) (obj, error) { return c.pull(rp, i), nil })
		}),
	})
	return o
}

func (c *graphCall) required(rp *repo, name string) lazy {
	return func(args map[string]any) (any, error) {
		branch := rp.DefaultBranch
		if n, ok := intArg(args, "pullRequestNumber"); ok {
			i, err := c.reader.pull(rp.ID, n)
			if err != nil {
				return nil, err
			}
			branch = i.Pull.BaseRef
		}
		p, err := c.protection(rp.ID, branch)
		return err == nil && p != nil && p.RequiredStatusChecks != nil && slices.Contains(p.RequiredStatusChecks.Contexts, name), err
	}
}

func (c *graphCall) statusContext(rp *repo, s *status) obj {
	return obj{
		"__typename": "StatusContext", "id": nodeID("SC", s.ID), "context": s.Context, "description": orNull(s.Description), "state": upper(s.State),
		"targetUrl": orNull(s.TargetURL), "createdAt": s.Created.String(), "creator": c.actorID(s.CreatorID), "isRequired": c.required(rp, s.Context),
	}
}

func (c *graphCall) status(rp *repo, sha string) (any, error) {
	all, err := c.latestStatuses(rp.ID, sha)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	contexts := []any{}
	for i := range all {
		contexts = append(contexts, c.statusContext(rp, &all[i]))
	}
	return obj{
		"__typename": "Status", "id": "ST_" + sha, "state": upper(combinedState(all)), "contexts": contexts,
		"context": lazy(func(args map[string]any) (any, error) {
			for i := range all {
				if all[i].Context == strArg(args, "name") {
					return c.statusContext(rp, &all[i]), nil
				}
			}
			return nil, nil
		}),
	}, nil
}

func (c *graphCall) checkRun(rp *repo, k *checkRun) obj {
	var out struct{ Title, Summary, Text string }
	_ = json.Unmarshal([]byte(k.Output), &out) // shape was checked on the way in; missing parts are empty
	return obj{
		"__typename": "CheckRun", "id": nodeID("CR", k.ID), "databaseId": k.ID, "name": k.Name, "status": upper(k.Status), "conclusion": orNull(upper(k.Conclusion)),
		"detailsUrl": orNull(k.DetailsURL), "externalId": orNull(k.ExternalID), "startedAt": k.Started.orNull(), "completedAt": k.Completed.orNull(),
		"title": orNull(out.Title), "summary": orNull(out.Summary), "text": orNull(out.Text), "url": c.f.web("/%s/commit/%s", rp.fullName(), k.SHA),
		"isRequired": c.required(rp, k.Name), "checkSuite": lazy(func(map[string]any) (any, error) { return c.suite(rp, k), nil }),
	}
}

// suite stands for the suite GitHub would make around a run: one each.
func (c *graphCall) suite(rp *repo, k *checkRun) obj {
	return obj{
		"__typename": "CheckSuite", "id": nodeID("CS", k.ID), "status": upper(k.Status), "conclusion": orNull(upper(k.Conclusion)), "workflowRun": nil,
		"checkRuns": lazy(func(args map[string]any) (any, error) {
			return connect("checkRuns", args, []checkRun{*k}, func(k *checkRun) (obj, error) { return c.checkRun(rp, k), nil })
		}),
	}
}

// rollup joins statuses and check runs.
func (c *graphCall) rollup(rp *repo, sha string) (any, error) {
	statuses, err := c.latestStatuses(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	runs, err := c.latestCheckRuns(rp.ID, sha)
	if err != nil || len(statuses)+len(runs) == 0 {
		return nil, err
	}
	state := "SUCCESS"
	if len(statuses) > 0 {
		state = upper(combinedState(statuses))
	}
	var all []obj
	for i := range runs {
		all = append(all, c.checkRun(rp, &runs[i]))
		switch {
		case checkPassed(runs[i]):
		case runs[i].Status == "completed":
			state = "FAILURE"
		case state == "SUCCESS":
			state = "PENDING"
		}
	}
	for i := range statuses {
		all = append(all, c.statusContext(rp, &statuses[i]))
	}
	return obj{"__typename": "StatusCheckRollup", "id": "SCR_" + sha, "state": state, "contexts": lazy(func(args map[string]any) (any, error) {
		return connect("contexts", args, all, func(o *obj) (obj, error) { return *o, nil })
	})}, nil
}

func (c *graphCall) label(rp *repo, l *label) (obj, error) {
	return obj{"__typename": "Label", "id": nodeID("LA", l.ID), "name": l.Name, "color": l.Color, "description": orNull(l.Description), "isDefault": false,
		"url": c.f.web("/%s/pulls?label=%s", rp.fullName(), escapePath(l.Name))}, nil
}

func (c *graphCall) milestone(rp *repo, m *milestone) obj {
	return obj{"__typename": "Milestone", "id": nodeID("MI", m.ID), "number": m.Number, "title": m.Title, "description": orNull(m.Description), "state": upper(m.State),
		"dueOn": m.Due.orNull(), "url": c.f.web("/%s/milestone/%d", rp.fullName(), m.Number)}
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
	return obj{
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
	}
}

func (c *graphCall) comment(rp *repo, i *issue, cm *comment) obj {
	return obj{
		"__typename": "IssueComment", "id": nodeID("IC", cm.ID), "databaseId": cm.ID, "author": c.actorID(cm.AuthorID), "body": cm.Body, "createdAt": cm.Created.String(),
		"updatedAt": cm.Updated.String(), "url": c.f.web("/%s/%s/%d#issuecomment-%d", rp.fullName(), i.webKind(), i.Number, cm.ID), "isMinimized": false, "minimizedReason": nil,
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
				all = append(all, obj{"__typename": "Team", "id": nodeID("T", teams[k].ID), "name": teams[k].Name, "slug": teams[k].Slug, "organization": c.actor(&rp.Owner)})
			}
			return connect("reviewRequests", args, all, func(o *obj) (obj, error) {
				return obj{"__typename": "ReviewRequest", "id": fmt.Sprintf("RR_%d_%v", i.ID, (*o)["id"]), "requestedReviewer": *o}, nil
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
		at := v.Submitted.String()
		return obj{
			"__typename": "PullRequestReview", "id": nodeID("PRR", v.ID), "databaseId": v.ID, "author": c.actorID(v.AuthorID), "body": v.Body, "createdAt": at, "updatedAt": at,
			"submittedAt": at, "state": v.State, "url": c.f.web("/%s/pull/%d#pullrequestreview-%d", rp.fullName(), i.Number, v.ID), "commit": c.commitSHA(rp, v.SHA),
			"authorAssociation": lazy(func(map[string]any) (any, error) {
				a, err := c.accountID(v.AuthorID)
				if err != nil {
					return nil, err
				}
				return c.association(rp, a)
			}),
		}, nil
	})
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
		if all, err = list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.name LIKE ? ESCAPE '\\' ORDER BY r.id", like(q)); err != nil {
			return nil, err
		}
		if all, err = c.visible(all, c.viewer); err != nil {
			return nil, err
		}
		counts["repositoryCount"] = len(all)
		conn, err = connect("search", args, all, func(rp *repo) (obj, error) { return c.repository(rp), nil })
	default:
		var all []account
		if all, err = list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.kind != ? AND (a.login LIKE ? ESCAPE '\\' OR a.name LIKE ? ESCAPE '\\' OR a.email = ? COLLATE NOCASE) ORDER BY a.id", kindBot, like(q), like(q), q); err != nil {
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
