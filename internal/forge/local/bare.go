package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// bare is one bare repository on disk. Its methods take either full object
// names, validated by the caller, or refs built from validated names, so that
// no argument can read as an option.
type bare struct {
	git *gitRunner
	dir string
}

func (b bare) run(ctx context.Context, args ...string) ([]byte, error) {
	return b.git.run(ctx, b.dir, input{}, args...)
}

// signature is author or committer of a commit.
type signature struct {
	Name, Email string
	When        time.Time
}

// commit is a parsed commit object.
type commit struct {
	SHA, Tree         string
	Parents           []string
	Author, Committer signature
	Message           string // as written, without the trailing newline
}

// subject is the first line of the message.
func (c *commit) subject() string {
	s, _, _ := strings.Cut(c.Message, "\n")
	return s
}

// change is one file touched between two trees.
type change struct {
	Path, OldPath        string // OldPath only for renames and copies
	Status               string // GitHub's word: added, removed, modified, renamed, copied, changed
	SHA                  string // blob after the change; before it for removals
	Additions, Deletions int
	Binary               bool
	Patch                string // hunks only; empty for binary or oversized files
}

// treeEntry is one entry of a tree.
type treeEntry struct {
	Mode, Type, SHA, Path string
	Size                  int64 // -1 unless a blob
}

// errNoObject says that a revision or path does not exist.
var errNoObject = errors.New("no such object")

// refs lists branches and tags with the objects they point at.
func (b bare) refs(ctx context.Context) (map[string]string, error) {
	out, err := b.run(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, fmt.Errorf("listing refs: %w", err)
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		sha, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok {
			refs[name] = sha
		}
	}
	return refs, nil
}

// resolve turns what a person or API client names (a branch, a tag, a full
// ref, an object name, HEAD) into a commit.
func (b bare) resolve(ctx context.Context, rev string) (string, error) {
	var try []string
	switch {
	case validSHA(rev):
		try = []string{rev}
	case rev == "HEAD":
		try = []string{"HEAD"}
	case strings.HasPrefix(rev, "refs/") && validBranch(rev):
		try = []string{rev}
	case validBranch(rev):
		try = []string{"refs/heads/" + rev, "refs/tags/" + rev, "refs/" + rev}
		if shortPattern.MatchString(rev) {
			try = append(try, rev)
		}
	}
	for _, t := range try {
		out, err := b.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", t+"^{commit}")
		if err == nil {
			if sha := strings.TrimSpace(string(out)); validSHA(sha) {
				return sha, nil
			}
		} else if ctx.Err() != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("revision %.80q: %w", rev, errNoObject)
}

const logFormat = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"

func parseCommits(out []byte) ([]commit, error) {
	if len(out) == 0 {
		return nil, nil
	}
	f := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(f)%10 != 0 {
		return nil, fmt.Errorf("parsing git log: %d fields", len(f))
	}
	var list []commit
	for ; len(f) > 0; f = f[10:] {
		at, err1 := strconv.ParseInt(f[5], 10, 64)
		ct, err2 := strconv.ParseInt(f[8], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("parsing git log: %w", err)
		}
		list = append(list, commit{
			SHA: f[0], Tree: f[1], Parents: strings.Fields(f[2]),
			Author:    signature{f[3], f[4], time.Unix(at, 0).UTC()},
			Committer: signature{f[6], f[7], time.Unix(ct, 0).UTC()},
			Message:   strings.TrimRight(f[9], "\n"),
		})
	}
	return list, nil
}

// commit reads one commit.
func (b bare) commit(ctx context.Context, sha string) (*commit, error) {
	out, err := b.run(ctx, "log", "-z", "--no-walk", "--no-show-signature", logFormat, sha, "--")
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", sha, errors.Join(errNoObject, err))
	}
	list, err := parseCommits(out)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("reading commit %s: %w", sha, errNoObject)
	}
	return &list[0], nil
}

// logQuery selects commits for log.
type logQuery struct {
	Exclude string // commits reachable from here are left out
	Path    string
	Reverse bool // oldest first
	Author  string
	Since   time.Time
	Until   time.Time
	Skip    int
	Max     int
}

