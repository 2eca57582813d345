package local

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// This file writes git objects (blobs, trees, commits, annotated tags) as the
// git data API does. Nothing refers to them until a ref is moved.

func createBlob(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	in := struct{ Content, Encoding string }{Encoding: "utf-8"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	data := []byte(in.Content)
	if in.Encoding == "base64" {
		if data, err = decode64(in.Content); err != nil {
			return nil, unprocessable("content is not valid Base64")
		}
	} else if in.Encoding != "utf-8" {
		return nil, invalid("Blob", "encoding", "invalid", "")
	}
	sha, err := c.f.bare(rp.ID).writeBlob(c.ctx, data)
	if err != nil {
		return nil, err
	}
	return created(obj{"sha": sha, "url": c.f.api("/repos/%s/git/blobs/%s", rp.fullName(), sha)})
}

// decode64 reads base64 with line breaks.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "").Replace(s))
}

// newTreeEntry is an entry of a tree to write.
type newTreeEntry struct {
	Path    string         `json:"path"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	SHA     nullableString `json:"sha"`
	Content *string        `json:"content"`
}

// nullableString tells an absent value from null.
type nullableString struct {
	set   bool
	value string
}

func (n *nullableString) UnmarshalJSON(raw []byte) error {
	n.set = true
	if string(raw) == "null" {
		return nil
	}
	return json.Unmarshal(raw, &n.value)
}

const maxTreeEntries = 10_000

func createTree(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		Base string         `json:"base_tree"`
		Tree []newTreeEntry `json:"tree"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if len(in.Tree) == 0 || len(in.Tree) > maxTreeEntries {
		return nil, invalid("Tree", "tree", "invalid", "Invalid tree info")
	}
	b := c.f.bare(rp.ID)
	base := ""
	if in.Base != "" {
		if !validSHA(in.Base) {
			return nil, invalid("Tree", "base_tree", "invalid", "base_tree is not a valid tree oid")
		}
		kind, sha, _, err := b.object(c.ctx, in.Base+"^{tree}")
		if err != nil || kind != "tree" {
			return nil, invalid("Tree", "base_tree", "invalid", "base_tree is not a valid tree oid")
		}
		base = sha
	}
	var changes []pathChange
	for _, e := range in.Tree {
		ch := pathChange{Path: e.Path, Mode: e.Mode, SHA: e.SHA.value}
		if !validPath(e.Path) {
			return nil, invalid("Tree", "tree.path", "invalid", "tree.path contains a malformed path component")
		}
		switch {
		case e.SHA.set && e.SHA.value == "":
			ch.Mode = ""
		case e.Content != nil && !e.SHA.set:
			if ch.SHA, err = b.writeBlob(c.ctx, []byte(*e.Content)); err != nil {
				return nil, err
			}
		case !validSHA(e.SHA.value):
			return nil, invalid("Tree", "tree.sha", "invalid", "tree.sha "+truncate(e.SHA.value, 50)+" is not a valid object")
		}
		switch ch.Mode {
		case "", "100644", "100755", "120000", "040000", "160000":
		default:
			return nil, invalid("Tree", "tree.mode", "invalid", "tree.mode "+truncate(e.Mode, 10)+" is not valid")
		}
		if ch.Mode != "" && ch.Mode != "160000" {
			if _, _, _, err := b.object(c.ctx, ch.SHA); err != nil {
				return nil, invalid("Tree", "tree.sha", "invalid", "tree.sha "+ch.SHA+" is not a valid object")
			}
		}
		changes = append(changes, ch)
	}
	sha, err := b.editTree(c.ctx, base, changes)
	if err != nil {
		return nil, err
	}
	c.params["sha"] = sha
	o, err := c.treeJSON(rp, sha, false)
	if err != nil {
		return nil, err
	}
	return created(o)
}

// person is author, committer or tagger in a request.
type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Date  string `json:"date"`
}

// signature fills what a request left out from an account.
func (p *person) signature(fallback signature) (signature, error) {
	if p == nil {
		return fallback, nil
	}
	if p.Name != "" {
		fallback.Name = p.Name
	}
	if p.Email != "" {
		fallback.Email = p.Email
	}
	if p.Date != "" {
		at, err := time.Parse(time.RFC3339, p.Date)
		if err != nil {
			return fallback, unprocessable("Invalid date: " + truncate(p.Date, 50))
		}
		fallback.When = at
	}
	return fallback, nil
}

