package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
		"associatedPullRequests": lazy(func(args map[string]any) (any, error) {
			args["headRefName"] = short
			return c.issueList(rp, args, "pullRequests")
		}),
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
	maps.Copy(o, c.commitExtras(rp, sha, load, actor))
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
			suites, err := list(c.reader, scanSuite, "SELECT "+suiteCols+" FROM check_suites u WHERE u.repo_id = ? AND u.sha = ? ORDER BY u.id", rp.ID, sha)
			if err != nil {
				return nil, err
			}
			return connect("checkSuites", args, suites, func(u *checkSuite) (obj, error) { return c.suite(rp, u), nil })
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
		"targetUrl": orNull(s.TargetURL), "avatarUrl": c.f.web("/static/avatar.svg"), "createdAt": s.Created.String(), "creator": c.actorID(s.CreatorID), "isRequired": c.required(rp, s.Context),
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
		"isRequired": c.required(rp, k.Name), "checkSuite": lazy(func(map[string]any) (any, error) {
			u, err := c.suiteID(rp.ID, k.SuiteID)
			if err != nil {
				return orNil(nil, err)
			}
			return c.suite(rp, u), nil
		}),
	}
}

func (c *graphCall) suite(rp *repo, u *checkSuite) obj {
	folded := func(get func(status, conclusion string) any) lazy {
		return func(map[string]any) (any, error) {
			runs, err := c.suiteRuns(u.ID)
			if err != nil {
				return nil, err
			}
			return get(suiteState(runs)), nil
		}
	}
	return obj{
		"__typename": "CheckSuite", "id": nodeID("CS", u.ID), "databaseId": u.ID, "workflowRun": nil,
		"status":     folded(func(status, _ string) any { return upper(status) }),
		"conclusion": folded(func(_, conclusion string) any { return orNull(upper(conclusion)) }),
		"commit":     lazy(func(map[string]any) (any, error) { return c.commitSHA(rp, u.SHA), nil }),
		"app": lazy(func(map[string]any) (any, error) {
			p, err := c.appOf(u.CreatorID)
			if err != nil {
				return nil, err
			}
			return obj{"id": nodeID("A", p.ID), "databaseId": p.ID, "name": p.Name, "slug": p.Slug}, nil
		}),
		"checkRuns": lazy(func(args map[string]any) (any, error) {
			runs, err := c.suiteRuns(u.ID)
			if err != nil {
				return nil, err
			}
			return connect("checkRuns", args, runs, func(k *checkRun) (obj, error) { return c.checkRun(rp, k), nil })
		}),
	}
}

// runCounts and statusCounts count by state, as a rollup shows them.
func runCounts(runs []checkRun) []any {
	n := map[string]int{}
	for _, k := range runs {
		state := k.Status
		if state == "completed" {
			state = k.Conclusion
		}
		n[upper(state)]++
	}
	return counted(n)
}

func statusCounts(statuses []status) []any {
	n := map[string]int{}
	for _, s := range statuses {
		n[upper(s.State)]++
	}
	return counted(n)
}

func counted(n map[string]int) []any {
	out := []any{}
	for _, state := range slices.Sorted(maps.Keys(n)) {
		out = append(out, obj{"state": state, "count": n[state]})
	}
	return out
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
		conn, err := connect("contexts", args, all, func(o *obj) (obj, error) { return *o, nil })
		if o, ok := conn.(obj); ok {
			o["checkRunCount"], o["statusContextCount"] = len(runs), len(statuses)
			o["checkRunCountsByState"], o["statusContextCountsByState"] = runCounts(runs), statusCounts(statuses)
		}
		return conn, err
	})}, nil
}
