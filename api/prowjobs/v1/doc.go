// Package v1 is the ProwJob API, group prow.k8s.io, version v1.
//
// A ProwJob is one run of a job: the spec says what to run against which code,
// the status says how far it came. A ProwJob is finished when, and only when,
// status.completionTime is set; the state alone never decides that.
//
// The status is written through the main resource: the CRD has no status
// sub-resource, so clients patch the object itself.
//
// +kubebuilder:object:generate=true
// +groupName=prow.k8s.io
package v1
