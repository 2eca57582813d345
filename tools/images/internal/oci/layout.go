package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// refName is the annotation by which a layout names what is in it.
const refName = "org.opencontainers.image.ref.name"

// Local is the name that an image has on a machine where it was not pulled.
func Local(image, version string) string { return "localhost/prow/" + image + ":" + version }

// Write fills a directory: `oci` is the layout of everything; beside it are an
// archive and the statements of each image and architecture. What was in the
// directory is lost.
func Write(dir string, source Source, built []*Built) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	all := filepath.Join(dir, "oci")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return err
	}
	path, err := layout.Write(all, empty.Index)
	if err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	for _, group := range ByName(built) {
		name := layout.WithAnnotations(map[string]string{refName: Local(group[0].Spec.Name, source.Version)})
		if err := path.AppendIndex(Index(group), name); err != nil {
			return fmt.Errorf("write %s: %w", group[0].Spec.Name, err)
		}
		for _, b := range group {
			for _, a := range b.Artifacts {
				if err := appendArtifact(path, a); err != nil {
					return fmt.Errorf("write what is said of %s: %w", b.FileName(), err)
				}
			}
			if err := b.writeFiles(dir, source); err != nil {
				return fmt.Errorf("write the files of %s: %w", b.FileName(), err)
			}
		}
	}
	return nil
}

func appendArtifact(path layout.Path, a v1.Image) error {
	if err := path.WriteImage(a); err != nil {
		return err
	}
	descriptor, err := partial.Descriptor(a)
	if err != nil {
		return err
	}
	if descriptor.ArtifactType, err = partial.ArtifactType(a); err != nil {
		return err
	}
	return path.AppendDescriptor(*descriptor)
}

func (b *Built) writeFiles(dir string, source Source) error {
	base := filepath.Join(dir, b.FileName())
	if err := errors.Join(os.WriteFile(base+SBOMSuffix, b.SBOM, 0o644), os.WriteFile(base+ProvenanceSuffix, b.Provenance, 0o644)); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "archive-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	path, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return err
	}
	name := Local(b.Spec.Name, source.Version)
	// Podman goes by the first, containerd by the second.
	annotations := layout.WithAnnotations(map[string]string{refName: name, "io.containerd.image.name": name})
	if err := path.AppendImage(b.Image, annotations, layout.WithPlatform(b.Platform)); err != nil {
		return err
	}
	return archive(base+".tar", tmp, source.Time)
}

// archive packs a directory; its entries come in the order of their names.
func archive(file, dir string, at time.Time) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		content, err := os.Open(name)
		if err != nil {
			return err
		}
		defer content.Close()
		info, err := content.Stat()
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Format: tar.FormatPAX, Name: filepath.ToSlash(relative), Mode: 0o644, Size: info.Size(), ModTime: at.UTC().Truncate(time.Second)}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.Copy(w, content)
		return err
	})
	return errors.Join(err, w.Close(), out.Close())
}
