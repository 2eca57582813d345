package jobview

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	prowv1 "prow/api/prowjobs/v1"
)

// Job is what is kept of a ProwJob. It must not be changed.
type Job struct {
	metav1.TypeMeta `json:",inline"`
	// ObjectMeta has name, namespace, UID, version, creation time, and of the
	// labels the number of the retry; all labels and annotations WithMetadata.
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status"`
}

// Spec says what a run is of.
type Spec struct {
	Type prowv1.ProwJobType `json:"type"`
	Job  string             `json:"job"`
	// The rest is there WithMetadata only.
	Agent     prowv1.ProwJobAgent `json:"agent"`
	Refs      *Refs               `json:"refs"`
	ExtraRefs []Refs              `json:"extra_refs"`
}

// Refs name a branch of a repository.
type Refs struct {
	Org     string `json:"org"`
	Repo    string `json:"repo"`
	BaseRef string `json:"base_ref"`
}

// MainRefs are the refs that say which code a job is about: its refs, or the
// first extra refs, or empty ones.
func (s *Spec) MainRefs() Refs {
	if s.Refs != nil {
		return *s.Refs
	}
	if len(s.ExtraRefs) > 0 {
		return s.ExtraRefs[0]
	}
	return Refs{}
}

// Status says how far a run came.
type Status struct {
	StartTime        metav1.Time                    `json:"startTime"`
	PendingTime      *metav1.Time                   `json:"pendingTime"` // WithMetadata
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
	out.Status.CompletionTime, out.Status.PendingTime = j.Status.CompletionTime.DeepCopy(), j.Status.PendingTime.DeepCopy()
	out.Spec.ExtraRefs = slices.Clone(j.Spec.ExtraRefs)
	if j.Spec.Refs != nil {
		refs := *j.Spec.Refs
		out.Spec.Refs = &refs
	}
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
	j.Spec = Spec{Type: j.Spec.Type, Job: j.Spec.Job}
	j.Status.PendingTime = nil
	return j, nil
}

// trimToMetadata drops less.
func trimToMetadata(obj any) (any, error) {
	if j, ok := obj.(*Job); ok {
		j.TypeMeta, j.ManagedFields = metav1.TypeMeta{}, nil
	}
	return obj, nil
}

// codecs decode ProwJobs as Jobs.
func codecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(prowv1.SchemeGroupVersion.WithKind("ProwJob"), &Job{})
	scheme.AddKnownTypeWithName(prowv1.SchemeGroupVersion.WithKind("ProwJobList"), &JobList{})
	metav1.AddToGroupVersion(scheme, prowv1.SchemeGroupVersion)
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}
