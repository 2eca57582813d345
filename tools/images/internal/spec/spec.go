// Package spec is what container images are made of: the list of images that
// people write, and the lock of the Debian packages that their files come from.
package spec

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Spec is images.yaml.
type Spec struct {
	// Go is the toolchain, as GOTOOLCHAIN names it.
	Go            string         `json:"go"`
	Architectures []string       `json:"architectures"`
	Debian        Debian         `json:"debian"`
	Sets          map[string]Set `json:"sets"`
	Images        []Image        `json:"images"`
}

// Debian says where packages come from.
type Debian struct {
	Archives []Archive `json:"archives"`
	// Keyring is a file of the keys that may sign a Release file.
	Keyring string `json:"keyring"`
	// Without are packages that are not looked at, though others depend on them.
	Without    []string `json:"without"`
	Compressor Set      `json:"compressor"`
}

// Archive is one Debian archive.
type Archive struct {
	URL string `json:"url"`
	// Snapshot is where versions stay that have left the archive.
	Snapshot string   `json:"snapshot"`
	Suites   []string `json:"suites"`
}

// Set is files out of Debian packages. What these need of shared libraries,
// interpreters and targets of links follows.
type Set struct {
	Packages    []string          `json:"packages"`
	Files       []string          `json:"files,omitempty"`
	Links       map[string]string `json:"links,omitempty"`
	Directories []string          `json:"directories,omitempty"`
	// Certificates adds the bundle of all certificates of ca-certificates.
	Certificates bool `json:"certificates,omitempty"`
}

// Image is one image: sets, and a program of this repository.
type Image struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	// Program is the package of the main program.
	Program string `json:"program"`
	// Version is the Go variable that takes the version; empty if there is none.
	Version string `json:"version,omitempty"`
	// Tags are build tags.
	Tags []string `json:"tags,omitempty"`
	// Flags are further flags of `go build`.
	Flags       []string    `json:"flags,omitempty"`
	Sets        []string    `json:"sets,omitempty"`
	Compression Compression `json:"compression"`
	// Limit is the most that configuration and layers may have, in compressed bytes.
	Limit int64 `json:"limit"`
}

// Compression of layers.
type Compression string

// The compressions that runtimes read.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

var namePattern = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// Load reads and checks a list of images. Unknown fields are errors.
func Load(file string) (*Spec, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the list of images: %w", err)
	}
	var s Spec
	if err := yaml.UnmarshalStrict(content, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &s, nil
}

func (s *Spec) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !strings.HasPrefix(s.Go, "go1.") {
		fail("go: %q is not a toolchain such as go1.26.0", s.Go)
	}
	if len(s.Architectures) == 0 {
		fail("architectures: none is named")
	}
	for _, arch := range s.Architectures {
		if Triplet(arch) == "" {
			fail("architectures: %q is not known", arch)
		}
	}
	for i, a := range s.Debian.Archives {
		if !strings.HasPrefix(a.URL, "http") || !strings.HasPrefix(a.Snapshot, "http") || len(a.Suites) == 0 {
			fail("debian: archives[%d]: url, snapshot and suites are needed", i)
		}
	}
	for name, set := range s.Sets {
		for _, file := range slices.Concat(set.Files, set.Directories) {
			if !path.IsAbs(file) || path.Clean(file) != file {
				fail("sets: %s: %q is not a clean absolute path", name, file)
			}
		}
		for link := range set.Links {
			if !path.IsAbs(link) || path.Clean(link) != link {
				fail("sets: %s: links: %q is not a clean absolute path", name, link)
			}
		}
	}
	seen := map[string]bool{}
	for i, image := range s.Images {
		where := fmt.Sprintf("images[%d] %s", i, image.Name)
		if !namePattern.MatchString(image.Name) || seen[image.Name] {
			fail("%s: the name is invalid, or taken", where)
		}
		seen[image.Name] = true
		if !strings.HasPrefix(image.Program, "./") {
			fail("%s: program: %q does not begin with ./", where, image.Program)
		}
		if image.Compression != Gzip && image.Compression != Zstd {
			fail("%s: compression: %q is neither gzip nor zstd", where, image.Compression)
		}
		if image.Limit <= 0 {
			fail("%s: limit: there must be one", where)
		}
		for _, set := range image.Sets {
			if _, ok := s.Sets[set]; !ok {
				fail("%s: sets: there is no set %q", where, set)
			}
		}
	}
	if len(s.Images) == 0 {
		fail("images: none is named")
	}
	return errors.Join(errs...)
}

// Select is the images of these names, or all where none is named.
func (s *Spec) Select(names []string) ([]Image, error) {
	if len(names) == 0 {
		return s.Images, nil
	}
	var images []Image
	for _, name := range names {
		i := slices.IndexFunc(s.Images, func(image Image) bool { return image.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no image %q", name)
		}
		images = append(images, s.Images[i])
	}
	return images, nil
}

// SetsOf are the sets of an image.
func (s *Spec) SetsOf(image Image) []Set {
	var sets []Set
	for _, name := range image.Sets {
		sets = append(sets, s.Sets[name])
	}
	return sets
}

// Triplet is where an architecture has its libraries, below lib; empty if it is
// not known.
func Triplet(arch string) string {
	return map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[arch]
}

// Lock is the packages that files may come from.
type Lock struct {
	// Comment tells readers who writes the file.
	Comment  string    `json:"comment"`
	Packages []Package `json:"packages"`
}

// Package is one version of a binary package for one architecture.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Architecture is that of the images it is for; the package may be for all.
	Architecture string `json:"architecture"`
	Source       string `json:"source"`
	SHA256       string `json:"sha256"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// URLs are tried one after the other.
	URLs []string `json:"urls"`
}

// LoadLock reads a lock.
func LoadLock(file string) (*Lock, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the lock of packages: %w", err)
	}
	var l Lock
	if err := yaml.UnmarshalStrict(content, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &l, nil
}

// Of are the packages for an architecture, by name.
func (l *Lock) Of(arch string) []Package {
	var packages []Package
	for _, p := range l.Packages {
		if p.Architecture == arch {
			packages = append(packages, p)
		}
	}
	return packages
}

// Sort brings packages into the order of a lock.
func Sort(packages []Package) {
	slices.SortFunc(packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Name, b.Name))
	})
}
