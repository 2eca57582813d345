package statement

import (
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type provenance struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type predicate struct {
	Definition definition `json:"buildDefinition"`
	Run        run        `json:"runDetails"`
}

type definition struct {
	BuildType    string         `json:"buildType"`
	External     map[string]any `json:"externalParameters"`
	Internal     map[string]any `json:"internalParameters"`
	Dependencies []resource     `json:"resolvedDependencies"`
}

type run struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
}

// Types of what is stated.
const (
	statementType = "https://in-toto.io/Statement/v1"
	// Predicate is the type of provenance.
	Predicate = "https://slsa.dev/provenance/v1"
	buildType = "urn:prow:build:images:v1"
	builder   = "urn:prow:builder:make-images"
)

// Provenance is the statement how an image was made: the command, the commit, the
// toolchain, the modules and the packages, each with its digest. It has no times and
// names no machine, because neither matters to what came out.
func Provenance(s Subject, command []string) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(s.Program))
	if err != nil {
		return nil, fmt.Errorf("read what the program of %s is built from: %w", s.Name, err)
	}
	source := resource{Name: "source", Digest: map[string]string{"gitCommit": strings.TrimSuffix(s.Revision, "-dirty")}}
	if s.Repository != "" {
		source.URI = "git+" + s.Repository
	}
	dependencies := []resource{source, {URI: "pkg:generic/go@" + strings.TrimPrefix(info.GoVersion, "go")}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		r := resource{URI: "pkg:golang/" + module.Path + "@" + url.PathEscape(module.Version)}
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(module.Sum, "h1:")); err == nil && len(sum) > 0 {
			r.Digest = map[string]string{"dirHash": hex.EncodeToString(sum)}
		}
		dependencies = append(dependencies, r)
	}
	for _, p := range s.Packages {
		dependencies = append(dependencies, resource{Name: p.Name, URI: p.URLs[0], Digest: map[string]string{"sha256": p.SHA256}})
	}
	statement := provenance{
		Type:          statementType,
		Subject:       []resource{{Name: s.Name, Digest: map[string]string{"sha256": s.Digest}}},
		PredicateType: Predicate,
		Predicate: predicate{Definition: definition{
			BuildType:    buildType,
			External:     map[string]any{"command": []string{"make", "images"}, "image": s.Name, "architecture": s.Architecture, "revision": s.Revision},
			Internal:     map[string]any{"go": append([]string{"go"}, command...), "environment": map[string]string{"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": s.Architecture}},
			Dependencies: dependencies,
		}},
	}
	statement.Predicate.Run.Builder.ID = builder
	return json.MarshalIndent(statement, "", " ")
}
