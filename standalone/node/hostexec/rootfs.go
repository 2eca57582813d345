//go:build linux

package hostexec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"prow/standalone/node/executor"
)

// maxMirrored bounds the entries of a directory that has to be rebuilt so that
// a volume can appear in it.
const maxMirrored = 4096

// devices that every container has.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// buildRoot replaces this mount namespace's root by the container's.
//
// Sources are opened as detached mounts while the machine's files are still in
// view, and attached after the root has changed: from then on a symbolic link
// in a hostile volume can only lead to places inside the container.
func buildRoot(spec initSpec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	mounts, err := openMounts(spec.Mounts)
	if err != nil {
		return err
	}
	b := &rootBuilder{made: map[string]int{}}
	if err := b.mirrorMachine(spec.NewRoot); err != nil {
		return err
	}
	if err := pivot(spec.NewRoot); err != nil {
		return err
	}
	// Inside now; all paths are the container's.
	for _, dir := range spec.Hide {
		if err := b.hide(dir); err != nil {
			return err
		}
	}
	for _, file := range spec.HideFiles {
		if err := hideFile(file); err != nil {
			return err
		}
	}
	for _, m := range mounts {
		if err := b.attach(m); err != nil {
			return executor.Failed(executor.ReasonCreate, "mount at %s: %v", m.Target, err)
		}
	}
	return b.seal()
}

// openMount is a mount without a place yet.
type openMount struct {
	executor.Mount
	fd  int
	dir bool
}

func openMounts(mounts []executor.Mount) ([]openMount, error) {
	var out []openMount
	for _, m := range mounts {
		fd, err := cloneTree(m.Source, m.ReadOnly)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", m.Source, err)
		}
		st, err := os.Stat(m.Source)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", m.Source, err)
		}
		out = append(out, openMount{Mount: m, fd: fd, dir: st.IsDir()})
	}
	// Outer places first, so that inner ones are not covered.
	slices.SortStableFunc(out, func(a, b openMount) int { return depth(a.Target) - depth(b.Target) })
	return out, nil
}

func depth(path string) int {
	path = filepath.Clean(path)
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

// cloneTree makes a detached copy of what is mounted at and below path.
func cloneTree(path string, readOnly bool) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, err
	}
	if readOnly {
		if err := setReadOnly(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("make read-only: %w", err)
		}
	}
	return fd, nil
}

