package local

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

func getGitCommit(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if !validSHA(c.params["sha"]) {
		return nil, errNotFound
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, c.params["sha"])
	if err != nil {
		return nil, err
	}
	return c.f.gitCommitJSON(rp, cm), nil
}

func getTree(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.treeJSON(rp, c.params["sha"], c.query("recursive") != "")
}

func (c *call) treeJSON(rp *repo, name string, recursive bool) (any, error) {
	b := c.f.bare(rp.ID)
	var err error
	if !validSHA(name) {
		if name, err = b.resolve(c.ctx, name); err != nil {
			return nil, err
		}
	}
	kind, sha, _, err := b.object(c.ctx, name+"^{tree}")
	if err != nil || kind != "tree" {
		return nil, errors.Join(err, errNoObject)
	}
	entries, err := b.tree(c.ctx, sha, recursive)
	if err != nil {
		return nil, err
	}
	const limit = 100_000 // GitHub's
	out := make([]obj, 0, len(entries))
	for _, e := range entries[:min(len(entries), limit)] {
		o := obj{"path": e.Path, "mode": e.Mode, "type": e.Type, "sha": e.SHA, "url": c.f.api("/repos/%s/git/%ss/%s", rp.fullName(), e.Type, e.SHA)}
		if e.Type == "blob" {
			o["size"] = e.Size
		}
		out = append(out, o)
	}
	return obj{"sha": sha, "url": c.f.api("/repos/%s/git/trees/%s", rp.fullName(), sha), "tree": out, "truncated": len(entries) > limit}, nil
}

// maxBlob is the largest file the API hands out.
const maxBlob = 100 << 20

func getBlob(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	if !validSHA(c.params["sha"]) {
		return nil, errNotFound
	}
	kind, sha, size, err := b.object(c.ctx, c.params["sha"])
	if err != nil || kind != "blob" {
		return nil, errors.Join(err, errNoObject)
	}
	if size > maxBlob {
		return nil, forbidden("This API returns blobs up to 100 MB in size.")
	}
	data, err := b.blob(c.ctx, sha, maxBlob)
	if err != nil {
		return nil, err
	}
	if c.accepts("raw") {
		return reply{status: http.StatusOK, raw: orEmpty(data), kind: "application/vnd.github.raw; charset=utf-8"}, nil
	}
	return obj{"sha": sha, "node_id": "B_" + sha, "size": size, "url": c.f.api("/repos/%s/git/blobs/%s", rp.fullName(), sha), "content": wrap64(data), "encoding": "base64"}, nil
}

// wrap64 is base64 in lines of 60 characters, as GitHub sends it.
func wrap64(data []byte) string {
	s := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(s) > 60 {
		b.WriteString(s[:60] + "\n")
		s = s[60:]
	}
	b.WriteString(s + "\n")
	return b.String()
}

func getContents(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.contents(rp, c.params["path"])
}

func getReadme(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"README.md", "README", "README.txt", "readme.md"} {
		o, err := c.contents(rp, name)
		if err == nil || !errors.Is(err, errNoObject) {
			return o, err
		}
	}
	return nil, errNotFound
}

func (c *call) contents(rp *repo, file string) (any, error) {
	ref := c.query("ref")
	if ref == "" {
		ref = rp.DefaultBranch
	}
	return c.contentsAt(rp, file, ref)
}

func (c *call) contentsAt(rp *repo, file, ref string) (any, error) {
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, ref)
	if err != nil {
		if errors.Is(err, errNoObject) {
			return nil, &apiError{Status: http.StatusNotFound, Message: "No commit found for the ref " + truncate(ref, 100)}
		}
		return nil, err
	}
	file = strings.Trim(path.Clean("/"+file), "/")
	kind, object, size, err := b.pathObject(c.ctx, sha, file)
	if err != nil {
		return nil, err
	}
	entry := func(name, full, kind, sha string, size int64) obj {
		u := c.f.api("/repos/%s/contents/%s?ref=%s", rp.fullName(), escapePath(full), url.QueryEscape(ref))
		typ, web, gitKind := "file", "blob", "blobs"
		switch kind {
		case "tree":
			typ, web, gitKind, size = "dir", "tree", "trees", 0
		case "commit":
			typ = "submodule"
		}
		h := c.f.web("/%s/%s/%s/%s", rp.fullName(), web, escapePath(ref), escapePath(full))
		g := c.f.api("/repos/%s/git/%s/%s", rp.fullName(), gitKind, sha)
		o := obj{"type": typ, "size": size, "name": name, "path": full, "sha": sha, "url": u, "git_url": g, "html_url": h, "download_url": nil, "_links": obj{"self": u, "git": g, "html": h}}
		if typ == "file" {
			o["download_url"] = c.f.web("/%s/raw/%s/%s", rp.fullName(), escapePath(ref), escapePath(full))
		}
		return o
	}
	if kind == "tree" {
		entries, err := b.tree(c.ctx, object, false)
		if err != nil {
			return nil, err
		}
		out := make([]obj, 0, len(entries))
		for _, e := range entries {
			o := entry(e.Path, strings.Trim(file+"/"+e.Path, "/"), e.Type, e.SHA, e.Size)
			if e.Mode == "120000" {
				o["type"] = "symlink"
			}
			out = append(out, o)
		}
		return out, nil
	}
	if kind != "blob" {
		return nil, errNotFound
	}
	if size > maxBlob {
		return nil, forbidden("This API returns blobs up to 100 MB in size.")
	}
	data, err := b.blob(c.ctx, object, maxBlob)
	if err != nil {
		return nil, err
	}
	if c.accepts("raw") {
		return reply{status: http.StatusOK, raw: orEmpty(data), kind: "application/vnd.github.raw; charset=utf-8"}, nil
	}
	o := entry(path.Base(file), file, kind, object, size)
	o["encoding"], o["content"] = "base64", wrap64(data)
	if size > 1<<20 { // as GitHub: larger files only raw
		o["encoding"], o["content"] = "none", ""
	}
	return o, nil
}

