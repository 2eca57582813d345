package build

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"prow/tools/images/internal/oci"
	"prow/tools/images/internal/spec"
	"prow/tools/images/internal/statement"
)

// builtDir is what `make images` has written; `make images-test` names it.
func builtDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PROW_IMAGES")
	if dir == "" {
		t.Skip("PROW_IMAGES does not name a directory of built images: run `make images-test`")
	}
	return dir
}

// eachBuilt calls do with each image and architecture of the layout.
func eachBuilt(t *testing.T, do func(t *testing.T, image v1.Image, what spec.Image, arch string)) {
	dir := builtDir(t)
	s, err := spec.Load(filepath.Join(repository(t), SpecFile))
	if err != nil {
		t.Fatal(err)
	}
	all, err := layout.ImageIndexFromPath(filepath.Join(dir, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range s.Images {
		i := slices.IndexFunc(manifest.Manifests, func(d v1.Descriptor) bool {
			return strings.HasPrefix(d.Annotations["org.opencontainers.image.ref.name"], oci.Local(what.Name, ""))
		})
		if i < 0 {
			if os.Getenv("PROW_IMAGES_SOME") == "" {
				t.Errorf("the layout has no image %s", what.Name)
			}
			continue
		}
		index, err := all.ImageIndex(manifest.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		platforms, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(platforms.Manifests) != len(s.Architectures) {
			t.Errorf("%s is there for %d architectures, expected %d", what.Name, len(platforms.Manifests), len(s.Architectures))
		}
		for _, d := range platforms.Manifests {
			image, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(what.Name+"-"+d.Platform.Architecture, func(t *testing.T) { do(t, image, what, d.Platform.Architecture) })
		}
	}
}

func TestBuiltImagesAreConfiguredForNobodyInParticular(t *testing.T) {
	eachBuilt(t, func(t *testing.T, image v1.Image, what spec.Image, arch string) {
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Config.User != "65532:65532" || config.OS != "linux" || config.Architecture != arch {
			t.Errorf("user %q, os %q, architecture %q", config.Config.User, config.OS, config.Architecture)
		}
		if !slices.Equal(config.Config.Entrypoint, []string{oci.Binary(what)}) || len(config.Config.Cmd) > 0 {
			t.Errorf("entrypoint %q, command %q", config.Config.Entrypoint, config.Config.Cmd)
		}
		for _, label := range []string{"title", "description", "version", "revision", "created", "licenses"} {
			if config.Config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("the label %s is empty", label)
			}
		}
	})
}

func TestBuiltImagesAreWithinTheirLimits(t *testing.T) {
	eachBuilt(t, func(t *testing.T, image v1.Image, what spec.Image, _ string) {
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		size := manifest.Config.Size
		for _, l := range manifest.Layers {
			size += l.Size
		}
		if size > what.Limit || size < 100_000 {
			t.Errorf("the image has %d compressed bytes, the limit is %d", size, what.Limit)
		}
	})
}

// The list of paths is in testdata; PROW_UPDATE=1 writes it anew.
func TestBuiltImagesHoldWhatIsListedAndNothingThatGivesRights(t *testing.T) {
	eachBuilt(t, func(t *testing.T, image v1.Image, what spec.Image, arch string) {
		var paths []string
		content := mutate.Extract(image)
		defer content.Close()
		for archive := tar.NewReader(content); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			line := "/" + header.Name
			if header.Typeflag == tar.TypeSymlink {
				line += " -> " + header.Linkname
			}
			paths = append(paths, line)
			temporary := header.Name == "tmp" && header.Mode == 0o1777
			if header.Typeflag != tar.TypeSymlink && (header.Mode&0o6000 != 0 || (header.Mode&0o002 != 0 && !temporary)) {
				t.Errorf("/%s has the mode %o", header.Name, header.Mode)
			}
			if header.Uid != 0 && header.Name != "home/nonroot" {
				t.Errorf("/%s belongs to %d", header.Name, header.Uid)
			}
		}
		slices.Sort(paths)
		got := strings.Join(paths, "\n") + "\n"
		golden := filepath.Join("testdata", what.Name+"-"+arch+".txt")
		if os.Getenv("PROW_UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the image differs from %s; it has:\n%s", golden, got)
		}
	})
}

