package clone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// checkRefs refuses what git would take for something else than a name: flags,
// with which a ref could run commands, and refspecs, with which it could move
// other refs.
func checkRefs(refs v1.Refs) error {
	if err := refs.Validate(); err != nil {
		return err
	}
	if refs.BaseRef == "" {
		return errors.New("no base ref is given")
	}
	if err := errors.Join(checkName("base_ref", refs.BaseRef), checkName("base_sha", refs.BaseSHA)); err != nil {
		return err
	}
	for _, pull := range refs.Pulls {
		if err := errors.Join(checkName("sha", pull.SHA), checkName("ref", pull.Ref)); err != nil {
			return fmt.Errorf("pull %d: %w", pull.Number, err)
		}
	}
	for _, value := range []string{refs.CloneURI, refs.RepoLink, refs.Org, refs.Repo} {
		if strings.HasPrefix(value, "-") || strings.ContainsAny(value, "\x00\r\n") {
			return fmt.Errorf("%q is no address", value)
		}
	}
	for _, pattern := range refs.SparseCheckoutFiles {
		if strings.HasPrefix(pattern, "-") || strings.ContainsAny(pattern, "\x00\r\n") {
			return fmt.Errorf("sparse_checkout_files: %q is no pattern", pattern)
		}
	}
	return nil
}

// checkName applies git's rules for names of refs, as far as they keep a name
// from having another meaning. The empty name is left to those who need one.
func checkName(field, name string) error {
	switch {
	case strings.HasPrefix(name, "-"):
		return fmt.Errorf("%s: %q begins with a dash", field, name)
	case strings.HasPrefix(name, "+"):
		return fmt.Errorf("%s: %q begins with a plus", field, name)
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return fmt.Errorf("%s: %q is an expression", field, name)
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f || strings.ContainsRune(`:~^?*[\`, c) {
			return fmt.Errorf("%s: %q holds %q", field, name, c)
		}
	}
	return nil
}

// cloneDir is where refs go, which must be below the source root.
func cloneDir(root string, refs v1.Refs) (string, error) {
	dir := refs.ClonePath(root)
	for element := range strings.SplitSeq(strings.TrimPrefix(dir, root), "/") {
		if element == ".." || element == ".git" || strings.ContainsRune(element, 0) {
			return "", fmt.Errorf("%s: the path %q leads out of the source root or into a repository's own files", refs.OrgRepoString(), dir)
		}
	}
	return dir, nil
}

// makeCloneDir makes the directory for refs. A repository that is cloned into
// another one may not be led elsewhere by a link that the other one holds.
func makeCloneDir(root, dir string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close()
	inner, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	return r.MkdirAll(inner, 0o755)
}

// staysInside tells whether a path is still below the root when all links are followed.
func staysInside(root, path string) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if inner, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(inner) {
		return fmt.Errorf("%s is %s, which is out of the source root", path, real)
	}
	return nil
}
