package local

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"path"
	"sort"
	"strings"
	"unicode/utf8"
)

// fileRow is an entry of a directory or a branch.
type fileRow struct {
	Name, URL string
	Dir       bool
}

func (v *visit) files(rp *repo, ref, dir, tree string) ([]fileRow, error) {
	entries, err := v.f.bare(rp.ID).tree(v.ctx, tree, false)
	if err != nil {
		return nil, err
	}
	var out []fileRow
	for _, e := range entries {
		kind := "blob"
		if e.Type == "tree" {
			kind = "tree"
		}
		out = append(out, fileRow{e.Path, fmt.Sprintf("/%s/%s/%s/%s", rp.fullName(), kind, escapePath(ref), escapePath(path.Join(dir, e.Path))), e.Type == "tree"})
	}
	sort.SliceStable(out, func(i, k int) bool { return out[i].Dir && !out[k].Dir })
	return out, nil
}

func (v *visit) repoPage(rp *repo) error {
	fr, err := v.frame(rp.fullName())
	if err != nil {
		return err
	}
	data := struct {
		frame
		Repo                 repoName
		Description, Clone   string
		Branch, SHA, Subject string
		Files, Branches      []fileRow
		Readme               template.HTML
	}{frame: fr, Repo: nameOf(rp), Description: rp.Description, Clone: v.f.web("/%s.git", rp.fullName())}
	refs, err := v.refsLike(rp.ID, "refs/heads/")
	if err != nil {
		return err
	}
	for _, r := range refs {
		name := strings.TrimPrefix(r.Name, "refs/heads/")
		data.Branches = append(data.Branches, fileRow{Name: name, URL: fmt.Sprintf("/%s/tree/%s", rp.fullName(), escapePath(name))})
		if name != rp.DefaultBranch {
			continue
		}
		b := v.f.bare(rp.ID)
		c, err := b.commit(v.ctx, r.SHA)
		if err != nil {
			return err
		}
		data.Branch, data.SHA, data.Subject = name, c.SHA, c.subject()
		if data.Files, err = v.files(rp, name, "", c.Tree); err != nil {
			return err
		}
		for _, f := range data.Files {
			if strings.EqualFold(f.Name, "readme.md") {
				if data.Readme, err = v.readme(rp, c.SHA, f.Name); err != nil {
					return err
				}
				break
			}
		}
	}
	return v.show("repo", data)
}

// maxShown is the largest file a page shows as text.
const maxShown = 1 << 20

func (v *visit) readme(rp *repo, sha, name string) (template.HTML, error) {
	b := v.f.bare(rp.ID)
	kind, object, size, err := b.pathObject(v.ctx, sha, name)
	if err != nil || kind != "blob" || size > maxShown {
		return "", err
	}
	text, err := b.blob(v.ctx, object, maxShown)
	if err != nil {
		return "", err
	}
	return v.render(string(text)), nil
}

// filePage shows a file or directory. Branch names may contain slashes, so the
// ref is the shortest prefix that resolves.
func (v *visit) filePage(rp *repo, raw bool, parts []string) error {
	b := v.f.bare(rp.ID)
	var ref, file, sha string
	for n := 1; n <= min(len(parts), 8); n++ {
		s, err := b.resolve(v.ctx, strings.Join(parts[:n], "/"))
		if err == nil {
			ref, file, sha = strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/"), s
			break
		}
		if !errors.Is(err, errNoObject) {
			return err
		}
	}
	if sha == "" {
		return errNotFound
	}
	kind, object, size, err := b.pathObject(v.ctx, sha, file)
	if err != nil {
		return err
	}
	var data []byte
	if kind == "blob" && size <= maxShown {
		if data, err = b.blob(v.ctx, object, maxShown); err != nil {
			return err
		}
	}
	if raw {
		if kind != "blob" {
			return errNotFound
		}
		if size > maxShown {
			if data, err = b.blob(v.ctx, object, maxBlob); err != nil {
				return err
			}
		}
		v.w.Header().Set("Content-Type", "text/plain; charset=utf-8") // never as a page of this site
		_, _ = v.w.Write(data)                                        // the client is gone
		return nil
	}
	fr, err := v.frame(file + " in " + rp.fullName())
	if err != nil {
		return err
	}
	page := struct {
		frame
		Repo                 repoName
		File, Ref, Raw, Text string
		Binary               bool
		Rendered             template.HTML
		Files                []fileRow
	}{frame: fr, Repo: nameOf(rp), File: file, Ref: ref, Raw: fmt.Sprintf("/%s/raw/%s/%s", rp.fullName(), escapePath(ref), escapePath(file))}
	switch {
	case kind == "tree":
		if page.File == "" {
			page.File = rp.Name
		}
		if page.Files, err = v.files(rp, ref, file, object); err != nil {
			return err
		}
	case kind != "blob" || size > maxShown || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		page.Binary = true
	case strings.HasSuffix(lower(file), ".md"):
		page.Rendered = v.render(string(data))
	default:
		page.Text = string(data)
	}
	return v.show("blob", page)
}

