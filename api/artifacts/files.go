package artifacts

import (
	"time"

	v1 "prow/api/prowjobs/v1"
)

// Names of files in the directory of a run.
const (
	StartedFile      = "started.json"
	FinishedFile     = "finished.json"
	BuildLogFile     = "build-log.txt"
	CloneLogFile     = "clone-log.txt"
	CloneRecordsFile = "clone-records.json"
	ProwJobFile      = "prowjob.json"
	PodInfoFile      = "podinfo.json"
	SidecarLogFile   = "sidecar-logs.json"
	// UploadManifestFile tells of every file whether it was stored; see UploadManifest.
	UploadManifestFile = "upload-manifest.json"
	// ArtifactsDir holds what the test put into $ARTIFACTS.
	ArtifactsDir = "artifacts"
	// LatestBuildFile holds the build id that last started or finished.
	LatestBuildFile = "latest-build.txt"
)

// BuildLogName is the name of the log of one test container: BuildLogFile where
// the pod has only one, for which container is empty.
func BuildLogName(container string) string {
	if container == "" {
		return BuildLogFile
	}
	return container + "-" + BuildLogFile
}

// Values of Finished.Result, as the utilities in the pod write them. The
// reporter in the cluster writes the lower-case state of the ProwJob instead.
const (
	ResultSuccess = "SUCCESS"
	ResultFailure = "FAILURE"
	ResultAborted = "ABORTED"
)

// UploaderKey is the metadata key by which the reporter signs the started.json
// and finished.json that it wrote itself, with the value UploaderCrier.
const (
	UploaderKey   = "uploader"
	UploaderCrier = "crier"
)

// Metadata is free data about a run.
type Metadata map[string]any

// Started is the content of started.json.
type Started struct {
	// Timestamp is in Unix seconds.
	Timestamp int64 `json:"timestamp"`
	// Node is not written any more.
	Node string `json:"node,omitempty"`
	// Pull is the number of the first pull request.
	Pull string `json:"pull,omitempty"`
	// Repos maps "org/repo" to the string form of its refs.
	Repos map[string]string `json:"repos,omitempty"`
	// RepoCommit is the commit that was tested: for a presubmit the merge commit.
	RepoCommit string   `json:"repo-commit,omitempty"`
	Metadata   Metadata `json:"metadata,omitempty"`
	// JobVersion is not written any more.
	JobVersion string `json:"job-version,omitempty"`
	// RepoVersion equals RepoCommit.
	RepoVersion string `json:"repo-version,omitempty"`
}

// Finished is the content of finished.json.
type Finished struct {
	// Timestamp is in Unix seconds.
	Timestamp int64    `json:"timestamp"`
	Passed    bool     `json:"passed"`
	Metadata  Metadata `json:"metadata,omitempty"`
	// Result is one of the Result constants, or a lower-case state.
	Result string `json:"result,omitempty"`
	// JobVersion is not written any more.
	JobVersion string `json:"job-version,omitempty"`
	// Revision is what was to be tested: for a presubmit the head of the pull request.
	Revision string `json:"revision,omitempty"`
	// RepoVersion is not written any more.
	RepoVersion string `json:"repo-version,omitempty"`
}

// CloneRecord tells how the cloning of one repository went; clone-records.json
// is an array of them. The record with empty refs is about the preparation.
type CloneRecord struct {
	Refs     v1.Refs        `json:"refs"`
	Commands []CloneCommand `json:"commands,omitempty"`
	Failed   bool           `json:"failed,omitempty"`
	// Reason is, of a clone that failed, one of the Clone constants.
	Reason string `json:"reason,omitempty"`
	// Message says in one sentence why the clone failed.
	Message string `json:"message,omitempty"`
	// FinalSHA is the commit in the work tree in the end.
	FinalSHA string `json:"final_sha,omitempty"`
	// Duration is written in nanoseconds.
	Duration time.Duration `json:"duration,omitempty"`
}

// Values of CloneRecord.Reason. They tell whose turn it is.
const (
	// CloneConflict: the changes do not go together. Their authors have to act.
	CloneConflict = "conflict"
	// CloneNotFound: a repository, branch or commit does not exist, or is hidden.
	CloneNotFound = "not_found"
	// CloneUnauthorized: the host wants other credentials, or is not trusted.
	CloneUnauthorized = "unauthorized"
	// CloneUnavailable: the host or the way to it did not work for a minute.
	CloneUnavailable = "unavailable"
	// CloneInvalid: the refs are nothing that could be cloned.
	CloneInvalid = "invalid"
	// CloneError is everything else.
	CloneError = "error"
)

// CloneCommand is one command that was run for a CloneRecord.
type CloneCommand struct {
	Command string `json:"command"`
	Output  string `json:"output,omitempty"`
	Error   string `json:"error,omitempty"`
	// Duration is written in nanoseconds.
	Duration time.Duration `json:"duration,omitempty"`
}