func listCommits(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rev := c.query("sha")
	if rev == "" {
		rev = rp.DefaultBranch
	}
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, rev)
	if err != nil {
		return nil, err
	}
	size, number := c.page()
	q := logQuery{Path: c.query("path"), Skip: (number - 1) * size, Max: size + 1}
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if v := c.query(name); v != "" {
			if *to, err = time.Parse(time.RFC3339, v); err != nil {
				return nil, invalid("Commit", name, "invalid", "")
			}
		}
	}
	if v := c.query("author"); v != "" {
		if q.Author, err = c.emailOf(v); err != nil {
			return nil, err
		}
	}
	commits, err := b.log(c.ctx, sha, q)
	if err != nil {
		return nil, err
	}
	total := (number-1)*size + len(commits) // enough to know whether there is a next page
	c.links(size, number, total)
	return each(commits[:min(size, len(commits))], func(cm *commit) (obj, error) { return c.commitJSON(rp, cm) })
}

// getCommit serves commits/{ref} and what hangs below it; refs may contain
// slashes, so the known endings are cut off here.
func getCommit(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	ref := c.params["ref"]
	for ending, serve := range map[string]func(*repo, string) (any, error){
		"/status": c.combinedStatus, "/statuses": c.statusesOf, "/check-runs": c.checkRunsOf, "/check-suites": c.checkSuitesOf, "/pulls": c.pullsOf,
		"/branches-where-head": c.branchesAt, "/comments": func(*repo, string) (any, error) { return []obj{}, nil },
	} {
		if base, ok := strings.CutSuffix(ref, ending); ok {
			sha, err := c.f.bare(rp.ID).resolve(c.ctx, base)
			if errors.Is(err, errNoObject) {
				return nil, unprocessable("No commit found for SHA: " + truncate(base, 100))
			}
			if err != nil {
				return nil, err
			}
			return serve(rp, sha)
		}
	}
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, ref)
	if errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + truncate(ref, 100))
	}
	if err != nil {
		return nil, err
	}
	if c.accepts("sha") {
		return reply{status: http.StatusOK, raw: []byte(sha), kind: "application/vnd.github.sha; charset=utf-8"}, nil
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	parent := ""
	if len(cm.Parents) > 0 {
		parent = cm.Parents[0]
	}
	if rep, ok, err := c.textual(b, parent, sha, parent); ok || err != nil {
		return rep, err
	}
	o, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	files, err := b.diff(c.ctx, parent, sha, true)
	if err != nil {
		return nil, err
	}
	add, del := 0, 0
	for _, f := range files {
		add, del = add+f.Additions, del+f.Deletions
	}
	o["stats"] = obj{"additions": add, "deletions": del, "total": add + del}
	o["files"], err = each(files[:min(len(files), 300)], func(ch *change) (obj, error) { return c.f.fileJSON(rp, sha, ch), nil })
	return o, err
}

