package webhookserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/admission"
	"prow/internal/config"
)

// Judge answers the two webhooks.
type Judge struct {
	Config func() *config.Config
	// Clusters are the aliases of the build clusters; nil where they are not known.
	Clusters func() map[string]string
	// Immutable refuses changes of the specification as well.
	Immutable bool
}

// Validate refuses a ProwJob whose cluster cannot run it.
func (j *Judge) Validate(r *http.Request, request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	if request.Operation != admissionv1.Create {
		if j.Immutable {
			return admission.Judge(r, request)
		}
		return admission.Allow(), nil
	}
	job, err := decode(request)
	if err != nil {
		return nil, err
	}
	if why := refuse(job, j.Clusters()); why != "" {
		response := admission.Deny(metav1.StatusReasonForbidden, "DENIED: "+why)
		return response, nil
	}
	response := admission.Allow()
	response.Result = &metav1.Status{Message: "ACCEPTED"}
	return response, nil
}

// refuse tells why a job cannot be run; empty if it can. clusters are the known
// build clusters, whatever their state; nil if none are known.
func refuse(job *prowv1.ProwJob, clusters map[string]string) string {
	alias := job.ClusterAlias()
	switch job.Spec.Agent {
	case prowv1.JenkinsAgent:
		if alias != prowv1.DefaultClusterAlias {
			return fmt.Sprintf("a job of the agent jenkins runs on no cluster, found %q", alias)
		}
	case prowv1.KubernetesAgent:
		if _, known := clusters[alias]; clusters != nil && !known {
			return fmt.Sprintf("there is no build cluster %q, expected one of %s", alias, strings.Join(slices.Sorted(maps.Keys(clusters)), ", "))
		}
	}
	return ""
}

// Mutate fills in what the configuration says about decoration where the
// ProwJob does not.
func (j *Judge) Mutate(_ *http.Request, request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	response := admission.Allow()
	if request.Operation != admissionv1.Create {
		return response, nil
	}
	job, err := decode(request)
	if err != nil {
		return nil, err
	}
	repo := ""
	if refs := job.Spec.MainRefs(); refs != nil && refs.Org != "" {
		repo = refs.Org + "/" + refs.Repo
	}
	defaults := j.Config().Plank.DecorationDefault(repo, job.Spec.Cluster)
	if defaults == nil {
		return response, nil
	}
	merged := job.Spec.DecorationConfig.ApplyDefault(defaults)
	patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/decoration_config", "value": merged}})
	if err != nil {
		return nil, fmt.Errorf("patch of ProwJob %s: %w", job.Name, err)
	}
	kind := admissionv1.PatchTypeJSONPatch
	response.Patch, response.PatchType = patch, &kind
	return response, nil
}

// decode reads the object of a request; fields that this program does not know
// are for others to judge.
func decode(request *admissionv1.AdmissionRequest) (*prowv1.ProwJob, error) {
	var job prowv1.ProwJob
	if err := json.Unmarshal(request.Object.Raw, &job); err != nil {
		return nil, &admission.BadRequestError{Err: fmt.Errorf("decode ProwJob: %w", err)}
	}
	return &job, nil
}
