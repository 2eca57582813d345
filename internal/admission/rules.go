package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
)

// Decode reads a ProwJob strictly: an unknown field is an error.
func Decode(raw []byte) (*prowv1.ProwJob, error) {
	var job prowv1.ProwJob
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil {
		return nil, fmt.Errorf("decode ProwJob: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode ProwJob: something follows it")
	}
	return &job, nil
}

// Judge decides a request about a ProwJob: it may be made and deleted, and of
// an existing one only the status, labels and annotations may change.
func Judge(_ *http.Request, request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	if request.SubResource == "status" {
		return Allow(), nil
	}
	switch request.Operation {
	case admissionv1.Create, admissionv1.Update:
	default:
		return Allow(), nil // nothing of the specification changes
	}
	job, err := Decode(request.Object.Raw)
	if err != nil {
		return Deny(metav1.StatusReasonBadRequest, err.Error()), nil
	}
	if request.Operation == admissionv1.Create {
		return Allow(), nil
	}
	old, err := Decode(request.OldObject.Raw)
	if err != nil {
		return Deny(metav1.StatusReasonBadRequest, "the old object: "+err.Error()), nil
	}
	if !MayBecome(old, job) {
		return Deny(metav1.StatusReasonForbidden, "ProwJobs may only have their status changed, not their spec"), nil
	}
	return Allow(), nil
}

// MayBecome tells whether an update leaves the specification as it is. The
// scheduler alone may choose a cluster, while the job waits for that.
func MayBecome(old, job *prowv1.ProwJob) bool {
	want := old.Spec
	if old.Status.State == prowv1.SchedulingState {
		want.Cluster = job.Spec.Cluster
	}
	return equality.Semantic.DeepEqual(want, job.Spec)
}