func compare(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	from, to, ok := strings.Cut(c.params["basehead"], "...")
	if !ok {
		return nil, errNotFound
	}
	b := c.f.bare(rp.ID)
	base, err := c.side(rp, from)
	if err != nil {
		return nil, err
	}
	head, err := c.side(rp, to)
	if err != nil {
		return nil, err
	}
	mb, err := b.mergeBase(c.ctx, base, head)
	if err != nil {
		return nil, err
	}
	if mb == "" {
		return nil, &apiError{Status: http.StatusNotFound, Message: fmt.Sprintf("No common ancestor between %s and %s.", from, to)}
	}
	if rep, ok, err := c.textual(b, mb, head, base); ok || err != nil {
		return rep, err
	}
	ahead, err := b.count(c.ctx, head, base)
	if err != nil {
		return nil, err
	}
	behind, err := b.count(c.ctx, base, head)
	if err != nil {
		return nil, err
	}
	// Without paging parameters the newest 250 commits are shown, with them all can be read.
	q := logQuery{Exclude: base, Reverse: true, Max: 250}
	size, number := c.page()
	paged := c.query("page") != "" || c.query("per_page") != ""
	if paged {
		q.Max = maxCompare
	}
	commits, err := b.log(c.ctx, head, q)
	if err != nil {
		return nil, err
	}
	if paged {
		commits = paginate(c, commits)
	}
	files, err := b.diff(c.ctx, mb, head, true)
	if err != nil {
		return nil, err
	}
	status := "diverged"
	switch {
	case ahead == 0 && behind == 0:
		status = "identical"
	case behind == 0:
		status = "ahead"
	case ahead == 0:
		status = "behind"
	}
	o := obj{
		"status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": ahead, "url": c.f.api("/repos/%s/compare/%s...%s", rp.fullName(), base, head),
		"html_url": c.f.web("/%s/compare/%s...%s", rp.fullName(), base, head), "diff_url": c.f.web("/%s/compare/%s...%s.diff", rp.fullName(), base, head),
	}
	for key, sha := range map[string]string{"base_commit": base, "merge_base_commit": mb} {
		cm, err := b.commit(c.ctx, sha)
		if err != nil {
			return nil, err
		}
		if o[key], err = c.commitJSON(rp, cm); err != nil {
			return nil, err
		}
	}
	if o["commits"], err = each(commits, func(cm *commit) (obj, error) { return c.commitJSON(rp, cm) }); err != nil {
		return nil, err
	}
	if paged && number > 1 || paged && size < 1 {
		files = nil // only the first page shows files
	}
	o["files"], err = each(files[:min(len(files), 300)], func(ch *change) (obj, error) { return c.f.fileJSON(rp, head, ch), nil })
	return o, err
}

// maxCompare bounds the commits between two sides.
const maxCompare = 10_000

// textual answers a client that asked for a diff or a mail series.
func (c *call) textual(b bare, from, to, exclude string) (any, bool, error) {
	switch {
	case c.accepts("patch"):
		text, err := b.formatPatch(c.ctx, exclude, to)
		return reply{status: http.StatusOK, raw: orEmpty(text), kind: "application/vnd.github.patch; charset=utf-8"}, true, err
	case c.accepts("diff"):
		text, err := b.patchText(c.ctx, from, to)
		return reply{status: http.StatusOK, raw: orEmpty(text), kind: "application/vnd.github.diff; charset=utf-8"}, true, err
	}
	return nil, false, nil
}

// side resolves one side of a comparison: a revision, or "owner:branch" of a
// repository of the same family, whose objects are brought here.
func (c *call) side(rp *repo, rev string) (string, error) {
	b := c.f.bare(rp.ID)
	owner, branch, other := strings.Cut(rev, ":")
	if !other || strings.EqualFold(owner, rp.Owner.Login) {
		if other {
			rev = branch
		}
		return b.resolve(c.ctx, rev)
	}
	fork, err := one(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE a.login = ? AND r.copying = 0 AND (r.parent_id = ? OR r.id = ?)", owner, rp.ID, rp.ParentID)
	if err != nil {
		return "", err
	}
	if p, err := c.permission(fork, c.viewer); err != nil || p < permRead {
		return "", errors.Join(err, errNotFound)
	}
	sha, err := c.refSHA(fork.ID, "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	if _, _, _, err := b.object(c.ctx, sha); err == nil {
		return sha, nil
	}
	tmp := "refs/pull/incoming/" + sha
	if err := b.fetch(c.ctx, c.f.repoDir(fork.ID), sha, tmp); err != nil {
		return "", err
	}
	return sha, b.updateRef(c.ctx, tmp, "", sha)
}

// emailOf turns the login of a commit filter into the address in commits.
func (c *call) emailOf(author string) (string, error) {
	if strings.Contains(author, "@") {
		return author, nil
	}
	a, err := c.account(author)
	if errors.Is(err, errNotFound) {
		return author, nil
	}
	if err != nil {
		return "", err
	}
	return c.f.userSignature(a).Email, nil
}

func (c *call) branchesAt(rp *repo, sha string) (any, error) {
	names, err := list(c.reader, scalar[string], "SELECT name FROM refs WHERE repo_id = ? AND sha = ? AND name LIKE 'refs/heads/%' ORDER BY name", rp.ID, sha)
	if err != nil {
		return nil, err
	}
	return each(names, func(n *string) (obj, error) {
		name := strings.TrimPrefix(*n, "refs/heads/")
		protected, err := c.isProtected(rp, name)
		return obj{"name": name, "protected": protected, "commit": obj{"sha": sha, "url": c.f.api("/repos/%s/commits/%s", rp.fullName(), sha)}}, err
	})
}
