package clone

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" // #nosec: git's own checksum
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"prow/internal/git"
)

const (
	// mirrorRefs are where a clone keeps the commits of a mirror while it fetches,
	// so that git tells the host what it has already.
	mirrorRefs = "refs/prow-mirror/"
	// mirrorAttempts is how often a mirror is read that changes meanwhile.
	mirrorAttempts = 3
	// maxMirrorRefs bounds the refs that are told; more would make fetches slow.
	maxMirrorRefs = 20_000
)

// mirrorOf is where below dir the mirror of an address is.
func mirrorOf(dir, address string) (string, bool) {
	place, ok := git.MirrorPlace(address)
	return filepath.Join(dir, filepath.FromSlash(place)), ok
}

// useMirror fills the new repository with what a mirror on the node has, so that
// only the rest is fetched. The objects are copied: the work tree outlives the
// mount of the mirror, and survives what happens to the mirror.
//
// Nothing depends on the mirror being there, new, whole or at rest. Every copied
// file is checked against its checksum, the files have to be the same before and
// after, and everything that the refs lead to has to be there; else the copy is
// thrown away and all is fetched. Clones that leave out history or files fetch
// little, and do without.
//
// The returned function removes the traces once everything is fetched.
func (s *sequence) useMirror(ctx context.Context) (forget func() error) {
	forget = func() error { return nil }
	dir := s.cloner.opts.MirrorDir
	if dir == "" || s.refs.CloneDepth > 0 || len(s.filter()) > 0 {
		return forget
	}
	from, ok := mirrorOf(dir, s.address)
	if !ok {
		return forget
	}
	step := "golang: copy the objects of the mirror " + from
	begin := s.cloner.now()
	m := &mirror{dir: from, into: filepath.Join(s.dir, ".git"), git: s.git}
	copied, err := m.copy(ctx)
	output := fmt.Sprintf("%d bytes, %d refs\n", copied, len(m.refs))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err, output = nil, "There is no mirror of this repository.\n"
	case err != nil:
		s.cloner.logger.Warn("A mirror cannot be used.", "mirror", from, "error", err.Error())
		err, output = nil, fmt.Sprintf("The mirror is not used: %v\n", err)
	default:
		forget = func() error { return m.forget(context.WithoutCancel(ctx)) }
	}
	s.note(step, output, err)
	s.record.Commands[len(s.record.Commands)-1].Duration = s.cloner.now().Sub(begin)
	return forget
}

// gitRunner is what a mirror needs of git.Runner.
type gitRunner interface {
	Output(ctx context.Context, dir string, args ...string) (string, error)
	Pipe(ctx context.Context, dir string, input io.Reader, read func(io.Reader) error, args ...string) error
}

// mirror is a bare repository whose objects are copied into a new one.
type mirror struct {
	dir  string
	into string
	git  gitRunner
	// refs are the commits and tags of the mirror.
	refs []string
}

// copy returns how many bytes it copied. With an error nothing is left behind;
// that there is no mirror is fs.ErrNotExist.
func (m *mirror) copy(ctx context.Context) (copied int64, err error) {
	if _, err := os.Stat(filepath.Join(m.dir, "HEAD")); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			m.refs = nil
			err = errors.Join(noLongerMissing(err), m.clear())
		}
	}()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	for range mirrorAttempts {
		// Refs first: what they lead to is there before they are.
		if m.refs, err = m.listRefs(ctx); err != nil {
			return 0, err
		}
		var same bool
		if copied, same, err = m.copyObjects(ctx); err == nil && same {
			break
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil {
			err = errors.New("it keeps changing")
		}
		if clearErr := m.clear(); clearErr != nil {
			return 0, errors.Join(err, clearErr)
		}
	}
	if err != nil {
		return 0, err
	}
	return copied, m.connect(ctx)
}

// noLongerMissing keeps a file that vanished from looking like a missing mirror.
func noLongerMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}

// usable refuses mirrors whose objects are not all in the mirror itself, or not
// in the format of the new repository.
func (m *mirror) usable(ctx context.Context) error {
	for _, name := range []string{"shallow", "objects/info/alternates"} {
		if info, err := os.Stat(filepath.Join(m.dir, filepath.FromSlash(name))); err == nil && info.Size() > 0 {
			return fmt.Errorf("it has the file %s, so it is not complete", name)
		}
	}
	out, err := m.git.Output(ctx, m.dir, "config", "--file", filepath.Join(m.dir, "config"), "--name-only", "--get-regexp", `^(extensions\..*|remote\..*\.promisor)$`)
	if err == nil && out != "" {
		return fmt.Errorf("it has the setting %s", strings.ReplaceAll(out, "\n", ", "))
	}
	return nil
}

