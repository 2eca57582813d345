// Package build makes all images of a repository: it fetches the pinned packages,
// builds the programs and puts both together.
package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/tools/images/internal/debian"
	"prow/tools/images/internal/oci"
	"prow/tools/images/internal/rootfs"
	"prow/tools/images/internal/spec"
)

// Files of the repository.
const (
	SpecFile = "deploy/images/images.yaml"
	LockFile = "deploy/images/packages.lock.json"
)

// Builder makes images of the repository at Root.
type Builder struct {
	Root string
	// Cache keeps packages.
	Cache  string
	Client *http.Client
	Logger *slog.Logger
}

// Build makes the images of these names, or all where none is named.
func (b *Builder) Build(ctx context.Context, names []string) ([]*oci.Built, oci.Source, error) {
	s, err := spec.Load(filepath.Join(b.Root, SpecFile))
	if err != nil {
		return nil, oci.Source{}, err
	}
	lock, err := spec.LoadLock(filepath.Join(b.Root, LockFile))
	if err != nil {
		return nil, oci.Source{}, err
	}
	images, err := s.Select(names)
	if err != nil {
		return nil, oci.Source{}, err
	}
	source, err := b.source(ctx)
	if err != nil {
		return nil, source, err
	}
	var compressor *oci.Compressor
	if slices.ContainsFunc(images, func(image spec.Image) bool { return image.Compression == spec.Zstd }) {
		var remove func()
		if compressor, remove, err = b.compressor(ctx, s, lock); err != nil {
			return nil, source, err
		}
		defer remove()
	}
	var built []*oci.Built
	for _, image := range images {
		for _, arch := range s.Architectures {
			b.Logger.Info("Building.", "image", image.Name, "architecture", arch)
			tree, packages, err := b.files(ctx, s.SetsOf(image), lock.Of(arch), arch)
			if err != nil {
				return nil, source, fmt.Errorf("collect the files of %s for %s: %w", image.Name, arch, err)
			}
			program, err := oci.Program(ctx, b.Root, s.Go, source.Version, arch, image)
			if err != nil {
				return nil, source, err
			}
			one, err := oci.Build(ctx, compressor, source, arch, image, tree, packages, program)
			if err != nil {
				return nil, source, fmt.Errorf("make the image %s for %s: %w", image.Name, arch, err)
			}
			built = append(built, one)
		}
	}
	return built, source, nil
}

// files collects sets from the packages.
func (b *Builder) files(ctx context.Context, sets []spec.Set, packages []spec.Package, arch string) (rootfs.Tree, []spec.Package, error) {
	contents := debian.Contents{}
	if len(sets) > 0 {
		for _, p := range packages {
			file, err := debian.Fetch(ctx, b.Client, b.Cache, p)
			if err != nil {
				return nil, nil, err
			}
			if err := contents.Add(file, p); err != nil {
				return nil, nil, err
			}
		}
	}
	return rootfs.Collect(contents, arch, sets...)
}

// compressor unpacks the pinned compressor for this machine.
func (b *Builder) compressor(ctx context.Context, s *spec.Spec, lock *spec.Lock) (*oci.Compressor, func(), error) {
	tree, _, err := b.files(ctx, []spec.Set{s.Debian.Compressor}, lock.Of(runtime.GOARCH), runtime.GOARCH)
	if err != nil {
		return nil, nil, fmt.Errorf("collect the files of the compressor: %w", err)
	}
	dir, err := os.MkdirTemp("", "compressor-*")
	if err != nil {
		return nil, nil, err
	}
	compressor, err := oci.NewCompressor(dir, tree, runtime.GOARCH)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	return compressor, func() { _ = os.RemoveAll(dir) }, nil
}

// source tells what commit the repository is at. What is not committed makes it dirty.
func (b *Builder) source(ctx context.Context) (oci.Source, error) {
	git := func(args ...string) (string, error) {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", b.Root}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
		}
		return strings.TrimSpace(string(out)), nil
	}
	revision, err := git("rev-parse", "HEAD")
	if err != nil {
		return oci.Source{}, err
	}
	stamp, err := git("show", "--no-patch", "--format=%ct", "HEAD")
	if err != nil {
		return oci.Source{}, err
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return oci.Source{}, fmt.Errorf("the time of the commit: %w", err)
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return oci.Source{}, err
	}
	at := time.Unix(seconds, 0).UTC()
	source := oci.Source{Revision: revision, Time: at, Version: "v" + at.Format("20060102") + "-" + revision[:10], Repository: os.Getenv("SOURCE_REPOSITORY")}
	if changed != "" {
		b.Logger.Warn("Files are not committed: the images are marked as dirty, and others cannot make them again.")
		source.Revision, source.Version = source.Revision+"-dirty", source.Version+"-dirty"
	}
	return source, nil
}

// Lock looks up the newest packages and returns those that files come from.
func (b *Builder) Lock(ctx context.Context, s *spec.Spec, now time.Time) (*spec.Lock, error) {
	lock := &spec.Lock{Comment: "Written by `make images-lock`; do not edit."}
	sets := []spec.Set{s.Debian.Compressor}
	var names []string
	for _, image := range s.Images {
		sets = append(sets, s.SetsOf(image)...)
	}
	for _, set := range sets {
		names = append(names, set.Packages...)
	}
	for _, arch := range s.Architectures {
		index, err := debian.ReadIndex(ctx, b.Client, s.Debian, arch, now)
		if err != nil {
			return nil, err
		}
		closure, err := index.Closure(names, s.Debian.Without)
		if err != nil {
			return nil, err
		}
		_, used, err := b.files(ctx, sets, closure, arch)
		if err != nil {
			return nil, fmt.Errorf("collect files for %s: %w", arch, err)
		}
		lock.Packages = append(lock.Packages, used...)
	}
	if len(lock.Packages) == 0 {
		return nil, errors.New("no image has files of packages")
	}
	spec.Sort(lock.Packages)
	return lock, nil
}
