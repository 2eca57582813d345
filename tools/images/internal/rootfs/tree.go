// Package rootfs puts the files of an image together and packs them as a layer.
// The same files make the same bytes: entries are sorted, their times are one time,
// their modes are two modes, their owner is root unless they say otherwise.
package rootfs

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"prow/tools/images/internal/debian"
	"prow/tools/images/internal/spec"
)

// Entry is one file, link or directory.
type Entry struct {
	Content []byte
	Link    string
	Dir     bool
	// Mode is of a file or directory.
	Mode int64
	// Owner is its user and group.
	Owner int
}

// Tree is entries by absolute path. Directories above them need not be named.
type Tree map[string]Entry

// AddFile adds a file.
func (t Tree) AddFile(name string, content []byte, executable bool) {
	mode := int64(0o644)
	if executable {
		mode = 0o755
	}
	t[name] = Entry{Content: content, Mode: mode}
}

// Collector adds the files of sets to a tree.
type Collector struct {
	tree     Tree
	contents debian.Contents
	triplet  string
	used     map[string]spec.Package
}

// Collect makes a tree of sets, and tells of which packages files are in it.
func Collect(contents debian.Contents, arch string, sets ...spec.Set) (Tree, []spec.Package, error) {
	c := Collector{tree: Tree{}, contents: contents, triplet: spec.Triplet(arch), used: map[string]spec.Package{}}
	for _, set := range sets {
		for _, file := range set.Files {
			if err := c.add(file); err != nil {
				return nil, nil, err
			}
		}
		for link, target := range set.Links {
			c.tree[link] = Entry{Link: target}
		}
		for _, dir := range set.Directories {
			c.tree[dir] = Entry{Dir: true, Mode: 0o755}
		}
		if set.Certificates {
			if err := c.certificates(); err != nil {
				return nil, nil, err
			}
		}
	}
	packages := slices.Collect(maps.Values(c.used))
	spec.Sort(packages)
	return c.tree, packages, nil
}

// add adds a file and what it needs to run.
func (c *Collector) add(name string) error {
	if _, ok := c.tree[name]; ok {
		return nil
	}
	file, ok := c.contents[name]
	if !ok {
		return fmt.Errorf("no package has the file %s", name)
	}
	c.used[file.Package.Name] = file.Package
	if file.Link != "" {
		target := file.Link
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		c.tree[name] = Entry{Link: file.Link}
		return c.add(debian.Merged(target))
	}
	c.tree.AddFile(name, file.Content, file.Executable)
	if !bytes.HasPrefix(file.Content, []byte(elf.ELFMAG)) {
		return nil
	}
	if err := c.addNeeded(file.Content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// addNeeded adds the interpreter and the libraries of a program or library.
func (c *Collector) addNeeded(content []byte) error {
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return err
	}
	for _, segment := range program.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		interpreter, err := io.ReadAll(segment.Open())
		if err != nil {
			return err
		}
		if err := c.add(debian.Merged(strings.TrimRight(string(interpreter), "\x00"))); err != nil {
			return err
		}
	}
	libraries, err := program.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := c.add(c.find(library)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) find(library string) string {
	for _, dir := range []string{"/usr/lib/" + c.triplet, "/usr/lib"} {
		if _, ok := c.contents[path.Join(dir, library)]; ok {
			return path.Join(dir, library)
		}
	}
	return path.Join("/usr/lib", c.triplet, library)
}

// certificates adds the bundle that update-ca-certificates would write.
func (c *Collector) certificates() error {
	const dir = "/usr/share/ca-certificates/mozilla/"
	var bundle bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(c.contents)) {
		if !strings.HasPrefix(name, dir) || !strings.HasSuffix(name, ".crt") {
			continue
		}
		file := c.contents[name]
		c.used[file.Package.Name] = file.Package
		bundle.Write(bytes.TrimSpace(file.Content))
		bundle.WriteByte('\n')
	}
	if bundle.Len() == 0 {
		return fmt.Errorf("no package has certificates in %s", dir)
	}
	c.tree.AddFile("/etc/ssl/certs/ca-certificates.crt", bundle.Bytes(), false)
	return nil
}
