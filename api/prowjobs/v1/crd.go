package v1

import _ "embed"

// CRDManifest is the generated CustomResourceDefinition of ProwJobs as YAML,
// for programs that install it themselves.
//
//go:embed prowjob_crd.yaml
var CRDManifest []byte
