package oci

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"prow/tools/images/internal/rootfs"
	"prow/tools/images/internal/spec"
	"prow/tools/images/internal/statement"
)

// Source is the commit that images are made of.
type Source struct {
	// Revision is its hash, with "-dirty" where files differ from it.
	Revision, Version, Repository string
	Time                          time.Time
}

// Built is an image for one architecture, and what is said about it.
type Built struct {
	Image    v1.Image
	Spec     spec.Image
	Platform v1.Platform
	// Descriptor is that of its manifest.
	Descriptor v1.Descriptor
	// Compressed is the bytes of configuration and layers.
	Compressed       int64
	SBOM, Provenance []byte
	Artifacts        []v1.Image
}

// Binary is where the program of an image lies.
func Binary(image spec.Image) string { return "/usr/local/bin/" + image.Name }

// Build makes an image of its files and its program: one layer each, so that a new
// commit changes only the second.
func Build(ctx context.Context, compressor *Compressor, source Source, arch string, image spec.Image, files rootfs.Tree, packages []spec.Package, program []byte) (*Built, error) {
	if len(packages) > 0 {
		files.AddMerged()
	}
	files.AddBase()
	binary := rootfs.Tree{}
	binary.AddFile(Binary(image), program, true)
	platform := v1.Platform{OS: "linux", Architecture: arch}
	if arch == "arm64" {
		platform.Variant = "v8"
	}
	created := source.Time.UTC().Format(time.RFC3339)
	config := &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, Created: v1.Time{Time: source.Time.UTC()},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User:       strconv.Itoa(rootfs.User) + ":" + strconv.Itoa(rootfs.User),
			Entrypoint: []string{Binary(image)},
			Env:        []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + rootfs.Home},
			Labels:     labels(source, image, created),
		},
	}
	result := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	result, err := mutate.ConfigFile(result, config)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		tree rootfs.Tree
		what string
	}{{files, "files"}, {binary, "program"}} {
		packed, err := part.tree.Pack(source.Time)
		if err != nil {
			return nil, err
		}
		l, err := compressor.layer(ctx, packed, image.Compression)
		if err != nil {
			return nil, err
		}
		result, err = mutate.Append(result, mutate.Addendum{
			Layer: l, MediaType: l.mediaType,
			History: v1.History{Created: v1.Time{Time: source.Time.UTC()}, CreatedBy: "make images", Comment: part.what},
		})
		if err != nil {
			return nil, err
		}
	}
	return describe(result, source, platform, image, packages, program, created)
}

func labels(source Source, image spec.Image, created string) map[string]string {
	const prefix = "org.opencontainers.image."
	all := map[string]string{
		prefix + "title": image.Title, prefix + "description": image.Description, prefix + "version": source.Version,
		prefix + "revision": source.Revision, prefix + "created": created, prefix + "licenses": "Apache-2.0",
	}
	if source.Repository != "" {
		all[prefix+"source"] = source.Repository
	}
	return all
}

// describe measures an image and makes its statements.
func describe(image v1.Image, source Source, platform v1.Platform, what spec.Image, packages []spec.Package, program []byte, created string) (*Built, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	size, err := image.Size()
	if err != nil {
		return nil, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	b := &Built{
		Image: image, Spec: what, Platform: platform, Compressed: manifest.Config.Size,
		Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: size, Platform: &platform},
	}
	for _, l := range manifest.Layers {
		b.Compressed += l.Size
	}
	subject := statement.Subject{
		Name: what.Name, Digest: digest.Hex, Architecture: platform.Architecture, Version: source.Version, Revision: source.Revision,
		Repository: source.Repository, Created: source.Time, Program: program, Packages: packages,
	}
	if b.SBOM, err = statement.SBOM(subject); err != nil {
		return nil, err
	}
	if b.Provenance, err = statement.Provenance(subject, append(BuildArgs(source.Version, what), what.Program)); err != nil {
		return nil, err
	}
	for _, file := range []struct {
		mediaType, suffix string
		content           []byte
	}{{statement.SPDX, SBOMSuffix, b.SBOM}, {statement.InToto, ProvenanceSuffix, b.Provenance}} {
		a, err := NewArtifact(b.Descriptor, file.mediaType, b.FileName()+file.suffix, created, file.content)
		if err != nil {
			return nil, err
		}
		b.Artifacts = append(b.Artifacts, a)
	}
	return b, nil
}

// What the names of the files of statements end with.
const (
	SBOMSuffix       = ".spdx.json"
	ProvenanceSuffix = ".provenance.json"
)

// FileName begins the names of an image's own files.
func (b *Built) FileName() string { return b.Spec.Name + "-" + b.Platform.Architecture }

// Index is the image for all architectures.
func Index(built []*Built) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range built {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.Image, Descriptor: b.Descriptor})
	}
	return index
}

// ByName groups what was built by image, in the order of building.
func ByName(built []*Built) [][]*Built {
	var groups [][]*Built
	for _, b := range built {
		i := slices.IndexFunc(groups, func(g []*Built) bool { return g[0].Spec.Name == b.Spec.Name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], b)
	}
	return groups
}

// CheckLimits tells which images are larger than they may be.
func CheckLimits(built []*Built) (errs []error) {
	for _, b := range built {
		if b.Compressed > b.Spec.Limit {
			errs = append(errs, fmt.Errorf("the image %s has %d compressed bytes, its limit is %d", b.FileName(), b.Compressed, b.Spec.Limit))
		}
	}
	return errs
}
