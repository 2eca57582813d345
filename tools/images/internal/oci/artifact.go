package oci

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// emptyType is the media type of the configuration of what has none.
const emptyType = "application/vnd.oci.empty.v1+json"

var emptyConfig = []byte("{}")

// artifact is a manifest with one file that says something about its subject. It
// is an image in the sense of the library only.
type artifact struct {
	raw  []byte
	file v1.Layer
}

// artifactManifest is the manifest of OCI 1.1; the library's has no type.
type artifactManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        v1.Descriptor     `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Subject       v1.Descriptor     `json:"subject"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// NewArtifact attaches a file of a media type to a subject.
func NewArtifact(subject v1.Descriptor, mediaType, title, created string, content []byte) (v1.Image, error) {
	raw, err := json.Marshal(artifactManifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: mediaType,
		Config: v1.Descriptor{MediaType: emptyType, Digest: sha(emptyConfig), Size: int64(len(emptyConfig)), Data: emptyConfig},
		Layers: []v1.Descriptor{{
			MediaType: types.MediaType(mediaType), Digest: sha(content), Size: int64(len(content)),
			Annotations: map[string]string{"org.opencontainers.image.title": title},
		}},
		Subject:     v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{"org.opencontainers.image.created": created},
	})
	if err != nil {
		return nil, err
	}
	return &artifact{raw: raw, file: static.NewLayer(content, types.MediaType(mediaType))}, nil
}

func (a *artifact) Layers() ([]v1.Layer, error)         { return []v1.Layer{a.file}, nil }
func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (a *artifact) Size() (int64, error)                { return int64(len(a.raw)), nil }
func (a *artifact) ConfigName() (v1.Hash, error)        { return sha(emptyConfig), nil }
func (a *artifact) ConfigFile() (*v1.ConfigFile, error) { return &v1.ConfigFile{}, nil }
func (a *artifact) RawConfigFile() ([]byte, error)      { return emptyConfig, nil }
func (a *artifact) Digest() (v1.Hash, error)            { return sha(a.raw), nil }
func (a *artifact) RawManifest() ([]byte, error)        { return a.raw, nil }
func (a *artifact) ArtifactType() (string, error)       { return string(must(a.file.MediaType())), nil }

func (a *artifact) Manifest() (*v1.Manifest, error) {
	return v1.ParseManifest(bytes.NewReader(a.raw))
}

func (a *artifact) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	switch h {
	case sha(emptyConfig):
		return partial.ConfigLayer(a)
	case must(a.file.Digest()):
		return a.file, nil
	}
	return nil, fmt.Errorf("the artifact has no blob %s", h)
}

func (a *artifact) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return a.LayerByDigest(h) }

// must is for methods of values in memory, which have no way to fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