func TestBuiltImagesHaveStatementsThatReferToThem(t *testing.T) {
	dir := builtDir(t)
	raw, err := os.ReadFile(filepath.Join(dir, "oci", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	said := map[string][]byte{}
	for _, d := range index.Manifests {
		if d.ArtifactType == "" {
			continue
		}
		var manifest struct {
			ArtifactType string          `json:"artifactType"`
			Blobs        []v1.Descriptor `json:"layers"`
			Subject      v1.Descriptor   `json:"subject"`
		}
		if err := json.Unmarshal(blob(t, dir, d.Digest), &manifest); err != nil {
			t.Fatal(err)
		}
		if manifest.ArtifactType != d.ArtifactType || len(manifest.Blobs) != 1 {
			t.Errorf("%s is a %s with %d files, the index says %s", d.Digest, manifest.ArtifactType, len(manifest.Blobs), d.ArtifactType)
		}
		said[manifest.Subject.Digest.String()+" "+d.ArtifactType] = blob(t, dir, manifest.Blobs[0].Digest)
	}
	eachBuilt(t, func(t *testing.T, image v1.Image, what spec.Image, arch string) {
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		var sbom struct {
			Version  string `json:"spdxVersion"`
			Packages []struct {
				ID   string `json:"SPDXID"`
				Name string `json:"name"`
			} `json:"packages"`
			Relationships []struct {
				From string `json:"spdxElementId"`
				To   string `json:"relatedSpdxElement"`
			} `json:"relationships"`
		}
		if err := json.Unmarshal(said[digest.String()+" "+statement.SPDX], &sbom); err != nil {
			t.Fatalf("the list of parts: %v", err)
		}
		ids, names := map[string]bool{"SPDXRef-DOCUMENT": true}, map[string]bool{}
		for _, p := range sbom.Packages {
			if ids[p.ID] {
				t.Errorf("the identifier %s is there twice", p.ID)
			}
			ids[p.ID], names[p.Name] = true, true
		}
		for _, r := range sbom.Relationships {
			if !ids[r.From] || !ids[r.To] {
				t.Errorf("a relationship of %s and %s names what is not there", r.From, r.To)
			}
		}
		wanted := []string{what.Name, "stdlib"}
		if slices.Contains(what.Sets, "git") {
			wanted = append(wanted, "git", "libc6", "dash")
		}
		for _, name := range wanted {
			if !names[name] {
				t.Errorf("the list of parts does not have %s", name)
			}
		}
		var made struct {
			Type    string `json:"predicateType"`
			Subject []struct {
				Digest map[string]string `json:"digest"`
			} `json:"subject"`
			Predicate struct {
				Definition struct {
					Dependencies []struct {
						URI    string            `json:"uri"`
						Digest map[string]string `json:"digest"`
					} `json:"resolvedDependencies"`
				} `json:"buildDefinition"`
			} `json:"predicate"`
		}
		if err := json.Unmarshal(said[digest.String()+" "+statement.InToto], &made); err != nil {
			t.Fatalf("the provenance: %v", err)
		}
		if made.Type != statement.Predicate || len(made.Subject) != 1 || made.Subject[0].Digest["sha256"] != digest.Hex {
			t.Errorf("the provenance is a %s of %v, expected one of %s", made.Type, made.Subject, digest.Hex)
		}
		dependencies := made.Predicate.Definition.Dependencies
		if len(dependencies) == 0 || len(dependencies[0].Digest["gitCommit"]) != 40 {
			t.Errorf("the provenance of %s for %s does not name the commit", what.Name, arch)
		}
	})
}

func blob(t *testing.T, dir string, digest v1.Hash) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "oci", "blobs", digest.Algorithm, digest.Hex))
	if err != nil {
		t.Fatal(fmt.Errorf("a blob of the layout: %w", err))
	}
	return content
}
