package debian

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"pault.ag/go/debian/deb"

	"prow/tools/images/internal/spec"
)

// maxFile bounds one file of a package, in bytes.
const maxFile = 256 << 20

// File is a file or symbolic link of a package.
type File struct {
	Package spec.Package
	Content []byte
	// Link is the target of a symbolic link, as it stands there.
	Link       string
	Executable bool
}

// Contents are the files of packages by their path. Directories that Debian has
// merged into /usr appear only there.
type Contents map[string]File

// Add reads a package.
func (c Contents) Add(file string, p spec.Package) error {
	fail := func(err error) error { return fmt.Errorf("read the package %s %s: %w", p.Name, p.Version, err) }
	opened, err := os.Open(file)
	if err != nil {
		return fail(err)
	}
	defer opened.Close()
	members, err := deb.LoadAr(opened)
	if err != nil {
		return fail(err)
	}
	for {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			return fail(errors.New("it has no data"))
		}
		if err != nil {
			return fail(err)
		}
		if !strings.HasPrefix(member.Name, "data.tar") {
			continue
		}
		archive, closer, err := member.Tarfile()
		if err != nil {
			return fail(err)
		}
		defer closer.Close()
		if err := c.addTar(archive, p); err != nil {
			return fail(err)
		}
		return nil
	}
}

func (c Contents) addTar(archive *tar.Reader, p spec.Package) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := Merged(header.Name)
		switch header.Typeflag {
		case tar.TypeReg:
			if header.Size > maxFile {
				return fmt.Errorf("%s has more than %d bytes", name, maxFile)
			}
			content := make([]byte, header.Size)
			if _, err := io.ReadFull(archive, content); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			c[name] = File{Package: p, Content: content, Executable: header.Mode&0o100 != 0}
		case tar.TypeLink:
			target, ok := c[Merged(header.Linkname)]
			if !ok {
				return fmt.Errorf("%s is a hard link to %s, which is not there", name, header.Linkname)
			}
			c[name] = target
		case tar.TypeSymlink:
			c[name] = File{Package: p, Link: header.Linkname}
		}
	}
}

// Merged is the absolute path of a file in a system where /bin, /sbin and /lib are
// links into /usr.
func Merged(name string) string {
	name = path.Clean("/" + name)
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(name, dir) {
			return "/usr" + name
		}
	}
	return name
}
