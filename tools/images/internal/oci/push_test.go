package oci

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"prow/tools/images/internal/rootfs"
	"prow/tools/images/internal/spec"
	"prow/tools/images/internal/statement"
)

func makeImage(t *testing.T, arch string) *Built {
	t.Helper()
	self, err := os.Executable() // any Go program does
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	source := Source{Revision: strings.Repeat("a", 40), Version: "v1", Time: time.Unix(1_700_000_000, 0)}
	built, err := Build(t.Context(), nil, source, arch, spec.Image{Name: "tool", Program: "./x", Compression: spec.Gzip, Limit: 1}, rootfs.Tree{}, nil, program)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestPushedImagesAreFoundByTagWithWhatIsSaidOfThem(t *testing.T) {
	built := []*Built{makeImage(t, "amd64"), makeImage(t, "arm64")}
	for what, options := range map[string][]registry.Option{
		"a registry that lists referrers":    {registry.WithReferrersSupport(true)},
		"a registry that does not know them": nil,
	} {
		t.Run(what, func(t *testing.T) {
			server := httptest.NewServer(registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...))
			defer server.Close()
			place := strings.TrimPrefix(server.URL, "http://") + "/team/prow"
			pushed, err := Push(t.Context(), place, true, []string{"v1", "latest"}, built)
			if err != nil || len(pushed) != 1 {
				t.Fatalf("%v: %v", pushed, err)
			}
			tag, err := name.NewTag(place+"/tool:latest", name.Insecure)
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(tag)
			if err != nil {
				t.Fatal(err)
			}
			digest, err := index.Digest()
			if err != nil || !strings.HasSuffix(pushed[0], digest.String()) {
				t.Errorf("%s is tagged, %s was pushed: %v", digest, pushed[0], err)
			}
			for _, b := range built {
				referrers, err := remote.Referrers(tag.Repository.Digest(b.Descriptor.Digest.String()))
				if err != nil {
					t.Fatal(err)
				}
				manifest, err := referrers.IndexManifest()
				if err != nil {
					t.Fatal(err)
				}
				var found []string
				for _, d := range manifest.Manifests {
					said, err := remote.Get(tag.Repository.Digest(d.Digest.String()))
					if err != nil {
						t.Fatal(err)
					}
					var artifact artifactManifest
					if err := json.Unmarshal(said.Manifest, &artifact); err != nil || artifact.Subject.Digest != b.Descriptor.Digest {
						t.Errorf("%s is about %s: %v", d.Digest, artifact.Subject.Digest, err)
					}
					found = append(found, artifact.ArtifactType)
				}
				slices.Sort(found)
				if want := []string{statement.SPDX, statement.InToto}; !slices.Equal(found, want) {
					t.Errorf("%s has %v, expected %v", b.FileName(), found, want)
				}
			}
		})
	}
}

func TestAnImageAboveItsLimitIsNamed(t *testing.T) {
	err := errors.Join(CheckLimits([]*Built{makeImage(t, runtime.GOARCH)})...)
	if err == nil || !strings.Contains(err.Error(), "tool-"+runtime.GOARCH) {
		t.Errorf("%v", err)
	}
}
