// Package statement writes what is said about an image: what it consists of (SPDX)
// and how it was made (SLSA provenance in an in-toto statement). Both are functions
// of the image, so that the same image has the same statements.
package statement

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"prow/tools/images/internal/spec"
)

// Media types.
const (
	SPDX   = "application/spdx+json"
	InToto = "application/vnd.in-toto+json"
)

// Subject is an image for one architecture, and what it was made of.
type Subject struct {
	// Name is that of the image, Digest the SHA-256 of its manifest in hexadecimal.
	Name, Digest, Architecture string
	// Version, Revision and Created are of the source; Repository is its address.
	Version, Revision, Repository string
	Created                       time.Time
	// Program is the content of the program.
	Program  []byte
	Packages []spec.Package
}

type spdxDocument struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      spdxCreation   `json:"creationInfo"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []spdxRelation `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID        string         `json:"SPDXID"`
	Name      string         `json:"name"`
	Version   string         `json:"versionInfo,omitempty"`
	Supplier  string         `json:"supplier,omitempty"`
	Location  string         `json:"downloadLocation"`
	Analyzed  bool           `json:"filesAnalyzed"`
	Concluded string         `json:"licenseConcluded"`
	Declared  string         `json:"licenseDeclared"`
	Copyright string         `json:"copyrightText"`
	Source    string         `json:"sourceInfo,omitempty"`
	Checksums []spdxChecksum `json:"checksums,omitempty"`
	Refs      []spdxRef      `json:"externalRefs,omitempty"`
	Purpose   string         `json:"primaryPackagePurpose,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// SBOM is the SPDX 2.3 document of an image: the modules that its program says it
// is linked from, the standard library, and the packages of Debian.
func SBOM(s Subject) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(s.Program))
	if err != nil {
		return nil, fmt.Errorf("read what the program of %s is built from: %w", s.Name, err)
	}
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: s.Name + "-" + s.Version + "-" + s.Architecture,
		Namespace: "urn:prow:image:" + s.Name + ":sha256:" + s.Digest,
		Creation:  spdxCreation{Created: s.Created.UTC().Format(time.RFC3339), Creators: []string{"Tool: prow-images"}},
	}
	image := newPackage("Image", s.Name, s.Version, "pkg:oci/"+s.Name+"@sha256%3A"+s.Digest+"?arch="+s.Architecture)
	image.Purpose, image.Checksums = "CONTAINER", []spdxChecksum{{"SHA256", s.Digest}}
	doc.Packages = append(doc.Packages, image)
	doc.Relationships = append(doc.Relationships, spdxRelation{doc.ID, "DESCRIBES", image.ID})

	program := newPackage("Program", info.Path, s.Version, "")
	program.Purpose, program.Source = "APPLICATION", "built from commit "+s.Revision
	doc.add(image.ID, "CONTAINS", program)
	doc.add(program.ID, "DEPENDS_ON", goPackage("stdlib", strings.TrimPrefix(info.GoVersion, "go")))
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		p := goPackage(module.Path, module.Version)
		p.Location = "https://proxy.golang.org/" + escapeModule(module.Path) + "/@v/" + escapeModule(module.Version) + ".zip"
		doc.add(program.ID, "DEPENDS_ON", p)
	}
	for _, debian := range s.Packages {
		locator := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&upstream=%s", debian.Name, url.PathEscape(debian.Version), debian.Architecture, url.QueryEscape(debian.Source))
		p := newPackage("Debian-"+debian.Name, debian.Name, debian.Version, locator)
		p.Supplier, p.Source = "Organization: Debian", "built from the source package "+debian.Source
		p.Location = debian.URLs[0]
		p.Checksums = []spdxChecksum{{"SHA256", debian.SHA256}}
		doc.add(image.ID, "CONTAINS", p)
	}
	return json.MarshalIndent(doc, "", " ")
}

func (d *spdxDocument) add(from, relation string, p spdxPackage) {
	d.Packages = append(d.Packages, p)
	d.Relationships = append(d.Relationships, spdxRelation{from, relation, p.ID})
}

// newPackage says NOASSERTION of what nobody has looked at.
func newPackage(id, name, version, purl string) spdxPackage {
	p := spdxPackage{
		ID: "SPDXRef-" + strings.Trim(notInID.ReplaceAllString(id, "-"), "-"), Name: name, Version: version,
		Location: "NOASSERTION", Concluded: "NOASSERTION", Declared: "NOASSERTION", Copyright: "NOASSERTION",
	}
	if purl != "" {
		p.Refs = []spdxRef{{"PACKAGE-MANAGER", "purl", purl}}
	}
	return p
}

func goPackage(module, version string) spdxPackage {
	return newPackage("Go-"+module+"-"+version, module, version, "pkg:golang/"+module+"@"+url.PathEscape(version))
}

// escapeModule writes capitals as the module proxy wants them.
func escapeModule(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
