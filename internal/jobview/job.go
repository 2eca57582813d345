package jobview

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	prowv1 "prow/api/prowjobs/v1"
)

// Job is what is kept of a ProwJob. It must not be changed.
type Job struct {
	metav1.TypeMeta `json:",inline"`
	// ObjectMeta has name, namespace, UID, version, creation time, and of the
	// labels the number of the retry.
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status"`
}

// Spec says what a run is of.
type Spec struct {
	Type prowv1.ProwJobType `json:"type"`
	Job  string             `json:"job"`
}

// Status says how far a run came.
type Status struct {
	StartTime        metav1.Time                    `json:"startTime"`
	CompletionTime   *metav1.Time                   `json:"completionTime"`
	State            prowv1.ProwJobState            `json:"state"`
	PrevReportStates map[string]prowv1.ProwJobState `json:"prev_report_states"`
}

// Complete tells whether the run is finished.
func (j *Job) Complete() bool { return j.Status.CompletionTime != nil }

// DeepCopyObject implements runtime.Object.
func (j *Job) DeepCopyObject() runtime.Object {
	out := *j
	j.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.CompletionTime = j.Status.CompletionTime.DeepCopy()
	out.Status.PrevReportStates = maps.Clone(j.Status.PrevReportStates)
	return &out
}

// JobList is a list of Jobs.
type JobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Job `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *JobList) DeepCopyObject() runtime.Object {
	out := &JobList{TypeMeta: l.TypeMeta, Items: make([]Job, len(l.Items))}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Job)
	}
	return out
}

// trim drops what nobody asks for. It is safe to repeat.
func trim(obj any) (any, error) {
	j, ok := obj.(*Job)
	if !ok {
		return obj, nil // a note that an object is gone
	}
	kept := metav1.ObjectMeta{
		Name: j.Name, Namespace: j.Namespace, UID: j.UID, ResourceVersion: j.ResourceVersion, CreationTimestamp: j.CreationTimestamp,
	}
	if attempt, ok := j.Labels[prowv1.RerunAttemptLabel]; ok {
		kept.Labels = map[string]string{prowv1.RerunAttemptLabel: attempt}
	}
	j.TypeMeta, j.ObjectMeta = metav1.TypeMeta{}, kept
	return j, nil
}

// codecs decode ProwJobs as Jobs.
func codecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(prowv1.SchemeGroupVersion.WithKind("ProwJob"), &Job{})
	scheme.AddKnownTypeWithName(prowv1.SchemeGroupVersion.WithKind("ProwJobList"), &JobList{})
	metav1.AddToGroupVersion(scheme, prowv1.SchemeGroupVersion)
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}