// log lists commits reachable from head.
func (b bare) log(ctx context.Context, head string, q logQuery) ([]commit, error) {
	args := []string{"log", "-z", "--topo-order", logFormat}
	if q.Reverse {
		args = append(args, "--reverse")
	}
	if q.Max > 0 {
		args = append(args, "--max-count="+strconv.Itoa(q.Max))
	}
	if q.Author != "" {
		args = append(args, "--fixed-strings", "--author="+q.Author)
	}
	if !q.Since.IsZero() {
		args = append(args, "--since="+q.Since.Format(time.RFC3339))
	}
	if !q.Until.IsZero() {
		args = append(args, "--until="+q.Until.Format(time.RFC3339))
	}
	if q.Skip > 0 {
		args = append(args, "--skip="+strconv.Itoa(q.Skip))
	}
	args = append(args, head)
	if q.Exclude != "" {
		args = append(args, "^"+q.Exclude)
	}
	args = append(args, "--")
	if q.Path != "" {
		args = append(args, ":(literal)"+q.Path)
	}
	out, err := b.run(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("listing commits of %s: %w", head, err)
	}
	return parseCommits(out)
}

// count returns how many commits head has that exclude has not.
func (b bare) count(ctx context.Context, head, exclude string) (int, error) {
	args := []string{"rev-list", "--count", head}
	if exclude != "" {
		args = append(args, "^"+exclude)
	}
	out, err := b.run(ctx, append(args, "--")...)
	if err != nil {
		return 0, fmt.Errorf("counting commits: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// mergeBase returns the best common ancestor, or "" for unrelated histories.
func (b bare) mergeBase(ctx context.Context, x, y string) (string, error) {
	out, err := b.run(ctx, "merge-base", x, y)
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("finding merge base: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// isAncestor says whether x is reachable from y.
func (b bare) isAncestor(ctx context.Context, x, y string) (bool, error) {
	_, err := b.run(ctx, "merge-base", "--is-ancestor", x, y)
	if exitCode(err) == 1 {
		return false, nil
	}
	return err == nil, err
}

// emptyTree is the object name of a tree without entries.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// diff lists the changes from one tree-ish to another. With patches, hunks are
// included, each file's bounded by maxPatch bytes.
func (b bare) diff(ctx context.Context, from, to string, patches bool) ([]change, error) {
	if from == "" {
		from = emptyTree
	}
	base := []string{"diff-tree", "-r", "-M", "--no-ext-diff", "--no-textconv"}
	out, err := b.run(ctx, append(base, "--raw", "--numstat", "--no-abbrev", "-z", from, to, "--")...)
	if err != nil {
		return nil, fmt.Errorf("comparing %s with %s: %w", from, to, err)
	}
	list, err := parseRaw(out)
	if err != nil || !patches || len(list) == 0 {
		return list, err
	}
	out, err = b.run(ctx, append(base, "-p", "--no-color", from, to, "--")...)
	if errors.Is(err, errGitOutput) {
		return list, nil // as GitHub does: no patch when the diff is too large
	}
	if err != nil {
		return nil, fmt.Errorf("reading patch from %s to %s: %w", from, to, err)
	}
	attachPatches(list, out)
	return list, nil
}

var statusWords = map[byte]string{
	'A': "added", 'D': "removed", 'M': "modified", 'R': "renamed", 'C': "copied", 'T': "changed",
}

// parseRaw reads "diff-tree --raw --numstat -z": first all raw records, then
// all numstat records in the same order.
func parseRaw(out []byte) ([]change, error) {
	f := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	var list []change
	i := 0
	for ; i < len(f) && strings.HasPrefix(f[i], ":"); i++ {
		p := strings.Fields(f[i])
		if len(p) != 5 || i+1 >= len(f) {
			return nil, fmt.Errorf("parsing git diff: record %.80q", f[i])
		}
		c := change{Status: statusWords[p[4][0]], SHA: p[3]}
		if c.Status == "" {
			c.Status = "changed"
		}
		if p[4][0] == 'D' {
			c.SHA = p[2]
		}
		i++
		c.Path = f[i]
		if p[4][0] == 'R' || p[4][0] == 'C' {
			if i+1 >= len(f) {
				return nil, errors.New("parsing git diff: rename without target")
			}
			i++
			c.OldPath, c.Path = c.Path, f[i]
		}
		list = append(list, c)
	}
	for n := 0; n < len(list) && i < len(f); n, i = n+1, i+1 {
		p := strings.SplitN(f[i], "\t", 3)
		if len(p) != 3 {
			return nil, fmt.Errorf("parsing git diff: counts %.80q", f[i])
		}
		if p[0] == "-" {
			list[n].Binary = true
		} else {
			list[n].Additions, _ = strconv.Atoi(p[0])
			list[n].Deletions, _ = strconv.Atoi(p[1])
		}
		if p[2] == "" { // rename: two more fields
			i += 2
		}
	}
	return list, nil
}

const maxPatch = 1 << 20

// attachPatches cuts a combined patch into files. Hunk lines never begin with
// "diff --git", so the cut is exact; records and patches come in one order.
func attachPatches(list []change, out []byte) {
	var parts [][]byte
	const mark = "diff --git "
	for rest := out; len(rest) > 0; {
		end := bytes.Index(rest[1:], []byte("\n"+mark))
		if end < 0 {
			parts = append(parts, rest)
			break
		}
		parts = append(parts, rest[:end+2])
		rest = rest[end+2:]
	}
	n := 0
	for i := range list {
		take := 1
		if list[i].Status == "changed" {
			take = 2 // a change of type is shown as removal and addition
		}
		for range take {
			if n >= len(parts) {
				return
			}
			p := parts[n]
			n++
			if list[i].Binary || len(p) > maxPatch {
				continue
			}
			if at := bytes.Index(p, []byte("\n@@ ")); at >= 0 {
				list[i].Patch += strings.TrimSuffix(string(p[at+1:]), "\n")
			}
		}
	}
}

// patchText returns the raw diff between two trees.
func (b bare) patchText(ctx context.Context, from, to string) ([]byte, error) {
	if from == "" {
		from = emptyTree
	}
	return b.run(ctx, "diff-tree", "-r", "-M", "-p", "--no-color", "--full-index", "--no-ext-diff", "--no-textconv", from, to, "--")
}

// formatPatch returns the commits of base..head as a mail series.
func (b bare) formatPatch(ctx context.Context, base, head string) ([]byte, error) {
	args := []string{"format-patch", "--stdout", "--no-color", "--no-ext-diff", "--no-textconv", "--no-signature", head}
	if base != "" {
		args = append(args, "^"+base)
	}
	return b.run(ctx, append(args, "--")...)
}

// mergeTrees merges two commits. ok is false on conflict.
func (b bare) mergeTrees(ctx context.Context, ours, theirs string) (tree string, ok bool, err error) {
	out, err := b.run(ctx, "merge-tree", "--write-tree", "--no-messages", "--allow-unrelated-histories", ours, theirs)
	tree, _, _ = strings.Cut(string(out), "\n")
	switch {
	case err == nil:
		return tree, true, nil
	case exitCode(err) == 1:
		return "", false, nil
	}
	return "", false, fmt.Errorf("merging trees: %w", err)
}

// commitTree writes a commit object.
func (b bare) commitTree(ctx context.Context, tree string, parents []string, author, committer signature, message string) (string, error) {
	args := []string{"commit-tree", "--no-gpg-sign", tree}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	out, err := b.git.run(ctx, b.dir, input{
		env: []string{
			"GIT_AUTHOR_NAME=" + identName(author.Name), "GIT_AUTHOR_EMAIL=" + identName(author.Email), "GIT_AUTHOR_DATE=" + gitDate(author.When),
			"GIT_COMMITTER_NAME=" + identName(committer.Name), "GIT_COMMITTER_EMAIL=" + identName(committer.Email), "GIT_COMMITTER_DATE=" + gitDate(committer.When),
		},
		stdin: strings.NewReader(message),
	}, args...)
	if err != nil {
		return "", fmt.Errorf("writing commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func gitDate(t time.Time) string { return fmt.Sprintf("@%d +0000", t.Unix()) }

// identName removes what git refuses in names and never returns "".
func identName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == '<' || r == '>' {
			return -1
		}
		return r
	}, s)
	if strings.Trim(s, " .,:;\"'") == "" {
		return "unknown"
	}
	return s
}

// updateRef moves a ref from one object to another; "" stands for absence.
// It fails with errRefMoved when the ref is not where the caller saw it.
func (b bare) updateRef(ctx context.Context, ref, to, from string) error {
	args := []string{"update-ref", "--no-deref"}
	if from == "" {
		from = zeroSHA
	}
	if to == "" {
		args = append(args, "-d", ref, from)
	} else {
		args = append(args, ref, to, from)
	}
	if _, err := b.run(ctx, args...); err != nil {
		if exitCode(err) > 0 && strings.Contains(err.Error(), "cannot lock ref") {
			return fmt.Errorf("moving %s: %w: %w", ref, errRefMoved, err)
		}
		return fmt.Errorf("moving %s: %w", ref, err)
	}
	return nil
}

var errRefMoved = errors.New("ref moved meanwhile")

// setRef points a ref at an object wherever it was before.
func (b bare) setRef(ctx context.Context, ref, to string) error {
	if _, err := b.run(ctx, "update-ref", "--no-deref", ref, to); err != nil {
		return fmt.Errorf("setting %s: %w", ref, err)
	}
	return nil
}

// fetch copies a commit from another repository on this machine into ref.
func (b bare) fetch(ctx context.Context, from, source, ref string) error {
	_, err := b.run(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--end-of-options", from, "+"+source+":"+ref)
	if err != nil {
		return fmt.Errorf("fetching %s from %s: %w", source, from, err)
	}
	return nil
}

// object returns the type and size of "<commit>:<path>" or of an object name.
func (b bare) object(ctx context.Context, name string) (kind, sha string, size int64, err error) {
	out, err := b.git.run(ctx, b.dir, input{stdin: strings.NewReader(name + "\n")}, "cat-file", "--batch-check")
	if err != nil {
		return "", "", 0, fmt.Errorf("reading object: %w", err)
	}
	line := strings.TrimSuffix(string(out), "\n")
	f := strings.Fields(line)
	if len(f) != 3 || !validSHA(f[0]) || strings.Contains(line, "\n") {
		return "", "", 0, errNoObject
	}
	size, err = strconv.ParseInt(f[2], 10, 64)
	return f[1], f[0], size, err
}

// pathObject looks up a path in a commit; "" is the root.
func (b bare) pathObject(ctx context.Context, commit, file string) (kind, sha string, size int64, err error) {
	if strings.ContainsAny(file, "\n\x00") {
		return "", "", 0, errNoObject
	}
	if file = strings.Trim(path.Clean("/"+file), "/"); file == "" {
		return b.object(ctx, commit+"^{tree}")
	}
	return b.object(ctx, commit+":"+file)
}

// blob reads a blob of at most max bytes.
func (b bare) blob(ctx context.Context, sha string, max int) ([]byte, error) {
	out, err := b.git.run(ctx, b.dir, input{max: max}, "cat-file", "blob", sha)
	if err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", sha, err)
	}
	return out, nil
}

// tree lists a tree.
func (b bare) tree(ctx context.Context, sha string, recursive bool) ([]treeEntry, error) {
	args := []string{"ls-tree", "-z", "--long"}
	if recursive {
		args = append(args, "-r", "-t")
	}
	out, err := b.run(ctx, append(args, sha)...)
	if err != nil {
		return nil, fmt.Errorf("reading tree %s: %w", sha, err)
	}
	var list []treeEntry
	for rec := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		meta, name, ok := strings.Cut(rec, "\t")
		f := strings.Fields(meta)
		if !ok || len(f) != 4 {
			continue
		}
		e := treeEntry{Mode: f[0], Type: f[1], SHA: f[2], Path: name, Size: -1}
		if n, err := strconv.ParseInt(f[3], 10, 64); err == nil {
			e.Size = n
		}
		list = append(list, e)
	}
	return list, nil
}
