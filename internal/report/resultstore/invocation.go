package resultstore

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	resultstore "google.golang.org/genproto/googleapis/devtools/resultstore/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
)

// The ids inside of an invocation that are the same for each.
const (
	configurationID = "default"
	actionID        = "overall"
	label           = "prow"
)

// tokenSeed makes the tokens of invocations other than those of other programs.
var tokenSeed = sha256.Sum256([]byte("prow/resultstore"))

// authorizationToken is the token with which all calls about an invocation must
// come: it follows from the id, so any replica can go on with what another began.
func authorizationToken(invocation string) string {
	sum := sha256.Sum256(append(tokenSeed[:], invocation...))
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // as RFC 4122 lays it out
	return id.String()
}

// run is all that an invocation shows.
type run struct {
	job      *prowv1.ProwJob
	started  *artifacts.Started
	finished *artifacts.Finished
	files    []*resultstore.File
}

func statusOf(state prowv1.ProwJobState) resultstore.Status {
	switch state {
	case prowv1.SuccessState:
		return resultstore.Status_PASSED
	case prowv1.FailureState:
		return resultstore.Status_FAILED
	case prowv1.AbortedState:
		return resultstore.Status_CANCELLED
	case prowv1.ErrorState:
		return resultstore.Status_INCOMPLETE
	}
	return resultstore.Status_TOOL_FAILED
}

func (r *run) status() *resultstore.StatusAttributes {
	return &resultstore.StatusAttributes{Status: statusOf(r.job.Status.State), Description: r.job.Status.Description}
}

// timing is from the start to the end of the test as its files say, else of the job.
func (r *run) timing() *resultstore.Timing {
	start := r.job.Status.StartTime.Unix()
	if r.started != nil {
		start = r.started.Timestamp
	}
	end := r.job.Status.CompletionTime.Unix()
	if r.finished != nil && r.finished.Timestamp > 0 {
		end = r.finished.Timestamp
	}
	return &resultstore.Timing{
		StartTime: &timestamppb.Timestamp{Seconds: start},
		Duration:  durationpb.New(time.Duration(max(0, end-start)) * time.Second),
	}
}

// description is <type> for <repo>[/<pull>[/<patchset>]]/<build id>/<job>.
func (r *run) description() string {
	labels := r.job.Labels
	parts := []string{labels[prowv1.RepoLabel]}
	if pull := labels[prowv1.PullLabel]; pull != "" {
		parts = append(parts, pull)
		if patchset := labels[prowv1.GerritPatchsetLabel]; patchset != "" {
			parts = append(parts, patchset)
		}
	}
	parts = append(parts, r.job.Status.BuildID, r.job.Spec.Job)
	return string(r.job.Spec.Type) + " for " + strings.Join(parts, "/")
}

func (r *run) invocation(projectID string) *resultstore.Invocation {
	return &resultstore.Invocation{
		Id:               &resultstore.Invocation_Id{InvocationId: r.job.Name},
		StatusAttributes: r.status(),
		Timing:           r.timing(),
		InvocationAttributes: &resultstore.InvocationAttributes{
			ProjectId: projectID, Labels: []string{label}, Description: r.description(),
		},
		WorkspaceInfo: &resultstore.WorkspaceInfo{CommandLines: r.commands()},
		Properties:    r.properties(),
		Files:         r.files,
	}
}

func (r *run) commands() (out []*resultstore.CommandLine) {
	if r.job.Spec.PodSpec == nil {
		return nil
	}
	for _, c := range r.job.Spec.PodSpec.Containers {
		out = append(out, &resultstore.CommandLine{Label: "original", Tool: strings.Join(c.Command, " "), Args: c.Args})
	}
	return out
}

func (r *run) properties() []*resultstore.Property {
	var out []*resultstore.Property
	add := func(key string, values ...string) {
		for _, v := range values {
			if v != "" {
				out = append(out, &resultstore.Property{Key: key, Value: v})
			}
		}
	}
	add("Instance", r.job.Status.BuildID)
	add("Job", r.job.Spec.Job)
	add("Prow_Dashboard_URL", r.job.Status.URL)
	if r.job.Spec.PodSpec != nil {
		seen := map[string]bool{}
		for _, c := range r.job.Spec.PodSpec.Containers {
			for _, e := range c.Env {
				if text := e.Name + "=" + e.Value; e.ValueFrom == nil && !seen[text] {
					seen[text] = true
					add("Env", text)
				}
			}
		}
	}
	if r.started != nil {
		add("Commit", r.started.RepoCommit)
	}
	branches, repos := map[string]bool{}, map[string]bool{}
	refs := r.job.Spec.ExtraRefs
	if r.job.Spec.Refs != nil {
		refs = append([]prowv1.Refs{*r.job.Spec.Refs}, refs...)
	}
	for _, ref := range refs {
		branches[ref.BaseRef], repos[ref.OrgRepoString()] = true, true
	}
	add("Branch", slices.Sorted(maps.Keys(branches))...)
	add("Repo", slices.Sorted(maps.Keys(repos))...)
	return out
}

// content fills an invocation and finalises it, to be sent in one batch.
func (r *run) content() []*resultstore.UploadRequest {
	target := r.job.Spec.Job
	return []*resultstore.UploadRequest{
		{
			Id: &resultstore.UploadRequest_Id{ConfigurationId: configurationID}, UploadOperation: resultstore.UploadRequest_CREATE,
			Resource: &resultstore.UploadRequest_Configuration{Configuration: &resultstore.Configuration{StatusAttributes: r.status()}},
		},
		{
			Id: &resultstore.UploadRequest_Id{TargetId: target}, UploadOperation: resultstore.UploadRequest_CREATE,
			Resource: &resultstore.UploadRequest_Target{Target: &resultstore.Target{
				StatusAttributes: r.status(), Timing: r.timing(), Visible: true,
				TargetAttributes: &resultstore.TargetAttributes{Type: resultstore.TargetType_TEST},
			}},
		},
		{
			Id: &resultstore.UploadRequest_Id{TargetId: target, ConfigurationId: configurationID}, UploadOperation: resultstore.UploadRequest_CREATE,
			Resource: &resultstore.UploadRequest_ConfiguredTarget{ConfiguredTarget: &resultstore.ConfiguredTarget{StatusAttributes: r.status(), Timing: r.timing()}},
		},
		{
			Id:              &resultstore.UploadRequest_Id{TargetId: target, ConfigurationId: configurationID, ActionId: actionID},
			UploadOperation: resultstore.UploadRequest_CREATE,
			Resource: &resultstore.UploadRequest_Action{Action: &resultstore.Action{
				StatusAttributes: r.status(), Timing: r.timing(), ActionType: &resultstore.Action_TestAction{TestAction: &resultstore.TestAction{}},
			}},
		},
		{UploadOperation: resultstore.UploadRequest_FINALIZE, Resource: &resultstore.UploadRequest_Invocation{Invocation: &resultstore.Invocation{}}},
	}
}