func setReadOnly(fd int, path string, flags uint) error {
	return unix.MountSetattr(fd, path, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// attachTree puts a detached mount at path and gives up its descriptor.
func attachTree(fd int, path string) error {
	defer unix.Close(fd)
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func bind(source, target string, readOnly bool) error {
	fd, err := cloneTree(source, readOnly)
	if err != nil {
		return fmt.Errorf("open %s: %w", source, err)
	}
	if err := attachTree(fd, target); err != nil {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	return nil
}

// rootBuilder remembers the file systems it made, to seal them at the end.
type rootBuilder struct {
	made map[string]int // path inside the container → descriptor
}

func tmpfs(path, options string) error {
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", path, err)
	}
	return nil
}

// scaffold mounts a file system that is writable only while the root is built.
// inside is its path in the container. The descriptor finds it again when a
// volume has covered it.
func (b *rootBuilder) scaffold(path, inside string) error {
	if err := tmpfs(path, "mode=0755,size=16m"); err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	b.made[inside] = fd
	return nil
}

// mirrorMachine builds the root directory at root from the machine's.
func (b *rootBuilder) mirrorMachine(root string) error {
	names, err := os.ReadDir("/")
	if err != nil {
		return fmt.Errorf("list root directory: %w", err)
	}
	names = slices.DeleteFunc(names, func(e fs.DirEntry) bool {
		return e.Name() == "dev" || e.Name() == "proc" || e.Name() == "tmp"
	})
	// Before the new root is mounted, or it would contain itself.
	entries, err := openEntries("/", names, true)
	if err != nil {
		return err
	}
	if err := b.scaffold(root, "/"); err != nil {
		return err
	}
	for _, e := range entries {
		if err := e.placeIn(root); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o777); err != nil {
		return fmt.Errorf("make /tmp: %w", err)
	}
	if err := b.mountProc(filepath.Join(root, "proc")); err != nil {
		return err
	}
	return b.mountDev(filepath.Join(root, "dev"))
}

// entry is an entry of a directory, taken out of it: a link as a link,
// everything else as a detached mount.
type entry struct {
	name string
	link string
	fd   int
	dir  bool
}

// openEntries takes the entries of a directory. readOnly makes them so; else
// they are as they were.
func openEntries(dir string, list []fs.DirEntry, readOnly bool) ([]entry, error) {
	var out []entry
	for _, d := range list {
		path := filepath.Join(dir, d.Name())
		e := entry{name: d.Name(), dir: d.IsDir()}
		var err error
		if d.Type()&fs.ModeSymlink != 0 {
			e.link, err = os.Readlink(path)
		} else {
			e.fd, err = cloneTree(path, readOnly)
		}
		if err != nil {
			return nil, fmt.Errorf("mirror %s: %w", path, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// placeIn puts the entry into another directory.
func (e entry) placeIn(dir string) error {
	target := filepath.Join(dir, e.name)
	var err error
	switch {
	case e.link != "":
		err = os.Symlink(e.link, target)
	case e.dir:
		err = os.Mkdir(target, 0o755)
	default:
		err = touch(target)
	}
	if err == nil && e.link == "" {
		err = attachTree(e.fd, target)
	}
	if err != nil {
		return fmt.Errorf("mirror %s: %w", e.name, err)
	}
	return nil
}

func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// mountProc shows the container's own processes; what belongs to the machine is
// read-only or empty there, because root inside is root outside to such files.
func (b *rootBuilder) mountProc(path string) error {
	if err := os.Mkdir(path, 0o555); err != nil {
		return fmt.Errorf("make /proc: %w", err)
	}
	if err := unix.Mount("proc", path, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, name := range []string{"sys", "sysrq-trigger", "irq", "bus", "fs"} {
		p := filepath.Join(path, name)
		if _, err := os.Stat(p); err != nil {
			continue
		}
		if err := bind(p, p, true); err != nil {
			return fmt.Errorf("protect /proc/%s: %w", name, err)
		}
	}
	for _, name := range []string{"kcore", "keys", "timer_list", "sched_debug"} {
		p := filepath.Join(path, name)
		if _, err := os.Stat(p); err != nil {
			continue
		}
		if err := bind("/dev/null", p, false); err != nil {
			return fmt.Errorf("hide /proc/%s: %w", name, err)
		}
	}
	return nil
}

func (b *rootBuilder) mountDev(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	if err := b.scaffold(path, "/dev"); err != nil {
		return err
	}
	for _, name := range devices {
		if err := touch(filepath.Join(path, name)); err != nil {
			return fmt.Errorf("make device: %w", err)
		}
		if err := bind("/dev/"+name, filepath.Join(path, name), false); err != nil {
			return fmt.Errorf("make device: %w", err)
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, filepath.Join(path, name)); err != nil {
			return fmt.Errorf("make device: %w", err)
		}
	}
	shm, pts := filepath.Join(path, "shm"), filepath.Join(path, "pts")
	if err := errors.Join(os.Mkdir(shm, 0o777), os.Mkdir(pts, 0o755)); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	if err := tmpfs(shm, "mode=1777,size=64m"); err != nil {
		return err
	}
	if err := unix.Mount("devpts", pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	return nil
}

// pivot makes root the root and lets the machine's tree go.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	return nil
}

// hide covers a directory with an empty one, if it can be seen at all.
func (b *rootBuilder) hide(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hide: %w", err)
	}
	if !st.IsDir() {
		return hideFile(dir)
	}
	if dir == "/run" { // programs write their pid files there
		return tmpfs(dir, "mode=0755,size=16m")
	}
	return b.scaffold(dir, dir)
}

func hideFile(path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	if err := bind("/dev/null", path, true); err != nil {
		return fmt.Errorf("hide %s: %w", path, err)
	}
	return nil
}

// attach puts a volume at its place, making the place if there is none.
func (b *rootBuilder) attach(m openMount) error {
	for {
		err := makeTarget(m.Target, m.dir)
		if err == nil {
			return attachTree(m.fd, m.Target)
		}
		if !errors.Is(err, unix.EROFS) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		// The place is missing in a read-only directory: rebuild that one. Each
		// turn makes at least one more component possible.
		ancestor, err := existingAncestor(m.Target)
		if err != nil {
			return err
		}
		if _, ok := b.made[ancestor]; ok {
			return fmt.Errorf("make %s: %w", m.Target, unix.EROFS)
		}
		if err := b.rebuild(ancestor); err != nil {
			return err
		}
	}
}

func makeTarget(path string, dir bool) error {
	if st, err := os.Stat(path); err == nil {
		if st.IsDir() != dir {
			return fmt.Errorf("%s exists and is no %s", path, map[bool]string{true: "directory", false: "file"}[dir])
		}
		return nil
	}
	if dir {
		_, err := mkdirs(path)
		return err
	}
	if _, err := mkdirs(filepath.Dir(path)); err != nil {
		return err
	}
	if err := touch(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// existingAncestor is the deepest directory on the way to path, without links.
func existingAncestor(path string) (string, error) {
	for p := filepath.Dir(filepath.Clean(path)); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil {
			return filepath.EvalSymlinks(p)
		} else if p == "/" {
			return "", err
		}
	}
}

// rebuild covers a read-only directory with a writable one that shows the same.
func (b *rootBuilder) rebuild(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	if len(entries) > maxMirrored {
		return fmt.Errorf("%s has too many entries (%d) for a new one to appear", dir, len(entries))
	}
	mirrored, err := openEntries(dir, entries, false)
	if err != nil {
		return err
	}
	if err := b.scaffold(dir, dir); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	for _, e := range mirrored {
		if err := e.placeIn(dir); err != nil {
			return err
		}
	}
	return nil
}

// seal makes what the builder made read-only.
func (b *rootBuilder) seal() error {
	for path, fd := range b.made {
		if err := setReadOnly(fd, "", unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("make %s read-only: %w", path, err)
		}
		unix.Close(fd)
	}
	return nil
}