// fileDiff is a changed file for the page.
type fileDiff struct {
	change
	Lines []diffLine
	Open  bool
}

type diffLine struct{ Class, Text string }

func diffsOf(files []change) []fileDiff {
	budget := maxDiffLines
	var out []fileDiff
	for _, c := range files[:min(len(files), 500)] {
		d := fileDiff{change: c}
		if c.Patch != "" {
			lines := strings.Split(c.Patch, "\n")
			d.Open = len(lines) <= maxOpenLines
			cut := len(lines) > budget
			if cut {
				lines = lines[:budget]
			}
			budget -= len(lines)
			for _, l := range lines {
				class := ""
				switch {
				case strings.HasPrefix(l, "+"):
					class = "a"
				case strings.HasPrefix(l, "-"):
					class = "d"
				case strings.HasPrefix(l, "@@"):
					class = "h"
				}
				d.Lines = append(d.Lines, diffLine{class, truncate(strings.ToValidUTF8(l, "�"), 2000)})
			}
			if cut {
				d.Lines = append(d.Lines, diffLine{"h", "The rest is not shown here."})
			}
		}
		out = append(out, d)
	}
	return out
}

// checkRow is a status or check run on a page.
type checkRow struct{ State, Context, Description, URL string }

func (v *visit) checks(rp *repo, sha string) ([]checkRow, error) {
	statuses, err := v.latestStatuses(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	var out []checkRow
	for _, s := range statuses {
		out = append(out, checkRow{s.State, s.Context, s.Description, safeURL(s.TargetURL)})
	}
	runs, err := v.latestCheckRuns(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	for _, k := range runs {
		state := "pending"
		switch {
		case checkPassed(k):
			state = "success"
		case k.Status == "completed":
			state = "failure"
		}
		out = append(out, checkRow{state, k.Name, strings.TrimSpace(k.Status + " " + k.Conclusion), safeURL(k.DetailsURL)})
	}
	return out, nil
}

// safeURL keeps only addresses of the web.
func safeURL(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return s
}

func (v *visit) commitPage(rp *repo, rev string) error {
	b := v.f.bare(rp.ID)
	sha, err := b.resolve(v.ctx, rev)
	if err != nil {
		return err
	}
	c, err := b.commit(v.ctx, sha)
	if err != nil {
		return err
	}
	parent := ""
	if len(c.Parents) > 0 {
		parent = c.Parents[0]
	}
	files, err := b.diff(v.ctx, parent, sha, true)
	if err != nil {
		return err
	}
	checks, err := v.checks(rp, sha)
	if err != nil {
		return err
	}
	fr, err := v.frame(c.subject() + " · " + rp.fullName())
	if err != nil {
		return err
	}
	_, body, _ := strings.Cut(c.Message, "\n")
	return v.show("commit", struct {
		frame
		Repo                                repoName
		Subject, Message, Author, When, SHA string
		Parents                             []string
		Checks                              []checkRow
		Diff                                []fileDiff
	}{fr, nameOf(rp), c.subject(), strings.TrimSpace(body), c.Author.Name, v.ago(when{c.Author.When}), c.SHA, c.Parents, checks, diffsOf(files)})
}

const (
	// maxDiffLines bounds what one page shows of all diffs together.
	maxDiffLines = 5000
	maxOpenLines = 500
)
