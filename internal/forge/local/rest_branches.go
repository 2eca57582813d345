package local

import (
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
)

type refRow struct{ Name, SHA string }

func scanRef(s scanner, v *refRow) error { return s.Scan(&v.Name, &v.SHA) }

func (r *reader) refsLike(repoID int64, prefix string) ([]refRow, error) {
	return list(r, scanRef, "SELECT name, sha FROM refs WHERE repo_id = ? AND substr(name, 1, length(?)) = ? ORDER BY name", repoID, prefix, prefix)
}

func (c *call) isProtected(rp *repo, branch string) (bool, error) {
	p, err := c.protection(rp.ID, branch)
	if err != nil || p != nil {
		return p != nil, err
	}
	sets, err := c.rulesetsFor(rp, branch)
	return len(sets) > 0, err
}

func listBranches(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.refsLike(rp.ID, "refs/heads/")
	if err != nil {
		return nil, err
	}
	var all []obj
	for _, row := range rows {
		name := strings.TrimPrefix(row.Name, "refs/heads/")
		protected, err := c.isProtected(rp, name)
		if err != nil {
			return nil, err
		}
		if want := c.query("protected"); want != "" && (want == "true") != protected {
			continue
		}
		all = append(all, obj{"name": name, "protected": protected, "commit": obj{"sha": row.SHA, "url": c.f.api("/repos/%s/commits/%s", rp.fullName(), row.SHA)}})
	}
	return paginate(c, all), nil
}

// protectionOf splits "branch/protection[/...]" off a branch path. Branch
// names may contain slashes, so the route takes the whole rest.
func protectionOf(p string) (branch, rest string, ok bool) {
	at := strings.LastIndex(p, "/protection")
	if at <= 0 {
		return p, "", false
	}
	rest = p[at+len("/protection"):]
	if rest != "" && rest[0] != '/' {
		return p, "", false
	}
	return p[:at], strings.TrimPrefix(rest, "/"), true
}

func getBranch(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if _, _, ok := protectionOf(c.params["branch"]); ok {
		return changeProtection(c)
	}
	name := c.params["branch"]
	sha, err := c.refSHA(rp.ID, "refs/heads/"+name)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not found"}
	}
	if err != nil {
		return nil, err
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	co, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	protected, err := c.isProtected(rp, name)
	u := c.f.api("/repos/%s/branches/%s", rp.fullName(), escapePath(name))
	return obj{"name": name, "commit": co, "protected": protected, "protection_url": u + "/protection", "_links": obj{"self": u, "html": c.f.web("/%s/tree/%s", rp.fullName(), escapePath(name))}}, err
}

func listTags(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.refsLike(rp.ID, "refs/tags/")
	if err != nil {
		return nil, err
	}
	sort.Slice(rows, func(i, k int) bool { return rows[i].Name > rows[k].Name })
	return each(paginate(c, rows), func(row *refRow) (obj, error) {
		sha, err := c.f.bare(rp.ID).resolve(c.ctx, row.SHA)
		name := strings.TrimPrefix(row.Name, "refs/tags/")
		return obj{"name": name, "commit": obj{"sha": sha, "url": c.f.api("/repos/%s/commits/%s", rp.fullName(), sha)}, "node_id": "REF_" + sha}, err
	})
}

func (c *call) refJSON(rp *repo, row refRow) (obj, error) {
	kind, _, _, err := c.f.bare(rp.ID).object(c.ctx, row.SHA)
	if err != nil {
		return nil, err
	}
	return obj{
		"ref": row.Name, "node_id": "REF_" + row.Name, "url": c.f.api("/repos/%s/git/%s", rp.fullName(), escapePath(row.Name)),
		"object": obj{"sha": row.SHA, "type": kind, "url": c.f.api("/repos/%s/git/%ss/%s", rp.fullName(), kind, row.SHA)},
	}, nil
}

// findRefs returns all refs under a prefix, those of pull requests included.
func (c *call) findRefs(rp *repo, prefix string) ([]refRow, error) {
	rows, err := c.refsLike(rp.ID, prefix)
	if err != nil || !strings.HasPrefix(prefix, "refs/pull/") {
		return rows, err
	}
	var n int
	if _, err := fmt.Sscanf(prefix, "refs/pull/%d/head", &n); err != nil || prefix != pullRef(n) {
		return nil, nil
	}
	i, err := c.pull(rp.ID, n)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []refRow{{prefix, i.Pull.HeadSHA}}, nil
}

func listRefs(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.refList(rp, "refs/")
}

func matchingRefs(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.refList(rp, "refs/"+c.params["ref"])
}

func (c *call) refList(rp *repo, prefix string) (any, error) {
	rows, err := c.findRefs(rp, prefix)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, rows), func(row *refRow) (obj, error) { return c.refJSON(rp, *row) })
}

func getRef(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.findRefs(rp, "refs/"+c.params["ref"])
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Name == "refs/"+c.params["ref"] {
			return c.refJSON(rp, row)
		}
	}
	return nil, errNotFound
}

// getRefs is the older operation that components use: one object for an exact
// match, else an array of those that begin so.
func getRefs(c *call) (any, error) {
	o, err := getRef(c)
	if !errors.Is(err, errNotFound) {
		return o, err
	}
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.findRefs(rp, "refs/"+c.params["ref"])
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNotFound
	}
	return each(paginate(c, rows), func(row *refRow) (obj, error) { return c.refJSON(rp, *row) })
}

func createRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct{ Ref, SHA string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validRef(in.Ref) {
		return nil, unprocessable("Reference name is invalid")
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, in.Ref, in.SHA, "", true); err != nil {
		return nil, err
	}
	o, err := c.refJSON(rp, refRow{in.Ref, in.SHA})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func updateRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	ref := "refs/" + c.params["ref"]
	old, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) || !validRef(ref) {
		return nil, unprocessable("Reference does not exist")
	}
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, in.SHA, old, in.Force); err != nil {
		return nil, err
	}
	return c.refJSON(rp, refRow{ref, in.SHA})
}

func deleteRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	ref := "refs/" + c.params["ref"]
	old, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) || !validRef(ref) {
		return nil, unprocessable("Reference does not exist")
	}
	if err != nil {
		return nil, err
	}
	return noContent, c.f.moveRef(c.ctx, rp, c.viewer, ref, "", old, true)
}

func mergeBranches(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		Base    string `json:"base"`
		Head    string `json:"head"`
		Message string `json:"commit_message"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	ref := "refs/heads/" + in.Base
	tip, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Base does not exist"}
	}
	if err != nil {
		return nil, err
	}
	head, err := b.resolve(c.ctx, in.Head)
	if errors.Is(err, errNoObject) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Head does not exist"}
	}
	if err != nil {
		return nil, err
	}
	if in, err := b.isAncestor(c.ctx, head, tip); err != nil || in {
		return noContent, err
	}
	tree, ok, err := b.mergeTrees(c.ctx, tip, head)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &apiError{Status: http.StatusConflict, Message: "Merge conflict"}
	}
	if in.Message == "" {
		in.Message = fmt.Sprintf("Merge %s into %s", in.Head, in.Base)
	}
	sha, err := b.commitTree(c.ctx, tree, []string{tip, head}, c.f.userSignature(c.viewer), c.f.forgeSignature(), in.Message+"\n")
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, sha, tip, false); err != nil {
		return nil, err
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	o, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	return created(o)
}