func createGitCommit(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		Message           string
		Tree              string
		Parents           []string
		Author, Committer *person
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	if kind, _, _, err := b.object(c.ctx, in.Tree); !validSHA(in.Tree) || err != nil || kind != "tree" {
		return nil, unprocessable("Tree SHA does not exist")
	}
	for _, p := range in.Parents {
		if kind, _, _, err := b.object(c.ctx, p); !validSHA(p) || err != nil || kind != "commit" {
			return nil, unprocessable("Parent SHA does not exist or is not a commit object")
		}
	}
	author, err := in.Author.signature(c.f.userSignature(c.viewer))
	if err != nil {
		return nil, err
	}
	committer, err := in.Committer.signature(author)
	if err != nil {
		return nil, err
	}
	sha, err := b.commitTree(c.ctx, in.Tree, in.Parents, author, committer, in.Message)
	if err != nil {
		return nil, err
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	return created(c.f.gitCommitJSON(rp, cm))
}

func createGitTag(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		Tag, Message, Object, Type string
		Tagger                     *person
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	kind, _, _, err := b.object(c.ctx, in.Object)
	if !validSHA(in.Object) || err != nil || in.Type != "" && in.Type != kind {
		return nil, unprocessable("Object does not exist")
	}
	if !validBranch(in.Tag) {
		return nil, invalid("Tag", "tag", "invalid", "")
	}
	tagger, err := in.Tagger.signature(c.f.userSignature(c.viewer))
	if err != nil {
		return nil, err
	}
	sha, err := b.writeTag(c.ctx, in.Tag, in.Object, kind, tagger, in.Message)
	if err != nil {
		return nil, err
	}
	o, err := c.gitTagJSON(rp, sha)
	if err != nil {
		return nil, err
	}
	return created(o)
}

func getGitTag(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if !validSHA(c.params["sha"]) {
		return nil, errNotFound
	}
	return c.gitTagJSON(rp, c.params["sha"])
}

func (c *call) gitTagJSON(rp *repo, sha string) (obj, error) {
	tag, err := c.f.bare(rp.ID).tag(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	return obj{
		"sha": sha, "node_id": "T_" + sha, "url": c.f.api("/repos/%s/git/tags/%s", rp.fullName(), sha), "tag": tag.Name, "message": tag.Message,
		"tagger": signatureJSON(tag.Tagger), "verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil},
		"object": obj{"sha": tag.Object, "type": tag.Type, "url": c.f.api("/repos/%s/git/%ss/%s", rp.fullName(), tag.Type, tag.Object)},
	}, nil
}

// fileEdit is the body of file creation, change and removal.
type fileEdit struct {
	Message   string  `json:"message"`
	Content   *string `json:"content"`
	SHA       string  `json:"sha"`
	Branch    string  `json:"branch"`
	Author    *person `json:"author"`
	Committer *person `json:"committer"`
}

func putContents(c *call) (any, error)    { return c.editFile(false) }
func deleteContents(c *call) (any, error) { return c.editFile(true) }

// editFile commits the new content, or the removal, of one file.
func (c *call) editFile(remove bool) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	in := fileEdit{Branch: c.query("branch"), SHA: c.query("sha"), Message: c.query("message")} // DELETE may have no body
	if err := c.body(&in); err != nil {
		return nil, err
	}
	file := c.params["path"]
	if !validPath(file) {
		return nil, unprocessable("path contains a malformed path component")
	}
	branch := strings.TrimPrefix(in.Branch, "refs/heads/")
	if branch == "" {
		branch = rp.DefaultBranch
	}
	if in.Message == "" {
		if remove {
			return nil, invalid("Commit", "message", "missing_field", "")
		}
		in.Message = "Update " + file
	}
	if !remove && in.Content == nil {
		return nil, invalidRequest("\"content\" wasn't supplied.")
	}
	if remove && in.SHA == "" {
		return nil, invalidRequest("\"sha\" wasn't supplied.")
	}
	ref := "refs/heads/" + branch
	tip, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) {
		n, cerr := c.count("SELECT count(*) FROM refs WHERE repo_id = ?", rp.ID)
		if cerr != nil {
			return nil, cerr
		}
		if n > 0 || remove || branch != rp.DefaultBranch {
			return nil, &apiError{Status: http.StatusNotFound, Message: "Branch " + truncate(branch, 100) + " not found"}
		}
		tip = "" // the first commit of an empty repository
	} else if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	have, mode := "", "100644"
	if tip != "" {
		kind, sha, _, err := b.pathObject(c.ctx, tip, file)
		switch {
		case errors.Is(err, errNoObject):
		case err != nil:
			return nil, err
		case kind != "blob":
			return nil, unprocessable("path is a directory")
		default:
			have = sha
			if mode, err = b.mode(c.ctx, tip, file); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case remove && have == "":
		return nil, errNotFound
	case have != "" && in.SHA == "":
		return nil, invalidRequest("\"sha\" wasn't supplied.")
	case have != in.SHA:
		return nil, &apiError{Status: http.StatusConflict, Message: fmt.Sprintf("%s does not match %s", truncate(file, 200), truncate(in.SHA, 50))}
	}
	ch := pathChange{Path: file}
	if !remove {
		data, err := decode64(*in.Content)
		if err != nil {
			return nil, unprocessable("content is not valid Base64")
		}
		if ch.SHA, err = b.writeBlob(c.ctx, data); err != nil {
			return nil, err
		}
		ch.Mode = mode
	}
	tree := ""
	var parents []string
	if tip != "" {
		cm, err := b.commit(c.ctx, tip)
		if err != nil {
			return nil, err
		}
		tree, parents = cm.Tree, []string{tip}
	}
	if tree, err = b.editTree(c.ctx, tree, []pathChange{ch}); err != nil {
		return nil, err
	}
	author, err := in.Author.signature(c.f.userSignature(c.viewer))
	if err != nil {
		return nil, err
	}
	committer := c.f.forgeSignature()
	if in.Committer != nil {
		if committer, err = in.Committer.signature(committer); err != nil {
			return nil, err
		}
	}
	sha, err := b.commitTree(c.ctx, tree, parents, author, committer, in.Message)
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, sha, tip, true); err != nil {
		return nil, err
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	out := obj{"commit": c.f.gitCommitJSON(rp, cm), "content": nil}
	if remove {
		return out, nil
	}
	entry, err := c.contentsAt(rp, file, branch)
	if err != nil {
		return nil, err
	}
	if o, ok := entry.(obj); ok {
		delete(o, "content")
		delete(o, "encoding")
	}
	out["content"] = entry
	if have == "" {
		return created(out)
	}
	return out, nil
}

// mergeUpstream brings a branch of a fork up to date with its parent.
func mergeUpstream(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct{ Branch string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	parent, err := c.repoID(rp.ParentID)
	if errors.Is(err, errNotFound) {
		return nil, unprocessable("The repository is not a fork.")
	}
	if err != nil {
		return nil, err
	}
	ref := "refs/heads/" + in.Branch
	tip, err := c.refSHA(parent.ID, ref)
	if errors.Is(err, errNotFound) {
		return nil, unprocessable("The upstream branch does not exist.")
	}
	if err != nil {
		return nil, err
	}
	have, err := c.refSHA(rp.ID, ref)
	if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	tmp := "refs/pull/incoming/" + tip
	if err := b.fetch(c.ctx, c.f.repoDir(parent.ID), tip, tmp); err != nil {
		return nil, err
	}
	defer func() { _ = b.updateRef(c.ctx, tmp, "", tip) }() // left over, it only takes space
	kind := "fast-forward"
	if in, err := b.isAncestor(c.ctx, tip, have); err != nil {
		return nil, err
	} else if in {
		return obj{"message": "This branch is not behind the upstream.", "merge_type": "none", "base_branch": parent.Owner.Login + ":" + strings.TrimPrefix(ref, "refs/heads/")}, nil
	}
	to := tip
	if ff, err := b.isAncestor(c.ctx, have, tip); err != nil {
		return nil, err
	} else if !ff {
		tree, ok, err := b.mergeTrees(c.ctx, have, tip)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, &apiError{Status: http.StatusConflict, Message: "There are merge conflicts"}
		}
		kind = "merge"
		if to, err = b.commitTree(c.ctx, tree, []string{have, tip}, c.f.userSignature(c.viewer), c.f.forgeSignature(), "Merge branch '"+in.Branch+"' of "+parent.fullName()+"\n"); err != nil {
			return nil, err
		}
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, to, have, false); err != nil {
		return nil, err
	}
	return obj{"message": "Successfully fetched and fast-forwarded from upstream " + parent.Owner.Login + ":" + in.Branch + ".", "merge_type": kind, "base_branch": parent.Owner.Login + ":" + in.Branch}, nil
}