func (m *mirror) listRefs(ctx context.Context) ([]string, error) {
	out, err := m.git.Output(ctx, m.dir, "--git-dir=.", "for-each-ref", "--format=%(objectname)", fmt.Sprintf("--count=%d", maxMirrorRefs), "--sort=-refname", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := strings.Fields(out)
	slices.Sort(refs)
	refs = slices.Compact(refs)
	if len(refs) == 0 {
		return nil, errors.New("it is empty")
	}
	return refs, nil
}

// copyObjects copies all objects, and tells whether the mirror stayed the same.
func (m *mirror) copyObjects(ctx context.Context) (copied int64, same bool, err error) {
	before, err := listObjects(m.dir)
	if err != nil {
		return 0, false, err
	}
	for _, file := range before {
		from, to := filepath.Join(m.dir, "objects", file), filepath.Join(m.into, "objects", file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return copied, false, err
		}
		var n int64
		if path.Dir(file) == "pack" {
			n, err = copyChecked(ctx, from, to)
		} else {
			n, err = copyLoose(ctx, from, to)
		}
		copied += n
		if err != nil {
			return copied, false, err
		}
	}
	after, err := listObjects(m.dir)
	return copied, slices.Equal(before, after), err
}

// listObjects lists the packs with their indexes, and the loose objects. A pack
// without an index is one that is being written.
func listObjects(dir string) ([]string, error) {
	objects := filepath.Join(dir, "objects")
	indexes, err := filepath.Glob(filepath.Join(objects, "pack", "pack-*.idx"))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, index := range indexes {
		name := strings.TrimSuffix(filepath.Base(index), ".idx")
		if _, err := os.Stat(filepath.Join(objects, "pack", name+".promisor")); err == nil {
			return nil, fmt.Errorf("the pack %s is of a partial clone", name)
		}
		files = append(files, "pack/"+name+".pack", "pack/"+name+".idx")
	}
	loose, err := filepath.Glob(filepath.Join(objects, "[0-9a-f][0-9a-f]", strings.Repeat("[0-9a-f]", 38)))
	if err != nil {
		return nil, err
	}
	for _, file := range loose {
		files = append(files, filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file))
	}
	return files, nil
}

// copyChecked copies a pack or an index, which end with the checksum of the rest.
func copyChecked(ctx context.Context, from, to string) (int64, error) {
	return copyFile(from, to, func(in *os.File, out io.Writer) error {
		info, err := in.Stat()
		if err != nil {
			return err
		}
		sum := sha1.New()
		if info.Size() < int64(sum.Size()) {
			return errors.New("it is cut off")
		}
		if _, err := io.CopyN(io.MultiWriter(out, sum), reader{ctx, in}, info.Size()-int64(sum.Size())); err != nil {
			return err
		}
		end, err := io.ReadAll(io.LimitReader(in, int64(sum.Size())+1))
		if err != nil {
			return err
		}
		if !bytes.Equal(end, sum.Sum(nil)) {
			return errors.New("it does not have its checksum")
		}
		_, err = out.Write(end)
		return err
	})
}

// copyLoose copies an object of its own, whose name is the checksum of its content.
func copyLoose(ctx context.Context, from, to string) (int64, error) {
	return copyFile(from, to, func(in *os.File, out io.Writer) error {
		content, err := zlib.NewReader(io.TeeReader(reader{ctx, in}, out))
		if err != nil {
			return err
		}
		var sum hash.Hash = sha1.New()
		if _, err := io.Copy(sum, content); err != nil {
			return err
		}
		if name := filepath.Base(filepath.Dir(from)) + filepath.Base(from); hex.EncodeToString(sum.Sum(nil)) != name {
			return errors.New("it does not have its checksum")
		}
		return nil
	})
}

func copyFile(from, to string, do func(in *os.File, out io.Writer) error) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o444)
	if err != nil {
		return 0, err
	}
	counted := &counter{w: out}
	err = do(in, counted)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return counted.n, fmt.Errorf("copying %s: %w", from, err)
	}
	return counted.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// connect makes the copied commits known, after a look that nothing that they
// lead to is missing. It is the look that git itself has after each fetch.
func (m *mirror) connect(ctx context.Context) error {
	tips := strings.NewReader(strings.Join(m.refs, "\n") + "\n")
	discard := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	if err := m.git.Pipe(ctx, filepath.Dir(m.into), tips, discard, "rev-list", "--objects", "--quiet", "--stdin"); err != nil {
		return fmt.Errorf("it is not complete: %w", err)
	}
	var packed strings.Builder
	for i, ref := range m.refs {
		fmt.Fprintf(&packed, "%s %s%06d\n", ref, mirrorRefs, i)
	}
	return os.WriteFile(filepath.Join(m.into, "packed-refs"), []byte(packed.String()), 0o644)
}

// forget removes the refs. The objects stay.
func (m *mirror) forget(ctx context.Context) error {
	var deletions strings.Builder
	for i := range m.refs {
		fmt.Fprintf(&deletions, "delete %s%06d\n", mirrorRefs, i)
	}
	discard := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	if err := m.git.Pipe(ctx, filepath.Dir(m.into), strings.NewReader(deletions.String()), discard, "update-ref", "--stdin"); err != nil {
		return fmt.Errorf("removing the refs of the mirror: %w", err)
	}
	return nil
}

// clear throws everything away that was copied.
func (m *mirror) clear() error {
	objects := filepath.Join(m.into, "objects")
	if err := errors.Join(os.RemoveAll(objects), os.Remove(filepath.Join(m.into, "packed-refs"))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Join(objects, "pack"), 0o755), os.MkdirAll(filepath.Join(objects, "info"), 0o755))
}
