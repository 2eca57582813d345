// Package downward is what a job is told about itself: the JOB_SPEC document
// and the plain environment variables beside it. Pods, Jenkins builds and
// Tekton pipelines all get the same set, and the pod utilities read JOB_SPEC
// back.
package downward

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// JobSpecEnv is the variable that holds the JobSpec as JSON.
const JobSpecEnv = "JOB_SPEC"

// JobSpec is the content of JOB_SPEC.
type JobSpec struct {
	Type             v1.ProwJobType       `json:"type,omitempty"`
	Job              string               `json:"job,omitempty"`
	BuildID          string               `json:"buildid,omitempty"`
	ProwJobID        string               `json:"prowjobid,omitempty"`
	Refs             *v1.Refs             `json:"refs,omitempty"`
	ExtraRefs        []v1.Refs            `json:"extra_refs,omitempty"`
	DecorationConfig *v1.DecorationConfig `json:"decoration_config,omitempty"`

	// agent decides only about BUILD_NUMBER; readers of JOB_SPEC do not learn it.
	agent v1.ProwJobAgent
}

// NewJobSpec describes one run of a job.
func NewJobSpec(spec v1.ProwJobSpec, buildID, prowJobID string) JobSpec {
	return JobSpec{
		Type:             spec.Type,
		Job:              spec.Job,
		BuildID:          buildID,
		ProwJobID:        prowJobID,
		Refs:             spec.Refs,
		ExtraRefs:        spec.ExtraRefs,
		DecorationConfig: spec.DecorationConfig,
		agent:            spec.Agent,
	}
}

// FromEnv reads JOB_SPEC by means of lookup, which is os.LookupEnv outside of tests.
func FromEnv(lookup func(string) (string, bool)) (*JobSpec, error) {
	raw, ok := lookup(JobSpecEnv)
	if !ok {
		return nil, fmt.Errorf("the variable %s is not set", JobSpecEnv)
	}
	var spec JobSpec
	if err := json.Unmarshal([]byte(raw), &spec); err != nil {
		return nil, fmt.Errorf("reading %s: %w", JobSpecEnv, err)
	}
	return &spec, nil
}

// Run identifies the run in storage.
func (s *JobSpec) Run() artifacts.Run {
	return artifacts.Run{Type: s.Type, Job: s.Job, BuildID: s.BuildID, Refs: s.Refs}
}

// MainRefs are the refs whose version is the version of the job: its own, else
// the first extra refs that are not auxiliary, else nil.
func (s *JobSpec) MainRefs() *v1.Refs {
	if s.Refs != nil {
		return s.Refs
	}
	for i := range s.ExtraRefs {
		if !s.ExtraRefs[i].Auxiliary {
			return &s.ExtraRefs[i]
		}
	}
	return nil
}

// Revision is the version that the job was asked to test: the head of its first
// pull, else the base commit, else the base branch.
func (s *JobSpec) Revision() string {
	refs := s.MainRefs()
	switch {
	case refs == nil:
		return ""
	case len(refs.Pulls) > 0:
		return refs.Pulls[0].SHA
	case refs.BaseSHA != "":
		return refs.BaseSHA
	}
	return refs.BaseRef
}

// Env returns the variables of the job. They are present even when empty. A job
// that lacks the refs which its type demands is an error.
func (s *JobSpec) Env() (map[string]string, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing %s of job %s: %w", JobSpecEnv, s.Job, err)
	}
	env := map[string]string{
		"CI":          "true",
		"JOB_NAME":    s.Job,
		"JOB_TYPE":    string(s.Type),
		JobSpecEnv:    string(encoded),
		"PROW_JOB_ID": s.ProwJobID,
		"BUILD_ID":    s.BuildID,
	}
	if s.agent == v1.KubernetesAgent {
		env["BUILD_NUMBER"] = s.BuildID
	}
	if s.Type == v1.PeriodicJob {
		return env, nil
	}
	if s.Refs == nil {
		return nil, fmt.Errorf("%s %s: a job of this type needs refs", s.Type, s.Job)
	}
	env["REPO_OWNER"] = s.Refs.Org
	env["REPO_NAME"] = s.Refs.Repo
	env["SRC_HOST"], env["SRC_BASE"] = source(s.Refs)
	env["PULL_BASE_REF"] = s.Refs.BaseRef
	env["PULL_BASE_SHA"] = s.Refs.BaseSHA
	env["PULL_REFS"] = s.Refs.String()
	if s.Type != v1.PresubmitJob {
		return env, nil
	}
	if len(s.Refs.Pulls) == 0 {
		return nil, errors.New("presubmit " + s.Job + ": no pull request in its refs")
	}
	pull := s.Refs.Pulls[0]
	env["PULL_NUMBER"] = strconv.Itoa(pull.Number)
	env["PULL_PULL_SHA"] = pull.SHA
	env["PULL_HEAD_REF"] = pull.HeadRef
	env["PULL_TITLE"] = pull.Title
	return env, nil
}

// source splits the place of the code into host and path, as import paths have it.
func source(refs *v1.Refs) (host, base string) {
	place := refs.PathAlias
	if place == "" {
		_, link, found := strings.Cut(refs.RepoLink, "://")
		if !found {
			link = refs.RepoLink
		}
		place = link
	}
	if place == "" {
		return "github.com", refs.OrgRepoString()
	}
	host, base, found := strings.Cut(place, "/")
	if !found {
		base = refs.OrgRepoString()
	}
	return host, base
}

// ReservedNames are the variables that a job of this type may not set itself.
func ReservedNames(jobType v1.ProwJobType) []string {
	spec := JobSpec{Type: jobType, Refs: &v1.Refs{Pulls: []v1.Pull{{}}}, agent: v1.KubernetesAgent}
	env, err := spec.Env()
	if err != nil {
		return nil // the spec has everything that any type demands
	}
	return slices.Sorted(maps.Keys(env))
}
